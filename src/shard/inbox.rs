//! A user on its home core: the state of its inbox, the recent messages that its devices are about
//! to take, and its sessions.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use super::people::Wish;
use super::record::{Device, EntryHeader, InboxRecord};
use super::seam::{ConnId, CoreId, DeviceId, GroupId, Ticket, UserId};
use crate::faults::{Fault, is_planted};

/// A message held in memory. Its position is given by its place in the tail.
#[derive(Debug, Clone)]
pub(super) struct TailEntry {
    pub(super) header: EntryHeader,
    pub(super) body: Bytes,
}

/// What an allocation costs beside its bytes, about.
const ALLOCATION_BYTES: usize = 32;

impl TailEntry {
    /// Memory that the entry takes. Without the part that isn't body, empty messages would cost nothing
    /// and be kept without end.
    pub(super) const fn held_bytes(&self) -> usize {
        size_of::<TailEntry>() + ALLOCATION_BYTES + self.body.len()
    }
}

/// Whether the state of an inbox or a conversation is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The load is under way.
    Loading,
    /// The state is here.
    Ready,
}

/// What waits at a user.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Connections that wait for the inbox, or with a new device for receipts to be noted.
    pub(super) logins: Vec<ConnId>,
    /// Groups to which the user is about to be added, by whom, and who waits to hear that it was told; until
    /// the inbox is loaded and receipts are noted. At most [`NOTICES_MAX`](crate::limits::NOTICES_MAX).
    pub(super) notices: Vec<(GroupId, UserId, CoreId, u64)>,
    /// Groups in which the user is no more, until the inbox is loaded. At most
    /// [`NOTICES_MAX`](crate::limits::NOTICES_MAX); of others a device learns when it asks.
    pub(super) ended: Vec<GroupId>,
    /// Conversations with actions that wait for the inbox.
    pub(super) stalled: Vec<UserId>,
    /// What was put and waits for receipts to be noted, since it changes the record too.
    pub(super) puts: Vec<(ConnId, Wish)>,
}

impl Waits {
    const fn is_empty(&self) -> bool {
        self.logins.is_empty()
            && self.notices.is_empty()
            && self.ended.is_empty()
            && self.stalled.is_empty()
            && self.puts.is_empty()
    }
}

/// What is to become of the cursors of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaveCursors {
    /// They are stored, or handed to storage.
    Stored,
    /// They moved. The user waits in the queue of those to store.
    Moved,
    /// Its turn came while receipts waited. They are stored as soon as none does.
    Overdue,
}

/// See the module's description.
///
/// Invariants: `record.trim <= every device's cursor <= durable <= record.head`; the tail
/// holds the entries `tail_first ..= record.head`, without a gap, and every one above `durable`.
#[derive(Debug)]
pub(super) struct User {
    pub(super) id: UserId,
    pub(super) stage: Stage,
    pub(super) record: InboxRecord,
    /// Position up to which everything is stored.
    pub(super) durable: u64,
    /// Entries up to here were deleted, or their deletion was handed to storage.
    pub(super) trim_stored: u64,
    pub(super) tail: VecDeque<TailEntry>,
    pub(super) tail_first: u64,
    pub(super) tail_bytes: usize,
    /// Entries up to here have memory of their own.
    tail_copied: u64,
    /// Logged-in devices.
    pub(super) sessions: SmallVec<[(DeviceId, ConnId); 1]>,
    /// What waits for something to be loaded or noted; boxed, since it is nearly always empty. Never an empty one.
    waits: Option<Box<Waits>>,
    /// Ticket of the last write about this user.
    pub(super) last_ticket: Ticket,
    /// Whether its record is to be stored.
    pub(super) save: SaveCursors,
    /// Peers whose conversations have moved receipts to store. They are stored no later than the
    /// device cursors that the receipts follow from.
    pub(super) dirty_conversations: Vec<UserId>,
    /// Receipts that wait for their conversation to be loaded; until then no cursor is stored.
    pub(super) receipts_waiting: u32,
    /// Ticket of the last device that was added.
    pub(super) registered: Ticket,
    /// Storage is asked what expired, and when it was asked last; 0 for never.
    pub(super) is_looking: bool,
    pub(super) looked_ms: u64,
    /// In this turn's list of users whose devices may have something to take.
    pub(super) pump_queued: bool,
    /// When it was last used, on the monotonic clock.
    pub(super) used_ms: u64,
}

impl User {
    pub(super) fn loading(id: UserId, mono_ms: u64) -> Self {
        User {
            id,
            stage: Stage::Loading,
            record: InboxRecord::default(),
            durable: 0,
            trim_stored: 0,
            tail: VecDeque::new(),
            tail_first: 1,
            tail_bytes: 0,
            tail_copied: 0,
            sessions: SmallVec::new(),
            waits: None,
            last_ticket: 0,
            save: SaveCursors::Stored,
            dirty_conversations: Vec::new(),
            receipts_waiting: 0,
            registered: 0,
            is_looking: false,
            looked_ms: 0,
            pump_queued: false,
            used_ms: mono_ms,
        }
    }

