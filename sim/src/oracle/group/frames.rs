//! What clients and the server say of groups.

use fulmar_client::{Action, content};
use fulmar_protocol::Frame;
use fulmar_protocol::group::{
    Change, GroupDeliver, GroupNotice, GroupReceipt, GroupSend, GroupState,
};

use super::super::digest::Digest;
use super::super::link::{DeliverHeader, Large, Link, SendHeader};
use super::super::user::Entry;
use super::super::{Complaint, Oracle};
use super::Sender;
use super::line::Look;
use super::log::Body;
use super::members::Members;
use crate::coverage::Happening;

impl Oracle {
    // What a client writes.

    /// Takes a frame about groups that a client wrote.
    pub(crate) fn wrote_of_group(&mut self, link: &mut Link, frame: &Frame<'_>) {
        let user = self.users[link.user as usize].id;
        match *frame {
            Frame::GroupSend(ref send) => self.wrote_group_send(link, send),
            Frame::GroupChange { group, number, ref change } => {
                self.wrote_change(link, group, number, change);
            }
            Frame::GroupAck { group, position } => {
                link.groups.acks(group, position);
                let is_good = link.is_good;
                let reader = self.groups.reader(user, group);
                reader.acked = reader.acked.max(position);
                if !is_good {
                    reader.claimed = reader.claimed.max(position);
                }
            }
            Frame::GroupRead { group, position } => {
                let reader = self.groups.reader(user, group);
                reader.acked = reader.acked.max(position);
                reader.read = reader.read.max(position);
            }
            Frame::GroupResume { ref cursors } => {
                link.groups.resumes(cursors.iter());
                for (group, cursor) in cursors.iter() {
                    self.hit(Happening::GroupResume);
                    let reader = self.groups.reader(user, group);
                    reader.acked = reader.acked.max(cursor);
                    reader.claimed = reader.claimed.max(cursor);
                }
            }
            Frame::GroupLook { group, after } => {
                let head = self.groups.named(group);
                link.groups.looks(group, Look { head, after: Some(after) });
            }
            _ => {}
        }
    }

    fn wrote_group_send(&mut self, link: &mut Link, send: &GroupSend<'_>) {
        let cursor = self.cursor_in(link, send.group);
        link.groups.asks(send.group, send.number, cursor, Vec::new());
        match send.total_bytes {
            None => {
                let body = Body::of(send.content, send.body);
                self.attempt_in_group(link, send.group, send.number, body);
            }
            Some(total_bytes) => {
                let header = SendHeader { group: send.group, peer: 0, number: send.number };
                let mut large = Large::new(header, send.content, total_bytes);
                let _ = large.push(send.body);
                link.sending = Some(large);
            }
        }
    }

    fn wrote_change(&mut self, link: &mut Link, group: u64, number: u64, change: &Change<'_>) {
        let mut body = Vec::new();
        change.encode(&mut body);
        let mut floors = Vec::new();
        let is_addition = matches!(change.action, Action::Create | Action::Add);
        if is_addition {
            // Each of them may be told, again for each attempt, and so may the maker for its other devices.
            let maker = self.users[link.user as usize].id;
            for user in change.users.iter().chain([maker]) {
                let user = self.user(user);
                let user_state = &mut self.users[user as usize];
                user_state.positions_max += 1;
                floors.push((user, user_state.floor()));
            }
        }
        let cursor = self.cursor_in(link, group);
        link.groups.asks(group, number, cursor, floors);
        self.attempt_in_group(link, group, number, Body::of(content::CHANGE, &body));
    }

    /// A device sent something whole.
    pub(crate) fn attempt_in_group(&mut self, link: &Link, group: u64, number: u64, body: Body) {
        let by = (self.users[link.user as usize].id, link.device, number);
        self.note_reference(group, by, body.digest);
        let is_new = if group == 0 {
            self.groups.creations.insert(by, body).is_none()
        } else {
            self.groups.log(group).attempt(by, body)
        };
        if !is_new {
            self.hit(Happening::GroupResend);
        }
    }

    // What a client reads.

