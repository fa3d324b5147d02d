//! Groups: what they are, and how far this user and the other members are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fulmar_protocol::group::Action;
use fulmar_protocol::limits::{RESUME_MAX, WHO_MAX};

use crate::group::{GroupChange, Receipt, Role};
use crate::limits::QUESTIONS_MAX;
use crate::message::MessageId;
use crate::store::{GroupState, Write};

/// A page of members that was asked for.
#[derive(Debug, Clone, Copy)]
struct Looking {
    after: u64,
    /// The group's last position when the first page was told; 0 before.
    head: u64,
    /// How far this device had the group when it was asked: the answer's head isn't less.
    had: u64,
    /// Something happened since: what comes is ignored, and asked for again from the first on.
    is_stale: bool,
}

/// All groups of the device; as many as the store has.
#[derive(Debug)]
pub(super) struct Groups {
    states: BTreeMap<u64, GroupState>,
    /// Groups whose `seen` has to be told on this connection.
    reads_due: BTreeSet<u64>,
    /// Groups from which this connection has to be resumed.
    resumes_due: BTreeSet<u64>,
    /// The first resumption of this connection is still due, even if it names no group.
    is_first_due: bool,
    /// Questions of this connection what a group is, and after which member.
    looks_due: VecDeque<(u64, u64)>,
    /// Groups that were asked for, and the page that is awaited.
    looking: BTreeMap<u64, Looking>,
    /// Questions of the program how far which members are: group, position, after.
    asks_due: VecDeque<(u64, u64, u64)>,
    /// Groups in which the user is again, on this connection, and of which nothing came since.
    rejoined: BTreeSet<u64>,
    /// Groups of which the server lost what lies above a position; they go back with the next connection.
    went_back: BTreeMap<u64, u64>,
    /// Those without an answer.
    asked: VecDeque<(u64, u64, u64)>,
}

impl Groups {
    pub(super) fn new(states: Vec<GroupState>) -> Self {
        Groups {
            states: states.into_iter().map(|state| (state.group, state)).collect(),
            reads_due: BTreeSet::new(),
            resumes_due: BTreeSet::new(),
            is_first_due: false,
            looks_due: VecDeque::new(),
            looking: BTreeMap::new(),
            asks_due: VecDeque::new(),
            rejoined: BTreeSet::new(),
            went_back: BTreeMap::new(),
            asked: VecDeque::new(),
        }
    }

    /// What is known of a group, if it is one of this user's.
    pub(super) fn get(&self, group: u64) -> Option<&GroupState> {
        self.states.get(&group)
    }

    /// The state of a group, which begins now if it is new.
    pub(super) fn state(&mut self, group: u64) -> &mut GroupState {
        self.states.entry(group).or_insert_with(|| GroupState::new(group))
    }

    /// A connection begins: every group is resumed, every unconfirmed READ told again, and what isn't
    /// known is asked for.
    pub(super) fn begin(&mut self) {
        let members = || self.states.values().filter(|state| !state.is_gone);
        self.resumes_due = members().map(|state| state.group).collect();
        self.reads_due = members()
            .filter(|state| state.seen > state.seen_confirmed)
            .map(|state| state.group)
            .collect();
        self.looks_due = members()
            .filter(|state| state.roles_at == 0 && state.cursor > 0)
            .map(|state| (state.group, 0))
            .collect();
        self.is_first_due = true;
    }

    /// Asks of every group what it is: the server lost data.
    pub(super) fn look_at_all(&mut self) {
        let members = self.states.values().filter(|state| !state.is_gone);
        for group in members.map(|state| state.group).collect::<Vec<_>>() {
            self.look(group);
        }
    }

    /// The server has a group only up to `head`, which is less than this device has.
    pub(super) fn lost(&mut self, group: u64, head: u64) {
        self.went_back.insert(group, head);
    }

