//! Messages that refer to others: what one does to the message that it means, and how a program makes one.

use std::sync::Arc;

use fulmar_protocol::content::{Content, Target as Meant};

use crate::message::{Message, content};
use crate::people::ChatSettings;

/// What somebody made of a message: who, 0 for this user in a conversation of two, and what.
pub type Reaction = (u64, Arc<[u8]>);

/// What became of a message after it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The body that its author gave it last, and when, in milliseconds since the Unix epoch.
    pub edited: Option<(Arc<[u8]>, u64)>,
    /// It was deleted for everybody; its body is gone from this device too.
    pub is_deleted: bool,
    /// What people made of it, by user: the latest of each.
    pub reactions: Vec<Reaction>,
    /// When it is deleted from this device, in milliseconds since the Unix epoch by the server's clock.
    pub expires_ms: Option<u64>,
}

/// What a program wants with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Give it another body.
    Edit(&'a [u8]),
    /// Take it from everybody.
    Delete,
    /// React to it; empty takes that back.
    React(&'a [u8]),
}

/// What an entry does to the message that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Ordinal, or in a group position, of that message.
    pub(crate) target: u64,
    /// Whether this user wrote that message; in a group it may be anybody's.
    pub(crate) is_own: bool,
    pub(crate) what: What,
}

/// See [`Reference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Edit(Arc<[u8]>),
    Delete,
    /// By whom, 0 for this user in a conversation of two.
    Reaction(u64, Arc<[u8]>),
}

