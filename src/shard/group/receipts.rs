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
use crate::limits::{GROUP_AUTHORS_TOLD_MAX, GROUP_PERSIST_MS, GROUP_RECEIPT_GATHER_MS};
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

impl Counts {
    /// What it says of this entry and of those before it.
    fn up_to_it(self) -> Self {
        let at_most = self.position;
        let (delivered_all, read_all) =
            (self.delivered_all.min(at_most), self.read_all.min(at_most));
        Counts { delivered_all, read_all, ..self }
    }
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

/// A member who is still to hear that all others saw its newest entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author {
    user: UserId,
    position: u64,
    /// What it was told last, as far as it concerns this entry and earlier ones.
    told: Option<Counts>,
}

impl Group {
    /// Remembers that somebody waits to hear how far the others are with its newest entry.
    pub(super) fn note_author(&mut self, user: UserId, position: u64) {
        let Some(member) = self.record.find_mut(user) else { return };
        self.is_await_unstored |= position > member.awaits;
        member.awaits = member.awaits.max(position);
        let author = Author { user, position: member.awaits, told: None };
        match self.authors.binary_search_by_key(&user, |known| known.user) {
            Ok(at) => self.authors[at] = author,
            Err(at) => self.authors.insert(at, author),
        }
    }

    /// Nobody has to tell this author anything until something of the group changes.
    fn forget_author(&mut self, user: UserId) {
        if let Ok(at) = self.authors.binary_search_by_key(&user, |known| known.user) {
            self.authors.remove(at);
        }
    }

    /// Whether an author is still to hear that all saw its entry.
    pub(super) const fn is_awaited(&self) -> bool {
        !self.authors.is_empty()
    }

    /// Who is in the group changed: all counts may have, also where all had seen the entry.
    pub(super) fn count_anew(&mut self) {
        self.authors.clear();
        let active = self.record.members.iter().filter(|it| it.is_active() && it.awaits > 0);
        self.authors.extend(active.map(|member| Author {
            user: member.user,
            position: member.awaits,
            told: None,
        }));
    }

    /// The group was loaded: its authors are those whose entry somebody didn't see.
    pub(super) fn find_authors(&mut self) {
        self.count_anew();
        let active = self.record.members.iter().filter(|it| it.is_active());
        let mut reads: Vec<(u64, UserId)> = active.map(|it| (it.read, it.user)).collect();
        // The two who saw least: for one of them the other counts.
        reads.sort_unstable();
        self.authors.retain(|author| {
            let other = reads.iter().take(2).find(|&&(_, user)| user != author.user);
            other.is_some_and(|&(read, _)| read < author.position)
        });
    }

    /// Looks at the next author; what it is to be told, if that is news.
    fn next_told(&mut self) -> Option<(UserId, Counts)> {
        let at = self.author_turn % self.authors.len().max(1);
        let &Author { user, position, told } = self.authors.get(at)?;
        // It learns nothing of those who are in the group, until it is back.
        let is_member = self.record.active(user).is_some();
        let counts = self.record.counts(user, position);
        if !is_member || counts.read_all >= position {
            self.authors.remove(at);
            self.author_turn = at;
        } else {
            self.authors[at].told = Some(counts.up_to_it());
            self.author_turn = at + 1;
        }
        (is_member && told != Some(counts.up_to_it())).then_some((user, counts))
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
        group.authors_untold = group.authors.len();
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
            group.told_ms = now_ms;
            for _ in 0..group.authors_untold.min(GROUP_AUTHORS_TOLD_MAX) {
                let group = &mut self.groups[slot];
                group.authors_untold -= 1;
                if let Some((author, counts)) = group.next_told() {
                    let letter = GroupLetter::Receipt { author, group: id, counts };
                    self.post(author, letter.into(), fx);
                }
            }
            let group = &mut self.groups[slot];
            group.receipts_queued = group.authors_untold > 0;
            group.receipts_queued
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
        let known = group.record.find(asker.user).map_or(0, |member| member.awaits);
        // One that is known is told as all its devices are, whichever of them asks.
        if position > known && (1..=head).contains(&position) {
            group.note_author(asker.user, position);
            if counts.read_all >= position {
                group.forget_author(asker.user);
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