    /// The groups of which that was found, and up to where the server has them: their states go back.
    pub(super) fn go_back(&mut self) -> BTreeMap<u64, u64> {
        let all = std::mem::take(&mut self.went_back);
        for (&group, &head) in &all {
            let state = self.state(group);
            state.cursor = head;
            state.roles_at = 0;
            state.own_last = state.own_last.min(head);
            state.seen = state.seen.min(head);
            state.seen_confirmed = state.seen_confirmed.min(head);
            state.receipt = Receipt::default();
            if state.filled_from > head {
                state.filled_from = 0;
            }
        }
        all
    }

    /// Groups whose newest own entry isn't read by all yet, the newest first.
    pub(super) fn unread(&self) -> impl Iterator<Item = u64> + use<> {
        let unread = self.states.values().filter(|state| is_unread(state));
        let mut all: Vec<_> = unread.map(|state| (state.last, state.group)).collect();
        all.sort_unstable();
        all.into_iter().rev().map(|(_, group)| group)
    }

    /// Whether this is one of them.
    pub(super) fn is_unread(&self, group: u64) -> bool {
        self.states.get(&group).is_some_and(is_unread)
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.reads_due.clear();
        self.resumes_due.clear();
        self.is_first_due = false;
        self.looks_due.clear();
        self.looking.clear();
        self.asks_due.clear();
        self.rejoined.clear();
        self.asked.clear();
    }

    /// The groups of the next resumption, if one is due.
    pub(super) fn next_resumption(&mut self) -> Option<Vec<u64>> {
        if self.resumes_due.is_empty() && !self.is_first_due {
            return None;
        }
        self.is_first_due = false;
        let groups: Vec<_> = self.resumes_due.iter().copied().take(RESUME_MAX).collect();
        for group in &groups {
            self.resumes_due.remove(group);
        }
        Some(groups)
    }

    /// The group is to be resumed on this connection.
    pub(super) fn resume(&mut self, group: u64) {
        self.resumes_due.insert(group);
    }

    /// A message of the group came or was written.
    pub(super) fn met(&mut self, group: u64, id: MessageId) {
        let state = self.state(group);
        state.last = state.last.newer(id);
    }

    /// An own entry is durable with the server.
    pub(super) fn sent(&mut self, group: u64, position: u64) {
        let state = self.state(group);
        state.own_last = state.own_last.max(position);
    }

    /// The person saw the group up to `position` on this device, which has it up to `stored`; whether
    /// that was new.
    pub(super) fn saw(&mut self, group: u64, position: u64, stored: u64) -> bool {
        let Some(state) = self.states.get_mut(&group) else { return false };
        let position = position.min(stored);
        if position <= state.seen {
            return false;
        }
        state.seen = position;
        if !state.is_gone {
            self.reads_due.insert(group);
        }
        true
    }

    /// The server has it that the person saw the group up to `position`: whether anything of the state
    /// changed, and whether the person had seen less here.
    pub(super) fn read(&mut self, group: u64, position: u64) -> (bool, bool) {
        let Some(state) = self.states.get_mut(&group) else { return (false, false) };
        let (is_new, is_confirmed) = (position > state.seen, position > state.seen_confirmed);
        state.seen = state.seen.max(position);
        state.seen_confirmed = state.seen_confirmed.max(position);
        (is_new || is_confirmed, is_new)
    }

    /// The next READ that is due: group and position.
    pub(super) fn next_read(&mut self) -> Option<(u64, u64)> {
        let group = self.reads_due.pop_first()?;
        Some((group, self.state(group).seen))
    }

    /// An entry of the group came, so the user is a member, perhaps again; whether the other members
    /// aren't known, nor asked for.
    pub(super) fn is_member_again(&mut self, group: u64) -> bool {
        if self.get(group).is_some_and(|state| state.is_gone) {
            self.added(group);
        }
        self.state(group).roles_at == 0 && !self.looking.contains_key(&group)
    }

    /// The user is a member again. Who else came and went meanwhile wasn't told.
    pub(super) fn added(&mut self, group: u64) {
        let state = self.state(group);
        (state.is_gone, state.roles_at) = (false, 0);
        self.rejoined.insert(group);
    }

