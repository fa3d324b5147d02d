//! The golden vectors of the protocol, whose format `protocol/vectors/README.md` states.

use fulmar_protocol::group::{CONTENT_CHANGE, GroupDeliver, GroupRejected};
use fulmar_protocol::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::people::{Found, PutRejected};
use fulmar_protocol::{Code, Deliver, Frame, Goodbye};
use serde_json::Value;

/// Bytes of one vector, with the name of its file and its own.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Largest frame allowed in a stream.
    pub(super) bytes_max: u64,
}

/// The vectors that are bytes of a connection: whole frames with their lengths, and streams.
pub(super) fn streams() -> Vec<Vector> {
    let mut found = Vec::new();
    for vector in load("frames", include_str!("../../../../protocol/vectors/frames.json")) {
        found.push(vector.with(|json| bytes(&json["hex"])));
    }
    for vector in load("bad_frames", include_str!("../../../../protocol/vectors/bad_frames.json")) {
        found.push(vector.with(|json| with_length(&bytes(&json["hex"]))));
    }
    for vector in load("streams", include_str!("../../../../protocol/vectors/streams.json")) {
        let bytes_max = vector.json["bytes_max"].as_u64().expect("a number");
        found.push(Vector { bytes_max, ..vector.with(|json| bytes(&json["hex"])) });
    }
    for vector in load("bodies", include_str!("../../../../protocol/vectors/bodies.json")) {
        found.push(vector.with(|json| list(&json["frames"]).flat_map(bytes).collect()));
    }
    for vector in load("varints", include_str!("../../../../protocol/vectors/varints.json")) {
        found.push(vector.with(|json| bytes(&json["hex"])));
    }
    for vector in load("codes", include_str!("../../../../protocol/vectors/codes.json")) {
        found.push(vector.with(|json| refusals(json["number"].as_u64().expect("a number"))));
    }
    found
}

/// The vectors that are bodies of messages: those whose content has a head, and changes of groups.
pub(super) fn contents() -> Vec<Content> {
    let mut found = Vec::new();
    for vector in load("contents", include_str!("../../../../protocol/vectors/contents.json")) {
        let content = vector.json["content"].as_u64().expect("a number") as u8;
        let in_group = vector.json["in_group"].as_bool().expect("a flag");
        found.push(vector.content(content, in_group));
    }
    for vector in load("changes", include_str!("../../../../protocol/vectors/changes.json")) {
        found.push(vector.content(CONTENT_CHANGE, true));
    }
    found
}

/// What a server says that turns things down for this reason.
fn refusals(code: u64) -> Vec<u8> {
    let code = Code::from_number(code as u16);
    let (retry_after_ms, address, detail) = (9, "", "");
    let frames = [
        Frame::Rejected { peer: 8, number: 1, code, retry_after_ms },
        Frame::GroupRejected(GroupRejected { group: 20, number: 1, code, retry_after_ms }),
        Frame::PutRejected(PutRejected { item: 3, key: &[8], code, retry_after_ms }),
        Frame::Found(Found { name: b"ann", user: 0, code, retry_after_ms }),
        Frame::Goodbye(Goodbye { code, retry_after_ms, address, detail }),
    ];
    let mut out = Vec::new();
    for frame in frames {
        frame.encode(&mut out);
    }
    out
}

/// A body, with the name of its file and its own.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) name: String,
    /// Which content it is.
    pub(super) kind: u8,
    pub(super) in_group: bool,
    pub(super) body: Vec<u8>,
}

impl Content {
    /// The frame in which a server delivers it first, if it fits into one.
    pub(super) fn delivered(&self) -> Option<Vec<u8>> {
        let (content, body) = (self.kind, &self.body[..]);
        let frame = if self.in_group {
            Frame::GroupDeliver(GroupDeliver {
                group: 20,
                position: 1,
                author: 8,
                time_ms: 1_800_000_000_000,
                content,
                own: false,
                total_bytes: None,
                body,
            })
        } else {
            Frame::Deliver(Deliver {
                position: 1,
                peer: 8,
                ordinal: 1,
                time_ms: 1_800_000_000_000,
                content,
                own: false,
                total_bytes: None,
                body,
            })
        };
        let mut out = Vec::new();
        frame.encode(&mut out);
        (body.len() <= PART_BYTES_MAX).then_some(out)
    }
}

/// A vector as it stands in its file.
struct Raw {
    name: String,
    json: Value,
}

impl Raw {
    fn with(&self, bytes: impl Fn(&Value) -> Vec<u8>) -> Vector {
        let bytes_max = FRAME_BYTES_MAX as u64;
        Vector { name: self.name.clone(), bytes: bytes(&self.json), bytes_max }
    }

    fn content(&self, kind: u8, in_group: bool) -> Content {
        Content { name: self.name.clone(), kind, in_group, body: bytes(&self.json["hex"]) }
    }
}

fn load(file: &str, text: &str) -> Vec<Raw> {
    let json: Value = serde_json::from_str(text).expect("a file of vectors");
    assert_eq!(json["format"], 1, "{file} has the format that is known here");
    let name = |json: &Value| format!("{file}-{}", json["name"].as_str().expect("a name"));
    list(&json["vectors"]).map(|json| Raw { name: name(json), json: json.clone() }).collect()
}

fn list(json: &Value) -> std::slice::Iter<'_, Value> {
    json.as_array().expect("a list").iter()
}

/// Hex, or a list of hex and repeated hex.
fn bytes(json: &Value) -> Vec<u8> {
    match json {
        Value::String(hex) => {
            let digits: Vec<u8> =
                hex.chars().filter_map(|digit| digit.to_digit(16)).map(|d| d as u8).collect();
            digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        }
        Value::Array(pieces) => pieces.iter().flat_map(bytes).collect(),
        repeated => {
            let times = repeated["times"].as_u64().expect("a number");
            bytes(&repeated["repeat"]).repeat(times as usize)
        }
    }
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    fulmar_protocol::varint::write(frame.len() as u64, &mut out);
    out.extend_from_slice(frame);
    out
}
