//! Reads the golden vectors. Their format is stated in `vectors/README.md`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use fulmar_protocol::{Code, Deliver, Frame, Goodbye, Hello, Kind, Numbers, Pairs, Send, Welcome};
use serde_json::{Map, Value, json};

mod groups;
mod history;
mod people;

pub(crate) use groups::describe_change;

/// Largest integer that every JSON reader keeps exactly; a larger one is written as a string.
const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;

/// A path inside the crate.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The vectors of one file, whose names are distinct.
pub(crate) fn load(file: &str) -> Vec<Value> {
    let path = path("vectors").join(file);
    let path = path.display();
    let text =
        fs::read_to_string(path.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(file["format"], 1, "{path}");
    let vectors = file["vectors"].as_array().expect("vectors").clone();
    let mut names = HashSet::new();
    assert!(vectors.iter().all(|vector| names.insert(name(vector))), "{path}: a name twice");
    vectors
}

pub(crate) fn name(vector: &Value) -> &str {
    vector["name"].as_str().expect("name")
}

/// Bytes: hex, or a list of hex and repeated hex.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => unhex(text),
        Value::Array(pieces) => pieces.iter().flat_map(bytes).collect(),
        Value::Object(_) => {
            let times = usize::try_from(number(&value["times"])).expect("times");
            bytes(&value["repeat"]).repeat(times)
        }
        _ => panic!("neither hex nor pieces: {value}"),
    }
}

/// A number: JSON's own up to [`JSON_INTEGER_MAX`], a decimal string above.
pub(crate) fn number(value: &Value) -> u64 {
    match value.as_str() {
        Some(text) => text.parse().expect("decimal"),
        None => value.as_u64().unwrap_or_else(|| panic!("not a number: {value}")),
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of hex digits: {text}");
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_else(|| panic!("not hex: {text}"));
    text.as_bytes().chunks(2).map(|pair| (digit(pair[0]) * 16 + digit(pair[1])) as u8).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string");
        out
    })
}

/// A frame's bytes with their length prefix.
pub(crate) fn with_length(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    fulmar_protocol::varint::write(frame.len() as u64, &mut out);
    out.extend_from_slice(frame);
    out
}

/// The parts of a vector's fields that a [`Frame`] borrows.
pub(crate) struct Fields<'a> {
    json: &'a Value,
    bytes: Vec<u8>,
    /// A second run of bytes: the description of a group.
    info: Vec<u8>,
    /// The key of an item, or the status line and picture of a profile.
    more: [Vec<u8>; 2],
    pairs: Vec<(u64, u64)>,
    users: Vec<u64>,
}

/// Fields that are bytes, of which a frame has one.
const BYTES: [&str; 4] = ["token", "body", "value", "name"];
/// Further fields that are bytes, of which a frame has one of each list.
const MORE: [&[&str]; 2] = [&["key", "status"], &["avatar"]];
/// Fields that are lists of pairs, of which a frame has one.
const PAIRS: [&str; 4] = ["cursors", "heads", "who", "roles"];

impl<'a> Fields<'a> {
    pub(crate) fn new(json: &'a Value) -> Self {
        let pairs = PAIRS.iter().find_map(|list| json.get(list)?.as_array());
        let pair = |pair: &Value| (number(&pair[0]), number(&pair[1]));
        let users = json.get("users").and_then(Value::as_array);
        Fields {
            json,
            bytes: BYTES.iter().find_map(|key| json.get(key)).map_or(vec![], bytes),
            info: json.get("info").map_or(vec![], bytes),
            more: MORE
                .map(|fields| fields.iter().find_map(|key| json.get(key)).map_or(vec![], bytes)),
            pairs: pairs.map_or(vec![], |pairs| pairs.iter().map(pair).collect()),
            users: users.map_or(vec![], |users| users.iter().map(number).collect()),
        }
    }

    fn number(&self, field: &str) -> u64 {
        number(&self.json[field])
    }

