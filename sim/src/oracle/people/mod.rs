//! What people show of themselves, and to whom: profiles, usernames, whether they are there, and that they write.
//!
//! Nobody sees from outside when a server came to something that a client wrote: only that it was after it was
//! written, and before it answered something that was written later. So most rules speak of what *surely* holds.
//!
//! `places` keeps what surely stands in a book, `acts` when people did something, `audience` who surely sees what,
//! `presence`, `typing`, `profiles` and `names` judge what is told, `rest` says what is still missing in the end.

mod acts;
mod audience;
mod names;
mod places;
mod presence;
mod profiles;
mod rest;
mod typing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fulmar_client::people::item;
use fulmar_protocol::Frame;
use fulmar_protocol::people::Item;
use hashbrown::HashMap;

use super::link::Link;
use super::{Complaint, Oracle};
use crate::clock::{SECOND, Time};
use crate::network::ConnNo;

use acts::Acts;
use names::Names;
use places::Places;
use presence::{LOAD, Watch};
use profiles::{Look, Profiles};
use typing::{Typed, Typing};

/// How long what a closed connection left on the way may take.
const LATE: Time = 30 * SECOND;
/// How long a core may not know yet that somebody else sees something now, or no more: letters between cores and reads
/// take their time, and threads stand still.
const NEWS: Time = 15 * SECOND;

/// Of all people.
#[derive(Debug, Default)]
pub(crate) struct People {
    acts: HashMap<u32, Acts>,
    places: Places,
    profiles: Profiles,
    names: Names,
    /// By connection.
    typed: HashMap<Typing, BTreeMap<ConnNo, Typed>>,
    /// Those who ever hid something of their presence, or wanted to.
    guarded: BTreeSet<u32>,
    /// Those who ever wrote to a group, or changed one.
    in_groups: BTreeSet<u32>,
    /// Runs of the node from this one on haven't ended.
    runs_from: u32,
    /// How long last seen isn't stored, at most.
    interval: Time,
    /// From here on nobody sets anything any more, and everything that was set is known.
    end: Option<Time>,
}

/// On one connection.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What the welcome told.
    pub(super) interval: Time,
    /// What was written last.
    pub(super) written: Written,
    /// What comes from here on the server put on its way after this.
    heard_since: Time,
    /// The value that was put last, of each item.
    puts: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    /// When it asked for a username last.
    named_at: Time,
    /// By user.
    watches: BTreeMap<u64, Watch>,
    looks: BTreeMap<u64, VecDeque<Look>>,
    /// Names that were asked for, and when.
    finds: Vec<(Vec<u8>, Time)>,
    /// What was written about typing since the last answer.
    typed: Vec<(Typing, Written)>,
}

/// A frame that a client wrote.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Which one of its connection.
    nth: u64,
    /// When.
    at: Time,
}

/// When the server surely put on its way what comes now, at the earliest.
fn since(link: &Link) -> Time {
    link.told_since.max(link.people.heard_since)
}

impl People {
    pub(super) fn welcomed(&mut self, link: &Link) {
        self.interval = self.interval.max(link.people.interval);
    }

    /// A client doesn't have a connection any more.
    pub(super) fn left(&mut self, link: &Link, now: Time) {
        if let Some(acts) = self.acts.get_mut(&link.user) {
            acts.left(link.conn, now + LATE);
        }
        for (typing, _) in &link.people.typed {
            let typed = self.typed.get_mut(typing).and_then(|typed| typed.get_mut(&link.conn));
            if let Some(typed) = typed {
                typed.until.get_or_insert(now + LATE);
            }
        }
    }
}

impl Oracle {
    /// The node has ended, in whatever way.
    pub(crate) fn ended(&mut self) {
        self.people.runs_from = self.run + 1;
        let lasts = self.people.interval + LOAD;
        for acts in self.people.acts.values_mut() {
            acts.stored(self.now.saturating_sub(lasts));
        }
    }

    /// Everything is at rest: from here on everybody is told what holds.
    pub(crate) fn asks_in_the_end(&mut self) {
        self.people.end = Some(self.now);
    }

