//! Who surely sees what of somebody, and who surely doesn't.

use fulmar_client::people::{audience, item, privacy};
use fulmar_protocol::people::user_key;

use super::super::{Complaint, Oracle};
use crate::clock::{SECOND, Time};
use crate::coverage::Happening;

/// How long what a client wrote may be on its way to the server.
const UNDER_WAY_MAX: Time = 60 * SECOND;

impl Oracle {
    /// Whether somebody may ever have been hidden from somebody by a block.
    fn surely_blocks(&self, user: u32, other: u32, from: Time) -> Option<bool> {
        if self.people.end.is_some_and(|end| end <= from) {
            return Some(self.blocks_in_the_end(user, other));
        }
        if !self.may_block(user, other) {
            return Some(false);
        }
        let block = self.blocks.get(&(user, other))?;
        block.held(from, self.now).then_some(true)
    }

    /// What the newest version of the user's book says.
    fn blocks_in_the_end(&self, user: u32, other: u32) -> bool {
        let key = user_key(self.users[other as usize].id);
        self.books.get(&user).is_some_and(|book| book.has(item::BLOCK, &key))
    }

    /// Whether a user surely knows another one since a time, or surely doesn't.
    fn surely_knows(&self, user: u32, other: u32, from: Time) -> Option<bool> {
        let at = self.directions_by_pair.get(&(user, other));
        let direction = at.map(|&at| &self.directions[at as usize]);
        let is_ticked = direction.is_some_and(|direction| {
            direction.ordinals.iter().any(|it| it.ticked_at.is_some_and(|at| at < from))
        });
        if is_ticked {
            return Some(true);
        }
        let wrote = direction.is_some_and(|direction| !direction.attempts.is_empty());
        let key = user_key(self.users[other as usize].id);
        let is_contact = self.people.places.was_put((user, item::CONTACT, &key), None);
        let may = wrote || is_contact || self.people.in_groups.contains(&user);
        (!may).then_some(false)
    }

    /// What a user surely chose for one of the things of which there is privacy.
    fn surely_chose(&self, user: u32, what: u8, from: Time) -> Option<u8> {
        let value = self.people.places.surely((user, item::PRIVACY, &[what]), from)?;
        Some(value.first().copied().unwrap_or(audience::EVERYBODY))
    }

    /// Whether a user surely shows something to another one since a time, or surely doesn't.
    pub(super) fn surely_shows(&self, user: u32, what: u8, other: u32, from: Time) -> Option<bool> {
        if user == other {
            return Some(true);
        }
        let blocks = self.surely_blocks(user, other, from);
        if blocks == Some(true) {
            return Some(false);
        }
        let includes = match self.surely_chose(user, what, from)? {
            audience::NOBODY => Some(false),
            audience::KNOWN => self.surely_knows(user, other, from),
            _ => Some(true),
        };
        match (blocks, includes) {
            (_, Some(false)) => Some(false),
            (Some(false), Some(true)) => Some(true),
            _ => None,
        }
    }

    /// Whether a user surely shows its profile to another one.
    pub(super) fn surely_shows_profile(&self, user: u32, other: u32, from: Time) -> Option<bool> {
        self.surely_blocks(user, other, from).map(|blocks| !blocks)
    }

    /// Whether what a user reads is surely hidden from all others now, as it was chosen.
    pub(in super::super) fn hides_reads(&self, user: u32) -> bool {
        self.surely_chose(user, privacy::READS, self.now) == Some(audience::NOBODY)
    }

    /// Somebody saw what somebody else wrote; openly, if that wasn't surely hidden.
    pub(in super::super) fn read_shown(
        &mut self,
        from: u32,
        by: u32,
        ordinal: u64,
        is_hidden: bool,
    ) {
        let now = self.now;
        if is_hidden {
            self.hit(Happening::ReadHidden);
            self.direction(from, by).seen_hidden.push((now, ordinal));
            return;
        }
        let direction = self.direction(from, by);
        direction.seen_openly = direction.seen_openly.max(ordinal);
    }

    /// A user lets others see what it reads, from when the server takes that. What it said to have read before may come
    /// to the server on another connection, after that.
    pub(in super::super) fn may_open_reads(&mut self, by: u32) {
        let since = self.now.saturating_sub(UNDER_WAY_MAX);
        let pairs = self.directions_by_pair.iter().filter(|((_, reader), _)| *reader == by);
        for (_, &at) in pairs {
            let direction = &mut self.directions[at as usize];
            let under_way = direction.seen_hidden.drain(..).filter(|&(said, _)| said >= since);
            let seen = under_way.map(|(_, ordinal)| ordinal).max().unwrap_or(0);
            direction.seen_openly = direction.seen_openly.max(seen);
        }
    }

    /// An author was told what somebody read. After a block it is told of all that was acknowledged.
    pub(in super::super) fn judge_read_shown(
        &self,
        author: u32,
        reader: u32,
        read: u64,
    ) -> Result<(), Complaint> {
        let at = self.directions_by_pair.get(&(author, reader));
        let openly = at.map_or(0, |&at| self.directions[at as usize].seen_openly);
        if read <= openly || author == reader || self.may_block(reader, author) {
            return Ok(());
        }
        let reader = self.users[reader as usize].id;
        let detail = format!("{reader} read {read}, and openly {openly}");
        Err(Complaint("who hides what was read hides it", detail))
    }

    /// Whether that may ever have been so.
    pub(in super::super) fn may_hide_reads(&self, user: u32) -> bool {
        self.people.places.was_put((user, item::PRIVACY, &[privacy::READS]), None)
    }
}
