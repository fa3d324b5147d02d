//! Who may see what of a person: asked by the watcher's core, answered by the person's home.
//!
//! ```text
//! watcher's core                                person's home
//!   a person whose presence is guarded
//!     └── MayI ─────────────────────────────► the conversation with the watcher, loaded if it isn't here
//!   shown as far as allowed ◄────── May ─────────┘
//!   asks again ◄────────────── AskAgain ─────── privacy, a block, a contact, the first message, a group changed it
//! ```
//!
//! Where it depends on whether they are in a group together, the answer brings the groups whose members the person
//! knows, and the watcher's core, which has those of the watcher, compares them.
//!
//! Who may see what was read is asked the other way round: the reader's core asks the author's home for the groups of
//! the author.
//!
//! Somebody who shows everything to everybody is never asked about.

use super::super::conversation::{Action, Conversation};
use super::super::group::Asker;
use super::super::presence::each;
use super::super::record::Face;
use super::super::seam::{ConnId, GroupId, LogId, Seen, UserId};
use super::super::{Effects, Letter, Shard, home_core};
use super::letter::{May, PeopleLetter};
use crate::faults::{Fault, is_planted};
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

/// Something that a session's user may see, or be seen of, if somebody's home says so.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Question {
    /// What may it see of this person?
    Watch { conn: ConnId, user: UserId },
    /// Is this author in a group with it, and so may see what it read?
    Reads { conn: ConnId, author: UserId },
}

/// Questions of the sessions of one core.
#[derive(Debug, Default)]
pub(in super::super) struct Questions {
    /// Under way.
    asked: usize,
    /// Those that wait, in their order; each counts among the session's questions.
    waiting: std::collections::VecDeque<Question>,
}

impl Shard {
    /// A session must know what it may see of a person, or who may see what it read.
    pub(in super::super) fn ask_permission(&mut self, question: Question, fx: &mut Effects) {
        let (Question::Watch { conn, .. } | Question::Reads { conn, .. }) = question;
        let Some(session) = self.session(conn) else { return };
        session.asking += 1;
        self.questions.waiting.push_back(question);
        self.ask_permissions(fx);
    }

    fn ask_permissions(&mut self, fx: &mut Effects) {
        while self.questions.asked < PERMISSIONS_ASKED_MAX
            && let Some(question) = self.questions.waiting.pop_front()
        {
            let core = self.config.core;
            let (Question::Watch { conn, .. } | Question::Reads { conn, .. }) = question;
            let Some(session) = self.session(conn) else { continue };
            let asker = Asker { core, conn, user: session.user };
            self.questions.asked += 1;
            let (user, letter) = match question {
                Question::Watch { user, .. } => (user, PeopleLetter::MayI { user, asker }),
                Question::Reads { author: user, .. } => {
                    (user, PeopleLetter::WhichGroups { user, asker })
                }
            };
            self.post(user, letter.into(), fx);
        }
    }

    /// The answer to a question came; `false` if the session that asked is gone.
    fn permission_came(&mut self, conn: ConnId, fx: &mut Effects) -> bool {
        self.questions.asked -= 1;
        self.ask_permissions(fx);
        self.is_told_what_it_asked(conn)
    }

    /// The groups whose members the user knows whose inbox this is, as far as it is in memory.
    pub(super) fn groups_of(&self, log: LogId) -> Box<[GroupId]> {
        let slot = self.loaded_owner(log);
        slot.map_or(Box::default(), |slot| self.users[slot].record.groups.own_doing().into())
    }

    /// Whether a session's user is in one of these groups, which are sorted by number.
    pub(super) fn is_in_any(&mut self, conn: ConnId, groups: &[GroupId]) -> bool {
        let slot = self.session(conn).map(|session| session.user_slot);
        slot.is_some_and(|slot| self.users[slot].record.groups.is_in_any(groups))
    }

