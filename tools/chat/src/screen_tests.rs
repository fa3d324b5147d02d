//! What the full screen does and says, without a terminal.

use std::sync::Arc;

use fulmar_client::store::MemoryStore;
use fulmar_client::{Changes, Code, Config, MessageId, State, content};

use super::*;

async fn app() -> App {
    let config = Config {
        address: "127.0.0.1:1".into(),
        user: 7,
        device: 1,
        token: String::new(),
        store: "unused".into(),
        agent: "test".into(),
    };
    let (client, _) = Client::with_store(config, Box::new(MemoryStore::new())).await.unwrap();
    let chat = Chat::new(client, 7).await.unwrap();
    let (editor, notes, seen) = (Editor::new(), Vec::new(), Seen::default());
    let (title, now) = (String::new(), Instant::now());
    App { chat, editor, title, notes, scroll: 0, seen, used: now, drawn: now }
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