    /// A client wrote a frame.
    pub(super) fn wrote_of_people(&mut self, link: &mut Link, frame: &Frame<'_>) {
        let (now, user) = (self.now, link.user);
        let written = Written { nth: link.people.written.nth + 1, at: now };
        link.people.written = written;
        self.people.acts.entry(user).or_default().wrote(link.conn, frame, written);
        match *frame {
            Frame::Put { item, key, value } => self.wrote_put(link, item, key, value),
            Frame::GroupSend(_) | Frame::GroupChange { .. } => {
                self.people.in_groups.insert(user);
            }
            Frame::Watch { ref users } => {
                users.iter().for_each(|user| link.people.watches.entry(user).or_default().begin());
            }
            Frame::Unwatch { ref users } => {
                for user in users.iter() {
                    link.people.watches.entry(user).or_default().end(now);
                }
            }
            Frame::Typing { group, user, is_typing } => {
                self.wrote_typing(link, group, user, is_typing);
            }
            Frame::ProfileLook { user, version } => self.wrote_look(link, user, version),
            Frame::Find { name } => {
                self.people.names.asks(user, now);
                link.people.finds.push((name.to_vec(), now));
            }
            _ => {}
        }
    }

    fn wrote_put(&mut self, link: &mut Link, item: u8, key: &[u8], value: &[u8]) {
        let user = link.user;
        self.people.places.put((user, item, key), link.device, value);
        link.people.puts.insert((item, key.to_vec()), value.to_vec());
        match item {
            item::USERNAME if !value.is_empty() => {
                self.people.names.asks(user, self.now);
                self.people.names.wants(user, value);
                link.people.named_at = self.now;
            }
            item::PRIVACY | item::BLOCK => {
                self.people.guarded.insert(user);
            }
            _ => {}
        }
    }

    /// The server answered something: it has come to everything that was written before that.
    pub(super) fn heard(&mut self, link: &mut Link, answered: Written) {
        let now = self.now;
        link.people.heard_since = link.people.heard_since.max(answered.at);
        if let Some(acts) = self.people.acts.get_mut(&link.user) {
            // What an ended run of the node came to it may not have stored.
            let is_kept = link.run >= self.people.runs_from;
            acts.heard(link.conn, answered, now, is_kept);
        }
        let (typed, conn) = (&mut self.people.typed, link.conn);
        link.people.typed.retain(|(typing, written)| {
            if written.nth > answered.nth {
                return true;
            }
            let typed = typed.get_mut(typing).and_then(|typed| typed.get_mut(&conn));
            if let Some(typed) = typed.filter(|typed| typed.written == *written) {
                typed.until.get_or_insert(now);
            }
            false
        });
    }

    /// Takes a frame about people that a client read; `None` for any other.
    pub(super) fn told_of_people(
        &mut self,
        link: &mut Link,
        frame: &Frame<'_>,
    ) -> Option<Result<(), Complaint>> {
        Some(match *frame {
            Frame::Presence { user, is_online, last_seen_ms } => {
                self.presence_told(link, user, (is_online, last_seen_ms))
            }
            Frame::ProfileNews { user, version } => self.news_told(link, user, version),
            Frame::Profile(ref profile) => self.profile_told(link, profile),
            Frame::Found(ref found) => self.found(link, found),
            Frame::Typing { group, user, is_typing } => {
                self.typing_told(link, Typing { by: user, group, to: 0, begins: is_typing })
            }
            _ => return None,
        })
    }

    /// A device was told an item of its user's book.
    pub(super) fn told_of_place(&mut self, link: &Link, told: &Item<'_>) -> Result<(), Complaint> {
        let Item { version, item, key, value } = *told;
        let now = self.now;
        let put = link.people.puts.get(&(item, key.to_vec()));
        let is_answer = put.is_some_and(|put| put == value);
        let place = (link.user, item, key);
        self.people.places.told(place, (version, value), is_answer.then_some(link.device), now);
        match item {
            item::USERNAME if !value.is_empty() => self.judge_name(link, value),
            item::PROFILE if !value.is_empty() => {
                self.people.profiles.reaches(link.user, version);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
