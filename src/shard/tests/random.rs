//! Random histories: sends, acknowledgements, broken connections, late commits and crashes in any
//! order. Whatever happens, what was ticked arrives, once and in order.
//!
//! Each history is made from a seed, which a failure names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fulmar_protocol::Frame;

use super::client::Delivered;
use super::world::{C, World, send};
use crate::shard::{DeviceId, UserId};

const USERS: u64 = 4;
const DEVICES: DeviceId = 2;
const STEPS: usize = 400;
/// Bodies of this many bytes are cut into parts.
const LARGE_BYTES: usize = 50_000;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A message that was sent and not answered.
struct Unanswered {
    peer: UserId,
    number: u64,
    body: Vec<u8>,
}

/// What a device remembers over its connections.
struct Phone {
    user: UserId,
    device: DeviceId,
    conn: Option<C>,
    is_welcome: bool,
    /// Up to here it has everything.
    cursor: u64,
    last_number: u64,
    unanswered: VecDeque<Unanswered>,
    /// What it shows, by position.
    inbox: BTreeMap<u64, Delivered>,
    /// Messages of the connection that were looked at.
    looked_at: usize,
}

/// A world, its devices, and what they may expect of it.
struct History {
    world: World,
    random: Random,
    phones: Vec<Phone>,
    /// What was ticked, by author and recipient and ordinal: the sending device and the body.
    ticked: BTreeMap<(UserId, UserId, u64), (DeviceId, Vec<u8>)>,
    /// What an inbox holds at a position, as any device was told.
    known: BTreeMap<(UserId, u64), Delivered>,
    /// The largest ordinals that a device of the reader acknowledged and read, by reader and author.
    acked: BTreeMap<(UserId, UserId), u64>,
    read: BTreeMap<(UserId, UserId), u64>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let cores = 1 + random.below(2) as u16;
        let window_messages = 1 + random.below(20) as u32;
        let world = World::of_cores(cores, |config| config.window_messages = window_messages);
        let phones = (1..=USERS).flat_map(|user| (1..=DEVICES).map(move |device| (user, device)));
        let phones = phones.map(|(user, device)| Phone {
            user,
            device,
            conn: None,
            is_welcome: false,
            cursor: 0,
            last_number: 0,
            unanswered: VecDeque::new(),
            inbox: BTreeMap::new(),
            looked_at: 0,
        });
        let mut history = History {
            world,
            random,
            phones: phones.collect(),
            ticked: BTreeMap::new(),
            known: BTreeMap::new(),
            acked: BTreeMap::new(),
            read: BTreeMap::new(),
        };
        // Every device is known before anything happens, so each is entitled to everything.
        for index in 0..history.phones.len() {
            history.log_in(index);
        }
        history
    }

    fn step(&mut self) {
        let index = self.random.below(self.phones.len() as u64) as usize;
        match self.random.below(100) {
            0..30 => self.send(index),
            30..45 => self.ack(index),
            45..50 => self.read(index),
            50..60 if !self.phones[index].is_welcome => self.log_in(index),
            60 => self.log_in(index),
            61..63 => self.hang_up(index),
            63..65 => self.stall(index),
            65..67 => self.world.holds_stores = !self.world.holds_stores,
            67..69 => self.world.holds_loads = !self.world.holds_loads,
            69..85 => {
                let core = self.random.below(self.world.cores.len() as u64) as usize;
                self.world.store_one(core);
                self.world.load_one(core);
                self.world.settle();
            }
            85..99 => {
                let ms = self.random.below(200);
                self.world.pass(ms);
            }
            99 if self.random.below(3) == 0 => self.world.crash(),
            _ => {}
        }
        self.look_at_all();
    }

    fn log_in(&mut self, index: usize) {
        let phone = &mut self.phones[index];
        phone.conn = None;
        phone.is_welcome = false;
        phone.looked_at = 0;
        let conn = self.world.log_in_from(phone.user, phone.device, phone.cursor);
        phone.conn = Some(conn);
        self.look_at(index);
    }

    fn send(&mut self, index: usize) {
        let is_large = self.random.below(20) == 0;
        let peer = 1 + self.random.below(USERS);
        let gap = 1 + self.random.below(3);
        let phone = &mut self.phones[index];
        if !phone.is_welcome || phone.unanswered.len() > 50 {
            return;
        }
        phone.last_number += gap;
        let number = phone.last_number;
        let mut body = format!("{}.{} to {peer} n{number}", phone.user, phone.device).into_bytes();
        if is_large {
            body.resize(LARGE_BYTES, b'.');
        }
        phone.unanswered.push_back(Unanswered { peer, number, body });
        self.transmit(index, self.phones[index].unanswered.len() - 1);
    }

    fn transmit(&mut self, index: usize, at: usize) {
        let phone = &self.phones[index];
        let (Some(conn), Some(message)) = (phone.conn, phone.unanswered.get(at)) else { return };
        let Unanswered { peer, number, body } = message;
        if body.len() == LARGE_BYTES {
            self.world.send_large(conn, *peer, *number, body);
        } else {
            let text = std::str::from_utf8(body).expect("a text");
            self.world.frame(conn, &send(*peer, *number, text));
        }
    }

    /// Acknowledges some of what came.
    fn ack(&mut self, index: usize) {
        let part = 1 + self.random.below(3);
        let phone = &self.phones[index];
        let Some(conn) = phone.conn.filter(|_| phone.is_welcome) else { return };
        let client = &self.world.clients[conn];
        let last = client.delivered.last().map_or(0, |delivered| delivered.position);
        let position = client.acked.max(last.saturating_sub(client.unacknowledged() as u64 / part));
        if position > client.acked {
            self.ack_through(index, conn, position);
        }
    }

    fn ack_through(&mut self, index: usize, conn: C, position: u64) {
        let phone = &self.phones[index];
        for (_, delivered) in phone.inbox.range(..=position).filter(|(_, known)| !known.own) {
            let acked = self.acked.entry((phone.user, delivered.peer)).or_default();
            *acked = delivered.ordinal.max(*acked);
        }
        self.world.ack(conn, position);
    }

    fn read(&mut self, index: usize) {
        let phone = &self.phones[index];
        let Some(conn) = phone.conn.filter(|_| phone.is_welcome) else { return };
        let count = phone.inbox.len().max(1) as u64;
        let at = self.random.below(count) as usize;
        let Some(delivered) = phone.inbox.values().nth(at).filter(|known| !known.own) else {
            return;
        };
        let (peer, ordinal) = (delivered.peer, delivered.ordinal);
        for cursors in [&mut self.acked, &mut self.read] {
            let cursor = cursors.entry((phone.user, peer)).or_default();
            *cursor = ordinal.max(*cursor);
        }
        self.world.frame(conn, &Frame::Read { peer, ordinal });
    }

    fn hang_up(&mut self, index: usize) {
        if let Some(conn) = self.phones[index].conn.take()
            && !self.world.is_closed(conn)
        {
            self.world.hang_up(conn);
        }
        self.phones[index].is_welcome = false;
    }

    fn stall(&mut self, index: usize) {
        let Some(conn) = self.phones[index].conn else { return };
        if self.world.clients[conn].is_stalled {
            self.world.unstall(conn);
        } else {
            self.world.stall(conn);
        }
    }

    fn look_at_all(&mut self) {
        for index in 0..self.phones.len() {
            self.look_at(index);
        }
    }

    /// Takes what a device was told.
    fn look_at(&mut self, index: usize) {
        let Some(conn) = self.phones[index].conn else { return };
        self.take_messages(index, conn);
        for words in self.world.told(conn) {
            let words: Vec<&str> = words.split(' ').collect();
            match words[..] {
                ["welcome", _] => {
                    self.phones[index].is_welcome = true;
                    for at in 0..self.phones[index].unanswered.len() {
                        self.transmit(index, at);
                    }
                }
                ["sent", peer, number, ordinal] => {
                    self.ticked(index, value(peer), value(number), value(ordinal));
                }
                ["receipt", peer, _, delivered, _, read] => {
                    let pair = (value(peer), self.phones[index].user);
                    let acked = self.acked.get(&pair).copied().unwrap_or(0);
                    assert!(value(delivered) <= acked, "{words:?}, acknowledged {acked}");
                    let seen = self.read.get(&pair).copied().unwrap_or(0);
                    assert!(value(read) <= seen, "{words:?}, seen {seen}");
                }
                ["rejected", ..] => panic!("nothing is rejected: {words:?}"),
                // A device that stalls or returns while storage is behind.
                ["goodbye", "overloaded" | "replaced"] | ["refused", "overloaded"] => {}
                ["goodbye" | "refused", ..] => panic!("there is no reason for {words:?}"),
                _ => {}
            }
        }
        if self.world.is_closed(conn) {
            (self.phones[index].conn, self.phones[index].is_welcome) = (None, false);
        }
    }

    fn take_messages(&mut self, index: usize, conn: C) {
        let phone = &mut self.phones[index];
        let client = &self.world.clients[conn];
        for delivered in &client.delivered[phone.looked_at..] {
            let key = (phone.user, delivered.position);
            let known = self.known.entry(key).or_insert_with(|| delivered.clone());
            assert_eq!(known, delivered, "position {} of {} changed", key.1, key.0);
            phone.inbox.insert(delivered.position, delivered.clone());
        }
        phone.looked_at = client.delivered.len();
        phone.cursor = phone.cursor.max(client.complete_through());
    }

    /// A tick answers the oldest message to its peer that isn't answered.
    fn ticked(&mut self, index: usize, peer: UserId, number: u64, ordinal: u64) {
        let phone = &mut self.phones[index];
        let at = phone.unanswered.iter().position(|message| message.peer == peer);
        let message = at.and_then(|at| phone.unanswered.remove(at)).expect("an unanswered message");
        assert_eq!(message.number, number, "ticks to {peer} out of order");
        let ticked = (phone.device, message.body);
        let before = self.ticked.insert((phone.user, peer, ordinal), ticked);
        assert!(before.is_none(), "ordinal {ordinal} from {} to {peer} twice", phone.user);
    }

    /// Everything gets the time that it needs.
    fn come_to_rest(&mut self) {
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        for client in &mut self.world.clients {
            client.is_stalled = false;
        }
        self.world.settle();
        self.world.pass(1_000);
        self.look_at_all();
        for index in 0..self.phones.len() {
            self.hang_up(index);
            self.log_in(index);
        }
        for _ in 0..1_000 {
            self.look_at_all();
            for index in 0..self.phones.len() {
                self.ack_everything(index);
            }
        }
        self.world.pass(1_000);
        self.look_at_all();
    }

    fn ack_everything(&mut self, index: usize) {
        let conn = self.phones[index].conn.expect("a connection");
        let client = &self.world.clients[conn];
        if client.unacknowledged() > 0 {
            self.ack_through(index, conn, client.complete_through());
        }
    }

    fn check(&mut self) {
        for phone in &self.phones {
            assert!(phone.unanswered.is_empty(), "a message was never answered");
            self.check_messages(phone);
            self.check_copies(phone);
        }
        for user in 1..=USERS {
            assert_eq!(self.world.disk.entries(user).count(), 0, "everything is trimmed");
        }
        self.check_receipts();
    }

    /// Each device has each ticked message to its user, in the order of its ordinals.
    fn check_messages(&self, phone: &Phone) {
        let mut counts = BTreeMap::new();
        for delivered in phone.inbox.values().filter(|known| !known.own) {
            let count = counts.entry(delivered.peer).or_insert(0);
            *count += 1;
            assert_eq!(delivered.ordinal, *count, "from {} to {}", delivered.peer, phone.user);
            let ticked = self.ticked.get(&(delivered.peer, phone.user, delivered.ordinal));
            assert_eq!(ticked.map(|(_, body)| body), Some(&delivered.body));
        }
        let expected = self.ticked.keys().filter(|(_, to, _)| *to == phone.user).count() as u64;
        assert_eq!(counts.values().sum::<u64>(), expected, "messages to {}", phone.user);
    }

    /// Each device has each message that another device of its user sent, once.
    fn check_copies(&self, phone: &Phone) {
        let copies: Vec<_> = phone
            .inbox
            .values()
            .filter(|known| known.own)
            .map(|known| (known.peer, known.ordinal, &known.body))
            .collect();
        let expected: BTreeSet<_> = self
            .ticked
            .iter()
            .filter(|((from, to, _), (device, _))| {
                *from == phone.user && to != from && *device != phone.device
            })
            .map(|((_, to, ordinal), (_, body))| (*to, *ordinal, body))
            .collect();
        assert_eq!(copies.len(), expected.len(), "copies of {}", phone.user);
        assert_eq!(copies.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// An author that asks is told that everything was delivered.
    fn check_receipts(&mut self) {
        for author in 1..=USERS {
            for reader in 1..=USERS {
                let last =
                    self.ticked.keys().filter(|(from, to, _)| (*from, *to) == (author, reader));
                let last = last.count();
                let phone = self.phones.iter().find(|phone| phone.user == author);
                let conn = phone.and_then(|phone| phone.conn).expect("a connection");
                self.world.told(conn);
                self.world.ask(conn, reader);
                let told = self.world.told(conn);
                let receipt = format!("receipt {reader} delivered {last} read ");
                assert!(
                    told.iter().any(|words| words.starts_with(&receipt)),
                    "{receipt}: {told:?}"
                );
            }
        }
    }
}

/// The number at the end of a word.
fn value(word: &str) -> u64 {
    word.trim_start_matches(|char: char| !char.is_ascii_digit()).parse().expect("a number")
}

#[test]
fn whatever_happens_what_was_ticked_arrives_once_and_in_order() {
    let mut messages = 0;
    for seed in 1..=40 {
        // Shown if it fails.
        println!("the seed is {seed}");
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step();
        }
        history.come_to_rest();
        history.check();
        messages += history.ticked.len();
    }
    assert!(messages > 1_000, "the histories are worth something: {messages} messages");
}
