//! Messages out and in, and what is checked of them.

use fulmar_protocol::Frame;
use fulmar_protocol::group::{GroupDeliver, GroupSend};

use super::{Seat, Talk};
use crate::engine::Port;
use crate::limits::{GROUP_WINDOWS_MAX, OUT_PENDING_BYTES_MAX};
use crate::message::Stamp;

impl Talk {
    /// Whether the user on `port` may write to the group of this seat now: fewer than `window` sends
    /// without a tick, and no bound of ours reached.
    pub(in super::super) fn may_send(&mut self, port: &Port<'_>, seat: usize, window: u32) -> bool {
        let person = &self.people[port.index];
        if person.unticked >= window || port.pending_bytes() >= OUT_PENDING_BYTES_MAX {
            return false;
        }
        let seat = &person.seats[seat];
        let order = &self.rooms[seat.room as usize].order;
        let incomplete = seat.sent - order.completed(seat.member as usize);
        let held = incomplete >= GROUP_WINDOWS_MAX * u64::from(window);
        self.held_back |= held;
        !held
    }

    /// Queues the user's next message to the group of this seat.
    #[inline]
    pub(in super::super) fn send(&mut self, port: &mut Port<'_>, seat: usize, intended_ns: u64) {
        let person = &mut self.people[port.index];
        let place = &mut person.seats[seat];
        let sequence = place.sent;
        place.sent += 1;
        place.unticked.push_back(intended_ns);
        person.unticked += 1;
        self.totals.sent += 1;
        self.queue_message(port, seat, sequence, intended_ns);
    }

    pub(super) fn queue_message(
        &mut self,
        port: &mut Port<'_>,
        seat: usize,
        sequence: u64,
        intended_ns: u64,
    ) {
        let Seat { group, member, .. } = self.people[port.index].seats[seat];
        let stamp = Stamp { run: self.run, author: member, sequence, intended_ns };
        let body = self.template.stamped(&stamp);
        let (number, content, total_bytes) = (self.number_first + sequence, 0, None);
        port.queue(&Frame::GroupSend(GroupSend { group, number, content, total_bytes, body }));
    }

    pub(super) fn on_sent(&mut self, port: &Port<'_>, group: u64, number: u64, position: u64) {
        let user = port.user();
        let Some(index) = self.seat_of(port.index, group) else {
            return self.faults.irregular(|| format!("user {user} got a tick of group {group}"));
        };
        let person = &mut self.people[port.index];
        let seat = &mut person.seats[index];
        let expected = self.number_first + seat.ticked;
        let Some(intended_ns) = seat.unticked.pop_front().filter(|_| number == expected) else {
            return self.faults.irregular(|| {
                format!("user {user} got a tick for number {number}, not {expected}")
            });
        };
        let sequence = seat.ticked;
        seat.ticked += 1;
        person.unticked -= 1;
        self.totals.ticked += 1;
        if self.recorded_ns.contains(&intended_ns) {
            self.latencies.sent.record(port.now_ns.saturating_sub(intended_ns));
        }
        let order = &mut self.rooms[seat.room as usize].order;
        order.ticked(position, seat.member, sequence, &mut self.faults);
        self.totals.completed += order.take_completed();
        if self.awaits_receipts {
            self.await_receipts(port, index, position, intended_ns);
        }
    }

    #[inline]
    pub(super) fn on_deliver(&mut self, port: &mut Port<'_>, deliver: &GroupDeliver<'_>) {
        let (group, position) = (deliver.group, deliver.position);
        let Some(index) = self.seat_of(port.index, group) else {
            return self.on_unknown(port, group, position);
        };
        let seat = &mut self.people[port.index].seats[index];
        seat.seen = position.max(seat.seen);
        let (room, member) = (seat.room as usize, seat.member as usize);
        let is_change = self.number_first == 0 || position <= self.rooms[room].head;
        self.reach(port.index, index, position, port.now_ns);
        if is_change {
            return;
        }
        let stamp = Stamp::read(deliver.body).filter(|stamp| stamp.run == self.run);
        let is_whole = deliver.body.len() == self.template.body_bytes()
            && self.template.matches(0, deliver.body);
        let members = &self.rooms[room].members;
        let stamp = stamp.filter(|stamp| is_whole && (stamp.author as usize) < members.len());
        let Some(stamp) = stamp else {
            self.faults.corrupt += 1;
            let user = port.user();
            return self
                .faults
                .describe(|| format!("user {user} got a strange body at {position} of {group}"));
        };
        let author = self.first_user + u64::from(members[stamp.author as usize].0);
        if deliver.author != author {
            let (user, other) = (port.user(), deliver.author);
            return self
                .faults
                .irregular(|| format!("user {user} got a message of {author} as from {other}"));
        }
        let order = &mut self.rooms[room].order;
        let taken = order.delivered(member, position, &stamp, &mut self.faults);
        self.totals.completed += order.take_completed();
        let Some(taken) = taken else { return };
        self.totals.delivered += 1;
        if taken.is_live && self.recorded_ns.contains(&stamp.intended_ns) {
            let latency_ns = port.now_ns.saturating_sub(stamp.intended_ns);
            self.latencies.delivery.record(latency_ns);
            if taken.is_last {
                self.last_delivery.record(latency_ns);
            }
        }
    }

    #[inline]
    pub(super) fn on_skip(&mut self, port: &mut Port<'_>, group: u64, position: u64) {
        let Some(index) = self.seat_of(port.index, group) else {
            return self.on_unknown(port, group, position);
        };
        let seat = &self.people[port.index].seats[index];
        let (room, member) = (seat.room as usize, seat.member as usize);
        self.reach(port.index, index, position, port.now_ns);
        if self.number_first > 0 {
            let order = &mut self.rooms[room].order;
            order.skipped(member, position, &mut self.faults);
            self.totals.completed += order.take_completed();
        }
    }

    /// A group that isn't known yet, or one of an earlier run, whose entries must not fill the window.
    #[cold]
    fn on_unknown(&mut self, port: &mut Port<'_>, group: u64, position: u64) {
        if self.number_first == 0 {
            self.early.push((group, port.index, position));
        } else {
            port.queue(&Frame::GroupAck { group, position });
        }
    }
}