impl Message {
    /// Its content, and what is in it where that disappears; `None` where the body isn't what it says.
    fn parsed(&self) -> Option<Content<'_>> {
        let in_group = self.group.is_some();
        Content::parse(self.content, &self.body, in_group).ok()?.inner(in_group).ok()
    }

    /// Whether it is about another message (an edit, a deletion, a reaction) and nothing to be shown by
    /// itself.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.reference().is_some()
    }

    /// Whether it is one to be shown by itself, to which others may refer.
    pub(crate) fn is_shown(&self) -> bool {
        !self.is_reference() && !matches!(self.content, content::CHANGE | content::TIMER)
    }

    /// The content and the body to show: without what stands around them, and as edited last.
    #[must_use]
    pub fn shown(&self) -> (u8, &[u8]) {
        let (content, body) = match self.parsed() {
            Some(Content::Plain { content, body } | Content::Mention { content, body, .. }) => {
                (content, body)
            }
            _ => (self.content, &self.body[..]),
        };
        match &self.changes.edited {
            Some((edited, _)) => (content, edited),
            None => (content, body),
        }
    }

    /// The users whom it mentions.
    #[must_use]
    pub fn mentions(&self) -> Vec<u64> {
        match self.parsed() {
            Some(Content::Mention { users, .. }) => users.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a program should call `user`, whose device this is, to the message: with a sound, a number at its
    /// icon. Somebody else wrote it, it is there to be shown, and its chat isn't muted; of a muted one, only what
    /// mentions the user. The rule is that of SPEC.md, section 12, so that all devices of a person agree.
    #[must_use]
    pub fn calls(&self, user: u64, settings: ChatSettings, now_ms: u64) -> bool {
        let is_shown = self.is_shown() && !self.changes.is_deleted;
        let is_muted = settings.muted_until_ms > now_ms;
        !self.state.is_own() && is_shown && (!is_muted || self.mentions().contains(&user))
    }

    /// The content and body of a message that changes this one; `None` where that can't be, since it has no tick
    /// yet, is somebody else's, or isn't one to be shown.
    #[must_use]
    pub fn change(&self, change: Change<'_>) -> Option<(u8, Vec<u8>)> {
        let place = self.ordinal.filter(|_| self.is_shown())?;
        let is_own = self.state.is_own();
        let content = match change {
            Change::Edit(body) if is_own => Content::Edit { target: place, body },
            Change::Delete if is_own || self.group.is_some() => Content::Delete { target: place },
            Change::React(body) => {
                let of_peer = self.group.is_none() && !is_own;
                Content::Reaction { target: Meant { of_peer, place }, body }
            }
            Change::Edit(_) | Change::Delete => return None,
        };
        let mut body = Vec::new();
        content.encode(&mut body);
        let number = content.number();
        // The new body of what disappears must not stay where the old one doesn't.
        match (change, seconds(self.content, &self.body)) {
            (Change::Edit(_), Some(seconds)) => {
                let content = Content::Disappearing { seconds, content: number, body: &body };
                let mut body = Vec::new();
                content.encode(&mut body);
                Some((content.number(), body))
            }
            _ => Some((number, body)),
        }
    }

    /// What it does to the message that it refers to, if it does.
    pub(crate) fn reference(&self) -> Option<Reference> {
        let content = self.parsed()?;
        let meant = content.target()?;
        let is_own = self.state.is_own() != meant.of_peer;
        let who = if self.group.is_none() && self.state.is_own() { 0 } else { self.peer };
        let what = match content {
            Content::Edit { body, .. } => What::Edit(Arc::from(body)),
            Content::Delete { .. } => What::Delete,
            Content::Reaction { body, .. } => What::Reaction(who, Arc::from(body)),
            _ => return None,
        };
        Some(Reference { target: meant.place, is_own, what })
    }
}

/// After how many seconds a body disappears, if it does.
pub(crate) fn seconds(content: u8, body: &[u8]) -> Option<u64> {
    match Content::parse(content, body, false).ok()? {
        Content::Disappearing { seconds, .. } => Some(seconds),
        _ => None,
    }
}

/// The timer that a body sets for its conversation, in seconds.
pub(crate) fn timer(content: u8, body: &[u8]) -> Option<u64> {
    match Content::parse(content, body, false).ok()? {
        Content::Timer { seconds } => Some(seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fulmar_protocol::Numbers;

    use super::*;
    use crate::message::{MessageId, State};

    const NOW_MS: u64 = 1_000;

    /// What user 9 wrote in group 30.
    fn said(what: &Content<'_>) -> Message {
        let mut body = Vec::new();
        what.encode(&mut body);
        Message {
            id: MessageId(1),
            group: Some(30),
            peer: 9,
            state: State::Received,
            ordinal: Some(5),
            position: Some(5),
            time_ms: NOW_MS,
            content: what.number(),
            body: Arc::from(body),
            changes: Changes::default(),
        }
    }

    fn calls(message: &Message, muted_until_ms: u64) -> bool {
        message.calls(7, ChatSettings { muted_until_ms, ..ChatSettings::default() }, NOW_MS)
    }

    #[test]
    fn what_is_there_to_be_shown_calls_unless_muted() {
        let text = Content::Plain { content: content::TEXT, body: b"look" };
        assert!(calls(&said(&text), 0));
        assert!(calls(&said(&text), NOW_MS), "no longer muted");
        assert!(!calls(&said(&text), NOW_MS + 1));
        let own = Message { state: State::Sent, ..said(&text) };
        assert!(!calls(&own, 0));
        let changes = Changes { is_deleted: true, ..Changes::default() };
        assert!(!calls(&Message { changes, ..said(&text) }, 0));
        for quiet in [
            Content::Plain { content: content::CHANGE, body: b"" },
            Content::Edit { target: 1, body: b"a" },
            Content::Delete { target: 1 },
            Content::Reaction { target: Meant { of_peer: false, place: 1 }, body: b"+" },
            Content::Timer { seconds: 60 },
        ] {
            assert!(!calls(&said(&quiet), 0), "{quiet:?}");
        }
    }

    #[test]
    fn of_a_muted_chat_only_a_mention_of_this_user_calls() {
        for (users, is_called) in [(&[7, 12][..], true), (&[12], false)] {
            let users = Numbers::Slice(users);
            let mention = Content::Mention { users, content: content::TEXT, body: b"look" };
            assert_eq!(calls(&said(&mention), u64::MAX), is_called, "{mention:?}");
            let mut body = Vec::new();
            mention.encode(&mut body);
            let content = mention.number();
            let passing = Content::Disappearing { seconds: 60, content, body: &body };
            assert_eq!(calls(&said(&passing), u64::MAX), is_called, "{passing:?}");
        }
    }
}
