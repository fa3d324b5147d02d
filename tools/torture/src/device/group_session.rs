//! The frames about groups, as `session` has those of the inbox; and what a device does in groups.

use std::time::Instant;

use fulmar_protocol::group::{CONTENT_CHANGE, Change, GroupDeliver, GroupNotice, GroupReceipt};
use fulmar_protocol::{Deliver, Frame, Pairs};

use super::book::Note;
use super::digest::digest;
use super::group_notes::{Content, GroupEntry, GroupNote};
use super::groups::{Group, Known, Saying};
use super::inbox::{Arrival, Entry, Refusal};
use super::outbox::To;
use super::wording::whose;
use super::{Device, End, Line};
use crate::feature::Feature;
use crate::world::Phase;

/// In this many of a hundred cases what is written goes to a group, if the user is in one.
const PERCENT_TO_GROUPS: u32 = 12;
impl Device {
    /// Where the next message goes.
    pub(super) fn whereto(&mut self) -> To {
        if self.world.has(Feature::Groups) && self.habits.happens(PERCENT_TO_GROUPS) {
            let groups = self.groups.writable();
            if !groups.is_empty() {
                return To::Group(groups[self.habits.choose(groups.len())]);
            }
        }
        To::User(self.role.peers[self.habits.choose(self.role.peers.len())])
    }

    /// Says that this connection takes groups, and how far the device has them.
    pub(super) fn resume_groups(&mut self, now: Instant) {
        if !self.world.has(Feature::Groups) {
            return;
        }
        let cursors = self.groups.begin(now);
        let Line::Online { link, .. } = &mut self.line else { return };
        for &(group, cursor) in &cursors {
            self.book.note(Note::Group(GroupNote::Resume { group, cursor }));
        }
        link.queue(&Frame::GroupResume { cursors: Pairs::Slice(&cursors) });
    }

    /// A frame about groups; `None` if it is another.
    pub(super) fn on_group_frame(&mut self, frame: &Frame<'_>) -> Option<Result<(), End>> {
        let now = Instant::now();
        Some(match *frame {
            Frame::GroupNotice(ref notice) => {
                let taken = self.inbox.notice(notice);
                self.on_refusal(taken)
            }
            Frame::GroupSent { group, number, position, .. } => {
                self.on_group_sent(group, number, position, now)
            }
            Frame::GroupRejected(ref rejected) => {
                let (group, number, code) =
                    (rejected.group, rejected.number, rejected.code.number());
                self.book.note(Note::Group(GroupNote::Rejected { group, number, code }));
                self.groups.making.remove(&number);
                let answered = self.outbox.answered(To::Group(group), number);
                answered.map(drop).map_err(|_| unasked(group, number))
            }
            Frame::GroupDeliver(ref deliver) => self.on_group_deliver(deliver, now),
            Frame::GroupSkip { group, position } => {
                let known = self.groups.know(group, now);
                known.came();
                let taken = known.log.skip(position);
                self.on_group_refusal(group, taken)
            }
            Frame::GroupRead { group, position } => {
                self.book.note(Note::Group(GroupNote::Stored { group, position }));
                self.learn(group, now).stored(position);
                Ok(())
            }
            Frame::GroupReceipt(ref receipt) => {
                self.on_group_receipt(receipt, now);
                Ok(())
            }
            Frame::GroupState(ref state) => {
                let (group, head) = (state.group, state.head);
                self.book.note(Note::Group(GroupNote::State { group, head }));
                self.groups.know(group, now).state(head);
                Ok(())
            }
            Frame::GroupGone { group, position } => {
                self.book.note(Note::Group(GroupNote::Gone { group, position }));
                if let Some(known) = self.groups.by_number.get_mut(&group) {
                    known.gone(position);
                    known.finish();
                }
                Ok(())
            }
            _ => return None,
        })
    }

