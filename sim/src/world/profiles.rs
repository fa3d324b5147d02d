//! What people show of themselves: profiles, usernames for which they compete, and who may see what. And what others
//! ask about that.

use fulmar_client::Put;
use fulmar_client::core::Session;
use fulmar_client::people::{audience, privacy, profile};

use super::World;
use crate::coverage::Happening;
use crate::device;

/// Usernames that people want. Devices of a user want different ones, so that it is known which device asked.
pub(super) const NAMES: [&str; 8] =
    ["ann", "bob", "cleo", "dan", "eve.1", "fay_2", "gus", "hal9000"];
/// Those of a device.
const NAMES_OF_DEVICE: usize = 2;
/// Something that is no username.
const NO_NAME: &str = "9 lives";

impl World {
    /// A person sets something that others may see, or looks for others.
    pub(super) fn about_oneself(&mut self, device: u32) {
        match self.profiles.below(100) {
            0..25 => self.put_profile(device),
            25..50 => self.put_name(device),
            50..60 => self.put_privacy(device),
            60..80 => self.look_at_somebody(device),
            _ => {
                let name = self.any_name();
                self.find(device, name);
            }
        }
    }

    fn put_to(&mut self, device: u32, put: Put, what: Happening) {
        self.coverage.hit(what);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.put(now, put, actions);
        });
    }

    fn put_profile(&mut self, device: u32) {
        self.serial += 1;
        let part = self.profiles.pick(&[profile::NAME, profile::STATUS, profile::AVATAR]);
        let value = if self.profiles.once_in(6) {
            Vec::new()
        } else {
            device::body(self.serial, 8).to_vec()
        };
        self.put_to(device, Put::profile(part, &value), Happening::ProfilePut);
    }

    fn put_name(&mut self, device: u32) {
        let number = usize::from(self.devices[device as usize].number) - 1;
        if number == 0 && self.profiles.once_in(4) {
            self.put_to(device, Put::username(""), Happening::NameReleased);
            return;
        }
        let nth = number * NAMES_OF_DEVICE + self.profiles.index(NAMES_OF_DEVICE);
        let name = if self.profiles.once_in(40) { NO_NAME } else { NAMES[nth % NAMES.len()] };
        self.put_to(device, Put::username(name), Happening::NamePut);
    }

    /// Of a user's devices the first one does that: so one knows from outside what holds.
    fn put_privacy(&mut self, device: u32) {
        if self.devices[device as usize].number != 1 {
            return;
        }
        let what = self.profiles.pick(&[
            privacy::LAST_SEEN,
            privacy::LAST_SEEN,
            privacy::ONLINE,
            privacy::ONLINE,
            privacy::READS,
            privacy::FOUND,
            privacy::FOUND,
        ]);
        let who = self.profiles.pick(&[
            audience::NOBODY,
            audience::NOBODY,
            audience::KNOWN,
            audience::EVERYBODY,
        ]);
        self.put_to(device, Put::privacy(what, who), Happening::PrivacyPut);
    }

    /// A neighbour, who may be blocked or block, anybody, or somebody whom there isn't.
    fn somebody(&mut self, device: u32) -> u64 {
        let (user, first, count) =
            (self.devices[device as usize].user, self.users[0], self.users.len() as u64);
        match self.profiles.below(20) {
            0 => first + count + 1_000_000,
            1..14 => first + (user - first + count - self.profiles.below(8).min(count)) % count,
            _ => self.profiles.pick(&self.users),
        }
    }

    fn look_at_somebody(&mut self, device: u32) {
        let user = self.somebody(device);
        self.coverage.hit(Happening::ProfileLook);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.look_at_profile(now, user, actions);
        });
    }

    fn any_name(&mut self) -> &'static str {
        if self.profiles.once_in(30) { NO_NAME } else { self.profiles.pick(&NAMES) }
    }

    fn find(&mut self, device: u32, name: &str) {
        self.coverage.hit(Happening::Find);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.find(now, name, actions);
        });
    }

    /// Once everything is at rest: a device of each of some people asks for all names, and for some profiles.
    pub(super) fn ask_about_others(&mut self) {
        if self.plan.profile_percent == 0 {
            return;
        }
        let askers: Vec<u32> = (0..self.devices.len() as u32)
            .filter(|&device| self.devices[device as usize].number == 1)
            .take(ASKERS_MAX)
            .collect();
        for device in askers {
            for name in NAMES {
                self.find(device, name);
            }
            for _ in 0..LOOKS_OF_ASKER {
                self.look_at_somebody(device);
            }
        }
    }
}

/// Those who ask in the end, and at how many profiles each looks.
const ASKERS_MAX: usize = 12;
const LOOKS_OF_ASKER: usize = 12;
