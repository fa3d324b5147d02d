//! How far the members of a group are: cursors that are shown to authors as counts.
//!
//! A later receipt includes all earlier ones, so they gather: the first one goes at the end of its turn, what
//! follows a moment later, and all wait under load. However many members move at once, an author is told once.

use super::super::seam::{GroupId, UserId};
use super::super::{Answer, ConnId, Effects, Level, Shard};
use super::feeds::Telling;
use super::home::Group;
use super::letter::{Asker, GroupLetter, Progress};
use super::record::{GroupRecord, Member};
use crate::faults::{Fault, is_planted};
use crate::limits::{GROUP_AUTHORS_MAX, GROUP_PERSIST_MS, GROUP_RECEIPT_GATHER_MS};
use fulmar_protocol::limits::WHO_MAX;
use fulmar_protocol::{Frame, Pairs, group::GroupReceipt};

/// How far members are with one entry, and with everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The entry.
    pub position: u64,
    /// Members that it is for, besides its author.
    pub members: u64,
    /// How many of them have it.
    pub delivered: u64,
    /// How many saw it.
    pub read: u64,
    /// Up to here all of them have everything.
    pub delivered_all: u64,
    /// Up to here all of them saw everything.
    pub read_all: u64,
}

impl GroupRecord {
    /// How far the members but `author` are with the entry at `position`.
    pub(super) fn counts(&self, author: UserId, position: u64) -> Counts {
        let (mut members, mut delivered, mut read) = (0, 0, 0);
        let (mut delivered_all, mut read_all) = (self.head, self.head);
        for member in self.members.iter().filter(|it| it.is_active() && it.user != author) {
            delivered_all = delivered_all.min(member.delivered);
            read_all = read_all.min(member.read);
            // Who joined later needn't have it, even if it may read it.
            if member.since <= position {
                members += 1;
                delivered += u64::from(member.delivered >= position);
                read += u64::from(member.read >= position);
            }
        }
        if is_planted(Fault::GroupReceiptAhead) {
            delivered = members.min(delivered + 1);
        }
        Counts { position, members, delivered, read, delivered_all, read_all }
    }

    /// The same member by member, after one of them.
    fn who(&self, author: UserId, position: u64, after: UserId) -> Vec<(UserId, u64)> {
        let state = |member: &Member| {
            u64::from(member.delivered >= position) + u64::from(member.read >= position)
        };
        self.members
            .iter()
            .filter(|it| it.user > after && it.is_active() && it.user != author)
            .filter(|it| it.since <= position)
            .take(WHO_MAX)
            .map(|member| (member.user, state(member)))
            .collect()
    }
}

/// A member who is told how far the others are with its newest entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author {
    user: UserId,
    position: u64,
    /// All have seen it, or it is in the group no more. That changes only with who is in it.
    is_done: bool,
}

impl Group {
    /// Remembers that somebody waits to hear how far the others are with its newest entry.
    pub(super) fn note_author(&mut self, user: UserId, position: u64) {
        if let Some(known) = self.authors.iter_mut().find(|author| author.user == user) {
            known.position = known.position.max(position);
            known.is_done = false;
            return;
        }
        if self.authors.len() == GROUP_AUTHORS_MAX {
            let oldest = self.authors.iter().position(|author| author.is_done).unwrap_or(0);
            self.authors.remove(oldest);
        }
        self.authors.push(Author { user, position, is_done: false });
    }

    /// Whether an author is still to hear that all saw its entry.
    pub(super) fn is_awaited(&self) -> bool {
        self.authors.iter().any(|author| !author.is_done)
    }

    /// Who is in the group changed: all counts may have.
    pub(super) fn count_anew(&mut self) {
        self.authors.iter_mut().for_each(|author| author.is_done = false);
    }
}

impl Shard {
    /// Devices of members moved forward.
    pub(super) fn group_moved(&mut self, slot: u32, moves: &[Progress]) {
        let group = &mut self.groups[slot];
        let (head, trim) = (group.durable, group.record.trim);
        let (mut is_news, mut is_said) = (false, false);
        for &Progress { user, delivered, read } in moves {
            let Some(member) = group.record.find_mut(user) else { continue };
            // Of what is gone a cursor doesn't say whether the device got it or passed over it.
            let delivered = if delivered > trim { delivered } else { 0 };
            let (delivered, read) =
                (delivered.min(head).min(member.last()), read.min(head).min(member.last()));
            let before = (member.delivered, member.read);
            member.read = member.read.max(read);
            member.delivered = member.delivered.max(delivered).max(member.read);
            is_news |= before != (member.delivered, member.read);
            if read > 0 {
                // Told once it is stored; also if it was known, since somebody still waits to hear that.
                is_said = true;
                if !group.said.contains(&user) {
                    group.said.push(user);
                }
            }
        }
        if is_news {
            self.queue_group_receipts(slot);
        }
        if is_news || is_said {
            self.mark_group_dirty(slot);
        }
    }

    pub(super) fn queue_group_receipts(&mut self, slot: u32) {
        let group = &mut self.groups[slot];
        if !group.receipts_queued && group.is_awaited() {
            group.receipts_queued = true;
            self.group_receipts.push(group.id);
        }
    }

