//! What the campaign and its devices share: where the server is, what everyone is to do, and the
//! order of all lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::feature::{Feature, Features};

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

/// Login tokens by user and device.
pub type Tokens = HashMap<(u64, u64), Vec<u8>>;
/// The last ticked send (number, ordinal) of each user's device to each peer.
pub type Ticked = BTreeMap<(u64, u64), BTreeMap<u64, (u64, u64)>>;

/// The owner of each group that was made.
pub type Groups = BTreeMap<u64, u64>;

/// From whom a user hides, as its book says in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hides {
    /// Nothing is known of it, or it shows itself to some only.
    #[default]
    FromAll,
    /// From the one it blocks.
    From(u64),
    /// It shows everything to everybody.
    FromNobody,
}

/// Whether a user is there.
#[derive(Debug, Default)]
struct Here {
    /// The devices that its person has before it.
    devices: BTreeSet<u64>,
    hides: Hides,
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
    /// Empty where the server asks for none.
    tokens: Tokens,
    /// The server or the network may be silent: that breaks no promise now.
    is_silence_excused: AtomicBool,
    /// How often all connections were to be broken.
    shakes: AtomicU32,
    turned_away: AtomicU64,
    last_ticked: Mutex<Ticked>,
    ticked: AtomicU64,
    shown: AtomicU64,
    /// What devices do.
    features: Features,
    groups: Mutex<Groups>,
    last_group_ticked: Mutex<Ticked>,
    here: Mutex<BTreeMap<u64, Here>>,
}

impl World {
    /// A world of so many devices, whose histories are in a directory.
    pub fn new(histories: PathBuf, devices: usize, tokens: Tokens, features: Features) -> World {
        World {
            histories,
            began: Instant::now(),
            lines: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Load as u8),
            round: AtomicU32::new(0),
            server: RwLock::new(None),
            settled: (0..devices).map(|_| AtomicU8::new(Phase::Load as u8)).collect(),
            news_us: AtomicU64::new(0),
            tokens,
            is_silence_excused: AtomicBool::new(false),
            shakes: AtomicU32::new(0),
            turned_away: AtomicU64::new(0),
            last_ticked: Mutex::default(),
            ticked: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            features,
            groups: Mutex::default(),
            last_group_ticked: Mutex::default(),
            here: Mutex::default(),
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

    /// The login token of a user's device; empty where the server asks for none.
    pub fn token(&self, user: u64, device: u64) -> &[u8] {
        self.tokens.get(&(user, device)).map_or(&[], Vec::as_slice)
    }

    /// Whether the silence of the server breaks no promise now.
    pub fn is_silence_excused(&self) -> bool {
        self.is_silence_excused.load(Ordering::Relaxed)
    }

    /// From now on the silence of the server is excused, or isn't.
    pub fn excuse_silence(&self, is_excused: bool) {
        self.is_silence_excused.store(is_excused, Ordering::Relaxed);
    }

    /// How often all connections were to be broken so far.
    pub fn shakes(&self) -> u32 {
        self.shakes.load(Ordering::Relaxed)
    }

    /// Every device breaks its connection and comes back.
    pub fn shake(&self) {
        self.shakes.fetch_add(1, Ordering::Relaxed);
    }

    /// A login was refused since the server holds as many connections as it may.
    pub fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that happened.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// A device's send to a peer was ticked.
    pub fn count_tick(&self, (user, device): (u64, u64), peer: u64, number: u64, ordinal: u64) {
        self.ticked.fetch_add(1, Ordering::Relaxed);
        let mut ticked = self.last_ticked.lock().unwrap_or_else(PoisonError::into_inner);
        ticked.entry((user, device)).or_default().insert(peer, (number, ordinal));
    }

    /// The last ticked sends.
    pub fn last_ticked(&self) -> Ticked {
        self.last_ticked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether devices do this.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// A group was made.
    pub fn add_group(&self, group: u64, owner: u64) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(group, owner);
    }

    /// The groups that were made.
    pub fn groups(&self) -> Groups {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A device's send to a group, or change of it, was ticked.
    pub fn count_group_tick(&self, device: (u64, u64), group: u64, number: u64, position: u64) {
        self.ticked.fetch_add(1, Ordering::Relaxed);
        let mut ticked = self.last_group_ticked.lock().unwrap_or_else(PoisonError::into_inner);
        ticked.entry(device).or_default().insert(group, (number, position));
    }

    /// The last ticked send or change of each device in each group, with its position.
    pub fn last_group_ticked(&self) -> Ticked {
        self.last_group_ticked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A user's person has a device before it, or no more.
    pub fn set_here(&self, user: u64, device: u64, is_here: bool) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let devices = &mut here.entry(user).or_default().devices;
        if is_here {
            devices.insert(device);
        } else {
            devices.remove(&device);
        }
    }

    /// A user says from whom it hides.
    pub fn set_hides(&self, user: u64, hides: Hides) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.entry(user).or_default().hides = hides;
    }

    /// Whether a watcher should see that a user is there.
    pub fn is_expected(&self, user: u64, watcher: u64) -> bool {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.get(&user).is_some_and(|here| {
            let shows_itself = match here.hides {
                Hides::FromAll => false,
                Hides::From(blocked) => blocked != watcher,
                Hides::FromNobody => true,
            };
            shows_itself && !here.devices.is_empty()
        })
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
        let world = World::new(PathBuf::new(), 2, Tokens::new(), Features::default());
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
        let world = World::new(PathBuf::new(), 2, Tokens::new(), Features::default());
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
        let world = World::new(PathBuf::new(), 0, Tokens::new(), Features::default());
        assert_eq!([world.next_line().0, world.next_line().0], [1, 2]);
    }
}
