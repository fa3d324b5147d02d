//! When a person did something, as far as that can be told from outside: between the time when a client wrote it
//! and the time when the server answered something later.

use std::collections::{BTreeMap, VecDeque};

use fulmar_protocol::Frame;

use super::Written;
use crate::clock::{MS, Time, WallClock};
use crate::network::ConnNo;

/// What a person does so soon after something that was noted isn't noted.
const NOTED: Time = 250 * MS;

/// Frames in a row to which the server may not have come yet.
#[derive(Debug)]
struct Group {
    first: Time,
    last: Written,
    /// The person may have had the program before them, as the client said.
    is_here: bool,
    /// What comes now belongs to the next one.
    is_whole: bool,
}

/// What one connection said.
#[derive(Debug, Default)]
struct Said {
    groups: VecDeque<Group>,
    /// That the person is there may hold.
    may_be_here: bool,
    /// What was said last, and when.
    here: Option<(bool, Written)>,
    /// When the last thing was written that a person does.
    last: Time,
    /// The server came to something of a person who is there no later than this.
    here_until: Option<Time>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Acts {
    open: BTreeMap<ConnNo, Said>,
    /// Times in which something was noted, or may have been.
    spans: Vec<(Time, Time)>,
    /// The server came to something of a person who is there no later than this.
    here_until: Option<Time>,
    /// The server surely came to something by a time; and when that was written.
    came: Vec<(Time, Time)>,
}

/// Whether a person does that, as the protocol's table says.
const fn is_by_person(frame: &Frame<'_>) -> bool {
    matches!(
        frame,
        Frame::Send(_)
            | Frame::Read { .. }
            | Frame::GroupSend(_)
            | Frame::GroupRead { .. }
            | Frame::GroupChange { .. }
            | Frame::Activity { .. }
            | Frame::Typing { .. }
            | Frame::Put { .. }
    )
}

impl Acts {
    /// A client wrote a frame.
    pub(super) fn wrote(&mut self, conn: ConnNo, frame: &Frame<'_>, written: Written) {
        if is_by_person(frame) {
            let said = self.open.entry(conn).or_default();
            if let Frame::Activity { is_here } = *frame {
                said.here = Some((is_here, written));
                said.may_be_here |= is_here;
            }
            said.last = written.at;
            let is_here = said.may_be_here;
            match said.groups.back_mut() {
                Some(group) if !group.is_whole => {
                    (group.last, group.is_here) = (written, group.is_here || is_here);
                }
                _ => {
                    let group =
                        Group { first: written.at, last: written, is_here, is_whole: false };
                    said.groups.push_back(group);
                }
            }
        }
        // Its answer says that the server came to all before it.
        if matches!(frame, Frame::Ping | Frame::Send(_))
            && let Some(group) = self.open.get_mut(&conn).and_then(|said| said.groups.back_mut())
        {
            group.is_whole = true;
        }
    }

    /// The server answered what was written then.
    pub(super) fn heard(&mut self, conn: ConnNo, answered: Written, now: Time, is_kept: bool) {
        let Some(said) = self.open.get_mut(&conn) else { return };
        let mut came = Vec::new();
        let is_answered = |group: &Group| group.is_whole && group.last.nth <= answered.nth;
        while said.groups.front().is_some_and(is_answered)
            && let Some(group) = said.groups.pop_front()
        {
            if group.is_here {
                said.here_until = Some(now);
                self.here_until = self.here_until.max(Some(now));
            }
            came.push((group.first, group.last.at));
        }
        if said.here.is_some_and(|(is_here, written)| !is_here && written.nth <= answered.nth) {
            said.may_be_here = false;
        }
        for (first, last) in came {
            self.noted(first, now);
            if is_kept {
                self.came.push((now, last));
            }
        }
    }

    fn noted(&mut self, from: Time, to: Time) {
        match self.spans.last_mut() {
            Some(span) if span.0 <= from && from <= span.1 => span.1 = span.1.max(to),
            _ => self.spans.push((from, to)),
        }
    }

    /// The client doesn't have the connection any more; what it wrote may still arrive, until some time.
    pub(super) fn left(&mut self, conn: ConnNo, until: Time) {
        let Some(said) = self.open.remove(&conn) else { return };
        for group in said.groups {
            if group.is_here {
                self.here_until = self.here_until.max(Some(until));
            }
            self.noted(group.first, until);
        }
    }

    /// Whether a person may have been there at some time from `since` on, if that counts for a while.
    pub(super) fn may_be_here(&self, since: Time, lasts: Time) -> bool {
        self.here_until.is_some_and(|until| until + lasts >= since)
            || self.open.values().any(|said| said.groups.iter().any(|group| group.is_here))
    }

    /// The same on one connection.
    pub(super) fn may_be_here_on(&self, conn: ConnNo, since: Time, lasts: Time) -> bool {
        self.open.get(&conn).is_some_and(|said| {
            said.here_until.is_some_and(|until| until + lasts >= since)
                || said.groups.iter().any(|group| group.is_here)
        })
    }

    /// Whether the person may have done something when the wall clock showed this.
    pub(super) fn may_have_acted(&self, unix_ms: u64, now: Time, clock: &WallClock) -> bool {
        let open = self.open.values().flat_map(|said| &said.groups).map(|group| (group.first, now));
        let mut spans = open.chain(self.spans.iter().rev().copied());
        spans.any(|(from, to)| clock.showed(unix_ms, from, to))
    }

    /// What last seen is at least, of what the server came to before a time. Where the wall clock went back since, it
    /// may be less.
    pub(super) fn floor(&self, before: Time, clock: &WallClock) -> u64 {
        let known = self.came.iter().rev().find(|&&(came_at, _)| came_at < before);
        known.map_or(0, |&(_, last)| clock.earliest_since(last.saturating_sub(NOTED)))
    }

    /// The node ended: it stored what it came to before this time, and perhaps nothing else.
    pub(super) fn stored(&mut self, before: Time) {
        self.came.retain(|&(came_at, _)| came_at < before);
    }

    /// Whether the person surely is there, or surely isn't, once everything is at rest.
    pub(super) fn is_here(&self, now: Time, interval: Time) -> Option<bool> {
        let is_here = |said: &Said| {
            said.here.is_some_and(|(is_here, _)| is_here) && now < said.last + interval
        };
        if self.open.values().any(is_here) {
            return Some(true);
        }
        (!self.may_be_here(now, 2 * interval)).then_some(false)
    }
}

impl WallClock {
    /// Whether it showed this time, in Unix milliseconds, at some moment from `from` to `to`.
    fn showed(&self, unix_ms: u64, from: Time, to: Time) -> bool {
        self.eras().any(|(begins, ends, base_ms)| {
            let Some(at_ms) = unix_ms.checked_sub(base_ms) else { return false };
            let at = at_ms * MS;
            at + MS > from.max(begins) && at <= to.min(ends)
        })
    }
}
