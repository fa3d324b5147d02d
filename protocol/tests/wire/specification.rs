//! The specification says what the code does: its examples are frames, its tables are the crate's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use fulmar_protocol::group::{Action, CONTENT_CHANGE};
use fulmar_protocol::{Code, Frame, Kind, limits, split_frame, varint};
use serde_json::Value;

use crate::golden::{self, name};

fn specification() -> String {
    fs::read_to_string(golden::path("SPEC.md")).expect("SPEC.md")
}

/// The cells of the tables' rows, of the section under this heading.
fn rows(specification: &str, heading: &str) -> Vec<Vec<String>> {
    let level = heading.split(' ').next().expect("a heading");
    let mut lines = specification.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "no heading {heading}");
    let section = lines.take_while(|line| {
        let hashes = line.chars().take_while(|&char| char == '#').count();
        hashes == 0 || hashes > level.len()
    });
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    section
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .filter(|line| !line.starts_with("---"))
        .map(cells)
        .collect()
}

/// The number in a cell, which may have thousands separators.
fn number(cell: &str) -> Option<u64> {
    cell.replace(',', "").parse().ok()
}

#[test]
fn the_dialogue_is_made_of_frames() {
    let specification = specification();
    let mut kinds = BTreeSet::new();
    for block in specification.split("```frame\n").skip(1) {
        let block = block.split("```").next().expect("the end of the block");
        let (about, lines) = block.split_once('\n').expect("a line about the frame");
        let hex = lines.lines().filter_map(|line| line.split('#').next()).collect::<String>();
        let whole = golden::unhex(&hex.replace(char::is_whitespace, ""));
        let (frame, rest) = split_frame(&whole, limits::FRAME_BYTES_MAX)
            .unwrap_or_else(|error| panic!("{about}: {error}"))
            .unwrap_or_else(|| panic!("{about}: incomplete"));
        assert!(rest.is_empty(), "{about}: {} bytes more", rest.len());
        let decoded = Frame::decode(frame).unwrap_or_else(|error| panic!("{about}: {error}"));
        assert_eq!(stated(about), shown(&decoded, frame), "{about}");
        kinds.extend(decoded.kind().map(|kind| kind as u8));
    }
    assert_eq!(kinds.len(), Kind::ALL.len() - 1, "every kind but ask occurs: {kinds:?}");
}

/// The kind and fields in a line like `# server → client 7: sent peer=8 number=1`.
fn stated(about: &str) -> BTreeMap<String, String> {
    let (_, frame) = about.split_once(": ").expect("a direction");
    let (kind, fields) = frame.split_once(' ').unwrap_or((frame, ""));
    let mut stated = BTreeMap::from([("kind".to_owned(), kind.to_owned())]);
    let mut rest = fields;
    while let Some((field, value)) = rest.split_once('=') {
        // A text may have spaces in it; nothing else has.
        let end = match value.strip_prefix('"') {
            Some(text) => text.find('"').expect("the end of the text") + 2,
            None => value.find(' ').unwrap_or(value.len()),
        };
        stated.insert(field.trim().to_owned(), value[..end].to_owned());
        rest = &value[end..];
    }
    stated
}

/// What [`stated`] must find for this frame: bytes as the text that they are in the examples.
fn shown(frame: &Frame<'_>, bytes: &[u8]) -> BTreeMap<String, String> {
    let described = golden::describe(frame, bytes);
    let text = |value: &Value| {
        let bytes = golden::unhex(value.as_str().expect("hex"));
        format!("{:?}", String::from_utf8(bytes).expect("the examples hold texts"))
    };
    let fields =
        described.as_object().expect("fields").iter().filter(|(_, value)| !value.is_null());
    fields
        .map(|(field, value)| {
            let value = match field.as_str() {
                "kind" => value.as_str().expect("a kind").to_owned(),
                // A change isn't text; it stands as the hex that it is.
                "body" if described["content"] == CONTENT_CHANGE => {
                    value.as_str().expect("hex").to_owned()
                }
                "key" => value.as_str().expect("hex").to_owned(),
                "body" | "token" | "value" | "name" | "info" | "status" | "avatar" => text(value),
                _ => value.to_string(),
            };
            (field.clone(), value)
        })
        .collect()
}

