//! Random histories of people who come, go, watch and break off, with storage that is behind now and
//! then; in some of them they hide from each other, too, and come into groups and leave them. Whatever
//! happens: what a session was told last is what holds in the end and may be seen, and nothing is left when
//! all are gone.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::group::{Action, GroupSend};
use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::world::{C, World, send};
use crate::limits::PRESENCE_NOTE_MS;
use crate::shard::{DeviceId, UserId};

const USERS: u64 = 6;
const DEVICES: DeviceId = 2;
const STEPS: usize = 300;
const INTERVAL_MS: u64 = 30_000;

/// Somebody who watches nobody, and makes the groups.
const MAKER: UserId = 50;
/// A device that only reads its user's book, in the end.
const READER: DeviceId = 9;

/// What a user shows, and to whom.
#[derive(Default)]
struct Shows {
    /// Last seen, online.
    audiences: [Option<u8>; 2],
    contacts: BTreeSet<UserId>,
    blocks: BTreeSet<UserId>,
}

/// A device, and what it knows.
#[derive(Default)]
struct Phone {
    conn: Option<C>,
    is_here: bool,
    acted_ms: u64,
    /// Whom it watches, and what it was told last.
    watches: BTreeMap<UserId, Option<String>>,
}

struct History {
    world: World,
    random: fastrand::Rng,
    phones: BTreeMap<(UserId, DeviceId), Phone>,
    last_seen_ms: BTreeMap<UserId, u64>,
    /// Who makes the groups, if people hide.
    maker: Option<C>,
    /// Number of its last change.
    changes: u64,
    groups: BTreeMap<u64, BTreeSet<UserId>>,
    /// Who wrote to which of them.
    writers: BTreeSet<(u64, UserId)>,
    shows: BTreeMap<UserId, Shows>,
}

impl History {
    fn new(seed: u64, hides: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let cores = random.u16(1..4);
        let world = World::of_cores(cores, |config| config.idle_s = 1_000_000);
        let devices = (1..=USERS).flat_map(|user| (1..=DEVICES).map(move |device| (user, device)));
        let phones = devices.map(|identity| (identity, Phone::default())).collect();
        let mut history = History {
            world,
            random,
            phones,
            last_seen_ms: BTreeMap::new(),
            maker: None,
            changes: 0,
            groups: BTreeMap::new(),
            writers: BTreeSet::new(),
            shows: (1..=USERS).map(|user| (user, Shows::default())).collect(),
        };
        history.maker = hides.then(|| history.world.join(MAKER, 1));
        history
    }

    /// Somebody hides, or doesn't any more; or comes into a group, or goes.
    fn hide(&mut self) {
        let user = self.random.u64(1..=USERS);
        let other = self.random.u64(1..=USERS);
        let conn = self.phones[&(user, 1)].conn;
        let who = [audience::NOBODY, audience::KNOWN, audience::KNOWN, audience::EVERYBODY]
            [self.random.usize(..4)];
        let what = [privacy::LAST_SEEN, privacy::ONLINE][self.random.usize(..2)];
        match (self.random.u8(0..12), conn) {
            (0..3, Some(c)) => self.put(user, c, item::PRIVACY, &[what], &[who]),
            (3, Some(c)) => self.put(user, c, item::CONTACT, &user_key(other), b"x"),
            (4, Some(c)) => self.put(user, c, item::CONTACT, &user_key(other), b""),
            (5, Some(c)) if other != user => {
                self.put(user, c, item::BLOCK, &user_key(other), &[1]);
            }
            (6, Some(c)) if other != user => {
                self.put(user, c, item::BLOCK, &user_key(other), b"");
            }
            (7..9, Some(c)) => self.write_to_group(user, c),
            (9.., _) => self.regroup(user, other),
            _ => {}
        }
    }

    fn put(&mut self, user: UserId, c: C, item: u8, key: &[u8], value: &[u8]) {
        self.act((user, 1), c, &Frame::Put { item, key, value });
    }

    fn write_to_group(&mut self, user: UserId, c: C) {
        let groups = self.groups.iter().filter(|(_, users)| users.contains(&user));
        let groups: Vec<u64> = groups.map(|(&group, _)| group).collect();
        if groups.is_empty() || self.world.clients[c].is_stalled || self.world.clients[c].is_paused
        {
            return;
        }
        let group = groups[self.random.usize(..groups.len())];
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        self.world.load();
        self.world.store();
        let number = self.world.now.mono_ms * 1_000 + self.random.u64(0..1_000);
        let (content, total_bytes, body) = (1, None, &b"a"[..]);
        let send = GroupSend { group, number, content, total_bytes, body };
        self.act((user, 1), c, &Frame::GroupSend(send));
        let sent = format!("group {group} sent n{number} ");
        if self.world.clients[c].told.iter().any(|told| told.contains(&sent)) {
            self.writers.insert((group, user));
        }
    }

