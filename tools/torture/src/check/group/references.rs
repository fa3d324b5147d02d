//! Judges edits, deletions and reactions in groups: what is ticked refers to a message that its author may
//! read and change, and nothing else is refused for that.

use std::collections::BTreeMap;

use super::super::facts::Answer;
use super::super::identity::MessageId;
use super::super::references::{BAD_CONTENT, NO_SUCH_MESSAGE};
use super::super::violation::{Promise, Tally};
use super::super::wording::{Reference, Way, Wording};
use super::log::{GroupFacts, Held, Sent, Stay};
use super::roles::{Role, Roles};

/// The message that is meant is another member's.
const NOT_YOURS: u16 = 310;

/// Judges what was ticked at one place of a group's log.
pub(super) fn judge(
    facts: &GroupFacts,
    group: u64,
    log: &BTreeMap<u64, Held>,
    (position, held): (u64, &Held),
    roles: &Roles,
    tally: &mut Tally,
) {
    let sent = held.id.and_then(|id| facts.sent.get(&id));
    let Some(wording) = sent.map(|sent| sent.wording) else { return };
    let wrong = match wording {
        Wording::Malformed => Some("is malformed".to_owned()),
        Wording::Refers(reference) => {
            wrong_with(facts, group, log, (position, held), reference, roles)
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        let text = format!("group {group}: position {position}, by {}, {wrong}", held.author);
        tally.add(Promise::Protocol, text);
    }
}

/// What is wrong with a ticked reference.
fn wrong_with(
    facts: &GroupFacts,
    group: u64,
    log: &BTreeMap<u64, Held>,
    (position, held): (u64, &Held),
    Reference { way, target }: Reference,
    roles: &Roles,
) -> Option<String> {
    let says = |what: &str| Some(format!("refers to position {target} ({way:?}), {what}"));
    let Some(meant) = log.get(&target).filter(|_| target < position) else {
        return says("which there wasn't");
    };
    if meant.change.is_some() {
        return says("which is a change");
    }
    if !facts.stays_of(group, held.author).iter().any(|stay| stay.shows(target)) {
        return says("which its author may not read");
    }
    let is_own = meant.author == held.author;
    let may = match way {
        Way::Edit => is_own,
        Way::Delete => is_own || roles.may_be(held.author, Role::Admin),
        Way::React | Way::ReactToPeer => true,
    };
    if may { None } else { says("which is another member's") }
}

/// Whether the refusal of a send is one that its content deserves.
pub(super) fn is_deserved(
    facts: &GroupFacts,
    id: MessageId,
    sent: &Sent,
    (code, sequence): (u16, u64),
) -> bool {
    let Wording::Refers(Reference { way, target }) = sent.wording else {
        return code == BAD_CONTENT && sent.wording == Wording::Malformed;
    };
    let log = facts.logs.get(&id.peer);
    let Some(meant) = log.and_then(|log| log.get(&target)) else { return code == NO_SUCH_MESSAGE };
    match code {
        NO_SUCH_MESSAGE => !was_there(facts, id, sent.sequence, sequence, (target, meant)),
        // Who may delete what others wrote depends on a role, which may have changed meanwhile.
        NOT_YOURS => meant.author != id.author.user && matches!(way, Way::Edit | Way::Delete),
        _ => false,
    }
}

fn sent_of<'a>(facts: &'a GroupFacts, held: &Held) -> Option<&'a Sent> {
    facts.sent.get(&held.id?)
}

/// Whether a message was there, and for this member, all the time between two lines.
fn was_there(
    facts: &GroupFacts,
    id: MessageId,
    from: u64,
    through: u64,
    (target, meant): (u64, &Held),
) -> bool {
    let answer = sent_of(facts, meant).map(|sent| sent.answer);
    let was_ticked = matches!(answer, Some(Answer::Ticked { sequence, .. }) if sequence < from);
    let was_member =
        |stay: &Stay| stay.holds(target) && stay.begin_ticked < from && stay.end_written > through;
    let stays = facts.stays_of(id.peer, id.author.user);
    let disappears =
        sent_of(facts, meant).is_some_and(|sent| matches!(sent.wording, Wording::Disappearing(_)));
    meant.change.is_none() && !disappears && was_ticked && stays.iter().any(was_member)
}
