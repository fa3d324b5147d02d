//! Short courses of events around the shards of a node.

use fulmar_protocol::group::Action;

use super::Seed;
use super::scripts::seed;
use super::vectors::{Content, Vector};
use crate::script::Writer;
use crate::shard::Step as Node;

/// Settings of a node with one core, as they usually are.
const ONE_CORE: [u8; 4] = [0, 0, 127, 127];
/// Settings of a node with two cores and small bounds.
const TWO_CORES: [u8; 4] = [1, 0b0110_1110, 1, 3];

impl Writer {
    fn node(self, step: Node) -> Self {
        self.byte(step as u8)
    }

    /// A device logs in on core 0 with its true cursor.
    fn log_in(self, user: u8, device: u8) -> Self {
        self.node(Node::LogIn).raw(&[0, user - 1, device - 1, 0, 0])
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

pub(super) fn scripts() -> Vec<Seed> {
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
    seeds.extend(groups());
    seeds.extend(people());
    seeds
}

/// Users 1 and 2 in a group that 1 made, both of whom follow it.
fn in_group(settings: [u8; 4]) -> Writer {
    let writer = Writer::new().raw(&settings).log_in(1, 1).log_in(2, 1);
    let resume = |writer: Writer, line| writer.node(Node::GroupResume).raw(&[line, 0]);
    let writer = resume(resume(writer, 0), 1).node(Node::GroupMake).raw(&[0, 0b10, 5]);
    writer.node(Node::Ack).byte(1).node(Node::Ack).byte(0)
}

/// They write there, and read what the other wrote.
fn group_chat(settings: [u8; 4]) -> Writer {
    let mut writer = in_group(settings);
    for line in [0, 1, 0] {
        writer = writer.node(Node::GroupSend).raw(&[line, 0, 0, 2]);
        writer = writer.node(Node::GroupAck).byte(0).node(Node::GroupAck).byte(1);
    }
    writer.node(Node::GroupRead).raw(&[1, 0, 2]).node(Node::GroupAsk).raw(&[0, 0, 2, 0])
}

fn change(writer: Writer, line: u8, action: Action, users: u8, value: u8) -> Writer {
    let nth = Action::ALL.iter().position(|known| *known == action).expect("an action");
    writer.node(Node::GroupChange).raw(&[line, 0, nth as u8, users, value])
}

fn groups() -> Vec<Seed> {
    let small = [0b0000_0110, 0, 127, 127];
    let look = |writer: Writer, line| writer.node(Node::GroupLook).raw(&[line, 0, 0]);
    let history = [0, 0, 1, 240, 255, 255, 9, 1];
    let every_change = |settings| {
        let changes = [
            (Action::Rename, 0, 1),
            (Action::Describe, 0, 2),
            (Action::Add, 0b100, 0),
            (Action::Promote, 0b10, 0),
            (Action::Demote, 0b10, 0),
            (Action::ShowHistory, 0, 1),
            (Action::Remove, 0b10, 0),
            (Action::Add, 0b10, 0),
            (Action::HandOver, 0b10, 0),
            (Action::Leave, 0, 0),
        ];
        let writer =
            changes.into_iter().fold(group_chat(settings), |writer, (action, users, value)| {
                change(writer, 0, action, users, value)
            });
        look(look(change(writer, 1, Action::Delete, 0, 0), 1), 0)
    };
    let refer = [0, 1, 2, 3, 0x80, 0x82].into_iter().fold(group_chat(ONE_CORE), |writer, kind| {
        writer.node(Node::GroupRefer).raw(&[0, 0, kind, 2])
    });
    let chat_refer = [0, 1, 2, 3, 0x85, 0x86].into_iter().fold(chat(ONE_CORE), |writer, kind| {
        writer.node(Node::Refer).raw(&[0, 1, kind, kind & 1, 1])
    });
    vec![
        seed("group-chat", group_chat(ONE_CORE)),
        seed("group-chat-two-cores", group_chat(TWO_CORES)),
        seed("group-changes", every_change(ONE_CORE)),
        seed("group-changes-two-cores", every_change(TWO_CORES)),
        seed("group-small", change(every_change(small), 0, Action::Add, 0b1100, 0)),
        seed("group-refers", refer),
        seed("refers", chat_refer),
        seed(
            "group-crash",
            group_chat(TWO_CORES)
                .node(Node::GroupSend)
                .raw(&[0, 0, 0, 1])
                .node(Node::Crash)
                .raw(&[0, 0])
                .log_in(1, 1)
                .log_in(2, 1)
                .node(Node::GroupResume)
                .raw(&[1, 0])
                .node(Node::Resend)
                .raw(&[0, 7])
                .node(Node::GroupAck)
                .byte(1),
        ),
        seed(
            "group-away",
            group_chat(ONE_CORE)
                .node(Node::HangUp)
                .byte(1)
                .node(Node::GroupSend)
                .raw(&[0, 0, 0, 9])
                .node(Node::Pass)
                .byte(6)
                .log_in(2, 2)
                .node(Node::GroupResume)
                .raw(&[1, 0])
                .node(Node::GroupAck)
                .byte(1),
        ),
        seed(
            "group-large",
            in_group(ONE_CORE)
                .node(Node::GroupSendLarge)
                .raw(&[0, 0, 0, 60, 255])
                .node(Node::GroupSend)
                .raw(&[0, 0, 0, 1])
                .node(Node::GroupAck)
                .byte(1),
        ),
        seed(
            "group-pages",
            group_chat([0, 1, 127, 127])
                .node(Node::GroupHistory)
                .raw(&history)
                .node(Node::GroupHistory)
                .raw(&[1, 0, 2, 3, 0, 0])
                .node(Node::History)
                .raw(&[1, 1, 9, 4, 1]),
        ),
        seed(
            "group-expired",
            group_chat(TWO_CORES)
                .node(Node::Pass)
                .byte(6)
                .node(Node::GroupRemove)
                .raw(&[0, 1])
                .node(Node::GroupSend)
                .raw(&[0, 0, 0, 1])
                .node(Node::Jump)
                .byte(2)
                .log_in(2, 2),
        ),
    ]
}

fn people() -> Vec<Seed> {
    let two = |settings: [u8; 4]| Writer::new().raw(&settings).log_in(1, 1).log_in(2, 1);
    let named = |settings| {
        let writer = two(settings).node(Node::Put).raw(&[0, 5, 0, 0]);
        let writer = writer.node(Node::Put).raw(&[1, 5, 0, 0]).node(Node::Find).raw(&[1, 0]);
        writer
            .node(Node::Pass)
            .byte(3)
            .node(Node::Put)
            .raw(&[0, 5, 0, 1])
            .node(Node::Put)
            .raw(&[1, 5, 0, 0])
    };
    let watched = |settings| {
        let writer =
            two(settings).node(Node::Watch).raw(&[0, 0b11]).node(Node::Activity).raw(&[1, 1]);
        let writer = writer.node(Node::Activity).raw(&[0, 1]).node(Node::Typing).raw(&[1, 0, 0, 1]);
        writer
            .node(Node::Pass)
            .byte(5)
            .node(Node::Activity)
            .raw(&[1, 0])
            .node(Node::Unwatch)
            .raw(&[0, 2])
    };
    let book = |settings| {
        let writer = two(settings).log_in(1, 2).node(Node::BookResume).raw(&[2, 0]);
        let writer = writer.node(Node::Put).raw(&[0, 0, 0, 3]).node(Node::Put).raw(&[0, 6, 1, 5]);
        let writer = writer.node(Node::Put).raw(&[0, 3, 1, 4]).node(Node::Put).raw(&[0, 6, 1, 0]);
        writer.node(Node::BookResume).raw(&[2, 2]).node(Node::ProfileLook).raw(&[1, 0, 0])
    };
    let blocked = |settings| {
        let writer = chat(settings).node(Node::Put).raw(&[1, 2, 0, 1]);
        let writer = writer.node(Node::Send).raw(&[0, 1, 0, 2]).node(Node::Watch).raw(&[0, 2]);
        writer.node(Node::Put).raw(&[1, 1, 1, 1]).node(Node::Put).raw(&[1, 2, 0, 0])
    };
    let mut seeds = Vec::new();
    for (cores, settings) in [("", ONE_CORE), ("-two-cores", TWO_CORES)] {
        seeds.push(seed(&format!("names{cores}"), named(settings)));
        seeds.push(seed(&format!("watched{cores}"), watched(settings)));
        seeds.push(seed(&format!("book{cores}"), book(settings)));
        seeds.push(seed(&format!("blocked{cores}"), blocked(settings)));
    }
    seeds
}

/// A message of any content, after a chat or in a group.
pub(super) fn content(content: &Content) -> Vec<u8> {
    let writer = if content.in_group {
        group_chat(ONE_CORE).node(Node::GroupContent).raw(&[0, 0])
    } else {
        chat(ONE_CORE).node(Node::Content).raw(&[0, 1])
    };
    writer.byte(content.kind).bytes(&content.body).into_bytes()
}

/// A client that says what a vector has, after a chat or in place of its hello.
pub(super) fn told(vector: &Vector) -> Vec<u8> {
    let writer = if vector.name.contains("hello") {
        Writer::new().raw(&ONE_CORE).node(Node::Connect).byte(0)
    } else {
        chat(ONE_CORE)
    };
    writer.node(Node::Bytes).byte(0).bytes(&vector.bytes).into_bytes()
}
