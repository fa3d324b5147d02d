//! Groups, their members and what these say to each other: made, sent, followed to every member, and
//! checked. When who writes and who is there is the scenario's.

mod coming;
mod findings;
mod making;
mod options;
mod receipts;
mod traffic;

use std::collections::VecDeque;
use std::ops::Range;

use fulmar_protocol::Frame;
use fulmar_protocol::group::GroupRejected;

pub use options::TalkOptions;

use self::findings::Findings;
use self::receipts::Awaited;
use super::unix_ms;
use crate::check::{Faults, Order};
use crate::engine::Port;
use crate::exchange::MessageLatencies;
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::message::Template;

/// What a talk is made for.
#[derive(Debug)]
pub(super) struct TalkPlan {
    /// Users of the run.
    pub(super) users: usize,
    /// The users in each group; the first one makes it.
    pub(super) rooms: Vec<Vec<u32>>,
    /// The number of user 0 on the wire.
    pub(super) first_user: u64,
    /// Length of every body.
    pub(super) body_bytes: usize,
    /// Whether all members are there and acknowledge, so that each message is receipted by all.
    pub(super) awaits_receipts: bool,
    /// Whether members report what they get as read.
    pub(super) reads: bool,
}

/// What a frame meant to the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The user has made all the groups that it makes.
    MadeAll,
    /// Nothing that a scenario acts on.
    Other,
}

/// Running totals over all groups.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    /// Messages handed to a socket, resends left out.
    pub(super) sent: u64,
    pub(super) ticked: u64,
    /// Deliveries, each once.
    pub(super) delivered: u64,
    /// Messages that are ticked and with every member who is there.
    pub(super) completed: u64,
    /// Receipts that came.
    pub(super) receipts: u64,
    /// How often a member reported that it read a group.
    pub(super) reads: u64,
    /// Members who came back, missed something, and have it.
    pub(super) resumed: u64,
}

impl Totals {
    /// Grows with anything that the server does.
    pub(super) const fn progress(&self) -> u64 {
        self.ticked + self.delivered + self.receipts + self.resumed
    }
}

/// Makes groups and messages, follows them, and checks them.
#[derive(Debug)]
pub(super) struct Talk {
    run: u32,
    first_user: u64,
    awaits_receipts: bool,
    reads: bool,
    template: Template,
    rooms: Vec<Room>,
    people: Vec<Person>,
    /// Groups that aren't complete yet.
    to_make: usize,
    /// The number of the next change.
    change_number: u64,
    /// The first number of every author's messages; 0 before there are any.
    number_first: u64,
    /// Entries of groups that nobody was told the number of yet: group, user, position.
    early: Vec<(u64, usize, u64)>,
    /// Users who came back and don't have everything yet.
    resuming: usize,
    /// Messages that aren't receipted by all members, where that is awaited.
    unreceipted: usize,
    /// Those that aren't read by all, where that is.
    unread: usize,
    totals: Totals,
    faults: Faults,
    latencies: MessageLatencies,
    last_delivery: Latencies,
    read_receipt: Latencies,
    resume: Latencies,
    /// What is meant to be sent, or comes back, in this time is recorded.
    recorded_ns: Range<u64>,
    /// Whether a sender ever waited for deliveries, and not only for ticks.
    held_back: bool,
}

/// A group.
#[derive(Debug)]
struct Room {
    /// Its number; 0 before it is made.
    id: u64,
    /// User, and which of its seats; the owner first.
    members: Vec<(u32, u32)>,
    /// How many of them are in it.
    added: usize,
    /// Position of the last entry before the first message.
    head: u64,
    order: Order,
}

/// A user with its one device.
#[derive(Debug, Default)]
struct Person {
    seats: Vec<Seat>,
    /// Groups that it is to make.
    to_make: VecDeque<u32>,
    is_here: bool,
    /// When it came back, and in how many groups it lacks something since.
    resuming: Option<(u64, u32)>,
    /// Its messages without a tick, of all groups.
    unticked: u32,
    /// Seats with something to acknowledge.
    touched: Vec<u32>,
    /// How far it has its inbox, which brings the notices, and said so.
    inbox_reached: u64,
    inbox_acknowledged: u64,
}

/// A user's place in a group.
#[derive(Debug, Default)]
struct Seat {
    room: u32,
    /// Which member of it.
    member: u32,
    /// The group's number; 0 before it is made.
    group: u64,
    /// How far its device has the group, and said so.
    reached: u64,
    acknowledged: u64,
    /// The last position that was delivered and not skipped; up to where the person read the group, as
    /// the device said, and as the server said that it has stored it.
    seen: u64,
    read: u64,
    read_stored: u64,
    /// What it must reach to have all that it missed; 0 where it does.
    target: u64,
    sent: u64,
    ticked: u64,
    /// Intended times of its messages without a tick; 0 where they were sent again.
    unticked: VecDeque<u64>,
    /// Those with a tick that aren't receipted by all, or aren't read by all.
    unreceipted: Awaited,
    unread: Awaited,
}

