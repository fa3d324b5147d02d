//! What a session said and asked for, judged by the rules of its seam and of the protocol: here what it was
//! told, in [`sent`] what it says to the server, in [`kept`] what it says to the store and the program.

mod kept;
mod sent;

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::limits::NUMBER_MAX;
use fulmar_client::{MessageId, Put, Target};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Assembly, Frame, Frames, VERSION, Welcome};

/// A send of which the store has the number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    id: MessageId,
    target: Target,
    body: Vec<u8>,
}

/// The connection, as the server sees it.
#[derive(Debug, Default)]
struct Connection {
    greeted: bool,
    /// The last goodbye was said.
    is_over: bool,
    /// Sends that are allowed to be without an answer, once a welcome came.
    sends_max: Option<u64>,
    /// Numbers without an answer.
    in_flight: BTreeSet<u64>,
    upload: Option<(u64, Assembly)>,
    /// The last position that was delivered or skipped.
    announced: u64,
    acked: u64,
    /// The same of the groups that it named: announced, acknowledged.
    groups: BTreeMap<u64, (u64, u64)>,
    /// The page that it asked for: group, and the largest position that may come next.
    page: Option<(u64, u64)>,
    /// Items that were put and have no answer.
    puts: Vec<Thing>,
    /// Bytes from the server that are no whole frame yet; none once they can't be understood.
    received: Option<Vec<u8>>,
}

/// Kind, key and value of an item.
type Thing = (u8, Vec<u8>, Vec<u8>);

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Watch {
    connection: Connection,
    cursor: u64,
    /// The server's head, which was behind the cursor, until the store knows it.
    went_back: Option<u64>,
    number_last: u64,
    id_last: i64,
    /// By number.
    sends: BTreeMap<u64, Stored>,
    bodies: BTreeMap<MessageId, (Target, Vec<u8>)>,
    /// Of the inbox (none) and of groups.
    positions: BTreeSet<(Option<u64>, u64)>,
    /// Those that the person was shown.
    shown: BTreeSet<(Option<u64>, u64)>,
    /// How far the store has each group.
    group_cursors: BTreeMap<u64, u64>,
    ticked: BTreeSet<MessageId>,
    /// (delivered, read) by peer.
    receipts: BTreeMap<u64, (u64, u64)>,
    /// What the person ever put, and whom it watched.
    put: BTreeSet<Thing>,
    watched: BTreeSet<u64>,
}

impl Watch {
    /// How far the store has the inbox.
    pub(super) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The process began again on the store.
    pub(super) fn begin_again(&mut self) {
        self.disconnected();
        self.went_back = None;
        self.shown.retain(|position| self.positions.contains(position));
    }

    pub(super) fn connected(&mut self) {
        self.connection = Connection { received: Some(Vec::new()), ..Connection::default() };
    }

    pub(super) fn disconnected(&mut self) {
        self.connection = Connection::default();
    }

    /// Numbers without an answer on this connection, with their targets.
    pub(super) fn in_flight(&self) -> Vec<(Target, u64)> {
        let target = |number: &u64| Some((self.sends.get(number)?.target, *number));
        self.connection.in_flight.iter().filter_map(target).collect()
    }

    /// The last position that this connection announced.
    pub(super) const fn announced(&self) -> u64 {
        self.connection.announced
    }

    /// The last position of a group that this connection announced.
    pub(super) fn announced_in(&self, group: u64) -> u64 {
        let announced = self.connection.groups.get(&group).map_or(0, |(announced, _)| *announced);
        announced.max(self.group_cursors.get(&group).copied().unwrap_or(0))
    }

    /// The page under way: its group, and the largest position that may come next.
    pub(super) const fn page(&self) -> Option<(u64, u64)> {
        self.connection.page
    }

    /// Items that were put on this connection and have no answer.
    pub(super) fn puts_in_flight(&self) -> Vec<Thing> {
        self.connection.puts.clone()
    }

    /// The person puts something.
    pub(super) fn puts(&mut self, put: &Put) {
        self.put.insert((put.item, put.key.clone(), put.value.clone()));
    }

    /// The person watches people.
    pub(super) fn watches(&mut self, users: &[u64]) {
        self.watched.extend(users);
    }

    /// The server's bytes, before the session has them.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        let Some(mut all) = self.connection.received.take() else { return };
        all.extend_from_slice(bytes);
        let mut frames = Frames::new(&all, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let Ok(Ok(frame)) = frame.map(Frame::decode) else { return };
            match frame {
                Frame::Welcome(welcome) => self.welcome(&welcome),
                Frame::Deliver(deliver) => self.announce(deliver.position),
                Frame::Skip { position } => self.announce(position),
                Frame::GroupNotice(notice) => self.announce(notice.position),
                Frame::GroupDeliver(deliver) => self.announce_in(deliver.group, deliver.position),
                Frame::GroupSkip { group, position } => self.announce_in(group, position),
                Frame::GroupRejected(rejected) => {
                    self.connection.in_flight.remove(&rejected.number);
                }
                Frame::Sent { number, .. }
                | Frame::Rejected { number, .. }
                | Frame::GroupSent { number, .. } => {
                    self.connection.in_flight.remove(&number);
                }
                Frame::Past(past) => {
                    if let Some((_, next)) = &mut self.connection.page {
                        *next = past.position.saturating_sub(1);
                    }
                }
                Frame::HistoryEnd(_) => self.connection.page = None,
                Frame::Item(set) => self.connection.puts.retain(|(item, key, value)| {
                    (*item, &key[..], &value[..]) != (set.item, set.key, set.value)
                }),
                Frame::PutRejected(no) => {
                    let is_it = |thing: &Thing| (thing.0, &thing.1[..]) == (no.item, no.key);
                    self.connection.puts.retain(|thing| !is_it(thing));
                }
                _ => {}
            }
        }
        self.connection.received = Some(frames.rest().to_vec());
    }

    /// The first one of a connection counts, if it answers a hello.
    fn welcome(&mut self, welcome: &Welcome<'_>) {
        let is_first = self.connection.greeted && self.connection.sends_max.is_none();
        if !is_first || welcome.version != VERSION {
            return;
        }
        self.connection.sends_max = Some(welcome.sends_max);
        let inbox = welcome.heads.iter().find(|(log, _)| *log == 0);
        let cursor = self.went_back.unwrap_or(self.cursor);
        let head = inbox.map_or(cursor, |(_, head)| head.min(cursor));
        self.connection.announced = head;
        if head < cursor {
            self.went_back = Some(head);
        }
    }

    fn announce(&mut self, position: u64) {
        self.connection.announced = self.connection.announced.max(position);
        // What comes again is acknowledged again.
        self.connection.acked = self.connection.acked.min(position.saturating_sub(1));
    }

    fn announce_in(&mut self, group: u64, position: u64) {
        let (announced, acked) = self.connection.groups.entry(group).or_default();
        *announced = position.max(*announced);
        *acked = position.saturating_sub(1).min(*acked);
    }
}

fn check_number(number: u64) {
    assert!((1..=NUMBER_MAX).contains(&number), "{number} doesn't fit a store");
}
