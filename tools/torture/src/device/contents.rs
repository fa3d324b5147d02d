//! What a device makes of what was written before: it edits, deletes and reacts, also where it must not.

use fulmar_protocol::content::Target;

use super::Device;
use super::groups::Known;
use super::outbox::To;
use super::wording::Wording;
use crate::feature::Feature;

/// In this many of a hundred cases what is written is over some time later.
const PERCENT_DISAPPEARING: u32 = 6;
/// Mostly after at most so many seconds, so that it is for devices that are away for a moment.
const SECONDS_SHORT: usize = 4;
/// Otherwise after at most so many.
const SECONDS_LONG: usize = 60;
/// In this many of a hundred cases what is written isn't plain.
const PERCENT_WORDED: u32 = 15;
/// Of these, in this many of a hundred cases it is about a message that there may not be.
const PERCENT_BEYOND: u32 = 12;
/// A message that there is not.
const FAR: u64 = 1_000_000;
/// In a conversation of two, one of so many of the latest messages is meant.
const RECENT: usize = 20;

impl Device {
    /// What the next message is, to there.
    pub(super) fn wording(&mut self, to: To) -> Wording {
        if self.world.has(Feature::Expiry) && self.habits.happens(PERCENT_DISAPPEARING) {
            let most = if self.habits.happens(80) { SECONDS_SHORT } else { SECONDS_LONG };
            return Wording::Disappearing { seconds: 1 + self.habits.choose(most) as u64 };
        }
        if !self.world.has(Feature::Contents) || !self.habits.happens(PERCENT_WORDED) {
            return Wording::Plain;
        }
        match self.habits.choose(20) {
            0 => return Wording::Malformed,
            1 => return Wording::Timer { seconds: self.habits.choose(100) as u64 },
            2 => return Wording::Mention { users: self.role.peers.clone() },
            _ => {}
        }
        match to {
            To::User(peer) => self.about_a_conversation(peer),
            To::Group(group) => self.about_a_group(group),
        }
    }

    fn about_a_conversation(&mut self, peer: u64) -> Wording {
        let (own, shown) = self.conversations.known(peer);
        let way = self.habits.choose(4);
        let of_peer = way == 3;
        let place = self.place_up_to(if of_peer { shown } else { own });
        match way {
            0 => Wording::Edit { target: place },
            1 => Wording::Delete { target: place },
            _ => Wording::Reaction { target: Target { of_peer, place } },
        }
    }

    /// One of the last messages of a direction of so many, or one beyond.
    fn place_up_to(&mut self, last: u64) -> u64 {
        if last == 0 || self.habits.happens(PERCENT_BEYOND) {
            let soon = last + 1 + self.habits.choose(3) as u64;
            return if self.habits.happens(50) { soon } else { last + FAR };
        }
        last.saturating_sub(self.habits.choose(RECENT) as u64).max(1)
    }

    /// About anything in the log, so also about others' messages and about changes. Mostly about own ones.
    fn about_a_group(&mut self, group: u64) -> Wording {
        let aims_at_own = self.habits.happens(50);
        let recent = self.groups.by_number.get(&group).map(|group| &group.recent);
        let recent = recent.into_iter().flatten();
        let meant = |known: &&Known| !aims_at_own || known.is_own && !known.is_change;
        let places: Vec<u64> = recent.filter(meant).map(|known| known.position).collect();
        let place = match places.get(self.habits.choose(places.len())) {
            Some(&place) if !self.habits.happens(PERCENT_BEYOND) => place,
            _ => self.place_up_to(0),
        };
        match self.habits.choose(3) {
            0 => Wording::Edit { target: place },
            1 => Wording::Delete { target: place },
            _ => Wording::Reaction { target: Target { of_peer: false, place } },
        }
    }
}