    /// Storage isn't behind while a group changes, so that it is known who is in it.
    fn regroup(&mut self, one: UserId, other: UserId) {
        let Some(maker) = self.maker else { return };
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        self.world.load();
        self.world.store();
        self.changes += 1;
        let number = self.changes;
        if self.groups.len() < 3 {
            let members = BTreeSet::from([one, other]);
            let list: Vec<UserId> = members.iter().copied().collect();
            let group = self.world.group(maker, number, &list);
            self.groups.insert(group, members);
            return;
        }
        let nth = self.random.usize(..self.groups.len());
        let (&group, members) = self.groups.iter_mut().nth(nth).expect("a group");
        let action = if members.remove(&one) { Action::Remove } else { Action::Add };
        self.writers.remove(&(group, one));
        if action == Action::Add {
            members.insert(one);
        }
        self.world.change(maker, group, number, action, &[one], b"");
    }

    /// What every user's book says in the end: who broke off doesn't know what became of a put.
    fn read_books(&mut self) {
        for user in 1..=USERS {
            let c = self.world.log_in(user, READER);
            self.world.frame(c, &Frame::BookResume { version: 0 });
            let mut shows = Shows::default();
            for told in self.world.told(c) {
                let Some((_, item)) =
                    told.strip_prefix("item v").and_then(|told| told.split_once(' '))
                else {
                    continue;
                };
                let (place, value) = item.split_once(" = ").expect("a value");
                let (kind, key) = place.split_once('/').expect("a key");
                let key = number(key);
                if value.is_empty() {
                    continue;
                }
                match kind.parse().expect("a kind") {
                    item::PRIVACY => shows.audiences[key as usize] = Some(number(value) as u8),
                    item::CONTACT => drop(shows.contacts.insert(key)),
                    item::BLOCK => drop(shows.blocks.insert(key)),
                    other => panic!("an item of kind {other}"),
                }
            }
            self.shows.insert(user, shows);
            self.world.hang_up(c);
        }
    }

    /// Whether a watcher may see when a user was last seen, and whether it is online.
    fn may_see(&self, watcher: UserId, user: UserId) -> [bool; 2] {
        let shows = &self.shows[&user];
        let is_mate = self.groups.iter().any(|(&group, users)| {
            users.contains(&watcher) && self.writers.contains(&(group, user))
        });
        let is_known = is_mate || shows.contacts.contains(&watcher);
        let is_blocked = shows.blocks.contains(&watcher);
        shows.audiences.map(|who| match who.unwrap_or(audience::EVERYBODY) {
            _ if watcher == user => true,
            _ if is_blocked => false,
            audience::NOBODY => false,
            audience::KNOWN => is_known,
            _ => true,
        })
    }

    fn step(&mut self) {
        if self.maker.is_some() && self.random.u8(..4) == 0 {
            self.hide();
            self.listen();
            return;
        }
        let identity = (self.random.u64(1..=USERS), self.random.u16(1..=DEVICES));
        let other = self.random.u64(1..=USERS);
        let conn = self.phones[&identity].conn;
        match (self.random.u8(0..100), conn) {
            (0..25, Some(c)) => self.act(identity, c, &Frame::Activity { is_here: true }),
            (25..40, Some(c)) => self.act(identity, c, &Frame::Activity { is_here: false }),
            (40..50, Some(c)) => {
                let frame = Frame::Typing { group: 0, user: other, is_typing: true };
                self.act(identity, c, &frame);
            }
            (50..60, Some(c)) => {
                self.phone(identity).watches.entry(other).or_default();
                self.world.frame(c, &Frame::Watch { users: Numbers::Slice(&[other]) });
            }
            (60..64, Some(c)) => {
                self.world.frame(c, &Frame::Unwatch { users: Numbers::Slice(&[other]) });
                self.phone(identity).watches.remove(&other);
            }
            (64..68, Some(c)) => self.hang_up(identity, c),
            (68..72, Some(c)) => {
                self.world.clients[c].is_stalled = !self.world.clients[c].is_stalled;
            }
            (72..74, Some(c)) => {
                let number = self.world.now.mono_ms * 1_000 + self.random.u64(0..1_000);
                self.act(identity, c, &send(100 + other, number, "a"));
            }
            (74..78, _) => self.world.holds_stores = !self.world.holds_stores,
            (78..80, _) => self.world.holds_loads = !self.world.holds_loads,
            (_, None) => self.log_in(identity),
            (_, Some(_)) => {
                let ms = self.random.u64(1..8_000);
                self.world.pass(ms);
            }
        }
        self.listen();
    }

    fn phone(&mut self, identity: (UserId, DeviceId)) -> &mut Phone {
        self.phones.get_mut(&identity).expect("a phone")
    }

    fn log_in(&mut self, identity: (UserId, DeviceId)) {
        let c = self.world.log_in_from(identity.0, identity.1, 0);
        self.phone(identity).conn = Some(c);
        // Before its welcome it may say nothing.
        let is_welcome = |world: &World| !world.clients[c].told.is_empty();
        for _ in 0..3 {
            if !is_welcome(&self.world) {
                self.world.load();
                self.world.store();
            }
        }
        if !is_welcome(&self.world) || self.world.is_closed(c) {
            self.phone(identity).conn = None;
        }
    }

