//! What goes to the members and comes from them, and what is checked of it.

use fulmar_protocol::Frame;
use fulmar_protocol::group::{GroupDeliver, GroupReceipt, GroupSend};

use super::super::drain::Quiet;
use super::super::nanoseconds;
use super::{Group, Phase};
use crate::engine::Port;
use crate::limits::{GROUP_WINDOWS_MAX, OUT_PENDING_BYTES_MAX};
use crate::message::Stamp;

impl Group<'_> {
    pub(super) fn on_sent(&mut self, port: &mut Port<'_>, group: u64, number: u64, position: u64) {
        if number == self.setup_number && matches!(self.phase, Phase::Making) {
            (self.id, self.setup_number) = (group, number + 1);
            if self.added < self.members.len() {
                self.add_members(port);
            } else {
                let limit_ns = nanoseconds(self.setting.drain.get());
                let quiet = Quiet::new(limit_ns, port.now_ns);
                self.phase = Phase::Joining { head: position, quiet };
            }
            return;
        }
        let (index, user) = (port.index, port.user());
        let Some(author) = self.authors.get_mut(index) else {
            return self.faults.irregular(|| format!("user {user} sent nothing and got a tick"));
        };
        let expected = self.number_first + author.ticked;
        let Some(intended_ns) = author.unticked.pop_front().filter(|_| number == expected) else {
            return self.faults.irregular(|| {
                format!("user {user} got a tick for number {number}, not {expected}")
            });
        };
        let sequence = author.ticked;
        author.ticked += 1;
        author.unreceipted.push_back((position, intended_ns));
        self.totals.ticked += 1;
        if self.recorded_ns.contains(&intended_ns) {
            self.latencies.sent.record(port.now_ns.saturating_sub(intended_ns));
        }
        self.order.ticked(position, index as u32, sequence, intended_ns, &mut self.faults);
        self.count_completed();
    }

    #[inline]
    pub(super) fn on_deliver(&mut self, port: &Port<'_>, deliver: &GroupDeliver<'_>) {
        let member = &mut self.members[port.index];
        if deliver.group != self.id && self.id > 0 {
            return;
        }
        member.reached = member.reached.max(deliver.position);
        if !self.makes_messages() && !matches!(self.phase, Phase::Draining { .. }) {
            return;
        }
        let stamp = Stamp::read(deliver.body).filter(|stamp| stamp.run == self.run);
        let is_whole = deliver.body.len() == self.template.body_bytes()
            && self.template.matches(0, deliver.body);
        let Some(stamp) = stamp.filter(|_| is_whole) else {
            self.faults.corrupt += 1;
            let (user, position) = (port.user(), deliver.position);
            return self
                .faults
                .describe(|| format!("user {user} got a strange body at {position}"));
        };
        if deliver.author != self.setting.first_user + u64::from(stamp.author) {
            let (user, author) = (port.user(), deliver.author);
            return self.faults.irregular(|| {
                format!("user {user} got a message of {} as from {author}", stamp.author)
            });
        }
        let taken = self.order.delivered(port.index, deliver.position, &stamp, &mut self.faults);
        let Some(taken) = taken else { return };
        self.totals.delivered += 1;
        let latency_ns = port.now_ns.saturating_sub(stamp.intended_ns);
        if self.recorded_ns.contains(&stamp.intended_ns) {
            self.latencies.delivery.record(latency_ns);
            if taken.is_last {
                self.last_delivery.record(latency_ns);
            }
        }
        if taken.is_last {
            self.count_completed();
        }
    }

    fn count_completed(&mut self) {
        self.totals.completed =
            (0..self.authors.len()).map(|author| self.order.completed(author)).sum();
    }

    pub(super) fn on_receipt(&mut self, port: &Port<'_>, receipt: &GroupReceipt<'_>) {
        let others = self.members.len() as u64 - 1;
        if receipt.group != self.id {
            return;
        }
        self.totals.receipts += 1;
        if receipt.members > others || receipt.delivered > receipt.members {
            let user = port.user();
            self.faults.irregular(|| {
                format!(
                    "user {user} was told that {} of {} have a message; there are {others} others",
                    receipt.delivered, receipt.members
                )
            });
        }
        let Some(author) = self.authors.get_mut(port.index) else { return };
        while let Some(&(position, intended_ns)) = author.unreceipted.front()
            && position <= receipt.delivered_all
        {
            author.unreceipted.pop_front();
            if self.recorded_ns.contains(&intended_ns) {
                self.latencies.receipt.record(port.now_ns.saturating_sub(intended_ns));
            }
        }
    }

    fn may_send(&mut self, port: &Port<'_>) -> bool {
        let window = if self.options.rate > 0 {
            usize::try_from(port.terms().sends_max).unwrap_or(usize::MAX)
        } else {
            self.options.window as usize
        };
        let author = &self.authors[port.index];
        if author.unticked.len() >= window || port.pending_bytes() >= OUT_PENDING_BYTES_MAX {
            return false;
        }
        let incomplete = author.sent - self.order.completed(port.index);
        let held = incomplete >= GROUP_WINDOWS_MAX * window as u64;
        self.held_back |= held;
        !held
    }

    #[inline]
    fn send(&mut self, port: &mut Port<'_>, intended_ns: u64) {
        let author = &mut self.authors[port.index];
        let (sequence, number) = (author.sent, self.number_first + author.sent);
        author.sent += 1;
        author.unticked.push_back(intended_ns);
        let stamp = Stamp { run: self.run, author: port.index as u32, sequence, intended_ns };
        let body = self.template.stamped(&stamp);
        let (group, content, total_bytes) = (self.id, 0, None);
        port.queue(&Frame::GroupSend(GroupSend { group, number, content, total_bytes, body }));
        self.totals.sent += 1;
    }

    #[inline]
    pub(super) fn refill(&mut self, port: &mut Port<'_>) {
        if port.index >= self.authors.len() {
            return;
        }
        if self.options.rate > 0 {
            while let Some(&intended_ns) = self.authors[port.index].due.front()
                && self.may_send(port)
            {
                self.authors[port.index].due.pop_front();
                self.due_count -= 1;
                self.send(port, intended_ns);
            }
        } else if self.makes_messages() {
            while self.may_send(port) {
                self.send(port, port.now_ns);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, port: &mut Port<'_>) {
        let member = &mut self.members[port.index];
        if member.inbox_reached > member.inbox_acknowledged {
            member.inbox_acknowledged = member.inbox_reached;
            port.queue(&Frame::Ack { position: member.inbox_reached });
        }
        if member.reached > member.acknowledged && self.id > 0 {
            member.acknowledged = member.reached;
            port.queue(&Frame::GroupAck { group: self.id, position: member.reached });
        }
    }
}
