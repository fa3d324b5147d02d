//! Short scripts for the targets that read one.

use fulmar_protocol::limits::PART_BYTES_MAX;

use super::vectors::Vector;
use super::{Seed, conversation_record, inbox_record};
use crate::script::Writer;
use crate::session::Step as Client;
use crate::shard::Step as Node;

/// Settings of a node with one core, as they usually are.
const ONE_CORE: [u8; 4] = [0, 0, 127, 127];
/// Settings of a node with two cores and small bounds.
const TWO_CORES: [u8; 4] = [1, 0b0110_1110, 1, 3];

fn seed(name: &str, writer: Writer) -> Seed {
    (name.to_owned(), writer.into_bytes())
}

impl Writer {
    fn node(self, step: Node) -> Self {
        self.byte(step as u8)
    }

    /// A device logs in on core 0 with its true cursor.
    fn log_in(self, user: u8, device: u8) -> Self {
        self.node(Node::LogIn).raw(&[0, user - 1, device - 1, 0, 0])
    }

    fn client(self, step: Client) -> Self {
        self.byte(step as u8)
    }

    /// A connection opens and the login succeeds.
    fn online(self) -> Self {
        let heads = [0, 0];
        self.client(Client::Open)
            .byte(0)
            .client(Client::Transmitted)
            .client(Client::Welcome)
            .raw(&heads)
            .raw(&[0, 3])
    }
}

/// Two devices that chat: sends, acknowledgements, receipts.
fn chat(settings: [u8; 4]) -> Writer {
    let mut writer = Writer::new().raw(&settings).log_in(1, 1).log_in(2, 1);
    for (line, peer) in [(0, 1), (1, 0), (0, 1)] {
        writer = writer.node(Node::Send).raw(&[line, peer, 0, 2]);
        writer = writer.node(Node::Ack).byte(0).node(Node::Ack).byte(1);
    }
    writer.node(Node::Read).raw(&[1, 0, 1]).node(Node::Ask).raw(&[0, 1])
}

pub(super) fn shard() -> Vec<Seed> {
    let several = |settings: [u8; 4]| {
        let writer = Writer::new().raw(&settings).log_in(1, 1).log_in(1, 2).log_in(2, 1);
        writer.node(Node::Send).raw(&[0, 1, 0, 2]).node(Node::Ack).byte(1).node(Node::Ack).byte(2)
    };
    let held = |settings: [u8; 4], what: u8| {
        let writer = chat(settings).node(Node::Hold).byte(what);
        let writer = writer.node(Node::Send).raw(&[0, 1, 0, 1]).node(Node::Send).raw(&[1, 0, 1, 1]);
        writer
            .node(Node::Store)
            .raw(&[0, 1])
            .node(Node::Load)
            .raw(&[0, 0])
            .node(Node::Letter)
            .byte(0)
    };
    let large = Writer::new()
        .raw(&ONE_CORE)
        .log_in(1, 1)
        .log_in(2, 1)
        .node(Node::SendLarge)
        .raw(&[0, 1, 0, 60, 255]);
    let mut seeds = vec![
        seed("chat", chat(ONE_CORE)),
        seed("chat-two-cores", chat(TWO_CORES)),
        seed("devices", several(ONE_CORE)),
        seed("devices-two-cores", several(TWO_CORES)),
        seed(
            "large",
            large
                .node(Node::Ack)
                .byte(1)
                .node(Node::Stall)
                .byte(1)
                .node(Node::SendLarge)
                .raw(&[0, 1, 0, 9, 1]),
        ),
        seed(
            "crash",
            chat(ONE_CORE)
                .node(Node::Send)
                .raw(&[0, 1, 0, 1])
                .node(Node::Crash)
                .byte(0)
                .log_in(2, 1)
                .node(Node::Ack)
                .byte(0),
        ),
        seed(
            "resend",
            chat(ONE_CORE).node(Node::HangUp).byte(0).log_in(1, 1).node(Node::Resend).raw(&[1, 7]),
        ),
        seed(
            "evicted",
            chat(ONE_CORE)
                .node(Node::HangUp)
                .byte(0)
                .node(Node::Pass)
                .byte(6)
                .node(Node::Pass)
                .byte(6)
                .node(Node::Send)
                .raw(&[0, 0, 0, 1]),
        ),
        seed(
            "expired",
            chat(TWO_CORES)
                .node(Node::Send)
                .raw(&[0, 1, 0, 1])
                .node(Node::Pass)
                .byte(6)
                .node(Node::Remove)
                .raw(&[1, 0])
                .node(Node::Jump)
                .byte(2)
                .log_in(2, 2),
        ),
        seed("takeover", chat(ONE_CORE).log_in(1, 1).log_in(1, 1).node(Node::Goodbye).byte(2)),
        seed(
            "pings",
            chat(ONE_CORE)
                .node(Node::Stall)
                .byte(0)
                .node(Node::Ping)
                .raw(&[0, 255])
                .node(Node::Ping)
                .raw(&[0, 255])
                .node(Node::Stall)
                .byte(0),
        ),
        seed(
            "tokens",
            Writer::new()
                .raw(&[0, 128, 1, 1])
                .node(Node::Hold)
                .byte(4)
                .node(Node::LogIn)
                .raw(&[0, 0, 0, 0, 1])
                .node(Node::Judge)
                .raw(&[0, 1])
                .node(Node::LogIn)
                .raw(&[0, 0, 0, 0, 1])
                .node(Node::Judge)
                .raw(&[0, 0]),
        ),
        seed(
            "stops",
            chat(TWO_CORES)
                .node(Node::Send)
                .raw(&[0, 1, 0, 1])
                .node(Node::ShutDown)
                .node(Node::Connect)
                .byte(0),
        ),
    ];
    for (nth, name) in ["turns", "stores", "loads", "letters", "verdicts"].into_iter().enumerate() {
        seeds.push(seed(&format!("held-{name}"), held(TWO_CORES, nth as u8)));
    }
    seeds
}

