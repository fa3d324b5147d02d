//! What lies before the messages of this device: fetched from the server when the person asks for more than
//! the store has.

use fulmar_client::store::StoreError;
use fulmar_client::{Event, Target};

use super::Chat;

/// What the person wants to see of what is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    target: Target,
    messages: usize,
}

impl Chat {
    /// Whether what was before is being fetched for what is open.
    pub(crate) const fn is_looking_back(&self) -> bool {
        self.wanted.is_some()
    }

    /// Makes sure that so many messages of the open conversation are loaded, as far as the store has them;
    /// whether the server is asked for what it lacks. What was wanted before is wanted no more.
    pub(crate) async fn look_back(&mut self, messages: usize) -> Result<bool, StoreError> {
        self.wanted = None;
        while self.messages.len() < messages && self.load_older().await? {}
        let Some(target) = self.open else { return Ok(false) };
        if self.messages.len() >= messages || !self.is_online() {
            return Ok(false);
        }
        self.wanted = Some(Wanted { target, messages });
        self.fetch(target, messages).await;
        Ok(true)
    }

    /// Takes what the server kept; how many messages were wanted, once they are loaded or there is no more.
    pub(crate) async fn fetched(&mut self, event: &Event) -> Result<Option<usize>, StoreError> {
        let Event::HistoryFilled { group, entries, is_complete } = event else { return Ok(None) };
        let Some(Wanted { target, messages }) = self.wanted else { return Ok(None) };
        let is_it = match target {
            Target::Peer(_) => group.is_none(),
            Target::Group(wanted) => *group == Some(wanted),
        };
        if !is_it {
            return Ok(None);
        }
        self.load_conversations().await?;
        self.older = true;
        while self.messages.len() < messages && self.load_older().await? {}
        if self.messages.len() >= messages || *is_complete || *entries == 0 {
            self.wanted = None;
            return Ok(Some(messages));
        }
        self.fetch(target, messages).await;
        Ok(None)
    }

    async fn fetch(&self, target: Target, messages: usize) {
        let group = match target {
            Target::Peer(_) => None,
            Target::Group(group) => Some(group),
        };
        let lacking = messages.saturating_sub(self.messages.len());
        self.client.fill_history(group, lacking.max(1) as u64).await;
    }
}
