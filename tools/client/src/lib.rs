//! A client of Fulmar, for programs in which a person chats.
//!
//! The client keeps a device's messages in its own store, sends what the person writes, receives
//! what others write, and holds the connection: it reconnects with growing pauses, sends again what
//! had no answer, and acknowledges to the server only what its store has durably. What it promises
//! in return to the server's promises:
//!
//! - A message that [`Client::send`] returned an id for goes out once, whatever crashes.
//! - A message that the server delivers is told once ([`Event::Message`]) and is in the history. One
//!   that was stored just before a crash is in the history without having been told.
//! - Ticks, delivered and read only move forward.
//!
//! The same holds in groups: each is a log like the inbox, with a cursor of its own. What is done to a
//! group ([`Client::change_group`]) is sent, ticked and kept as a message to it.
//!
//! ```no_run
//! use fulmar_client::{Client, Config, Event, content};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (client, mut events) = Client::open(Config {
//!         address: "127.0.0.1:7700".into(),
//!         user: 7,
//!         device: 1,
//!         token: String::new(),
//!         store: "user-7-device-1.db".into(),
//!         agent: "example/1".into(),
//!     })
//!     .await?;
//!
//!     let sender = client.clone();
//!     tokio::spawn(async move {
//!         let sent = sender.send(8, content::TEXT, *b"hello").await;
//!         println!("stored as {sent:?}, and on its way");
//!     });
//!
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Ticked { id, ordinal, .. } => println!("✓ {id} is number {ordinal}"),
//!             Event::Delivered { peer, ordinal } => println!("✓✓ {peer} has up to {ordinal}"),
//!             Event::Message(message) => {
//!                 println!("{}: {}", message.peer, String::from_utf8_lossy(&message.body));
//!                 client.mark_read(message.peer, message.ordinal.unwrap_or(0)).await;
//!             }
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`core`] | the whole behaviour, as a state machine without I/O |
//! | [`store`] | what the device keeps: the trait, SQLite, memory |
//! | `driver` | the tokio task that connects the two with a socket and the clock |
//! | [`limits`] | every bound |

mod client;
pub mod core;
mod driver;
mod event;
mod group;
pub mod limits;
mod message;
pub mod people;
mod refer;
pub mod store;

pub use client::{Client, Config, Events, OpenError};
pub use core::SendError;
pub use event::{Event, Progress, Reason};
pub use fulmar_protocol::Code;
pub use group::{Action, Group, GroupChange, Receipt, Role};
pub use message::{Conversation, Message, MessageId, State, Target, content};
pub use people::{BookItem, ChatSettings, Profile, Put, Star};
pub use refer::{Change, Changes, Reaction};