    fn byte(&self, field: &str) -> u8 {
        u8::try_from(self.number(field)).expect("a byte")
    }

    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().expect("text")
    }

    fn code(&self) -> Code {
        Code::from_number(u16::try_from(self.number("code")).expect("a code"))
    }

    fn total_bytes(&self) -> Option<u64> {
        let total = &self.json["total_bytes"];
        (!total.is_null()).then(|| number(total))
    }

    fn flag(&self, field: &str) -> bool {
        self.json[field].as_bool().unwrap_or_else(|| panic!("{field} of {}", self.json))
    }

    fn own(&self) -> bool {
        self.flag("own")
    }

    fn pairs(&self) -> Pairs<'_> {
        Pairs::Slice(&self.pairs)
    }

    fn users(&self) -> Numbers<'_> {
        Numbers::Slice(&self.users)
    }

    /// The frame with these fields; `None` for an unknown one, which can't be encoded whole.
    pub(crate) fn frame(&self) -> Option<Frame<'_>> {
        let kind = self.text("kind");
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        Some(match kind {
            Kind::Hello => Frame::Hello(self.hello()),
            Kind::Welcome => Frame::Welcome(self.welcome()),
            Kind::Refuse => Frame::Refuse {
                code: self.code(),
                retry_after_ms: self.number("retry_after_ms"),
                detail: self.text("detail"),
            },
            Kind::Send => Frame::Send(self.send()),
            Kind::Part => Frame::Part { body: &self.bytes },
            Kind::Sent => Frame::Sent {
                peer: self.number("peer"),
                number: self.number("number"),
                ordinal: self.number("ordinal"),
                time_ms: self.number("time_ms"),
            },
            Kind::Rejected => Frame::Rejected {
                peer: self.number("peer"),
                number: self.number("number"),
                code: self.code(),
                retry_after_ms: self.number("retry_after_ms"),
            },
            Kind::Deliver => Frame::Deliver(self.deliver()),
            Kind::Skip => Frame::Skip { position: self.number("position") },
            Kind::Ack => Frame::Ack { position: self.number("position") },
            Kind::Read => {
                Frame::Read { peer: self.number("peer"), ordinal: self.number("ordinal") }
            }
            Kind::Receipt => Frame::Receipt {
                peer: self.number("peer"),
                delivered: self.number("delivered"),
                read: self.number("read"),
                own: self.own(),
            },
            Kind::Ask => Frame::Ask { peer: self.number("peer") },
            Kind::Ping => Frame::Ping,
            Kind::Pong => Frame::Pong { heads: self.pairs() },
            Kind::Goodbye => Frame::Goodbye(Goodbye {
                code: self.code(),
                retry_after_ms: self.number("retry_after_ms"),
                address: self.text("address"),
                detail: self.text("detail"),
            }),
            Kind::History | Kind::Past | Kind::HistoryEnd => self.history_frame(kind),
            kind if kind as u8 >= Kind::Put as u8 => self.people_frame(kind),
            kind => self.group_frame(kind),
        })
    }

    fn hello(&self) -> Hello<'_> {
        Hello {
            version_min: self.number("version_min"),
            version_max: self.number("version_max"),
            capabilities: self.number("capabilities"),
            user: self.number("user"),
            device: self.number("device"),
            token: &self.bytes,
            agent: self.text("agent"),
            cursors: self.pairs(),
        }
    }

    fn welcome(&self) -> Welcome<'_> {
        Welcome {
            version: self.number("version"),
            capabilities: self.number("capabilities"),
            session: self.number("session"),
            time_ms: self.number("time_ms"),
            body_bytes_max: self.number("body_bytes_max"),
            window_messages: self.number("window_messages"),
            window_bytes: self.number("window_bytes"),
            sends_max: self.number("sends_max"),
            idle_s: self.number("idle_s"),
            presence_s: self.number("presence_s"),
            heads: self.pairs(),
        }
    }

    fn send(&self) -> Send<'_> {
        Send {
            peer: self.number("peer"),
            number: self.number("number"),
            content: self.byte("content"),
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn deliver(&self) -> Deliver<'_> {
        Deliver {
            position: self.number("position"),
            peer: self.number("peer"),
            ordinal: self.number("ordinal"),
            time_ms: self.number("time_ms"),
            content: self.byte("content"),
            own: self.own(),
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }
}

/// A vector's fields with all bytes as plain hex, as [`describe`] gives them.
pub(crate) fn plain(json: &Value) -> Value {
    let mut fields = json.as_object().expect("fields").clone();
    for (field, value) in &mut fields {
        let is_more = MORE.concat().contains(&field.as_str());
        if matches!(field.as_str(), "info" | "fields") || BYTES.contains(&field.as_str()) || is_more
        {
            *value = hex(&bytes(value)).into();
        }
    }
    Value::Object(fields)
}

