//! Messages that this person remembers: on all its devices, and seen by nobody else.

use fulmar_client::people::item;
use fulmar_client::{Message, Star};

use super::Chat;
use crate::text;

/// Starred messages that are listed, the newest ones.
const LISTED_MAX: usize = 200;

/// Characters of each that are shown in the list.
const LISTED_CHARACTERS: usize = 200;

impl Chat {
    /// Remembers the message of the open conversation with this number, or no more.
    pub(super) async fn star(&mut self, number: i64, is_starred: bool) -> Result<(), String> {
        let star = Star::of(self.meant(number)?);
        let star = star.ok_or("a message can be starred once it has its tick")?;
        // It is shown whether it was answered or not.
        self.set_star(star, is_starred);
        if is_starred {
            self.client.star(star).await;
        } else {
            self.client.unstar(star).await;
        }
        Ok(())
    }

    /// What is shown before a message that is remembered.
    pub(crate) fn star_mark(&self, message: &Message) -> &'static str {
        let is_starred = Star::of(message).is_some_and(|star| self.stars.contains(&star));
        if is_starred { "★ " } else { "" }
    }

    /// What is remembered, for people: the newest last.
    pub(super) async fn starred(&self) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for star in &self.stars {
            let message = self.client.starred(*star).await.map_err(|error| error.to_string())?;
            all.push((message.as_ref().map_or(0, |message| message.time_ms), *star, message));
        }
        all.sort_by_key(|(time_ms, star, _)| (*time_ms, *star));
        let left_out = all.len().saturating_sub(LISTED_MAX);
        let mut lines: Vec<_> = all
            .iter()
            .skip(left_out)
            .map(|(_, star, message)| self.star_line(*star, message.as_ref()))
            .collect();
        if left_out > 0 {
            lines.push(format!("these are the newest; {left_out} more are starred"));
        }
        if lines.is_empty() {
            lines.push("nothing is starred; /star 5 stars message 5".into());
        }
        Ok(lines)
    }

    fn star_line(&self, star: Star, message: Option<&Message>) -> String {
        let label = self.label(star.target);
        let Some(message) = message else {
            return format!("★ {label}: a message that this device doesn't have");
        };
        let time = text::local(message.time_ms, "%-d %b %H:%M");
        let author = if message.state.is_own() { "me".into() } else { message.peer.to_string() };
        let text = text::harmless_line(&text::of_message(message));
        let shown: String = text.chars().take(LISTED_CHARACTERS).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        format!("★ {label}, {time}, {author}: {shown}{more}")
    }

    pub(super) fn note_star(&mut self, key: &[u8], is_starred: bool) {
        if let Some(star) = Star::read(key) {
            self.set_star(star, is_starred);
        }
    }

    /// The server didn't take an item. To remove a star is never refused.
    pub(super) fn not_starred(&mut self, kind: u8, key: &[u8]) {
        if kind == item::STAR {
            self.note_star(key, false);
        }
    }

    fn set_star(&mut self, star: Star, is_starred: bool) {
        if is_starred {
            self.stars.insert(star);
        } else {
            self.stars.remove(&star);
        }
    }
}