    fn act(&mut self, identity: (UserId, DeviceId), c: C, frame: &Frame<'_>) {
        self.world.frame(c, frame);
        let now = self.world.now;
        let phone = self.phone(identity);
        if let Frame::Activity { is_here } = *frame {
            phone.is_here = is_here;
        } else if phone.acted_ms > 0 && now.mono_ms < phone.acted_ms + PRESENCE_NOTE_MS {
            return;
        }
        phone.acted_ms = now.mono_ms;
        self.last_seen_ms.insert(identity.0, now.unix_ms);
    }

    fn hang_up(&mut self, identity: (UserId, DeviceId), c: C) {
        self.world.hang_up(c);
        self.world.clients[c].told.clear();
        *self.phone(identity) = Phone::default();
    }

    /// Takes what every phone was told.
    fn listen(&mut self) {
        for phone in self.phones.values_mut() {
            let Some(c) = phone.conn else { continue };
            for words in self.world.told(c) {
                let Some(rest) = words.strip_prefix("presence ") else { continue };
                let (user, what) = rest.split_once(' ').expect("a user and a state");
                let user = user.parse().expect("a number");
                // One that didn't read may hear late of whom it watched before.
                if let Some(told) = phone.watches.get_mut(&user) {
                    *told = Some(what.to_owned());
                }
            }
        }
    }

    /// What holds of a user.
    fn truth(&self, user: UserId) -> String {
        let now_ms = self.world.now.mono_ms;
        let mut phones = self.phones.range((user, 0)..=(user, DEVICES));
        let is_online = phones.any(|(_, phone)| {
            phone.conn.is_some() && phone.is_here && now_ms < phone.acted_ms + INTERVAL_MS
        });
        match self.last_seen_ms.get(&user) {
            _ if is_online => "online".to_owned(),
            last_seen_ms => format!("seen {}", last_seen_ms.unwrap_or(&0)),
        }
    }

    /// Everything comes to rest: storage is not behind, everybody reads.
    fn rest(&mut self) {
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        for client in &mut self.world.clients {
            client.is_stalled = false;
        }
        self.world.settle();
        self.world.load();
        self.world.store();
        self.read_books();
        // Some stay as they are, until after the last change was told.
        for _ in 0..2 * INTERVAL_MS / 20_000 {
            let here = self.phones.iter().filter(|(_, phone)| phone.is_here);
            let here: Vec<_> = here.filter_map(|(&id, phone)| Some((id, phone.conn?))).collect();
            for (identity, c) in here {
                self.act(identity, c, &Frame::Activity { is_here: true });
            }
            self.world.pass(20_000);
            self.listen();
        }
    }

    fn check_told(&self, seed: u64) {
        for (identity, phone) in &self.phones {
            for (&user, told) in &phone.watches {
                let (told, truth) = (told.as_deref().expect("something"), self.truth(user));
                let truth = match (truth == "online", self.may_see(identity.0, user)) {
                    (true, [_, true]) | (false, [true, _]) => truth,
                    // While somebody is online, those who see only the time aren't told each one.
                    (true, [true, false]) if told.starts_with("seen 1") => continue,
                    _ => "seen 0".to_owned(),
                };
                assert_eq!(told, truth, "seed {seed}: {identity:?} of {user}");
            }
        }
    }

    fn check_counts(&self, seed: u64) {
        let watches: usize = self.phones.values().map(|phone| phone.watches.len()).sum();
        let online = (1..=USERS).filter(|&user| self.truth(user) == "online").count();
        let counters = || self.world.cores.iter().map(|core| core.shard.counters());
        let counted: u64 = counters().map(|counters| counters.watches).sum();
        assert_eq!(counted, watches as u64, "seed {seed}");
        let counted: u64 = counters().map(|counters| counters.users_online).sum();
        assert_eq!(counted, online as u64, "seed {seed}");
    }

    fn check_nothing_is_left(&mut self, seed: u64) {
        let open = self.phones.iter().filter_map(|(&id, phone)| Some((id, phone.conn?)));
        for (identity, c) in open.collect::<Vec<_>>() {
            self.hang_up(identity, c);
        }
        self.world.pass(4 * INTERVAL_MS);
        self.check_counts(seed);
        for core in &self.world.cores {
            assert_eq!((core.shard.people.len(), core.shard.watching.len()), (0, 0), "seed {seed}");
        }
    }
}

/// The number that stands in words as `\x07`.
fn number(text: &str) -> u64 {
    let hex = text.strip_prefix("\\x").expect("a number");
    u64::from_str_radix(hex, 16).expect("a number")
}

fn live(hides: bool) {
    for seed in 0..60 {
        let mut history = History::new(seed, hides);
        for _ in 0..STEPS {
            history.step();
        }
        history.rest();
        history.check_told(seed);
        history.check_counts(seed);
        history.check_nothing_is_left(seed);
    }
}

#[test]
fn what_was_told_last_is_what_holds_in_the_end() {
    live(false);
}

#[test]
fn what_was_told_last_is_what_holds_in_the_end_and_may_be_seen() {
    live(true);
}
