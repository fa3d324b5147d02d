//! Conversations: how far the peer is with what I sent, how far I am with what the peer sent.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::MessageId;
use crate::store::ConversationState;

/// Pongs after which the server surely took a READ that went out before them: the first says that
/// it read the frame, the second that it also had an interval of time to make it durable.
const PONGS_TO_CONFIRM: u64 = 2;

/// How a receipt moved a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// The new delivered ordinal, where it rose.
    pub(super) delivered: Option<u64>,
    /// The new read ordinal, where it rose.
    pub(super) read: Option<u64>,
}

impl Moved {
    /// Whether anything rose.
    pub(super) fn any(self) -> bool {
        self != Moved::default()
    }
}

/// All conversations of the device; about 150 bytes each, as many as the store has.
#[derive(Debug)]
pub(super) struct Conversations {
    states: BTreeMap<u64, ConversationState>,
    /// Largest ordinal of each peer's messages that is durable here. A READ never goes beyond it, since what
    /// the person saw counts as delivered.
    stored: BTreeMap<u64, u64>,
    /// Peers whose `seen` has to be told on this connection.
    reads_due: BTreeSet<u64>,
    /// Peers whose `seen` was told on this connection: what, and after how many pongs.
    reads_told: BTreeMap<u64, (u64, u64)>,
}

impl Conversations {
    pub(super) fn new(states: Vec<ConversationState>) -> Self {
        Conversations {
            stored: states.iter().map(|state| (state.peer, state.in_last)).collect(),
            states: states.into_iter().map(|state| (state.peer, state)).collect(),
            reads_due: BTreeSet::new(),
            reads_told: BTreeMap::new(),
        }
    }

    /// The state of a conversation, which begins now if it is new.
    pub(super) fn state(&mut self, peer: u64) -> &mut ConversationState {
        self.states.entry(peer).or_insert_with(|| ConversationState::new(peer))
    }

    /// A message of the peer came.
    pub(super) fn received(&mut self, peer: u64, ordinal: u64, id: MessageId) {
        let state = self.state(peer);
        state.in_last = state.in_last.max(ordinal);
        state.last = state.last.newer(id);
    }

    /// That message is durable.
    pub(super) fn stored(&mut self, peer: u64, ordinal: u64) {
        let stored = self.stored.entry(peer).or_default();
        *stored = (*stored).max(ordinal);
    }

    /// A message to the peer was written.
    pub(super) fn wrote(&mut self, peer: u64, id: MessageId) {
        let state = self.state(peer);
        state.last = state.last.newer(id);
    }

    /// A message to the peer is durable with the server.
    pub(super) fn sent(&mut self, peer: u64, ordinal: u64) {
        let state = self.state(peer);
        state.out_last = state.out_last.max(ordinal);
    }

    /// A receipt for what I sent to the peer.
    pub(super) fn receipt(&mut self, peer: u64, delivered: u64, read: u64) -> Moved {
        let state = self.state(peer);
        let before = *state;
        state.read = before.read.max(read);
        state.delivered = before.delivered.max(delivered).max(read);
        Moved {
            delivered: (state.delivered > before.delivered).then_some(state.delivered),
            read: (state.read > before.read).then_some(state.read),
        }
    }

    /// I saw the peer's messages up to `ordinal`, on this device; whether that was new.
    pub(super) fn saw(&mut self, peer: u64, ordinal: u64) -> bool {
        let Some(stored) = self.stored.get(&peer) else { return false };
        let ordinal = ordinal.min(*stored);
        let state = self.state(peer);
        if ordinal <= state.seen {
            return false;
        }
        state.seen = ordinal;
        self.reads_due.insert(peer);
        true
    }

    /// I saw the peer's messages up to `ordinal`, on another device; whether that was new. What this
    /// device saw itself it goes on to report: the server may tell it back before it is durable there.
    pub(super) fn saw_elsewhere(&mut self, peer: u64, ordinal: u64) -> bool {
        let state = self.state(peer);
        let new = ordinal > state.seen;
        if new {
            if state.seen == state.seen_confirmed {
                state.seen_confirmed = ordinal;
            }
            state.seen = ordinal;
        }
        new
    }

    /// A connection begins: every READ that an earlier one may have lost is due.
    pub(super) fn begin(&mut self) {
        let unconfirmed = |state: &&ConversationState| state.seen > state.seen_confirmed;
        self.reads_due = self.states.values().filter(unconfirmed).map(|state| state.peer).collect();
    }

    /// The peers whose newest own message isn't read yet, the newest conversation first.
    pub(super) fn unread(&self) -> impl Iterator<Item = u64> + use<> {
        let mut unread: Vec<_> =
            self.states.values().filter(|state| state.out_last > state.read).copied().collect();
        unread.sort_by_key(|state| std::cmp::Reverse(state.last));
        unread.into_iter().map(|state| state.peer)
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.reads_due.clear();
        self.reads_told.clear();
    }

    /// The next READ that is due: peer and ordinal. It counts as told after `pongs` pongs, with which all pings
    /// before it are answered.
    pub(super) fn next_read(&mut self, pongs: u64) -> Option<(u64, u64)> {
        let peer = self.reads_due.pop_first()?;
        let seen = self.state(peer).seen;
        self.reads_told.insert(peer, (seen, pongs));
        Some((peer, seen))
    }

    /// The server's numbers of all directions may have gone back. What was received counts as seen;
    /// how far the peers are is asked anew.
    pub(super) fn went_back(&mut self) {
        self.states.values_mut().for_each(ConversationState::go_back);
        self.stored.clear();
    }

    /// After `pongs` pongs: the conversations whose READ the server now surely knows.
    pub(super) fn confirm_reads(&mut self, pongs: u64) -> Vec<ConversationState> {
        let sure = |told: u64| pongs >= told + PONGS_TO_CONFIRM;
        let confirmed: Vec<_> = self
            .reads_told
            .iter()
            .filter(|(_, (_, told))| sure(*told))
            .map(|(&peer, &(seen, _))| (peer, seen))
            .collect();
        confirmed
            .into_iter()
            .map(|(peer, seen)| {
                self.reads_told.remove(&peer);
                let state = self.state(peer);
                state.seen_confirmed = state.seen_confirmed.max(seen);
                *state
            })
            .collect()
    }
}
