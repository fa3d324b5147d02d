//! RocksDB behind the journal. Each setting and its reason: docs/rocksdb.md.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType,
    DBWithThreadMode, FlushOptions, LogLevel, MultiThreaded, ReadOptions, SliceTransform,
    WriteBatch, WriteOptions,
};

use super::entry::{is_over, now_ms, time_ms};
use super::error::{OpenError, StorageError};
use super::keys::{self, DRAINED, GROUP_LOG, GROUP_STATE, LOG, PREFIX_BYTES, STATE};
use super::{Options, Storage};
use crate::shard::seam::{ConnId, GroupId, Key, Load, Loaded, LogId, Write};

/// Bits per key of the filters that tell without a read that a key is absent: 1 % false alarms.
const BLOOM_BITS: f64 = 10.0;
/// Files that RocksDB keeps open.
const OPEN_FILES_MAX: i32 = 256;
/// A file in which this many of the last [`TOMBSTONE_WINDOW`] keys are deletions is compacted soon, so that
/// reads don't have to step over them.
const TOMBSTONES: usize = 1_024;
/// See [`TOMBSTONES`].
const TOMBSTONE_WINDOW: usize = 4_096;
/// Bytes written between two syncs of a file under construction, so that its end is no burst.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Threads for flushes and compactions.
const BACKGROUND_JOBS: i32 = 2;
/// Write buffers of one family: one that fills, the others on their way to files.
const WRITE_BUFFERS_MAX: i32 = 4;
/// Part of a write buffer for the filter that tells without a search that a log is absent.
const MEMTABLE_BLOOM_RATIO: f64 = 0.1;
/// Bytes of one batch of writes.
const BATCH_BYTES: usize = 1 << 20;
/// An expired message leaves its file at the latest this long after.
const EXPIRY_LAG: Duration = Duration::from_secs(24 * 3_600);
/// Size at which the list of files is written anew, in bytes.
const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Size of one of RocksDB's own log files, in bytes.
const LOG_FILE_BYTES_MAX: usize = 1 << 20;

type Database = DBWithThreadMode<MultiThreaded>;

/// See the module's description. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rocks {
    database: Arc<Database>,
}

impl Rocks {
    /// Opens the database in `path`, or makes it.
    pub(super) fn open(path: &Path, options: &Options) -> Result<Rocks, OpenError> {
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let families = [
            ColumnFamilyDescriptor::new(LOG, log_options(options, &cache)),
            ColumnFamilyDescriptor::new(STATE, family_options(options, &blocks(&cache))),
            ColumnFamilyDescriptor::new(GROUP_LOG, log_options(options, &cache)),
            ColumnFamilyDescriptor::new(GROUP_STATE, family_options(options, &blocks(&cache))),
        ];
        let database = database_options()
            .and_then(|options| Database::open_cf_descriptors(&options, path, families))
            .map_err(|error| open_error(path, error))?;
        Ok(Rocks { database: Arc::new(database) })
    }

