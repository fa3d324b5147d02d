//! The oracle: sees what the clients see, remembers it, and complains when a promise is broken.
//!
//! It is fed the frames that clients write and the bytes that they read, what their stores committed
//! and what people were shown, and the times of faults. It knows nothing of the server's code: its
//! rules are the protocol's page, told again.
//!
//! `direction` keeps what one user sent to another, `user` what stands in an inbox, `link` a
//! connection, `group` does the same for groups, `contents` judges what refers to other messages and `changes` what
//! came of that, `books` what users set for themselves, `blocks` what
//! follows from some of that, `fading` knows when messages are over, `people` what they show of themselves and whether they are there, `past` judges
//! pages, `quota` whether something was full, `rest` says what is still missing once everything should have come to rest.

mod blocks;
mod books;
mod changes;
mod client;
mod contents;
mod digest;
mod direction;
mod fading;
mod group;
mod link;
mod past;
mod people;
mod quota;
mod refer;
mod rest;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod user;

use std::collections::BTreeMap;

use fulmar_client::Target;
use hashbrown::HashMap;

use blocks::Block;
use books::Book;
use direction::Direction;
use group::Groups;
use link::Link;
use people::People;
pub(crate) use quota::Quota;
use user::{Device, User};

use crate::clock::{Time, WallClock};
use crate::coverage::{Coverage, Happening};
use crate::network::ConnNo;
use crate::verdict::Failure;

/// A broken rule, and what was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint(pub(crate) &'static str, pub(crate) String);

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Oracle {
    now: Time,
    clock: WallClock,
    users: Vec<User>,
    users_by_id: HashMap<u64, u32>,
    directions: Vec<Direction>,
    directions_by_pair: HashMap<(u32, u32), u32>,
    groups: Groups,
    books: HashMap<u32, Book>,
    /// By who blocks and who is blocked.
    blocks: BTreeMap<(u32, u32), Block>,
    people: People,
    links: HashMap<ConnNo, Link>,
    /// Live welcomed connections by user and device.
    sessions: HashMap<(u32, u16), Vec<ConnNo>>,
    /// Rejections that devices were told, by user, device and number: for whom it was.
    rejections: HashMap<(u32, u16, u64), Target>,
    /// Number of the node's run.
    run: u32,
    /// By run.
    quotas: BTreeMap<u32, Quota>,
    /// Messages of this time (Unix milliseconds) and earlier may have expired.
    expired_through_ms: u64,
    /// Runs of the node that let messages expire.
    temporary_runs: u32,
    /// Runs in which it keeps everything: in such a one senders have copies also where they have no other device.
    keeping_runs: u32,
    /// Messages were sent that disappear.
    has_fading: bool,
    /// Age from which on messages may not be changed, in milliseconds.
    change_age_ms: u64,
    /// What clients are told is told on standard output too.
    is_printing: bool,
    pub(crate) coverage: Coverage,
    pub(crate) messages: u64,
    pub(crate) failure: Option<Failure>,
}

impl Oracle {
    pub(crate) fn new(is_printing: bool) -> Self {
        Oracle {
            is_printing,
            now: 0,
            clock: WallClock::new(),
            users: Vec::new(),
            users_by_id: HashMap::new(),
            directions: Vec::new(),
            directions_by_pair: HashMap::new(),
            groups: Groups::default(),
            books: HashMap::new(),
            blocks: BTreeMap::new(),
            people: People::default(),
            links: HashMap::new(),
            sessions: HashMap::new(),
            rejections: HashMap::new(),
            run: 0,
            quotas: BTreeMap::new(),
            expired_through_ms: 0,
            temporary_runs: 0,
            keeping_runs: 0,
            has_fading: false,
            change_age_ms: u64::MAX,
            coverage: Coverage::default(),
            messages: 0,
            failure: None,
        }
    }

    /// A device that keeps the rules exists.
    pub(crate) fn device(&mut self, user: u64, number: u16) {
        let user = self.user(user);
        let user = &mut self.users[user as usize];
        user.is_good = true;
        user.devices.push(Device { number, ..Device::default() });
    }

    /// Messages of this age, in milliseconds, may not be changed any more.
    pub(crate) fn change_age(&mut self, age_ms: u64) {
        self.change_age_ms = age_ms;
    }

    /// It is this late.
    pub(crate) fn time(&mut self, now: Time) {
        self.now = now;
    }

    /// The wall clock jumped.
    pub(crate) fn jumped(&mut self, clock: &WallClock) {
        self.clock = clock.clone();
    }

    /// The node starts again, with this quota.
    pub(crate) fn started(&mut self, run: u32, quota: Quota) {
        self.run = run;
        self.quotas.insert(run, quota);
        self.forget_taken();
    }

    /// The largest number of messages that an inbox could hold in any run.
    fn quota_messages_max(&self) -> u64 {
        self.quotas.values().map(|quota| quota.messages).max().unwrap_or(u64::MAX)
    }

    /// The node may drop messages of this time and earlier.
    pub(crate) fn expires(&mut self, through_ms: u64) {
        self.expired_through_ms = self.expired_through_ms.max(through_ms);
    }

    /// Whether any message at all may have expired.
    pub(crate) fn is_expiring(&self) -> bool {
        self.expired_through_ms >= self.clock.earliest_since(0)
    }

    /// Groups that were heard of.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u64> {
        self.groups.numbers()
    }

    /// A client opened a connection.
    pub(crate) fn opened(&mut self, conn: ConnNo, is_good: bool) {
        self.links.insert(conn, Link::new(conn, is_good, self.run));
    }

    /// The client doesn't have the connection any more.
    pub(crate) fn closed(&mut self, conn: ConnNo) {
        let Some(link) = self.links.remove(&conn) else { return };
        self.people.left(&link, self.now);
        if let Some(sessions) = self.sessions.get_mut(&(link.user, link.device)) {
            sessions.retain(|&known| known != conn);
        }
    }

    fn user(&mut self, id: u64) -> u32 {
        let Oracle { users, users_by_id, .. } = self;
        *users_by_id.entry(id).or_insert_with(|| {
            users.push(User { id, ..User::default() });
            users.len() as u32 - 1
        })
    }

    fn direction(&mut self, from: u32, to: u32) -> &mut Direction {
        let Oracle { directions, directions_by_pair, .. } = self;
        let at = *directions_by_pair.entry((from, to)).or_insert_with(|| {
            directions.push(Direction::default());
            directions.len() as u32 - 1
        });
        &mut directions[at as usize]
    }

    /// Keeps the first complaint.
    fn judge(&mut self, outcome: Result<(), Complaint>) {
        if let Err(Complaint(rule, detail)) = outcome
            && self.failure.is_none()
        {
            self.failure = Some(Failure { rule, detail, at: self.now });
        }
    }

    fn hit(&mut self, happening: Happening) {
        self.coverage.hit(happening);
    }
}
