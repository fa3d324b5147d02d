//! Opening a journal over files of any content.
//!
//! Most inputs describe segments with good checksums, which is how damage looks that a checksum
//! doesn't find: any sequences, any writes in them. Then some bytes are changed. The journal opens or
//! refuses with an error; what it refused it left as it was. What it opened it can go on with, and it
//! answers each key with a value that was written for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use fulmar::shard::{ConnId, GroupId, Key, Load, Loaded, LogId, Write};
use fulmar::storage::journal::{self, JournalError, JournalOptions, JournalReader, Parts};
use fulmar::storage::{DiskDirectory, SimulatedDatabase};

use crate::layout;
use crate::script::Script;

/// Lengths of files, in bytes.
const FILE_BYTES_MAX: usize = 12 * 1024;
const FILES_MAX: usize = 4;
const RECORDS_MAX: usize = 12;
const WRITES_MAX: usize = 12;
const CHANGES_MAX: usize = 4;
/// Users and groups whose state is looked at. Most inputs write about these.
const USERS: u64 = 4;

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes: 8 * 1024, segments_kept: 1, segments_max: 1_000 };

/// The values that the described records have for each key.
#[derive(Debug, Default)]
struct Described {
    values: BTreeMap<Key, Vec<Bytes>>,
    /// A payload is any bytes, so that it may hold any write.
    is_open: bool,
}

/// See the module's description.
pub fn segments(data: &[u8]) {
    let mut script = Script::new(data);
    let directory = layout::directory();
    let path = directory.path();
    let (mut number, mut sequence) = (1 + script.number() % 5, 1);
    let mut described = Described::default();
    for _ in 0..=script.below(FILES_MAX) {
        make_file(&mut script, path, &mut number, &mut sequence, &mut described);
    }
    for _ in 0..script.below(CHANGES_MAX + 1) {
        change_a_file(&mut script, path);
    }
    let before = contents(path);
    match open(path, script.flag()) {
        Err(error) => {
            let named = match &error {
                JournalError::File { path, .. }
                | JournalError::Damaged { path, .. }
                | JournalError::Missing { path }
                | JournalError::Forgotten { path } => path.display().to_string(),
                other => panic!("opening doesn't fail with {other}"),
            };
            assert!(error.to_string().contains(&named), "{error}");
            assert_eq!(contents(path), before, "what is refused is left as it is");
        }
        Ok((mut committer, reader, drain)) => {
            let held = look(&reader);
            held.iter().flatten().for_each(|loaded| described.check(loaded));
            check_heads(&reader, held.iter().flatten());
            let user = USERS + 1;
            let (key, value) = (Key::State { log: LogId::Inbox(user) }, Bytes::from_static(b"new"));
            let new = [Write::Put { key, value: value.clone() }];
            committer.commit(new.iter()).expect("an open journal takes commits");
            drop((committer, reader, drain));
            let opened = open(path, true);
            let (_, reader, _) = opened.expect("what was opened once opens again");
            assert_eq!(look(&reader), held, "and holds the same");
            let load = Load::Log { log: LogId::Inbox(user), expire_through_ms: 0 };
            let Ok(Loaded::Log { record, .. }) = reader.load(load) else { panic!("an inbox") };
            assert_eq!(record, Some(value));
        }
    }
}

fn open(
    path: &Path,
    is_syncing: bool,
) -> Result<Parts<DiskDirectory, SimulatedDatabase>, JournalError> {
    let directory = DiskDirectory::make(path)?;
    journal::open(directory, OPTIONS, is_syncing, SimulatedDatabase::default())
}