    fn on_group_sent(
        &mut self,
        group: u64,
        number: u64,
        position: u64,
        now: Instant,
    ) -> Result<(), End> {
        let pool = self.groups.making.remove(&number);
        let to = To::Group(if pool.is_some() { 0 } else { group });
        let change = self.outbox.answered(to, number).map_err(|_| unasked(group, number))?;
        let (user, device) = (self.role.user, self.role.device);
        if let Some(pool) = pool {
            self.book.note(Note::Group(GroupNote::Made { number, group }));
            self.groups.made.insert(group, pool);
            self.world.add_group(group, user);
        } else {
            self.book.note(Note::Group(GroupNote::Tick { group, number, position }));
            self.world.count_group_tick((user, device), group, number, position);
        }
        let known = self.groups.know(group, now);
        known.own = known.own.max(position);
        known.remember(Known { position, is_own: true, is_change: change.is_some() });
        if let Some(change) = change.as_deref().and_then(|bytes| Change::decode(bytes).ok()) {
            known.apply(user, user, &change);
        }
        Ok(())
    }

    fn on_group_deliver(&mut self, deliver: &GroupDeliver<'_>, now: Instant) -> Result<(), End> {
        let GroupDeliver { group, position, author, time_ms, content, own, total_bytes, body } =
            *deliver;
        if total_bytes.is_some() && (self.groups.in_parts.is_some() || self.inbox.is_in_parts()) {
            let what = "a large body of a group before the last one was complete";
            return Err(End::Broken(what.to_owned()));
        }
        let known = self.groups.know(group, now);
        known.came();
        let (peer, ordinal) = (author, 0);
        let taken = known.log.deliver(&Deliver {
            position,
            peer,
            ordinal,
            time_ms,
            content,
            own,
            total_bytes,
            body,
        });
        if known.log.is_in_parts() {
            self.groups.in_parts = Some(group);
        }
        self.on_group_refusal(group, taken)
    }

    /// More of a large body; `None` if none of a group is in progress.
    pub(super) fn on_group_part(&mut self, body: &[u8]) -> Option<Result<(), End>> {
        let group = self.groups.in_parts?;
        let log = &mut self.groups.by_number.get_mut(&group)?.log;
        let taken = log.part(body);
        if !log.is_in_parts() {
            self.groups.in_parts = None;
        }
        Some(self.on_group_refusal(group, taken))
    }

    fn on_group_refusal(&mut self, group: u64, taken: Result<(), Refusal>) -> Result<(), End> {
        match taken {
            Ok(()) => Ok(()),
            Err(Refusal::OutOfTurn(position)) => {
                self.take_group_entries();
                self.book.note(Note::Group(GroupNote::OutOfTurn { group, position }));
                Err(End::Lost)
            }
            Err(Refusal::Broken(what)) => Err(End::Broken(what)),
        }
    }

    fn on_group_receipt(&mut self, receipt: &GroupReceipt<'_>, now: Instant) {
        self.book.note(Note::Group(GroupNote::Receipt(receipt)));
        self.learn(receipt.group, now).receipt(receipt.position);
    }

    /// A group that another device of the user wrote to, or read. One that joined late may hear of it
    /// so for the first time.
    fn learn(&mut self, group: u64, now: Instant) -> &mut Group {
        if !self.groups.by_number.contains_key(&group) {
            self.groups.notice(group, true, now);
            self.say(group, Saying::Resume { cursor: 0 });
        }
        self.groups.know(group, now)
    }

    /// The user was added to a group, as its inbox says.
    pub(super) fn take_notice(&mut self, notice: &GroupNotice, now: Instant) {
        let GroupNotice { position, group, by, .. } = *notice;
        self.book.note(Note::Group(GroupNote::Notice { position, group, by }));
        let is_new = self.inbox.book(position);
        if !is_new || !self.world.has(Feature::Groups) {
            return;
        }
        let is_older = position <= self.welcome_head;
        if let Some(cursor) = self.groups.notice(group, is_older, now) {
            self.say(group, Saying::Resume { cursor });
        }
    }