/// A client that says what a vector has, after a chat or in place of its hello.
pub(super) fn told_to_shard(vector: &Vector) -> Vec<u8> {
    let writer = if vector.name.contains("hello") {
        Writer::new().raw(&ONE_CORE).node(Node::Connect).byte(0)
    } else {
        chat(ONE_CORE)
    };
    writer.node(Node::Bytes).byte(0).bytes(&vector.bytes).into_bytes()
}

pub(super) fn session() -> Vec<Seed> {
    let begin = || Writer::new().byte(1).client(Client::Pass).byte(0).online();
    let sent = || {
        begin().client(Client::Send).raw(&[0, 5]).client(Client::Stored).client(Client::Transmitted)
    };
    // A frame's step is followed by a head and whether it is told.
    let deliver = |writer: Writer| writer.client(Client::Deliver).raw(&[0, 0, 5, 0, 1, 0, 1, 0]);
    vec![
        seed("online", begin()),
        seed("sent", sent().client(Client::Answer).raw(&[0, 0, 0, 0, 1, 9])),
        seed(
            "rejected",
            sent()
                .client(Client::Answer)
                .raw(&[0, 0, 0, 200, 20, 3])
                .client(Client::Stored)
                .client(Client::Resend)
                .byte(0),
        ),
        seed(
            "delivered",
            deliver(begin())
                .client(Client::Stored)
                .client(Client::Transmitted)
                .client(Client::MarkRead)
                .raw(&[0, 1]),
        ),
        seed(
            "large",
            begin()
                .client(Client::Send)
                .raw(&[0, 245])
                .client(Client::Stored)
                .client(Client::Transmitted)
                .client(Client::Transmitted),
        ),
        seed("lost", deliver(sent()).client(Client::Lose).client(Client::Pass).byte(6).online()),
        seed(
            "crash",
            deliver(sent())
                .client(Client::Crash)
                .raw(&[1, 3])
                .client(Client::Pass)
                .byte(1)
                .online(),
        ),
        seed(
            "refused",
            Writer::new()
                .byte(0)
                .client(Client::Pass)
                .byte(0)
                .client(Client::Open)
                .byte(0)
                .client(Client::Refuse)
                .raw(&[0, 0, 9, 5]),
        ),
        seed(
            "redirected",
            begin().client(Client::Goodbye).raw(&[0, 0, 0, 0, 1]).client(Client::Pass).byte(8),
        ),
        seed(
            "went-back",
            deliver(begin())
                .client(Client::Stored)
                .client(Client::Lose)
                .client(Client::Pass)
                .byte(7)
                .client(Client::Open)
                .byte(0)
                .client(Client::Transmitted)
                .client(Client::Welcome)
                .raw(&[0, 1, 0, 3]),
        ),
        seed(
            "parts",
            begin()
                .client(Client::DeliverAny)
                .raw(&[0, 0, 1, 0, 10, 1, 50, 0, 1, 0, 1, 1])
                .client(Client::Part)
                .raw(&[0, 0, 49]),
        ),
        seed(
            "pongs",
            begin()
                .client(Client::Pass)
                .byte(5)
                .client(Client::Transmitted)
                .client(Client::Pong)
                .raw(&[9, 1])
                .client(Client::Pass)
                .byte(5),
        ),
    ]
}

/// A server that says what a vector has, after the login or before.
pub(super) fn told_to_session(vector: &Vector) -> Vec<u8> {
    let writer = Writer::new().byte(1).client(Client::Pass).byte(0);
    let writer = if vector.name.contains("welcome") || vector.name.contains("refuse") {
        writer.client(Client::Open).byte(0).client(Client::Transmitted)
    } else {
        writer.online()
    };
    writer.client(Client::Bytes).bytes(&vector.bytes).client(Client::Stored).into_bytes()
}