#[test]
fn the_table_of_kinds_is_the_crates() {
    let specification = specification();
    let rows = rows(&specification, "## 4 The frames");
    let listed: Vec<(u64, String)> =
        rows.iter().filter_map(|row| Some((number(&row[0])?, row[1].to_lowercase()))).collect();
    let kinds: Vec<(u64, String)> =
        Kind::ALL.iter().map(|&kind| (kind as u64, kind.name().to_owned())).collect();
    assert_eq!(listed, kinds);
}

/// The table says of each kind what the code says: whether it comes of what a person does.
#[test]
fn the_table_of_kinds_says_what_a_person_does() {
    let rows = rows(&specification(), "## 4 The frames");
    let rows = rows.iter().filter(|row| number(&row[0]).is_some());
    let listed: Vec<(String, bool)> =
        rows.map(|row| (row[1].to_lowercase(), row[3] == "yes")).collect();
    let kinds = Kind::ALL.iter().map(|kind| (kind.name().to_owned(), kind.is_by_person()));
    assert_eq!(listed, kinds.collect::<Vec<_>>());
}

/// A frame that only the server sends can't be by a person.
#[test]
fn what_a_person_does_comes_from_a_client() {
    let rows = rows(&specification(), "## 4 The frames");
    for row in rows.iter().filter(|row| number(&row[0]).is_some() && row[3] == "yes") {
        assert!(["client → server", "both"].contains(&row[2].as_str()), "{}", row[1]);
    }
}

#[test]
fn the_table_of_actions_is_the_crates() {
    let rows = rows(&specification(), "### Changes");
    let listed: Vec<(u64, String)> =
        rows.iter().filter_map(|row| Some((number(&row[0])?, row[1].clone()))).collect();
    let actions: Vec<(u64, String)> =
        Action::ALL.iter().map(|&action| (action as u64, action.name().to_owned())).collect();
    assert_eq!(listed, actions);
}

/// Every field of every kind has a row.
#[test]
fn every_field_is_described() {
    let specification = specification();
    let vectors = golden::load("frames.json");
    for kind in Kind::ALL {
        let described = BTreeSet::from_iter(fields_described(&specification, kind.name()));
        let vector = vectors.iter().find(|vector| vector["frame"]["kind"] == kind.name());
        let fields = vector.expect("a vector of each kind")["frame"].as_object().expect("fields");
        // The kind and the own flag are in the kind byte.
        let in_kind_byte = ["kind", "own"].map(str::to_owned);
        let fields: BTreeSet<String> =
            fields.keys().filter(|field| !in_kind_byte.contains(field)).cloned().collect();
        assert_eq!(described, fields, "{kind:?}");
    }
}

/// The rows stand in the order of the wire. The vectors know it: the shorter a truncated frame is,
/// the earlier is the field in which it ends.
#[test]
fn fields_are_described_in_their_order() {
    let specification = specification();
    let vectors = golden::load("bad_frames.json");
    for kind in Kind::ALL {
        let mut ends: Vec<(usize, &str)> = vectors
            .iter()
            .filter(|vector| vector["error"] == "truncated")
            .filter_map(|vector| {
                Some((golden::bytes(&vector["hex"]).len(), vector["field"].as_str()?))
            })
            .filter_map(|(len, field)| {
                Some((len, field.strip_prefix(kind.name())?.strip_prefix('.')?))
            })
            .collect();
        ends.sort_unstable();
        let mut in_order: Vec<&str> = ends.into_iter().map(|(_, field)| field).collect();
        in_order.dedup();
        // A body takes what is left, so a frame can't end inside it.
        let mut described = fields_described(&specification, kind.name());
        described.retain(|field| field != "body" || in_order.contains(&"body"));
        assert_eq!(described, in_order, "{kind:?}");
    }
}

fn fields_described(specification: &str, kind: &str) -> Vec<String> {
    let rows = rows(specification, &format!("### {}", kind.to_uppercase()));
    rows.into_iter().skip(1).map(|row| row[0].clone()).collect()
}

