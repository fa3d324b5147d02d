//! What was committed, and what that allows to be said.
//!
//! Of the inboxes: positions and ordinals are dense and never used twice; a copy follows its message; no entry
//! is deleted that a device lacks and that hasn't expired. See [`groups`] and [`people`] for the rest.

mod groups;
mod people;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fulmar::shard::record::{ConversationRecord, EntryHeader, InboxRecord};
use fulmar::shard::{DeviceId, GroupId, Key, LogId, UserId, Write};

pub(super) use groups::Groups;
pub(super) use people::{People, Thing};

/// A committed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) header: EntryHeader,
    pub(super) body: Bytes,
}

/// How far a member of a group said that it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) delivered: u64,
    pub(super) read: u64,
}

/// What was said that may explain what is kept, and what no more.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The largest position that each device ever acknowledged.
    pub(super) acked: BTreeMap<(UserId, DeviceId), u64>,
    /// What was taken at this time or before, in Unix milliseconds, may have expired.
    pub(super) expired_through_ms: u64,
    /// The latest time that it ever was; what was to be over by then may be.
    pub(super) latest_ms: u64,
    /// What members said of their groups.
    pub(super) said: BTreeMap<(GroupId, UserId), Said>,
    /// Everything that somebody put into a book.
    puts: BTreeSet<(UserId, Thing)>,
}

impl Known {
    /// Whether an entry may be for nobody any more: it expired, or said itself when it is over.
    pub(super) const fn is_over(&self, header: &EntryHeader) -> bool {
        let said = header.over_ms > 0 && header.over_ms <= self.latest_ms;
        said || header.time_ms <= self.expired_through_ms
    }

    pub(super) fn put(&mut self, user: UserId, thing: Thing) {
        self.puts.insert((user, thing));
    }

    pub(super) fn has_put(&self, user: UserId, thing: &Thing) -> bool {
        self.puts.contains(&(user, thing.clone()))
    }

    pub(super) fn say(&mut self, group: GroupId, user: UserId, delivered: u64, read: u64) {
        let said = self.said.entry((group, user)).or_default();
        said.read = said.read.max(read);
        said.delivered = said.delivered.max(delivered).max(read);
    }
}

/// Everything that was ever committed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) groups: Groups,
    pub(super) people: People,
    /// Each inbox by position; entries stay here when they are trimmed.
    inboxes: BTreeMap<UserId, Vec<Entry>>,
    /// (author, recipient): the messages in the order of their ordinals.
    directions: BTreeMap<(UserId, UserId), Vec<(DeviceId, Bytes)>>,
    /// (author, recipient, ordinal) of each copy.
    copies: BTreeSet<(UserId, UserId, u64)>,
    records: BTreeMap<UserId, InboxRecord>,
    conversations: BTreeMap<(UserId, UserId), ConversationRecord>,
    trims: BTreeMap<UserId, u64>,
    /// Where each device began.
    begins: BTreeMap<(UserId, DeviceId), u64>,
    /// Somebody may block somebody: messages may have an ordinal and no entry.
    pub(super) has_blocks: bool,
}

/// An entry goes on with the running total of bytes of its log. One that expired and is gone took what
/// it knew with it, if its log's record wasn't stored since.
fn check_running_total(
    last: Option<&EntryHeader>,
    header: &EntryHeader,
    body_bytes: usize,
    known: &Known,
) {
    let body_bytes = body_bytes as u64;
    let total_bytes = last.map_or(0, |last| last.total_bytes) + body_bytes;
    let may_be_gone = last.is_some_and(|last| last.time_ms <= known.expired_through_ms);
    let is_right = header.total_bytes == total_bytes
        || (may_be_gone && (body_bytes..total_bytes).contains(&header.total_bytes));
    assert!(is_right, "the running total: {} for {total_bytes}", header.total_bytes);
}

/// The device of a message that was dropped by a block.
const DROPPED: DeviceId = 0;

