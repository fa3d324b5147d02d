//! What stands on the screen, for states that are made by events.

use std::sync::Arc;

use fulmar_client::limits::WATCHED_MAX;
use fulmar_client::store::{GroupState, MemoryStore, Store, Write};
use fulmar_client::{
    ChatSettings, Client, Code, Config, Event, Profile, Put, Reason, Role, Star, content,
};
use fulmar_protocol::content::{Content, Target as Meant};
use fulmar_protocol::{Numbers, people as settings};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::command::People;

/// Noon in January 2025, so that no time zone moves the day.
const NOON_MS: u64 = 1_736_942_400_000;

async fn chat() -> Chat {
    chat_on(MemoryStore::new()).await
}

async fn chat_on(store: MemoryStore) -> Chat {
    let config = Config {
        address: "127.0.0.1:1".into(),
        user: 7,
        device: 1,
        token: String::new(),
        store: "unused".into(),
        agent: "test".into(),
    };
    let (client, _) = Client::with_store(config, Box::new(store)).await.unwrap();
    Chat::new(client, 7).await.unwrap()
}

fn message(id: u64, peer: u64, state: State, text: &str) -> Message {
    Message {
        id: MessageId(id as i64),
        group: None,
        peer,
        state,
        ordinal: Some(id),
        position: Some(id),
        time_ms: NOON_MS + id * 1_000,
        content: content::TEXT,
        body: Arc::from(text.as_bytes()),
        changes: fulmar_client::Changes::default(),
    }
}

async fn received(chat: &mut Chat, id: u64, peer: u64, text: &str) {
    chat.take(&Event::Message(message(id, peer, State::Received, text))).await.unwrap();
}

/// The screen as lines without their trailing spaces, and what the drawing found out.
fn draw_at(
    chat: &Chat,
    notes: &[Note],
    scroll: usize,
    columns: u16,
    rows: u16,
) -> (Vec<String>, Seen) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let look = Look { chat, title: "user 7", notes, scroll, now: Instant::now() };
    let mut seen = Seen::default();
    terminal.draw(|frame| seen = draw(frame, &look, &Editor::new())).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..columns).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    ((0..rows).map(line).collect(), seen)
}

/// The lines of the messages, without the time of day.
fn messages_at(chat: &Chat, columns: u16, rows: u16) -> Vec<String> {
    let (lines, _) = draw_at(chat, &[], 0, columns, rows);
    let body = lines[1..lines.len() - 2].iter();
    body.filter(|line| line.contains(':') || line.starts_with(' '))
        .map(|line| if line.starts_with(' ') { line.clone() } else { line[6..].to_owned() })
        .collect()
}

#[tokio::test]
async fn ticks_follow_the_receipts() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    chat.say("hello").await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  hello  ·"]);
    let (id, peer, ordinal, time_ms) = (MessageId(1), 8, 5, NOON_MS);
    chat.take(&Event::Ticked { id, peer, ordinal, time_ms }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  hello  ✓"]);
    chat.take(&Event::Delivered { peer, ordinal: 4 }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  hello  ✓"], "of an earlier one");
    chat.take(&Event::Delivered { peer, ordinal }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  hello  ✓✓"]);
    assert_eq!(chat.tick(chat.messages().next().unwrap()), Tick::Delivered);
    chat.take(&Event::Read { peer, ordinal }).await.unwrap();
    assert_eq!(chat.tick(chat.messages().next().unwrap()), Tick::Read);
}

#[tokio::test]
async fn a_rejection_says_why() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    chat.say("hello").await.unwrap();
    let (id, code) = (MessageId(1), Code::QuotaExceeded);
    let rejected = Event::Rejected { id, peer: 8, code, retry_after_ms: 0 };
    chat.take(&rejected).await.unwrap();
    let (lines, _) = draw_at(&chat, &[], 0, 60, 10);
    assert!(lines[6].ends_with("me  hello  ✗"), "{lines:?}");
    assert!(lines[7].trim_start().starts_with("not taken: quota_exceeded (301)"), "{lines:?}");
}

#[tokio::test]
async fn unread_counts_stand_in_the_list_and_in_the_bar() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    received(&mut chat, 1, 9, "a").await;
    received(&mut chat, 2, 9, "b").await;
    received(&mut chat, 2, 9, "told twice").await;
    let (lines, _) = draw_at(&chat, &[], 0, 80, 10);
    assert!(lines[1].starts_with(" 9  2 new"), "{lines:?}");
    assert!(lines[8].contains("with 8 ── 2 new from 9 "), "{lines:?}");
    let (narrow, _) = draw_at(&chat, &[], 0, 50, 10);
    assert!(narrow[8].contains("2 new from 9"), "{narrow:?}");
    received(&mut chat, 3, 8, "here").await;
    assert!(chat.mark_read().await);
    assert!(!chat.mark_read().await, "once");
}

