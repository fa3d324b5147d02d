//! Messages that are about others: edits, deletions, reactions, mentions, and messages that disappear.

use fulmar_client::store::StoreError;
use fulmar_client::{Change, Message, MessageId, SendError, Target, content};
use fulmar_protocol::Numbers;
use fulmar_protocol::content::Content;

use super::Chat;

impl Chat {
    /// Edits, deletes, or reacts to the message of the open conversation with this number.
    pub(crate) async fn alter(
        &mut self,
        number: i64,
        change: Change<'_>,
    ) -> Result<Message, String> {
        let target = self.open.ok_or("nothing is open; /with 8 opens a chat with user 8")?;
        let made = self.meant(number)?.change(change);
        let (content, body) = made.ok_or("that can't be done with this message")?;
        let id = self.send_body(target, content, body.clone()).await;
        let id = id.map_err(|error| format!("not sent: {error}"))?;
        Ok(self.wrote(id, target, content, &body))
    }

    /// The message of the open conversation with this number.
    pub(super) fn meant(&self, number: i64) -> Result<&Message, String> {
        let message = self.messages.get(&MessageId(number));
        message.ok_or_else(|| format!("no message {number} here; /numbers shows them"))
    }

    /// Lets messages of the open conversation disappear after so many seconds, or no more.
    pub(crate) async fn set_timer(&mut self, seconds: u64) -> Result<Message, String> {
        let target = self.open.ok_or("nothing is open; /with 8 opens a chat with user 8")?;
        let (content, body) = encoded(&Content::Timer { seconds });
        let id = self.send_body(target, content, body.clone()).await;
        let id = id.map_err(|error| format!("not sent: {error}"))?;
        let wrote = self.wrote(id, target, content, &body);
        // The message is stored, and with it the timer.
        self.load_conversations().await.map_err(|error| error.to_string())?;
        Ok(wrote)
    }

    pub(super) async fn send_body(
        &self,
        target: Target,
        content: u8,
        body: Vec<u8>,
    ) -> Result<MessageId, SendError> {
        match target {
            Target::Peer(peer) => self.client.try_send(peer, content, body).await,
            Target::Group(group) => self.client.try_send_to_group(group, content, body).await,
        }
    }

    /// A text as it is sent: with the members that it names by `@`, and as one that disappears after so many
    /// seconds; 0 for never.
    pub(super) fn dressed(&self, target: Target, text: &str, seconds: u64) -> (u8, Vec<u8>) {
        let (mut kind, mut body) = (content::TEXT, text.as_bytes().to_vec());
        let users = self.named(target, text);
        if !users.is_empty() {
            let users = Numbers::Slice(&users);
            (kind, body) = encoded(&Content::Mention { users, content: kind, body: &body });
        }
        if seconds > 0 {
            (kind, body) = encoded(&Content::Disappearing { seconds, content: kind, body: &body });
        }
        (kind, body)
    }

    fn named(&self, target: Target, text: &str) -> Vec<u64> {
        let Target::Group(group) = target else { return Vec::new() };
        let Some(group) = self.groups.get(&group) else { return Vec::new() };
        let is_end = |character: char| !character.is_ascii_digit();
        let words = text.split_whitespace().filter_map(|word| word.strip_prefix('@'));
        let users = words.filter_map(|word| word.trim_end_matches(is_end).parse().ok());
        let members = users.filter(|user| group.members.iter().any(|(it, _)| it == user));
        let mut users: Vec<u64> = members.collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// After how many seconds messages disappear there; 0 for never.
    pub(super) fn timer(&self, target: Target) -> u64 {
        match target {
            Target::Peer(peer) => self.conversations.get(&peer).map_or(0, |it| it.timer_s),
            Target::Group(group) => self.groups.get(&group).map_or(0, |it| it.timer_s),
        }
    }

    /// Reads the open conversation again, as much of it as is loaded: something of it changed.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        self.load_conversations().await?;
        let loaded = self.messages.len();
        self.messages.clear();
        self.older = true;
        while self.messages.len() < loaded && self.load_older().await? {}
        Ok(())
    }

    /// Reads it again if this message is about another one, or sets a timer.
    pub(super) async fn heed(&mut self, message: &Message) -> Result<bool, StoreError> {
        if message.content == content::TIMER {
            self.load_conversations().await?;
        }
        if !message.is_reference() {
            return Ok(false);
        }
        if self.open == Some(message.target()) {
            self.reload().await?;
        }
        Ok(true)
    }
}

fn encoded(content: &Content<'_>) -> (u8, Vec<u8>) {
    let mut body = Vec::new();
    content.encode(&mut body);
    (content.number(), body)
}
