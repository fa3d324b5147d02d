//! A log as it arrives, the inbox or that of a group: positions without holes, large bodies put together.

use std::collections::VecDeque;

use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::limits::BODY_BYTES_MAX;
use fulmar_protocol::{Assembly, Deliver};

use crate::limits::HELD_ENTRIES_MAX;

/// A message that arrived whole.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) position: u64,
    /// Who sent it; in a group always its author.
    pub(super) peer: u64,
    pub(super) own: bool,
    pub(super) ordinal: u64,
    pub(super) content: u8,
    pub(super) body: Vec<u8>,
}

/// What came for some positions.
#[derive(Debug)]
pub(super) enum Entry {
    Message(Arrival),
    /// The user was added to a group.
    Notice(GroupNotice),
    /// Nothing, up to here.
    Skip(u64),
}

/// Why a delivery can't be taken. The connection is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This position came where another one was due.
    OutOfTurn(u64),
    /// The server broke the protocol, in words.
    Broken(String),
}

/// The inbox of one device, or a group on it, across connections.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Everything up to here is in the book.
    cursor: u64,
    /// The last position that this connection announced, its body complete or not; `None` before
    /// the first.
    announced: Option<u64>,
    /// The last position of this connection that is in the book.
    booked: u64,
    /// The large body in progress.
    large: Option<(Arrival, Assembly)>,
    /// What came after it began.
    held: VecDeque<Entry>,
    ready: VecDeque<Entry>,
}

impl Inbox {
    /// Forgets what a connection brought in part.
    pub(super) fn reset(&mut self) {
        *self = Inbox { cursor: self.cursor, ..Inbox::default() };
    }

    /// Everything up to here is in the book.
    pub(super) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Up to here this connection's positions are in the book: what may be acknowledged.
    pub(super) const fn booked(&self) -> u64 {
        self.booked
    }

    /// Whether a large body is in progress here.
    pub(super) const fn is_in_parts(&self) -> bool {
        self.large.is_some()
    }

    /// A position that must be the next one.
    fn announce(&mut self, position: u64) -> Result<(), Refusal> {
        // The first may be an earlier one than we have: its acknowledgement was lost.
        let due = self.announced.unwrap_or(self.cursor) + 1;
        if position > due || (self.announced.is_some() && position < due) {
            return Err(Refusal::OutOfTurn(position));
        }
        self.announced = Some(position);
        Ok(())
    }

    /// Word of a group.
    pub(super) fn notice(&mut self, notice: &GroupNotice) -> Result<(), Refusal> {
        self.announce(notice.position)?;
        self.enter(Entry::Notice(*notice))
    }

    /// A message, or the first part of one.
    pub(super) fn deliver(&mut self, deliver: &Deliver<'_>) -> Result<(), Refusal> {
        let position = deliver.position;
        self.announce(position)?;
        let Deliver { peer, own, ordinal, content, body, .. } = *deliver;
        let mut arrival = Arrival { position, peer, own, ordinal, content, body: Vec::new() };
        let Some(total_bytes) = deliver.total_bytes else {
            arrival.body = body.to_vec();
            return self.enter(Entry::Message(arrival));
        };
        if self.large.is_some() {
            return Err(broken("a second large body before the first was complete"));
        }
        if total_bytes > BODY_BYTES_MAX as u64 {
            return Err(broken(format!("a body of {total_bytes} bytes was announced")));
        }
        self.large = Some((arrival, Assembly::new(total_bytes as usize, body)));
        Ok(())
    }

    /// More of the large body.
    pub(super) fn part(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let Some((mut arrival, mut assembly)) = self.large.take() else {
            return Err(broken("a part came without a body to continue"));
        };
        match assembly.push(piece) {
            Ok(false) => self.large = Some((arrival, assembly)),
            Ok(true) => {
                arrival.body = assembly.into_body();
                self.ready.push_back(Entry::Message(arrival));
                self.ready.append(&mut self.held);
            }
            Err(error) => return Err(broken(error.to_string())),
        }
        Ok(())
    }

    /// Positions that hold nothing for this device.
    pub(super) fn skip(&mut self, position: u64) -> Result<(), Refusal> {
        self.announced = Some(position.max(self.announced.unwrap_or_default()));
        self.enter(Entry::Skip(position))
    }

