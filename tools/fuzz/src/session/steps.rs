//! What a script can do around a client.

use fulmar_client::Target;
use fulmar_client::core::Input;
use fulmar_client::limits::BODY_BYTES_MAX;
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Code, Deliver, Frame, Goodbye, Pairs, VERSION, Welcome};

use super::{Course, Link, groups};
use crate::script::Script;

/// Peers that people write to and that write to them.
const PEERS: u64 = 3;

/// A step. In a script it is one byte, its number, and then what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The connection that was asked for opens, or fails: how.
    Open,
    /// The connection breaks.
    Lose,
    /// The login succeeds: which limits, head.
    Welcome,
    /// A welcome of any kind: its numbers.
    WelcomeAny,
    /// Bytes from the server: bytes.
    Bytes,
    /// The next message: peer, ordinal, flags, length.
    Deliver,
    /// A message of any kind: position, peer, ordinal, flags, total, length.
    DeliverAny,
    /// A part of a large body: length.
    Part,
    /// Positions without a message: how many.
    Skip,
    /// An answer to a send that is under way: which, ordinal or refusal.
    Answer,
    /// An answer of any kind: peer, number, ordinal.
    AnswerAny,
    /// A receipt: peer, delivered, read, own.
    Receipt,
    /// A pong: head.
    Pong,
    /// The login fails: code.
    Refuse,
    /// The server says goodbye: code, time, address.
    Goodbye,
    /// The batch under way is stored.
    Stored,
    /// It fails.
    StoreFails,
    /// The write under way is done.
    Transmitted,
    /// Time passes: how long.
    Pass,
    /// The person writes: peer, length.
    Send,
    /// The person sends again what was rejected: peer.
    Resend,
    /// The person sees messages: peer, ordinal.
    MarkRead,
    /// The person wants a connection now.
    Reconnect,
    /// The program closes the client.
    Close,
    /// The process ends and begins again: whether the batch under way is stored, seed.
    Crash,
    /// The server says something about a group: what, group, and what that needs.
    Group,
    /// The person does something in a group: what, group.
    InGroup,
    /// The next entry of a page under way, or another one: position, peer, ordinal, flags, length.
    Past,
    /// The end of a page: its first position, whether there is more.
    HistoryEnd,
    /// The server says something about people: what, and what that needs.
    People,
    /// The person does something about people, or wants to see the past: what, and what that needs.
    OfPeople,
    /// The next message or entry, of any content: group or peer, ordinal, content, body.
    Content,
    /// The person sends any content: group or peer, content, body.
    SendContent,
}

impl Step {
    const ALL: [Step; 33] = [
        Step::Open,
        Step::Lose,
        Step::Welcome,
        Step::WelcomeAny,
        Step::Bytes,
        Step::Deliver,
        Step::DeliverAny,
        Step::Part,
        Step::Skip,
        Step::Answer,
        Step::AnswerAny,
        Step::Receipt,
        Step::Pong,
        Step::Refuse,
        Step::Goodbye,
        Step::Stored,
        Step::StoreFails,
        Step::Transmitted,
        Step::Pass,
        Step::Send,
        Step::Resend,
        Step::MarkRead,
        Step::Reconnect,
        Step::Close,
        Step::Crash,
        Step::Group,
        Step::InGroup,
        Step::Past,
        Step::HistoryEnd,
        Step::People,
        Step::OfPeople,
        Step::Content,
        Step::SendContent,
    ];
}

impl Course {
    /// Does what the script says next.
    pub(super) fn step(&mut self, script: &mut Script<'_>) {
        match script.choose(&Step::ALL) {
            Step::Open => self.open(script.byte()),
            Step::Lose => {
                if self.is_open() {
                    self.lose();
                }
            }
            Step::Bytes => self.receive(script.bytes()),
            // Seldom: nothing follows it.
            Step::StoreFails if script.byte() >= 250 => self.store_fails(),
            Step::Stored | Step::StoreFails => self.stored(),
            Step::Transmitted => {
                if self.link == (Link::Open { is_writing: true }) {
                    self.link = Link::Open { is_writing: false };
                    self.input(Input::Transmitted);
                }
            }
            Step::Pass => {
                let ms =
                    script.choose(&[0, 1, 500, 10_000, 20_000, 31_000, 60_000, 600_000, 3_700_000]);
                self.now.elapsed_ms += ms;
                self.now.unix_ms += ms;
                self.input(Input::Tick);
            }
            Step::Send => self.write(script),
            Step::Resend => self.resend(Target::Peer(peer(script))),
            Step::Group => self.group_frame(script),
            Step::InGroup => self.in_group(script),
            Step::Past => self.past_frame(script),
            Step::HistoryEnd => self.past_ends(script),
            Step::People => self.people_frame(script),
            Step::OfPeople => self.of_people(script),
            Step::Content => self.content_frame(script),
            Step::SendContent => self.send_content(script),
            Step::MarkRead => {
                let mut actions = Vec::new();
                self.session.mark_read(self.now, peer(script), script.number(), &mut actions);
                self.carry_out(actions);
            }
            Step::Reconnect => {
                let mut actions = Vec::new();
                self.session.reconnect(self.now, &mut actions);
                self.carry_out(actions);
            }
            Step::Close if script.byte() >= 250 => {
                let mut actions = Vec::new();
                self.session.close(self.now, &mut actions);
                self.is_over = true;
                self.carry_out(actions);
            }
            Step::Close => {}
            Step::Crash => self.crash(script.flag(), u64::from(script.byte())),
            step => self.server(step, script),
        }
    }