/// The fields of a frame that was decoded from `bytes`, as a vector states them.
pub(crate) fn describe(frame: &Frame<'_>, bytes: &[u8]) -> Value {
    let mut fields = match *frame {
        Frame::Hello(hello) => describe_hello(&hello),
        Frame::Welcome(welcome) => describe_welcome(&welcome),
        Frame::Refuse { code, retry_after_ms, detail } => json!({
            "code": code.number(), "retry_after_ms": exact(retry_after_ms), "detail": detail,
        }),
        Frame::Send(send) => json!({
            "peer": exact(send.peer), "number": exact(send.number), "content": send.content,
            "total_bytes": send.total_bytes.map(exact), "body": hex(send.body),
        }),
        Frame::Part { body } => json!({ "body": hex(body) }),
        Frame::Sent { peer, number, ordinal, time_ms } => json!({
            "peer": exact(peer), "number": exact(number),
            "ordinal": exact(ordinal), "time_ms": exact(time_ms),
        }),
        Frame::Rejected { peer, number, code, retry_after_ms } => json!({
            "peer": exact(peer), "number": exact(number),
            "code": code.number(), "retry_after_ms": exact(retry_after_ms),
        }),
        Frame::Deliver(deliver) => describe_deliver(&deliver),
        Frame::Skip { position } | Frame::Ack { position } => {
            json!({ "position": exact(position) })
        }
        Frame::Read { peer, ordinal } => json!({ "peer": exact(peer), "ordinal": exact(ordinal) }),
        Frame::Receipt { peer, delivered, read, own } => json!({
            "peer": exact(peer), "delivered": exact(delivered), "read": exact(read), "own": own,
        }),
        Frame::Ask { peer } => json!({ "peer": exact(peer) }),
        Frame::Ping => Value::Object(Map::new()),
        Frame::Pong { heads } => json!({ "heads": describe_pairs(&heads) }),
        Frame::Goodbye(goodbye) => json!({
            "code": goodbye.code.number(), "retry_after_ms": exact(goodbye.retry_after_ms),
            "address": goodbye.address, "detail": goodbye.detail,
        }),
        Frame::Unknown { kind } => json!({ "kind_byte": kind, "fields": hex(&bytes[1..]) }),
        Frame::History(_) | Frame::Past(_) | Frame::HistoryEnd(_) => history::describe(frame),
        frame if frame.kind().is_some_and(|kind| kind as u8 >= Kind::Put as u8) => {
            people::describe(&frame)
        }
        frame => groups::describe(&frame),
    };
    fields["kind"] = frame.kind().map_or("unknown", Kind::name).into();
    fields
}

fn describe_hello(hello: &Hello<'_>) -> Value {
    json!({
        "version_min": exact(hello.version_min), "version_max": exact(hello.version_max),
        "capabilities": exact(hello.capabilities),
        "user": exact(hello.user), "device": exact(hello.device),
        "token": hex(hello.token), "agent": hello.agent,
        "cursors": describe_pairs(&hello.cursors),
    })
}

fn describe_welcome(welcome: &Welcome<'_>) -> Value {
    json!({
        "version": exact(welcome.version), "capabilities": exact(welcome.capabilities),
        "session": exact(welcome.session), "time_ms": exact(welcome.time_ms),
        "body_bytes_max": exact(welcome.body_bytes_max),
        "window_messages": exact(welcome.window_messages),
        "window_bytes": exact(welcome.window_bytes), "sends_max": exact(welcome.sends_max),
        "idle_s": exact(welcome.idle_s), "presence_s": exact(welcome.presence_s),
        "heads": describe_pairs(&welcome.heads),
    })
}

fn describe_deliver(deliver: &Deliver<'_>) -> Value {
    json!({
        "position": exact(deliver.position), "peer": exact(deliver.peer),
        "ordinal": exact(deliver.ordinal), "time_ms": exact(deliver.time_ms),
        "content": deliver.content, "own": deliver.own,
        "total_bytes": deliver.total_bytes.map(exact), "body": hex(deliver.body),
    })
}

fn describe_pairs(pairs: &Pairs<'_>) -> Vec<Value> {
    let described: Vec<Value> =
        pairs.iter().map(|(log, position)| json!([exact(log), exact(position)])).collect();
    assert_eq!(described.len(), pairs.len(), "a list of pairs that knows its own length");
    described
}

pub(crate) fn exact(number: u64) -> Value {
    if number <= JSON_INTEGER_MAX { number.into() } else { number.to_string().into() }
}
