//! The golden vectors of the protocol, whose format `protocol/vectors/README.md` states.

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
    found
}

/// A vector as it stands in its file.
struct Raw {
    name: String,
    json: Value,
}

impl Raw {
    fn with(&self, bytes: impl Fn(&Value) -> Vec<u8>) -> Vector {
        let bytes_max = fulmar_protocol::limits::FRAME_BYTES_MAX as u64;
        Vector { name: self.name.clone(), bytes: bytes(&self.json), bytes_max }
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
