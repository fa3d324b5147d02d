//! What the full screen does and says, without a terminal.

use std::sync::Arc;

use fulmar_client::store::MemoryStore;
use fulmar_client::{Changes, Code, Config, MessageId, State, content};

use super::*;
use crate::server::{Peer, Server};

async fn app() -> App {
    app_at("127.0.0.1:1").await.0
}

/// The app of a device of this server, what its client tells, and the client.
async fn app_at(server: &str) -> (App, Events, Client) {
    let config = Config {
        address: server.into(),
        user: 7,
        device: 1,
        token: String::new(),
        store: "unused".into(),
        agent: "test".into(),
    };
    let store = Box::new(MemoryStore::new());
    let (client, events) = Client::with_store(config, store).await.unwrap();
    let chat = Chat::new(client.clone(), 7).await.unwrap();
    let (editor, notes, seen) = (Editor::new(), Vec::new(), Seen::default());
    let (title, now) = (String::new(), Instant::now());
    let app = App { chat, editor, title, notes, scroll: 0, seen, used: now, drawn: now };
    (app, events, client)
}

fn received(id: i64, peer: u64) -> Event {
    Event::Message(Message {
        id: MessageId(id),
        group: None,
        peer,
        state: State::Received,
        ordinal: Some(1),
        position: Some(1),
        time_ms: 1_736_942_400_000,
        content: content::TEXT,
        body: Arc::from(&b"hi"[..]),
        changes: Changes::default(),
    })
}

impl App {
    async fn press(&mut self, code: KeyCode) {
        assert_eq!(self.key(KeyEvent::from(code)).await.unwrap(), Flow::Stay);
    }

    async fn write(&mut self, text: &str) {
        for character in text.chars() {
            self.press(KeyCode::Char(character)).await;
        }
    }

    /// Takes the notes that were made.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes).into_iter().map(|note| note.text).collect()
    }
}

#[tokio::test]
async fn what_the_server_did_not_take_is_said_where_no_message_shows_it() {
    let mut app = app().await;
    let code = Code::QuotaExceeded;
    let rejected = |id| Event::Rejected { id: MessageId(id), peer: 8, code, retry_after_ms: 0 };
    app.open(Target::Peer(8)).await.unwrap();
    app.event(&received(50, 8)).await.unwrap();
    app.line("/react 50 +1").await.unwrap();
    app.event(&rejected(1)).await.unwrap();
    assert_eq!(app.told(), ["me → 8: [reacted] +1  ✗ rejected: quota_exceeded (301)"]);
    app.line("shown").await.unwrap();
    app.event(&rejected(2)).await.unwrap();
    assert_eq!(app.told(), [""; 0], "it stands at the message");
    app.line("not shown").await.unwrap();
    app.open(Target::Peer(9)).await.unwrap();
    app.event(&rejected(3)).await.unwrap();
    assert_eq!(app.told(), ["me → 8: not shown  ✗ rejected: quota_exceeded (301)"]);
    let (id, group) = (MessageId(70), 30);
    app.event(&Event::GroupRejected { id, group, code, retry_after_ms: 0 }).await.unwrap();
    let told = "me → group 30: an edit, a deletion or a reaction  ✗ rejected: quota_exceeded (301)";
    assert_eq!(app.told(), [told], "an earlier run sent it");
}

/// Waits until the server has what was told so far: of what is told at once only the last arrives.
async fn pass(client: &Client, peer: &mut Peer) {
    client.find("bob").await;
    peer.expect("find bob").await;
}

#[tokio::test]
async fn only_who_is_written_to_is_told_so_and_when_it_ends() {
    let server = Server::start().await;
    let (mut app, mut events, client) = app_at(&server.address).await;
    let mut peer = server.login().await;
    while !app.chat.is_online() {
        app.event(&events.next().await.unwrap()).await.unwrap();
    }
    app.open(Target::Peer(8)).await.unwrap();
    // Emptied by keys, and at once.
    app.write("hi").await;
    pass(&client, &mut peer).await;
    app.press(KeyCode::Backspace).await;
    app.press(KeyCode::Backspace).await;
    pass(&client, &mut peer).await;
    app.write("hi").await;
    pass(&client, &mut peer).await;
    app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)).await.unwrap();
    // A command is nobody's; then the chat is left.
    app.write("/edit 5").await;
    app.press(KeyCode::Enter).await;
    pass(&client, &mut peer).await;
    app.write("a").await;
    pass(&client, &mut peer).await;
    app.open(Target::Peer(9)).await.unwrap();
    // Turned into a command, and into a text that begins with a slash.
    app.write("b").await;
    pass(&client, &mut peer).await;
    app.press(KeyCode::Home).await;
    app.write("/").await;
    pass(&client, &mut peer).await;
    app.write("/").await;
    pass(&client, &mut peer).await;
    app.press(KeyCode::Enter).await;
    peer.expect("send 9 #0 /ab").await;
    pass(&client, &mut peer).await;
    let told: Vec<_> = peer.in_passing.iter().filter_map(|it| it.strip_prefix("typing ")).collect();
    let (to_8, to_9) = (["0 8 true", "0 8 false"], ["0 9 true", "0 9 false"]);
    assert_eq!(told, [to_8, to_8, to_8, to_9, to_9].concat());
}