    /// Takes a frame about groups that a client read; `None` for any other.
    pub(crate) fn told_of_group(
        &mut self,
        link: &mut Link,
        frame: &Frame<'_>,
    ) -> Option<Result<(), Complaint>> {
        let user = self.users[link.user as usize].id;
        Some(match *frame {
            Frame::GroupSent { group, number, position, time_ms } => {
                self.group_ticked(link, group, number, (position, time_ms))
            }
            Frame::GroupRejected(ref rejected) => {
                self.group_rejected(link, rejected.group, rejected.number, rejected.code)
            }
            Frame::GroupDeliver(ref deliver) => self.group_delivers(link, deliver),
            Frame::GroupSkip { group, position } => {
                self.hit(Happening::GroupSkip);
                let outcome = link.groups.skips(group, position);
                outcome.and_then(|()| self.groups.log(group).pass(position))
            }
            Frame::GroupNotice(ref notice) => self.noticed(link, notice),
            Frame::GroupReceipt(ref receipt) => self.group_receipt(user, receipt),
            Frame::GroupRead { group, position } => {
                let read = self.groups.reader(user, group).read;
                if position > read && !self.joined_after(user, group, position) {
                    let detail = format!("{position} of {group}, where {user} saw {read}");
                    return Some(Err(Complaint("what was seen is told back as it was", detail)));
                }
                Ok(())
            }
            Frame::GroupGone { group, .. } => {
                self.hit(Happening::GroupGone);
                // It may be added again, and entries come before the notice, which waits for the inbox's window.
                link.groups.noticed(group);
                link.groups.looked_in_vain(group);
                Ok(())
            }
            Frame::GroupState(ref state) => self.group_state(link, user, state),
            _ => return None,
        })
    }

    /// It is told what a group is.
    fn group_state(
        &mut self,
        link: &mut Link,
        user: u64,
        state: &GroupState<'_>,
    ) -> Result<(), Complaint> {
        self.hit(Happening::GroupLooked);
        let look = link.groups.looked(state.group);
        let least = look.map_or(0, |look| look.head);
        if state.head < least {
            let detail = format!("{state:?}, where {least} was told before");
            return Err(Complaint("the head of a group never goes back", detail));
        }
        if let Some(after) = look.and_then(|look| look.after) {
            self.groups.show(user, after, state);
        }
        self.groups.log(state.group).pass(state.head)
    }

    /// Whether a user joined right behind this position: what was before needn't be read.
    fn joined_after(&mut self, user: u64, group: u64, position: u64) -> bool {
        let members = Members::of(group, self.groups.log(group));
        // What stands behind it may not be known yet.
        let joined =
            |members: &Members| members.spans(user).iter().any(|it| it.joined == position + 1);
        members.is_ok_and(|members| members.through <= position || joined(&members))
    }

    fn group_delivers(
        &mut self,
        link: &mut Link,
        deliver: &GroupDeliver<'_>,
    ) -> Result<(), Complaint> {
        let body_bytes = deliver.total_bytes.unwrap_or(deliver.body.len() as u64);
        let window = link.window();
        link.groups.delivers(deliver.group, deliver.position, body_bytes, window)?;
        let header = DeliverHeader {
            group: deliver.group,
            position: deliver.position,
            peer: deliver.author,
            ordinal: deliver.position,
            time_ms: deliver.time_ms,
            own: deliver.own,
            is_past: false,
            since: link.told_since,
        };
        match deliver.total_bytes {
            None => {
                let body = Body::of(deliver.content, deliver.body);
                self.group_delivered(link, &header, &body)
            }
            Some(total_bytes) => {
                if link.delivering.is_some() {
                    let detail = format!("position {}", deliver.position);
                    return Err(Complaint("one large body at a time", detail));
                }
                self.hit(Happening::GroupLarge);
                let mut large = Large::new(header, deliver.content, total_bytes);
                large.push(deliver.body)?;
                link.delivering = Some(large);
                Ok(())
            }
        }
    }

    pub(crate) fn group_delivered(
        &mut self,
        link: &Link,
        header: &DeliverHeader,
        body: &Body,
    ) -> Result<(), Complaint> {
        self.hit(Happening::GroupDelivery);
        let &DeliverHeader { group, position, .. } = header;
        self.group_entry_told(link, header, body)?;
        let user = self.users[link.user as usize].id;
        let log = self.groups.log(group);
        if log.is_of(position, user, link.device) {
            let detail = format!("position {position} of {group} came to its sender {user}");
            return Err(Complaint("a device gets nothing of what it sent", detail));
        }
        let reader = self.groups.reader(user, group);
        reader.delivered.insert(position);
        reader.delivered_max = reader.delivered_max.max(position);
        Ok(())
    }

    /// An entry was told, by itself or in a page.
    pub(super) fn group_entry_told(
        &mut self,
        link: &Link,
        header: &DeliverHeader,
        body: &Body,
    ) -> Result<(), Complaint> {
        let &DeliverHeader { group, position, peer: author, time_ms, own, since, .. } = header;
        self.judge_in_time(body.digest, time_ms, since)?;
        let user = self.users[link.user as usize].id;
        if own != (author == user) {
            let detail = format!("position {position} of {group} is of {author}, own {own}");
            return Err(Complaint("what is one's own is marked", detail));
        }
        if position == 1
            && let Some(by) = self.creation_of(author, body)
        {
            self.made(by, group)?;
        }
        self.groups.log(group).delivered(position, author, body, time_ms)?;
        // Who wrote has what it wrote, whether it ever acknowledges anything or not.
        self.groups.reader(author, group);
        Ok(())
    }

