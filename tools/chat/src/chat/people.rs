//! The people of a chat: what they are called, and how conversations with them are shown.

use fulmar_client::people::{Chat as Place, audience, item, privacy, profile, user_in};
use fulmar_client::store::StoreError;
use fulmar_client::{BookItem, ChatSettings, Code, Event, Message, Profile, Put, Star, Target};
use fulmar_protocol::people::is_username;

use super::{Chat, PAGE};
use crate::command::{People, Setting};
use crate::text;

const HOUR_MS: u64 = 3_600_000;

const USERNAME_RULE: &str = "a username has 3 to 32 of a-z, 0-9, _ and ., and begins with a letter";

/// Why a question can't be asked, and what to do.
const OFFLINE: &str = "without a connection; try again once there is one, /reconnect makes one now";

impl Chat {
    /// Does what was asked about people; what to show at once.
    pub(crate) async fn people(&mut self, people: People) -> Result<Vec<String>, String> {
        match people {
            People::Put(put) => self.client.put(put).await,
            People::Chat(setting) => {
                let target = self.open.ok_or("no chat is open; /with 8 opens one with user 8")?;
                let mut settings = self.settings.get(&target).copied().unwrap_or_default();
                match setting {
                    Setting::Pinned(is_pinned) => settings.is_pinned = is_pinned,
                    Setting::Archived(is_archived) => settings.is_archived = is_archived,
                    Setting::Unmuted => settings.muted_until_ms = 0,
                    Setting::Muted(None) => settings.muted_until_ms = u64::MAX,
                    Setting::Muted(Some(hours)) => {
                        let ms = hours.saturating_mul(HOUR_MS);
                        settings.muted_until_ms = text::now_ms().saturating_add(ms);
                    }
                }
                // Further settings go on from this one, whether it was answered or not.
                self.settings.insert(target, settings);
                self.client.put(Put::chat(target, settings)).await;
            }
            People::Find(name) => self.find(name).await?,
            People::Look(user) => return self.look_at(user).await,
            People::Star(number, is_starred) => self.star(number, is_starred).await?,
            People::Stars => return self.starred().await,
            People::Book => {
                let book = self.client.book().await.map_err(|error| error.to_string())?;
                return Ok(book_words(&book));
            }
        }
        Ok(Vec::new())
    }

    async fn find(&mut self, name: String) -> Result<(), String> {
        if !is_username(name.as_bytes()) {
            let name = text::harmless_line(&name);
            return Err(format!("nobody can be called {name}: {USERNAME_RULE}"));
        }
        if !self.is_online() {
            return Err(format!("{name} can't be looked for {OFFLINE}"));
        }
        self.client.find(&name).await;
        self.looked_for.insert(name);
        Ok(())
    }

    /// Asks for somebody's profile; what this device has of it.
    async fn look_at(&mut self, user: u64) -> Result<Vec<String>, String> {
        let known = self.client.profiles().await.map_err(|error| error.to_string())?;
        let known = known.iter().find(|known| known.user == user);
        if self.is_online() {
            self.looked_at.insert(user);
            self.client.look_at_profile(user).await;
        } else if known.is_none() {
            return Err(format!(
                "the profile of {user} isn't on this device, nor to be had {OFFLINE}"
            ));
        }
        Ok(known.map(profile_words).into_iter().collect())
    }

    /// The connection is gone, and with it the answers to what was asked: what got none, for people.
    fn unanswered(&mut self) -> Option<String> {
        let names = std::mem::take(&mut self.looked_for).into_iter();
        let users = std::mem::take(&mut self.looked_at).into_iter();
        // A profile that is here is answered only where it changed.
        let users = users.filter(|user| !self.profiles.contains_key(user));
        let names = names.map(|name| format!("/find {name}"));
        let lines: Vec<_> = names.chain(users.map(|user| format!("/profile {user}"))).collect();
        let asked = lines.join(", ");
        (!lines.is_empty())
            .then(|| format!("the connection ended before the answer; ask again: {asked}"))
    }

    /// Takes what the store has of the book.
    pub(super) async fn load_book(&mut self) -> Result<(), StoreError> {
        for known in self.client.book().await? {
            self.note_item(known.item, &known.key, &known.value);
        }
        let profiles = self.client.profiles().await?;
        self.profiles = profiles.into_iter().map(|known| (known.user, known.version)).collect();
        Ok(())
    }

