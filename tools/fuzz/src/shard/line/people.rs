//! What a client wants to know of people and what it sets for its own, and what it is told of that.

use std::collections::{BTreeMap, BTreeSet};

use fulmar::shard::{DeviceId, UserId};
use fulmar_protocol::Frame;
use fulmar_protocol::people::{item, profile};

use super::super::facts::Facts;
use super::{Line, Page};

/// Something that is answered once, whatever the answer is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// Kind and key of an item.
    Put(u8, Vec<u8>),
    Book,
    Profile(UserId),
    Find(Vec<u8>),
}

/// What a client asked.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// How often each waits for an answer.
    open: BTreeMap<Question, usize>,
    /// Whom it ever watched.
    watched: BTreeSet<UserId>,
    /// Those of whom it wasn't told since it said so.
    due: BTreeSet<UserId>,
}

impl Questions {
    fn ask(&mut self, question: Question) {
        *self.open.entry(question).or_default() += 1;
    }

    /// Whether such a question was open.
    fn answer(&mut self, question: &Question) -> bool {
        let Some(count) = self.open.get_mut(question) else { return false };
        *count -= 1;
        if *count == 0 {
            self.open.remove(question);
        }
        true
    }

    pub(super) fn check_answered(&self, who: (UserId, DeviceId)) {
        assert!(self.open.is_empty(), "{who:?} waits for {:?}", self.open);
        assert!(self.due.is_empty(), "{who:?} is told nothing of {:?}", self.due);
    }
}

impl Line {
    /// Takes a frame about people; `false` for any other.
    pub(super) fn say_of_people(&mut self, frame: &Frame<'_>, facts: &mut Facts) -> bool {
        let user = self.identity.0;
        match *frame {
            Frame::Put { item, key, value } => {
                facts.ledger.has_blocks |= item == item::BLOCK;
                facts.known.put(user, (item, key.to_vec(), value.to_vec()));
                self.questions.ask(Question::Put(item, key.to_vec()));
            }
            Frame::BookResume { .. } => self.questions.ask(Question::Book),
            Frame::ProfileLook { user, .. } => self.questions.ask(Question::Profile(user)),
            Frame::Find { name } => self.questions.ask(Question::Find(name.to_vec())),
            Frame::Watch { ref users } => {
                self.questions.watched.extend(users.iter());
                self.questions.due.extend(users.iter());
            }
            Frame::Unwatch { ref users } => {
                for user in users.iter() {
                    self.questions.due.remove(&user);
                }
            }
            Frame::Activity { is_here } => {
                if is_here {
                    facts.were_here.insert(user);
                }
            }
            Frame::Typing { group, user: peer, .. } => {
                facts.wrote.insert((user, group, peer));
            }
            Frame::History(asked) => self.pages.push_back(Page::new(asked)),
            _ => return false,
        }
        true
    }

    /// Takes what is told of people, and of pages; `false` for any other frame.
    pub(super) fn tell_of_people(&mut self, frame: &Frame<'_>, facts: &Facts) -> bool {
        let own = self.identity.0;
        let people = &facts.ledger.people;
        match *frame {
            Frame::Item(ref set) => {
                self.questions.answer(&Question::Put(set.item, set.key.to_vec()));
                let thing = (set.item, set.key.to_vec(), set.value.to_vec());
                assert!(facts.known.has_put(own, &thing), "{own} never put {thing:?}");
                assert!(set.version <= people.versions(own).0, "{set:?} isn't stored");
                // That something isn't there is told with the newest version, whatever that set.
                let set = people.set_by(own, set.version).filter(|_| !set.value.is_empty());
                assert!(set.is_none_or(|set| *set == thing), "{set:?} is told as {thing:?}");
            }
            Frame::PutRejected(ref rejected) => {
                // The same item of another device may have been taken for the answer.
                self.questions.answer(&Question::Put(rejected.item, rejected.key.to_vec()));
            }
            Frame::Book { version, head, .. } => {
                let is_open = self.questions.answer(&Question::Book);
                assert!(is_open || self.is_garbled, "an answer has a question");
                assert!(version <= head && head <= people.versions(own).0, "a book of {head}");
            }
            Frame::Profile(ref shown) => {
                let question = Question::Profile(shown.user);
                let is_open = self.questions.answer(&question);
                assert!(is_open || self.is_garbled, "an answer has a question");
                assert!(shown.version <= people.versions(shown.user).1, "{shown:?} isn't stored");
                for (key, part) in [
                    (profile::NAME, shown.name),
                    (profile::STATUS, shown.status),
                    (profile::AVATAR, shown.avatar),
                ] {
                    let thing = (item::PROFILE, vec![key], part.to_vec());
                    let is_put = part.is_empty() || facts.known.has_put(shown.user, &thing);
                    assert!(is_put, "{} never put {thing:?}", shown.user);
                }
            }
            Frame::Found(ref found) => {
                let question = Question::Find(found.name.to_vec());
                let is_open = self.questions.answer(&question);
                assert!(is_open || self.is_garbled, "an answer has a question");
                let thing = (item::USERNAME, Vec::new(), found.name.to_vec());
                let is_put = found.user == 0 || facts.known.has_put(found.user, &thing);
                assert!(is_put, "{} never had the name {:?}", found.user, found.name);
            }
            Frame::Presence { user, is_online, .. } => {
                self.questions.due.remove(&user);
                assert!(self.questions.watched.contains(&user), "{user} isn't watched");
                assert!(!is_online || facts.were_here.contains(&user), "{user} wasn't here");
            }
            Frame::ProfileNews { user, .. } => {
                assert!(self.questions.watched.contains(&user), "{user} isn't watched");
            }
            Frame::Typing { group, user, .. } => {
                let peer = if group == 0 { own } else { 0 };
                assert!(facts.wrote.contains(&(user, group, peer)), "{user} doesn't write");
            }
            Frame::Past(ref past) => self.past(past, facts),
            Frame::HistoryEnd(ref end) => self.page_ends(end, facts),
            _ => return false,
        }
        true
    }
}
