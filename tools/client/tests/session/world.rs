//! Many devices' lives against a small model of a server, with faults drawn from a seed.
//!
//! The model keeps the promises of the protocol and nothing more: it answers a repeated number with
//! the first ordinal, delivers after the last acknowledgement within a window, skips what is not for
//! the device, cuts large bodies. The faults are: connections that break at any byte, a process that
//! ends at any moment (its store stays), stores and writes that take their time.

use std::collections::BTreeMap;

use fastrand::Rng;
use fulmar_client::core::{Action, Input, Now, Session};
use fulmar_client::store::{MemoryStore, Store, Write};
use fulmar_client::{Event, Target, content};
use fulmar_protocol::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Assembly, Chunks, Deliver, Frame, Pairs, Welcome, split_frame};

use crate::device::identity;
use crate::frames::{START_MS, WELCOME, large_body};

const PEERS: [u64; 3] = [8, 9, 10];
const WINDOW: u64 = 5;

/// What the model keeps across connections.
#[derive(Default)]
struct Server {
    /// (peer, number) → ordinal.
    accepted: BTreeMap<(u64, u64), u64>,
    /// Bodies by peer, in the order of their ordinals.
    taken: BTreeMap<u64, Vec<Vec<u8>>>,
    /// The inbox from position 1: a message, or a hole.
    inbox: Vec<Option<(u64, u64, Vec<u8>)>>,
    acknowledged: u64,
    reads: BTreeMap<u64, u64>,
}

/// What the model keeps of one connection.
#[derive(Default)]
struct Connection {
    heard: Vec<u8>,
    /// Bytes that are still to reach the client.
    said: Vec<u8>,
    welcomed: bool,
    delivered: u64,
    cut: Option<(u64, u64, Assembly)>,
}

impl Server {
    fn frame(&mut self, connection: &mut Connection, frame: &Frame<'_>) {
        match *frame {
            Frame::Hello(ref hello) => {
                let cursor = hello.cursors.iter().next().unwrap().1;
                assert!(cursor >= self.acknowledged, "a cursor went back");
                assert!(cursor <= self.inbox.len() as u64);
                connection.delivered = self.acknowledged;
                connection.welcomed = true;
                let heads = [(0, self.inbox.len() as u64)];
                let welcome = Welcome { heads: Pairs::Slice(&heads), ..WELCOME };
                Frame::Welcome(welcome).encode(&mut connection.said);
            }
            Frame::Send(ref send) => {
                assert!(connection.welcomed);
                match send.total_bytes {
                    None => self.take(connection, send.peer, send.number, send.body),
                    Some(total_bytes) => {
                        assert!(connection.cut.is_none(), "two large bodies at once");
                        let assembly = Assembly::new(total_bytes as usize, send.body);
                        connection.cut = Some((send.peer, send.number, assembly));
                    }
                }
            }
            Frame::Part { body } => {
                let (peer, number, mut assembly) = connection.cut.take().expect("a body to go on");
                if assembly.push(body).unwrap() {
                    self.take(connection, peer, number, &assembly.into_body());
                } else {
                    connection.cut = Some((peer, number, assembly));
                }
            }
            Frame::Ack { position } => {
                assert!(position <= connection.delivered, "an ack of what was not delivered");
                self.acknowledged = self.acknowledged.max(position);
            }
            Frame::Read { peer, ordinal } => {
                let of_peer = self.inbox.iter().flatten().filter(|message| message.0 == peer);
                let last = of_peer.map(|message| message.1).max();
                assert!(Some(ordinal) <= last, "a read of what does not exist");
                let read = self.reads.entry(peer).or_default();
                *read = (*read).max(ordinal);
            }
            Frame::Ask { peer } => {
                let delivered = self.taken.get(&peer).map_or(0, |taken| taken.len() as u64);
                let receipt = Frame::Receipt { peer, delivered, read: delivered / 2, own: false };
                receipt.encode(&mut connection.said);
            }
            Frame::Ping => {
                let heads = [(0, self.inbox.len() as u64)];
                Frame::Pong { heads: Pairs::Slice(&heads) }.encode(&mut connection.said);
            }
            Frame::GroupResume { ref cursors } => assert!(cursors.is_empty()),
            ref other => panic!("unexpected {other:?}"),
        }
    }