    pub(super) fn note_item(&mut self, kind: u8, key: &[u8], value: &[u8]) {
        match kind {
            item::CONTACT => {
                let Some(user) = user_in(key) else { return };
                let name = text::harmless_line(&String::from_utf8_lossy(value));
                if value.is_empty() {
                    self.contacts.remove(&user);
                } else {
                    self.contacts.insert(user, name);
                }
                self.watch.is_due = true;
            }
            item::CHAT => {
                let Some(target) = target_in(key) else { return };
                let settings = ChatSettings::decode(value).unwrap_or_default();
                self.settings.insert(target, settings);
            }
            item::STAR => self.note_star(key, !value.is_empty()),
            _ => {}
        }
    }

    /// Whether it stands above the others (less), or below (greater).
    pub(super) fn rank(&self, target: Target) -> i8 {
        match self.settings.get(&target) {
            Some(settings) if settings.is_archived => 1,
            Some(settings) if settings.is_pinned => -1,
            _ => 0,
        }
    }

    /// Notes that a message of what isn't open calls this person.
    pub(super) fn note_call(&mut self, message: &Message) {
        let target = message.target();
        let settings = self.settings.get(&target).copied().unwrap_or_default();
        if message.calls(self.user, settings, text::now_ms()) {
            self.calling.insert(target);
        }
    }

    /// Finds out which muted chats hold something unread that calls this person.
    pub(super) async fn load_calls(&mut self) -> Result<(), StoreError> {
        for (target, unread) in self.list() {
            if unread == 0 || !self.is_quiet(target) {
                continue;
            }
            let limit = usize::try_from(unread).unwrap_or(PAGE).min(PAGE);
            let newest = match target {
                Target::Peer(peer) => self.client.history(peer, None, limit).await?,
                Target::Group(group) => self.client.group_history(group, None, limit).await?,
            };
            for message in &newest {
                self.note_call(message);
            }
        }
        Ok(())
    }

    /// Whether what is unread there doesn't matter now: it is muted, and nothing in it is for this person.
    pub(crate) fn is_quiet(&self, target: Target) -> bool {
        let settings = self.settings.get(&target);
        settings.is_some_and(|settings| settings.muted_until_ms > text::now_ms())
            && !self.calling.contains(&target)
    }

    /// What is shown behind it in a list.
    pub(crate) fn marks(&self, target: Target) -> String {
        let settings = self.settings.get(&target).copied().unwrap_or_default();
        let is_muted = settings.muted_until_ms > text::now_ms();
        [
            (self.is_peer_there(target), ", online"),
            (settings.is_pinned, ", pinned"),
            (settings.is_archived, ", archived"),
            (is_muted, ", muted"),
        ]
        .into_iter()
        .filter_map(|(holds, mark)| holds.then_some(mark))
        .collect()
    }

    /// Notes a profile; whether the person wants to know: it asked, or it is about whom it talks with, or a contact
    /// who is called something else now.
    fn is_profile_news(&mut self, known: &Profile) -> bool {
        let is_asked = self.looked_at.remove(&known.user);
        let before = self.profiles.insert(known.user, known.version).unwrap_or(0);
        let is_open = self.open == Some(Target::Peer(known.user));
        is_asked || is_open || (before > 0 && self.contacts.contains_key(&known.user))
    }

    /// What an event about people says, if there is something to say.
    pub(crate) fn news(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Item { item, key, value } if self.has_book => {
                Some(item_words(*item, key, value))
            }
            Event::PutRejected { item, code, retry_after_ms, .. } => {
                Some(rejected_words(*item, *code, *retry_after_ms))
            }
            Event::Profile(known) => self.is_profile_news(known).then(|| profile_words(known)),
            Event::Disconnected { .. } => self.unanswered(),
            Event::Found { name, user, code, retry_after_ms } => {
                self.looked_for.remove(name);
                let name = text::harmless_line(name);
                Some(match user {
                    Some(user) => format!("{name} is user {user}; /with {user} opens a chat"),
                    None if *code != Code::None => {
                        let after_s = retry_after_ms.div_ceil(1_000);
                        format!("{name} can't be looked for now ({code}); try in {after_s} s")
                    }
                    None => format!("nobody called {name} is to be found"),
                })
            }
            _ => None,
        }
    }
}

