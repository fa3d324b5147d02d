//! A user's own name, and being found by it: on the user's home core. Who asks is answered at a fixed time.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use fulmar_protocol::people::{self, Found, item, privacy};
use fulmar_protocol::{Code, Frame};
use hashbrown::HashMap;

use super::super::conversation::{Action, Conversation};
use super::super::group::Asker;
use super::super::record::Audience;
use super::super::seam::{ConnId, GroupId, LogId, UserId};
use super::super::{Answer, Effects, Shard};
use super::book::{Verdict, Wish};
use super::letter::PeopleLetter;
use super::{Reply, Want};
use crate::faults::{Fault, is_planted};
use crate::limits::{
    FIND_ANSWER_MS, FINDS_MAX, FINDS_WINDOW_MS, NAME_WISHES_MAX, OVERLOAD_RETRY_MS,
};

/// A question for a username.
#[derive(Debug)]
struct Question {
    conn: ConnId,
    name: Bytes,
    found: Outcome,
}

/// What became of a question.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Open,
    /// It is this user; or nobody, 0.
    Is(UserId),
    /// Too many ask.
    Overloaded,
}

/// How often somebody asked since when.
#[derive(Debug, Clone, Copy)]
struct Lookups {
    begun_ms: u64,
    count: u32,
}

/// What users of one core want to know of names, and which they want to have.
#[derive(Debug, Default)]
pub(in super::super) struct Naming {
    /// Names that a user wants, or to have none; one after the other, the first is under way. At most
    /// [`NAME_WISHES_MAX`] of a user.
    wishes: HashMap<UserId, VecDeque<(ConnId, Wish)>>,
    /// Users with whose next wish is to be begun.
    begins: Vec<UserId>,
    questions: BTreeMap<u64, Question>,
    last_question: u64,
    /// When which question may be answered, on the monotonic clock.
    dues: VecDeque<(u64, u64)>,
    lookups: HashMap<UserId, Lookups>,
    /// When the lookups of users who no longer ask are forgotten.
    forget_ms: u64,
}

impl Naming {
    /// When the first question may be answered.
    pub(in super::super) fn next_ms(&self) -> u64 {
        self.dues.front().map_or(u64::MAX, |&(due_ms, _)| due_ms)
    }

    /// Counts a question; says when to ask again if it is one too many.
    fn count_lookup(&mut self, user: UserId, now_ms: u64) -> Option<u64> {
        if now_ms >= self.forget_ms {
            self.forget_ms = now_ms + FINDS_WINDOW_MS;
            self.lookups.retain(|_, lookups| now_ms < lookups.begun_ms + FINDS_WINDOW_MS);
        }
        let lookups = self.lookups.entry(user).or_insert(Lookups { begun_ms: now_ms, count: 0 });
        if now_ms >= lookups.begun_ms + FINDS_WINDOW_MS {
            *lookups = Lookups { begun_ms: now_ms, count: 0 };
        }
        if lookups.count >= FINDS_MAX {
            return Some(lookups.begun_ms + FINDS_WINDOW_MS - now_ms);
        }
        lookups.count += 1;
        None
    }
}

impl Shard {
    /// A user wants another name, or none. Its wishes are done one after the other.
    pub(super) fn want_name(&mut self, user: UserId, conn: ConnId, wish: Wish, fx: &mut Effects) {
        let wishes = self.naming.wishes.entry(user).or_default();
        if wishes.len() >= NAME_WISHES_MAX {
            self.reject_put(conn, &wish, Code::Overloaded, fx);
            return;
        }
        wishes.push_back((conn, wish));
        if wishes.len() == 1 {
            self.begin_naming(user, fx);
        }
    }

