//! From a group's log to one device: what its window allows is sent, from the seat's recent entries or
//! from storage, and acknowledgements free the window.

use bytes::Bytes;
use fulmar_protocol::group::GroupDeliver;
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Chunks, Code, Frame};

use super::super::output::Patience;
use super::super::record::{EntryHeader, split_entry};
use super::super::seam::{ConnId, GroupId, Load, LogId, UserId};
use super::super::{Effects, Shard};
use super::feeds::{Feed, Feeds, Telling};
use super::letter::{Progress, Seated};
use super::receipts::receipt_frame;
use super::record::is_absent;
use crate::faults::{Fault, is_planted};
use crate::limits::{GROUP_FEED_SHARE, GROUP_READS_MAX, LOAD_ENTRIES_MAX};

/// What comes next for a feed.
enum Next {
    Nothing,
    Warm(u64),
    Cold(Load),
}

impl Shard {
    /// Whether the session on a connection takes frames about groups.
    pub(super) fn takes_groups(&mut self, conn: ConnId) -> bool {
        self.feeds(conn).is_some()
    }

    pub(super) fn feeds(&mut self, conn: ConnId) -> Option<&mut Feeds> {
        self.session(conn)?.groups.as_deref_mut()
    }

    /// Has a session served at the end of the turn.
    pub(in super::super) fn queue_feeds(&mut self, conn: ConnId) {
        let Some(feeds) = self.feeds(conn) else { return };
        if !std::mem::replace(&mut feeds.is_queued, true) {
            self.feeding.push(conn);
        }
    }

    /// Begins to feed a group to a session. A feed that there is goes on where it is: it began where the device
    /// said, or at its user's joining.
    pub(super) fn begin_feed(
        &mut self,
        conn: ConnId,
        group: GroupId,
        device_has: u64,
        head: u64,
        member: &Seated,
    ) {
        let &Seated { before, until, .. } = member;
        let Some(feeds) = self.feeds(conn) else { return };
        feeds.name(group, 0);
        // An answer to what it asked may come late, after it got and acknowledged what it asked for.
        let device_has = device_has.max(feeds.named(group).unwrap_or(0));
        let cursor = device_has.max(before).min(head.max(before)).min(until);
        if let Some(at) = feeds.all.iter().position(|feed| feed.group == group) {
            let feed = &mut feeds.all[at];
            feed.head = feed.head.max(head);
            feed.bound(member);
            let is_untouched = !feed.is_begun && feed.window.is_empty() && !feed.loading;
            if is_untouched && cursor < feed.acked && feed.acked + 1 == feed.next {
                (feed.acked, feed.next) = (cursor, cursor + 1);
            }
            // What the device says that it has, it acknowledges.
            self.acknowledge_at(conn, at, device_has);
        } else {
            let mut feed = Feed::new(group, device_has.min(cursor), head, member);
            // What lies before the user's time is passed over.
            feed.pass_over(cursor);
            feeds.all.push(feed);
        }
        if let Some(seat) = self.seats.get_mut(&group)
            && !seat.online.contains(&conn)
        {
            seat.online.push(conn);
        }
        self.queue_feeds(conn);
    }

    /// Tells the sessions of a user something of a group: now, or once their output has room.
    pub(super) fn tell_of_group(
        &mut self,
        user: UserId,
        group: GroupId,
        telling: Telling,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_user(user) else { return };
        let conns: Vec<ConnId> = self.users[slot].sessions.iter().map(|&(_, conn)| conn).collect();
        for conn in conns {
            let waits = self.feeds(conn).is_some_and(|feeds| feeds.has_stalled(group, telling));
            // An older one must not come behind it.
            if !waits && !self.is_output_full(conn) {
                self.put_telling(conn, group, telling, fx);
            } else if self.feeds(conn).is_some_and(|feeds| !feeds.stall(group, telling)) {
                self.end(conn, Code::Overloaded, "the connection doesn't take what it is sent", fx);
            }
        }
    }

    fn put_telling(&mut self, conn: ConnId, group: GroupId, telling: Telling, fx: &mut Effects) {
        if !self.takes_groups(conn) {
            return;
        }
        let frame = match telling {
            Telling::Receipt(counts) => receipt_frame(group, counts, &[]),
            Telling::Read(position) => Frame::GroupRead { group, position },
        };
        self.put_patiently(conn, &frame, Patience::Receipt, fx);
    }

