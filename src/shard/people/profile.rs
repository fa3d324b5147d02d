//! Profiles: asked for by anybody, answered by the person's home from the book.

use fulmar_protocol::Frame;
use fulmar_protocol::people::{self, item, profile};

use super::super::conversation::Action;
use super::super::group::Asker;
use super::super::seam::{ConnId, LogId, UserId};
use super::super::{Answer, Effects, Letter, Shard};
use super::book::Book;
use super::letter::{PeopleLetter, Shown};
use super::{Reply, Want};
use crate::faults::{Fault, is_planted};

impl Shard {
    /// A device asks for somebody's profile.
    pub(in super::super) fn look_at_profile(
        &mut self,
        conn: ConnId,
        user: UserId,
        known: u64,
        fx: &mut Effects,
    ) {
        let Some(asker) = self.asker(conn) else { return };
        if user == 0 {
            self.tell_profile(conn, user, Some(Shown::default()), fx);
        } else {
            self.post(user, PeopleLetter::Look { user, asker, known }.into(), fx);
        }
        self.pause_if_full(conn, fx);
    }

    /// The book is here. What it says is shown once it is stored: a version that a crash takes back must not
    /// stand for two profiles.
    pub(super) fn show_profile(
        &mut self,
        user: UserId,
        asker: Asker,
        known: u64,
        fx: &mut Effects,
    ) {
        let Some(book) = self.books.book(user) else { return };
        let shown = Some(shown(book, asker.user, known));
        let letter = PeopleLetter::Profile { conn: asker.conn, user, shown };
        if is_planted(Fault::ProfileBeforeCommit) {
            self.post_reply((asker.core, letter), fx);
            return;
        }
        let reply = Reply::Post { letter: (asker.core, letter) };
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }

    pub(super) fn tell_profile(
        &mut self,
        conn: ConnId,
        user: UserId,
        shown: Option<Shown>,
        fx: &mut Effects,
    ) {
        if !self.is_told_what_it_asked(conn) {
            return;
        }
        let Some(Shown { version, name, status, avatar }) = shown else {
            self.end_overloaded(conn, fx);
            return;
        };
        let (name, status, avatar) = (&name[..], &status[..], &avatar[..]);
        let profile = people::Profile { user, version, name, status, avatar };
        self.put(conn, &Frame::Profile(profile), fx);
    }

    /// A letter about people, at whichever end.
    pub(in super::super) fn people_letter(&mut self, letter: PeopleLetter, fx: &mut Effects) {
        match letter {
            PeopleLetter::AskAgain { user, watcher, is_guarded } => {
                self.ask_again(user, watcher, is_guarded, fx);
            }
            PeopleLetter::MayI { user, asker } => self.may_watch(user, asker, fx),
            PeopleLetter::May { conn, user, may, mates } => {
                self.permitted(conn, user, may, mates, fx);
            }
            PeopleLetter::WhichGroups { user, asker } => {
                let action = Action::Groups { asker };
                self.with_conversation(LogId::Inbox(user), asker.user, action, fx);
            }
            PeopleLetter::Groups { conn, user, groups } => {
                self.perhaps_mates(conn, user, &groups, fx);
            }
            PeopleLetter::News { user, profile } => self.profile_changed(user, profile, fx),
            PeopleLetter::Look { user, asker, known } => {
                self.with_book(user, Want::Look { asker, known }, fx);
            }
            PeopleLetter::Profile { conn, user, shown } => {
                self.tell_profile(conn, user, shown, fx);
            }
            PeopleLetter::Claim { .. }
            | PeopleLetter::Release { .. }
            | PeopleLetter::Find { .. } => self.name_letter(letter, fx),
            PeopleLetter::Claimed { user, name: _, refusal } => {
                self.with_book(user, Want::Named { refusal }, fx);
            }
            PeopleLetter::IsYours { user, name, core } => {
                self.with_book(user, Want::IsYours { name, core }, fx);
            }
            PeopleLetter::Yours { user, name, is_yours } => {
                self.judge_contests(user, &name, is_yours, fx);
            }
            PeopleLetter::Resolve { user, name, asker, question } => {
                self.with_book(user, Want::Resolve { name, asker, question }, fx);
            }
            PeopleLetter::Resolved { question, user, mates } => {
                self.resolved(question, user, mates.as_deref());
            }
        }
    }

    pub(super) fn post_reply(
        &mut self,
        (core, letter): super::letter::Addressed,
        fx: &mut Effects,
    ) {
        self.post_to_core(core, Letter::from(letter), fx);
    }
}

/// The profile as this user may see it: a block hides that there is one.
fn shown(book: &Book, asker: UserId, known: u64) -> Shown {
    let version = book.profile_version;
    if version == 0 || book.value(item::BLOCK, &people::user_key(asker)).is_some() {
        return Shown::default();
    }
    if version == known {
        return Shown { version, ..Shown::default() };
    }
    let part = |key: u8| book.value(item::PROFILE, &[key]).cloned().unwrap_or_default();
    Shown {
        version,
        name: part(profile::NAME),
        status: part(profile::STATUS),
        avatar: part(profile::AVATAR),
    }
}
