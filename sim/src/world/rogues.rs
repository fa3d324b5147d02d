//! Clients that misbehave, and what they write.

use fulmar_protocol::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Code, Frame, Goodbye, Hello, Pairs, Send, VERSION, Welcome};

use super::World;
use crate::clock::SECOND;
use crate::coverage::Happening;
use crate::device::{body, token};
use crate::network::{ClientEnd, ConnNo, Party, Way};
use crate::rogue::{Deed, Opening, Rogue};
use crate::schedule::Event;
use crate::trace::in_words;

/// User numbers of rogues begin here, far from those of others.
const ROGUES_FIRST: u64 = 2_000_000_000;

/// What is about groups, books and people, of all that rogues do.
const TRICKS_PERCENT: u64 = 30;

/// What a hello says.
struct Greeting {
    versions: (u64, u64),
    user: u64,
    device: u64,
    token: Vec<u8>,
    cursor: u64,
}

impl World {
    /// Two rogues share a user.
    pub(super) fn add_rogues(&mut self) {
        for nth in 0..self.plan.rogues {
            let user = ROGUES_FIRST + u64::from(nth / 2);
            self.rogues.push(Rogue::new(user, 1 + (nth % 2) as u16, false));
            let pause = self.mischief.pause(self.plan.rogue);
            self.schedule.at(pause, Event::Rogue { rogue: nth });
        }
    }

    /// Another program logs in as a device that keeps the rules, and goes again.
    pub(super) fn twin(&mut self) {
        let device = self.mischief.index(self.devices.len());
        let (user, number) = (self.devices[device].user, self.devices[device].number);
        let rogue = self.rogues.len() as u32;
        self.rogues.push(Rogue::new(user, number, true));
        self.coverage.hit(Happening::RogueTwin);
        self.schedule.after(1, Event::Rogue { rogue });
    }

    pub(super) fn rogue_acts(&mut self, rogue: u32) {
        if self.is_calm() {
            self.hang_up(rogue);
            return;
        }
        let state = &self.rogues[rogue as usize];
        let (conn, is_twin) = (state.conn, state.is_twin);
        match conn {
            Some(_) if is_twin => {
                self.hang_up(rogue);
                return;
            }
            Some(conn) if state.is_welcomed && !state.was_told => self.misbehave(rogue, conn),
            Some(_) if self.mischief.once_in(20) => self.hang_up(rogue),
            Some(_) => {}
            None => self.rogue_dials(rogue),
        }
        let mean = if is_twin { 3 * SECOND } else { self.plan.rogue };
        let pause = self.mischief.pause(mean);
        self.schedule.after(pause, Event::Rogue { rogue });
    }

    fn rogue_dials(&mut self, rogue: u32) {
        self.coverage.hit(Happening::RogueConnect);
        let many = self.mischief.once_in(8);
        let device = self.mischief.between(1..=40) as u16;
        let conn = self.network.dial(Party::Rogue(rogue), &mut self.schedule);
        let state = &mut self.rogues[rogue as usize];
        state.disconnected();
        state.conn = Some(conn);
        if many && !state.is_twin {
            state.device = device;
        }
    }

    pub(super) fn hang_up(&mut self, rogue: u32) {
        let state = &mut self.rogues[rogue as usize];
        let conn = state.conn;
        state.disconnected();
        if let Some(conn) = conn {
            self.client_closes(conn);
        }
    }

    pub(super) fn rogue_loses(&mut self, rogue: u32, conn: ConnNo) {
        let state = &mut self.rogues[rogue as usize];
        if state.conn == Some(conn) {
            if state.was_told {
                self.coverage.hit(Happening::RogueEnded);
            }
            self.rogues[rogue as usize].disconnected();
        }
    }

    pub(super) fn rogue_reads(&mut self, rogue: u32, conn: ConnNo, bytes: &[u8]) {
        let state = &mut self.rogues[rogue as usize];
        if state.conn == Some(conn) {
            state.read(bytes);
        }
    }

    // What it writes.

