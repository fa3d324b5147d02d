//! The whole client on real sockets and files, against a scripted server.

#[path = "../script/frames.rs"]
mod frames;
#[path = "../script/server.rs"]
mod server;

mod bounds;
mod chat;
mod logins;

use fulmar_client::{Client, Config, Events};
use tempfile::TempDir;
use tokio::time::timeout;

/// A device on this machine: its store lives as long as this.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Home { directory: TempDir::new().unwrap() }
    }

    fn config(&self, address: &str) -> Config {
        Config {
            address: address.to_owned(),
            user: 7,
            device: 1,
            token: "token".into(),
            store: self.directory.path().join("device.db"),
            agent: "script".into(),
        }
    }

    async fn open(&self, address: &str) -> (Client, Listener) {
        let (client, events) = Client::open(self.config(address)).await.unwrap();
        (client, Listener { events })
    }
}

/// The events of a client as lines.
struct Listener {
    events: Events,
}

impl Listener {
    async fn next(&mut self) -> String {
        let event = timeout(server::PATIENCE, self.events.next()).await.expect("an event");
        frames::tell(&event.expect("an event before the end"))
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.next().await, line);
    }

    /// Passes over events until one begins with this.
    async fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.next().await;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Passes over what is still told until the client has ended.
    async fn end(&mut self) {
        while timeout(server::PATIENCE, self.events.next()).await.expect("the end").is_some() {}
    }
}
