//! Contents that refer to other messages: what the server judges of them.
//!
//! A message to a user is judged at the recipient's home, which knows the direction that it belongs to. Only a
//! reaction to what the recipient wrote is about the other direction, which the sender's home knows; it is
//! judged there, before it goes on its way.

use fulmar_protocol::Code;
use fulmar_protocol::content::Content;

use super::conversation::{Action, Conversation};
use super::record::EntryHeader;
use super::{ConnId, Effects, LogId, Message, Origin, Shard, UserId};
use crate::faults::{Fault, is_planted};

/// Takes a body apart, and what is in a disappearing one.
pub(super) fn inner(content: u8, body: &[u8], in_group: bool) -> Result<Content<'_>, Code> {
    Content::parse(content, body, in_group)
        .and_then(|content| content.inner(in_group))
        .map_err(|_| Code::BadContent)
}

/// When a message is over by itself, if it is one that is; 0 otherwise.
pub(super) fn over_ms(content: u8, body: &[u8], time_ms: u64) -> u64 {
    match Content::parse(content, body, false) {
        Ok(Content::Disappearing { seconds, .. }) => time_ms.saturating_add(seconds * 1_000),
        _ => 0,
    }
}

/// The ordinal of the recipient's message to which this is a reaction, if it is one.
pub(super) fn reacts_to_peer(content: u8, body: &[u8]) -> Option<u64> {
    let target = inner(content, body, false).ok()?.target()?;
    target.of_peer.then_some(target.place)
}

impl Conversation {
    /// Whether the peer may send this: it parses, and what it refers to exists and may be changed.
    pub(super) fn judge_content(
        &self,
        content: u8,
        body: &[u8],
        now_ms: u64,
        max_age_ms: u64,
    ) -> Result<(), Code> {
        let content = inner(content, body, false)?;
        let Some(target) = content.target().filter(|target| !target.of_peer) else { return Ok(()) };
        if target.place > self.record.ordinal && !is_planted(Fault::ReferenceNotJudged) {
            return Err(Code::NoSuchMessage);
        }
        let is_change = matches!(content, Content::Edit { .. } | Content::Delete { .. });
        if is_change
            && self.record.marks.is_too_old(target.place, now_ms, max_age_ms)
            && !is_planted(Fault::AgeNotJudged)
        {
            return Err(Code::TooOld);
        }
        Ok(())
    }
}

impl Shard {
    /// Whether the time of an entry is over, so that it is for nobody any more: it has expired, or it said so
    /// itself.
    pub(super) fn is_over(&self, header: &EntryHeader) -> bool {
        let said = header.over_ms > 0 && header.over_ms <= self.now.unix_ms;
        (said && !is_planted(Fault::OverDelivered)) || header.time_ms <= self.expired_through_ms()
    }

    /// Offers a reaction to what the peer wrote, once it is known whether the peer wrote it. Until then nothing
    /// more of the connection is looked at, so that nothing overtakes it.
    pub(super) fn offer_reaction(
        &mut self,
        conn: ConnId,
        to: UserId,
        number: u64,
        message: Message,
        place: u64,
        fx: &mut Effects,
    ) {
        let Some((_, origin)) = self.origin(conn, number, message.body.len()) else { return };
        if let Some(session) = self.session(conn) {
            session.is_judging = true;
        }
        let action = Action::Offer { origin, message, place };
        self.with_conversation(LogId::Inbox(origin.user), to, action, fx);
    }

    /// What the peer wrote is known.
    pub(super) fn reaction_judged(
        &mut self,
        slot: u32,
        origin: Origin,
        message: Message,
        place: u64,
        fx: &mut Effects,
    ) {
        let conversation = &self.conversations[slot];
        let exists = place <= conversation.record.ordinal;
        let to = conversation.peer;
        let refusal = (!exists).then_some(Code::NoSuchMessage);
        // The session may be gone; the message goes on all the same, as one under way does.
        if let Some(session) = self.session(origin.conn) {
            session.is_judging = false;
            self.resume_later(origin.conn);
        }
        match self.loaded_user(origin.user) {
            Some(user) => self.offer_message(user, origin, to, message, refusal, fx),
            None => self.reject(origin, to, Code::Overloaded, fx),
        }
    }
}
