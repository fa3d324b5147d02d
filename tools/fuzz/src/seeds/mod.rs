//! What a fuzzer begins with: for each target some inputs that reach far into it, made from the golden
//! vectors of the protocol, from the files that the project has, and from short scripts.
//!
//! `fulmar-fuzz-seeds` writes them into a directory; the tests run the bodies over them too.

mod scripts;
mod vectors;

use bytes::BytesMut;
use fulmar::shard::record::{ConversationRecord, EntryHeader, GroupList, InboxRecord};
use fulmar::shard::record::{Device, Face, Marks, Run, Sender, Ties};

use crate::script::Writer;
use crate::token::{KEYS, TOKEN, footer};
use vectors::Vector;

/// Longest seed, in bytes: what is longer slows a fuzzer down and shows it nothing new.
const SEED_BYTES_MAX: usize = 4_096;
/// Longest seed of a target that needs frames of every length.
const FRAME_SEED_BYTES_MAX: usize = 40_000;

/// A seed and its name, which is a file name.
pub type Seed = (String, Vec<u8>);

/// The seeds of a target; none for a name that is no target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Seed> {
    let (seeds, bytes_max) = match target {
        "decode" => (from_vectors(decode), FRAME_SEED_BYTES_MAX),
        "input" => (from_vectors(input), FRAME_SEED_BYTES_MAX),
        "shard" => (
            named(scripts::shard().into_iter().chain(from_vectors(scripts::told_to_shard))),
            SEED_BYTES_MAX,
        ),
        "session" => (
            named(scripts::session().into_iter().chain(from_vectors(scripts::told_to_session))),
            SEED_BYTES_MAX,
        ),
        "assembly" => (scripts::assembly(), SEED_BYTES_MAX),
        "segments" => (scripts::segments(), SEED_BYTES_MAX),
        "journal" => (scripts::journal(), SEED_BYTES_MAX),
        "records" => (records(), SEED_BYTES_MAX),
        "store" => (scripts::store(), SEED_BYTES_MAX),
        "stored" => (scripts::stored(), SEED_BYTES_MAX),
        "token" => (tokens(), SEED_BYTES_MAX),
        "keys" => (keys(), SEED_BYTES_MAX),
        "config" => (configs(), SEED_BYTES_MAX),
        "text" => (texts(), SEED_BYTES_MAX),
        _ => (Vec::new(), 0),
    };
    seeds.into_iter().filter(|(_, bytes)| bytes.len() <= bytes_max).collect()
}

fn named(seeds: impl Iterator<Item = Seed>) -> Vec<Seed> {
    seeds.collect()
}

fn from_vectors(make: impl Fn(&Vector) -> Vec<u8>) -> Vec<Seed> {
    vectors::streams().iter().map(|vector| (vector.name.clone(), make(vector))).collect()
}

fn decode(vector: &Vector) -> Vec<u8> {
    let limit = match vector.bytes_max {
        2_048 => 1,
        _ => 0,
    };
    Writer::new().byte(limit).raw(&vector.bytes).into_bytes()
}

/// Whole and cut at the third and some later byte; a hello comes from a stranger.
fn input(vector: &Vector) -> Vec<u8> {
    let stranger = if vector.name.contains("hello") { 255 } else { 0 };
    Writer::new().byte(stranger).number(3).number(7).raw(&vector.bytes).into_bytes()
}

/// The records that the shard would write, in small.
pub(crate) fn inbox_record() -> Vec<u8> {
    let device = |device, cursor| Device { device, cursor, cursor_bytes: cursor * 10 };
    let devices = [device(1, 3), device(2, 2)].into_iter().collect();
    let record = InboxRecord {
        trim: 2,
        trim_bytes: 20,
        head: 4,
        head_bytes: 40,
        devices,
        groups: groups(),
        face: Face { profile: 2, ..Face::default() },
    };
    let mut bytes = BytesMut::new();
    record.encode(&mut bytes);
    bytes.to_vec()
}

pub(crate) fn conversation_record() -> Vec<u8> {
    let run = |number, ordinal, len| Run { number, ordinal, len };
    let sender = |device, runs: &[Run]| Sender { device, runs: runs.iter().copied().collect() };
    let senders = [sender(1, &[run(1, 1, 2), run(9, 3, 1)]), sender(2, &[run(300, 4, 1)])];
    let record = ConversationRecord {
        ordinal: 4,
        delivered: 3,
        read: 2,
        marks: Marks::default(),
        senders: senders.into_iter().collect(),
        copies: [(1, 5)].into_iter().collect(),
        ties: Ties { wrote: true, ..Ties::default() },
        delivered_shown: 3,
        read_shown: 1,
    };
    let mut bytes = BytesMut::new();
    record.encode(&mut bytes);
    bytes.to_vec()
}

fn records() -> Vec<Seed> {
    let header = EntryHeader {
        time_ms: 1_800_000_000_000,
        own: true,
        is_notice: false,
        over_ms: 0,
        content: 1,
        peer: 1 << 40,
        ordinal: 12,
        device: 3,
        total_bytes: 300,
    };
    let mut entry = BytesMut::new();
    header.encode(&mut entry);
    entry.extend_from_slice(b"hello");
    let key = Writer::new().number(7).number(8).byte(2).number(7).number(300).byte(2);
    vec![
        ("inbox".into(), inbox_record()),
        ("conversation".into(), conversation_record()),
        ("entry".into(), entry.to_vec()),
        ("keys".into(), key.into_bytes()),
        ("entry-key".into(), vec![0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0]),
    ]
}