impl Talk {
    /// A talk in which nothing was made yet.
    pub(super) fn new(plan: TalkPlan) -> Talk {
        let mut people: Vec<Person> = (0..plan.users).map(|_| Person::default()).collect();
        let rooms: Vec<Room> = plan
            .rooms
            .into_iter()
            .enumerate()
            .map(|(room, users)| {
                people[users[0] as usize].to_make.push_back(room as u32);
                let seat = |(member, user): (usize, u32)| {
                    let seats = &mut people[user as usize].seats;
                    let (room, member) = (room as u32, member as u32);
                    seats.push(Seat { room, member, ..Seat::default() });
                    (user, seats.len() as u32 - 1)
                };
                let members = users.into_iter().enumerate().map(seat).collect();
                Room { id: 0, members, added: 1, head: 0, order: Order::new(0, 0) }
            })
            .collect();
        Talk {
            run: fastrand::u32(..),
            first_user: plan.first_user,
            awaits_receipts: plan.awaits_receipts,
            reads: plan.reads,
            template: Template::new(plan.body_bytes),
            to_make: rooms.len(),
            rooms,
            people,
            change_number: unix_ms(),
            number_first: 0,
            early: Vec::new(),
            resuming: 0,
            unreceipted: 0,
            unread: 0,
            totals: Totals::default(),
            faults: Faults::default(),
            latencies: MessageLatencies::default(),
            last_delivery: Latencies::default(),
            read_receipt: Latencies::default(),
            resume: Latencies::default(),
            recorded_ns: 0..0,
            held_back: false,
        }
    }

    /// Records what is meant to be sent in this time, and who comes back in it.
    pub(super) fn record(&mut self, recorded_ns: Range<u64>) {
        self.recorded_ns = recorded_ns;
    }

    /// Running totals.
    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// In how many groups a user is.
    pub(super) fn seats(&self, user: usize) -> usize {
        self.people[user].seats.len()
    }

    /// Whether a user has messages without a tick.
    pub(super) fn is_unanswered(&self, user: usize) -> bool {
        self.people[user].unticked > 0
    }

    /// Members who are there, of all groups.
    pub(super) fn seats_here(&self) -> usize {
        self.people.iter().filter(|person| person.is_here).map(|person| person.seats.len()).sum()
    }

    /// Whether everything that was sent is where it belongs.
    pub(super) fn is_settled(&self) -> bool {
        self.totals.completed == self.totals.sent
            && self.resuming == 0
            && self.unreceipted == 0
            && self.unread == 0
            && self.people.iter().all(|person| !person.is_here || self.has_all(person))
    }

    /// Whether a user has all of its groups: also what came between its login and its having all that it missed,
    /// which nobody waits for.
    fn has_all(&self, person: &Person) -> bool {
        let has = |seat: &Seat| seat.reached >= self.rooms[seat.room as usize].order.head();
        person.seats.iter().all(has)
    }

    /// Takes a frame from the server.
    #[inline]
    pub(super) fn on_frame(
        &mut self,
        port: &mut Port<'_>,
        frame: &Frame<'_>,
    ) -> Result<Event, Failure> {
        let inbox_position = match *frame {
            Frame::GroupDeliver(ref deliver) => {
                self.on_deliver(port, deliver);
                return Ok(Event::Other);
            }
            Frame::GroupSkip { group, position } => {
                self.on_skip(port, group, position);
                return Ok(Event::Other);
            }
            Frame::GroupSent { group, number, position, .. } => {
                if self.number_first == 0 {
                    return Ok(self.on_made(port, group, number, position));
                }
                self.on_sent(port, group, number, position);
                return Ok(Event::Other);
            }
            Frame::GroupReceipt(ref receipt) => {
                self.on_receipt(port, receipt);
                return Ok(Event::Other);
            }
            Frame::GroupRead { group, position } => {
                self.on_read_stored(port, group, position);
                return Ok(Event::Other);
            }
            Frame::GroupRejected(GroupRejected { code, .. }) => {
                return Err(Failure::Rejected { user: port.user(), code });
            }
            Frame::GroupNotice(notice) => notice.position,
            Frame::Deliver(ref deliver) => deliver.position,
            Frame::Skip { position } => position,
            _ => return Ok(Event::Other),
        };
        let reached = &mut self.people[port.index].inbox_reached;
        *reached = inbox_position.max(*reached);
        Ok(Event::Other)
    }

    /// Acknowledges everything new that the user on `port` got, and reports it as read, as for a person
    /// who has the chat open: once for what one read of the socket brought, not per message.
    #[inline]
    pub(super) fn acknowledge(&mut self, port: &mut Port<'_>) {
        let person = &mut self.people[port.index];
        if person.inbox_reached > person.inbox_acknowledged {
            person.inbox_acknowledged = person.inbox_reached;
            port.queue(&Frame::Ack { position: person.inbox_reached });
        }
        while let Some(seat) = person.touched.pop() {
            let seat = &mut person.seats[seat as usize];
            seat.acknowledged = seat.reached;
            port.queue(&Frame::GroupAck { group: seat.group, position: seat.reached });
            if self.reads {
                self.totals.reads += u64::from(seat.say_read(port));
            }
        }
    }

    /// Which of a user's seats is in this group.
    #[inline]
    fn seat_of(&self, user: usize, group: u64) -> Option<usize> {
        self.people[user].seats.iter().position(|seat| seat.group == group)
    }

    /// Judges what never came. Nothing may be under way any more.
    pub(super) fn finish(mut self) -> Findings {
        for user in 0..self.people.len() {
            // Who never got all that it missed is judged, too.
            if self.people[user].is_here {
                self.is_caught_up(user);
            }
        }
        self.rooms.iter().for_each(|room| room.order.finish(&mut self.faults));
        self.faults.unanswered += self.totals.sent - self.totals.ticked;
        self.finish_receipts();
        Findings {
            faults: self.faults,
            latencies: self.latencies,
            last_delivery: self.last_delivery,
            read_receipt: self.read_receipt,
            resume: self.resume,
            held_back: self.held_back,
        }
    }
}
