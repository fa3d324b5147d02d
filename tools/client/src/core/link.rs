//! The connection's life, and what its end leads to.

use fulmar_protocol::Code;
use fulmar_protocol::limits::ADDRESS_BYTES_MAX;

use super::heartbeat::Heartbeat;

/// Where the session is with its connection.
///
/// ```text
///                 ┌──────────── failure, loss, goodbye ◄────────────┬──────────┬─────────┐
///                 ▼                                                 │          │         │
///   (new) ──► Waiting ──time──► Connecting ──open──► Settling ──► Greeting ──welcome──► Online
///                 ▲                                                 │                    │
///             reconnect                                             │                    │
///                 │                                                 ▼                    │
///              Stopped ◄───────────── final refusal or goodbye ◄────┴────────────────────┘
///
///   any ──close, store failed──► Ended
/// ```
#[derive(Debug)]
pub(super) enum Link {
    /// No attempt until the program asks for one.
    Stopped,
    /// The next attempt comes at this time.
    Waiting { until_ms: u64 },
    /// A connection is being opened, until this time at most.
    Connecting { until_ms: u64 },
    /// It is open; the hello waits until the inbox is stored, so that its cursor is true.
    Settling { until_ms: u64 },
    /// The hello is out; nothing else may be sent before the welcome.
    Greeting { until_ms: u64 },
    /// Logged in.
    Online(Online),
    /// For good.
    Ended,
}

/// What belongs to a login.
#[derive(Debug)]
pub(super) struct Online {
    pub(super) since_ms: u64,
    pub(super) heartbeat: Heartbeat,
}

impl Link {
    /// Whether a connection is open or being opened.
    pub(super) const fn has_connection(&self) -> bool {
        !matches!(self, Link::Stopped | Link::Waiting { .. } | Link::Ended)
    }

    /// Whether bytes may arrive.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Link::Settling { .. } | Link::Greeting { .. } | Link::Online(_))
    }

    /// When the next timer is due, in milliseconds. `waiting` tells whether an answer is awaited.
    pub(super) fn deadline_ms(&self, waiting: bool) -> Option<u64> {
        match self {
            Link::Stopped | Link::Ended => None,
            Link::Waiting { until_ms }
            | Link::Connecting { until_ms }
            | Link::Settling { until_ms }
            | Link::Greeting { until_ms } => Some(*until_ms),
            Link::Online(online) => online.heartbeat.next(waiting).map(|(at_ms, _)| at_ms),
        }
    }
}

/// What follows the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Another attempt, not before this time from now.
    Retry { retry_after_ms: u64 },
    /// Another attempt after a long time: one side has a defect.
    RetryLate,
    /// None until the program asks for it.
    Stop,
}

impl Plan {
    /// What a refuse or goodbye with this code leads to. A wrong login stays wrong, and a device
    /// that was replaced would only replace its replacement, for ever.
    pub(super) const fn after(code: Code, retry_after_ms: u64) -> Plan {
        match code {
            Code::NotFulmar | Code::UnsupportedVersion => Plan::Stop,
            Code::HelloTimeout | Code::FrameTimeout | Code::IdleTimeout => {
                Plan::Retry { retry_after_ms }
            }
            code => match code.number() / 100 {
                1 => Plan::RetryLate,
                2 => Plan::Stop,
                _ => Plan::Retry { retry_after_ms },
            },
        }
    }
}

/// Whether this has the form of an address, `host:port`.
pub(crate) fn is_address(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && address.len() <= ADDRESS_BYTES_MAX
            && host.bytes().all(|byte| byte.is_ascii_graphic())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["10.0.0.1:7700", "chat.example:1", "[::1]:65535"] {
            assert!(is_address(good), "{good:?}");
        }
        for bad in ["", "host", ":7700", "host:", "host:0", "host:65536", "a b:1", "h\u{1b}:1"] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn unknown_codes_are_judged_by_their_hundred() {
        let retry = Plan::Retry { retry_after_ms: 5 };
        assert_eq!(Plan::after(Code::Other(299), 5), Plan::Stop);
        assert_eq!(Plan::after(Code::Other(499), 5), retry);
        assert_eq!(Plan::after(Code::Replaced, 5), Plan::Stop);
        assert_eq!(Plan::after(Code::IdleTimeout, 5), retry);
        assert_eq!(Plan::after(Code::Other(199), 5), Plan::RetryLate);
        assert_eq!(Plan::after(Code::None, 5), retry);
        assert_eq!(Plan::after(Code::UnsupportedVersion, 5), Plan::Stop);
    }
}
