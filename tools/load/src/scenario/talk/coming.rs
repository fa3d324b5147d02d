//! Users come, go, and come back to what they missed.

use fulmar_protocol::{Frame, Pairs};

use super::Talk;
use crate::engine::Port;

/// Cursors in one resume: so many fit into a frame however large the numbers are.
const CURSORS_MAX: usize = 512;

impl Talk {
    /// The user on `port` logged in: it says how far it has its groups and sends again what wasn't
    /// answered.
    pub(in super::super) fn came(&mut self, port: &mut Port<'_>) {
        let person = &mut self.people[port.index];
        person.is_here = true;
        let known = person.seats.iter().filter(|seat| seat.group > 0);
        let mut cursors: Vec<(u64, u64)> = known.map(|seat| (seat.group, seat.reached)).collect();
        cursors.sort_unstable();
        let mut rest = &cursors[..];
        loop {
            let (part, more) = rest.split_at(rest.len().min(CURSORS_MAX));
            port.queue(&Frame::GroupResume { cursors: Pairs::Slice(part) });
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        if self.reads {
            person.seats.iter().for_each(|seat| seat.say_unstored_read(port));
        }
        if self.number_first == 0 {
            return;
        }
        let mut lacking = 0;
        for seat in &mut person.seats {
            let room = &self.rooms[seat.room as usize];
            let head = room.order.head();
            if head > seat.reached {
                seat.target = head;
                lacking += 1;
            }
        }
        self.resend(port);
        if lacking == 0 {
            return self.is_caught_up(port.index);
        }
        self.people[port.index].resuming = Some((port.opened_ns(), lacking));
        self.resuming += 1;
    }

    fn resend(&mut self, port: &mut Port<'_>) {
        for seat in 0..self.people[port.index].seats.len() {
            let place = &mut self.people[port.index].seats[seat];
            // How long the user was away is no latency of the server.
            place.unticked.iter_mut().for_each(|intended_ns| *intended_ns = 0);
            let numbers = place.ticked..place.sent;
            numbers.for_each(|sequence| self.queue_message(port, seat, sequence, 0));
        }
    }

    /// The connection of a user ended.
    pub(in super::super) fn left(&mut self, user: usize) {
        let person = &mut self.people[user];
        person.is_here = false;
        person.touched.clear();
        if person.resuming.take().is_some() {
            self.resuming -= 1;
        }
        for seat in &mut person.seats {
            // The next connection says so: the cursor of its resume, and what is read.
            seat.acknowledged = seat.reached;
            if self.reads {
                seat.read = seat.seen;
            }
            seat.target = 0;
            if self.number_first > 0 {
                let order = &mut self.rooms[seat.room as usize].order;
                order.leave(seat.member as usize);
                self.totals.completed += order.take_completed();
            }
        }
    }

    /// A user has its group up to a position.
    #[inline]
    pub(super) fn reach(&mut self, user: usize, seat: usize, position: u64, now_ns: u64) {
        let person = &mut self.people[user];
        let place = &mut person.seats[seat];
        if position <= place.reached {
            return;
        }
        if place.reached == place.acknowledged {
            person.touched.push(seat as u32);
        }
        place.reached = position;
        if place.target == 0 || position < place.target {
            return;
        }
        place.target = 0;
        let Some((since_ns, lacking)) = &mut person.resuming else { return };
        *lacking -= 1;
        if *lacking > 0 {
            return;
        }
        if self.recorded_ns.contains(since_ns) {
            self.resume.record(now_ns.saturating_sub(*since_ns));
        }
        person.resuming = None;
        self.resuming -= 1;
        self.totals.resumed += 1;
        self.is_caught_up(user);
    }

    /// From now on messages are for this user as for one who was there all the time.
    pub(super) fn is_caught_up(&mut self, user: usize) {
        for seat in &self.people[user].seats {
            self.rooms[seat.room as usize].order.come(seat.member as usize);
        }
    }
}
