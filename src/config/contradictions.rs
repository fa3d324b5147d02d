//! Values that are each within their range and don't fit each other or the machine.

use std::net::SocketAddr;

use super::Config;
use super::error::ConfigError;

/// A key whose value doesn't fit, and what would.
type Wrong = (&'static str, String);

impl Config {
    /// Everything that is wrong with the values taken together, or on this machine.
    pub(super) fn contradictions(&self) -> Vec<ConfigError> {
        let wrong =
            [self.wrong_logins(), self.wrong_addresses(), self.wrong_cpus(), self.wrong_sizes()];
        let error = |(key, allowed): Wrong| {
            let setting = self.setting(key);
            let (value, origin) = (setting.text.clone(), setting.origin.clone());
            ConfigError::Value { key, value, origin, allowed }
        };
        wrong.into_iter().flatten().map(error).collect()
    }

    fn wrong_logins(&self) -> Vec<Wrong> {
        let rule = "with insecure_dev only a loopback address, such as 127.0.0.1:7700, \
                    because anyone who reaches it can be any user";
        let keys = "the path of a key file (`fulmar key generate --keys FILE` makes one), or \
                    insecure_dev on a loopback address";
        let is_open = |address: SocketAddr| self.insecure_dev && !address.ip().is_loopback();
        let mut wrong = Vec::new();
        if is_open(self.listen) {
            wrong.push(("listen", rule.to_owned()));
        }
        if self.control.is_some_and(is_open) {
            wrong.push(("control", rule.to_owned()));
        }
        if self.keys.is_none() && !self.insecure_dev {
            wrong.push(("keys", keys.to_owned()));
        }
        wrong
    }

    fn wrong_addresses(&self) -> Vec<Wrong> {
        let listen = self.listen;
        if !self.control.is_some_and(|control| is_same_place(control, listen)) {
            return Vec::new();
        }
        let allowed = format!(
            "an address that listen, which is {listen}, doesn't contain; another port, say"
        );
        vec![("control", allowed)]
    }

    fn wrong_cpus(&self) -> Vec<Wrong> {
        let (machine, cores) = (&self.machine, self.cores);
        let Some(first) = self.pin else { return Vec::new() };
        let consecutive_max = machine.consecutive_cpus_max();
        let (key, allowed) = if cores > consecutive_max {
            let allowed = format!(
                "with pin at most {consecutive_max}, because each gets a CPU of its own, next to the \
                 one before, out of those"
            );
            ("cores", allowed)
        } else if !machine.has_cpus(first, cores) {
            ("pin", format!("the first of {cores} consecutive CPUs out of those"))
        } else {
            return Vec::new();
        };
        vec![(key, format!("{allowed} this process may use: {}", machine.cpu_list()))]
    }

    fn wrong_sizes(&self) -> Vec<Wrong> {
        let machine = &self.machine;
        let mut wrong = Vec::new();
        if self.connections_max > machine.connections_max() {
            let allowed = format!(
                "at most {}: this process may open {} descriptors and needs some itself; \
                 `fulmar doctor --connections {}` says how to raise the limit",
                machine.connections_max(),
                machine.descriptors_max,
                self.connections_max,
            );
            wrong.push(("connections_max", allowed));
        }
        if !self.receive_buffers.is_power_of_two() {
            wrong.push(("receive_buffers", "a power of two, such as 1024 or 2048".to_owned()));
        }
        for (key, quota, whole) in [
            ("quota_bytes", self.quota_bytes, "inbox"),
            ("group_quota_bytes", self.group_quota_bytes, "group's log"),
        ] {
            if quota < self.body_bytes_max {
                let allowed = format!(
                    "at least body_bytes_max, which is {}, or the largest message fits no {whole}",
                    self.body_bytes_max
                );
                wrong.push((key, allowed));
            }
        }
        wrong
    }
}

/// Whether one of two addresses to listen on takes the other's port. An unspecified one listens on all
/// addresses of its kind, that of IPv6 on those of IPv4 too.
fn is_same_place(one: SocketAddr, other: SocketAddr) -> bool {
    let contains = |all: SocketAddr, other: SocketAddr| match all.ip().to_canonical() {
        all if all.is_unspecified() => all.is_ipv6() || other.ip().to_canonical().is_ipv4(),
        ip => ip == other.ip().to_canonical(),
    };
    let is_same_port = one.port() == other.port() && one.port() != 0;
    is_same_port && (contains(one, other) || contains(other, one))
}
