//! What members say that they read, and what authors are told of how far the others are.

use std::collections::VecDeque;

use fulmar_protocol::Frame;
use fulmar_protocol::group::GroupReceipt;

use super::{Room, Seat, Talk};
use crate::check::Faults;
use crate::engine::Port;

/// Members of a group, at most, whose acknowledgements are counted for every receipt.
const COUNTED_MEMBERS_MAX: usize = 1_024;

/// An author's messages of which it isn't told yet that all others have them, or that all read them.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Up to this position it was told so.
    all: u64,
    /// Position and intended time; those beyond it.
    messages: VecDeque<(u64, u64)>,
}

impl Awaited {
    /// The intended time of the next message that it was told about.
    fn take(&mut self) -> Option<u64> {
        let &(position, intended_ns) = self.messages.front()?;
        (position <= self.all).then(|| {
            self.messages.pop_front();
            intended_ns
        })
    }
}

/// How far the others are, as they said: with one position, and with everything.
#[derive(Debug)]
struct Truth {
    acknowledged: u64,
    read: u64,
    acknowledged_all: u64,
    read_all: u64,
}

impl Seat {
    /// Says that the person read what came, where that is new.
    pub(super) fn say_read(&mut self, port: &mut Port<'_>) -> bool {
        let is_new = self.seen > self.read;
        if is_new {
            self.read = self.seen;
            self.say_unstored_read(port);
        }
        is_new
    }

    /// Says it until the server has stored it: with a connection that ended it may be lost.
    pub(super) fn say_unstored_read(&self, port: &mut Port<'_>) {
        if self.read > self.read_stored {
            port.queue(&Frame::GroupRead { group: self.group, position: self.read });
        }
    }
}

impl Talk {
    /// The server has stored up to where a user read a group.
    pub(super) fn on_read_stored(&mut self, port: &Port<'_>, group: u64, position: u64) {
        let Some(index) = self.seat_of(port.index, group) else { return };
        let seat = &mut self.people[port.index].seats[index];
        seat.read_stored = position.max(seat.read_stored);
        let (user, read) = (port.user(), seat.read);
        if position > read {
            self.faults.irregular(|| {
                format!("user {user} was told that it read position {position}; it said {read}")
            });
        }
    }

    /// A message was ticked: its author waits to hear that all others have it, and that all read it.
    pub(super) fn await_receipts(
        &mut self,
        port: &Port<'_>,
        index: usize,
        position: u64,
        intended_ns: u64,
    ) {
        let seat = &mut self.people[port.index].seats[index];
        seat.unreceipted.messages.push_back((position, intended_ns));
        self.unreceipted += 1;
        if self.reads {
            seat.unread.messages.push_back((position, intended_ns));
            self.unread += 1;
        }
        // A receipt may overtake the tick.
        self.take_receipted(port, index);
    }

    fn take_receipted(&mut self, port: &Port<'_>, index: usize) {
        let seat = &mut self.people[port.index].seats[index];
        for (awaited, count, latencies) in [
            (&mut seat.unreceipted, &mut self.unreceipted, &mut self.latencies.receipt),
            (&mut seat.unread, &mut self.unread, &mut self.read_receipt),
        ] {
            while let Some(intended_ns) = awaited.take() {
                *count -= 1;
                if self.recorded_ns.contains(&intended_ns) {
                    latencies.record(port.now_ns.saturating_sub(intended_ns));
                }
            }
        }
    }

    pub(super) fn on_receipt(&mut self, port: &Port<'_>, receipt: &GroupReceipt<'_>) {
        let Some(index) = self.seat_of(port.index, receipt.group) else { return };
        self.totals.receipts += 1;
        let seat = &mut self.people[port.index].seats[index];
        seat.unreceipted.all = receipt.delivered_all.max(seat.unreceipted.all);
        seat.unread.all = receipt.read_all.max(seat.unread.all);
        let room = seat.room as usize;
        self.take_receipted(port, index);
        let room = &self.rooms[room];
        check_sense(port, receipt, room.members.len() as u64 - 1, &mut self.faults);
        if room.members.len() <= COUNTED_MEMBERS_MAX {
            let truth = self.truth(room, port.index, receipt.position);
            self.check_truth(port, receipt, &truth);
        }
    }

    /// How far the members but one are.
    fn truth(&self, room: &Room, but: usize, position: u64) -> Truth {
        let seats = room.members.iter().filter(|&&(user, _)| user as usize != but);
        let seats = seats.map(|&(user, seat)| &self.people[user as usize].seats[seat as usize]);
        let mut truth =
            Truth { acknowledged: 0, read: 0, acknowledged_all: u64::MAX, read_all: u64::MAX };
        for seat in seats {
            truth.acknowledged += u64::from(seat.acknowledged >= position);
            truth.read += u64::from(seat.read >= position);
            truth.acknowledged_all = truth.acknowledged_all.min(seat.acknowledged);
            truth.read_all = truth.read_all.min(seat.read);
        }
        truth
    }

    fn check_truth(&mut self, port: &Port<'_>, receipt: &GroupReceipt<'_>, truth: &Truth) {
        // Who hasn't come for the group yet needn't have what was before its time.
        let counts_all = self.awaits_receipts && self.number_first > 0;
        let is_ahead = receipt.delivered > truth.acknowledged
            || receipt.read > truth.read
            || counts_all
                && (receipt.delivered_all > truth.acknowledged_all
                    || receipt.read_all > truth.read_all);
        if is_ahead {
            self.faults.receipts_ahead += 1;
            let user = port.user();
            self.faults.describe(|| {
                let GroupReceipt { position, delivered, read, delivered_all, read_all, .. } = *receipt;
                format!(
                    "user {user} was told that {delivered} have position {position} and {read} read \
                     it, all have {delivered_all} and read {read_all}; it is {truth:?}"
                )
            });
        }
    }

    /// Judges receipts that never came. A message that lacks both counts once.
    pub(super) fn finish_receipts(&mut self) {
        let Talk { unreceipted, unread, ref mut faults, .. } = *self;
        faults.unreceipted += unreceipted.max(unread) as u64;
        for (count, what) in [(unreceipted, "have"), (unread, "read")] {
            if count > 0 {
                let text = || format!("of {count} messages no receipt said that all {what} them");
                faults.describe(text);
            }
        }
    }
}

/// What can't be, whatever the others did.
fn check_sense(port: &Port<'_>, receipt: &GroupReceipt<'_>, others: u64, faults: &mut Faults) {
    let &GroupReceipt { members, delivered, read, delivered_all, read_all, .. } = receipt;
    let user = port.user();
    if members > others || delivered > members {
        faults.irregular(|| {
            format!(
                "user {user} was told that {delivered} of {members} have a message; there are \
                 {others} others"
            )
        });
    }
    if read > delivered || read_all > delivered_all {
        faults.irregular(|| {
            format!(
                "user {user} was told that {read} read a message and {delivered} have it, all read \
                 {read_all} and have {delivered_all}"
            )
        });
    }
}
