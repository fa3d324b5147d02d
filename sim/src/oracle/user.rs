//! A user: the inbox as its devices saw it, and the devices.

use fulmar_client::store::ConversationState;

use super::Complaint;
use super::digest::Digest;
use super::direction::RESENDS_KEPT;
use crate::clock::Time;

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Index of the other user.
    pub(crate) peer: u32,
    pub(crate) ordinal: u64,
    pub(crate) own: bool,
    /// It tells of a group, and the digest is the group's.
    pub(crate) is_notice: bool,
    pub(crate) digest: Digest,
    pub(crate) time_ms: u64,
}

/// Positions that are in a set, as bits.
#[derive(Debug, Default, Clone)]
pub(crate) struct Positions(Vec<u64>);

impl Positions {
    /// Puts a position in; `false` if it was there.
    pub(crate) fn insert(&mut self, position: u64) -> bool {
        let (word, bit) = ((position / 64) as usize, position % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & (1 << bit) == 0;
        self.0[word] |= 1 << bit;
        is_new
    }

    pub(crate) fn contains(&self, position: u64) -> bool {
        let (word, bit) = ((position / 64) as usize, position % 64);
        self.0.get(word).is_some_and(|word| word & (1 << bit) != 0)
    }
}

/// A device that keeps the rules.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) number: u16,
    /// When it was first welcomed, and so entitled.
    pub(crate) welcomed_at: Option<Time>,
    /// Everything up to here was before its time.
    pub(crate) start: Option<u64>,
    /// How far the slowest other device was when this one began.
    pub(crate) start_floor: u64,
    /// In its store, also one that it lost.
    pub(crate) received: Positions,
    /// In the store that it has.
    pub(crate) kept: Positions,
    /// Told to the person, since the store is the one that it is.
    pub(crate) shown: Positions,
    /// The largest position that it acknowledged.
    pub(crate) acked: u64,
    /// It said a hello: the server may know it.
    pub(crate) has_greeted: bool,
    /// How far the server has surely taken its acknowledgements, in this run of the node.
    pub(crate) taken: u64,
    /// The same, as no crash takes it back.
    pub(crate) durable: u64,
    /// The cursor in its store.
    pub(crate) cursor: u64,
    /// How far each peer is, as its store says: peer, delivered, read, its own last, what it saw.
    pub(crate) conversations: hashbrown::HashMap<u32, Conversation>,
    /// It takes part no more: nothing is owed to it.
    pub(crate) is_gone: bool,
}

/// A conversation as a device's store has it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Conversation {
    pub(crate) delivered: u64,
    pub(crate) read: u64,
    /// What was seen on this device, not on another one: only this device goes on to report it.
    pub(crate) seen: u64,
    pub(crate) out_last: u64,
    /// Each ordinal that was the last for a while: messages that the device has, in their order.
    outs: Vec<u64>,
}

impl Conversation {
    /// The store has a new state.
    pub(crate) fn stored(&mut self, state: &ConversationState) {
        (self.delivered, self.read) = (state.delivered, state.read);
        if state.out_last > self.out_last {
            self.outs.push(state.out_last);
        }
        self.out_last = state.out_last;
        if state.seen > state.seen_confirmed {
            self.seen = state.seen;
        }
    }

    /// The last message up to `ordinal` that the device surely has, and so owes its person a receipt of.
    pub(crate) fn last_out(&self, ordinal: u64) -> u64 {
        let upto = self.outs.partition_point(|&out| out <= ordinal);
        upto.checked_sub(1).map_or(0, |at| self.outs[at])
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) id: u64,
    /// Its devices keep the rules.
    pub(crate) is_good: bool,
    /// A device acknowledged what it hadn't.
    pub(crate) is_liar: bool,
    /// From position 1.
    pub(crate) inbox: Vec<Option<Entry>>,
    /// The largest position that any device was told of.
    pub(crate) told: u64,
    /// Most positions that can be in use: everything that was ever sent to it or by it, without what was
    /// rejected for good.
    pub(crate) positions_max: u64,
    /// Body bytes of the same.
    pub(crate) bytes_max: u64,
    pub(crate) devices: Vec<Device>,
}

impl User {
    pub(crate) fn device(&mut self, number: u16) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.number == number)
    }

    /// Entries that an inbox may take beyond its quota: copies of sends that were under way when it
    /// became full.
    pub(crate) fn overshoot_max(&self, is_kept: bool) -> u64 {
        let devices = self.devices.len() as u64;
        if devices > 1 || is_kept { 2 * devices * RESENDS_KEPT as u64 } else { 0 }
    }

    /// Something was sent that takes a position in this inbox, if it is taken.
    pub(crate) fn may_get(&mut self, digest: Digest) {
        self.positions_max += 1;
        self.bytes_max += u64::from(digest.bytes);
    }

    /// It is not taken.
    pub(crate) fn never_gets(&mut self, digest: Digest) {
        self.positions_max -= 1;
        self.bytes_max -= u64::from(digest.bytes);
    }

    /// Something is at a position.
    pub(crate) fn place(&mut self, position: u64, entry: Entry) -> Result<(), Complaint> {
        self.tell(position)?;
        let at = position as usize - 1;
        if self.inbox.len() <= at {
            self.inbox.resize(at + 1, None);
        }
        match self.inbox[at] {
            Some(known) if known != entry => {
                let detail = format!(
                    "position {position} of user {} was {known:?} and is {entry:?}",
                    self.id
                );
                Err(Complaint("a position is used once", detail))
            }
            Some(_) => Ok(()),
            None => {
                self.inbox[at] = Some(entry);
                Ok(())
            }
        }
    }

    /// A position was named.
    pub(crate) fn tell(&mut self, position: u64) -> Result<(), Complaint> {
        self.told = self.told.max(position);
        self.judge_density()
    }

    /// Each position is filled by something that was sent and not rejected.
    pub(crate) fn judge_density(&self) -> Result<(), Complaint> {
        if self.told > self.positions_max {
            let detail = format!(
                "position {} of user {}, to whom {} messages were sent",
                self.told, self.id, self.positions_max
            );
            return Err(Complaint("positions are dense", detail));
        }
        Ok(())
    }

    pub(crate) fn entry(&self, position: u64) -> Option<Entry> {
        *self.inbox.get((position as usize).checked_sub(1)?)?
    }
}

impl Device {
    /// A message was stored.
    pub(crate) fn store(&mut self, position: u64) -> Result<(), Complaint> {
        if !self.kept.insert(position) {
            let detail = format!("position {position} was stored twice");
            return Err(Complaint("a message is shown once", detail));
        }
        self.received.insert(position);
        Ok(())
    }

    /// A message was shown to the person.
    pub(crate) fn show(&mut self, position: u64) -> Result<(), Complaint> {
        if !self.kept.contains(position) {
            let detail = format!("position {position} is shown before it is stored");
            return Err(Complaint("what is shown is stored", detail));
        }
        if !self.shown.insert(position) {
            let detail = format!("position {position} was shown twice");
            return Err(Complaint("a message is shown once", detail));
        }
        Ok(())
    }

    /// The store is gone, and a new one begins.
    pub(crate) fn lose_store(&mut self) {
        self.kept = Positions::default();
        self.shown = Positions::default();
        self.cursor = 0;
        self.conversations.clear();
    }
}
