//! The Wireshark dissector, held against the vectors: tshark must read from a capture of their
//! bytes what the vectors say. Skips, and says so, where tshark isn't installed;
//! `FULMAR_REQUIRE_TSHARK=1` makes that a failure.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use fulmar_protocol::content::Content;
use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change, GroupDeliver};
use fulmar_protocol::{Code, Frame, Kind, limits};
use serde_json::Value;

use crate::golden::{self, bytes, name, number};
use crate::pcap::Pcap;

const PORT: u16 = 7_700;
/// Vectors become streams from the ports after this one.
const FIRST_CLIENT_PORT: u16 = 20_000;
const REQUIRE: &str = "FULMAR_REQUIRE_TSHARK";

/// Fields of a packet by name; a field that occurs several times, by commas.
type Fields = BTreeMap<String, String>;

fn script() -> PathBuf {
    golden::path("dissector/fulmar.lua")
}

/// Tells a person. Past the capture of a passing test's output, so that a skipped test is seen.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether `program` runs. Where not, the test is skipped, or fails if it is required.
fn available(program: &str) -> bool {
    let runs =
        Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    assert!(runs || !required, "{program} is missing and {REQUIRE}=1; apt-get install -y tshark");
    if !runs {
        say(&format!(
            "SKIPPED: {program} is missing, the dissector isn't tested; apt-get install -y tshark"
        ));
    }
    runs
}

