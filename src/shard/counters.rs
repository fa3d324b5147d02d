//! What a shard counts. Plain numbers; the driver publishes them.

use fulmar_protocol::{Code, Kind};

/// Kinds have numbers below this.
pub const KINDS: usize = Kind::NUMBERS;

/// A count for each code.
pub type ByCode = [u64; Code::ALL.len()];

/// See the module's description. All but the last group only rise.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Frames received, by kind number.
    pub frames_received: [u64; KINDS],
    /// Frames sent, by kind number.
    pub frames_sent: [u64; KINDS],
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes put into output.
    pub sent_bytes: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Logins that were welcomed.
    pub logins: u64,
    /// Sessions that a newer one of the same device replaced.
    pub takeovers: u64,
    /// Hellos refused, by the index of the code in [`Code::ALL`].
    pub refused: ByCode,
    /// Sends rejected, likewise.
    pub rejected: ByCode,
    /// Sessions ended by the server, likewise.
    pub goodbyes: ByCode,
    /// Messages that were given a place in an inbox.
    pub messages: u64,
    /// Users and conversations that were let go from memory.
    pub evictions: u64,
    /// Loads asked for.
    pub hydrations: u64,
    /// Cold reads of messages.
    pub cold_reads: u64,
    /// Deliveries that had to wait since the device's window was full.
    pub windows_full: u64,
    /// Connections that were paused.
    pub pauses: u64,
    /// Receipts held back under load.
    pub receipts_held: u64,
    /// Times that ticks or receipts of a connection waited for company.
    pub gathered: u64,
    /// Receipts that a full output had no room for.
    pub receipts_stalled: u64,
    /// Letters to other cores.
    pub letters: u64,
    /// Changes of somebody's presence that watchers were told.
    pub presence_told: u64,
    /// Times that telling them had to wait for the load to fall or for an output to empty.
    pub presence_held: u64,
    /// Frames about writing that were dropped under load.
    pub typing_shed: u64,
    /// Those that came too fast.
    pub typing_limited: u64,

    /// Connections now.
    pub connections: u64,
    /// Sessions now.
    pub sessions: u64,
    /// People of this core who are online now.
    pub users_online: u64,
    /// People whom sessions of this core watch now, counted for each session.
    pub watches: u64,
    /// Users in memory now.
    pub users_warm: u64,
    /// Conversations in memory now.
    pub conversations_warm: u64,
    /// The level of overload now, 0 for none.
    pub overload_level: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            frames_received: [0; KINDS],
            frames_sent: [0; KINDS],
            received_bytes: 0,
            sent_bytes: 0,
            accepted: 0,
            logins: 0,
            takeovers: 0,
            refused: [0; Code::ALL.len()],
            rejected: [0; Code::ALL.len()],
            goodbyes: [0; Code::ALL.len()],
            messages: 0,
            evictions: 0,
            hydrations: 0,
            cold_reads: 0,
            windows_full: 0,
            pauses: 0,
            receipts_held: 0,
            gathered: 0,
            receipts_stalled: 0,
            letters: 0,
            presence_told: 0,
            presence_held: 0,
            typing_shed: 0,
            typing_limited: 0,
            connections: 0,
            sessions: 0,
            users_online: 0,
            watches: 0,
            users_warm: 0,
            conversations_warm: 0,
            overload_level: 0,
        }
    }
}

/// Counts a code.
pub(super) fn count(counts: &mut ByCode, code: Code) {
    if let Some(index) = Code::ALL.iter().position(|&known| known == code) {
        counts[index] += 1;
    }
}

impl Counters {
    pub(super) const fn received(&mut self, kind: Option<Kind>) {
        let index = match kind {
            Some(kind) => kind as usize,
            None => 0,
        };
        self.frames_received[index] += 1;
    }

    pub(super) const fn sent(&mut self, kind: Option<Kind>) {
        let index = match kind {
            Some(kind) => kind as usize,
            None => 0,
        };
        self.frames_sent[index] += 1;
    }
}