#[test]
fn the_table_of_codes_is_the_crates() {
    let rows = rows(&specification(), "## 14 Codes");
    let listed: Vec<(u64, String)> =
        rows.iter().filter_map(|row| Some((number(&row[0])?, row[1].clone()))).collect();
    let codes: Vec<(u64, String)> =
        Code::ALL.iter().map(|code| (u64::from(code.number()), code.name().to_owned())).collect();
    assert_eq!(listed, codes);
}

#[test]
fn the_table_of_limits_is_the_crates() {
    let rows = rows(&specification(), "## 13 Limits");
    let listed: Vec<(&str, usize)> = rows
        .iter()
        .skip(1)
        .map(|row| (row[0].as_str(), number(&row[1]).expect("a value") as usize))
        .collect();
    let limits = [
        ("FRAME_BYTES_MAX", limits::FRAME_BYTES_MAX),
        ("HELLO_BYTES_MAX", limits::HELLO_BYTES_MAX),
        ("BODY_BYTES_MAX", limits::BODY_BYTES_MAX),
        ("PART_BYTES_MAX", limits::PART_BYTES_MAX),
        ("TOKEN_BYTES_MAX", limits::TOKEN_BYTES_MAX),
        ("AGENT_BYTES_MAX", limits::AGENT_BYTES_MAX),
        ("DETAIL_BYTES_MAX", limits::DETAIL_BYTES_MAX),
        ("ADDRESS_BYTES_MAX", limits::ADDRESS_BYTES_MAX),
        ("LOGS_MAX", limits::LOGS_MAX),
        ("RESUME_MAX", limits::RESUME_MAX),
        ("USERS_MAX", limits::USERS_MAX),
        ("REACTION_BYTES_MAX", limits::REACTION_BYTES_MAX),
        ("DISAPPEAR_SECONDS_MAX", limits::DISAPPEAR_SECONDS_MAX as usize),
        ("WHO_MAX", limits::WHO_MAX),
        ("GROUP_VALUE_BYTES_MAX", limits::GROUP_VALUE_BYTES_MAX),
        ("HISTORY_MAX", limits::HISTORY_MAX),
        ("KEY_BYTES_MAX", limits::KEY_BYTES_MAX),
        ("VALUE_BYTES_MAX", limits::VALUE_BYTES_MAX),
        ("PROFILE_NAME_BYTES_MAX", limits::PROFILE_NAME_BYTES_MAX),
        ("PROFILE_STATUS_BYTES_MAX", limits::PROFILE_STATUS_BYTES_MAX),
        ("PROFILE_AVATAR_BYTES_MAX", limits::PROFILE_AVATAR_BYTES_MAX),
        ("NAME_BYTES_MIN", limits::NAME_BYTES_MIN),
        ("NAME_BYTES_MAX", limits::NAME_BYTES_MAX),
        ("DEVICE_MAX", limits::DEVICE_MAX as usize),
    ];
    assert_eq!(listed, limits);
}

#[test]
fn the_table_of_varints_is_right() {
    let rows = rows(&specification(), "## 3 Frames on the stream");
    let mut checked = 0;
    for row in &rows {
        let Some(bytes) = row[1].strip_prefix('`').and_then(|bytes| bytes.strip_suffix('`')) else {
            continue;
        };
        let value = if row[0] == "2^64 − 1" { Some(u64::MAX) } else { number(&row[0]) };
        let bytes = golden::unhex(&bytes.replace(' ', ""));
        assert_eq!(varint::read(&bytes), Ok((value.expect("a number"), bytes.len())));
        checked += 1;
    }
    assert_eq!(checked, 7);
}

/// The vectors' own page names every error.
#[test]
fn the_errors_of_the_vectors_are_explained() {
    let page = fs::read_to_string(golden::path("vectors/README.md")).expect("vectors/README.md");
    for file in [
        "bad_frames.json",
        "changes.json",
        "contents.json",
        "streams.json",
        "bodies.json",
        "varints.json",
    ] {
        for vector in golden::load(file) {
            if let Some(error) = vector["error"].as_str() {
                assert!(page.contains(&format!("`{error}`")), "{}: {error}", name(&vector));
            }
        }
    }
}