    fn take(&mut self, connection: &mut Connection, peer: u64, number: u64, body: &[u8]) {
        if let Some((cut_peer, ..)) = &connection.cut {
            assert_ne!(*cut_peer, peer, "a send passed a large body to the same peer");
        }
        let (ordinal, time_ms) = if let Some(&ordinal) = self.accepted.get(&(peer, number)) {
            (ordinal, 0)
        } else {
            let newest = self.accepted.range((peer, 0)..(peer + 1, 0)).next_back();
            assert!(newest.is_none_or(|((_, last), _)| *last < number), "a number went back");
            let taken = self.taken.entry(peer).or_default();
            taken.push(body.to_vec());
            self.accepted.insert((peer, number), taken.len() as u64);
            (taken.len() as u64, START_MS)
        };
        Frame::Sent { peer, number, ordinal, time_ms }.encode(&mut connection.said);
    }

    /// Sends what the window allows. A hole is skipped; at the end of the log only sometimes.
    fn deliver(&self, connection: &mut Connection, rng: &mut Rng) {
        while connection.welcomed && connection.delivered < self.inbox.len() as u64 {
            if connection.delivered >= self.acknowledged + WINDOW {
                return;
            }
            let position = connection.delivered + 1;
            match &self.inbox[position as usize - 1] {
                None => Frame::Skip { position }.encode(&mut connection.said),
                Some((peer, ordinal, body)) => {
                    let mut chunks = Chunks::new(body);
                    let first = Deliver {
                        position,
                        peer: *peer,
                        ordinal: *ordinal,
                        time_ms: START_MS,
                        content: content::TEXT,
                        own: false,
                        total_bytes: Chunks::total_bytes(body),
                        body: chunks.next().unwrap(),
                    };
                    Frame::Deliver(first).encode(&mut connection.said);
                    for body in chunks {
                        if rng.bool() {
                            let receipt =
                                Frame::Receipt { peer: 8, delivered: 0, read: 0, own: false };
                            receipt.encode(&mut connection.said);
                        }
                        Frame::Part { body }.encode(&mut connection.said);
                    }
                }
            }
            connection.delivered = position;
        }
    }
}