    /// Tells authors what gathered, as far as the load allows.
    pub(in super::super) fn tell_group_receipts(&mut self, fx: &mut Effects) {
        if self.group_receipts.is_empty() || self.level > Level::Normal {
            return;
        }
        let now_ms = self.now.mono_ms;
        let mut queued = std::mem::take(&mut self.group_receipts);
        queued.retain(|&id| {
            let Some(slot) = self.loaded_group(id) else { return false };
            let group = &mut self.groups[slot];
            let is_gathering = group.told_ms + GROUP_RECEIPT_GATHER_MS > now_ms;
            if is_gathering || group.is_ahead() {
                return true;
            }
            (group.receipts_queued, group.told_ms) = (false, now_ms);
            let mut authors = std::mem::take(&mut group.authors);
            for author in authors.iter_mut().filter(|author| !author.is_done) {
                let &mut Author { user, position, .. } = author;
                if self.groups[slot].record.active(user).is_none() {
                    // It learns nothing of those who are in it, until it is back.
                    author.is_done = true;
                    continue;
                }
                let counts = self.groups[slot].record.counts(user, position);
                author.is_done = counts.read_all >= position;
                let letter = GroupLetter::Receipt { author: user, group: id, counts };
                self.post(user, letter.into(), fx);
            }
            self.groups[slot].authors = authors;
            false
        });
        self.group_receipts = queued;
    }

    /// When groups want another turn, on the monotonic clock.
    pub(in super::super) fn groups_due_ms(&self) -> u64 {
        let receipts = if self.group_receipts.is_empty() {
            u64::MAX
        } else {
            self.now.mono_ms + GROUP_RECEIPT_GATHER_MS
        };
        let store =
            self.dirty_groups.front().map_or(u64::MAX, |(since, _)| since + GROUP_PERSIST_MS);
        receipts.min(store)
    }

    /// Shows an author's devices how far the members are.
    pub(super) fn group_receipt(
        &mut self,
        author: UserId,
        group: GroupId,
        counts: Counts,
        fx: &mut Effects,
    ) {
        self.tell_of_group(author, group, Telling::Receipt(counts), fx);
    }

    /// Somebody asks who is how far with an entry.
    pub(super) fn group_asked(
        &mut self,
        slot: u32,
        asker: Asker,
        position: u64,
        after: UserId,
        fx: &mut Effects,
    ) {
        let group = &mut self.groups[slot];
        let id = group.id;
        if group.record.active(asker.user).is_none() {
            self.refuse_question(slot, asker, fx);
            return;
        }
        let (is_seated, head) = (group.is_seated, group.durable);
        if !is_seated {
            // The members' sessions say how far they are.
            self.seat_group(slot, head, fx);
        }
        let group = &mut self.groups[slot];
        let counts = group.record.counts(asker.user, position);
        let who = group.record.who(asker.user, position, after);
        // Another device of its user may have asked about an older one before.
        let known = group.authors.iter().find(|author| author.user == asker.user);
        let is_newer = known.is_none_or(|author| author.position < position);
        if is_newer && (1..=head).contains(&position) {
            group.note_author(asker.user, position);
            // It is told now.
            if let Some(author) = group.authors.iter_mut().find(|it| it.user == asker.user) {
                author.is_done = counts.read_all >= position;
            }
        }
        let letter = GroupLetter::Who { conn: asker.conn, group: id, counts, who };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    pub(super) fn group_who(
        &mut self,
        conn: ConnId,
        group: GroupId,
        counts: Counts,
        who: &[(UserId, u64)],
        fx: &mut Effects,
    ) {
        if self.is_told_what_it_asked(conn) {
            self.put(conn, &receipt_frame(group, counts, who), fx);
        }
    }

    /// A record is stored: those who saw something are told that it is known for good.
    pub(in super::super) fn group_reads_stored(
        &mut self,
        group: GroupId,
        reads: Vec<(UserId, u64)>,
        fx: &mut Effects,
    ) {
        for (user, position) in reads {
            self.post(user, GroupLetter::Read { user, group, position }.into(), fx);
        }
    }

    /// Says after the record's write that reads are stored.
    pub(super) fn say_reads_when_stored(&mut self, slot: u32, fx: &mut Effects) {
        let group = &mut self.groups[slot];
        if group.said.is_empty() {
            return;
        }
        let said = std::mem::take(&mut group.said);
        let read = |user| group.record.find(user).map(|member| (user, member.read));
        let reads = said.into_iter().filter_map(read).collect();
        let answer = Answer::GroupReads { group: group.id, reads };
        self.answer_when_stored(None, answer, fx);
    }

    pub(super) fn group_read_stored(
        &mut self,
        user: UserId,
        group: GroupId,
        position: u64,
        fx: &mut Effects,
    ) {
        self.tell_of_group(user, group, Telling::Read(position), fx);
    }
}

/// How far members are, in a frame.
pub(super) fn receipt_frame(group: GroupId, counts: Counts, who: &[(UserId, u64)]) -> Frame<'_> {
    let Counts { position, members, delivered, read, delivered_all, read_all } = counts;
    let who = Pairs::Slice(who);
    Frame::GroupReceipt(GroupReceipt {
        group,
        position,
        members,
        delivered,
        read,
        delivered_all,
        read_all,
        who,
    })
}