/// Makes a file that goes on where the one before ended, or is odd in some way.
fn make_file(
    script: &mut Script<'_>,
    directory: &Path,
    number: &mut u64,
    sequence: &mut u64,
    described: &mut Described,
) {
    let path = match script.byte() {
        0..200 => layout::segment_path(directory, *number),
        200..210 => directory.join("journal-1.log"),
        210..220 => directory.join("journal-.log"),
        220..230 => directory.join(format!("new-{number:012}.tmp")),
        230..235 => directory.join("journal-+00000000001.log"),
        _ => {
            *number = script.number();
            layout::segment_path(directory, *number)
        }
    };
    let mut bytes = match script.byte() {
        0..240 => make_segment(script, *number, sequence, described),
        _ => script.bytes().to_vec(),
    };
    bytes.truncate(FILE_BYTES_MAX);
    fs::write(path, bytes).expect("a file");
    *number = number.wrapping_add(1);
}

/// A segment with a good header and good records, and something behind them.
fn make_segment(
    script: &mut Script<'_>,
    number: u64,
    sequence: &mut u64,
    described: &mut Described,
) -> Vec<u8> {
    if script.byte() >= 240 {
        *sequence = script.number();
    }
    let salt = 1 + u64::from(script.byte());
    let mut bytes = layout::segment_header(number, *sequence, salt);
    for _ in 0..script.below(RECORDS_MAX + 1) {
        let (this, synced) = match script.byte() {
            0..200 => (*sequence, sequence.wrapping_sub(1)),
            200..240 => (*sequence, script.number()),
            _ => (script.number(), script.number()),
        };
        let payload = make_payload(script, described);
        bytes.extend(layout::record(salt, this, synced, &payload));
        *sequence = this.wrapping_add(1);
    }
    match script.below(4) {
        0 => bytes.resize(FILE_BYTES_MAX, 0),
        1 => bytes.resize(bytes.len().next_multiple_of(4096), 0),
        2 => bytes.extend_from_slice(script.bytes()),
        _ => bytes.truncate(script.number() as usize),
    }
    bytes
}

fn make_payload(script: &mut Script<'_>, described: &mut Described) -> Vec<u8> {
    if script.byte() >= 250 {
        described.is_open = true;
        return script.bytes().to_vec();
    }
    let mut payload = Vec::new();
    for _ in 0..=script.below(WRITES_MAX) {
        let (log, second, kind) = (script.number(), script.number(), script.byte());
        // Most are about few users and groups, so that they meet.
        let (tag, log) = match kind {
            9..80 => (layout::ENTRY, log % USERS),
            80..105 => (layout::GROUP_ENTRY, log % USERS),
            105..140 => (layout::TRIM, log % USERS),
            140..155 => (layout::GROUP_TRIM, log % USERS),
            155..185 => (layout::STATE + kind % 2, log % USERS),
            185..200 => (layout::GROUP_STATE + kind % 2, log % USERS),
            200..230 => (layout::TRIM, log),
            tag => (tag, log),
        };
        payload.extend(if let layout::TRIM | layout::GROUP_TRIM = tag {
            layout::trim(tag, log, second, script.number())
        } else {
            let value = script.bytes();
            described.note(tag, log, second, value);
            layout::put(tag, log, second, value)
        });
    }
    payload
}

impl Described {
    fn note(&mut self, tag: u8, log: u64, second: u64, value: &[u8]) {
        let (inbox, group) = (LogId::Inbox(log), LogId::Group(log));
        let key = match tag {
            layout::STATE => Key::State { log: inbox },
            layout::CONVERSATION => Key::Conversation { log: inbox, peer: second },
            layout::ENTRY => Key::Entry { log: inbox, position: second },
            layout::GROUP_STATE => Key::State { log: group },
            layout::GROUP_CONVERSATION => Key::Conversation { log: group, peer: second },
            layout::GROUP_ENTRY => Key::Entry { log: group, position: second },
            layout::PRESENCE => Key::Presence { user: log },
            layout::BOOK => Key::Book { user: log },
            layout::NAME => Key::Name { hash: log },
            _ => return,
        };
        self.values.entry(key).or_default().push(Bytes::copy_from_slice(value));
    }

