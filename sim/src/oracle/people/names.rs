//! Usernames: at any time a name is at most one user's, and who has it is found by those who may.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fulmar_client::people::{item, privacy};
use fulmar_protocol::Code;
use fulmar_protocol::people::Found;

use super::super::link::Link;
use super::super::{Complaint, Oracle};
use super::since;
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;

/// No answer comes earlier, but for the millisecond in which the question came.
const ANSWER_MIN: Time = 99 * MS;
/// Names for which a user may ask in a minute.
const ASKED_MAX: usize = 60;
/// A minute, and as much for what is on its way.
const ASKED_WITHIN: Time = 180 * SECOND;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Users who ever wanted a name.
    wanted: BTreeMap<Vec<u8>, BTreeSet<u32>>,
    /// When users asked for names last, or wanted them.
    asked: BTreeMap<u32, VecDeque<Time>>,
}

impl Names {
    pub(super) fn wants(&mut self, user: u32, name: &[u8]) {
        self.wanted.entry(name.to_vec()).or_default().insert(user);
    }

    pub(super) fn asks(&mut self, user: u32, now: Time) {
        let asked = self.asked.entry(user).or_default();
        asked.push_back(now);
        if asked.len() > ASKED_MAX {
            asked.pop_front();
        }
    }

    fn wanters(&self, name: &[u8]) -> impl Iterator<Item = u32> {
        self.wanted.get(name).into_iter().flatten().copied()
    }

    /// Somebody is told that it asked too often.
    fn judge_too_many(&self, user: u32, now: Time) -> Result<(), Complaint> {
        let asked = self.asked.get(&user);
        let is_much =
            asked.is_some_and(|asked| asked.len() >= ASKED_MAX && asked[0] + ASKED_WITHIN > now);
        let detail = || format!("{asked:?}");
        if is_much { Ok(()) } else { Err(Complaint("a user may ask for some names", detail())) }
    }
}

const USERNAME: (u8, &[u8]) = (item::USERNAME, b"");

impl Oracle {
    /// The name that a user surely has since a time; empty for none.
    fn surely_named(&self, user: u32, from: Time) -> Option<&[u8]> {
        self.people.places.surely((user, USERNAME.0, USERNAME.1), from)
    }

    /// Somebody else who surely has a name since a time.
    fn other_with(&self, name: &[u8], but: u32, from: Time) -> Option<u32> {
        let mut wanters = self.people.names.wanters(name).filter(|&user| user != but);
        wanters.find(|&user| self.surely_named(user, from) == Some(name))
    }

    /// A user was told that it has a name. That may be a while ago.
    pub(super) fn judge_name(&self, link: &Link, name: &[u8]) -> Result<(), Complaint> {
        let Some(other) = self.other_with(name, link.user, since(link)) else { return Ok(()) };
        let (user, other) = (self.id_of(link), self.users[other as usize].id);
        let detail = format!("{user} and {other} have {}", String::from_utf8_lossy(name));
        Err(Complaint("a name is one user's", detail))
    }

    /// A name that a device put isn't taken.
    pub(in super::super) fn name_refused(
        &mut self,
        link: &Link,
        code: Code,
    ) -> Result<(), Complaint> {
        let (item, key) = USERNAME;
        let put = link.people.puts.get(&(item, key.to_vec())).cloned().unwrap_or_default();
        self.people.places.rejected((link.user, item, key), link.device, self.now);
        match code {
            Code::NameTaken => self.hit(Happening::NameTaken),
            Code::TooManyLookups => return self.people.names.judge_too_many(link.user, self.now),
            Code::Overloaded => return Ok(()),
            Code::BadName if !fulmar_protocol::people::is_username(&put) => return Ok(()),
            _ => {
                let detail = format!("{code} of {put:?}");
                return Err(Complaint("a name is refused for a reason of its own", detail));
            }
        }
        let from = link.people.named_at;
        let may_have = |&user: &u32| self.surely_named(user, from).is_none_or(|has| has == put);
        let mut others = self.people.names.wanters(&put).filter(|&user| user != link.user);
        if others.any(|user| may_have(&user)) {
            return Ok(());
        }
        let detail = format!("{:?}, for {}", String::from_utf8_lossy(&put), self.id_of(link));
        Err(Complaint("a name is taken only where somebody has it", detail))
    }

    /// A question for a name was answered.
    pub(super) fn found(&mut self, link: &mut Link, found: &Found<'_>) -> Result<(), Complaint> {
        let &Found { name, user, code, .. } = found;
        let finds = &mut link.people.finds;
        let Some(at) = finds.iter().position(|(of, _)| of == name) else {
            return Err(Complaint("who has a name is told to who asked", format!("{found:?}")));
        };
        let (_, asked_at) = finds.remove(at);
        // Answers overtake each other: the next one may be for this question.
        for (_, at) in finds.iter_mut().filter(|(of, _)| of == name) {
            *at = asked_at;
        }
        if code == Code::TooManyLookups {
            return self.people.names.judge_too_many(link.user, self.now);
        }
        if self.now < asked_at + ANSWER_MIN {
            let detail = format!("{found:?} after {} µs", self.now - asked_at);
            return Err(Complaint("an answer about a name comes at its time", detail));
        }
        match (code, user) {
            (Code::Overloaded, 0) => Ok(()),
            (Code::None, 0) => {
                self.hit(Happening::NameNobody);
                self.judge_nobody(link, name, asked_at)
            }
            (Code::None, user) => {
                self.hit(Happening::NameFound);
                let user = self.user(user);
                self.judge_found(link, name, user, asked_at)
            }
            _ => Err(Complaint("who has a name is told, or why not", format!("{found:?}"))),
        }
    }

    fn judge_nobody(&mut self, link: &Link, name: &[u8], asked_at: Time) -> Result<(), Complaint> {
        // Nobody is `u32::MAX`.
        let Some(user) = self.other_with(name, u32::MAX, asked_at) else { return Ok(()) };
        match self.surely_shows(user, privacy::FOUND, link.user, asked_at) {
            Some(true) => {
                let (id, asker) = (self.users[user as usize].id, self.id_of(link));
                let detail = format!("{} of {id}, for {asker}", String::from_utf8_lossy(name));
                Err(Complaint("who has a name is found", detail))
            }
            Some(false) => {
                self.hit(Happening::NameHidden);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn judge_found(
        &self,
        link: &Link,
        name: &[u8],
        user: u32,
        asked_at: Time,
    ) -> Result<(), Complaint> {
        let id = self.users[user as usize].id;
        let words = String::from_utf8_lossy(name);
        let has = self.surely_named(user, asked_at);
        let was_wanted = self.people.places.was_put((user, USERNAME.0, USERNAME.1), Some(name));
        if !was_wanted || has.is_some_and(|has| has != name) {
            let detail = format!("{words} is {id}, who has {has:?}");
            return Err(Complaint("who is found has the name", detail));
        }
        if let Some(other) = self.other_with(name, user, asked_at) {
            let other = self.users[other as usize].id;
            let detail = format!("{words} is {id}, where {other} has it");
            return Err(Complaint("a name is one user's", detail));
        }
        let shows = self.surely_shows(user, privacy::FOUND, link.user, asked_at);
        if shows == Some(false) && user != link.user {
            let detail = format!("{words} is {id}, for {}", self.id_of(link));
            return Err(Complaint("who hides isn't found", detail));
        }
        Ok(())
    }
}