    /// A watcher asks what it may see of a person of this core.
    pub(super) fn may_watch(&mut self, user: UserId, asker: Asker, fx: &mut Effects) {
        let Some(face) = self.people.face(user) else {
            // It is no longer watched.
            self.answer_may(user, asker, May::NOTHING, None, fx);
            return;
        };
        if face.is_guarded() && asker.user != user {
            let action = Action::May { asker, needs_groups: face.is_for_known() };
            self.with_conversation(LogId::Inbox(user), asker.user, action, fx);
        } else {
            self.answer_may(user, asker, May::ALL, None, fx);
        }
    }

    /// The conversation with the watcher is here.
    pub(in super::super) fn judge_watcher(&mut self, slot: u32, asker: Asker, fx: &mut Effects) {
        let Conversation { log, ref record, .. } = self.conversations[slot];
        let Some(user) = log.user() else { return };
        let ties = record.ties;
        let Some(face) = self
            .people
            .face(user)
            .filter(|_| !ties.blocks || is_planted(Fault::BlockedSeesPresence))
        else {
            self.answer_may(user, asker, May::NOTHING, None, fx);
            return;
        };
        let may = |is_known| May {
            last_seen: face.last_seen.includes(is_known) || is_planted(Fault::HiddenIsSeen),
            online: face.online.includes(is_known),
            profile: true,
        };
        let (may, to_mates) = (may(ties.is_known()), may(true));
        let mates = (may != to_mates).then(|| (self.groups_of(log), to_mates));
        self.answer_may(user, asker, may, mates, fx);
    }

    fn answer_may(
        &mut self,
        user: UserId,
        asker: Asker,
        may: May,
        mates: Option<(Box<[GroupId]>, May)>,
        fx: &mut Effects,
    ) {
        let letter = PeopleLetter::May { conn: asker.conn, user, may, mates };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    /// The person's home says what a session may see.
    pub(super) fn permitted(
        &mut self,
        conn: ConnId,
        user: UserId,
        may: May,
        mates: Option<(Box<[GroupId]>, May)>,
        fx: &mut Effects,
    ) {
        if !self.permission_came(conn, fx) {
            return;
        }
        let is_by_groups = mates.is_some();
        let may = match mates {
            Some((groups, to_mates)) if self.is_in_any(conn, &groups) => to_mates,
            _ => may,
        };
        self.watch_permitted(conn, user, may, is_by_groups, fx);
    }

    /// A reader wants to know which groups an author is in, to show it what it read.
    pub(in super::super) fn tell_groups_of(&mut self, slot: u32, asker: Asker, fx: &mut Effects) {
        let log = self.conversations[slot].log;
        let (Some(user), Some(owner)) = (log.user(), self.loaded_owner(log)) else { return };
        let groups = self.users[owner].record.groups.present().into();
        let letter = PeopleLetter::Groups { conn: asker.conn, user, groups };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    /// An author's home says which groups the author is in. If the reader wrote to one of them it knows the author,
    /// which then sees what was read.
    pub(super) fn perhaps_mates(
        &mut self,
        conn: ConnId,
        author: UserId,
        groups: &[GroupId],
        fx: &mut Effects,
    ) {
        if !self.permission_came(conn, fx) {
            return;
        }
        let Some(session) = self.session(conn) else { return };
        let (reader, slot) = (session.user, session.user_slot);
        let own = self.users[slot].record.groups.own_doing();
        if own.iter().any(|group| groups.binary_search(group).is_ok()) {
            self.with_conversation(LogId::Inbox(reader), author, Action::ShowRead, fx);
        }
    }

    /// A user came into a group or left it: what its sessions may see of members has changed.
    pub(in super::super) fn may_see_more(&mut self, slot: u32, fx: &mut Effects) {
        for index in 0..self.users[slot].sessions.len() {
            let (_, conn) = self.users[slot].sessions[index];
            self.ask_for_watched(conn, fx);
        }
    }

    /// A user knows the members of a group from now on, or no more: what they may see of it has changed.
    pub(in super::super) fn is_known_to_others(&mut self, slot: u32, fx: &mut Effects) {
        let (user, face) = (self.users[slot].id, self.users[slot].record.face);
        if face.is_for_known() {
            self.change_permissions(user, None, face, fx);
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
        let cores = cores & cores_of_watcher;
        for core in each(cores) {
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