async fn mute(chat: &mut Chat, of: settings::Chat) {
    let settings = ChatSettings { muted_until_ms: u64::MAX, ..ChatSettings::default() };
    let (mut key, mut value) = (Vec::new(), Vec::new());
    of.write(&mut key);
    settings.encode(&mut value);
    chat.take(&Event::Item { item: settings::item::CHAT, key, value }).await.unwrap();
}

#[tokio::test]
async fn a_muted_conversation_stays_out_of_the_bar() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    mute(&mut chat, settings::Chat::User(9)).await;
    received(&mut chat, 1, 9, "a").await;
    let (lines, _) = draw_at(&chat, &[], 0, 80, 10);
    assert!(lines[1].starts_with(" 9  1 new"), "{lines:?}");
    assert!(!lines[8].contains("new from"), "{lines:?}");
    received(&mut chat, 2, 10, "b").await;
    let (lines, _) = draw_at(&chat, &[], 0, 80, 10);
    assert!(lines[8].contains("1 new from 10"), "{lines:?}");
}

#[tokio::test]
async fn a_muted_group_calls_only_whom_a_message_mentions() {
    let mut chat = chat().await;
    let group = Target::Group(30);
    mute(&mut chat, settings::Chat::Group(30)).await;
    let (content, body) = (content::TEXT, &b"look"[..]);
    let said = |id, users: &[u64]| {
        let mention = Content::Mention { users: Numbers::Slice(users), content, body };
        let (number, mut body) = (mention.number(), Vec::new());
        mention.encode(&mut body);
        let body = Arc::from(body);
        let message = message(id, 9, State::Received, "");
        Event::GroupMessage(Message { group: Some(30), content: number, body, ..message })
    };
    chat.take(&said(1, &[12])).await.unwrap();
    assert!(chat.is_quiet(group));
    chat.take(&said(2, &[7, 12])).await.unwrap();
    assert!(!chat.is_quiet(group), "it is for this person");
    chat.open(group).await.unwrap();
    assert!(chat.is_quiet(group), "it was seen");
}

#[tokio::test]
async fn long_texts_are_wrapped_and_can_t_command_the_terminal() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    received(&mut chat, 1, 8, "a text that is longer than the window\u{1b}[2J").await;
    let lines = messages_at(&chat, 32, 10);
    let expected = ["8   a text that is", "          longer than the", "          window␛[2J"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn scrolling_stops_at_the_ends() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    for id in 1..=50 {
        received(&mut chat, id, 8, &format!("number {id}")).await;
    }
    let (lines, seen) = draw_at(&chat, &[], 0, 40, 13);
    assert!(lines[10].ends_with("number 50"), "{lines:?}");
    assert_eq!(seen, Seen { scroll: 0, at_top: false, page: 10 });
    let (lines, seen) = draw_at(&chat, &[], 7, 40, 13);
    assert!(lines[10].ends_with("number 43"), "{lines:?}");
    assert!(lines[11].contains("7 lines below"), "{lines:?}");
    assert_eq!(seen.scroll, 7);
    let (lines, seen) = draw_at(&chat, &[], 1_000, 40, 13);
    assert!(lines[1].starts_with("──── "), "the day stands first: {lines:?}");
    assert!(lines[2].ends_with("number 1"), "{lines:?}");
    assert_eq!((seen.scroll, seen.at_top), (41, true));
}

