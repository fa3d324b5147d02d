//! What waits until something is stored: under the ticket of a turn's writes, and said once storage confirms it.

use bytes::Bytes;

use super::group::GroupLetter;
use super::seam::{ConnId, CoreId, GroupId, Message, Origin, Ticket, UserId};
use super::{Effects, Letter, Shard, group, people};
use crate::faults::{Fault, is_planted};

/// What is said once a ticket is stored.
#[derive(Debug)]
pub(super) enum Answer {
    /// To the sender's home: the message is in the recipient's inbox.
    Accepted { origin: Origin, to: UserId, ordinal: u64, time_ms: u64, copy: Option<Message> },
    /// To the sender: the tick.
    Tick { origin: Origin, to: UserId, ordinal: u64, time_ms: u64 },
    /// To a new device: the welcome.
    Welcome { conn: ConnId },
    /// To a group's members: an entry of its log; and to its author the tick.
    GroupEntry {
        slot: u32,
        position: u64,
        value: Bytes,
        origin: Origin,
        time_ms: u64,
        is_change: bool,
    },
    /// To the author of a resend: the tick.
    GroupTick { origin: Origin, group: GroupId, position: u64, time_ms: u64 },
    /// To the author of a group's entry: the tick, now that the user's record says that it wrote there.
    Acted { origin: Origin, group: GroupId, position: u64, time_ms: u64 },
    /// To members: what they saw is stored.
    GroupReads { group: GroupId, reads: Vec<(UserId, u64)> },
    /// To the homes of those whose time in a group is over.
    GroupEnded { group: GroupId, users: Vec<UserId> },
    /// To a group's home, which is here: what waited until a change of it was stored.
    ToGroup { group: GroupId, letter: Box<group::GroupLetter> },
    /// About people's books.
    People(Box<people::Reply>),
    /// To a group's home: a user was told that it is being added.
    Noticed { group: GroupId, adding: u64, home: CoreId },
}

/// Something that waits for a ticket.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    /// When it began to wait, on the monotonic clock.
    since_ms: u64,
    /// Slot of the user and the position that becomes deliverable.
    appended: Option<(u32, u64)>,
    answer: Answer,
}

impl Shard {
    /// The ticket after which everything that this turn knows is stored.
    pub(super) fn barrier(&self, fx: &Effects) -> Ticket {
        if fx.writes.is_empty() && self.writes_queued.is_empty() && !self.books.has_writes() {
            self.ticket - 1
        } else {
            self.ticket
        }
    }

    /// Says `answer` once everything so far is stored.
    pub(super) fn answer_when_stored(
        &mut self,
        appended: Option<(u32, u64)>,
        answer: Answer,
        fx: &mut Effects,
    ) {
        let ticket = self.barrier(fx);
        if ticket <= self.stored || is_planted(Fault::TickBeforeCommit) {
            self.say(answer, fx);
            return;
        }
        let since_ms = self.now.mono_ms;
        self.pending.push_back(Pending { ticket, since_ms, appended, answer });
    }

    /// Says something behind everything that waits for the disk.
    pub(super) fn answer_behind_others(&mut self, answer: Answer) {
        let since_ms = self.now.mono_ms;
        let ticket = self.pending.back().map_or(0, |last| last.ticket);
        self.pending.push_back(Pending { ticket, since_ms, appended: None, answer });
    }

    pub(super) fn stored(&mut self, ticket: Ticket, fx: &mut Effects) {
        debug_assert!(ticket > self.stored && ticket < self.ticket, "ticket out of order");
        self.stored = ticket;
        while self.pending.front().is_some_and(|pending| pending.ticket <= ticket) {
            let Some(pending) = self.pending.pop_front() else { break };
            if let Some((slot, position)) = pending.appended {
                self.users[slot].durable = position;
                self.queue_pump(slot);
            }
            self.say(pending.answer, fx);
        }
        while self.unstored.front().is_some_and(|&(unstored, _)| unstored <= ticket) {
            self.unstored.pop_front();
        }
        self.pay_pongs(fx);
    }

    /// Since when the oldest change that isn't stored has waited, on the monotonic clock.
    pub(super) fn oldest_change_ms(&self) -> Option<u64> {
        let unstored = self.unstored.front().map(|&(_, since_ms)| since_ms);
        let dirty = self.dirty.front().map(|&(since_ms, _)| since_ms);
        unstored.into_iter().chain(dirty).min()
    }

    fn say(&mut self, answer: Answer, fx: &mut Effects) {
        match answer {
            Answer::Accepted { origin, to, ordinal, time_ms, copy } => {
                if origin.core == self.config.core && copy.is_none() {
                    self.accepted_by_peer(origin, to, ordinal, time_ms, None, fx);
                } else {
                    let letter = Letter::Accepted { origin, to, ordinal, time_ms, copy };
                    self.post_to_core(origin.core, letter, fx);
                }
            }
            Answer::Tick { origin, to, ordinal, time_ms } => {
                self.tick(origin, to, ordinal, time_ms, fx);
            }
            Answer::Welcome { conn } => self.welcome(conn, fx),
            Answer::GroupEntry { slot, position, value, origin, time_ms, is_change } => {
                self.group_entry_stored(slot, position, &value, origin, time_ms, is_change, fx);
            }
            Answer::GroupTick { origin, group, position, time_ms } => {
                self.tick_group(origin, group, position, time_ms, fx);
            }
            Answer::Acted { origin, group, position, time_ms } => {
                self.acted_is_stored(origin, group, position, time_ms, fx);
            }
            Answer::ToGroup { group, letter } => self.hand_over_again(group, *letter, fx),
            Answer::GroupReads { group, reads } => self.group_reads_stored(group, reads, fx),
            Answer::GroupEnded { group, users } => self.tell_ended(group, users, fx),
            Answer::People(reply) => self.reply(*reply, fx),
            Answer::Noticed { group, adding, home } => {
                let letter = GroupLetter::Noticed { group, adding, refusal: None };
                self.post_to_core(home, letter.into(), fx);
            }
        }
    }

    /// Answers that wait for a write to be stored.
    #[must_use]
    pub fn uncommitted(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Age of the oldest of them, in milliseconds.
    #[must_use]
    pub fn lag_ms(&self) -> u64 {
        let oldest = self.pending.front().map_or(self.now.mono_ms, |pending| pending.since_ms);
        self.now.mono_ms - oldest
    }

    pub(super) fn measure_lag(&mut self) {
        let before = self.level;
        self.level = before.after(self.lag_ms());
        if self.level < before {
            self.release_held_receipts();
        }
        self.counters.overload_level = self.level as u64;
    }
}