    /// The request that made a group with this first entry; names tell them apart. One that was rejected is sent
    /// again under a new number.
    fn creation_of(&self, author: u64, body: &Body) -> Option<Sender> {
        let of_author = self.groups.creations.range((author, 0, 0)..=(author, u16::MAX, u64::MAX));
        let alike = of_author.filter(|(_, known)| *known == body).map(|(by, _)| *by);
        alike.min_by_key(|by| self.groups.unmade.contains(by))
    }

    fn noticed(&mut self, link: &mut Link, notice: &GroupNotice) -> Result<(), Complaint> {
        self.hit(Happening::GroupNotice);
        let &GroupNotice { position, group, by, time_ms } = notice;
        if position <= link.head {
            self.hit(Happening::GroupAddedAway);
        }
        self.begins(link, position);
        link.groups.noticed(group);
        link.delivers(position, 0)?;
        let digest = Digest::of(0, &group.to_le_bytes());
        let peer = self.user(by);
        let entry = Entry { peer, ordinal: 0, own: false, is_notice: true, digest, time_ms };
        let user = link.user;
        self.users[user as usize].place(position, entry)?;
        let user = self.users[user as usize].id;
        self.groups.reader(user, group).is_noticed = true;
        Ok(())
    }

    fn group_receipt(&mut self, author: u64, receipt: &GroupReceipt<'_>) -> Result<(), Complaint> {
        self.hit(Happening::GroupReceipt);
        let &GroupReceipt { group, position, members, delivered, read, .. } = receipt;
        let (delivered_all, read_all) = (receipt.delivered_all, receipt.read_all);
        let mut sums = self.progress_of(group, author, position, None);
        if delivered > sums.0 {
            // Rarely: what somebody may not read doesn't keep it from having what is behind that.
            let members = Members::of(group, self.groups.log(group))?;
            sums = self.progress_of(group, author, position, Some(&members));
        }
        let entry = self.groups.logs.get(&group).and_then(|log| log.entry(position));
        // Whoever wrote it has it; of one that nobody was told yet that may be anybody.
        sums.0 += u64::from(entry.is_none());
        let is_whole = |all: u64, count: u64| all < position || count == members;
        let is_true = delivered <= sums.0
            && read <= sums.1
            && read <= delivered
            && delivered <= members
            && is_whole(delivered_all, delivered)
            && is_whole(read_all, read);
        if is_true {
            return Ok(());
        }
        let detail = format!("{receipt:?} told to {author}; true are at most {sums:?}");
        Err(Complaint("a receipt of a group tells the truth", detail))
    }

    /// How many but the author have an entry, and saw it, at most.
    fn progress_of(
        &self,
        group: u64,
        author: u64,
        position: u64,
        members: Option<&Members>,
    ) -> (u64, u64) {
        let mut sums = (0, 0);
        for (&(user, _), reader) in self.readers_of(group).filter(|((user, _), _)| *user != author)
        {
            let has = self.has_through(user, group, reader, members);
            sums.0 += u64::from(has.max(reader.read) >= position);
            sums.1 += u64::from(reader.read >= position);
        }
        sums
    }

    fn readers_of(&self, group: u64) -> impl Iterator<Item = (&(u64, u64), &super::Reader)> {
        self.groups.readers.iter().filter(move |((_, of), _)| *of == group)
    }
}

impl Oracle {
    /// How far a user has a group: up to the last entry that it acknowledged and that was delivered to it or is its
    /// own. What expired before is passed over, and not had. A cursor that it goes on from says only that it has
    /// everything that there was.
    fn has_through(
        &self,
        user: u64,
        group: u64,
        reader: &super::Reader,
        members: Option<&Members>,
    ) -> u64 {
        let Some(log) = self.groups.logs.get(&group) else { return reader.acked };
        let is_own = |position: u64| log.entry(position).is_none_or(|entry| entry.author == user);
        let is_had = |position: &u64| reader.delivered.contains(*position) || is_own(*position);
        // Who lies may say more than there is.
        let acked = reader.acked.min(log.entries_max());
        let mut has = (1..=acked).rev().find(is_had).unwrap_or(0);
        // What it wrote itself the server passes over without being told.
        for position in acked + 1..=log.entries_max() {
            let entry = log.entry(position);
            let time_ms = entry.and_then(|entry| entry.time_ms);
            let is_kept = time_ms.is_some_and(|time_ms| time_ms > self.expired_through_ms);
            let may_read = members.is_none_or(|members| {
                position <= members.through && members.may_read(user, position)
            });
            if is_own(position) {
                has = position;
            } else if may_read && is_kept && !self.entry_may_be_over(entry) {
                break;
            }
        }
        has.max(reader.claimed)
    }
}
