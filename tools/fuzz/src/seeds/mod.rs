//! What a fuzzer begins with: for each target some inputs that reach far into it, made from the golden
//! vectors of the protocol, from the files that the project has, and from short scripts.
//!
//! `fulmar-fuzz-seeds` writes them into a directory; the tests run the bodies over them too.

pub(crate) mod records;
mod scripts;
mod session;
mod shard;
mod stored;
mod vectors;

use crate::script::Writer;
use crate::token::{KEYS, TOKEN, footer};
use vectors::{Content, Vector};

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
        "decode" => {
            (both(from_vectors(decode), from_contents(|it| Some(bodies(it)))), FRAME_SEED_BYTES_MAX)
        }
        "input" => (from_vectors(input), FRAME_SEED_BYTES_MAX),
        "shard" => {
            let told =
                both(from_vectors(shard::told), from_contents(|it| Some(shard::content(it))));
            (both(shard::scripts(), told), SEED_BYTES_MAX)
        }
        "session" => {
            let told = both(from_vectors(session::told), from_contents(session::content));
            (both(session::scripts(), told), SEED_BYTES_MAX)
        }
        "assembly" => (scripts::assembly(), SEED_BYTES_MAX),
        "segments" => (scripts::segments(), SEED_BYTES_MAX),
        "journal" => (scripts::journal(), SEED_BYTES_MAX),
        "records" => (records::all(), SEED_BYTES_MAX),
        "store" => (scripts::store(), SEED_BYTES_MAX),
        "stored" => (stored::scripts(), SEED_BYTES_MAX),
        "token" => (tokens(), SEED_BYTES_MAX),
        "keys" => (keys(), SEED_BYTES_MAX),
        "config" => (configs(), SEED_BYTES_MAX),
        "text" => (texts(), SEED_BYTES_MAX),
        _ => (Vec::new(), 0),
    };
    seeds.into_iter().filter(|(_, bytes)| bytes.len() <= bytes_max).collect()
}

fn both(mut seeds: Vec<Seed>, more: Vec<Seed>) -> Vec<Seed> {
    seeds.extend(more);
    seeds
}

fn from_vectors(make: impl Fn(&Vector) -> Vec<u8>) -> Vec<Seed> {
    vectors::streams().iter().map(|vector| (vector.name.clone(), make(vector))).collect()
}

/// Those of which something can be made.
fn from_contents(make: impl Fn(&Content) -> Option<Vec<u8>>) -> Vec<Seed> {
    let contents = vectors::contents();
    contents.iter().filter_map(|it| Some((it.name.clone(), make(it)?))).collect()
}

fn decode(vector: &Vector) -> Vec<u8> {
    let limit = match vector.bytes_max {
        2_048 => 1,
        _ => 0,
    };
    Writer::new().byte(limit).raw(&vector.bytes).into_bytes()
}

/// A body by itself, of a group or not.
fn bodies(content: &Content) -> Vec<u8> {
    let writer = Writer::new().byte(u8::from(!content.in_group));
    writer.raw(&content.body).into_bytes()
}

/// Whole and cut at the third and some later byte; a hello comes from a stranger.
fn input(vector: &Vector) -> Vec<u8> {
    let stranger = if vector.name.contains("hello") { 255 } else { 0 };
    Writer::new().byte(stranger).number(3).number(7).raw(&vector.bytes).into_bytes()
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
    let in_content = |it: &Content| {
        let kind = it.kind << 2 | u8::from(it.in_group) << 1;
        let bytes = Writer::new().byte(20).number(1_800_000_000_000).byte(kind);
        Some(bytes.raw(&it.body).into_bytes())
    };
    let plain = vec![
        text("plain", 20, "The quick brown fox jumps over the lazy dog.\nAnd again."),
        text("wide", 5, "世界世界 👩‍👩‍👧 Grüße عربى"),
        text(
            "commands",
            40,
            "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\rf\u{7f}g\u{2067}h\r\n\t\u{2028}",
        ),
        text("marks", 10, &format!("a{}", "\u{301}".repeat(40))),
        text("narrow", 0, "no-break\u{a0}space and a_very_long_word_without_an_end"),
    ];
    both(plain, from_contents(in_content))
}
