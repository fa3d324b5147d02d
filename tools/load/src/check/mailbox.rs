//! The receiving end of one connection: positions of the inbox, bodies, acknowledgements.

use fulmar_protocol::Deliver;

use super::Faults;
use crate::message::{Stamp, Template};

/// A message that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Who the server says that it is from.
    pub peer: u64,
    /// Which message of its direction the server says that it is.
    pub ordinal: u64,
    /// What the message itself says.
    pub stamp: Stamp,
}

/// A large body that is arriving.
#[derive(Debug)]
struct Cut {
    position: u64,
    /// `None` where it is an earlier run's.
    arrived: Option<Arrived>,
    /// Bytes that came.
    bytes: u64,
    total_bytes: u64,
    intact: bool,
}

/// Checks what one device is delivered, and knows what it may acknowledge.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Every position up to this one was delivered, begun, or skipped.
    cursor: u64,
    acknowledged: u64,
    cut: Option<Cut>,
    /// Messages of earlier runs, which are acknowledged and otherwise left alone.
    leftovers: u64,
}

impl Mailbox {
    /// Takes a delivery; the message, if it is this run's and complete.
    #[inline]
    pub fn on_deliver(
        &mut self,
        run: u32,
        deliver: &Deliver<'_>,
        template: &Template,
        faults: &mut Faults,
    ) -> Option<Arrived> {
        self.advance(deliver.position, faults);
        let stamp = Stamp::read(deliver.body).filter(|stamp| stamp.run == run);
        let arrived =
            stamp.map(|stamp| Arrived { peer: deliver.peer, ordinal: deliver.ordinal, stamp });
        if arrived.is_none() {
            self.leftovers += 1;
        }
        let intact = template.matches(0, deliver.body);
        if let Some(total_bytes) = deliver.total_bytes {
            self.begin_cut(deliver, arrived, total_bytes, intact, faults);
            return None;
        }
        judge_body(intact && deliver.body.len() == template.body_bytes(), arrived, faults)
    }

    #[cold]
    fn begin_cut(
        &mut self,
        deliver: &Deliver<'_>,
        arrived: Option<Arrived>,
        total_bytes: u64,
        intact: bool,
        faults: &mut Faults,
    ) {
        if let Some(cut) = &self.cut {
            let position = cut.position;
            faults.irregular(|| {
                format!("a second cut delivery began while position {position} was not complete")
            });
        }
        let (position, bytes) = (deliver.position, deliver.body.len() as u64);
        self.cut = Some(Cut { position, arrived, bytes, total_bytes, intact });
    }

    /// Takes a part of the large body; the message, if this completes it and it is this run's.
    pub fn on_part(
        &mut self,
        piece: &[u8],
        template: &Template,
        faults: &mut Faults,
    ) -> Option<Arrived> {
        let Some(cut) = &mut self.cut else {
            faults.irregular(|| "a part came, but no delivery is incomplete".to_owned());
            return None;
        };
        cut.intact &= template.matches(cut.bytes as usize, piece);
        cut.bytes += piece.len() as u64;
        if cut.bytes < cut.total_bytes {
            return None;
        }
        let cut = self.cut.take()?;
        let whole = cut.bytes == cut.total_bytes && cut.bytes == template.body_bytes() as u64;
        judge_body(cut.intact && whole, cut.arrived, faults)
    }

    /// Takes a skip: the positions up to this one that were not delivered hold nothing.
    pub fn on_skip(&mut self, position: u64) {
        self.cursor = self.cursor.max(position);
    }

    #[inline]
    fn advance(&mut self, position: u64, faults: &mut Faults) {
        if position.wrapping_sub(self.cursor) == 1 {
            self.cursor = position;
        } else {
            self.advance_irregularly(position, faults);
        }
    }

    #[cold]
    fn advance_irregularly(&mut self, position: u64, faults: &mut Faults) {
        let cursor = self.cursor;
        if position > cursor {
            faults.gaps = faults.gaps.saturating_add(position - cursor - 1);
            faults.describe(|| {
                format!("position {position} came after {cursor}, without a skip between them")
            });
            self.cursor = position;
        } else {
            faults.irregular(|| format!("position {position} came after {cursor}"));
        }
    }

