//! What happens next: events ordered by their time, and by the order in which they were entered.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::clock::Time;
use crate::network::{ConnNo, Way};

/// Something that happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A core has its turn.
    Core { run: u32, core: u16 },
    /// The journal goes on.
    Journal { run: u32 },
    /// The drain looks at the journal.
    Drain { run: u32 },
    /// A worker reads for a job.
    Read { run: u32, job: u32 },
    /// A worker leaves the answer to a job.
    Answer { run: u32, job: u32 },
    /// The server's host notices an attempt to connect.
    Dial { conn: ConnNo },
    /// The client learns what became of its attempt.
    Dialed { conn: ConnNo, is_open: bool },
    /// Bytes arrive.
    Arrive { conn: ConnNo, way: Way, bytes: u32 },
    /// The end of a direction arrives.
    Fin { conn: ConnNo, way: Way },
    /// A writer learns that its bytes were taken.
    Written { conn: ConnNo, way: Way },
    /// A reader goes on with what had arrived.
    ReadOn { conn: ConnNo, way: Way },
    /// One side learns that the connection is broken.
    Reset { conn: ConnNo, way: Way },
    /// The client's machine gives up on bytes that nobody confirms.
    GiveUp { conn: ConnNo },
    /// The second connection of a device that dialed ends.
    EchoEnds { device: u32, conn: ConnNo },
    /// A device's session has something to do.
    DeviceTimer { device: u32, process: u32 },
    /// A device's store has committed.
    DeviceStored { device: u32, process: u32 },
    /// A device's program begins again.
    DeviceStart { device: u32, process: u32 },
    /// A person does something.
    Person { device: u32 },
    /// A misbehaving client does something.
    Rogue { rogue: u32 },
    /// Something breaks.
    Fault { kind: FaultKind },
    /// The node starts.
    NodeStart { run: u32 },
    /// The oracle looks whether everything has come to rest.
    Look,
}

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The node is killed.
    Kill,
    /// Its machine loses power.
    PowerCut,
    /// It is told to stop.
    CleanStop,
    /// A core isn't run for a while.
    CoreStall,
    /// The journal isn't.
    JournalStall,
    /// A connection is cut.
    Cut,
    /// A connection vanishes without a word.
    Vanish,
    /// A client moves to another network, which the server isn't told.
    Roam,
    /// A client stops reading for a while.
    ReaderStall,
    /// A device's program crashes.
    DeviceCrash,
    /// A device is switched off for a while.
    DeviceAway,
    /// A device loses its store.
    Reinstall,
    /// The wall clock jumps.
    ClockJump,
    /// Many people write at once.
    Burst,
    /// Another program logs in as a device.
    Twin,
    /// The database drops what has expired.
    Compaction,
}

impl Event {
    /// The event as numbers: what it is, and what tells it from others of its kind.
    pub(crate) fn numbers(self) -> (u64, [u64; 3]) {
        let (what, a, b, c) = match self {
            Event::Core { run, core } => (1, u64::from(run), u64::from(core), 0),
            Event::Journal { run } => (2, u64::from(run), 0, 0),
            Event::Drain { run } => (3, u64::from(run), 0, 0),
            Event::Read { run, job } => (4, u64::from(run), u64::from(job), 0),
            Event::Answer { run, job } => (5, u64::from(run), u64::from(job), 0),
            Event::Dial { conn } => (6, u64::from(conn), 0, 0),
            Event::Dialed { conn, is_open } => (7, u64::from(conn), u64::from(is_open), 0),
            Event::Arrive { conn, way, bytes } => {
                (8, u64::from(conn), way as u64, u64::from(bytes))
            }
            Event::Fin { conn, way } => (9, u64::from(conn), way as u64, 0),
            Event::Written { conn, way } => (10, u64::from(conn), way as u64, 0),
            Event::ReadOn { conn, way } => (11, u64::from(conn), way as u64, 0),
            Event::Reset { conn, way } => (12, u64::from(conn), way as u64, 0),
            Event::DeviceTimer { device, process } => {
                (13, u64::from(device), u64::from(process), 0)
            }
            Event::DeviceStored { device, process } => {
                (14, u64::from(device), u64::from(process), 0)
            }
            Event::DeviceStart { device, process } => {
                (15, u64::from(device), u64::from(process), 0)
            }
            Event::Person { device } => (16, u64::from(device), 0, 0),
            Event::Rogue { rogue } => (17, u64::from(rogue), 0, 0),
            Event::Fault { kind } => (18, kind as u64, 0, 0),
            Event::NodeStart { run } => (19, u64::from(run), 0, 0),
            Event::Look => (20, 0, 0, 0),
            Event::GiveUp { conn } => (21, u64::from(conn), 0, 0),
            Event::EchoEnds { device, conn } => (22, u64::from(device), u64::from(conn), 0),
        };
        (what, [a, b, c])
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    at: Time,
    seq: u64,
    event: Event,
}

impl Ord for Entry {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    now: Time,
    seq: u64,
    heap: BinaryHeap<Entry>,
}

impl Schedule {
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// Enters an event for this time, or for now if that is past.
    pub(crate) fn at(&mut self, at: Time, event: Event) {
        self.seq += 1;
        self.heap.push(Entry { at: at.max(self.now), seq: self.seq, event });
    }

    /// Enters an event for a time from now.
    pub(crate) fn after(&mut self, pause: Time, event: Event) {
        self.at(self.now.saturating_add(pause), event);
    }

    /// Moves on to the next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let entry = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}
