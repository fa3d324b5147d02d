//! What people fetch of the time before a device: all of it when it is new, and some of it now and then.

use fulmar_client::core::Session;

use super::World;
use crate::coverage::Happening;

/// Entries that a person scrolls back at most.
const SCROLLED_MAX: u64 = 300;
/// Entries that a new device wants of each log.
const ALL: u64 = 100_000;

impl World {
    /// A person wants what lies before what a device has; whether that is what it does now.
    pub(super) fn looks_back(&mut self, device: u32) -> bool {
        if self.plan.past_once_in == 0 {
            return false;
        }
        let state = &mut self.devices[device as usize];
        if std::mem::take(&mut state.is_new) {
            self.fetch(device, None, ALL);
            for group in self.devices[device as usize].groups.clone() {
                self.fetch(device, Some(group), ALL);
            }
            return true;
        }
        if !self.past.once_in(self.plan.past_once_in) {
            return false;
        }
        let groups = &self.devices[device as usize].groups;
        let group = if groups.is_empty() || self.past.percent(50) {
            None
        } else {
            Some(groups[self.past.index(groups.len())])
        };
        let entries = self.past.magnitude(1..=SCROLLED_MAX);
        self.fetch(device, group, entries);
        true
    }

    fn fetch(&mut self, device: u32, group: Option<u64>, entries: u64) {
        self.coverage.hit(Happening::LookBack);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.fill_history(now, group, entries, actions);
        });
    }
}