#[tokio::test]
async fn notes_stand_where_they_were_made() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    received(&mut chat, 1, 8, "before").await;
    let notes = [
        Note { after: None, text: "first of all".into() },
        Note { after: Some(MessageId(1)), text: "one\ntwo".into() },
    ];
    received(&mut chat, 2, 8, "behind").await;
    let (lines, _) = draw_at(&chat, &notes, 0, 40, 12);
    let ends = ["* first of all", "2025 ──────", "before", "* one", "* two", "behind"];
    for (line, end) in lines[4..10].iter().zip(ends) {
        assert!(line.contains(end), "{end}: {lines:?}");
    }
}

#[tokio::test]
async fn the_top_line_tells_the_connection() {
    let mut chat = chat().await;
    assert!(draw_at(&chat, &[], 0, 40, 6).0[0].contains("○ connecting"));
    chat.take(&Event::Connected { session: 1 }).await.unwrap();
    assert!(draw_at(&chat, &[], 0, 40, 6).0[0].contains("● connected"));
    let reason = Reason::Lost("reset\u{1b}[2J".into());
    let lost = Event::Disconnected { reason, retry_in_ms: Some(12_000) };
    chat.take(&lost).await.unwrap();
    let told = draw_at(&chat, &[], 0, 80, 6).0[0].clone();
    assert!(told.contains("next attempt in 12 s: connection lost: reset␛[2J"), "{told}");
    let (code, detail) = (Code::TokenExpired, String::new());
    let refused = Event::Refused { code, detail, retry_in_ms: None };
    chat.take(&refused).await.unwrap();
    let told = draw_at(&chat, &[], 0, 100, 6).0[0].clone();
    assert!(told.contains("✗ /reconnect tries again: the server refused"), "{told}");
}

#[tokio::test]
async fn any_size_of_window_can_be_drawn() {
    let mut chat = chat().await;
    chat.open(Target::Peer(u64::MAX)).await.unwrap();
    received(&mut chat, 1, u64::MAX, "世界 and 👩‍👩‍👧").await;
    for columns in 1..100 {
        for rows in 1..12 {
            draw_at(&chat, &[], 3, columns, rows);
        }
    }
    let huge = "x".repeat(100_000);
    received(&mut chat, 2, u64::MAX, &huge).await;
    let (lines, _) = draw_at(&chat, &[], 0, 100, 12);
    assert!(lines.iter().any(|line| line.contains("[and 80000 more characters")), "{lines:?}");
}

#[tokio::test]
async fn a_star_stands_at_its_message_until_it_is_refused() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    received(&mut chat, 1, 8, "hello").await;
    chat.people(People::Star(1, true)).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["8   ★ hello"]);
    let key = Put::star(Star { target: Target::Peer(8), place: 1, is_own: false }).key;
    let (item, code) = (settings::item::STAR, Code::BookFull);
    let rejected = Event::PutRejected { item, key: key.clone(), code, retry_after_ms: 0 };
    chat.take(&rejected).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["8   hello"]);
    // Another device of this person has room for it.
    chat.take(&Event::Item { item, key, value: vec![1] }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["8   ★ hello"]);
    let told = chat.people(People::Stars).await.unwrap();
    assert_eq!(told, ["★ 8: a message that this device doesn't have"], "the store is empty");
    chat.people(People::Star(1, false)).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["8   hello"]);
    chat.say("not ticked yet").await.unwrap();
    let told = chat.people(People::Star(2, true)).await.unwrap_err();
    assert_eq!(told, "no message 2 here; /numbers shows them");
}