    /// The book is here: begins with the user's next wish.
    pub(super) fn begin_naming(&mut self, user: UserId, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let Some((conn, wish)) = self.naming.wishes.get(&user).and_then(VecDeque::front) else {
            return;
        };
        let (conn, wish) = (*conn, wish.clone());
        let Some(book) = self.books.book(user) else { return };
        if book.judge(&wish) != Verdict::Change || wish.value.is_empty() {
            self.named(user, None, fx);
        } else if let Some(retry_after_ms) = self.naming.count_lookup(user, now_ms) {
            // Whether a name is taken tells that somebody has it.
            self.reject_put_until(conn, &wish, Code::TooManyLookups, retry_after_ms, fx);
            self.end_naming(user);
        } else if is_planted(Fault::NameNotClaimed) {
            self.named(user, None, fx);
        } else {
            let name = wish.value;
            self.post_to_name(&name.clone(), PeopleLetter::Claim { name, user }, fx);
        }
    }

    /// The book is here, and the name's home said whether the user may have it: sets the item.
    pub(super) fn named(&mut self, user: UserId, refusal: Option<Code>, fx: &mut Effects) {
        let Some((conn, wish)) = self.naming.wishes.get(&user).and_then(VecDeque::front) else {
            return;
        };
        let (conn, wish) = (*conn, wish.clone());
        if let Some(code) = refusal {
            self.reject_put(conn, &wish, code, fx);
            self.end_naming(user);
            return;
        }
        let Some(book) = self.books.book(user) else { return };
        let before = book.value(item::USERNAME, b"").cloned();
        let released = match book.judge(&wish) {
            Verdict::Same(item) => {
                let reply = Reply::Item { user, conn, item, is_new: false };
                self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
                None
            }
            Verdict::Full => {
                self.reject_put(conn, &wish, Code::BookFull, fx);
                Some(wish.value)
            }
            Verdict::Change => {
                self.set_item(user, None, conn, wish, fx);
                before
            }
        };
        let reply = Reply::Named { user, released };
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }

    /// The item is stored: nobody needs the name before any more.
    pub(super) fn name_stored(&mut self, user: UserId, released: Option<Bytes>, fx: &mut Effects) {
        if let Some(name) = released {
            self.post_to_name(&name.clone(), PeopleLetter::Release { name, user }, fx);
        }
        self.end_naming(user);
    }

    fn end_naming(&mut self, user: UserId) {
        let Some(wishes) = self.naming.wishes.get_mut(&user) else { return };
        wishes.pop_front();
        if wishes.is_empty() {
            self.naming.wishes.remove(&user);
        } else {
            self.naming.begins.push(user);
        }
    }

    /// Begins with the next wish of a user of whom one is over; `false` if there is none. Not done where that came out:
    /// each wish would be a few calls deeper than the one before.
    pub(in super::super) fn name_next(&mut self, fx: &mut Effects) -> bool {
        let Some(user) = self.naming.begins.pop() else { return false };
        self.with_book(user, Want::Name, fx);
        true
    }

    /// Whether a user has this name, or is about to.
    pub(super) fn has_name(&self, user: UserId, name: &[u8]) -> bool {
        let wishes = self.naming.wishes.get(&user);
        let wanted = wishes.and_then(|wishes| wishes.front()).map(|(_, wish)| &wish.value[..]);
        let has = self.books.book(user).and_then(|book| book.value(item::USERNAME, b""));
        wanted == Some(name) || has.is_some_and(|has| has == name)
    }

    /// A device asks who has a name.
    pub(in super::super) fn find(&mut self, conn: ConnId, name: &[u8], fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let Some(asker) = self.asker(conn) else { return };
        if let Some(retry_after_ms) = self.naming.count_lookup(asker.user, now_ms) {
            if self.is_told_what_it_asked(conn) {
                let code = Code::TooManyLookups;
                let found = Found { name, user: 0, code, retry_after_ms };
                self.put(conn, &Frame::Found(found), fx);
            }
        } else {
            let naming = &mut self.naming;
            naming.last_question += 1;
            let question = naming.last_question;
            let name = Bytes::copy_from_slice(name);
            let is_name = people::is_username(&name);
            let found = if is_name { Outcome::Open } else { Outcome::Is(0) };
            naming.questions.insert(question, Question { conn, name: name.clone(), found });
            naming.dues.push_back((now_ms + FIND_ANSWER_MS, question));
            if is_name {
                let letter = PeopleLetter::Find { name: name.clone(), asker, question };
                self.post_to_name(&name, letter, fx);
            }
        }
        self.pause_if_full(conn, fx);
    }