    fn tell_stalled_of_groups(&mut self, conn: ConnId, fx: &mut Effects) {
        while !self.is_output_full(conn) {
            let Some((group, telling)) = self.feeds(conn).and_then(|it| it.stalled.pop()) else {
                return;
            };
            self.put_telling(conn, group, telling, fx);
        }
    }

    /// Counts what a device says that it has: the acknowledgement may have been lost, with its connection
    /// or with this server.
    pub(super) fn count_cursor(&mut self, conn: ConnId, group: GroupId, delivered: u64) {
        if let Some(session) = self.session(conn) {
            let progress = Progress { user: session.user, delivered, read: 0 };
            self.group_moves.push((group, progress));
        }
    }

    /// Serves every session in the list.
    pub(in super::super) fn feed_all(&mut self, fx: &mut Effects) {
        while let Some(conn) = self.feeding.pop() {
            let Some(feeds) = self.feeds(conn) else { continue };
            feeds.is_queued = false;
            if feeds.is_overfull {
                self.end(conn, Code::Overloaded, "more groups than a session may know", fx);
                continue;
            }
            self.tell_stalled_of_groups(conn, fx);
            self.feed_session(conn, fx);
        }
    }

    /// Serves the feeds of a session in turns, an entry each, as far as the window goes.
    fn feed_session(&mut self, conn: ConnId, fx: &mut Effects) {
        let mut idle = 0;
        loop {
            let Some(feeds) = self.feeds(conn) else { return };
            if feeds.all.is_empty() || idle >= feeds.all.len() {
                break;
            }
            let at = feeds.turn % feeds.all.len();
            feeds.turn = at + 1;
            match self.next_of(conn, at) {
                Next::Nothing => idle += 1,
                Next::Cold(load) => {
                    idle += 1;
                    self.counters.cold_reads += 1;
                    fx.loads.push(load);
                }
                Next::Warm(position) => {
                    let Some(group) = self.feeds(conn).map(|feeds| feeds.all[at].group) else {
                        return;
                    };
                    let value = self.seats.get(&group).and_then(|seat| seat.recent(position));
                    let Some(value) = value.cloned() else { return };
                    if self.entry_waits_for_body(conn, group, &value) {
                        idle += 1;
                        continue;
                    }
                    idle = 0;
                    if !self.feed_entry(conn, at, position, &value, fx) {
                        return;
                    }
                }
            }
        }
        self.tell_group_skips(conn, fx);
    }

    fn next_of(&mut self, conn: ConnId, at: usize) -> Next {
        let (messages_max, bytes_max) = (self.config.window_messages, self.config.window_bytes);
        let high_bytes = self.config.output_high_bytes;
        let share = (messages_max / GROUP_FEED_SHARE).max(1);
        let is_acting = !self.acting.is_empty() && self.is_acting_in(conn, at);
        let Some(connection) = self.connection(conn) else { return Next::Nothing };
        let output_room = high_bytes.saturating_sub(connection.output.len()) as u64;
        let Some(session) = connection.session() else { return Next::Nothing };
        let Some(feeds) = session.groups.as_deref() else { return Next::Nothing };
        let bytes = feeds.window_bytes;
        let feed = &feeds.all[at];
        if feed.next > feed.last()
            || feed.loading
            || is_acting
            || output_room == 0
            || session.has_waiting(LogId::Group(feed.group))
        {
            return Next::Nothing;
        }
        let (group, next, through) = (feed.group, feed.next, feed.last());
        let (of_feed, bytes_of_feed) = (feed.messages, feed.bytes);
        if self.is_feed_full(conn, at) {
            self.counters.windows_full += 1;
            return Next::Nothing;
        }
        let share_bytes = bytes_max / u64::from(GROUP_FEED_SHARE);
        let room = bytes_max.saturating_sub(bytes).min(share_bytes.saturating_sub(bytes_of_feed));
        let first = self.seats.get(&group).map_or(u64::MAX, super::seat::Seat::recent_first);
        if next >= first {
            return Next::Warm(next);
        }
        let Some(feeds) = self.feeds(conn) else { return Next::Nothing };
        if feeds.reads >= GROUP_READS_MAX {
            // Served when one of them is done.
            return Next::Nothing;
        }
        feeds.reads += 1;
        feeds.all[at].loading = true;
        Next::Cold(Load::Entries {
            log: LogId::Group(group),
            conn,
            from: next,
            through: through.min(first - 1),
            entries_max: (share - of_feed).clamp(1, LOAD_ENTRIES_MAX),
            bytes_max: room.clamp(1, output_room) as u32,
        })
    }