    /// Writes down what the groups have complete.
    pub(super) fn take_group_entries(&mut self) {
        let user = self.role.user;
        for (&number, group) in &mut self.groups.by_number {
            while let Some(entry) = group.log.next() {
                match entry {
                    Entry::Message(arrival) => {
                        let Arrival { position, peer: author, .. } = arrival;
                        let is_new = group.log.book(position);
                        let change = change_in(&arrival);
                        let entry = entry_of(number, &arrival, change.as_ref());
                        self.book.note(Note::Group(if is_new {
                            GroupNote::Shown(entry)
                        } else {
                            GroupNote::Again(entry)
                        }));
                        if is_new {
                            self.world.count_shown();
                            let (is_own, is_change) = (author == user, change.is_some());
                            group.remember(Known { position, is_own, is_change });
                        }
                        if author == user {
                            group.own = group.own.max(position);
                        }
                        if let (true, Some(change)) = (is_new, change) {
                            group.apply(user, author, &change);
                        }
                    }
                    Entry::Skip(position) => {
                        group.log.book(position);
                        let skip = GroupNote::Skip { group: number, position };
                        self.book.note(Note::Group(skip));
                    }
                    Entry::Notice(_) => {}
                }
            }
            group.finish();
        }
    }

    /// Acknowledges what the groups have, and now and then says that the person saw it.
    pub(super) fn acknowledge_groups(&mut self, percent_seen: u32, now: Instant) {
        let Line::Online { link, .. } = &mut self.line else { return };
        for (&number, group) in &mut self.groups.by_number {
            let position = group.log.booked();
            if position <= group.acked {
                continue;
            }
            self.book.note(Note::Group(GroupNote::Ack { group: number, position }));
            link.queue(&Frame::GroupAck { group: number, position });
            group.acked = position;
            if self.habits.happens(percent_seen)
                && let Some(position) = group.see(now)
            {
                self.book.note(Note::Group(GroupNote::Read { group: number, position }));
                link.queue(&Frame::GroupRead { group: number, position });
            }
        }
    }

    /// Says what is due about groups.
    pub(super) fn speak_of_groups(&mut self, now: Instant) {
        let settles = self.phase.settles();
        while let Some((group, saying)) = self.groups.next_due(settles, now) {
            self.say(group, saying);
        }
        if self.phase == Phase::Load && self.is_awake() {
            self.change_groups(now);
        }
    }

    fn say(&mut self, group: u64, saying: Saying) {
        let Line::Online { link, .. } = &mut self.line else { return };
        match saying {
            Saying::Resume { cursor } => {
                self.book.note(Note::Group(GroupNote::Resume { group, cursor }));
                let cursors = [(group, cursor)];
                link.queue(&Frame::GroupResume { cursors: Pairs::Slice(&cursors) });
            }
            Saying::Read { position } => {
                self.book.note(Note::Group(GroupNote::Read { group, position }));
                link.queue(&Frame::GroupRead { group, position });
            }
            Saying::Ask { position } => {
                self.book.note(Note::Group(GroupNote::Ask { group, position }));
                link.queue(&Frame::GroupAsk { group, position, after: 0 });
            }
            Saying::Look => link.queue(&Frame::GroupLook { group, after: 0 }),
        }
    }
}

fn change_in(arrival: &Arrival) -> Option<Change<'_>> {
    if arrival.content == CONTENT_CHANGE { Change::decode(&arrival.body).ok() } else { None }
}

fn entry_of<'a>(group: u64, arrival: &Arrival, change: Option<&'a Change<'a>>) -> GroupEntry<'a> {
    let Arrival { position, peer: author, own, content, ref body, .. } = *arrival;
    let digest = digest(content, body);
    let content = match change {
        Some(change) => Content::Change(change),
        None => Content::Message(whose(content, body, true)),
    };
    GroupEntry { group, position, author, own, content, digest }
}

fn unasked(group: u64, number: u64) -> End {
    End::Broken(format!("an answer for group {group} #{number}, which isn't on the way"))
}