impl Ledger {
    /// Takes the writes of a turn, which are committed together.
    pub(super) fn commit(&mut self, writes: &[Write], known: &Known) {
        for write in writes {
            let Write::Put { key, value } = write else { continue };
            match *key {
                Key::Entry { log: LogId::Inbox(user), position } => {
                    self.entry(user, position, value, known);
                }
                Key::State { log: LogId::Inbox(user) } => self.inbox(user, value, known),
                Key::Conversation { log: LogId::Inbox(user), peer } => {
                    self.conversation(user, peer, value);
                }
                Key::Entry { log: LogId::Group(group), position } => {
                    self.groups.entry(group, position, value, known);
                }
                Key::State { log: LogId::Group(group) } => self.groups.record(group, value, known),
                // Told apart below: it speaks of entries of the same turn.
                Key::Conversation { log: LogId::Group(_), .. } => {}
                Key::Presence { .. } => People::presence(value),
                Key::Book { user } => self.people.book(user, value, known),
                Key::Name { .. } => People::name(value),
            }
        }
        for write in writes {
            match write {
                Write::Trim { log: LogId::Inbox(user), from, through } => {
                    self.trim(*user, *from, *through, known);
                }
                Write::Trim { log: LogId::Group(group), from, through } => {
                    self.groups.trim(*group, *from, *through, known);
                }
                Write::Put { key: Key::Conversation { log: LogId::Group(group), peer }, value } => {
                    self.groups.sender(*group, *peer, value);
                }
                Write::Put { .. } => {}
            }
        }
    }

    fn entry(&mut self, user: UserId, position: u64, value: &Bytes, known: &Known) {
        let (header, body_at) = EntryHeader::decode(value).expect("an entry");
        let body = value.slice(body_at..);
        let inbox = self.inboxes.entry(user).or_default();
        assert_eq!(position, inbox.len() as u64 + 1, "positions of {user} are dense");
        let last = inbox.last().map(|last| &last.header);
        check_running_total(last, &header, body.len(), known);
        inbox.push(Entry { header, body: body.clone() });
        let EntryHeader { peer, ordinal, device, own, is_notice, .. } = header;
        if is_notice {
            assert!(body.is_empty(), "a notice says all in its header");
        } else if own {
            let is_new = self.copies.insert((user, peer, ordinal));
            assert!(is_new, "{user} got the copy of its message {ordinal} to {peer} twice");
            // Not its body: a client that repeats a number with another one gets that as its copy, if the first
            // one had none yet. The simulator compares the bodies of those that keep the rules.
            let sender = self.message(user, peer, ordinal).map(|(sender, _)| *sender);
            let is_dropped = self.has_blocks && sender.is_none_or(|sender| sender == DROPPED);
            assert!(is_dropped || sender == Some(device), "a copy follows its message");
        } else {
            self.note_dropped(peer, user, ordinal - 1);
            let direction = self.directions.entry((peer, user)).or_default();
            direction.push((device, body));
            assert_eq!(ordinal, direction.len() as u64, "ordinals of {peer} to {user} are dense");
        }
    }

    /// The messages up to this ordinal that have no entry were dropped.
    fn note_dropped(&mut self, author: UserId, recipient: UserId, through: u64) {
        if !self.has_blocks {
            return;
        }
        let direction = self.directions.entry((author, recipient)).or_default();
        while (direction.len() as u64) < through {
            direction.push((DROPPED, Bytes::new()));
        }
    }

    fn inbox(&mut self, user: UserId, value: &[u8], known: &Known) {
        let record = InboxRecord::decode(value).expect("an inbox record");
        assert!(record.head <= self.head(user), "a record names a head that isn't stored with it");
        if let Some(before) = self.records.get(&user) {
            assert!(record.trim >= before.trim && record.head >= before.head, "it went back");
            for old in &before.devices {
                let device = old.device;
                let now = record.devices.iter().find(|now| now.device == device);
                let cursor = now.expect("a device is never forgotten").cursor;
                assert!(cursor >= old.cursor, "the cursor of {user}.{device} went back");
                for position in old.cursor + 1..=cursor {
                    let settled = self.is_settled(user, device, position, known);
                    assert!(settled, "{user}.{device} never had position {position}");
                }
            }
        }
        for device in &record.devices {
            self.begins.entry((user, device.device)).or_insert(device.cursor);
        }
        self.records.insert(user, record);
    }

    /// Whether a device needn't get a position any more.
    pub(super) fn is_settled(
        &self,
        user: UserId,
        device: DeviceId,
        position: u64,
        known: &Known,
    ) -> bool {
        let Some(entry) = self.entry_at(user, position) else { return false };
        self.begins.get(&(user, device)).is_some_and(|&begin| begin >= position)
            || known.acked.get(&(user, device)).is_some_and(|&acked| acked >= position)
            || self.is_expired(user, position, known)
            || (entry.header.own && entry.header.device == device)
    }