    pub(super) fn put(&mut self, conn: ConnNo, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.trace.say(self.schedule.now(), || format!("rogue on {conn}: {}", in_words(frame)));
        self.oracle.wrote(conn, frame);
        self.client_writes(conn, bytes);
    }

    pub(super) fn put_bytes(&mut self, conn: ConnNo, bytes: &[u8]) {
        self.trace.say(self.schedule.now(), || format!("rogue on {conn}: {} bytes", bytes.len()));
        self.oracle.wrote_garbage(conn);
        self.client_writes(conn, bytes.to_vec());
    }

    /// The hello of a login that should succeed.
    fn honest(&self, rogue: u32) -> Greeting {
        let state = &self.rogues[rogue as usize];
        let (user, device) = (state.user, u64::from(state.device));
        let token = if self.plan.uses_tokens { token(user, device, "good") } else { Vec::new() };
        Greeting { versions: (VERSION, VERSION), user, device, token, cursor: 0 }
    }

    fn greet(&mut self, conn: ConnNo, greeting: &Greeting) {
        let cursors = [(0, greeting.cursor)];
        let hello = Hello {
            version_min: greeting.versions.0,
            version_max: greeting.versions.1,
            capabilities: 0,
            user: greeting.user,
            device: greeting.device,
            token: &greeting.token,
            agent: "rogue",
            cursors: Pairs::Slice(&cursors),
        };
        self.put(conn, &Frame::Hello(hello));
    }

    pub(super) fn rogue_connected(&mut self, rogue: u32, conn: ConnNo) {
        if self.rogues[rogue as usize].conn != Some(conn) {
            return;
        }
        let opening = self.rogues[rogue as usize].opening(&mut self.mischief);
        let honest = self.honest(rogue);
        match opening {
            Opening::Login { is_lying: false } => self.greet(conn, &honest),
            Opening::Login { is_lying: true } => {
                self.coverage.hit(Happening::RogueLie);
                let cursor = self.mischief.number();
                self.greet(conn, &Greeting { cursor, ..honest });
            }
            Opening::Chatter => {
                self.coverage.hit(Happening::RogueChatter);
                self.greet(conn, &honest);
                self.put(conn, &Frame::Ping);
            }
            Opening::Garbage => {
                self.coverage.hit(Happening::RogueGarbage);
                let noise = self.mischief.number().to_le_bytes();
                let words: [&[u8]; 3] =
                    [b"\x0e\x01GET / HTTP/1.1\r\n\r\n", &noise, b"\x04\x04\x01\x01\x00"];
                let bytes = self.mischief.pick(&words);
                self.put_bytes(conn, bytes);
            }
            Opening::Early => {
                self.coverage.hit(Happening::RogueEarly);
                self.put(conn, &Frame::Ack { position: 1 });
            }
            Opening::Half => {
                self.coverage.hit(Happening::RogueHalfFrame);
                self.put_bytes(conn, &[21, 1, b'F', b'L']);
            }
            Opening::Silence => self.coverage.hit(Happening::RogueSilent),
            Opening::Version => {
                self.greet(conn, &Greeting { versions: (2, 9), ..honest });
            }
            Opening::Nobody => {
                let (user, device) = self.mischief.pick(&[(0, 1), (7, 0), (7, 65_536)]);
                self.greet(conn, &Greeting { user, device, ..honest });
            }
            Opening::Token => {
                let token = self.bad_token(&honest);
                self.greet(conn, &Greeting { token, ..honest });
            }
            Opening::NoToken => self.greet(conn, &Greeting { token: Vec::new(), ..honest }),
            Opening::TooLarge => self.put_bytes(conn, &[0xff, 0x7f, 1]),
            Opening::Malformed => self.put_bytes(conn, b"\x08\x01FLMR\x80\x00\x00"),
        }
    }

    fn bad_token(&mut self, honest: &Greeting) -> Vec<u8> {
        let (user, device) = (honest.user, honest.device);
        match self.mischief.below(4) {
            0 => b"nonsense".to_vec(),
            1 => token(user, device, "expired"),
            2 => token(user, device, "unknown"),
            _ => token(user + 1, device, "good"),
        }
    }