    /// Whether the user became a member again, and nothing of the group came since.
    pub(super) fn take_rejoined(&mut self, group: u64) -> bool {
        self.rejoined.remove(&group)
    }

    /// Something about the members isn't known: asks from the first on.
    pub(super) fn look(&mut self, group: u64) {
        if let Some(looking) = self.looking.get_mut(&group) {
            looking.is_stale = true;
        } else if !self.looks_due.iter().any(|&(due, _)| due == group) {
            self.looks_due.push_back((group, 0));
        }
    }

    /// The next question what a group is: the group, and after which member.
    pub(super) fn next_look(&mut self) -> Option<(u64, u64)> {
        let (group, after) = self.looks_due.pop_front()?;
        let first = Looking { after, head: 0, had: 0, is_stale: false };
        self.looking.entry(group).or_insert(first).after = after;
        Some((group, after))
    }

    /// A question what a group is goes out, while this device has the group up to `had`.
    pub(super) fn looks(&mut self, group: u64, had: u64) {
        if let Some(looking) = self.looking.get_mut(&group) {
            looking.had = had;
        }
    }

    /// Whether the server has less of a group than this device had when it asked.
    pub(super) fn is_behind(&self, group: u64, head: u64) -> bool {
        self.looking.get(&group).is_some_and(|looking| head < looking.had)
    }

    /// The program asks how far which members are.
    pub(super) fn ask(&mut self, group: u64, position: u64, after: u64) {
        if self.asks_due.len() + self.asked.len() < QUESTIONS_MAX {
            self.asks_due.push_back((group, position, after));
        }
    }

    /// The next of these questions.
    pub(super) fn next_ask(&mut self) -> Option<(u64, u64, u64)> {
        let question = self.asks_due.pop_front()?;
        self.asked.push_back(question);
        Some(question)
    }

    /// Whether a receipt about this entry answers such a question, which is answered with that. One that tells no
    /// members, though there are some, answers only a question for those behind the last one; it may have come
    /// by itself.
    pub(super) fn take_question(&mut self, group: u64, position: u64, tells_members: bool) -> bool {
        let is_it = |&(of, about, after): &(u64, u64, u64)| {
            (of, about) == (group, position) && (tells_members || after > 0)
        };
        let question = self.asked.iter().position(is_it);
        question.and_then(|index| self.asked.remove(index)).is_some()
    }

    /// A page of members came. The writes that follow, and whether it was the last page. A page that was
    /// told before a change that is known already is asked for again.
    pub(super) fn page(
        &mut self,
        told: &fulmar_protocol::group::GroupState<'_>,
    ) -> Option<(Vec<Write>, bool)> {
        let group = told.group;
        let state = self.states.get_mut(&group)?;
        let looking = self.looking.get_mut(&group)?;
        if looking.is_stale || told.head < state.roles_at.max(looking.head) {
            self.looking.remove(&group);
            self.look(group);
            return None;
        }
        if looking.head == 0 {
            looking.head = told.head;
        }
        state.name = renewed(&state.name, told.name);
        state.info = renewed(&state.info, told.info);
        let (after, count) = (looking.after, told.roles.iter().count());
        // What isn't of this page would stand in the store already.
        let of_page = told.roles.iter().filter(|(user, _)| *user > after);
        let roles: Vec<_> = of_page.map(|(user, role)| (user, Role::from_number(role))).collect();
        if let Some((owner, _)) = roles.iter().find(|(_, role)| *role == Role::Owner) {
            state.owner = *owner;
        }
        let is_last = count < WHO_MAX || roles.is_empty();
        let through = match roles.last() {
            Some((user, _)) if !is_last => *user,
            _ => u64::MAX,
        };
        if is_last {
            state.roles_at = looking.head;
            self.looking.remove(&group);
        } else {
            self.looks_due.push_back((group, through));
        }
        let writes =
            vec![Write::Roles { group, after, through, roles }, Write::Group(state.clone())];
        Some((writes, is_last))
    }