    /// Whether a position may have expired, or be over.
    pub(super) fn is_expired(&self, user: UserId, position: u64, known: &Known) -> bool {
        let entry = self.entry_at(user, position);
        entry.is_some_and(|entry| known.is_over(&entry.header))
    }

    fn conversation(&mut self, user: UserId, peer: UserId, value: &[u8]) {
        let record = ConversationRecord::decode(value).expect("a conversation record");
        self.note_dropped(peer, user, record.ordinal.min(self.taken(peer, user) + 1_000));
        let taken = self.taken(peer, user);
        assert_eq!(record.ordinal, taken, "message and ordinal of {peer} to {user} are one write");
        assert!(record.read <= record.delivered && record.delivered <= record.ordinal);
        if let Some(before) = self.conversations.get(&(user, peer)) {
            assert!(record.delivered >= before.delivered && record.read >= before.read);
        }
        self.conversations.insert((user, peer), record);
    }

    fn trim(&mut self, user: UserId, from: u64, through: u64, known: &Known) {
        let before = self.trims.insert(user, through).unwrap_or(0);
        assert!(before < from && from <= through, "{user} is trimmed once");
        let record = self.records.get(&user).expect("a trim has a record");
        assert!(record.trim >= through, "the record knows what is trimmed");
        assert!(record.devices.iter().all(|device| device.cursor >= through), "it is still wanted");
        // Storage removes on its own what has expired.
        for position in before + 1..from {
            let is_expired = self.is_expired(user, position, known);
            assert!(is_expired, "the trim of {user} leaves out {position}");
        }
    }

    /// The last committed position of an inbox.
    pub(super) fn head(&self, user: UserId) -> u64 {
        self.inboxes.get(&user).map_or(0, |inbox| inbox.len() as u64)
    }

    /// The committed entry at a position.
    pub(super) fn entry_at(&self, user: UserId, position: u64) -> Option<&Entry> {
        self.inboxes.get(&user)?.get(usize::try_from(position.checked_sub(1)?).ok()?)
    }

    /// How many messages of an author to a recipient are committed.
    pub(super) fn taken(&self, author: UserId, recipient: UserId) -> u64 {
        self.directions.get(&(author, recipient)).map_or(0, |direction| direction.len() as u64)
    }

    /// Device and body of a committed message.
    pub(super) fn message(
        &self,
        author: UserId,
        recipient: UserId,
        ordinal: u64,
    ) -> Option<&(DeviceId, Bytes)> {
        let direction = self.directions.get(&(author, recipient))?;
        direction.get(usize::try_from(ordinal.checked_sub(1)?).ok()?)
    }

    /// Whether a message is one that a block dropped.
    pub(super) fn is_dropped(&self, author: UserId, recipient: UserId, ordinal: u64) -> bool {
        self.has_blocks
            && self.message(author, recipient, ordinal).is_none_or(|(device, _)| *device == DROPPED)
    }

    /// Whether the author's inbox has the copy of a message.
    pub(super) fn has_copy(&self, author: UserId, recipient: UserId, ordinal: u64) -> bool {
        self.copies.contains(&(author, recipient, ordinal))
    }

    /// The devices that an inbox's committed record names, with their cursors.
    pub(super) fn devices(&self, user: UserId) -> impl Iterator<Item = (DeviceId, u64)> + '_ {
        let record = self.records.get(&user);
        record
            .into_iter()
            .flat_map(|record| record.devices.iter().map(|device| (device.device, device.cursor)))
    }

    /// Users with an inbox.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.records.keys().copied().collect()
    }

    /// Whether an inbox had entries that may have expired.
    pub(super) fn has_expired(&self, user: UserId, known: &Known) -> bool {
        (1..=self.head(user)).any(|position| self.is_expired(user, position, known))
    }

    /// The stored receipts of a reader say that everything came.
    pub(super) fn check_all_delivered(&self, reader: UserId) {
        for (&(author, _), messages) in self.directions.iter().filter(|((_, to), _)| *to == reader)
        {
            if messages.iter().any(|(device, _)| *device == DROPPED) {
                continue;
            }
            let conversation = self.conversations.get(&(reader, author));
            let delivered = conversation.map_or(0, |conversation| conversation.delivered);
            assert_eq!(delivered, messages.len() as u64, "delivered of {author} to {reader}");
        }
    }
}
