//! The same device logs in while it is logged in.

use std::time::Instant;

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames};

use super::book::{Book, Note};
use super::link::Link;
use super::{Device, End};
use crate::limits::REPLACED;

/// The connection that another one replaced. What still comes on it isn't taken: to the device it
/// is over. It only waits for the server to end it.
#[derive(Debug)]
pub(super) struct Older {
    link: Link,
    deadline: Instant,
}

impl Older {
    pub(super) fn new(link: Link) -> Older {
        Older { link, deadline: Instant::now() + REPLACED }
    }

    /// Reads what came; whether the connection is gone, or given up where the server's silence is
    /// excused.
    pub(super) fn is_over(&mut self, now: Instant, is_excused: bool, book: &mut Book) -> bool {
        let is_gone = match self.link.receive() {
            Ok(true) => self.look_for_goodbye(book),
            Ok(false) => false,
            Err(_) => true,
        };
        if !is_gone && now >= self.deadline && !is_excused {
            let what = format!("a replaced connection is open after {} s", REPLACED.as_secs());
            book.note(Note::Broken { what: &what });
        }
        is_gone || now >= self.deadline
    }

    /// Passes over the frames up to a goodbye; whether the bytes became unreadable.
    fn look_for_goodbye(&mut self, book: &mut Book) -> bool {
        let mut frames = Frames::new(&self.link.input, FRAME_BYTES_MAX);
        for frame in &mut frames {
            match frame.map(Frame::decode) {
                Ok(Ok(Frame::Goodbye(goodbye))) => {
                    book.note(Note::Replaced { code: goodbye.code.number() });
                }
                Ok(Ok(_)) => {}
                _ => {
                    book.note(Note::Broken { what: "bytes that are no frame before a goodbye" });
                    return true;
                }
            }
        }
        let rest = frames.rest().len();
        self.link.input.drain(..self.link.input.len() - rest);
        false
    }
}

impl Device {
    /// Opens another connection and says hello on it, while the first one is open.
    pub(super) fn take_over(&mut self) {
        if self.older.is_some() {
            return;
        }
        let Some(server) = self.world.server() else { return };
        // Where it fails the server is down, which the first connection will notice.
        let Ok(link) = Link::connect(server) else { return };
        self.book.note(Note::Takeover);
        self.close(&End::Replaced);
        self.greet(link);
    }
}