    fn misbehave(&mut self, rogue: u32, conn: ConnNo) {
        if self.network.has_unsent(conn, Way::Up) {
            // Enough is on its way.
            return;
        }
        if self.tricks.percent(TRICKS_PERCENT) {
            self.trick(rogue, conn);
            return;
        }
        match Rogue::deed(&mut self.mischief) {
            Deed::Send => self.rogue_sends(rogue, conn, 1),
            Deed::Flood => {
                self.coverage.hit(Happening::RogueFlood);
                self.rogue_sends(rogue, conn, 300);
            }
            Deed::Resend => self.rogue_resends(rogue, conn, false),
            Deed::OtherBody => self.rogue_resends(rogue, conn, true),
            Deed::StaleNumber => {
                let peer = self.victim();
                self.rogue_send(conn, peer, 1, b"an old number");
            }
            Deed::BadPeer => {
                let number = self.next_number(rogue);
                self.rogue_send(conn, 0, number, b"to nobody");
            }
            Deed::Large
            | Deed::Unfinished
            | Deed::SecondLarge
            | Deed::TooManyParts
            | Deed::TooLarge
            | Deed::StrayPart => self.rogue_cuts(rogue, conn),
            Deed::Ack | Deed::AckAhead | Deed::Read | Deed::ReadAhead | Deed::Ask => {
                self.rogue_answers(rogue, conn);
            }
            Deed::Malformed => self.put_bytes(conn, &[3, 10, 0x80, 0x00]),
            Deed::UnknownKind => self.put_bytes(conn, &[1, 0]),
            Deed::Skippable => self.put_bytes(conn, &[3, 60, 1, 2]),
            Deed::ServerFrame => self.rogue_plays_server(conn),
            Deed::LongFrame => self.put_bytes(conn, &[0x80, 0x80, 0x01]),
            Deed::HalfFrame => {
                self.coverage.hit(Happening::RogueHalfFrame);
                self.put_bytes(conn, &[100, 4, 1]);
                // Nothing may follow it, or the rest would be taken for its end.
                self.rogues[rogue as usize].was_told = true;
            }
            Deed::Stall => {
                let until = self.schedule.now() + self.mischief.magnitude(SECOND..=20 * SECOND);
                self.network.get(conn).stalled_until = until;
            }
            Deed::HangUp => self.hang_up(rogue),
            Deed::Goodbye => {
                let goodbye =
                    Goodbye { code: Code::None, retry_after_ms: 0, address: "", detail: "" };
                self.put(conn, &Frame::Goodbye(goodbye));
            }
            Deed::Nothing => {}
        }
        if self.network.get(conn).client == ClientEnd::Open && self.mischief.once_in(10) {
            self.put(conn, &Frame::Ping);
        }
    }

    fn next_number(&mut self, rogue: u32) -> u64 {
        let step = self.mischief.magnitude(1..=50);
        let state = &mut self.rogues[rogue as usize];
        state.number += step;
        state.number
    }

    /// Mostly a user that keeps the rules, sometimes another rogue or itself.
    fn victim(&mut self) -> u64 {
        if self.mischief.percent(80) {
            self.mischief.pick(&self.users)
        } else {
            ROGUES_FIRST + self.mischief.below(u64::from(self.plan.rogues.max(2)) / 2)
        }
    }

    fn rogue_send(&mut self, conn: ConnNo, peer: u64, number: u64, body: &[u8]) {
        let send = Send { peer, number, content: 0, total_bytes: None, body };
        self.put(conn, &Frame::Send(send));
    }

    pub(super) fn new_body(&mut self, bytes: usize) -> Vec<u8> {
        self.serial += 1;
        body(self.serial, bytes).to_vec()
    }