    fn enter(&mut self, entry: Entry) -> Result<(), Refusal> {
        if self.large.is_none() {
            self.ready.push_back(entry);
        } else if self.held.len() < HELD_ENTRIES_MAX {
            self.held.push_back(entry);
        } else {
            return Err(broken("too many messages came between the parts of one body"));
        }
        Ok(())
    }

    /// The next entry that is complete, in the order of positions.
    pub(super) fn next(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    /// An entry up to `position` is in the book; whether it was new.
    pub(super) fn book(&mut self, position: u64) -> bool {
        let is_new = position > self.cursor;
        self.cursor = self.cursor.max(position);
        self.booked = self.booked.max(position);
        is_new
    }
}

fn broken(what: impl Into<String>) -> Refusal {
    Refusal::Broken(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(position: u64, total_bytes: Option<u64>, body: &[u8]) -> Deliver<'_> {
        let (peer, ordinal, time_ms, content, own) = (3, position, 0, 0, false);
        Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body }
    }

    /// Books all that is ready: position and whether it was new.
    fn book_all(inbox: &mut Inbox) -> Vec<(u64, bool)> {
        let mut booked = Vec::new();
        while let Some(entry) = inbox.next() {
            let position = match entry {
                Entry::Message(arrival) => arrival.position,
                Entry::Notice(notice) => notice.position,
                Entry::Skip(position) => position,
            };
            booked.push((position, inbox.book(position)));
        }
        booked
    }

    #[test]
    fn what_comes_again_is_known_and_acknowledged_only_as_far_as_it_came() {
        let mut inbox = Inbox::default();
        for position in 1..=3 {
            inbox.deliver(&deliver(position, None, b"x")).unwrap();
        }
        assert_eq!(book_all(&mut inbox), [(1, true), (2, true), (3, true)]);
        inbox.reset();
        assert_eq!((inbox.cursor(), inbox.booked()), (3, 0));
        inbox.deliver(&deliver(2, None, b"x")).unwrap();
        assert_eq!(book_all(&mut inbox), [(2, false)]);
        assert_eq!(inbox.booked(), 2);
        inbox.deliver(&deliver(3, None, b"x")).unwrap();
        inbox.deliver(&deliver(4, None, b"x")).unwrap();
        assert_eq!(book_all(&mut inbox), [(3, false), (4, true)]);
    }

    #[test]
    fn holes_and_steps_back_are_refused() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.deliver(&deliver(2, None, b"")), Err(Refusal::OutOfTurn(2)));
        inbox.skip(4).unwrap();
        inbox.deliver(&deliver(5, None, b"")).unwrap();
        assert_eq!(inbox.deliver(&deliver(7, None, b"")), Err(Refusal::OutOfTurn(7)));
        assert_eq!(inbox.deliver(&deliver(5, None, b"")), Err(Refusal::OutOfTurn(5)));
    }

    #[test]
    fn what_stands_between_the_parts_of_a_large_body_comes_after_it() {
        let mut inbox = Inbox::default();
        inbox.deliver(&deliver(1, Some(5), b"ab")).unwrap();
        inbox.deliver(&deliver(2, None, b"x")).unwrap();
        assert!(inbox.next().is_none());
        inbox.part(b"cd").unwrap();
        inbox.part(b"e").unwrap();
        let Some(Entry::Message(large)) = inbox.next() else {
            panic!("the large body is complete")
        };
        assert_eq!((large.position, large.body.as_slice()), (1, b"abcde".as_slice()));
        assert!(matches!(inbox.next(), Some(Entry::Message(Arrival { position: 2, .. }))));
    }

    #[test]
    fn wrong_parts_are_refused() {
        let mut inbox = Inbox::default();
        assert!(inbox.part(b"x").is_err());
        inbox.deliver(&deliver(1, Some(3), b"ab")).unwrap();
        assert!(inbox.deliver(&deliver(2, Some(3), b"ab")).is_err());
        assert!(inbox.part(b"cd").is_err());
        let huge = Some(BODY_BYTES_MAX as u64 + 1);
        assert!(Inbox::default().deliver(&deliver(1, huge, b"")).is_err());
    }
}