    /// The book of who may have a name is here: says who it is, if the asker may know that.
    pub(super) fn resolve(
        &mut self,
        user: UserId,
        name: &[u8],
        asker: Asker,
        question: u64,
        fx: &mut Effects,
    ) {
        let Some(book) = self.books.book(user) else { return };
        let key = people::user_key(asker.user);
        let has = book.value(item::USERNAME, b"").is_some_and(|has| has == name);
        let is_blocked = book.value(item::BLOCK, &key).is_some();
        let is_contact = book.value(item::CONTACT, &key).is_some();
        let who = book.value(item::PRIVACY, &[privacy::FOUND]).map(|value| &value[..]);
        let who = Audience::of(who);
        if !has || is_blocked {
            self.resolved_to(asker, question, 0, fx);
        } else if who.includes(is_contact) || asker.user == user || is_planted(Fault::HiddenIsFound)
        {
            self.resolved_to(asker, question, user, fx);
        } else if who == Audience::Known {
            let action = Action::Found { asker, question };
            self.with_conversation(LogId::Inbox(user), asker.user, action, fx);
        } else {
            self.resolved_to(asker, question, 0, fx);
        }
    }

    /// The conversation with the asker is here: only whom the user knows finds it.
    pub(in super::super) fn resolve_known(
        &mut self,
        conversation: u32,
        asker: Asker,
        question: u64,
        fx: &mut Effects,
    ) {
        let Conversation { log, ref record, .. } = self.conversations[conversation];
        let ties = record.ties;
        let user = log.user().filter(|_| !ties.blocks).unwrap_or(0);
        if user == 0 || ties.is_known() {
            self.resolved_to(asker, question, user, fx);
            return;
        }
        let (user, mates) = (Some(user), Some(self.groups_of(log)));
        let letter = PeopleLetter::Resolved { question, user, mates };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    pub(super) fn resolved_to(
        &mut self,
        asker: Asker,
        question: u64,
        user: UserId,
        fx: &mut Effects,
    ) {
        let letter = PeopleLetter::Resolved { question, user: Some(user), mates: None };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    /// It is known who a question is about. That is told when its time comes.
    pub(super) fn resolved(
        &mut self,
        question: u64,
        user: Option<UserId>,
        mates: Option<&[GroupId]>,
    ) {
        let Some(conn) = self.naming.questions.get(&question).map(|it| it.conn) else { return };
        let may_know = mates.is_none_or(|groups| self.is_in_any(conn, groups));
        let user = user.map(|user| if may_know { user } else { 0 });
        if let Some(question) = self.naming.questions.get_mut(&question) {
            question.found = user.map_or(Outcome::Overloaded, Outcome::Is);
        }
    }

    /// Answers the questions whose time has come. One that took longer has another time, so that not even
    /// then the answer's time says what was looked at for it.
    pub(in super::super) fn tell_found(&mut self, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        while let Some(&(due_ms, number)) = self.naming.dues.front() {
            if due_ms > now_ms {
                return;
            }
            self.naming.dues.pop_front();
            let Some(question) = self.naming.questions.get(&number) else { continue };
            let (user, code, retry_after_ms) = match question.found {
                Outcome::Open => {
                    self.naming.dues.push_back((now_ms + FIND_ANSWER_MS, number));
                    continue;
                }
                Outcome::Is(user) => (user, Code::None, 0),
                Outcome::Overloaded => (0, Code::Overloaded, OVERLOAD_RETRY_MS),
            };
            let Some(Question { conn, name, .. }) = self.naming.questions.remove(&number) else {
                continue;
            };
            if self.is_told_what_it_asked(conn) {
                let found = Found { name: &name, user, code, retry_after_ms };
                self.put(conn, &Frame::Found(found), fx);
            }
        }
    }
}