#[tokio::test]
async fn a_text_disappears_by_itself_whatever_the_timer_says() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    let seconds =
        |message: &Message| match Content::parse(message.content, &message.body, false).unwrap() {
            Content::Disappearing { seconds, content: content::TEXT, body } => {
                assert_eq!(body, b"hello");
                seconds
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(seconds(&chat.say_for(30, "hello").await.unwrap()), 30);
    assert_eq!(chat.say("hello").await.unwrap().content, content::TEXT, "the next one stays");
    chat.set_timer(60).await.unwrap();
    assert_eq!(seconds(&chat.say_for(30, "hello").await.unwrap()), 30);
    assert_eq!(seconds(&chat.say("hello").await.unwrap()), 60);
    // The timer has no tick yet when the conversations are read again.
    chat.take(&Event::SeenElsewhere { peer: 8, ordinal: 1 }).await.unwrap();
    assert_eq!(seconds(&chat.say("hello").await.unwrap()), 60);
}

/// A chat with a group that this user made with these others.
async fn chat_with_group(others: &[u64]) -> Chat {
    let mut store = MemoryStore::new();
    let state = GroupState { name: Arc::from(&b"walk"[..]), ..GroupState::new(30) };
    let mut roles = vec![(7, Role::Owner)];
    roles.extend(others.iter().map(|user| (*user, Role::Member)));
    let (group, after, through) = (30, 0, u64::MAX);
    store.commit(&[Write::Group(state), Write::Roles { group, after, through, roles }]).unwrap();
    chat_on(store).await
}

async fn presence(chat: &mut Chat, user: u64, is_online: bool) {
    chat.take(&Event::Presence { user, is_online, last_seen_ms: 0 }).await.unwrap();
}

#[tokio::test]
async fn the_header_of_a_group_counts_who_is_there() {
    let mut chat = chat_with_group(&[8, 9, 10]).await;
    chat.open(Target::Group(30)).await.unwrap();
    chat.take(&Event::Connected { session: 1 }).await.unwrap();
    let header = |chat: &Chat| draw_at(chat, &[], 0, 80, 10).0[8].clone();
    assert!(header(&chat).contains("── in walk ─"), "nothing was told: {}", header(&chat));
    for user in [8, 9] {
        presence(&mut chat, user, true).await;
    }
    presence(&mut chat, 10, false).await;
    presence(&mut chat, 11, true).await;
    assert!(header(&chat).contains("in walk 2 of 3 online ─"), "{}", header(&chat));
    presence(&mut chat, 8, false).await;
    assert!(header(&chat).contains("in walk 1 of 3 online ─"), "{}", header(&chat));
    let reason = Reason::Lost("reset".into());
    chat.take(&Event::Disconnected { reason, retry_in_ms: Some(1_000) }).await.unwrap();
    assert!(header(&chat).contains("── in walk ─"), "{}", header(&chat));
}

#[tokio::test]
async fn who_is_there_is_marked_in_the_list_until_others_matter_more() {
    let mut chat = chat().await;
    received(&mut chat, 1, 8, "a").await;
    presence(&mut chat, 8, true).await;
    let list = |chat: &Chat| draw_at(chat, &[], 0, 80, 10).0[1..3].to_vec();
    assert!(list(&chat)[0].starts_with("●8  1 new"), "{:?}", list(&chat));
    assert_eq!(chat.marks(Target::Peer(8)), ", online");
    presence(&mut chat, 8, false).await;
    assert!(list(&chat)[0].starts_with(" 8  1 new"), "{:?}", list(&chat));
}

#[tokio::test]
async fn as_many_people_are_watched_as_a_server_tells_of_and_the_latest_first() {
    let members: Vec<_> = (1_000..1_300).collect();
    let mut chat = chat_with_group(&members).await;
    chat.take(&Event::Connected { session: 1 }).await.unwrap();
    for peer in 100..200 {
        received(&mut chat, peer - 99, peer, "a").await;
    }
    let contact = Event::Item { item: settings::item::CONTACT, key: vec![90], value: vec![65] };
    chat.take(&contact).await.unwrap();
    assert_eq!(chat.watch.users.len(), 101, "the peers, and a contact");
    chat.open(Target::Group(30)).await.unwrap();
    let watched = chat.watch.users.clone();
    assert_eq!(watched.len(), WATCHED_MAX);
    assert!((136..200).all(|peer| watched.contains(&peer)), "of the latest conversations");
    assert_eq!(watched.iter().filter(|user| members.contains(user)).count(), WATCHED_MAX - 64);
    assert!(!watched.contains(&7) && !watched.contains(&90), "neither oneself nor who has no room");
    presence(&mut chat, 1_000, true).await;
    let (lines, _) = draw_at(&chat, &[], 0, 80, 10);
    assert!(lines[8].contains("in walk at least 1 of 300 online"), "{lines:?}");
    chat.open(Target::Peer(90)).await.unwrap();
    let watched = chat.watch.users.clone();
    assert!(watched.contains(&90) && !watched.contains(&1_000));
    assert!(!chat.is_there(1_000), "nothing more is told of it");
}

#[tokio::test]
async fn of_profiles_only_what_matters_is_said() {
    let mut chat = chat().await;
    chat.open(Target::Peer(8)).await.unwrap();
    let contact = Event::Item { item: settings::item::CONTACT, key: vec![9], value: vec![65] };
    chat.take(&contact).await.unwrap();
    let mut news = |user, version| {
        let name = Arc::from(&b"Ann"[..]);
        chat.news(&Event::Profile(Profile { user, version, name, ..Profile::default() }))
    };
    assert_eq!(news(8, 1).as_deref(), Some("8 is Ann"), "with whom one talks");
    assert_eq!(news(9, 1), None, "a contact who is new to this device");
    assert_eq!(news(9, 2).as_deref(), Some("9 is Ann"), "a contact who changed");
    assert_eq!((news(10, 1), news(10, 2)), (None, None), "others");
    chat.take(&Event::Connected { session: 1 }).await.unwrap();
    chat.people(People::Look(10)).await.unwrap();
    let known = Profile { user: 10, version: 3, ..Profile::default() };
    assert!(chat.news(&Event::Profile(known)).is_some(), "it was asked for");
}

#[tokio::test]
async fn each_of_those_who_write_is_forgotten_in_time() {
    let mut chat = chat_with_group(&[8, 9]).await;
    chat.open(Target::Group(30)).await.unwrap();
    for user in [8, 9] {
        let (group, is_typing) = (Some(30), true);
        chat.take(&Event::Typing { group, user, is_typing }).await.unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let now = Instant::now();
    assert_eq!(chat.writers(now), [8, 9]);
    let first = chat.writers_until(now).unwrap();
    assert_eq!(chat.writers(first), [9]);
    let second = chat.writers_until(first).expect("the other one still writes");
    assert!(second > first);
    assert_eq!(chat.writers(second), [0; 0]);
    assert_eq!(chat.writers_until(second), None, "nobody writes");
}

#[tokio::test]
async fn a_question_that_gets_no_answer_says_so() {
    let mut chat = chat().await;
    let find = |name: &str| People::Find(name.into());
    let told = chat.people(find("bob")).await.unwrap_err();
    assert!(told.contains("bob can't be looked for without a connection; try again"), "{told}");
    let told = chat.people(People::Look(9)).await.unwrap_err();
    assert!(told.contains("the profile of 9 isn't on this device"), "{told}");
    chat.take(&Event::Connected { session: 1 }).await.unwrap();
    for wrong in ["Bob", "bo", "b\u{1b}b", &"b".repeat(33)] {
        let told = chat.people(find(wrong)).await.unwrap_err();
        assert!(told.contains("a username has 3 to 32 of a-z"), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
    // One is answered, the others are asked on a connection that breaks.
    for name in ["ann", "bob"] {
        assert_eq!(chat.people(find(name)).await, Ok(Vec::new()));
    }
    assert_eq!(chat.people(People::Look(9)).await, Ok(Vec::new()));
    let (name, user, code) = ("ann".into(), Some(8), Code::None);
    assert!(chat.news(&Event::Found { name, user, code, retry_after_ms: 0 }).is_some());
    let reason = Reason::Lost("reset".into());
    let lost = Event::Disconnected { reason, retry_in_ms: Some(1_000) };
    let told = chat.news(&lost).unwrap();
    assert_eq!(told, "the connection ended before the answer; ask again: /find bob, /profile 9");
    assert_eq!(chat.news(&lost), None, "once");
}

#[tokio::test]
async fn a_profile_that_is_here_is_shown_without_a_connection() {
    let mut store = MemoryStore::new();
    let name = Arc::from(&b"Ann"[..]);
    let known = Profile { user: 9, version: 2, name, ..Profile::default() };
    store.commit(&[Write::Profile(known)]).unwrap();
    let mut chat = chat_on(store).await;
    assert_eq!(chat.people(People::Look(9)).await, Ok(vec!["9 is Ann".into()]));
}

/// A message that is about another one: its content and body.
fn about(message: Message, content: Content<'_>) -> Message {
    let mut body = Vec::new();
    content.encode(&mut body);
    Message { content: content.number(), body: Arc::from(body), ..message }
}

#[tokio::test]
async fn what_came_before_a_tick_is_shown_with_it() {
    let mut store = MemoryStore::new();
    let to_8 = message(1, 8, State::Sent, "helo");
    let in_30 = Message { group: Some(30), ..message(2, 7, State::Sent, "helo") };
    let meant = Meant { of_peer: true, place: 1 };
    let reaction = Content::Reaction { target: meant, body: b"+1" };
    let reaction = about(message(3, 8, State::Received, ""), reaction);
    let edit = about(message(4, 7, State::Sent, ""), Content::Edit { target: 2, body: b"hello" });
    let edit = Message { group: Some(30), ..edit };
    let all = [&to_8, &in_30, &reaction, &edit].map(|it| Write::Insert(it.clone()));
    store.commit(&all).unwrap();
    let mut chat = chat_on(store).await;
    let waiting = |it: Message| {
        let (state, ordinal) = (State::Pending, None);
        Event::OwnCopy(Message { state, ordinal, ..it })
    };
    let time_ms = NOON_MS;
    chat.open(Target::Peer(8)).await.unwrap();
    chat.take(&waiting(to_8)).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  helo  ·"]);
    let (id, peer, ordinal) = (MessageId(1), 8, 1);
    chat.take(&Event::Ticked { id, peer, ordinal, time_ms }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  helo  [+1 8]  ✓"]);
    chat.open(Target::Group(30)).await.unwrap();
    chat.take(&waiting(in_30)).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  helo  ·"]);
    let (id, group, position) = (MessageId(2), 30, 2);
    chat.take(&Event::GroupTicked { id, group, position, time_ms }).await.unwrap();
    assert_eq!(messages_at(&chat, 40, 10), ["me  hello (edited)  ✓"]);
}

#[tokio::test]
async fn what_was_read_before_it_was_told_is_not_unread() {
    let mut store = MemoryStore::new();
    let all: Vec<_> = (1..=3).map(|id| message(id, 8, State::Received, "hi")).collect();
    let in_group =
        |it: &Message| Message { group: Some(30), id: MessageId(it.id.0 + 3), ..it.clone() };
    let told_in_group: Vec<_> = all.iter().map(in_group).collect();
    let inserts = all.iter().chain(&told_in_group).map(|it| Write::Insert(it.clone()));
    // Neither conversation nor group counts them: the program began before they came.
    let group = Write::Group(GroupState::new(30));
    store.commit(&inserts.chain([group]).collect::<Vec<_>>()).unwrap();
    let mut chat = chat_on(store).await;
    for target in [Target::Peer(8), Target::Group(30)] {
        chat.open(target).await.unwrap();
        assert!(chat.mark_read().await);
    }
    for (told, told_in_group) in all.iter().zip(&told_in_group) {
        chat.take(&Event::Message(told.clone())).await.unwrap();
        chat.take(&Event::GroupMessage(told_in_group.clone())).await.unwrap();
    }
    assert_eq!(chat.list().iter().map(|(_, unread)| unread).sum::<u64>(), 0, "{:?}", chat.list());
    received(&mut chat, 4, 8, "new").await;
    let (group, ordinal) = (Some(30), Some(4));
    let new = Message { group, ordinal, ..message(7, 8, State::Received, "new") };
    chat.take(&Event::GroupMessage(new)).await.unwrap();
    assert_eq!(chat.list(), [(Target::Group(30), 1), (Target::Peer(8), 1)]);
}
