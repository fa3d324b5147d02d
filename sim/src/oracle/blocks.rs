//! Blocks: what the blocked sends is ticked and never delivered, and it hears nothing of the blocker.
//!
//! Only the first time of a block is sure: from when a device of the blocker was told that it holds, until any of
//! them wants it back. Afterwards what was put may arrive late, and one can't know from outside when it was done.

use fulmar_protocol::Frame;
use fulmar_protocol::people::{Item, item, user_in};

use super::direction::{Direction, Ordinal};
use super::link::Link;
use super::{Complaint, Oracle};
use crate::clock::Time;
use crate::coverage::Happening;

/// What is known of somebody who blocks somebody.
#[derive(Debug, Default, Clone)]
pub(crate) struct Block {
    /// When it was first put: from here on it may hold.
    put_at: Option<Time>,
    /// A device was told that it holds.
    since: Option<Time>,
    /// It was taken back, or that was tried.
    until: Option<Time>,
    /// How far the blocker was with what the blocked sent, when it surely held: delivered and read.
    shown: (u64, u64),
}

impl Block {
    /// Whether it surely held from one time to another.
    pub(super) fn held(&self, from: Time, to: Time) -> bool {
        self.since.is_some_and(|since| since < from) && self.until.is_none_or(|until| to < until)
    }
}

impl Oracle {
    fn block(&mut self, blocker: u32, key: &[u8]) -> Option<&mut Block> {
        let blocked = self.user(user_in(key)?);
        Some(self.blocks.entry((blocker, blocked)).or_default())
    }

    /// A client wrote a frame about its book.
    pub(super) fn wrote_of_block(&mut self, link: &Link, frame: &Frame<'_>) {
        let Frame::Put { item: item::BLOCK, key, value } = *frame else { return };
        let now = self.now;
        if let Some(block) = self.block(link.user, key) {
            let at = if value.is_empty() { &mut block.until } else { &mut block.put_at };
            at.get_or_insert(now);
        }
    }

    /// A client read a frame about its book.
    pub(super) fn told_of_block(&mut self, link: &Link, frame: &Frame<'_>) {
        let Frame::Item(Item { item: item::BLOCK, key, value: [1], .. }) = *frame else { return };
        let Some(blocked) = user_in(key).map(|user| self.user(user)) else { return };
        let (now, blocker) = (self.now, link.user);
        let direction = self.direction(blocked, blocker);
        let shown = (direction.stored, direction.seen);
        let block = self.blocks.entry((blocker, blocked)).or_default();
        if block.since.is_none() {
            (block.since, block.shown) = (Some(now), shown);
        }
    }

    /// Whether somebody ever wanted to block somebody.
    pub(super) fn may_block(&self, blocker: u32, blocked: u32) -> bool {
        self.blocks.get(&(blocker, blocked)).is_some_and(|block| block.put_at.is_some())
    }

    /// Whether a message may be one that isn't delivered for a block.
    pub(super) fn may_be_dropped(&self, from: u32, to: u32, ordinal: &Ordinal) -> bool {
        let put_at = self.blocks.get(&(to, from)).and_then(|block| block.put_at);
        put_at.is_some_and(|put_at| ordinal.ticked_at.is_none_or(|ticked_at| ticked_at >= put_at))
    }

    /// An author was told how far a reader is.
    pub(super) fn judge_shown(
        &self,
        author: u32,
        reader: u32,
        (delivered, read): (u64, u64),
    ) -> Result<(), Complaint> {
        let Some(block) = self.blocks.get(&(reader, author)) else { return Ok(()) };
        let is_more = delivered > block.shown.0 || read > block.shown.1;
        if !block.held(self.now, self.now) || !is_more {
            return Ok(());
        }
        let detail = format!(
            "{} heard {delivered} and {read} of {}, where {block:?}",
            self.users[author as usize].id, self.users[reader as usize].id
        );
        Err(Complaint("who is blocked gets no receipts", detail))
    }

    /// Nothing that was surely sent while a block held was delivered.
    pub(super) fn judge_blocks(&mut self) {
        let (mut dropped, mut outcome) = (0, Ok(()));
        for (&(blocker, blocked), block) in &self.blocks {
            let at = self.directions_by_pair.get(&(blocked, blocker));
            let Some(direction) = at.map(|&at| &self.directions[at as usize]) else { continue };
            match judge_dropped(direction, block) {
                Ok(count) => dropped += count,
                Err(detail) => {
                    let (blocker, blocked) =
                        (self.users[blocker as usize].id, self.users[blocked as usize].id);
                    let detail = format!("{blocked} to {blocker}: {detail}, where {block:?}");
                    let rule = "what a blocked person sends is not delivered";
                    outcome = outcome.and(Err(Complaint(rule, detail)));
                }
            }
        }
        self.coverage.add(Happening::Dropped, dropped);
        self.judge(outcome);
    }
}

/// How many messages were dropped, or what wasn't.
fn judge_dropped(direction: &Direction, block: &Block) -> Result<u64, String> {
    let mut dropped = 0;
    for (nth, ordinal) in (1..).zip(&direction.ordinals) {
        let (Some((device, number)), Some(ticked_at)) = (ordinal.sender, ordinal.ticked_at) else {
            continue;
        };
        let sent_at = direction.attempts_of(device, number).map(|attempt| attempt.sent_at).min();
        if !sent_at.is_some_and(|sent_at| block.held(sent_at, ticked_at)) {
            continue;
        }
        if ordinal.position.is_some() {
            return Err(format!("message {nth}: {ordinal:?}"));
        }
        dropped += 1;
    }
    Ok(dropped)
}
