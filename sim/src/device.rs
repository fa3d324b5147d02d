//! A device that keeps the rules: the client's session, and a store that survives its crashes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fulmar_client::core::{Identity, Session};
use fulmar_client::store::{MemoryStore, Store as _, Write};
use fulmar_client::{MessageId, Target};

use crate::clock::Time;
use crate::dice::Dice;
use crate::network::ConnNo;
use crate::world::Echo;

/// Messages that a person may still look at.
const UNREAD_MAX: usize = 32;
/// Messages that a person may still do something to.
const REMEMBERED_MAX: usize = 24;
/// Rejected messages that a person may still send again.
const REJECTED_MAX: usize = 16;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) user: u64,
    pub(crate) number: u16,
    token: Vec<u8>,
    /// The running program.
    pub(crate) session: Option<Session>,
    pub(crate) store: MemoryStore,
    /// The batch that the store is committing.
    pub(crate) batch: Option<Vec<Write>>,
    pub(crate) conn: Option<ConnNo>,
    /// A second connection that the network made when it dialed.
    pub(crate) echo: Option<Echo>,
    /// How often the program began: what belongs to an earlier one is outdated.
    pub(crate) process: u32,
    /// The earliest timer in the schedule.
    pub(crate) timer: Time,
    /// It was told not to come back by itself.
    pub(crate) is_stopped: bool,
    /// Its store is new, and what was before wasn't fetched yet.
    pub(crate) is_new: bool,
    /// It is lost when the trouble is over, and comes back no more.
    pub(crate) is_lost: bool,
    /// Peers and ordinals that the person hasn't looked at.
    pub(crate) unread: VecDeque<(u64, u64)>,
    pub(crate) rejected: VecDeque<MessageId>,
    /// Messages that came last, or that were sent.
    pub(crate) remembered: VecDeque<MessageId>,
    /// After how many seconds messages disappear, in conversations that agreed on something.
    pub(crate) timers: BTreeMap<Target, u64>,
    /// Groups that the person heard of, the one heard of last at the end.
    pub(crate) groups: Vec<u64>,
    /// Groups and positions that the person hasn't looked at.
    pub(crate) unread_of_groups: VecDeque<(u64, u64)>,
    /// Whom the running program watches.
    pub(crate) watched: Vec<u64>,
    /// Where the person began to write last.
    pub(crate) typing: Option<Target>,
}

impl Device {
    pub(crate) fn new(user: u64, number: u16, uses_tokens: bool) -> Self {
        Device {
            user,
            number,
            token: if uses_tokens { token(user, u64::from(number), "good") } else { Vec::new() },
            session: None,
            store: MemoryStore::new(),
            batch: None,
            conn: None,
            echo: None,
            process: 0,
            timer: Time::MAX,
            is_stopped: false,
            is_new: false,
            is_lost: false,
            unread: VecDeque::new(),
            rejected: VecDeque::new(),
            remembered: VecDeque::new(),
            timers: BTreeMap::new(),
            groups: Vec::new(),
            unread_of_groups: VecDeque::new(),
            watched: Vec::new(),
            typing: None,
        }
    }

    /// The program begins, on what the store holds.
    pub(crate) fn start(&mut self, seed: u64) {
        let identity = Identity {
            user: self.user,
            device: u64::from(self.number),
            token: self.token.clone(),
            agent: "sim".into(),
        };
        let snapshot = self.store.load().expect("a store in memory");
        self.session = Some(Session::new(identity, snapshot, seed));
        (self.timer, self.is_stopped) = (Time::MAX, false);
    }

    /// The program ends; its connection and what its store was committing are left to the caller.
    pub(crate) fn end(&mut self) {
        self.session = None;
        self.watched.clear();
        self.typing = None;
        self.process += 1;
    }

    /// Everything in the store is gone.
    pub(crate) fn lose_store(&mut self) {
        self.store = MemoryStore::new();
        self.batch = None;
        self.is_new = true;
        self.unread.clear();
        self.rejected.clear();
        self.remembered.clear();
        self.timers.clear();
        self.groups.clear();
        self.unread_of_groups.clear();
    }

    /// Whether it is logged in and waits for nothing.
    pub(crate) fn is_at_rest(&self) -> bool {
        let quiet = |session: &Session| {
            session.is_online() && session.unanswered() + session.unanswered_puts() == 0
        };
        self.batch.is_none() && self.session.as_ref().is_some_and(quiet)
    }

    /// A message arrived that the person may look at.
    pub(crate) fn arrived(&mut self, peer: u64, ordinal: u64) {
        if self.unread.len() == UNREAD_MAX {
            self.unread.pop_front();
        }
        self.unread.push_back((peer, ordinal));
    }

    /// The person hears of a group.
    pub(crate) fn knows_group(&mut self, group: u64) {
        if group > 0 && !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// An entry of a group arrived that the person may look at.
    pub(crate) fn arrived_in_group(&mut self, group: u64, position: u64) {
        if self.unread_of_groups.len() == UNREAD_MAX {
            self.unread_of_groups.pop_front();
        }
        self.unread_of_groups.push_back((group, position));
    }

    /// A message is there that the person may do something to.
    pub(crate) fn remembers(&mut self, id: MessageId) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(id);
    }

    /// A message was rejected; the person may send it again.
    pub(crate) fn was_rejected(&mut self, id: MessageId) {
        if self.rejected.len() == REJECTED_MAX {
            self.rejected.pop_front();
        }
        self.rejected.push_back(id);
    }
}

/// A login token of this world: who it is for, and what the check says of it.
pub(crate) fn token(user: u64, device: u64, verdict: &str) -> Vec<u8> {
    format!("{user}.{device}.{verdict}").into_bytes()
}

/// A body that begins with a number of its own where it has room for it.
pub(crate) fn body(serial: u64, bytes: usize) -> Arc<[u8]> {
    let mut word = serial;
    let mut body = Vec::with_capacity(bytes + 8);
    while body.len() < bytes {
        body.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(serial);
    }
    body.truncate(bytes);
    body.into()
}

/// How long a body is: usually a few words, now and then much more, and sometimes nothing.
pub(crate) fn body_bytes(dice: &mut Dice, usual: u64, large_percent: u64) -> usize {
    let bytes = if dice.percent(large_percent) {
        dice.between(16_000..=120_000)
    } else if dice.once_in(40) {
        dice.below(9)
    } else {
        dice.between(8..=usual.max(9))
    };
    bytes as usize
}