    fn open(&mut self, how: u8) {
        if self.link != Link::Asked {
            return;
        }
        if how < 240 {
            self.link = Link::Open { is_writing: false };
            self.watch.connected();
            self.input(Input::Connected);
        } else {
            self.link = Link::None;
            self.input(Input::Disconnected("refused"));
        }
    }

    fn lose(&mut self) {
        self.link = Link::None;
        self.watch.disconnected();
        self.input(Input::Disconnected("reset by peer"));
    }

    fn write(&mut self, script: &mut Script<'_>) {
        let peer = peer(script);
        let bytes = match script.byte() {
            byte @ 0..200 => usize::from(byte),
            byte @ 200..240 => PART_BYTES_MAX - 20 + usize::from(byte - 200),
            byte => usize::from(byte - 239) * PART_BYTES_MAX * 2,
        };
        self.send(peer, vec![b'.'; bytes.min(BODY_BYTES_MAX + 1)]);
    }

    /// The server says something.
    fn server(&mut self, step: Step, script: &mut Script<'_>) {
        let filling = vec![b'x'; PART_BYTES_MAX];
        let heads = [(0, script.number())];
        let heads = Pairs::Slice(&heads[..script.below(2)]);
        let frame = match step {
            Step::Welcome => Frame::Welcome(Welcome {
                version: VERSION,
                capabilities: 0,
                session: 1,
                time_ms: self.now.unix_ms.saturating_add(script.number()),
                body_bytes_max: BODY_BYTES_MAX as u64,
                window_messages: 64,
                window_bytes: 1 << 20,
                sends_max: 1 + u64::from(script.byte() % 8),
                idle_s: 90,
                presence_s: 30,
                heads,
            }),
            Step::WelcomeAny => Frame::Welcome(Welcome {
                version: if script.byte() < 250 { VERSION } else { script.number() },
                capabilities: script.number(),
                session: script.number(),
                time_ms: script.number(),
                body_bytes_max: script.number(),
                window_messages: script.number(),
                window_bytes: script.number(),
                sends_max: script.number(),
                idle_s: script.number(),
                presence_s: script.number(),
                heads,
            }),
            Step::Deliver => {
                let position = self.watch.announced() + 1;
                let body = &filling[..usize::from(script.byte())];
                Frame::Deliver(deliver(position, script, None, body))
            }
            Step::DeliverAny => {
                let position = match script.byte() {
                    byte @ 0..128 => self.watch.announced().saturating_add(u64::from(byte % 4)),
                    _ => script.number(),
                };
                let body = &filling[..script.number() as usize % (PART_BYTES_MAX + 1)];
                let total_bytes =
                    script.flag().then(|| (body.len() as u64).saturating_add(script.number()));
                Frame::Deliver(deliver(position, script, total_bytes, body))
            }
            Step::Part => Frame::Part { body: &filling[..=script.number() as usize % 300] },
            Step::Skip => {
                let more = script.number();
                Frame::Skip { position: self.watch.announced().saturating_add(more) }
            }
            Step::Answer => {
                let in_flight = self.watch.in_flight();
                if in_flight.is_empty() {
                    return;
                }
                match script.choose(&in_flight) {
                    (Target::Peer(peer), number) => answer(peer, number, script),
                    (Target::Group(group), number) => groups::answer(group, number, script),
                }
            }
            Step::AnswerAny => answer(script.number(), script.number(), script),
            Step::Receipt => Frame::Receipt {
                peer: peer(script),
                delivered: script.number(),
                read: script.number(),
                own: script.flag(),
            },
            Step::Pong => Frame::Pong { heads },
            Step::Refuse => Frame::Refuse {
                code: code(script),
                retry_after_ms: script.number(),
                detail: "as the script says",
            },
            _ => Frame::Goodbye(Goodbye {
                code: code(script),
                retry_after_ms: script.number(),
                address: script.choose(&["", "other.example:7700", "nowhere", ":1", "h:0"]),
                detail: "",
            }),
        };
        self.receive_frame(&frame);
    }

    /// A frame from the server, whole.
    pub(super) fn receive_frame(&mut self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.receive(&bytes);
    }
}

fn deliver<'a>(
    position: u64,
    script: &mut Script<'_>,
    total_bytes: Option<u64>,
    body: &'a [u8],
) -> Deliver<'a> {
    let (peer, ordinal, time_ms) = (peer(script), script.number(), script.number());
    let (content, own) = (script.byte(), script.flag());
    Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body }
}

fn answer(peer: u64, number: u64, script: &mut Script<'_>) -> Frame<'static> {
    if script.byte() < 160 {
        Frame::Sent { peer, number, ordinal: script.number(), time_ms: script.number() }
    } else {
        let (code, retry_after_ms) = (code(script), script.number());
        Frame::Rejected { peer, number, code, retry_after_ms }
    }
}

/// A peer, or nobody.
pub(super) fn peer(script: &mut Script<'_>) -> u64 {
    match script.byte() {
        byte @ 0..250 => 8 + u64::from(byte) % PEERS,
        250..254 => script.number(),
        _ => 0,
    }
}

pub(super) fn code(script: &mut Script<'_>) -> Code {
    match script.byte() {
        byte @ 0..240 => script_code(byte),
        _ => Code::from_number(script.number() as u16),
    }
}

fn script_code(byte: u8) -> Code {
    Code::ALL[usize::from(byte) % Code::ALL.len()]
}
