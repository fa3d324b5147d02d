//! Profiles: what is told is what was put, a version is one profile, and none that was told is ever taken back.

use std::collections::BTreeMap;

use fulmar_client::people::{item, profile};
use fulmar_protocol::people::Profile;

use super::super::link::Link;
use super::super::{Complaint, Oracle};
use crate::clock::Time;
use crate::coverage::Happening;

/// A question for a profile.
#[derive(Debug)]
pub(super) struct Look {
    /// The version that the client has.
    known: u64,
    asked_at: Time,
    /// The version that somebody was told before.
    floor: u64,
}

/// Name, status line and reference to a picture.
type Parts = [Vec<u8>; 3];

/// The keys of these.
const PARTS: [u8; 3] = [profile::NAME, profile::STATUS, profile::AVATAR];

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// By user and version.
    told: BTreeMap<(u32, u64), Parts>,
    /// The newest version that anybody was told.
    newest: BTreeMap<u32, u64>,
}

impl Profiles {
    /// The profile of a user is at least at this version.
    pub(super) fn reaches(&mut self, user: u32, version: u64) {
        let newest = self.newest.entry(user).or_default();
        *newest = version.max(*newest);
    }

    pub(super) fn newest(&self, user: u32) -> u64 {
        self.newest.get(&user).copied().unwrap_or(0)
    }
}

impl Oracle {
    pub(super) fn wrote_look(&mut self, link: &mut Link, user: u64, known: u64) {
        let person = self.user(user);
        let floor = self.people.profiles.newest(person);
        let look = Look { known, asked_at: self.now, floor };
        link.people.looks.entry(user).or_default().push_back(look);
    }

    pub(super) fn profile_told(
        &mut self,
        link: &mut Link,
        told: &Profile<'_>,
    ) -> Result<(), Complaint> {
        self.hit(Happening::ProfileTold);
        let &Profile { user, version, name, status, avatar } = told;
        let person = self.user(user);
        let looks = link.people.looks.entry(user).or_default();
        let is_known = looks.iter().any(|look| look.known == version);
        let Some(Look { asked_at, floor, .. }) = looks.pop_front() else {
            return Err(Complaint("a profile is told to who asked", format!("{told:?}")));
        };
        let parts = [name.to_vec(), status.to_vec(), avatar.to_vec()];
        let is_empty = parts.iter().all(Vec::is_empty);
        let shows = self.surely_shows_profile(person, link.user, asked_at);
        if shows == Some(false) {
            self.hit(Happening::ProfileHidden);
            if version > 0 || !is_empty {
                let detail = format!("{told:?}, to {}", self.id_of(link));
                return Err(Complaint("who is blocked sees no profile", detail));
            }
        }
        if version < floor && (version > 0 || shows == Some(true)) {
            let detail = format!("{told:?}, where {floor} was told before");
            return Err(Complaint("a profile never goes back", detail));
        }
        if version == 0 {
            let detail = format!("{told:?}");
            let complaint = Complaint("where there is no profile there is nothing", detail);
            return if is_empty { Ok(()) } else { Err(complaint) };
        }
        self.people.profiles.reaches(person, version);
        self.book_reaches(person, version)?;
        if is_empty && is_known {
            return Ok(());
        }
        self.judge_parts(person, version, &parts)?;
        if self.people.end.is_some_and(|end| asked_at >= end) {
            return self.judge_last_profile(person, version, &parts);
        }
        Ok(())
    }

    fn judge_parts(&mut self, person: u32, version: u64, parts: &Parts) -> Result<(), Complaint> {
        let id = self.users[person as usize].id;
        for (key, part) in PARTS.into_iter().zip(parts) {
            let place = (person, item::PROFILE, &[key][..]);
            if !part.is_empty() && !self.people.places.was_put(place, Some(part)) {
                let detail = format!("part {key} of {id} is {part:?}");
                return Err(Complaint("a profile is as it was put", detail));
            }
            let set = self.books.get(&person).and_then(|book| book.set_by(version));
            if let Some(((kind, of), value)) = set {
                let is_right = *kind == item::PROFILE && (*of != [key] || value == part);
                if !is_right {
                    let detail =
                        format!("version {version} of {id} set {of:?} of {kind} to {value:?}");
                    return Err(Complaint("a profile is as it was put", detail));
                }
            }
        }
        let told = &mut self.people.profiles.told;
        let known = told.entry((person, version)).or_insert_with(|| parts.clone());
        if known != parts {
            let detail = format!("version {version} of {id} was {known:?} and is {parts:?}");
            return Err(Complaint("a version of a profile is used once", detail));
        }
        Ok(())
    }

    /// Who asks in the end is told what was confirmed last.
    fn judge_last_profile(
        &self,
        person: u32,
        version: u64,
        parts: &Parts,
    ) -> Result<(), Complaint> {
        let place = |key: u8| self.people.places.get((person, item::PROFILE, &[key]));
        let due = PARTS.map(|key| place(key).map_or(Vec::new(), |place| place.value().to_vec()));
        if *parts != due {
            let id = self.users[person as usize].id;
            let detail = format!("{id} has {parts:?} in version {version}, and put {due:?}");
            return Err(Complaint("a profile ends as it was put", detail));
        }
        Ok(())
    }
}