pub(super) fn assembly() -> Vec<Seed> {
    let full = PART_BYTES_MAX as u64;
    vec![
        seed(
            "small",
            Writer::new()
                .number(11)
                .byte(0)
                .bytes(b"hello")
                .byte(0)
                .bytes(b" ")
                .byte(0)
                .bytes(b"world"),
        ),
        seed(
            "two-pieces",
            Writer::new().number(2 * full).byte(64).number(full).byte(65).number(full),
        ),
        seed(
            "too-many",
            Writer::new().number(10).byte(64).number(8).byte(64).number(8).byte(64).number(2),
        ),
        seed(
            "large",
            (0..20).fold(Writer::new().number(416_384), |writer, nth| {
                writer.byte(64 + nth).number(full)
            }),
        ),
    ]
}

pub(super) fn journal() -> Vec<Seed> {
    // Syncing or not; commits of a few writes, a drain, a restart, at last a changed byte.
    let commits = |writer: Writer, count: u8| {
        (0..count).fold(writer, |writer, nth| {
            writer
                .byte(0)
                .byte(2)
                .raw(&[0, nth, nth, 20])
                .raw(&[130, nth, 1, 9])
                .raw(&[190, nth, 2, 60])
        })
    };
    let begin = |syncing: u8| commits(Writer::new().byte(syncing), 4);
    vec![
        seed("last-commit", begin(1).byte(255)),
        seed("drained", commits(begin(1), 12).byte(160).byte(190).byte(3).byte(230)),
        seed("trimmed", begin(0).byte(0).byte(1).raw(&[220, 0]).raw(&[240, 1]).byte(190).byte(0)),
        seed("restarted", commits(begin(1).byte(190).byte(0), 3).byte(190).byte(0)),
        seed("empty", Writer::new().byte(1)),
    ]
}

pub(super) fn segments() -> Vec<Seed> {
    // A name as it should be, a segment, its sequence as it follows, a salt.
    let segment =
        |writer: Writer, records: u8| writer.byte(0).byte(0).byte(0).byte(7).byte(records);
    // Sequences as they follow; two puts of entries and one of a record.
    let record = |writer: Writer, first: u8| {
        let writer = writer.byte(0).byte(0).byte(2);
        let writer = writer
            .raw(&[1, first, 3])
            .bytes(b"12345678value")
            .raw(&[1, first + 1, 3])
            .bytes(b"12345678");
        writer.raw(&[1, 0, 1]).bytes(&inbox_record())
    };
    let one = || record(segment(Writer::new().number(0).byte(0), 1), 1).byte(0);
    let two = || {
        let writer = record(segment(Writer::new().number(0).byte(1), 1), 1).byte(0);
        record(segment(writer, 1), 3).byte(0)
    };
    vec![
        seed("one", one().byte(0).byte(1)),
        seed("two", two().byte(0).byte(1)),
        seed("changed", one().byte(1).byte(0).number(4_100).byte(2).byte(1)),
        seed("cut", two().byte(1).byte(0).number(4_110).byte(0)),
        seed("not-dense", record(segment(Writer::new().number(0).byte(0), 1), 9).byte(0).byte(0)),
        seed("raw", Writer::new().number(0).byte(0).byte(0).byte(255).bytes(b"FulmarJ1").byte(0)),
    ]
}

pub(super) fn stored() -> Vec<Seed> {
    let entry = |writer: Writer, ordinal: u8, total: u8| {
        let writer = writer.byte(0).raw(&[200, 0, 1, 1, ordinal, 1, total]).bytes(b"0123456789");
        writer.byte(0)
    };
    let records =
        || Writer::new().byte(0).bytes(&inbox_record()).byte(0).bytes(&conversation_record());
    vec![
        seed("fresh", Writer::new().byte(255).byte(255).number(1).byte(0)),
        seed("in-use", entry(entry(records().number(3).byte(2), 3, 30), 4, 40).number(301)),
        seed(
            "trim-beyond-the-head",
            Writer::new().byte(0).bytes(&[1, 9, 0, 4, 40, 0]).byte(255).number(1).byte(0),
        ),
        seed("ahead", entry(records().number(5).byte(1), 5, 50)),
        seed("damaged", records().number(4).byte(1).byte(250).bytes(b"no entry")),
    ]
}

pub(super) fn store() -> Vec<Seed> {
    // Changes of one column each: which, the value, how, which rows.
    let change = |name: &str, columns: &[u8]| {
        let writer = Writer::new().byte(0).byte(columns.len() as u8);
        seed(
            name,
            columns.iter().fold(writer, |writer, &column| writer.byte(column).raw(&[200, 255, 1])),
        )
    };
    vec![
        seed("whole", Writer::new().byte(0).byte(0)),
        change("device", &[2, 3]),
        change("messages", &[4, 6, 8, 9]),
        change("outbox", &[13, 14]),
        change("conversations", &[15, 16, 20, 22]),
        seed("header", Writer::new().byte(255).byte(0).number(60).bytes(b"changed").byte(0)),
        seed("page", Writer::new().byte(255).byte(0).number(4_100).bytes(&[0; 64]).byte(0)),
        seed("cut", Writer::new().byte(255).byte(0).number(0).bytes(b"S").byte(1).number(5_000)),
    ]
}