    fn family(&self, name: &'static str) -> Result<Arc<BoundColumnFamily<'_>>, StorageError> {
        // All were made when the database was opened.
        self.database.cf_handle(name).ok_or(StorageError::Key)
    }

    /// Writes a batch of a certain size and goes on with an empty one. Writes needn't be atomic here: the
    /// journal has them all until the next flush.
    fn write_if_large(
        &self,
        batch: &mut WriteBatch,
        options: &WriteOptions,
    ) -> Result<(), StorageError> {
        if batch.size_in_bytes() >= BATCH_BYTES {
            self.database.write_opt(std::mem::take(batch), options)?;
        }
        Ok(())
    }

    /// Rewrites all files of entries, so that what has expired is dropped now.
    #[cfg(test)]
    pub(super) fn compact(&self) -> Result<(), StorageError> {
        for name in [LOG, GROUP_LOG] {
            self.database.compact_range_cf(&self.family(name)?, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn record(&self, key: Key) -> Result<Option<Bytes>, StorageError> {
        let family = self.family(keys::records_of(key.log()))?;
        let found = self.database.get_pinned_cf(&family, keys::encode(key).as_slice())?;
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn head(&self, log: LogId) -> Result<u64, StorageError> {
        let family = self.family(keys::records_of(log))?;
        let found = self.database.get_pinned_cf(&family, keys::head(log))?;
        found.map_or(Ok(0), |found| head_in(&found))
    }

    /// Calls `on` with the entries of a log between two positions, in order, until it says stop.
    fn scan(
        &self,
        log: LogId,
        from: u64,
        through: u64,
        mut on: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StorageError> {
        let options = read_options(log, from, through);
        let mut entries =
            self.database.raw_iterator_cf_opt(&self.family(keys::entries_of(log))?, options);
        entries.seek(keys::entry(log, from));
        while let Some((key, value)) = entries.item() {
            let position = keys::position(key).ok_or(StorageError::Key)?;
            if !on(position, value) {
                return Ok(());
            }
            entries.next();
        }
        Ok(entries.status()?)
    }

    fn log(&self, log: LogId, expire_through_ms: u64) -> Result<Loaded, StorageError> {
        let record = self.record(Key::State { log })?;
        let mut first = None;
        self.scan(log, 0, u64::MAX, |position, value| {
            if time_ms(value) <= expire_through_ms {
                return true;
            }
            first = Some((position, Bytes::copy_from_slice(value)));
            false
        })?;
        // Though all have expired, the last one's position must not be used again.
        let last = self.last(log)?;
        // The last one may be gone too.
        let head = self.head(log)?;
        Ok(Loaded::Log { log, record, last, first, head })
    }

    fn last(&self, log: LogId) -> Result<Option<(u64, Bytes)>, StorageError> {
        let options = read_options(log, 0, u64::MAX);
        let mut entries =
            self.database.raw_iterator_cf_opt(&self.family(keys::entries_of(log))?, options);
        // Not `seek_to_last`, which seeks to the upper bound, and that has the next log's prefix.
        entries.seek_for_prev(keys::entry(log, u64::MAX));
        let Some((key, value)) = entries.item() else {
            entries.status()?;
            return Ok(None);
        };
        let position = keys::position(key).ok_or(StorageError::Key)?;
        Ok(Some((position, Bytes::copy_from_slice(value))))
    }

    fn entries(
        &self,
        log: LogId,
        conn: ConnId,
        (from, through): (u64, u64),
        entries_max: u32,
        bytes_max: u32,
    ) -> Result<Loaded, StorageError> {
        let (mut entries, mut bytes, mut reached) = (Vec::new(), 0, through);
        self.scan(log, from, through, |position, value| {
            let is_full = entries.len() >= entries_max as usize || bytes >= bytes_max as usize;
            if is_full && !entries.is_empty() {
                reached = position - 1;
                return false;
            }
            bytes += value.len();
            entries.push((position, Bytes::copy_from_slice(value)));
            true
        })?;
        Ok(Loaded::Entries { log, conn, entries, through: reached })
    }
}

impl Rocks {
    /// The same from the last position downwards.
    fn page_down(
        &self,
        log: LogId,
        conn: ConnId,
        (from, through): (u64, u64),
        entries_max: u32,
        bytes_max: u32,
    ) -> Result<Loaded, StorageError> {
        let options = read_options(log, from, through);
        let mut rows =
            self.database.raw_iterator_cf_opt(&self.family(keys::entries_of(log))?, options);
        let (mut entries, mut bytes, mut reached) = (Vec::new(), 0, from);
        rows.seek_for_prev(keys::entry(log, through));
        while let Some((key, value)) = rows.item() {
            let position = keys::position(key).ok_or(StorageError::Key)?;
            let is_full = entries.len() >= entries_max as usize || bytes >= bytes_max as usize;
            if is_full && !entries.is_empty() {
                reached = position + 1;
                break;
            }
            bytes += value.len();
            entries.push((position, Bytes::copy_from_slice(value)));
            rows.prev();
        }
        rows.status()?;
        Ok(Loaded::Page { log, conn, entries, from: reached, through })
    }

    fn entry(&self, log: LogId, position: u64) -> Result<Loaded, StorageError> {
        let family = self.family(keys::entries_of(log))?;
        let found = self.database.get_pinned_cf(&family, keys::entry(log, position))?;
        let value = found.map(|value| Bytes::copy_from_slice(&value));
        Ok(Loaded::Entry { log, position, value })
    }
}

/// Handles of the column families of inboxes or of groups.
struct Families<'a> {
    entries: Arc<BoundColumnFamily<'a>>,
    records: Arc<BoundColumnFamily<'a>>,
}

impl<'a> Families<'a> {
    fn new(
        rocks: &'a Rocks,
        entries: &'static str,
        records: &'static str,
    ) -> Result<Self, StorageError> {
        Ok(Families { entries: rocks.family(entries)?, records: rocks.family(records)? })
    }
}

impl Storage for Rocks {
    type Error = StorageError;

    fn load(&self, load: Load) -> Result<Loaded, StorageError> {
        match load {
            Load::Log { log, expire_through_ms } => self.log(log, expire_through_ms),
            Load::Conversation { log, peer } => {
                let record = self.record(Key::Conversation { log, peer })?;
                Ok(Loaded::Conversation { log, peer, record })
            }
            Load::Presence { user } => {
                let record = self.record(Key::Presence { user })?;
                Ok(Loaded::Presence { user, record })
            }
            Load::Book { user } => {
                Ok(Loaded::Book { user, record: self.record(Key::Book { user })? })
            }
            Load::Name { hash } => {
                Ok(Loaded::Name { hash, record: self.record(Key::Name { hash })? })
            }
            Load::Entries { log, conn, from, through, entries_max, bytes_max } => {
                self.entries(log, conn, (from, through), entries_max, bytes_max)
            }
            Load::Page { log, conn, from, through, newest_first, entries_max, bytes_max } => {
                let range = (from, through);
                if newest_first {
                    return self.page_down(log, conn, range, entries_max, bytes_max);
                }
                let found = self.entries(log, conn, range, entries_max, bytes_max)?;
                Ok(found.into_page(from))
            }
            Load::Entry { log, position } => self.entry(log, position),
        }
    }

    fn group_heads(&self) -> Result<Vec<(GroupId, u64)>, StorageError> {
        let mut options = ReadOptions::default();
        // What is read once isn't worth a place there.
        options.fill_cache(false);
        let mut records = self.database.raw_iterator_cf_opt(&self.family(GROUP_STATE)?, options);
        let (mut heads, mut next) = (Vec::new(), Some(0_u64));
        while let Some(from) = next {
            records.seek(from.to_be_bytes());
            let Some(key) = records.key() else { break };
            let group = keys::number_in(key).ok_or(StorageError::Key)?;
            if key.len() == PREFIX_BYTES {
                // The group's record. Only the head's key can be between it and those of members.
                records.next();
            }
            let head = match records.item() {
                Some((key, head)) if *key == keys::head(LogId::Group(group)) => head_in(head)?,
                _ => 0,
            };
            // The next seek would forget that this read failed.
            records.status()?;
            heads.push((group, head));
            next = group.checked_add(1);
        }
        records.status()?;
        Ok(heads)
    }

    fn apply(&self, writes: &[Write]) -> Result<(), StorageError> {
        let (inboxes, groups) =
            (Families::new(self, LOG, STATE)?, Families::new(self, GROUP_LOG, GROUP_STATE)?);
        let families = |log| if let LogId::Inbox(_) = log { &inboxes } else { &groups };
        let options = unlogged();
        let mut batch = WriteBatch::default();
        let mut heads: HashMap<LogId, u64> = HashMap::new();
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    let families = families(key.log());
                    let family = if let Key::Entry { log, position } = *key {
                        heads.insert(log, position);
                        &families.entries
                    } else {
                        &families.records
                    };
                    batch.put_cf(family, keys::encode(*key).as_slice(), value);
                }
                &Write::Trim { log, from, through } => {
                    let family = &families(log).entries;
                    for position in from..=through {
                        batch.delete_cf(family, keys::entry(log, position));
                        // One trim may delete very many entries.
                        self.write_if_large(&mut batch, &options)?;
                    }
                    if let LogId::Group(_) = log {
                        let known = heads.get(&log).copied().map_or_else(|| self.head(log), Ok)?;
                        heads.insert(log, known.max(through));
                    }
                }
            }
            self.write_if_large(&mut batch, &options)?;
        }
        for (log, head) in heads {
            batch.put_cf(&families(log).records, keys::head(log), head.to_be_bytes());
            self.write_if_large(&mut batch, &options)?;
        }
        Ok(self.database.write_opt(batch, &options)?)
    }

    fn flush(&self) -> Result<(), StorageError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        // The family that says what was drained last.
        for name in [LOG, GROUP_LOG, GROUP_STATE, STATE] {
            self.database.flush_cf_opt(&self.family(name)?, &options)?;
        }
        Ok(())
    }

    fn note_drained(&self, segment: u64) -> Result<(), StorageError> {
        Ok(self.database.put_cf_opt(
            &self.family(STATE)?,
            DRAINED,
            segment.to_be_bytes(),
            &unlogged(),
        )?)
    }

    fn drained(&self) -> Result<Option<u64>, StorageError> {
        match self.database.get_pinned_cf(&self.family(STATE)?, DRAINED)? {
            Some(value) => {
                let bytes = value.as_ref().try_into().map_err(|_| StorageError::Key)?;
                Ok(Some(u64::from_be_bytes(bytes)))
            }
            None => Ok(Some(0)),
        }
    }

    fn is_empty(&self) -> bool {
        self.database.latest_sequence_number() == 0
    }
}

/// How everything is written: the journal is the log, and what isn't flushed is found there after a
/// crash.
fn unlogged() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

fn database_options() -> Result<rocksdb::Options, rocksdb::Error> {
    // What the crate has no function for.
    let mut options =
        rocksdb::Options::default().get_options_from_string("max_bgerror_resume_count=0")?;
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_allow_concurrent_memtable_write(false);
    options.set_paranoid_checks(true);
    options.set_max_manifest_file_size(MANIFEST_BYTES_MAX);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(LOG_FILE_BYTES_MAX);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok(options)
}

fn blocks(cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(BLOOM_BITS, false);
    blocks
}

fn family_options(options: &Options, blocks: &BlockBasedOptions) -> rocksdb::Options {
    let mut family = rocksdb::Options::default();
    family.set_block_based_table_factory(blocks);
    family.set_compression_type(DBCompressionType::None);
    family.set_write_buffer_size(options.write_buffer_bytes);
    family.set_max_write_buffer_number(WRITE_BUFFERS_MAX);
    family
}

fn log_options(options: &Options, cache: &Cache) -> rocksdb::Options {
    let mut blocks = blocks(cache);
    // Entries are only found by their log's prefix.
    blocks.set_whole_key_filtering(false);
    let mut family = family_options(options, &blocks);
    family.set_prefix_extractor(SliceTransform::create_fixed_prefix(PREFIX_BYTES));
    family.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    family.add_compact_on_deletion_collector_factory(TOMBSTONE_WINDOW, TOMBSTONES, 0.0);
    let expiry = options.expiry;
    if expiry.is_some() {
        family.set_periodic_compaction_seconds(EXPIRY_LAG.as_secs());
    }
    family.set_compaction_filter("expiry", move |_level: u32, _key: &[u8], value: &[u8]| {
        let has_expired = expiry.is_some_and(|expiry| time_ms(value) <= expired_through_ms(expiry));
        if has_expired || is_over(value, now_ms()) { Decision::Remove } else { Decision::Keep }
    });
    family
}

/// Bounds of a read of a log's entries. Without them an empty log means a walk over everybody's
/// deletions.
fn read_options(log: LogId, from: u64, through: u64) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(keys::entry(log, from).to_vec());
    options.set_iterate_upper_bound(upper_bound(log, through));
    options.set_prefix_same_as_start(true);
    options
}

