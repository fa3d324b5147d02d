//! Judges edits, deletions and reactions between two users: what is ticked refers to a message that there
//! was, in the direction that it says, and nothing else is refused for that.
//!
//! Ordinals have no holes, so there was a message in the own direction if its ordinal is smaller than that of
//! what refers to it; in the other one, if it was written by the time of the tick.

use super::facts::{Answer, Facts, Sent};
use super::identity::{Direction, MessageId};
use super::violation::{Promise, Tally};
use super::wording::{Reference, Way, Wording};

/// The body isn't what its content says.
pub(super) const BAD_CONTENT: u16 = 308;
/// The message that is meant isn't there.
pub(super) const NO_SUCH_MESSAGE: u16 = 309;

/// Judges all that was ticked.
pub(super) fn judge(facts: &Facts, tally: &mut Tally) {
    let mut all: Vec<_> = facts.sent.iter().collect();
    all.sort_by_key(|(_, sent)| sent.sequence);
    for (id, sent) in all {
        let Answer::Ticked { ordinal, sequence } = sent.answer else { continue };
        let wrong = match sent.wording {
            Wording::Malformed => "is malformed".to_owned(),
            Wording::Refers(Reference { way, target }) => {
                let exists = match way {
                    Way::ReactToPeer => {
                        known(facts, backward(*id), target).is_some_and(|it| it.sequence < sequence)
                    }
                    _ => target < ordinal,
                };
                if exists {
                    continue;
                }
                format!("refers to ordinal {target} ({way:?}), which there wasn't")
            }
            _ => continue,
        };
        tally.add(Promise::Protocol, format!("{id}, ticked as ordinal {ordinal}, {wrong}"));
    }
}

/// Whether the refusal of a send is one that its content deserves.
pub(super) fn is_deserved(facts: &Facts, id: MessageId, sent: &Sent, code: u16) -> bool {
    match (code, sent.wording) {
        (BAD_CONTENT, Wording::Malformed) => true,
        (NO_SUCH_MESSAGE, Wording::Refers(Reference { way, target })) => {
            let direction = if way == Way::ReactToPeer { backward(id) } else { id.direction() };
            let target = known(facts, direction, target);
            let was_there = |target: &Sent| match target.answer {
                Answer::Ticked { sequence, .. } => sequence < sent.sequence,
                _ => false,
            };
            !target.is_some_and(was_there)
        }
        _ => false,
    }
}

/// The send that has an ordinal.
fn known(facts: &Facts, direction: Direction, ordinal: u64) -> Option<&Sent> {
    facts.sent.get(&facts.ordinals.at(direction, ordinal)?)
}

/// The direction of what comes back.
fn backward(id: MessageId) -> Direction {
    Direction { author: id.peer, reader: id.author.user }
}
