//! What a session's way through its groups consists of: cursors, windows, and what couldn't be told yet.

use std::collections::VecDeque;

use super::super::seam::{CoreId, GroupId};
use super::letter::Seated;
use super::receipts::Counts;
use super::record::Absence;
use crate::limits::{SESSION_GROUPS_MAX, STALLED_RECEIPTS_MAX};

/// An entry that was sent and is not acknowledged, or positions that were passed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    position: u64,
    /// Counts in the window; positions passed over don't.
    body_bytes: Option<u32>,
    /// The last entry up to there that the device has once it acknowledges this: the entry itself; or what it
    /// wrote itself, among those passed over. 0 if all of them expired, or aren't for it.
    has: u64,
}

/// One group, as one session gets it.
///
/// Invariants: `acked < next`; positions in `window` rise and lie in `acked < p < next`.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks
pub(super) struct Feed {
    pub(super) group: GroupId,
    pub(super) next: u64,
    pub(super) acked: u64,
    /// The last durable position that this core knows of.
    pub(super) head: u64,
    /// What the user may read ends here.
    pub(super) until: u64,
    /// Positions in between that it may not read.
    pub(super) absences: Box<[Absence]>,
    pub(super) window: VecDeque<InFlight>,
    /// Entries in it that aren't acknowledged, and their body bytes.
    pub(super) messages: u32,
    pub(super) bytes: u64,
    pub(super) loading: bool,
    pub(super) skip_untold: bool,
    /// Something of it was sent, or told to be passed over.
    pub(super) is_begun: bool,
    /// It was told that it ends here.
    pub(super) is_over: bool,
}

impl Feed {
    pub(super) fn new(group: GroupId, cursor: u64, head: u64, member: &Seated) -> Self {
        Feed {
            group,
            next: cursor + 1,
            acked: cursor,
            head,
            until: member.until,
            absences: member.absences.clone(),
            window: VecDeque::new(),
            messages: 0,
            bytes: 0,
            loading: false,
            skip_untold: false,
            is_begun: false,
            is_over: false,
        }
    }

    /// What the user may read changed.
    pub(super) fn bound(&mut self, member: &Seated) {
        self.until = member.until;
        self.absences.clone_from(&member.absences);
        self.is_over = false;
        // Of earlier times nothing may be read any more, and there may have been an absence in them.
        self.pass_over(member.before);
    }

    pub(super) fn last(&self) -> u64 {
        self.head.min(self.until)
    }

    /// Whether nothing is left to do here.
    pub(super) fn is_idle(&self) -> bool {
        self.next > self.last() && self.window.is_empty() && !self.loading
    }

    /// Notes that the positions from `next` through `position` hold nothing for the device.
    pub(super) fn pass_over(&mut self, position: u64) {
        if position < self.next {
            return;
        }
        self.next = position + 1;
        self.skip_untold = true;
        let mut has = 0;
        if let Some(last) = self.window.back().filter(|last| last.body_bytes.is_none()) {
            has = last.has;
            self.window.pop_back();
        }
        self.window.push_back(InFlight { position, body_bytes: None, has });
    }

    /// The same for an entry that the device wrote itself.
    pub(super) fn pass_over_own(&mut self, position: u64) {
        self.pass_over(position);
        if let Some(last) = self.window.back_mut() {
            last.has = position;
        }
    }

    pub(super) fn sent(&mut self, position: u64, body_bytes: u32) {
        debug_assert_eq!(position, self.next);
        self.next += 1;
        self.messages += 1;
        self.bytes += u64::from(body_bytes);
        self.is_begun = true;
        self.window.push_back(InFlight { position, body_bytes: Some(body_bytes), has: position });
    }
}

/// The groups of a session, once it says that it takes them.
#[derive(Debug, Default)]
pub(in super::super) struct Feeds {
    pub(super) all: Vec<Feed>,
    /// The groups that the client named, or that began since, in the order of their numbers, and what it said or
    /// acknowledged that it has of them. Only these come.
    pub(super) named: Vec<(GroupId, u64)>,
    /// Cores that know what the session resumed of their groups, a bit each.
    pub(super) attached: u64,
    /// Groups that it resumed and whose homes haven't said yet where they go on.
    opening: Vec<GroupId>,
    /// Cold reads under way.
    pub(super) reads: usize,
    /// Entries of all feeds that aren't acknowledged, and their body bytes.
    pub(super) window_messages: u32,
    pub(super) window_bytes: u64,
    /// What is to be told once the output has room.
    pub(super) stalled: Vec<(GroupId, Telling)>,
    /// The feed that is served first next time.
    pub(super) turn: usize,
    /// In this turn's list of sessions to serve.
    pub(super) is_queued: bool,
    /// There was a group more than it may know. Its session ends; on the next one it names what it still has.
    pub(super) is_overfull: bool,
}

