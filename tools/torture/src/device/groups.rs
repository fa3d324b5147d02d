//! The groups that a device knows: how far it has each, and what it was told of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fulmar_protocol::group::{Action, Change};

use super::group_members::Members;
use super::inbox::Inbox;
use crate::limits::{ASK_AGAIN, GROUP_BEGINS, RECENT_ENTRIES};

/// Time between two looks at what a group is, where everything comes to rest.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    /// Its log as it arrives.
    pub(super) log: Inbox,
    /// The last position that was acknowledged on this connection.
    pub(super) acked: u64,
    /// The user is a member, as far as the device knows: it writes.
    pub(super) is_member: bool,
    /// There may be something to come: it is named after each login.
    pub(super) is_followed: bool,
    /// Position of this user's end, as the server told.
    ended_at: Option<u64>,
    /// Who is a member, as far as the device knows.
    pub(super) members: Members,
    /// Position of this user's newest entry.
    pub(super) own: u64,
    /// Its last entries, as they became known.
    pub(super) recent: VecDeque<Known>,
    /// The person saw it up to here, and up to here the server has stored that.
    read: u64,
    stored: u64,
    said_at: Option<Instant>,
    /// The receipt is to be asked for on this connection, or was at some time.
    is_ask_due: bool,
    asked_at: Option<Instant>,
    /// Its head as the server said on this connection.
    head: Option<u64>,
    look_at: Instant,
    /// Since when something of it is expected, so that it begins.
    awaited_since: Option<Instant>,
}

/// An entry that a device knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) position: u64,
    /// This user sent it.
    pub(super) is_own: bool,
    pub(super) is_change: bool,
}

/// All groups of a device, by number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) by_number: BTreeMap<u64, Group>,
    /// The group of which a large body is in progress.
    pub(super) in_parts: Option<u64>,
    /// Who takes turns in the groups that this device makes, by the number of the request.
    pub(super) making: BTreeMap<u64, Vec<u64>>,
    /// The same of the groups that it made.
    pub(super) made: BTreeMap<u64, Vec<u64>>,
    /// How often it asked for the end of one.
    pub(super) deletions: u32,
}

/// What is to be said about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    Resume { cursor: u64 },
    Read { position: u64 },
    Ask { position: u64 },
    Look,
}

impl Group {
    fn new(now: Instant) -> Group {
        Group {
            log: Inbox::default(),
            acked: 0,
            is_member: false,
            is_followed: true,
            ended_at: None,
            members: Members::default(),
            own: 0,
            recent: VecDeque::new(),
            read: 0,
            stored: 0,
            said_at: None,
            is_ask_due: false,
            asked_at: None,
            head: None,
            look_at: now,
            awaited_since: None,
        }
    }

    /// A connection begins: what the last one left unanswered is asked and said again.
    fn begin(&mut self, now: Instant) {
        self.said_at = None;
        self.is_ask_due = self.own > 0;
        self.asked_at = None;
        self.head = None;
        self.look_at = now;
        self.awaited_since = None;
    }

    /// Something of it came: the user is a member, or was until a while ago.
    pub(super) const fn came(&mut self) {
        self.awaited_since = None;
        self.is_followed = true;
    }

    /// An entry is in the log.
    pub(super) fn remember(&mut self, known: Known) {
        self.recent.truncate(RECENT_ENTRIES - 1);
        self.recent.push_front(known);
    }

    /// A change is in the log.
    pub(super) fn apply(&mut self, user: u64, author: u64, change: &Change<'_>) {
        self.members.apply(author, change);
        let names_user = change.users.iter().any(|named| named == user);
        match change.action {
            Action::Create => self.is_member = true,
            Action::Add => self.is_member |= names_user,
            Action::Remove => self.is_member &= !names_user,
            Action::Leave => self.is_member &= author != user,
            Action::Delete => self.is_member = false,
            _ => {}
        }
    }

    /// This user is no member.
    pub(super) fn gone(&mut self, position: u64) {
        self.is_member = false;
        self.is_ask_due = false;
        self.asked_at = None;
        self.awaited_since = None;
        // Without a position it may be the answer to a question, while the rest is still to come.
        if position > 0 || self.log.cursor() == 0 {
            self.ended_at = Some(position);
        }
    }

    /// Once the end is in the book the group is left out of later connections.
    pub(super) fn finish(&mut self) {
        if self.ended_at.is_some_and(|end| self.log.cursor() >= end) {
            self.ended_at = None;
            self.is_followed = self.is_member;
        }
    }

    /// The user was added; whether the group has to be named for something to come.
    fn notice(&mut self, is_older: bool, now: Instant) -> bool {
        self.is_followed = true;
        self.ended_at = None;
        self.awaited_since = Some(now);
        is_older
    }

    /// The person sees what is there; the position to tell, if that is news.
    pub(super) fn see(&mut self, now: Instant) -> Option<u64> {
        let is_news = self.is_member && self.log.cursor() > self.read;
        if is_news {
            self.read = self.log.cursor();
            self.said_at = Some(now);
        }
        is_news.then_some(self.read)
    }