/// A directory for one test's files, removed in the end. Also tshark's configuration, so that a
/// person's preferences and plugins don't take part.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a scratch directory");
        Scratch(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What tshark with the dissector prints; nothing may go wrong in the script.
    fn tshark(&self, arguments: &[&str]) -> String {
        let out = Command::new("tshark")
            .env("WIRESHARK_CONFIG_DIR", &self.0)
            // Whatever asks for a list must be the first argument.
            .args(arguments)
            .arg("-X")
            .arg(format!("lua_script:{}", script().display()))
            .output()
            .expect("tshark starts");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "tshark {arguments:?}: {errors}");
        assert!(!errors.to_lowercase().contains("lua"), "tshark {arguments:?}: {errors}");
        String::from_utf8(out.stdout).expect("UTF-8")
    }

    /// The names of the dissector's fields that have values, as it registers them.
    fn field_names(&self) -> &'static [String] {
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        NAMES.get_or_init(|| {
            let fields = self.tshark(&["-G", "fields"]);
            let name = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
                ["F", _, name, kind, "fulmar", ..] if kind != "FT_NONE" => Some(name.to_owned()),
                _ => None,
            };
            fields.lines().filter_map(name).collect()
        })
    }

    /// The dissector's fields of each packet in `capture`, without those that don't occur, and the
    /// info column as `info`.
    fn dissect(&self, capture: &Path, preferences: &[&str]) -> Vec<Fields> {
        let names = self.field_names();
        let capture = capture.to_str().expect("UTF-8");
        let mut arguments = vec!["-r", capture, "-T", "fields"];
        arguments.extend(preferences.iter().flat_map(|preference| ["-o", preference]));
        arguments.extend(["-E", "occurrence=a", "-E", "separator=/t"]);
        arguments.extend(["-e", "tcp.srcport", "-e", "_ws.col.Info", "-e", "_ws.lua.error"]);
        arguments.extend(names.iter().flat_map(|name| ["-e", name]));
        let columns = ["tcp.srcport", "info", "script error"]
            .into_iter()
            .chain(names.iter().map(String::as_str));
        let columns: Vec<&str> = columns.collect();
        let packet = |line: &str| -> Fields {
            let values: Vec<&str> = line.split('\t').collect();
            assert_eq!(values.len(), columns.len(), "{line}");
            let fields = columns.iter().zip(values).filter(|(_, value)| !value.is_empty());
            fields.map(|(name, value)| ((*name).to_owned(), plain(name, value))).collect()
        };
        let packets: Vec<Fields> = self.tshark(&arguments).lines().map(packet).collect();
        for packet in &packets {
            assert_eq!(packet.get("script error"), None, "{packet:?}");
        }
        packets
    }

    /// Dissects streams that each are one packet, in their order.
    fn dissect_streams(&self, streams: &[Vec<u8>]) -> Vec<Fields> {
        let mut pcap = Pcap::new(PORT);
        for (client_port, stream) in (FIRST_CLIENT_PORT..).zip(streams) {
            pcap.add_stream(client_port, [stream.as_slice()]);
        }
        let file = self.file("streams.pcap");
        fs::write(&file, pcap.into_file()).expect("a capture file");
        let packets = self.dissect(&file, &[]);
        assert_eq!(packets.len(), streams.len());
        packets
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A value in one form for all versions of tshark: truth as digits, bytes without colons.
fn plain(name: &str, value: &str) -> String {
    if name.starts_with("fulmar.flag.") {
        return value.replace("True", "1").replace("False", "0");
    }
    let ends =
        ["body", "token", "fields", ".value", ".name", ".info", ".key", ".status", ".avatar"];
    let is_bytes = ends.iter().any(|end| name.ends_with(end));
    if is_bytes { value.replace(':', "") } else { value.to_owned() }
}

/// The dissector's fields that a good vector must show.
fn expected(vector: &Value) -> Fields {
    let whole = bytes(&vector["hex"]);
    let (frame, _) = fulmar_protocol::split_frame(&whole, limits::FRAME_BYTES_MAX)
        .expect("a length")
        .expect("a whole frame");
    let mut fields = Fields::new();
    let mut add = |name: String, value: String| {
        if !value.is_empty() {
            fields.insert(name, value);
        }
    };
    let is_set = |flag: u8| u8::from(frame[0] & flag != 0).to_string();
    add("fulmar.length".into(), frame.len().to_string());
    add("fulmar.kind".into(), (frame[0] & 0x3f).to_string());
    add("fulmar.flag.parts".into(), is_set(0x40));
    add("fulmar.flag.own".into(), is_set(0x80));
    let json = golden::plain(&vector["frame"]);
    let kind = json["kind"].as_str().expect("kind");
    for (field, value) in json.as_object().expect("fields") {
        let name = format!("fulmar.{kind}.{field}");
        match value {
            _ if ["kind", "kind_byte", "own"].contains(&field.as_str()) => {}
            _ if field == "capabilities" => add(name, format!("0x{:016x}", number(value))),
            // Lists of users; the other lists are of pairs.
            Value::Array(users) if field == "users" => {
                let users = users.iter().map(|user| number(user).to_string());
                add(format!("{name}.user"), users.collect::<Vec<_>>().join(","));
            }
            Value::Array(pairs) => {
                let column = |at: usize| {
                    let numbers = pairs.iter().map(|pair| number(&pair[at]).to_string());
                    numbers.collect::<Vec<_>>().join(",")
                };
                let (first, second) = match field.as_str() {
                    "who" => ("user", "state"),
                    "roles" => ("user", "role"),
                    "cursors" if kind == "group_resume" => ("group", "position"),
                    _ => ("log", "position"),
                };
                add(format!("{name}.{first}"), column(0));
                add(format!("{name}.{second}"), column(1));
            }
            Value::String(text) => add(name, text.clone()),
            Value::Null => {}
            Value::Bool(flag) => add(name, u8::from(*flag).to_string()),
            value => add(name, value.to_string()),
        }
    }
    if kind == "hello" {
        add("fulmar.hello.magic".into(), "FLMR".into());
    }
    if json.get("content").is_some_and(|content| content == 1) && json["total_bytes"].is_null() {
        let body = golden::unhex(json["body"].as_str().expect("hex"));
        add("fulmar.text".into(), String::from_utf8(body).expect("a text of the vectors"));
    }
    let is_in_group = kind == "group_deliver" || (kind == "past" && json["group"] != 0);
    if is_in_group && json["content"] == CONTENT_CHANGE && json["total_bytes"].is_null() {
        let body = golden::unhex(json["body"].as_str().expect("hex"));
        let change = Change::decode(&body).expect("the vectors hold changes");
        let users: Vec<String> = change.users.iter().map(|user| user.to_string()).collect();
        let shown = [
            ("action", (change.action as u8).to_string()),
            ("users.user", users.join(",")),
            ("value", golden::hex(change.value)),
        ];
        let shown = shown.into_iter().filter(|(_, value)| !value.is_empty());
        fields.extend(shown.map(|(field, value)| (format!("fulmar.change.{field}"), value)));
    }
    if let Some(content) = json.get("content").and_then(Value::as_u64)
        && json["total_bytes"].is_null()
    {
        let body = golden::unhex(json["body"].as_str().expect("hex"));
        let in_group = kind.starts_with("group") || json.get("group").is_some_and(|it| *it != 0);
        fields.extend(content_fields(content as u8, &body, in_group));
    }
    fields
}

/// What the script shows of a content with a head.
fn content_fields(content: u8, body: &[u8], in_group: bool) -> Vec<(String, String)> {
    let shown: Vec<(&str, String)> = match Content::parse(content, body, in_group) {
        Err(_) | Ok(Content::Plain { .. }) => Vec::new(),
        Ok(Content::Edit { target, .. } | Content::Delete { target }) => {
            vec![("target", target.to_string())]
        }
        Ok(Content::Reaction { target, .. }) => vec![
            ("whose", u8::from(target.of_peer).to_string()),
            ("target", target.place.to_string()),
        ],
        Ok(Content::Mention { users, content, .. }) => {
            let users: Vec<String> = users.iter().map(|user| user.to_string()).collect();
            vec![("users.user", users.join(",")), ("inner", content.to_string())]
        }
        Ok(Content::Disappearing { seconds, content, .. }) => {
            vec![("seconds", seconds.to_string()), ("inner", content.to_string())]
        }
        Ok(Content::Timer { seconds }) => vec![("seconds", seconds.to_string())],
    };
    let name = |(field, value)| (format!("fulmar.content.{field}"), value);
    shown.into_iter().map(name).collect()
}

/// The fields of a packet that are the dissector's.
fn of_fulmar(packet: &Fields) -> Fields {
    let own = packet.iter().filter(|(name, _)| name.starts_with("fulmar."));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn good_vectors_show_their_fields() {
    if !available("tshark") {
        return;
    }
    let scratch = Scratch::new("good");
    let vectors = golden::load("frames.json");
    let streams: Vec<Vec<u8>> = vectors.iter().map(|vector| bytes(&vector["hex"])).collect();
    for (vector, packet) in vectors.iter().zip(scratch.dissect_streams(&streams)) {
        assert_eq!(of_fulmar(&packet), expected(vector), "{}", name(vector));
        let info = &packet["info"];
        let kind = vector["frame"]["kind"].as_str().expect("kind");
        assert!(info.starts_with(kind), "{}: {info}", name(vector));
        if let Some(code) = vector["frame"].get("code") {
            let code = Code::from_number(u16::try_from(number(code)).expect("a code"));
            let shown = code.to_string().replace("other", "unknown code");
            assert!(info.contains(&shown), "{}: {info}", name(vector));
        }
    }
}

/// The server's own entries are read deeper than the frame; what is wrong there is no error of the frame.
#[test]
fn a_body_that_is_no_change_does_not_make_the_frame_bad() {
    if !available("tshark") {
        return;
    }
    let scratch = Scratch::new("no-change");
    let bodies: [&[u8]; 4] = [b"\x0c", b"\x04\x02\x09", b"\x06\x00\x00\x00", b""];
    let stream = |body: &&[u8]| {
        let mut stream = Vec::new();
        let deliver = GroupDeliver {
            group: 300,
            position: 1,
            author: 7,
            time_ms: 0,
            content: CONTENT_CHANGE,
            own: false,
            total_bytes: None,
            body,
        };
        Frame::GroupDeliver(deliver).encode(&mut stream);
        stream
    };
    let streams: Vec<Vec<u8>> = bodies.iter().map(stream).collect();
    for (packet, body) in scratch.dissect_streams(&streams).iter().zip(bodies) {
        assert_eq!(packet.get("fulmar.error"), None, "{body:02x?}");
        let shown = packet.get("fulmar.group_deliver.body").cloned().unwrap_or_default();
        assert_eq!(shown, golden::hex(body));
    }
}

#[test]
fn bad_vectors_show_their_errors() {
    if !available("tshark") {
        return;
    }
    let scratch = Scratch::new("bad");
    let mut vectors = golden::load("bad_frames.json");
    let frame = |vector: &Value| golden::with_length(&bytes(&vector["hex"]));
    let mut streams: Vec<Vec<u8>> = vectors.iter().map(frame).collect();
    let broken = golden::load("streams.json").into_iter().filter(|vector| {
        vector.get("error").is_some()
            && number(&vector["bytes_max"]) == limits::FRAME_BYTES_MAX as u64
    });
    for vector in broken {
        streams.push(bytes(&vector["hex"]));
        vectors.push(vector);
    }
    for (vector, packet) in vectors.iter().zip(scratch.dissect_streams(&streams)) {
        let shown = |field: &str| packet.get(field).map(String::as_str);
        assert_eq!(shown("fulmar.error"), vector["error"].as_str(), "{}", name(vector));
        assert_eq!(shown("fulmar.error.field"), vector["field"].as_str(), "{}", name(vector));
    }
}

/// All frames of the vectors and of the bodies as one stream, and the kind number of each.
fn one_stream() -> (Vec<u8>, Vec<String>) {
    let mut frames: Vec<Vec<u8>> =
        golden::load("frames.json").iter().map(|vector| bytes(&vector["hex"])).collect();
    let bodies = golden::load("bodies.json");
    let of_bodies = bodies.iter().flat_map(|vector| vector["frames"].as_array().expect("frames"));
    frames.extend(of_bodies.map(bytes));
    let stream = frames.concat();
    let kind = |frame: &[u8]| (frame[0] & 0x3f).to_string();
    let cut = fulmar_protocol::Frames::new(&stream, limits::FRAME_BYTES_MAX);
    let kinds = cut.map(|frame| kind(frame.expect("a frame"))).collect();
    (stream, kinds)
}

/// The values of one field in all packets, in order.
fn all(packets: &[Fields], name: &str) -> Vec<String> {
    let values = packets.iter().filter_map(|packet| packet.get(name));
    values.flat_map(|values| values.split(',')).map(str::to_owned).collect()
}

#[test]
fn frames_are_found_across_segments() {
    if !available("tshark") {
        return;
    }
    let scratch = Scratch::new("segments");
    let (stream, kinds) = one_stream();
    for segment_bytes in [701, 1_460, 60_000] {
        let mut pcap = Pcap::new(PORT);
        pcap.add_stream(FIRST_CLIENT_PORT, stream.chunks(segment_bytes));
        let file = scratch.file("segments.pcap");
        fs::write(&file, pcap.into_file()).expect("a capture file");
        let packets = scratch.dissect(&file, &[]);
        assert_eq!(all(&packets, "fulmar.kind"), kinds, "segments of {segment_bytes} bytes");
        assert!(all(&packets, "fulmar.error").is_empty(), "segments of {segment_bytes} bytes");
    }
    // Small segments cut length prefixes too. Only the small frames: reassembly by tshark takes
    // time that grows with the square of the number of segments of a frame.
    let small = golden::load("streams.json").into_iter().find(|vector| name(vector) == "batch");
    let stream = bytes(&small.expect("the batch")["hex"]);
    let mut pcap = Pcap::new(PORT);
    for (client_port, segment_bytes) in (FIRST_CLIENT_PORT..).zip(1..=7) {
        pcap.add_stream(client_port, stream.chunks(segment_bytes));
    }
    let file = scratch.file("small.pcap");
    fs::write(&file, pcap.into_file()).expect("a capture file");
    let packets = scratch.dissect(&file, &[]);
    for client_port in (FIRST_CLIENT_PORT..).take(7) {
        let of_port = |packet: &&Fields| packet["tcp.srcport"] == client_port.to_string();
        let packets: Vec<Fields> = packets.iter().filter(of_port).cloned().collect();
        let kinds = all(&packets, "fulmar.kind");
        assert_eq!(kinds, ["4", "10", "14", "11", "4", "62", "13"], "port {client_port}");
    }
}

#[test]
fn the_port_is_a_preference() {
    if !available("tshark") {
        return;
    }
    let scratch = Scratch::new("preference");
    let mut pcap = Pcap::new(PORT + 1);
    pcap.add_stream(FIRST_CLIENT_PORT, [&[1, 0x0e][..]]);
    let file = scratch.file("other.pcap");
    fs::write(&file, pcap.into_file()).expect("a capture file");
    assert!(all(&scratch.dissect(&file, &[]), "fulmar.kind").is_empty());
    let preference = format!("fulmar.port:{}", PORT + 1);
    assert_eq!(all(&scratch.dissect(&file, &[&preference]), "fulmar.kind"), ["14"]);
}

/// The tables of the script, without tshark: codes, kinds and limits are those of the crate.
#[test]
fn the_tables_are_those_of_the_crate() {
    let script = fs::read_to_string(script()).expect("the dissector");
    for code in Code::ALL {
        let entry = format!("    [{}] = \"{}\",\n", code.number(), code.name());
        assert!(script.contains(&entry), "{code}");
    }
    for action in Action::ALL {
        let entry = format!("    [{}] = \"{}\",\n", action as u8, action.name());
        assert!(script.contains(&entry), "{action:?}");
    }
    let codes = script.split("\nlocal CODES = {\n").nth(1).and_then(|rest| rest.split('}').next());
    assert_eq!(codes.expect("the table of codes").lines().count(), Code::ALL.len());
    for kind in Kind::ALL {
        let entry = format!("    [{}] = {{ \"{}\"", kind as u8, kind.name());
        assert!(script.contains(&entry), "{kind:?}");
    }
    for (limit, value) in [
        ("FRAME_BYTES_MAX", limits::FRAME_BYTES_MAX),
        ("PART_BYTES_MAX", limits::PART_BYTES_MAX),
        ("TOKEN_BYTES_MAX", limits::TOKEN_BYTES_MAX),
        ("AGENT_BYTES_MAX", limits::AGENT_BYTES_MAX),
        ("DETAIL_BYTES_MAX", limits::DETAIL_BYTES_MAX),
        ("ADDRESS_BYTES_MAX", limits::ADDRESS_BYTES_MAX),
        ("LOGS_MAX", limits::LOGS_MAX),
        ("RESUME_MAX", limits::RESUME_MAX),
        ("USERS_MAX", limits::USERS_MAX),
        ("WHO_MAX", limits::WHO_MAX),
        ("REACTION_BYTES_MAX", limits::REACTION_BYTES_MAX),
        ("DISAPPEAR_SECONDS_MAX", limits::DISAPPEAR_SECONDS_MAX as usize),
        ("GROUP_VALUE_BYTES_MAX", limits::GROUP_VALUE_BYTES_MAX),
        ("HISTORY_MAX", limits::HISTORY_MAX),
        ("KEY_BYTES_MAX", limits::KEY_BYTES_MAX),
        ("VALUE_BYTES_MAX", limits::VALUE_BYTES_MAX),
        ("PROFILE_NAME_BYTES_MAX", limits::PROFILE_NAME_BYTES_MAX),
        ("PROFILE_STATUS_BYTES_MAX", limits::PROFILE_STATUS_BYTES_MAX),
        ("PROFILE_AVATAR_BYTES_MAX", limits::PROFILE_AVATAR_BYTES_MAX),
        ("NAME_BYTES_MAX", limits::NAME_BYTES_MAX),
    ] {
        assert!(script.contains(&format!("local {limit} = {value}\n")), "{limit}");
    }
}

/// A capture of the loopback interface while it runs.
struct LiveCapture {
    dumpcap: Child,
    file: PathBuf,
}

impl LiveCapture {
    /// Starts capturing `port`; `None`, with the reason said, where this isn't permitted.
    fn start(file: PathBuf, port: u16) -> Option<Self> {
        let filter = format!("tcp port {port}");
        let mut dumpcap = Command::new("dumpcap")
            .args(["-q", "-i", "lo", "-f", &filter, "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        // The line that names the file is printed once the capture runs.
        let mut said = String::new();
        let mut errors = BufReader::new(dumpcap.stderr.take().expect("piped"));
        while errors.read_line(&mut said).is_ok_and(|read| read > 0) {
            if said.lines().last().is_some_and(|line| line.starts_with("File: ")) {
                // Whatever else it says must not fill the pipe.
                std::thread::spawn(move || _ = errors.read_to_string(&mut said));
                return Some(LiveCapture { dumpcap, file });
            }
        }
        let _ = dumpcap.wait();
        say(&format!("SKIPPED: no live capture, dumpcap says: {}", said.trim()));
        None
    }

    /// Ends the capture in an orderly way once `last_bytes` are in the file: it sees a packet
    /// later than the packet's reader does.
    fn stop_after(mut self, last_bytes: &[u8]) -> PathBuf {
        let is_there =
            |file: &[u8]| file.windows(last_bytes.len()).any(|bytes| bytes == last_bytes);
        for _ in 0..100 {
            if fs::read(&self.file).is_ok_and(|file| is_there(&file)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let interrupt = format!("kill -INT {}", self.dumpcap.id());
        assert!(Command::new("sh").args(["-c", &interrupt]).status().expect("sh").success());
        self.dumpcap.wait().expect("dumpcap ends");
        self.file
    }
}

/// A real exchange over the loopback interface: bytes of the vectors through the kernel's
/// TCP, written in odd pieces by both sides.
#[test]
fn a_real_exchange_is_read_from_the_wire() {
    if !available("tshark") || !available("dumpcap") {
        return;
    }
    let scratch = Scratch::new("live");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let Some(capture) = LiveCapture::start(scratch.file("live.pcapng"), port) else { return };

    let vectors = golden::load("frames.json");
    let frames = |names: &[&str]| -> Vec<u8> {
        let frame = |wanted: &&str| {
            let vector = vectors.iter().find(|vector| name(vector) == *wanted);
            bytes(&vector.expect("a vector of that name")["hex"])
        };
        names.iter().flat_map(frame).collect()
    };
    let from_client = frames(&["hello_returning", "send_text", "ack_small", "ping"]);
    let from_server = frames(&["welcome_first_login", "sent_first", "deliver_text", "pong_inbox"]);
    let write_in_pieces = |mut stream: TcpStream, bytes: &[u8]| {
        stream.set_nodelay(true).expect("no delay");
        bytes.chunks(13).for_each(|piece| stream.write_all(piece).expect("written"));
    };
    let client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    write_in_pieces(client.try_clone().expect("a clone"), &from_client);
    read_exactly(&server, from_client.len());
    write_in_pieces(server, &from_server);
    read_exactly(&client, from_server.len());
    drop(client);
    let last_frame = frames(&["pong_inbox"]);
    let packets =
        scratch.dissect(&capture.stop_after(&last_frame), &[&format!("fulmar.port:{port}")]);
    assert_eq!(all(&packets, "fulmar.kind"), ["1", "4", "10", "14", "2", "6", "8", "15"]);
    assert!(all(&packets, "fulmar.error").is_empty());
    assert_eq!(all(&packets, "fulmar.text"), ["hello", "hello"]);
}

fn read_exactly(mut stream: &TcpStream, len: usize) {
    stream.read_exact(&mut vec![0; len]).expect("everything that was written");
}