    /// The position to acknowledge, where there is a new one.
    #[inline]
    pub fn acknowledge(&mut self) -> Option<u64> {
        let position = match &self.cut {
            Some(cut) => self.cursor.min(cut.position.saturating_sub(1)),
            None => self.cursor,
        };
        if position <= self.acknowledged {
            return None;
        }
        self.acknowledged = position;
        Some(position)
    }

    /// Compares with the head that the server states once everything was delivered.
    pub fn on_head(&self, head: u64, faults: &mut Faults) {
        if head > self.cursor {
            faults.gaps = faults.gaps.saturating_add(head - self.cursor);
            faults.describe(|| {
                format!("the inbox's head is {head}, but nothing came after {}", self.cursor)
            });
        }
    }

    /// Messages of earlier runs that came.
    pub const fn leftovers(&self) -> u64 {
        self.leftovers
    }
}

/// The message, if it is this run's and its body is as it was sent.
#[inline]
fn judge_body(intact: bool, arrived: Option<Arrived>, faults: &mut Faults) -> Option<Arrived> {
    let arrived = arrived?;
    if intact {
        return Some(arrived);
    }
    faults.corrupt += 1;
    faults.describe(|| format!("the body of message {} is changed", arrived.stamp.sequence));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 9, author: 1, sequence: 0, intended_ns: 5 };

    fn deliver(position: u64, total_bytes: Option<u64>, body: &[u8]) -> Deliver<'_> {
        let (peer, ordinal, time_ms, content, own) = (2, 1, 0, 0, false);
        Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body }
    }

    #[test]
    fn positions_are_dense_or_skipped() {
        let (mut mailbox, mut faults) = (Mailbox::default(), Faults::default());
        let mut template = Template::new(50);
        let body = template.stamped(&STAMP).to_vec();
        mailbox.on_skip(4);
        assert!(mailbox.on_deliver(9, &deliver(5, None, &body), &template, &mut faults).is_some());
        assert_eq!(mailbox.acknowledge(), Some(5));
        assert_eq!(mailbox.acknowledge(), None);
        assert!(faults.is_clean());
        mailbox.on_deliver(9, &deliver(8, None, &body), &template, &mut faults);
        assert_eq!(faults.gaps, 2);
        mailbox.on_deliver(9, &deliver(8, None, &body), &template, &mut faults);
        assert_eq!(faults.irregular, 1);
        mailbox.on_head(8, &mut faults);
        assert_eq!(faults.gaps, 2);
        mailbox.on_head(9, &mut faults);
        assert_eq!(faults.gaps, 3);
    }

    #[test]
    fn other_runs_are_acknowledged_and_changed_bodies_are_faults() {
        let (mut mailbox, mut faults) = (Mailbox::default(), Faults::default());
        let mut template = Template::new(50);
        let body = template.stamped(&STAMP).to_vec();
        assert_eq!(mailbox.on_deliver(8, &deliver(1, None, &body), &template, &mut faults), None);
        assert_eq!((mailbox.leftovers(), mailbox.acknowledge()), (1, Some(1)));
        assert!(faults.is_clean());
        mailbox.on_deliver(9, &deliver(2, None, &body[..49]), &template, &mut faults);
        assert_eq!(faults.corrupt, 1);
    }

    #[test]
    fn a_large_body_holds_the_cursor_until_it_is_complete() {
        let (mut mailbox, mut faults) = (Mailbox::default(), Faults::default());
        let mut template = Template::new(1_000);
        let body = template.stamped(&STAMP).to_vec();
        let first = deliver(1, Some(1_000), &body[..300]);
        assert_eq!(mailbox.on_deliver(9, &first, &template, &mut faults), None);
        assert_eq!(mailbox.acknowledge(), None);
        assert_eq!(mailbox.on_part(&body[300..999], &template, &mut faults), None);
        let arrived = mailbox.on_part(&body[999..], &template, &mut faults).unwrap();
        assert_eq!(arrived.stamp, STAMP);
        assert_eq!(mailbox.acknowledge(), Some(1));
        assert!(faults.is_clean());
        assert_eq!(mailbox.on_part(&body[999..], &template, &mut faults), None);
        assert_eq!(faults.irregular, 1);
        mailbox.on_deliver(9, &deliver(2, Some(1_000), &body[..300]), &template, &mut faults);
        mailbox.on_part(&body[301..], &template, &mut faults);
        mailbox.on_part(&body[999..], &template, &mut faults);
        assert_eq!(faults.corrupt, 1);
    }
}
