//! What authors are told of how far the others are.

use fulmar_protocol::group::GroupReceipt;

use super::{Room, Talk};
use crate::engine::Port;

/// Members of a group, at most, whose acknowledgements are counted for every receipt.
const COUNTED_MEMBERS_MAX: usize = 256;

impl Talk {
    pub(super) fn on_receipt(&mut self, port: &Port<'_>, receipt: &GroupReceipt<'_>) {
        let Some(index) = self.seat_of(port.index, receipt.group) else { return };
        let seat = &mut self.people[port.index].seats[index];
        let room = &self.rooms[seat.room as usize];
        let (others, user) = (room.members.len() as u64 - 1, port.user());
        self.totals.receipts += 1;
        if receipt.members > others || receipt.delivered > receipt.members {
            self.faults.irregular(|| {
                format!(
                    "user {user} was told that {} of {} have a message; there are {others} others",
                    receipt.delivered, receipt.members
                )
            });
        }
        while let Some(&(position, intended_ns)) = seat.unreceipted.front()
            && position <= receipt.delivered_all
        {
            seat.unreceipted.pop_front();
            self.unreceipted -= 1;
            if self.recorded_ns.contains(&intended_ns) {
                self.latencies.receipt.record(port.now_ns.saturating_sub(intended_ns));
            }
        }
        if room.members.len() <= COUNTED_MEMBERS_MAX {
            let acknowledged = self.acknowledged(room, port.index, receipt.position);
            if receipt.delivered > acknowledged {
                self.faults.receipts_ahead += 1;
                self.faults.describe(|| {
                    format!(
                        "user {user} was told that {} have position {}, and {acknowledged} do",
                        receipt.delivered, receipt.position
                    )
                });
            }
        }
    }

    /// How many others acknowledged a position.
    fn acknowledged(&self, room: &Room, but: usize, position: u64) -> u64 {
        let seats = room.members.iter().filter(|&&(user, _)| user as usize != but);
        let seats = seats.map(|&(user, seat)| &self.people[user as usize].seats[seat as usize]);
        seats.filter(|seat| seat.acknowledged >= position).count() as u64
    }
}
