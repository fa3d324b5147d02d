//! What follows from the frames that were taken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fulmar_protocol::{Code, Frame, Goodbye, Send};

use crate::fault::Fault;
use crate::journal::Journal;

/// A device that does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    pub(crate) user: u64,
    pub(crate) device: u64,
}

/// A message in an inbox.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) peer: u64,
    pub(crate) own: bool,
    /// Which device wrote it.
    pub(crate) device: u64,
    pub(crate) ordinal: u64,
    pub(crate) content: u8,
    pub(crate) body: Arc<[u8]>,
}

/// A connection that is logged in.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) number: u64,
    /// Encoded frames that the writer takes.
    pub(crate) output: Vec<u8>,
    /// The last position that was sent.
    pub(crate) sent: u64,
}

#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) inbox: Vec<Entry>,
    /// Cursors of its devices.
    pub(crate) devices: BTreeMap<u64, u64>,
    pub(crate) sessions: HashMap<u64, Session>,
    /// By device, the place of the newest connection on which it logged in, since the start.
    places: HashMap<u64, u64>,
}

/// What one user sends to another.
#[derive(Debug, Default)]
struct Direction {
    ordinal: u64,
    /// The numbers of each sending device that were taken, and their ordinals.
    taken: HashMap<u64, BTreeMap<u64, u64>>,
    delivered: u64,
    read: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) users: HashMap<u64, User>,
    directions: HashMap<(u64, u64), Direction>,
    pub(crate) fault: Option<Fault>,
    /// None while the journal is read.
    journal: Option<Journal>,
    logins: u64,
    rng: fastrand::Rng,
}

impl State {
    pub(crate) fn new(fault: Option<Fault>) -> State {
        State {
            users: HashMap::new(),
            directions: HashMap::new(),
            fault,
            journal: None,
            logins: 0,
            rng: fastrand::Rng::new(),
        }
    }

    /// What is taken from now on goes to the journal.
    pub(crate) fn go_live(&mut self, journal: Journal) {
        self.journal = Some(journal);
        for direction in self.directions.values_mut() {
            match self.fault {
                Some(Fault::Twice) => direction.taken.clear(),
                Some(Fault::Stale) => (direction.delivered, direction.read) = (0, 0),
                _ => {}
            }
        }
    }

    /// Applies a frame of the journal.
    pub(crate) fn replay(&mut self, actor: Actor, frame: &Frame<'_>) {
        match *frame {
            Frame::Ping => drop(self.login(actor, 0)),
            Frame::Send(ref send) => drop(self.send(actor, send)),
            Frame::Ack { position } => self.ack(actor, position),
            Frame::Read { peer, ordinal } => self.read(actor, peer, ordinal),
            _ => {}
        }
    }

    fn keep(&mut self, actor: Actor, frame: &Frame<'_>) {
        let late = self.fault == Some(Fault::Forget);
        if let Some(journal) = &mut self.journal {
            journal.add(actor, frame, late);
        }
    }

    /// True now and then.
    pub(crate) fn now_and_then(&mut self) -> bool {
        self.rng.u8(0..30) == 0
    }

    /// A device logs in; an older session of it ends. Its session number, from 1. Logins are in the
    /// journal as pings, so that sessions rise over restarts.
    ///
    /// None where the device is on a connection that was accepted later: the client gave this one up,
    /// and only its thread comes late.
    pub(crate) fn login(&mut self, actor: Actor, place: u64) -> Option<u64> {
        let newest =
            self.users.entry(actor.user).or_default().places.entry(actor.device).or_default();
        if place < *newest {
            return None;
        }
        *newest = place;
        self.keep(actor, &Frame::Ping);
        self.logins += 1;
        let number = self.logins;
        let user = self.users.entry(actor.user).or_default();
        let cursor = *user.devices.entry(actor.device).or_default();
        let session = Session { number, output: Vec::new(), sent: cursor };
        user.sessions.insert(actor.device, session);
        Some(number)
    }