/// What a user is told of a group beside its entries. The newest holds all the truth.
#[derive(Debug, Clone, Copy)]
pub(super) enum Telling {
    Receipt(Counts),
    Read(u64),
}

impl Feeds {
    fn stalled(&self, group: GroupId, telling: Telling) -> Option<usize> {
        let kind = std::mem::discriminant(&telling);
        let is_older =
            |it: &(GroupId, Telling)| it.0 == group && std::mem::discriminant(&it.1) == kind;
        self.stalled.iter().position(is_older)
    }

    /// Whether an older one waits for room.
    pub(super) fn has_stalled(&self, group: GroupId, telling: Telling) -> bool {
        self.stalled(group, telling).is_some()
    }

    /// Remembers what can't be told now, in place of an older one; `false` where there are too many.
    pub(super) fn stall(&mut self, group: GroupId, telling: Telling) -> bool {
        if let Some(at) = self.stalled(group, telling) {
            self.stalled[at].1 = telling;
        } else if self.stalled.len() < STALLED_RECEIPTS_MAX {
            self.stalled.push((group, telling));
        } else {
            return false;
        }
        true
    }

    pub(super) fn find(&mut self, group: GroupId) -> Option<&mut Feed> {
        self.all.iter_mut().find(|feed| feed.group == group)
    }

    /// Notes that a group may come, of which the device says that it has everything up to `cursor`.
    pub(super) fn name(&mut self, group: GroupId, cursor: u64) {
        match self.named.binary_search_by_key(&group, |named| named.0) {
            Ok(at) => self.named[at].1 = self.named[at].1.max(cursor),
            Err(at) if self.named.len() < SESSION_GROUPS_MAX => {
                self.named.insert(at, (group, cursor));
            }
            Err(_) => self.is_overfull = true,
        }
    }

    /// What the device said that it has of a group that may come.
    pub(super) fn named(&self, group: GroupId) -> Option<u64> {
        let at = self.named.binary_search_by_key(&group, |named| named.0).ok()?;
        Some(self.named[at].1)
    }

    /// A group's home is asked where it goes on.
    pub(super) fn open(&mut self, group: GroupId) {
        self.opening.push(group);
    }

    /// It said so.
    pub(super) fn opened(&mut self, group: GroupId) {
        if let Some(at) = self.opening.iter().position(|opening| *opening == group) {
            self.opening.swap_remove(at);
        }
    }

    pub(super) fn is_opening(&self, group: GroupId) -> bool {
        self.opening.contains(&group)
    }

    pub(super) fn is_attached(&self, home: CoreId) -> bool {
        self.attached & 1 << home != 0
    }

    pub(super) fn attach(&mut self, home: CoreId) {
        self.attached |= 1 << home;
    }

    /// Takes what is acknowledged by `through` out of a feed's window; the last entry among that which the device
    /// has, if there is one. What was passed over moves the cursor too.
    pub(super) fn settle(&mut self, at: usize, through: u64) -> Option<u64> {
        let feed = &mut self.all[at];
        let mut delivered = None;
        while let Some(&InFlight { position, body_bytes, has }) = feed.window.front() {
            if position > through && body_bytes.is_some() {
                break;
            }
            feed.window.pop_front();
            feed.acked = position;
            if let Some(bytes) = body_bytes {
                feed.messages -= 1;
                feed.bytes -= u64::from(bytes);
                self.window_messages -= 1;
                self.window_bytes -= u64::from(bytes);
            }
            if has > 0 {
                delivered = Some(has);
            }
        }
        delivered
    }

    pub(super) fn remove(&mut self, at: usize) {
        let feed = self.all.swap_remove(at);
        for flight in feed.window {
            if let Some(bytes) = flight.body_bytes {
                self.window_messages -= 1;
                self.window_bytes -= u64::from(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_came_to_know_too_many_groups_is_marked() {
        let mut feeds = Feeds::default();
        let most = SESSION_GROUPS_MAX as u64;
        (1..=most).for_each(|group| feeds.name(group, 0));
        feeds.name(1, 9);
        assert!(!feeds.is_overfull);
        feeds.name(most + 1, 0);
        assert!(feeds.is_overfull);
        assert_eq!((feeds.named(1), feeds.named(most + 1)), (Some(9), None));
    }
}