    fn rogue_sends(&mut self, rogue: u32, conn: ConnNo, count: u32) {
        let peer = self.victim();
        for _ in 0..count {
            let number = self.next_number(rogue);
            let bytes = self.mischief.between(8..=100) as usize;
            let body = self.new_body(bytes);
            self.rogue_send(conn, peer, number, &body);
            self.rogues[rogue as usize].remember(peer, number, body);
        }
    }

    fn rogue_resends(&mut self, rogue: u32, conn: ConnNo, is_other: bool) {
        let sent = &self.rogues[rogue as usize].sent;
        if sent.is_empty() {
            return;
        }
        let (peer, number, mut body) = sent[self.mischief.index(sent.len())].clone();
        if is_other {
            self.coverage.hit(Happening::RogueOtherBody);
            body = self.new_body(40);
        }
        self.rogue_send(conn, peer, number, &body);
    }

    fn rogue_cuts(&mut self, rogue: u32, conn: ConnNo) {
        let peer = self.victim();
        let number = self.next_number(rogue);
        let large = self.new_body(20_000);
        let (first, rest) = large.split_at(PART_BYTES_MAX);
        let whole = large.len() as u64;
        let begin = |total_bytes| {
            let total_bytes = Some(total_bytes);
            Frame::Send(Send { peer, number, content: 0, total_bytes, body: first })
        };
        match self.mischief.below(6) {
            0 => {
                self.put(conn, &begin(whole));
                self.put(conn, &Frame::Part { body: rest });
            }
            1 => {
                self.coverage.hit(Happening::RogueUnfinished);
                self.put(conn, &begin(whole));
            }
            2 => {
                self.coverage.hit(Happening::RogueBadPart);
                self.put(conn, &begin(whole));
                self.put(conn, &begin(whole));
            }
            3 => {
                self.coverage.hit(Happening::RogueBadPart);
                self.put(conn, &begin(whole - 1));
                self.put(conn, &Frame::Part { body: rest });
            }
            4 => {
                self.coverage.hit(Happening::RogueBadPart);
                self.put(conn, &Frame::Part { body: rest });
            }
            _ => {
                // Too large; its parts are dropped like their announcement.
                self.put(conn, &begin(1 << 40));
            }
        }
    }

    fn rogue_answers(&mut self, rogue: u32, conn: ConnNo) {
        let state = &self.rogues[rogue as usize];
        let (position, last) = (state.position, state.last);
        match self.mischief.below(7) {
            0..3 if position > 0 => self.put(conn, &Frame::Ack { position }),
            3 => {
                self.coverage.hit(Happening::RogueAckAhead);
                let position = self.mischief.pick(&[position + 1, position + 1_000, u64::MAX]);
                self.put(conn, &Frame::Ack { position });
            }
            4 => {
                if let Some((peer, ordinal)) = last {
                    self.put(conn, &Frame::Read { peer, ordinal });
                }
            }
            5 => {
                self.coverage.hit(Happening::RogueReadAhead);
                let peer = self.victim();
                let ordinal = self.mischief.pick(&[1, 1_000, u64::MAX]);
                self.put(conn, &Frame::Read { peer, ordinal });
            }
            _ => {
                for _ in 0..self.mischief.magnitude(1..=60) {
                    let peer = self.victim();
                    self.put(conn, &Frame::Ask { peer });
                }
            }
        }
    }

    fn rogue_plays_server(&mut self, conn: ConnNo) {
        let frame = match self.mischief.below(3) {
            0 => Frame::Sent { peer: 1, number: 1, ordinal: 1, time_ms: 1 },
            1 => Frame::Receipt { peer: 1, delivered: 1, read: 1, own: false },
            _ => Frame::Welcome(Welcome {
                version: 1,
                capabilities: 0,
                session: 1,
                time_ms: 1,
                body_bytes_max: 1,
                window_messages: 1,
                window_bytes: 1,
                sends_max: 1,
                idle_s: FRAME_BYTES_MAX as u64,
                presence_s: 0,
                heads: Pairs::Slice(&[]),
            }),
        };
        self.put(conn, &frame);
    }
}