    /// Takes a message, unless it was taken before. What the sender is told.
    pub(crate) fn send(&mut self, actor: Actor, send: &Send<'_>) -> Frame<'static> {
        let Send { peer, number, content, body, .. } = *send;
        let direction = self.directions.entry((actor.user, peer)).or_default();
        let taken = direction.taken.entry(actor.device).or_default();
        let sent = |ordinal| Frame::Sent { peer, number, ordinal, time_ms: 0 };
        if let Some(&ordinal) = taken.get(&number) {
            return sent(ordinal);
        }
        direction.ordinal += 1;
        let ordinal = direction.ordinal;
        taken.insert(number, ordinal);
        self.keep(actor, &Frame::Send(*send));
        let body: Arc<[u8]> = Arc::from(body);
        let (device, own) = (actor.device, false);
        let entry = Entry { peer: actor.user, own, device, ordinal, content, body };
        let copy = Entry { peer, own: true, ..entry.clone() };
        self.users.entry(peer).or_default().inbox.push(entry);
        let author = self.users.entry(actor.user).or_default();
        if author.devices.len() > 1 && self.fault != Some(Fault::Nocopies) {
            author.inbox.push(copy);
        }
        if self.fault == Some(Fault::Eager) {
            self.directions.entry((actor.user, peer)).or_default().delivered = ordinal;
            self.tell_receipt(actor.user, peer);
        }
        if self.fault == Some(Fault::Deny) && self.now_and_then() {
            return Frame::Rejected { peer, number, code: Code::Overloaded, retry_after_ms: 1 };
        }
        sent(ordinal)
    }

    /// A device has everything up to a position.
    pub(crate) fn ack(&mut self, actor: Actor, position: u64) {
        let Some(user) = self.users.get_mut(&actor.user) else { return };
        let Some(cursor) = user.devices.get_mut(&actor.device) else { return };
        let before = std::mem::replace(cursor, position.max(*cursor));
        let moved = *cursor > before;
        let passed = user.inbox.get(before as usize..position.max(before) as usize);
        let mut delivered: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in passed.unwrap_or_default().iter().filter(|entry| !entry.own) {
            delivered.insert(entry.peer, entry.ordinal);
        }
        if moved {
            self.keep(actor, &Frame::Ack { position });
        }
        for (author, ordinal) in delivered {
            let read = if self.fault == Some(Fault::Nosy) { ordinal } else { 0 };
            self.progress(author, actor.user, ordinal, read);
        }
    }

    /// A person saw what a peer wrote.
    pub(crate) fn read(&mut self, actor: Actor, peer: u64, ordinal: u64) {
        let direction = self.directions.entry((peer, actor.user)).or_default();
        let ordinal = ordinal.min(direction.ordinal);
        if ordinal <= direction.read {
            return;
        }
        self.keep(actor, &Frame::Read { peer, ordinal });
        self.progress(peer, actor.user, ordinal, ordinal);
    }

    fn progress(&mut self, author: u64, reader: u64, delivered: u64, read: u64) {
        let direction = self.directions.entry((author, reader)).or_default();
        let before = (direction.delivered, direction.read);
        direction.delivered = direction.delivered.max(delivered);
        direction.read = direction.read.max(read);
        // An eager one told it before; who was away then is told with the others now.
        let is_news = (direction.delivered, direction.read) != before;
        if is_news || self.fault == Some(Fault::Eager) {
            self.tell_receipt(author, reader);
            self.tell_own_receipt(author, reader);
        }
    }

    /// Tells the author's devices how far a reader is.
    pub(crate) fn tell_receipt(&mut self, author: u64, reader: u64) {
        let direction = self.directions.entry((author, reader)).or_default();
        let (delivered, read) = (direction.delivered, direction.read);
        let receipt = Frame::Receipt { peer: reader, delivered, read, own: false };
        self.tell(author, &receipt);
    }

    fn tell_own_receipt(&mut self, author: u64, reader: u64) {
        let direction = self.directions.entry((author, reader)).or_default();
        let (delivered, read) = (direction.delivered, direction.read);
        self.tell(reader, &Frame::Receipt { peer: author, delivered, read, own: true });
    }

    fn tell(&mut self, user: u64, frame: &Frame<'_>) {
        let sessions = self.users.entry(user).or_default().sessions.values_mut();
        sessions.for_each(|session| frame.encode(&mut session.output));
    }

    /// The session of a device, if it is still this one.
    pub(crate) fn session(&mut self, actor: Actor, number: u64) -> Option<&mut Session> {
        let session = self.users.get_mut(&actor.user)?.sessions.get_mut(&actor.device)?;
        (session.number == number).then_some(session)
    }
}

/// What an older session is told.
pub(crate) fn replaced() -> Frame<'static> {
    Frame::Goodbye(Goodbye { code: Code::Replaced, retry_after_ms: 0, address: "", detail: "" })
}