    pub(super) fn stored(&mut self, position: u64) {
        self.stored = self.stored.max(position);
    }

    pub(super) fn receipt(&mut self, position: u64) {
        if position >= self.own {
            self.asked_at = None;
        }
    }

    pub(super) const fn state(&mut self, head: u64) {
        self.head = Some(head);
    }

    /// What is due now.
    fn due(&mut self, settles: bool, now: Instant) -> Option<Saying> {
        let is_old = |since: Option<Instant>, time| {
            since.is_none_or(|since| now.duration_since(since) >= time)
        };
        if self.awaited_since.is_some() && is_old(self.awaited_since, GROUP_BEGINS) {
            self.awaited_since = None;
            return Some(Saying::Resume { cursor: self.log.cursor() });
        }
        if !self.is_followed {
            return None;
        }
        if self.is_member && self.read > self.stored && is_old(self.said_at, ASK_AGAIN) {
            self.said_at = Some(now);
            return Some(Saying::Read { position: self.read });
        }
        let is_unanswered = self.asked_at.is_some() && is_old(self.asked_at, ASK_AGAIN);
        if self.is_member && (self.is_ask_due || is_unanswered) {
            (self.is_ask_due, self.asked_at) = (false, Some(now));
            return Some(Saying::Ask { position: self.own });
        }
        if settles && now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            return Some(Saying::Look);
        }
        None
    }

    fn is_settled(&self) -> bool {
        let is_said = !self.is_member || self.read <= self.stored;
        let is_asked = !self.is_member || (!self.is_ask_due && self.asked_at.is_none());
        let is_whole = !self.is_followed || self.head == Some(self.log.cursor());
        is_said
            && is_asked
            && is_whole
            && self.awaited_since.is_none()
            && self.acked == self.log.booked()
    }
}

impl Groups {
    /// A connection begins. The cursors of the groups of which something may come.
    pub(super) fn begin(&mut self, now: Instant) -> Vec<(u64, u64)> {
        for group in self.by_number.values_mut() {
            group.begin(now);
        }
        let followed = self.by_number.iter().filter(|(_, group)| group.is_followed);
        followed.map(|(&number, group)| (number, group.log.cursor())).collect()
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.in_parts = None;
        for group in self.by_number.values_mut() {
            group.log.reset();
            group.acked = 0;
        }
    }

    /// A group that something is known of now.
    pub(super) fn know(&mut self, number: u64, now: Instant) -> &mut Group {
        self.by_number.entry(number).or_insert_with(|| Group::new(now))
    }

    /// The user was added to a group; the cursor to name it with, if that is needed.
    pub(super) fn notice(&mut self, number: u64, is_older: bool, now: Instant) -> Option<u64> {
        let group = self.know(number, now);
        let has_to_be_named = group.notice(is_older, now);
        has_to_be_named.then(|| group.log.cursor())
    }

    /// Something that is due now, and of which group.
    pub(super) fn next_due(&mut self, settles: bool, now: Instant) -> Option<(u64, Saying)> {
        let mut groups = self.by_number.iter_mut();
        groups.find_map(|(&number, group)| Some((number, group.due(settles, now)?)))
    }

    /// The groups to which the user writes.
    pub(super) fn writable(&self) -> Vec<u64> {
        let members = self.by_number.iter().filter(|(_, group)| group.is_member);
        members.map(|(&number, _)| number).collect()
    }

    /// Whether something is in the book that isn't acknowledged.
    pub(super) fn owes_acks(&self) -> bool {
        self.by_number.values().any(|group| group.log.booked() > group.acked)
    }

    /// Whether everything has come and is done.
    pub(super) fn is_settled(&self) -> bool {
        self.making.is_empty() && self.by_number.values().all(Group::is_settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_does_not_begin_is_named_after_a_while() {
        let now = Instant::now();
        let mut groups = Groups::default();
        assert_eq!(groups.notice(7, true, now), Some(0));
        assert_eq!(groups.notice(8, false, now), None);
        assert_eq!(groups.next_due(false, now), None);
        let later = now + GROUP_BEGINS;
        groups.know(7, now).came();
        assert_eq!(groups.next_due(false, later), Some((8, Saying::Resume { cursor: 0 })));
        assert_eq!(groups.next_due(false, later + GROUP_BEGINS), None);
        assert!(!groups.is_settled());
    }

    #[test]
    fn after_its_end_a_group_is_named_no_more_until_the_user_is_back() {
        let now = Instant::now();
        let mut groups = Groups::default();
        groups.notice(7, false, now);
        groups.know(7, now).log.skip(3).unwrap();
        groups.know(7, now).gone(4);
        groups.know(7, now).finish();
        assert_eq!(groups.begin(now), [(7, 0)], "the end isn't in the book");
        groups.know(7, now).log.book(4);
        groups.know(7, now).finish();
        assert_eq!(groups.begin(now), []);
        assert_eq!(groups.notice(7, true, now), Some(4));
        assert_eq!(groups.begin(now), [(7, 4)]);
    }
}