    /// What was loaded is among what was written under the same key.
    fn check(&self, loaded: &Loaded) {
        match loaded {
            &Loaded::Conversation { log, peer, ref record } => {
                self.check_each(Key::Conversation { log, peer }, record);
            }
            &Loaded::Presence { user, ref record } => {
                self.check_each(Key::Presence { user }, record);
            }
            &Loaded::Book { user, ref record } => self.check_each(Key::Book { user }, record),
            &Loaded::Name { hash, ref record } => self.check_each(Key::Name { hash }, record),
            &Loaded::Log { log, ref record, ref last, ref first, .. } => {
                self.check_each(Key::State { log }, record);
                self.check_entries(log, last.iter().chain(first));
            }
            Loaded::Entries { log, entries, .. } | Loaded::Page { log, entries, .. } => {
                self.check_entries(*log, entries);
            }
            &Loaded::Entry { log, position, ref value } => {
                self.check_each(Key::Entry { log, position }, value);
            }
        }
    }

    fn check_entries<'a>(&self, log: LogId, entries: impl IntoIterator<Item = &'a (u64, Bytes)>) {
        for (position, value) in entries {
            self.check_each(Key::Entry { log, position: *position }, [value]);
        }
    }

    fn check_each<'a>(&self, key: Key, values: impl IntoIterator<Item = &'a Bytes>) {
        for value in values {
            let written = self.values.get(&key).is_some_and(|written| written.contains(value));
            assert!(written || self.is_open, "{key:?} is answered with {value:?}");
        }
    }
}

/// The table of heads says what each group's log does, or more: what was trimmed before it left the journal.
fn check_heads<'a>(
    reader: &JournalReader<DiskDirectory, SimulatedDatabase>,
    held: impl Iterator<Item = &'a Loaded>,
) {
    let heads = reader.group_heads().expect("it needs no value");
    let heads: BTreeMap<GroupId, u64> = heads.into_iter().collect();
    for loaded in held {
        if let Loaded::Log { log: LogId::Group(group), head, .. } = loaded {
            assert!(heads.get(group).unwrap_or(&0) >= head, "the head of group {group}");
        }
    }
}

fn change_a_file(script: &mut Script<'_>, directory: &Path) {
    let names: Vec<_> = contents(directory).into_keys().collect();
    let Some(name) = names.get(script.below(FILES_MAX)) else { return };
    let path = directory.join(name);
    let mut bytes = fs::read(&path).expect("a file");
    let at = script.number() as usize;
    match script.below(4) {
        0 => bytes.truncate(at),
        1 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0),
        _ => {
            let change = script.byte();
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= change);
        }
    }
    fs::write(path, bytes).expect("a file");
}

/// The segments in a directory: names and bytes. Files that are no segments may be removed.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file"));
    files
        .map(|file| (file.file_name().into_string().expect("a name"), file.path()))
        .filter(|(name, _)| Path::new(name).extension().is_none_or(|end| end != "tmp"))
        .map(|(name, path)| (name, fs::read(path).expect("a file")))
        .collect()
}

/// What a reader finds about the users and groups that inputs write about.
fn look(reader: &JournalReader<DiskDirectory, SimulatedDatabase>) -> Vec<Option<Loaded>> {
    let conn = ConnId { slot: 0, generation: 0 };
    let (from, through, entries_max, bytes_max) = (1, u64::MAX, 1_000, u32::MAX);
    let logs = (0..USERS).flat_map(|log| [LogId::Inbox(log), LogId::Group(log)]);
    let loads = logs.flat_map(|log| {
        let entries = Load::Entries { log, conn, from, through, entries_max, bytes_max };
        let conversations = (0..USERS).map(move |peer| Load::Conversation { log, peer });
        let user = log.user().unwrap_or(0);
        let newest_first = true;
        let page = Load::Page { log, conn, from, through, newest_first, entries_max, bytes_max };
        let others = [
            Load::Presence { user },
            Load::Book { user },
            Load::Name { hash: user },
            Load::Log { log, expire_through_ms: 0 },
            entries,
            page,
        ];
        conversations.chain(others)
    });
    // A value whose checksum is wrong is an error, which is another way to refuse.
    loads.map(|load| reader.load(load).ok()).collect()
}
