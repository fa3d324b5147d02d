//! People who are there or not, who watch each other, and who are seen to write.

use fulmar_client::Target;
use fulmar_client::core::Session;

use super::World;
use crate::coverage::Happening;

/// People whom a program watches from its beginning, at most.
const WATCHED_FIRST: u64 = 6;

impl World {
    /// Whether people watch each other in this world.
    pub(super) const fn has_presence(&self) -> bool {
        self.plan.presence_percent > 0
    }

    /// A program begins, and shows some people. On each new connection it watches them again by itself.
    pub(super) fn watch_some(&mut self, device: u32) {
        for _ in 0..self.presence.between(1..=WATCHED_FIRST) {
            self.watch_one(device);
        }
    }

    fn watch_one(&mut self, device: u32) {
        let user = self.neighbour_of(device);
        let watched = &mut self.devices[device as usize].watched;
        if watched.contains(&user) {
            return;
        }
        watched.push(user);
        self.coverage.hit(Happening::Watch);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.watch(now, &[user], actions);
        });
    }

    fn unwatch_one(&mut self, device: u32) {
        let watched = &mut self.devices[device as usize].watched;
        if watched.is_empty() {
            return;
        }
        let user = watched.swap_remove(self.presence.index(watched.len()));
        self.coverage.hit(Happening::Unwatch);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.unwatch(now, &[user], actions);
        });
    }

    /// One of those who write to this user, or to whom it writes; rarely anybody, or somebody whom there isn't.
    fn neighbour_of(&mut self, device: u32) -> u64 {
        let (user, first, count) =
            (self.devices[device as usize].user, self.users[0], self.users.len() as u64);
        match self.presence.below(20) {
            0 => first + count + 1_000_000,
            1..8 => first + (user - first + count - self.presence.below(6).min(count)) % count,
            8..15 => first + (user - first + 1 + self.presence.below(6)) % count,
            _ => self.presence.pick(&self.users),
        }
    }

    /// A person takes up the program or puts it down, begins to write somewhere or stops, or shows other people.
    pub(super) fn be_there(&mut self, device: u32) {
        match self.presence.below(100) {
            0..25 => self.set_active(device, true),
            25..40 => self.set_active(device, false),
            40..70 => self.begin_to_write(device),
            70..80 => self.stop_to_write(device),
            80..90 => self.watch_one(device),
            _ => self.unwatch_one(device),
        }
    }

    fn set_active(&mut self, device: u32, is_active: bool) {
        self.coverage.hit(if is_active { Happening::TakenUp } else { Happening::PutDown });
        self.with_session(device, |session: &mut Session, now, actions| {
            session.set_active(now, is_active, actions);
        });
    }

    fn begin_to_write(&mut self, device: u32) {
        let groups = &self.devices[device as usize].groups;
        let target = if !groups.is_empty() && self.presence.percent(40) {
            Target::Group(self.presence.pick(groups))
        } else {
            Target::Peer(self.neighbour_of(device))
        };
        self.coverage.hit(Happening::Types);
        self.devices[device as usize].typing = Some(target);
        self.tell_typing(device, target, true);
    }

    fn stop_to_write(&mut self, device: u32) {
        if let Some(target) = self.devices[device as usize].typing.take() {
            self.tell_typing(device, target, false);
        }
    }

    fn tell_typing(&mut self, device: u32, target: Target, is_typing: bool) {
        self.with_session(device, |session: &mut Session, now, actions| {
            session.typing(now, target, is_typing, actions);
        });
    }

    /// Once everything is at rest some people take up their programs, and all others put them down.
    pub(super) fn take_up_some(&mut self) {
        if !self.has_presence() {
            return;
        }
        for device in 0..self.devices.len() as u32 {
            let is_active = self.presence.percent(30);
            self.set_active(device, is_active);
        }
    }
}