    /// Whether a tick of the session's user waits in this group: what is in its log comes behind it.
    fn is_acting_in(&mut self, conn: ConnId, at: usize) -> bool {
        let Some(session) = self.session(conn) else { return false };
        let Some(feeds) = session.groups.as_deref() else { return false };
        let acting = (session.user, feeds.all[at].group);
        self.acting.contains_key(&acting)
    }

    /// Whether nothing more of a feed may be begun: all groups together, or this one, have as much under way
    /// as they may.
    fn is_feed_full(&mut self, conn: ConnId, at: usize) -> bool {
        let (messages_max, bytes_max) = (self.config.window_messages, self.config.window_bytes);
        let share = (messages_max / GROUP_FEED_SHARE).max(1);
        let share_bytes = bytes_max / u64::from(GROUP_FEED_SHARE);
        let Some(feeds) = self.feeds(conn) else { return true };
        let is_full = |messages, bytes, messages_max, bytes_max| {
            messages >= messages_max || (messages > 0 && bytes >= bytes_max)
        };
        let feed = &feeds.all[at];
        is_full(feeds.window_messages, feeds.window_bytes, messages_max, bytes_max)
            || is_full(feed.messages, feed.bytes, share, share_bytes)
    }

    /// As [`Shard::waits_for_body`], of a stored entry.
    fn entry_waits_for_body(&mut self, conn: ConnId, group: GroupId, value: &Bytes) -> bool {
        // Nearly all are small, and cost no look at the session.
        value.len() > PART_BYTES_MAX
            && self.session(conn).is_some_and(|session| session.download.is_some())
            && split_entry(value)
                .is_ok_and(|(_, body)| self.waits_for_body(conn, LogId::Group(group), &body))
    }

    /// Puts one entry into the output, or passes over it; `false` if it is damaged, and the session over.
    fn feed_entry(
        &mut self,
        conn: ConnId,
        at: usize,
        position: u64,
        value: &Bytes,
        fx: &mut Effects,
    ) -> bool {
        let Ok((header, body)) = split_entry(value) else {
            self.end(conn, Code::Internal, "a stored message is damaged", fx);
            return false;
        };
        let EntryHeader { peer: author, device, time_ms, content, .. } = header;
        let is_over = self.is_over(&header);
        let Some(session) = self.session(conn) else { return false };
        let own = author == session.user;
        let is_own_device = own && device == session.device;
        let Some(feeds) = session.groups.as_deref_mut() else { return false };
        let feed = &mut feeds.all[at];
        let is_absent = is_absent(&feed.absences, position);
        if is_absent || is_over {
            feed.pass_over(position);
            return true;
        }
        if is_own_device {
            feed.pass_over_own(position);
            return true;
        }
        let group = feed.group;
        feed.sent(position, body.len() as u32);
        let skip = std::mem::take(&mut feed.skip_untold);
        feeds.window_messages += 1;
        feeds.window_bytes += body.len() as u64;
        let piece = Chunks::new(&body).next().unwrap_or_default();
        let done = piece.len();
        if skip {
            self.put(conn, &Frame::GroupSkip { group, position: position - 1 }, fx);
        }
        let total_bytes = Chunks::total_bytes(&body);
        let deliver = GroupDeliver {
            group,
            position,
            author,
            time_ms,
            content,
            own,
            total_bytes,
            body: piece,
        };
        self.put(conn, &Frame::GroupDeliver(deliver), fx);
        self.put_rest(conn, body, done, fx);
        true
    }

