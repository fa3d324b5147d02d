//! What a commit costs, in the journal and in RocksDB with its own log: the time until it is durable, and
//! the CPU time of the whole process (drain, flushes and compactions included) per message.
//!
//! `cargo bench --bench journal`. The files lie in `TMPDIR`, which should be a real disk.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fulmar::shard::seam::{Key, LogId, Write};
use fulmar::storage::journal::JournalOptions;
use fulmar::storage::{self, Committer, DrainStop, Durability, Store};
use rocksdb::{DB, WriteBatch, WriteOptions};

/// Messages per commit.
const SIZES: [usize; 3] = [1, 64, 1_024];
const MESSAGE_BYTES: usize = 200;
const CONVERSATION_BYTES: usize = 64;
const INBOX_BYTES: usize = 48;
/// People who are written to, in turn.
const USERS: u64 = 1_000;
/// Messages of a person after which the cursor is stored and the inbox trimmed.
const TRIM_EVERY: u64 = 8;
const WRITE_BUFFER_BYTES: usize = 16 << 20;
const BLOCK_CACHE_BYTES: usize = 32 << 20;

/// The writes of a shard for an endless row of messages, each acknowledged a little later.
struct Traffic {
    writes: Vec<Write>,
    heads: Vec<u64>,
    next: u64,
    message: Bytes,
    conversation: Bytes,
    inbox: Bytes,
}

impl Traffic {
    fn new() -> Self {
        Traffic {
            writes: Vec::new(),
            heads: vec![0; USERS as usize],
            next: 0,
            message: Bytes::from(vec![7; MESSAGE_BYTES]),
            conversation: Bytes::from(vec![5; CONVERSATION_BYTES]),
            inbox: Bytes::from(vec![3; INBOX_BYTES]),
        }
    }

    /// The writes of the next messages.
    fn take(&mut self, messages: usize) -> &[Write] {
        self.writes.clear();
        for _ in 0..messages {
            self.next += 1;
            let user = self.next % USERS;
            let head = &mut self.heads[user as usize];
            *head += 1;
            let (log, position, peer) = (LogId::Inbox(user), *head, (user + 1) % USERS);
            let put = |key, value: &Bytes| Write::Put { key, value: value.clone() };
            self.writes.push(put(Key::Entry { log, position }, &self.message));
            self.writes.push(put(Key::Conversation { log, peer }, &self.conversation));
            if position % TRIM_EVERY == 0 {
                self.writes.push(put(Key::State { log }, &self.inbox));
                let from = position + 1 - TRIM_EVERY;
                self.writes.push(Write::Trim { log, from, through: position });
            }
        }
        &self.writes
    }
}

/// What takes the writes of a commit.
trait Target {
    fn commit(&mut self, writes: &[Write]);
}

struct Journal {
    committer: Committer,
    stopper: DrainStop,
    drain: Option<std::thread::JoinHandle<()>>,
}

impl Journal {
    fn open(path: &Path, is_syncing: bool) -> Self {
        let options = storage::Options {
            durability: if is_syncing { Durability::Fsync } else { Durability::Os },
            write_buffer_bytes: WRITE_BUFFER_BYTES,
            block_cache_bytes: BLOCK_CACHE_BYTES,
            expiry: None,
            journal: JournalOptions::default(),
        };
        let Store { committer, drain, .. } = storage::open(path, &options).expect("open");
        let stopper = drain.stopper();
        let drain = std::thread::spawn(move || drain.run().expect("drain"));
        Journal { committer, stopper, drain: Some(drain) }
    }
}

impl Target for Journal {
    fn commit(&mut self, writes: &[Write]) {
        self.committer.commit(writes.iter()).expect("commit");
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(drain) = self.drain.take() {
            drain.join().expect("the drain ends");
        }
    }
}

/// RocksDB as the log itself: one batch and one sync of its write-ahead log per commit.
struct Direct {
    database: DB,
    is_syncing: bool,
}

impl Direct {
    fn open(path: &Path, is_syncing: bool) -> Self {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.set_allow_concurrent_memtable_write(false);
        options.set_compression_type(rocksdb::DBCompressionType::None);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_write_buffer_number(4);
        Direct { database: DB::open(&options, path).expect("open"), is_syncing }
    }
}

impl Target for Direct {
    fn commit(&mut self, writes: &[Write]) {
        let mut batch = WriteBatch::default();
        for write in writes {
            match write {
                Write::Put { key, value } => batch.put(database_key(*key), value),
                &Write::Trim { log, from, through } => {
                    for position in from..=through {
                        batch.delete(database_key(Key::Entry { log, position }));
                    }
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(self.is_syncing);
        self.database.write_opt(batch, &options).expect("write");
    }
}

fn database_key(key: Key) -> [u8; 17] {
    let (tag, log, second) = match key {
        Key::State { log } => (0, log, 0),
        Key::Conversation { log, peer } => (1, log, peer),
        Key::Entry { log, position } => (2, log, position),
        Key::Presence { user } => (3, LogId::Inbox(user), 0),
        Key::Book { user } => (4, LogId::Inbox(user), 0),
        Key::Name { hash } => (5, LogId::Inbox(hash), 0),
    };
    let user = log.user().expect("only inboxes are written");
    let mut bytes = [tag; 17];
    bytes[1..9].copy_from_slice(&user.to_be_bytes());
    bytes[9..].copy_from_slice(&second.to_be_bytes());
    bytes
}

/// CPU time of all threads of this process.
struct ProcessCpu;

static WALL: WallTime = WallTime;

impl ProcessCpu {
    /// The sum over the threads, none of which ends while something is measured. The kernel brings a
    /// running thread's time up to date at each of its ticks, so single readings are coarse.
    fn now() -> Duration {
        let threads = std::fs::read_dir("/proc/self/task").expect("threads");
        let nanoseconds = threads.flatten().filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }
}

impl Measurement for ProcessCpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, begun: Duration) -> Duration {
        Self::now().saturating_sub(begun)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        // Zero would be taken for a benchmark without a body.
        value.as_nanos().max(1) as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WALL.formatter()
    }
}

fn commits<M: Measurement>(c: &mut Criterion<M>, what: &str) {
    for (durability, is_syncing) in [("fsync", true), ("os", false)] {
        let mut group = c.benchmark_group(format!("{what}/{durability}"));
        for messages in SIZES {
            group.throughput(Throughput::Elements(messages as u64));
            for is_journal in [true, false] {
                let name = if is_journal { "journal" } else { "rocksdb" };
                group.bench_function(BenchmarkId::new(name, messages), |bencher| {
                    let directory = tempfile::tempdir().expect("directory");
                    let path = directory.path().join("data");
                    let mut target: Box<dyn Target> = if is_journal {
                        Box::new(Journal::open(&path, is_syncing))
                    } else {
                        Box::new(Direct::open(&path, is_syncing))
                    };
                    let mut traffic = Traffic::new();
                    bencher.iter(|| target.commit(traffic.take(messages)));
                });
            }
        }
        group.finish();
    }
}

fn elapsed(c: &mut Criterion) {
    commits(c, "time");
}

fn cpu(c: &mut Criterion<ProcessCpu>) {
    commits(c, "cpu");
}

criterion_group! {
    name = elapsed_group;
    config = Criterion::default().sample_size(20);
    targets = elapsed
}
criterion_group! {
    name = cpu_group;
    config = Criterion::default().sample_size(20).with_measurement(ProcessCpu);
    targets = cpu
}
criterion_main!(elapsed_group, cpu_group);
