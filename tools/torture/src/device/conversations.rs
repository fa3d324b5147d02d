//! What the device knows of each conversation: how far the person read, and what it was told about
//! its own messages.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits::ASK_AGAIN;

#[derive(Debug, Default)]
struct Conversation {
    /// Ordinal of the peer's last message that is shown here.
    shown: u64,
    /// Up to here the server was told that the person read.
    read: u64,
    /// Ordinal of this user's last message that the device knows of.
    own: u64,
    /// Up to here the peer read, as the server told.
    read_by_peer: u64,
    asked: Asked,
}

/// Whether a receipt was asked for on this connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    /// It has to be asked for.
    Due,
    /// It was, and no answer came.
    At(Instant),
}

/// All conversations of a device, by peer.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    by_peer: BTreeMap<u64, Conversation>,
}

impl Conversations {
    /// A message of the peer is shown.
    pub(super) fn shown(&mut self, peer: u64, ordinal: u64) {
        let conversation = self.by_peer.entry(peer).or_default();
        conversation.shown = conversation.shown.max(ordinal);
    }

    /// This user wrote a message, here or on another device.
    pub(super) fn wrote(&mut self, peer: u64, ordinal: u64) {
        let conversation = self.by_peer.entry(peer).or_default();
        conversation.own = conversation.own.max(ordinal);
    }

    /// Ordinals of the newest message of this user and of the newest one of the peer.
    pub(super) fn known(&self, peer: u64) -> (u64, u64) {
        let known = self.by_peer.get(&peer);
        known.map_or((0, 0), |conversation| (conversation.own, conversation.shown))
    }

    /// The person sees the conversation; the ordinal to tell, if that is news.
    pub(super) fn see(&mut self, peer: u64) -> Option<u64> {
        let conversation = self.by_peer.get_mut(&peer)?;
        let is_news = conversation.shown > conversation.read;
        conversation.read = conversation.shown;
        is_news.then_some(conversation.read)
    }

    /// A receipt came for what this user wrote.
    pub(super) fn receipt(&mut self, peer: u64, read: u64) {
        let conversation = self.by_peer.entry(peer).or_default();
        conversation.read_by_peer = conversation.read_by_peer.max(read);
        conversation.asked = Asked::No;
    }

    /// A connection begins: what has to be asked is each conversation whose newest own message isn't
    /// read as far as the device knows, or, with `all`, each that has an own message.
    pub(super) fn begin(&mut self, all: bool) {
        for conversation in self.by_peer.values_mut() {
            let is_open = conversation.own > conversation.read_by_peer;
            let is_due = is_open || (all && conversation.own > 0);
            conversation.asked = if is_due { Asked::Due } else { Asked::No };
        }
    }

    /// What was read, by peer: all of it has to be told to each new connection, for an earlier one
    /// may have lost it.
    pub(super) fn all_read(&self) -> impl Iterator<Item = (u64, u64)> {
        let read = self.by_peer.iter().filter(|(_, conversation)| conversation.read > 0);
        read.map(|(&peer, conversation)| (peer, conversation.read))
    }

    /// The next peer to ask about, again if the last question had no answer for long.
    pub(super) fn next_ask(&mut self, now: Instant) -> Option<u64> {
        let is_due = |asked: Asked| match asked {
            Asked::No => false,
            Asked::Due => true,
            Asked::At(when) => now.duration_since(when) >= ASK_AGAIN,
        };
        let (&peer, conversation) =
            self.by_peer.iter_mut().find(|(_, conversation)| is_due(conversation.asked))?;
        conversation.asked = Asked::At(now);
        Some(peer)
    }

    /// Whether every question was asked and answered.
    pub(super) fn is_answered(&self) -> bool {
        self.by_peer.values().all(|conversation| conversation.asked == Asked::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_asked_once_per_connection() {
        let mut conversations = Conversations::default();
        conversations.wrote(4, 2);
        conversations.wrote(5, 1);
        conversations.receipt(5, 1);
        conversations.shown(6, 1);
        let now = Instant::now();
        assert_eq!(conversations.next_ask(now), None);
        conversations.begin(false);
        assert_eq!(conversations.next_ask(now), Some(4));
        assert_eq!(conversations.next_ask(now), None);
        assert!(!conversations.is_answered());
        assert_eq!(conversations.next_ask(now + ASK_AGAIN), Some(4));
        conversations.receipt(4, 0);
        assert!(conversations.is_answered());
        conversations.begin(true);
        assert_eq!(conversations.next_ask(now), Some(4));
        assert_eq!(conversations.next_ask(now), Some(5));
    }

    #[test]
    fn reading_is_told_when_it_is_news_and_to_each_connection() {
        let mut conversations = Conversations::default();
        assert_eq!(conversations.see(4), None);
        conversations.shown(4, 3);
        assert_eq!(conversations.see(4), Some(3));
        assert_eq!(conversations.see(4), None);
        conversations.shown(5, 1);
        assert_eq!(conversations.all_read().collect::<Vec<_>>(), [(4, 3)]);
    }
}
