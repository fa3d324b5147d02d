//! What the campaign and its devices share: where the server is, what everyone is to do, and the
//! order of all lines.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What the devices do.
///
/// ```text
/// Load ──the last kill is behind us──► Drain ──all settled──► Stop ──► Final ──all settled──► End
/// ```
/// Any phase goes to `End` when the run is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Each follows its habits.
    Load,
    /// Everyone is online and takes what is owed to it; nothing new is written.
    Drain,
    /// The server is being stopped; nobody connects.
    Stop,
    /// The server is there again: as in `Drain`, and everyone asks for every receipt.
    Final,
    /// Everyone ends.
    End,
}

impl Phase {
    const ALL: [Phase; 5] = [Phase::Load, Phase::Drain, Phase::Stop, Phase::Final, Phase::End];

    /// Whether the run comes to rest in this phase.
    pub const fn settles(self) -> bool {
        matches!(self, Phase::Drain | Phase::Final)
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct World {
    histories: PathBuf,
    began: Instant,
    lines: AtomicU64,
    phase: AtomicU8,
    round: AtomicU32,
    server: RwLock<Option<SocketAddr>>,
    /// By device: the phase in which it has come to rest, as a number; `Load` if in none.
    settled: Box<[AtomicU8]>,
    /// When something last came from the server, since the beginning.
    news_us: AtomicU64,
    ticked: AtomicU64,
    shown: AtomicU64,
}

impl World {
    /// A world of so many devices, whose histories are in a directory.
    pub fn new(histories: PathBuf, devices: usize) -> World {
        World {
            histories,
            began: Instant::now(),
            lines: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Load as u8),
            round: AtomicU32::new(0),
            server: RwLock::new(None),
            settled: (0..devices).map(|_| AtomicU8::new(Phase::Load as u8)).collect(),
            news_us: AtomicU64::new(0),
            ticked: AtomicU64::new(0),
            shown: AtomicU64::new(0),
        }
    }

    /// Where the histories are.
    pub fn histories(&self) -> &Path {
        &self.histories
    }

    /// The number of a new line, and the time since the beginning in microseconds.
    ///
    /// The counter is one atomic variable: if a line had anything to do with another's coming
    /// about, through whatever sockets and processes, its number is larger.
    pub fn next_line(&self) -> (u64, u64) {
        (self.lines.fetch_add(1, Ordering::SeqCst) + 1, self.elapsed_us())
    }

    /// What everyone is to do now.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::SeqCst))]
    }

    /// Goes on to a later phase.
    pub fn set_phase(&self, phase: Phase) {
        // What was heard before doesn't count for the quiet of this phase.
        self.heard();
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
    }

    /// How many rounds have begun.
    pub fn round(&self) -> u32 {
        self.round.load(Ordering::Relaxed)
    }

    /// A round begins.
    pub fn begin_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the server is; `None` while it isn't.
    pub fn server(&self) -> Option<SocketAddr> {
        *self.server.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the devices where the server is.
    pub fn set_server(&self, address: Option<SocketAddr>) {
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// A device says whether it has come to rest in a phase.
    pub fn set_settled(&self, device: usize, phase: Phase, settled: bool) {
        let phase = if settled { phase } else { Phase::Load };
        self.settled[device].store(phase as u8, Ordering::SeqCst);
    }

    /// How many devices haven't come to rest in the present phase.
    pub fn unsettled(&self) -> usize {
        let phase = self.phase() as u8;
        self.settled.iter().filter(|settled| settled.load(Ordering::SeqCst) != phase).count()
    }

    /// Something came from the server that isn't a mere pong.
    pub fn heard(&self) {
        self.news_us.fetch_max(self.elapsed_us(), Ordering::SeqCst);
    }

    /// For how long nothing came to any device.
    pub fn quiet(&self) -> Duration {
        let news_us = self.news_us.load(Ordering::SeqCst);
        Duration::from_micros(self.elapsed_us().saturating_sub(news_us))
    }

    /// A message was ticked.
    pub fn count_tick(&self) {
        self.ticked.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was shown.
    pub fn count_shown(&self) {
        self.shown.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages ticked and messages shown so far, for the run's progress on the screen.
    pub fn counts(&self) -> (u64, u64) {
        (self.ticked.load(Ordering::Relaxed), self.shown.load(Ordering::Relaxed))
    }

    fn elapsed_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_on() {
        let world = World::new(PathBuf::new(), 2);
        assert_eq!(world.phase(), Phase::Load);
        for (index, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, index);
        }
        world.set_phase(Phase::End);
        world.set_phase(Phase::Drain);
        assert_eq!(world.phase(), Phase::End);
    }

    #[test]
    fn settled_counts_for_the_present_phase_only() {
        let world = World::new(PathBuf::new(), 2);
        world.set_phase(Phase::Drain);
        assert_eq!(world.unsettled(), 2);
        world.set_settled(0, Phase::Drain, true);
        world.set_settled(1, Phase::Drain, true);
        assert_eq!(world.unsettled(), 0);
        world.set_settled(1, Phase::Drain, false);
        assert_eq!(world.unsettled(), 1);
        world.set_phase(Phase::Final);
        assert_eq!(world.unsettled(), 2);
    }

    #[test]
    fn lines_are_numbered_from_one() {
        let world = World::new(PathBuf::new(), 0);
        assert_eq!([world.next_line().0, world.next_line().0], [1, 2]);
    }
}
