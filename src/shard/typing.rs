//! Somebody writes: passed on to those who are there, and forgotten. The first thing that a busy core
//! drops.

use fulmar_protocol::Frame;
use hashbrown::HashMap;

use super::conversation::Action;
use super::output::Patience;
use super::{ConnId, Effects, Letter, Level, LogId, Shard, UserId};
use crate::faults::{Fault, is_planted};
use crate::limits::{TYPING_CONVERSATIONS_MAX, TYPING_LOADS_MAX, TYPING_PER_SECOND_MAX};

/// How much was passed on within this second, by sender and where it goes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    second: u64,
    counts: HashMap<(UserId, LogId), u8>,
    /// Conversations that are loaded to see whether the writer is blocked.
    loads: usize,
}

impl Pace {
    /// Whether one more may be passed on. The last place is for the end, so that nobody seems to write
    /// on.
    fn allows(&mut self, mono_ms: u64, between: (UserId, LogId), is_typing: bool) -> bool {
        let second = mono_ms / 1_000;
        if std::mem::replace(&mut self.second, second) != second {
            self.counts.clear();
        }
        if self.counts.len() >= TYPING_CONVERSATIONS_MAX && !self.counts.contains_key(&between) {
            return false;
        }
        let count = self.counts.entry(between).or_default();
        let is_allowed = *count < TYPING_PER_SECOND_MAX - u8::from(is_typing);
        *count += u8::from(is_allowed);
        is_allowed
    }
}

impl Shard {
    /// A client says that its person writes, or stopped.
    pub(super) fn typing(
        &mut self,
        conn: ConnId,
        group: u64,
        peer: UserId,
        is_typing: bool,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        let user = session.user;
        let to = match (group, peer) {
            (0, peer) if peer != 0 && peer != user => LogId::Inbox(peer),
            (group, 0) if self.knows_group(conn, group) => LogId::Group(group),
            _ => return,
        };
        if self.level >= Level::DropTyping {
            self.counters.typing_shed += 1;
        } else if self.pace.allows(self.now.mono_ms, (user, to), is_typing) {
            match to {
                LogId::Inbox(to) => self.post(to, Letter::Typing { from: user, to, is_typing }, fx),
                LogId::Group(group) => self.typing_in_group(group, user, is_typing, fx),
            }
        } else {
            self.counters.typing_limited += 1;
        }
    }

    /// Passes it on to the sessions that their person has before them.
    pub(super) fn typing_to(
        &mut self,
        from: UserId,
        to: UserId,
        is_typing: bool,
        fx: &mut Effects,
    ) {
        if self.level >= Level::DropTyping {
            self.counters.typing_shed += 1;
            return;
        }
        let Some(slot) = self.loaded_user(to) else { return };
        if self.users[slot].sessions.is_empty() {
            return;
        }
        if self.users[slot].record.face.has_blocks {
            self.judge_typing(from, to, is_typing, fx);
        } else {
            self.show_typing_to(slot, from, is_typing, fx);
        }
    }

    /// Passes it on if the recipient doesn't block the writer, which its conversation knows.
    fn judge_typing(&mut self, from: UserId, to: UserId, is_typing: bool, fx: &mut Effects) {
        let log = LogId::Inbox(to);
        let is_loaded = self.loaded_conversation(log, from).is_some();
        if !is_loaded && self.pace.loads >= TYPING_LOADS_MAX {
            self.counters.typing_shed += 1;
            return;
        }
        self.pace.loads += 1;
        self.with_conversation(log, from, Action::Typing { is_typing }, fx);
    }

    pub(super) fn typing_judged(&mut self, slot: u32, is_typing: bool, fx: &mut Effects) {
        self.pace.loads -= 1;
        let conversation = &self.conversations[slot];
        let (log, from, blocks) =
            (conversation.log, conversation.peer, conversation.record.ties.blocks);
        if let Some(slot) = self.loaded_owner(log)
            && (!blocks || is_planted(Fault::BlockedTypingShown))
        {
            self.show_typing_to(slot, from, is_typing, fx);
        }
    }

    fn show_typing_to(&mut self, slot: u32, from: UserId, is_typing: bool, fx: &mut Effects) {
        for index in 0..self.users[slot].sessions.len() {
            let (_, conn) = self.users[slot].sessions[index];
            self.show_typing(conn, &Frame::Typing { group: 0, user: from, is_typing }, fx);
        }
    }

    /// Shows it to a session, if its person has it before them.
    pub(super) fn show_typing(&mut self, conn: ConnId, frame: &Frame<'_>, fx: &mut Effects) {
        let silent_ms = self.now.mono_ms.saturating_sub(self.config.presence_interval_ms);
        let attention = self.session(conn).and_then(|session| session.attention.as_deref());
        let is_here = attention.is_some_and(|known| known.is_here && known.acted_ms > silent_ms);
        if !is_here && !is_planted(Fault::TypingShownToAbsent) {
            return;
        }
        if self.is_output_full(conn) {
            self.counters.typing_shed += 1;
            return;
        }
        self.put_patiently(conn, frame, Patience::Receipt, fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversations_of_one_second_are_bounded() {
        let mut pace = Pace::default();
        for user in 0..TYPING_CONVERSATIONS_MAX as u64 {
            assert!(pace.allows(1_999, (user, LogId::Inbox(1)), true));
        }
        assert!(!pace.allows(1_999, (0, LogId::Inbox(2)), true));
        assert!(pace.allows(1_999, (0, LogId::Inbox(1)), true));
        assert!(pace.allows(2_000, (0, LogId::Inbox(2)), true));
        assert_eq!(pace.counts.len(), 1);
    }
}