fn expired_through_ms(expiry: Duration) -> u64 {
    now_ms().saturating_sub(expiry.as_millis() as u64)
}

/// The first key after a log's entries up to `through`.
fn upper_bound(log: LogId, through: u64) -> Vec<u8> {
    match through.checked_add(1) {
        Some(position) => keys::entry(log, position).to_vec(),
        None => keys::after(log).map_or_else(|| vec![0xff; 17], |key| key.to_vec()),
    }
}

/// The position that a head's value says.
fn head_in(value: &[u8]) -> Result<u64, StorageError> {
    Ok(u64::from_be_bytes(value.try_into().map_err(|_| StorageError::Head)?))
}

fn open_error(path: &Path, error: rocksdb::Error) -> OpenError {
    let path = path.parent().unwrap_or(path).to_owned();
    // RocksDB's kinds of error don't tell these from other trouble with files; its words do.
    let words = error.to_string();
    if is_held(&words) {
        return OpenError::InUse { path };
    }
    if words.contains("Permission denied") {
        return OpenError::Denied { path, error: error.into() };
    }
    OpenError::Database { path, error: error.into() }
}

/// Whether RocksDB says that somebody holds its LOCK file: another process, or this one.
fn is_held(words: &str) -> bool {
    let by_another = words.contains("While lock file: ") && words.contains("/LOCK: Resource temp");
    by_another || words.contains("lock hold by current process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_held_lock_is_another_process() {
        for (words, expected) in [
            ("IO error: While lock file: /d/rocksdb/LOCK: Resource temporarily unavailable", true),
            (
                "IO error: lock hold by current process, acquire time 1764400000 acquiring thread 7: \
                 /d/rocksdb/LOCK: No locks available",
                true,
            ),
            ("IO error: While lock file: /d/rocksdb/LOCK: No locks available", false),
            ("IO error: while open a file for lock: /d/rocksdb/LOCK: Permission denied", false),
            ("IO error: While opening a file: /blocks/rocksdb/CURRENT: Permission denied", false),
        ] {
            assert_eq!(is_held(words), expected, "{words}");
        }
    }
}