    /// The log told a change that `author` made. The writes about members that follow.
    pub(super) fn changed(
        &mut self,
        group: u64,
        position: u64,
        author: u64,
        change: &GroupChange,
    ) -> Vec<Write> {
        let told = self.looking.get(&group).map_or(0, |looking| looking.head);
        let state = self.state(group);
        if position <= state.roles_at.max(told) {
            return Vec::new();
        }
        if state.roles_at > 0 {
            state.roles_at = position;
        }
        self.apply(group, author, change)
    }

    /// This device made this change. Changes of others before it may not have come yet, so who is in
    /// the group is asked for, but for a group that was just made.
    pub(super) fn changed_here(
        &mut self,
        group: u64,
        position: u64,
        author: u64,
        change: &GroupChange,
    ) -> Vec<Write> {
        if change.action == Action::Create {
            self.state(group).roles_at = position;
        } else if !matches!(change.action, Action::Leave | Action::Delete) {
            self.look(group);
        }
        self.apply(group, author, change)
    }

    fn apply(&mut self, group: u64, author: u64, change: &GroupChange) -> Vec<Write> {
        let set = |user: u64, role: Option<Role>| Write::Roles {
            group,
            after: user.saturating_sub(1),
            through: user,
            roles: role.map(|role| (user, role)).into_iter().collect(),
        };
        let all = |role: Option<Role>| change.users.iter().map(|&user| set(user, role)).collect();
        let state = self.state(group);
        match change.action {
            Action::Create => {
                state.name = renewed(&state.name, &change.value);
                state.owner = author;
                let mut writes: Vec<_> = all(Some(Role::Member));
                writes.push(set(author, Some(Role::Owner)));
                writes
            }
            Action::Rename => {
                state.name = renewed(&state.name, &change.value);
                Vec::new()
            }
            Action::Describe => {
                state.info = renewed(&state.info, &change.value);
                Vec::new()
            }
            Action::Add | Action::Demote => all(Some(Role::Member)),
            Action::Remove => all(None),
            Action::Promote => all(Some(Role::Admin)),
            Action::Leave => {
                // Who follows an owner is the server's choice.
                if state.owner == author {
                    state.owner = 0;
                    self.look(group);
                }
                vec![set(author, None)]
            }
            Action::HandOver => {
                state.owner = change.users.first().copied().unwrap_or(0);
                self.look(group);
                all(Some(Role::Owner))
            }
            Action::Delete => {
                vec![Write::Roles { group, after: 0, through: u64::MAX, roles: Vec::new() }]
            }
            Action::ShowHistory => Vec::new(),
        }
    }

    /// A receipt about an own entry; whether anything was new.
    pub(super) fn receipt(&mut self, group: u64, receipt: &Receipt) -> bool {
        self.states.get_mut(&group).is_some_and(|state| {
            if receipt.position == state.own_last && state.receipt.position > state.own_last {
                // What was told before was about somebody else's entry.
                state.receipt = Receipt { position: 0, ..state.receipt };
            }
            state.receipt.merge(receipt)
        })
    }

    /// The user is a member no more; whether that is new.
    pub(super) fn gone(&mut self, group: u64) -> bool {
        self.reads_due.remove(&group);
        self.looking.remove(&group);
        self.looks_due.retain(|&(due, _)| due != group);
        self.asks_due.retain(|&(due, ..)| due != group);
        self.asked.retain(|&(asked, ..)| asked != group);
        let Some(state) = self.states.get_mut(&group) else { return false };
        !std::mem::replace(&mut state.is_gone, true)
    }
}

/// Whether the newest own entry of a group, in which the user is, isn't read by all, as far as that is known.
fn is_unread(state: &GroupState) -> bool {
    let receipt = &state.receipt;
    let is_known = receipt.position == state.own_last && receipt.members == receipt.read;
    !state.is_gone && state.own_last > receipt.read_all && !is_known
}

/// The new bytes, in their old place if they are the same.
fn renewed(old: &Arc<[u8]>, new: &[u8]) -> Arc<[u8]> {
    if **old == *new { old.clone() } else { Arc::from(new) }
}
