//! Books and usernames under random puts, crashes and orders of commits: what was ticked is there, every
//! device has the same book, and a name is one user's.

use std::collections::BTreeMap;

use fulmar_protocol::Frame;
use fulmar_protocol::people::item;

use super::world::{C, World, user_on};
use crate::limits::{FIND_ANSWER_MS, FINDS_WINDOW_MS};

const CORES: u16 = 3;
const USERS: usize = 4;
const DEVICES: u16 = 2;
const NAMES: [&str; 3] = ["ann", "bob.1", "cat_2"];

/// An item as words: the kind and key, and the value.
type Items = BTreeMap<String, (u64, String)>;

struct Life {
    world: World,
    rng: fastrand::Rng,
    users: Vec<u64>,
    clients: Vec<C>,
    /// The newest version of each item that a device of this user was told.
    ticked: Vec<Items>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let users: Vec<u64> =
            (0..USERS).map(|nth| user_on(nth as u16 % CORES, CORES, nth)).collect();
        let mut life = Life {
            world: World::of_cores(CORES, |_| {}),
            rng: fastrand::Rng::with_seed(seed),
            users,
            clients: Vec::new(),
            ticked: vec![Items::new(); USERS],
        };
        life.log_in();
        life
    }

    fn log_in(&mut self) {
        self.clients = (0..USERS * usize::from(DEVICES))
            .map(|nth| {
                let user = self.users[nth % USERS];
                let c = self.world.log_in(user, 1 + (nth / USERS) as u16);
                self.world.frame(c, &Frame::BookResume { version: 0 });
                c
            })
            .collect();
    }

    fn step(&mut self) {
        let nth = self.rng.usize(..self.clients.len());
        let c = self.clients[nth];
        match self.rng.u8(..16) {
            0..6 => {
                let key = [b'a' + self.rng.u8(..4)];
                let value = vec![b'0' + self.rng.u8(..10); self.rng.usize(..3)];
                self.world.frame(c, &Frame::Put { item: 128, key: &key, value: &value });
            }
            6..10 => {
                let name = NAMES[self.rng.usize(..NAMES.len())];
                let value = if self.rng.u8(..4) == 0 { "" } else { name };
                let value = value.as_bytes();
                self.world.frame(c, &Frame::Put { item: item::USERNAME, key: b"", value });
            }
            10 => self.world.holds_stores = !self.world.holds_stores,
            11 => self.world.holds_loads = !self.world.holds_loads,
            12 | 13 => {
                let core = self.rng.usize(..usize::from(CORES));
                self.world.store_one(core);
                self.world.settle();
            }
            14 => {
                // So that nobody asks for too many names.
                self.world.pass(FINDS_WINDOW_MS / 4);
            }
            _ if self.rng.u8(..8) == 0 => self.crash(),
            _ => {
                let core = self.rng.usize(..usize::from(CORES));
                self.world.load_one(core);
                self.world.settle();
            }
        }
        self.listen();
    }

    /// Notes what devices were told of their books.
    fn listen(&mut self) {
        for (nth, &c) in self.clients.iter().enumerate() {
            for told in self.world.told(c) {
                let Some((version, rest)) =
                    told.strip_prefix("item v").and_then(|told| told.split_once(' '))
                else {
                    continue;
                };
                let (place, value) = rest.split_once(" = ").expect("an item");
                let version: u64 = version.parse().expect("a version");
                let known = self.ticked[nth % USERS].entry(place.to_owned()).or_default();
                if version > known.0 {
                    *known = (version, value.to_owned());
                } else if version == known.0 && !value.is_empty() {
                    assert_eq!(known.1, value, "{place} of version {version} is two things");
                }
            }
        }
    }

    fn crash(&mut self) {
        for core in 0..usize::from(CORES) {
            for _ in 0..self.rng.usize(..4) {
                self.world.store_one(core);
            }
        }
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        self.world.crash();
        self.log_in();
    }

    fn check(&mut self) {
        (self.world.holds_stores, self.world.holds_loads) = (false, false);
        self.world.load();
        self.world.store();
        self.world.load();
        self.listen();
        self.crash();
        let mut owners: BTreeMap<&str, u64> = BTreeMap::new();
        for nth in 0..USERS {
            let books: Vec<Vec<String>> = (0..usize::from(DEVICES))
                .map(|device| self.world.told(self.clients[nth + device * USERS]))
                .collect();
            assert_eq!(books[0], books[1], "the devices of a user differ");
            for (place, (version, value)) in &self.ticked[nth] {
                let told = format!("item v{version} {place} = {value}");
                // Nothing was put since without being told.
                assert!(value.is_empty() || books[0].contains(&told), "{told}: {:?}", books[0]);
            }
            for name in NAMES {
                if books[0].iter().any(|told| told.ends_with(&format!(" 6/ = {name}"))) {
                    let other = owners.insert(name, self.users[nth]);
                    assert_eq!(other, None, "two have the name {name}");
                }
            }
        }
        self.world.pass(2 * FINDS_WINDOW_MS);
        let c = self.world.log_in(self.users[0], 9);
        for name in NAMES {
            self.world.frame(c, &Frame::Find { name: name.as_bytes() });
            self.world.pass(2 * FIND_ANSWER_MS);
            let user = owners.get(name).copied().unwrap_or(0);
            self.world.expect(c, &[&format!("found {name} {user}")]);
        }
    }
}

#[test]
fn what_was_ticked_is_there_and_a_name_is_one_users() {
    for seed in 0..150 {
        let mut life = Life::new(seed);
        for _ in 0..120 {
            life.step();
        }
        life.check();
    }
}