    /// Takes over what storage held: the record, whose head is the last position ever used, and whose
    /// trim is past what expired. Of that, storage deleted what lies up to `trim_stored`.
    pub(super) fn loaded(&mut self, record: InboxRecord, trim_stored: u64) {
        debug_assert!(trim_stored <= record.trim);
        self.stage = Stage::Ready;
        self.durable = record.head;
        self.trim_stored = trim_stored;
        self.tail_first = record.head + 1;
        self.record = record;
    }

    /// What waits here, to add to it.
    pub(super) fn waits(&mut self) -> &mut Waits {
        self.waits.get_or_insert_default()
    }

    /// Takes one list of what waits.
    pub(super) fn take_waiting<T>(
        &mut self,
        list: impl FnOnce(&mut Waits) -> &mut Vec<T>,
    ) -> Vec<T> {
        let Some(waits) = self.waits.as_deref_mut() else { return Vec::new() };
        let taken = std::mem::take(list(waits));
        if waits.is_empty() {
            self.waits = None;
        }
        taken
    }

    /// Whether it can be let go: everything is stored up to `stored` and nobody is logged in.
    pub(super) fn is_unused(&self, stored: Ticket) -> bool {
        if is_planted(Fault::EvictedTooEarly) && self.stage == Stage::Ready {
            return self.sessions.is_empty() && self.waits.is_none();
        }
        self.stage == Stage::Ready
            && self.sessions.is_empty()
            && self.waits.is_none()
            && self.durable == self.record.head
            && self.last_ticket <= stored
            && self.receipts_waiting == 0
            && self.save == SaveCursors::Stored
            && !(self.pump_queued || self.is_looking)
    }

    /// Whether an earlier wish about the same item waits.
    pub(super) fn is_put_waiting(&self, wish: &Wish) -> bool {
        let is_same = |(_, it): &(ConnId, Wish)| (it.kind, &it.key) == (wish.kind, &wish.key);
        self.waits.as_ref().is_some_and(|waits| waits.puts.iter().any(is_same))
    }

    /// Whether the user's own sends must be copied to its inbox.
    pub(super) fn has_several_devices(&self) -> bool {
        self.record.devices.len() > 1
    }

    pub(super) fn device(&mut self, device: DeviceId) -> Option<&mut Device> {
        self.record.devices.iter_mut().find(|known| known.device == device)
    }

    pub(super) fn session_of(&self, device: DeviceId) -> Option<ConnId> {
        self.sessions.iter().find(|(known, _)| *known == device).map(|&(_, conn)| conn)
    }

    /// Adds a message at the head.
    pub(super) fn append(&mut self, entry: TailEntry) {
        self.record.head += 1;
        self.record.head_bytes = entry.header.total_bytes;
        self.tail_bytes += entry.held_bytes();
        self.tail.push_back(entry);
    }

    /// Uses a position for nothing, if nothing is in memory.
    pub(super) fn burn_position(&mut self) {
        if self.tail.is_empty() && self.durable == self.record.head {
            self.record.head += 1;
            (self.durable, self.tail_first) = (self.record.head, self.record.head + 1);
        }
    }

    /// The entry at `position`, if it is in memory.
    pub(super) fn tail_at(&self, position: u64) -> Option<&TailEntry> {
        self.tail.get(position.checked_sub(self.tail_first)? as usize)
    }

    /// Lets go of the entries that every logged-in device was sent, and of stored ones beyond
    /// `bytes_max`. `sent_through` is the smallest position that all of them were sent. The others
    /// are copied, since the block that they were cut from may be much larger.
    pub(super) fn release_tail(&mut self, sent_through: u64, bytes_max: usize) {
        while self.tail_first <= self.durable {
            let unneeded = self.tail_first <= sent_through;
            if !unneeded && self.tail_bytes <= bytes_max {
                break;
            }
            let Some(entry) = self.tail.pop_front() else { break };
            self.tail_bytes -= entry.held_bytes();
            self.tail_first += 1;
        }
        let kept_first = self.tail_copied.max(self.tail_first - 1) + 1;
        for position in kept_first..=self.durable {
            if let Some(entry) = self.tail.get_mut((position - self.tail_first) as usize) {
                entry.body = Bytes::copy_from_slice(&entry.body);
            }
        }
        self.tail_copied = self.durable;
        if self.tail.is_empty() && self.tail.capacity() > 32 {
            self.tail = VecDeque::new();
        }
    }

    /// Moves the trim to the smallest cursor of the devices.
    pub(super) fn trim_to_devices(&mut self) {
        let slowest = if is_planted(Fault::TrimPastCursor) {
            self.record.devices.iter().max_by_key(|device| device.cursor)
        } else {
            self.record.slowest()
        };
        if let Some(&Device { cursor, cursor_bytes, .. }) = slowest
            && cursor > self.record.trim
        {
            (self.record.trim, self.record.trim_bytes) = (cursor, cursor_bytes);
        }
    }

    /// Moves the trim, and the devices behind it, over entries that are gone.
    pub(super) fn trim_to(&mut self, through: u64, through_bytes: u64) {
        self.record.trim_to(through, through_bytes);
    }

    /// The running total of bytes at `position`, where it is known without reading storage.
    pub(super) fn total_bytes_at(&self, position: u64) -> Option<u64> {
        if position == self.record.head {
            return Some(self.record.head_bytes);
        }
        let next = self.tail_at(position + 1)?;
        Some(next.header.total_bytes - next.body.len() as u64)
    }
}
