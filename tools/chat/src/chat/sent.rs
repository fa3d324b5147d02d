//! What became of messages of this person, of which the open conversation may not show anything.

use fulmar_client::store::StoreError;
use fulmar_client::{Event, Message, MessageId, State, Target, content};

use super::{Chat, Tick};
use crate::text;

impl Chat {
    /// Notes that a message is on its way. What is about another one stands in no conversation, so what it said is
    /// known from here only.
    pub(super) fn note_sent(&mut self, message: &Message) {
        if message.is_reference() {
            self.references.insert(message.id, message.clone());
        }
    }

    /// The server has a message, as the one with this ordinal or position there.
    pub(super) async fn ticked(
        &mut self,
        id: MessageId,
        target: Target,
        ordinal: u64,
        time_ms: u64,
    ) -> Result<(), StoreError> {
        if !self.has_loaded(id) {
            // It may be about another one, which is changed now.
            self.references.remove(&id);
            return self.reload().await;
        }
        // What is about it may have come before its tick, with which the store let that change it.
        let stored = self.stored(target, id).await?;
        let Some(message) = self.messages.get_mut(&id) else { return Ok(()) };
        if let Some(stored) = stored {
            *message = stored;
        }
        message.state = State::Sent;
        message.ordinal = Some(ordinal);
        if let Target::Group(group) = target {
            message.group = Some(group);
        }
        if time_ms > 0 {
            message.time_ms = time_ms;
        }
        if message.content == content::TIMER {
            // Another one may have come that is later.
            self.load_conversations().await?;
        }
        Ok(())
    }

    /// Whether the message is among those of the open conversation.
    pub(crate) fn has_loaded(&self, id: MessageId) -> bool {
        self.messages.contains_key(&id)
    }

    /// Which message was rejected and why, for people.
    pub(crate) async fn rejection(
        &mut self,
        event: &Event,
    ) -> Result<Option<(MessageId, String)>, StoreError> {
        let (id, target, code) = match *event {
            Event::Rejected { id, peer, code, .. } => (id, Target::Peer(peer), code),
            Event::GroupRejected { id, group, code, .. } => (id, Target::Group(group), code),
            _ => return Ok(None),
        };
        let message = match self.references.remove(&id) {
            Some(reference) => Some(reference),
            None => self.stored(target, id).await?,
        };
        // An earlier run of the program sent it, and the store shows no references.
        let unknown = || "an edit, a deletion or a reaction".to_owned();
        let said = message.map_or_else(unknown, |it| text::harmless_line(&text::of_message(&it)));
        let (label, sign) = (self.label(target), Tick::Rejected.sign());
        Ok(Some((id, format!("me → {label}: {said}  {sign} rejected: {code}"))))
    }

    /// A message as the store has it now; none if it is about another one.
    async fn stored(&self, target: Target, id: MessageId) -> Result<Option<Message>, StoreError> {
        let before = Some(MessageId(id.0.saturating_add(1)));
        let found = match target {
            Target::Peer(peer) => self.client.history(peer, before, 1).await?,
            Target::Group(group) => self.client.group_history(group, before, 1).await?,
        };
        Ok(found.into_iter().find(|message| message.id == id))
    }
}