fn tokens() -> Vec<Seed> {
    let mut seeds = vec![(
        "token".to_owned(),
        Writer::new().byte(0).raw(TOKEN.trim_end().as_bytes()).into_bytes(),
    )];
    let hellos =
        vectors::streams().into_iter().filter(|vector| vector.name.starts_with("frames-hello"));
    for hello in hellos {
        // Behind its length, which takes a byte or two.
        let prefix = if hello.bytes[0] < 0x80 { 1 } else { 2 };
        seeds.push((hello.name, Writer::new().byte(1).raw(&hello.bytes[prefix..]).into_bytes()));
    }
    let claims = [
        ("number", r#"{"user":7,"device":1,"exp":"2099-01-01T00:00:00Z"}"#),
        ("digits", r#"{"user":"18446744073709551615","device":"2","exp":"2099-01-01T00:00:00Z"}"#),
        (
            "begins",
            r#"{"user":7,"device":1,"exp":"2099-01-01T00:00:00+01:00","iat":"2025-06-15T15:06:40Z","nbf":"2025-06-15T15:06:40.5Z","more":[1,{"a":null}]}"#,
        ),
        ("expired", r#"{"user":7,"device":1,"exp":"1970-01-01T00:00:00Z"}"#),
        (
            "early",
            r#"{"user":7,"device":1,"exp":"2099-01-01T00:00:00Z","nbf":"2098-01-01T00:00:00Z"}"#,
        ),
        ("nobody", r#"{"user":0,"device":1,"exp":"2099-01-01T00:00:00Z"}"#),
        ("no-claims", "{}"),
    ];
    for (name, claims) in claims {
        let claims = claims.as_bytes();
        seeds.push((format!("claims-{name}"), Writer::new().byte(2).raw(claims).into_bytes()));
        let with_footer = Writer::new().byte(3).bytes(&footer()).raw(claims);
        seeds.push((format!("footer-{name}"), with_footer.into_bytes()));
    }
    let escaped = String::from_utf8(footer()).expect("JSON").replacen("k4", r"\u006b4", 1);
    let escaped = Writer::new().byte(3).bytes(escaped.as_bytes()).raw(claims[0].1.as_bytes());
    seeds.push(("footer-escaped".to_owned(), escaped.into_bytes()));
    seeds
}

fn keys() -> Vec<Seed> {
    let file = fulmar::auth::KeyFile::parse(KEYS).expect("a key file");
    vec![
        ("private".into(), KEYS.into()),
        ("public".into(), file.public().to_text().into()),
        ("twice".into(), KEYS.repeat(2).into()),
        // In the wrong place, where a careless error would quote it.
        ("misplaced".into(), KEYS.replace("true", "\"k4.secret.PEsQ11wWxZU\"").into()),
        ("half".into(), KEYS.replace("-g\"", "").into()),
        (
            "zeros".into(),
            format!(
                "[[key]]\nid = \"k4.pid.x\"\npublic = \"k4.public.x\"\nsecret = \"k4.secret.{}\"\n",
                "A".repeat(86)
            )
            .into(),
        ),
    ]
}

/// The lines of the example that set a key, each alone and all together.
fn configs() -> Vec<Seed> {
    let example = include_str!("../../../../tuning/fulmar.toml");
    let lines = example.lines().map(|line| line.trim_start_matches(['#', ' ']));
    let settings: Vec<&str> = lines.filter(|line| is_setting(line)).collect();
    let mut seeds: Vec<Seed> = settings
        .iter()
        .map(|line| (line.split(' ').next().unwrap_or_default().to_owned(), (*line).into()))
        .collect();
    seeds.push(("all".to_owned(), settings.join("\n").into()));
    for (name, text) in [
        ("misspelt", "listn = \"127.0.0.1:7700\"\n"),
        ("kinds", "cores = 1.5\nkeys = [1]\nlog = { a = 1 }\npin = 1979-05-27\n"),
        ("quoted", "\"list\\u0065n\" = '''127.0.0.1:1'''\n'cores' = 0x02\n"),
        ("no-toml", "cores = \n= 3"),
        ("filter", "log = \"warn,fulmar::shard[{user=7}]=debug\""),
    ] {
        seeds.push((name.to_owned(), text.into()));
    }
    seeds
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

fn texts() -> Vec<Seed> {
    let text = |name: &str, columns: u8, body: &str| {
        let bytes = Writer::new().byte(columns).number(1_800_000_000_000).byte(1);
        (name.to_owned(), bytes.raw(body.as_bytes()).into_bytes())
    };
    vec![
        text("plain", 20, "The quick brown fox jumps over the lazy dog.\nAnd again."),
        text("wide", 5, "世界世界 👩‍👩‍👧 Grüße عربى"),
        text(
            "commands",
            40,
            "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\rf\u{7f}g\u{2067}h\r\n\t\u{2028}",
        ),
        text("marks", 10, &format!("a{}", "\u{301}".repeat(40))),
        text("narrow", 0, "no-break\u{a0}space and a_very_long_word_without_an_end"),
    ]
}

/// Groups of a user, one of them over.
fn groups() -> GroupList {
    let mut groups = GroupList::default();
    for group in [3, 1, 2] {
        groups.begin(group);
    }
    groups.end(2);
    groups
}
