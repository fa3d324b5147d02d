//! Who is shown as there, and when somebody was last seen.

use std::collections::VecDeque;

use fulmar_client::people::privacy;

use super::super::books::Book;
use super::super::link::Link;
use super::super::{Complaint, Oracle};
use super::{NEWS, since};
use crate::clock::{SECOND, Time};
use crate::coverage::Happening;

/// What may pass beyond its times until the server stored or told something: threads stand still, and when it has
/// much to do presence waits.
pub(super) const LOAD: Time = 30 * SECOND;
/// Changes of one person of which the times are kept.
const CHANGES_KEPT: usize = 6;
/// So many changes come within an interval only where one was held back that long.
const HELD_BACK: usize = 1;

/// A person whom a connection watches, or did.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Questions without an answer.
    asked: u32,
    is_on: bool,
    /// When the client wrote that it wants to be told no more.
    off_at: Option<Time>,
    /// Online and last seen, as it was told last.
    pub(super) told: Option<(bool, u64)>,
    /// Of the last changes: the time after which the server put them on their way.
    changes: VecDeque<Time>,
    /// The version of the profile that it was told last.
    pub(super) news: u64,
}

impl Watch {
    pub(super) fn begin(&mut self) {
        self.asked += 1;
        self.is_on = true;
        self.changes.clear();
    }

    pub(super) fn end(&mut self, now: Time) {
        (self.is_on, self.off_at) = (false, Some(now));
    }

    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Something is told of the person.
    fn judge(&self, since: Time, what: impl std::fmt::Debug) -> Result<(), Complaint> {
        if self.is_on || self.off_at.is_some_and(|off_at| off_at >= since) {
            return Ok(());
        }
        let detail = format!("{what:?}, after {since} µs, where {self:?}");
        Err(Complaint("who isn't watched isn't told of", detail))
    }

    /// A change was told that isn't the answer to a question.
    fn changed(&mut self, since: Time, now: Time, interval: Time) -> Result<(), Complaint> {
        self.changes.push_back(since);
        if self.changes.len() > CHANGES_KEPT {
            self.changes.pop_front();
        }
        let count = self.changes.len();
        for (nth, &begun) in self.changes.iter().enumerate() {
            let pauses = (count - nth - 1).saturating_sub(HELD_BACK) as u64;
            if now + SECOND < begun + pauses * interval {
                let detail = format!("{} changes from {begun} µs to {now} µs", count - nth);
                return Err(Complaint("changes of presence are gathered", detail));
            }
        }
        Ok(())
    }
}

impl Oracle {
    /// A watcher was told of somebody.
    pub(super) fn presence_told(
        &mut self,
        link: &mut Link,
        user: u64,
        told: (bool, u64),
    ) -> Result<(), Complaint> {
        self.hit(Happening::PresenceTold);
        let (now, since, interval) = (self.now, since(link), link.people.interval);
        let person = self.user(user);
        let watch = link.people.watches.entry(user).or_default();
        watch.judge(since, (user, told))?;
        watch.told = Some(told);
        if watch.asked > 0 {
            watch.asked -= 1;
        } else {
            self.coverage.hit(Happening::PresenceChange);
            // Who may see more, or less, is told so at once.
            if !self.people.guarded.contains(&person) {
                watch.changed(since, now, interval)?;
            }
        }
        self.judge_online(link, person, told)?;
        self.judge_last_seen(link, person, told)
    }

    fn judge_online(
        &mut self,
        link: &Link,
        person: u32,
        told: (bool, u64),
    ) -> Result<(), Complaint> {
        let since = since(link);
        let shows =
            self.surely_shows(person, privacy::ONLINE, link.user, since.saturating_sub(NEWS));
        if shows == Some(false) {
            self.hit(Happening::PresenceHidden);
        }
        if !told.0 {
            return Ok(());
        }
        self.hit(Happening::PresenceOnline);
        let id = self.users[person as usize].id;
        if shows == Some(false) {
            let detail = format!("{id} is shown to {} as {told:?}", self.id_of(link));
            return Err(Complaint("who hides isn't shown as there", detail));
        }
        let lasts = 2 * link.people.interval + LOAD;
        let acts = self.people.acts.get(&person);
        if acts.is_some_and(|acts| acts.may_be_here(since, lasts)) {
            return Ok(());
        }
        let detail = format!("{id} is shown as there after {since} µs, with {acts:?}");
        Err(Complaint("who is shown as there is there", detail))
    }

    fn judge_last_seen(
        &self,
        link: &Link,
        person: u32,
        (is_online, last_seen_ms): (bool, u64),
    ) -> Result<(), Complaint> {
        let since = since(link);
        let id = self.users[person as usize].id;
        let shows =
            self.surely_shows(person, privacy::LAST_SEEN, link.user, since.saturating_sub(NEWS));
        let acts = self.people.acts.get(&person);
        if last_seen_ms > 0 {
            if shows == Some(false) {
                let detail = format!("{id} was seen at {last_seen_ms}, for {}", self.id_of(link));
                return Err(Complaint("who hides isn't shown as seen", detail));
            }
            let may_be =
                acts.is_some_and(|acts| acts.may_have_acted(last_seen_ms, self.now, &self.clock));
            if !may_be {
                let detail = format!("{id} was seen at {last_seen_ms}, with {acts:?}");
                return Err(Complaint("last seen is when a person did something", detail));
            }
        }
        // Of somebody who is there it isn't news, also where one may not see that.
        let from = since.saturating_sub(NEWS);
        let shows_online = self.surely_shows(person, privacy::ONLINE, link.user, from);
        let is_hidden = last_seen_ms == 0 && shows != Some(true);
        if is_online || is_hidden || shows_online != Some(true) {
            return Ok(());
        }
        let lasts = 2 * link.people.interval + LOAD;
        let floor = acts.map_or(0, |acts| acts.floor(since.saturating_sub(lasts), &self.clock));
        if last_seen_ms < floor {
            let detail = format!("{id} was seen at {last_seen_ms}, where {floor} is known");
            return Err(Complaint("last seen doesn't stay behind", detail));
        }
        Ok(())
    }

    /// A watcher was told the version of a profile.
    pub(super) fn news_told(
        &mut self,
        link: &mut Link,
        user: u64,
        version: u64,
    ) -> Result<(), Complaint> {
        self.hit(Happening::ProfileNews);
        let since = since(link);
        let person = self.user(user);
        let watch = link.people.watches.entry(user).or_default();
        watch.judge(since, (user, version))?;
        watch.news = version;
        let shows = self.surely_shows_profile(person, link.user, since.saturating_sub(NEWS));
        if shows == Some(false) {
            let detail = format!("version {version} of {user}, to {}", self.id_of(link));
            return Err(Complaint("who is blocked sees no profile", detail));
        }
        let most = self.books.get(&person).map_or(0, Book::versions_max);
        if version == 0 || version > most {
            let detail = format!("version {version} of {user}, who put {most} things");
            return Err(Complaint("versions of a profile are those of its book", detail));
        }
        Ok(())
    }

    pub(super) fn id_of(&self, link: &Link) -> u64 {
        self.users[link.user as usize].id
    }
}