struct World {
    rng: Rng,
    now: Now,
    server: Server,
    connection: Option<Connection>,
    session: Session,
    store: MemoryStore,
    batch: Option<Vec<Write>>,
    writing: bool,
    asked: bool,
    /// What the person wrote, by peer.
    written: BTreeMap<u64, Vec<Vec<u8>>>,
    /// What the person saw, by peer; rebuilt from the store when the process begins again.
    shown: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut store = MemoryStore::new();
        let session = Session::new(identity(), store.load().unwrap(), seed);
        World {
            rng: Rng::with_seed(seed),
            now: Now { elapsed_ms: 0, unix_ms: START_MS },
            server: Server::default(),
            connection: None,
            session,
            store,
            batch: None,
            writing: false,
            asked: false,
            written: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        self.session.handle(self.now, input, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect { .. } => self.asked = true,
                Action::Transmit(bytes) => {
                    self.connection.as_mut().expect("a connection").heard.extend(bytes);
                    self.writing = true;
                }
                Action::Close => self.cut_line(),
                Action::Commit(batch) => assert!(self.batch.replace(batch).is_none()),
                Action::Notify(Event::Message(message)) => {
                    self.shown.entry(message.peer).or_default().push(message.body.to_vec());
                }
                Action::Notify(Event::Disconnected { reason, .. }) => {
                    let text = reason.to_string();
                    assert!(!text.contains("protocol") && !text.contains("missing"), "{text}");
                }
                Action::Saved(_) | Action::Notify(_) => {}
            }
        }
    }

    fn cut_line(&mut self) {
        self.connection = None;
        self.writing = false;
        self.asked = false;
    }

    fn body(&mut self) -> Vec<u8> {
        let bytes = match self.rng.u8(..) {
            0..20 => self.rng.usize(PART_BYTES_MAX..4 * PART_BYTES_MAX),
            _ => self.rng.usize(0..200),
        };
        let mut body = large_body(bytes);
        body.extend(self.rng.u64(..).to_be_bytes());
        body
    }

    /// The process ends: the store stays, with or without the batch under way.
    fn crash(&mut self) {
        if let Some(batch) = self.batch.take()
            && self.rng.bool()
        {
            self.store.commit(&batch).unwrap();
        }
        self.cut_line();
        self.session = Session::new(identity(), self.store.load().unwrap(), self.rng.u64(..));
        // What was stored but not shown is in the history that the program shows at its start, and
        // what was not stored yet the person has to write again.
        self.written.clear();
        self.shown.clear();
        for peer in PEERS {
            for message in self.store.history(Target::Peer(peer), None, usize::MAX).unwrap() {
                let side = if message.state.is_own() { &mut self.written } else { &mut self.shown };
                side.entry(peer).or_default().push(message.body.to_vec());
            }
        }
    }

    fn step(&mut self, faults: bool) {
        match self.rng.u8(0..24) {
            0..3 if faults => {
                let (peer, body) = (PEERS[self.rng.usize(0..3)], self.body());
                let mut actions = Vec::new();
                let arc = body.clone().into();
                self.session.send(self.now, peer, content::TEXT, arc, &mut actions).unwrap();
                self.written.entry(peer).or_default().push(body);
                self.carry_out(actions);
            }
            3..6 if faults => {
                let peer = PEERS[self.rng.usize(0..3)];
                let of_peer = |message: &&(u64, u64, Vec<u8>)| message.0 == peer;
                let ordinal = self.server.inbox.iter().flatten().filter(of_peer).count() as u64 + 1;
                let message = (peer, ordinal, self.body());
                self.server.inbox.push(self.rng.bool().then_some(message));
            }
            6 if faults && self.rng.u8(0..3) == 0 => {
                self.cut_line();
                self.input(Input::Disconnected("cut"));
            }
            7 if faults && self.rng.u8(0..4) == 0 => self.crash(),
            8..10 => {
                let peer = PEERS[self.rng.usize(0..3)];
                let ordinal = self.rng.u64(0..40);
                let mut actions = Vec::new();
                self.session.mark_read(self.now, peer, ordinal, &mut actions);
                self.carry_out(actions);
            }
            10..13 => {
                if let Some(batch) = self.batch.take() {
                    self.store.commit(&batch).unwrap();
                    self.input(Input::Stored(Ok(())));
                }
            }
            13..15 => {
                if std::mem::take(&mut self.writing) {
                    self.input(Input::Transmitted);
                }
            }
            15 => {
                let ms = self.rng.u64(0..2_000);
                self.now.elapsed_ms += ms;
                self.now.unix_ms += ms;
                self.input(Input::Tick);
            }
            16..18 => {
                if std::mem::take(&mut self.asked) {
                    self.connection = Some(Connection::default());
                    self.input(Input::Connected);
                }
            }
            18..21 => self.server_reads(),
            _ => self.client_reads(),
        }
    }

    fn server_reads(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let heard = std::mem::take(&mut connection.heard);
        let mut rest = &heard[..];
        while let Some((frame, after)) = split_frame(rest, FRAME_BYTES_MAX).unwrap() {
            self.server.frame(connection, &Frame::decode(frame).unwrap());
            rest = after;
        }
        connection.heard = rest.to_vec();
        self.server.deliver(connection, &mut self.rng);
    }

    fn client_reads(&mut self) {
        if !self.session.wants_bytes() {
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        let bytes = self.rng.usize(0..=connection.said.len().min(40_000));
        let rest = connection.said.split_off(bytes);
        let arrived = std::mem::replace(&mut connection.said, rest);
        if !arrived.is_empty() {
            self.input(Input::Received(&arrived));
        }
    }

    /// Everything that was written was taken once, in order; everything in the inbox was shown
    /// once, in order.
    fn check(&mut self) {
        assert_eq!(self.session.unanswered(), 0);
        assert_eq!(self.written, self.server.taken);
        let mut due: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for (peer, _, body) in self.server.inbox.iter().flatten() {
            due.entry(*peer).or_default().push(body.clone());
        }
        assert_eq!(self.shown, due);
        assert_eq!(self.server.acknowledged, self.server.inbox.len() as u64);
        for conversation in self.store.conversations().unwrap() {
            let told = self.server.reads.get(&conversation.peer).copied().unwrap_or(0);
            // A process that ended may have told what its store then didn't keep.
            assert!(conversation.seen <= told, "a read was lost");
        }
    }

    /// No further faults: how long until everything is where it belongs.
    fn settle(&mut self) {
        for _ in 0..200_000 {
            self.step(false);
            let all = self.server.inbox.len() as u64 == self.server.acknowledged;
            let taken: usize = self.server.taken.values().map(Vec::len).sum();
            let written: usize = self.written.values().map(Vec::len).sum();
            let quiet = self.batch.is_none() && !self.writing;
            let empty = self.connection.as_ref().is_some_and(|c| c.heard.is_empty());
            if all && taken == written && self.session.unanswered() == 0 && quiet && empty {
                return;
            }
        }
        panic!("it never settles");
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..3 {
        for _ in 0..1_500 {
            world.step(true);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn nothing_is_lost_doubled_or_reordered_whatever_breaks() {
    for seed in 0..60 {
        run(seed);
    }
}