fn target_in(key: &[u8]) -> Option<Target> {
    match Place::read(key)? {
        (Place::User(peer), []) => Some(Target::Peer(peer)),
        (Place::Group(group), []) => Some(Target::Group(group)),
        _ => None,
    }
}

fn rejected_words(kind: u8, code: Code, retry_after_ms: u64) -> String {
    let what = if kind == item::USERNAME { "the username" } else { "it" };
    match code {
        Code::NameTaken => "somebody else has this username".into(),
        Code::BadName => USERNAME_RULE.into(),
        Code::BookFull => "there is no room for more; something must be removed first".into(),
        code if retry_after_ms > 0 => {
            format!("{what} isn't set ({code}); try in {} s", retry_after_ms.div_ceil(1_000))
        }
        code => format!("{what} isn't set: {code}"),
    }
}

fn profile_words(known: &Profile) -> String {
    if known.version == 0 {
        return format!("{} has no profile", known.user);
    }
    let texts = [&known.name, &known.status, &known.avatar];
    let texts = texts.map(|text| text::harmless_line(&String::from_utf8_lossy(text)));
    let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    format!("{} is {}", known.user, texts.join(" · "))
}

/// What is set, for people. Of stars there may be very many.
fn book_words(book: &[BookItem]) -> Vec<String> {
    let stars = book.iter().filter(|known| known.item == item::STAR).count();
    let others = book.iter().filter(|known| known.item != item::STAR);
    let mut words: Vec<_> =
        others.map(|known| item_words(known.item, &known.key, &known.value)).collect();
    match stars {
        0 => {}
        1 => words.push("one message is starred; /stars shows it".into()),
        stars => words.push(format!("{stars} messages are starred; /stars shows them")),
    }
    if words.is_empty() {
        words.push("nothing is set".into());
    }
    words
}

fn place_words(target: Option<Target>) -> String {
    match target {
        Some(Target::Peer(peer)) => format!("the chat with {peer}"),
        Some(Target::Group(group)) => format!("group {group}"),
        None => "a chat".into(),
    }
}

/// What an item says, for people.
fn item_words(kind: u8, key: &[u8], value: &[u8]) -> String {
    let text = text::harmless_line(&String::from_utf8_lossy(value));
    let user = user_in(key).unwrap_or(0);
    let is_set = !value.is_empty();
    match (kind, key) {
        (item::PROFILE, [part]) => {
            let part = match *part {
                profile::NAME => "name",
                profile::STATUS => "status",
                _ => "picture",
            };
            if is_set { format!("your {part}: {text}") } else { format!("you have no {part}") }
        }
        (item::PRIVACY, [what]) => {
            let what = match *what {
                privacy::LAST_SEEN => "when you were last here",
                privacy::ONLINE => "that you are here",
                privacy::READS => "what you read",
                _ => "your username",
            };
            let who = match value {
                [audience::NOBODY] => "nobody",
                [audience::KNOWN] => "those whom you know",
                _ => "everybody",
            };
            format!("{what} is shown to {who}")
        }
        (item::BLOCK, _) if is_set => format!("{user} is blocked"),
        (item::BLOCK, _) => format!("{user} isn't blocked"),
        (item::CONTACT, _) if is_set => format!("{user} is called {text}"),
        (item::CONTACT, _) => format!("{user} is no contact"),
        (item::USERNAME, _) if is_set => format!("your username is {text}"),
        (item::USERNAME, _) => "you have no username".into(),
        (item::CHAT, _) => {
            let settings = ChatSettings::decode(value).unwrap_or_default();
            let place = place_words(target_in(key));
            let marks = [
                (settings.is_pinned, "pinned"),
                (settings.is_archived, "archived"),
                (settings.muted_until_ms > text::now_ms(), "muted"),
            ];
            let marks: Vec<_> =
                marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark)).collect();
            let marks = if marks.is_empty() { "as usual".into() } else { marks.join(", ") };
            format!("{place} is {marks}")
        }
        (item::STAR, _) => {
            let place = place_words(Star::read(key).map(|star| star.target));
            let is = if is_set { "is starred" } else { "isn't starred any more" };
            format!("a message in {place} {is}")
        }
        _ => format!("item {kind} of {} bytes", value.len()),
    }
}
