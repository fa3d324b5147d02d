//! Who may see what of a person: asked by the watcher's core, answered by the person's home.
//!
//! ```text
//! watcher's core                                person's home
//!   a person whose presence is guarded
//!     └── MayI ─────────────────────────────► the conversation with the watcher, loaded if it isn't here
//!   shown as far as allowed ◄────── May ─────────┘
//!   asks again ◄────────────── AskAgain ─────── privacy, a block, a contact, the first message changed it
//! ```
//!
//! Somebody who shows everything to everybody is never asked about.

use super::super::conversation::Action;
use super::super::group::Asker;
use super::super::record::Face;
use super::super::seam::{ConnId, CoreId, LogId, Seen, UserId};
use super::super::{Effects, Letter, Shard, home_core};
use super::letter::{May, PeopleLetter};
use crate::limits::PERMISSIONS_ASKED_MAX;

impl May {
    /// As much of what holds as may be shown.
    pub(in super::super) const fn mask(self, seen: Seen) -> Seen {
        Seen {
            is_online: seen.is_online && self.online,
            last_seen_ms: if self.last_seen { seen.last_seen_ms } else { 0 },
        }
    }
}

/// Questions about permission on the watchers' core.
#[derive(Debug, Default)]
pub(in super::super) struct Questions {
    /// Under way.
    asked: usize,
    /// Those that wait, in their order; each counts among the session's questions.
    waiting: std::collections::VecDeque<(ConnId, UserId)>,
}

impl Shard {
    /// A session must know what it may see of a person.
    pub(in super::super) fn ask_permission(
        &mut self,
        conn: ConnId,
        user: UserId,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        session.asking += 1;
        self.questions.waiting.push_back((conn, user));
        self.ask_permissions(fx);
    }

    fn ask_permissions(&mut self, fx: &mut Effects) {
        while self.questions.asked < PERMISSIONS_ASKED_MAX
            && let Some((conn, user)) = self.questions.waiting.pop_front()
        {
            let core = self.config.core;
            let Some(session) = self.session(conn) else { continue };
            let asker = Asker { core, conn, user: session.user };
            self.questions.asked += 1;
            self.post(user, PeopleLetter::MayI { user, asker }.into(), fx);
        }
    }

    /// A watcher asks what it may see of a person of this core.
    pub(super) fn may_watch(&mut self, user: UserId, asker: Asker, fx: &mut Effects) {
        let Some(face) = self.people.face(user) else {
            // It is no longer watched.
            self.answer_may(user, asker, May::NOTHING, fx);
            return;
        };
        if face.is_guarded() && asker.user != user {
            self.with_conversation(LogId::Inbox(user), asker.user, Action::May { asker }, fx);
        } else {
            self.answer_may(user, asker, May::ALL, fx);
        }
    }

    /// The conversation with the watcher is here.
    pub(in super::super) fn judge_watcher(&mut self, slot: u32, asker: Asker, fx: &mut Effects) {
        let conversation = &self.conversations[slot];
        let Some(user) = conversation.log.user() else { return };
        let ties = conversation.record.ties;
        let may = match self.people.face(user) {
            Some(face) if !ties.blocks => {
                let is_known = ties.is_known();
                May {
                    last_seen: face.last_seen.includes(is_known),
                    online: face.online.includes(is_known),
                    profile: true,
                }
            }
            _ => May::NOTHING,
        };
        self.answer_may(user, asker, may, fx);
    }

    fn answer_may(&mut self, user: UserId, asker: Asker, may: May, fx: &mut Effects) {
        let letter = PeopleLetter::May { conn: asker.conn, user, may };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    /// The person's home says what a session may see.
    pub(super) fn permitted(&mut self, conn: ConnId, user: UserId, may: May, fx: &mut Effects) {
        self.questions.asked -= 1;
        self.ask_permissions(fx);
        if self.is_told_what_it_asked(conn) {
            self.watch_permitted(conn, user, may, fx);
        }
    }

    /// Tells the cores that watch a person that a watcher, or each of them, may see something else now.
    pub(in super::super) fn change_permissions(
        &mut self,
        user: UserId,
        watcher: Option<UserId>,
        before: Face,
        fx: &mut Effects,
    ) {
        let Some((face, cores)) = self.people.watched(user) else { return };
        let is_guarded = face.is_guarded();
        if !is_guarded && !before.is_guarded() {
            return;
        }
        let cores_of_watcher = match watcher {
            // Sessions of a user are on its home core.
            Some(watcher) if is_guarded == before.is_guarded() => {
                1 << home_core(watcher, self.config.cores)
            }
            _ => u64::MAX,
        };
        let mut cores = cores & cores_of_watcher;
        while cores != 0 {
            let core = cores.trailing_zeros() as CoreId;
            cores &= cores - 1;
            let letter = PeopleLetter::AskAgain { user, watcher, is_guarded };
            self.post_to_core(core, letter.into(), fx);
        }
    }
}

impl From<PeopleLetter> for Letter {
    fn from(letter: PeopleLetter) -> Self {
        Letter::People(Box::new(letter))
    }
}
