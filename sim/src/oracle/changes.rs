//! What became of messages on a device: each is as everything that refers to it says, whatever came first. So all
//! devices that have the same agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulmar_client::{Message, State};
use fulmar_protocol::content::{self, Content};
use fulmar_protocol::group::CONTENT_CHANGE;

use super::{Complaint, Oracle};
use crate::coverage::Happening;

/// A message of a device: its group, or the peer and whether it is the user's own; and its ordinal or position.
type Place = (Option<u64>, u64, bool, u64);

/// What the entries that a device has make of a message.
#[derive(Debug, Default)]
struct Changes {
    is_deleted: bool,
    /// Ordinal, body and time of the last edit.
    edit: Option<(u64, Arc<[u8]>, u64)>,
    /// By user: ordinal and body of the last one.
    reactions: BTreeMap<u64, (u64, Arc<[u8]>)>,
}

fn place_of(message: &Message, is_own: bool, ordinal: u64) -> Place {
    match message.group {
        Some(group) => (Some(group), 0, false, ordinal),
        None => (None, message.peer, is_own, ordinal),
    }
}

/// A message's content, and what is in it if it disappears.
fn content_of(message: &Message) -> Option<Content<'_>> {
    let in_group = message.group.is_some();
    Content::parse(message.content, &message.body, in_group).ok()?.inner(in_group).ok()
}

impl Changes {
    fn take(&mut self, entry: &Message, ordinal: u64, content: Content<'_>) {
        match content {
            Content::Delete { .. } => self.is_deleted = true,
            Content::Edit { body, .. }
                if self.edit.as_ref().is_none_or(|(last, ..)| *last < ordinal) =>
            {
                self.edit = Some((ordinal, Arc::from(body), entry.time_ms));
            }
            Content::Reaction { body, .. } => {
                let is_own = entry.group.is_none() && entry.state.is_own();
                let who = if is_own { 0 } else { entry.peer };
                let last = self.reactions.entry(who).or_default();
                if last.0 < ordinal {
                    *last = (ordinal, Arc::from(body));
                }
            }
            _ => {}
        }
    }

    /// Whether a message is as they say.
    fn are_made(&self, message: &Message) -> bool {
        let made = &message.changes;
        if self.is_deleted {
            let is_bare = made.edited.is_none() && made.reactions.is_empty();
            return made.is_deleted && is_bare && message.body.is_empty();
        }
        let edited = self.edit.as_ref().map(|(_, body, time_ms)| (body, *time_ms));
        let is_edited = made.edited.as_ref().map(|(body, time_ms)| (body, *time_ms)) == edited
            // An edit of what disappears does so itself, and on a clock that jumped back does so first.
            || (message.content == content::DISAPPEARING && made.edited.is_some());
        let given = self.reactions.iter().filter(|(_, (_, body))| !body.is_empty());
        !made.is_deleted
            && is_edited
            && given
                .map(|(who, (_, body))| (who, body))
                .eq(made.reactions.iter().map(|it| (&it.0, &it.1)))
    }
}

impl Oracle {
    /// The messages of a device's store, once everything is at rest.
    pub(crate) fn judge_changes<'a>(
        &mut self,
        (user, device): (u64, u16),
        messages: impl Iterator<Item = &'a Message> + Clone,
    ) {
        let mut changes: BTreeMap<Place, Changes> = BTreeMap::new();
        let is_taken = |it: &&Message| matches!(it.state, State::Received | State::Sent);
        let placed = messages.filter(is_taken).filter_map(|it| Some((it, it.ordinal?)));
        for (entry, ordinal) in placed.clone() {
            let Some(content) = content_of(entry) else { continue };
            let Some(target) = content.target() else { continue };
            let is_own = entry.state.is_own() != target.of_peer;
            let place = place_of(entry, is_own, target.place);
            changes.entry(place).or_default().take(entry, ordinal, content);
        }
        let untouched = Changes::default();
        for (message, ordinal) in placed {
            if content_of(message).is_some_and(|content| content.target().is_some()) {
                // What refers to something is nothing to be changed.
                continue;
            }
            let place = place_of(message, message.state.is_own(), ordinal);
            let due = match message.content {
                // What refers to one of these is ignored.
                content::TIMER | CONTENT_CHANGE => &untouched,
                _ => changes.get(&place).unwrap_or(&untouched),
            };
            if message.changes.edited.is_some() || message.changes.is_deleted {
                self.hit(Happening::Changed);
            }
            if !due.are_made(message) {
                let detail = format!(
                    "device {device} of {user} has {message:?}, where {due:?} was to be made of it"
                );
                self.judge(Err(Complaint("all devices agree what became of a message", detail)));
                return;
            }
        }
    }
}