    /// Tells of positions that were passed over, and of ends; settles what nothing holds back.
    fn tell_group_skips(&mut self, conn: ConnId, fx: &mut Effects) {
        let mut at = 0;
        while let Some(feed) = self.feeds(conn).and_then(|feeds| feeds.all.get_mut(at)) {
            let (group, position, acked) = (feed.group, feed.next - 1, feed.acked);
            let skip = std::mem::take(&mut feed.skip_untold);
            feed.is_begun |= skip;
            let is_end = feed.until <= position
                && !std::mem::replace(&mut feed.is_over, feed.until <= position);
            let until = feed.until;
            if skip {
                self.put(conn, &Frame::GroupSkip { group, position }, fx);
                self.settle_group(conn, at, acked);
            }
            if is_end {
                self.put(conn, &Frame::GroupGone { group, position: until }, fx);
            }
            at += 1;
        }
    }

    /// A device named a group again: what it says that it has, it acknowledges, whatever the group's home says to
    /// it. Else what was sent of a group that is over would fill the window for good.
    pub(super) fn acknowledge_through(&mut self, conn: ConnId, group: GroupId, cursor: u64) {
        let Some(feeds) = self.feeds(conn) else { return };
        let Some(at) = feeds.all.iter().position(|feed| feed.group == group) else { return };
        self.acknowledge_at(conn, at, cursor);
    }

    fn acknowledge_at(&mut self, conn: ConnId, at: usize, cursor: u64) {
        let Some(feeds) = self.feeds(conn) else { return };
        let through = cursor.min(feeds.all[at].next - 1);
        if through > feeds.all[at].acked {
            self.settle_group(conn, at, through);
            self.queue_feeds(conn);
        }
    }

    fn settle_group(&mut self, conn: ConnId, at: usize, through: u64) {
        let Some(session) = self.session(conn) else { return };
        let user = session.user;
        let Some(feeds) = session.groups.as_deref_mut() else { return };
        let group = feeds.all[at].group;
        if let Some(delivered) = feeds.settle(at, through) {
            feeds.name(group, delivered);
            self.group_moves.push((group, Progress { user, delivered, read: 0 }));
        }
    }

    /// A device has a group's entries up to `position`.
    pub(in super::super) fn group_ack(
        &mut self,
        conn: ConnId,
        group: GroupId,
        position: u64,
        fx: &mut Effects,
    ) {
        let Some(feeds) = self.feeds(conn) else { return };
        let Some(at) = feeds.all.iter().position(|feed| feed.group == group) else {
            // Of a group that ended meanwhile, or that nothing was sent of.
            return;
        };
        let feed = &feeds.all[at];
        if position >= feed.next {
            let detail =
                format!("acknowledged {position} of a group; sent up to {} so far", feed.next - 1);
            self.end(conn, Code::CursorAhead, &detail, fx);
            return;
        }
        self.acknowledge_at(conn, at, position);
    }

    /// Entries that a feed waited for.
    pub(in super::super) fn group_entries_loaded(
        &mut self,
        group: GroupId,
        conn: ConnId,
        entries: Vec<(u64, Bytes)>,
        through: u64,
        fx: &mut Effects,
    ) {
        let Some(feeds) = self.feeds(conn) else { return };
        let Some(at) = feeds.all.iter().position(|feed| feed.group == group) else { return };
        feeds.all[at].loading = false;
        feeds.reads -= 1;
        let mut is_cut_short = false;
        for (position, value) in entries {
            // Loads of other groups may have filled the window, or the output, meanwhile.
            is_cut_short = self.is_feed_full(conn, at)
                || self.is_output_full(conn)
                || self.entry_waits_for_body(conn, group, &value);
            if is_cut_short {
                break;
            }
            let Some(feeds) = self.feeds(conn) else { return };
            let feed = &mut feeds.all[at];
            // It was passed over meanwhile.
            if feed.next > position {
                continue;
            }
            feed.pass_over(position - 1);
            if !self.feed_entry(conn, at, position, &value, fx) {
                return;
            }
        }
        if !is_cut_short && let Some(feeds) = self.feeds(conn) {
            let one_more = u64::from(is_planted(Fault::GroupFeedSkips));
            let head = feeds.all[at].last();
            feeds.all[at].pass_over((through + one_more).min(head.max(through)));
        }
        self.queue_feeds(conn);
    }

    /// Forgets the feeds of a group that have nothing left to do.
    pub(super) fn end_idle_feeds(&mut self, conn: ConnId, group: GroupId) {
        let Some(feeds) = self.feeds(conn) else { return };
        if let Some(at) = feeds.all.iter().position(|feed| feed.group == group)
            && feeds.all[at].is_idle()
        {
            feeds.remove(at);
        }
    }
}
