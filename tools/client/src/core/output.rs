//! The bytes on their way out.

use fulmar_protocol::Frame;

use super::io::Action;
use crate::limits::WRITE_BYTES_FULL;

/// Collects frames while a write is under way; one write at a time.
#[derive(Debug, Default)]
pub(super) struct Output {
    pending: Vec<u8>,
    writing: bool,
}

impl Output {
    /// Forgets a connection.
    pub(super) fn reset(&mut self) {
        *self = Output::default();
    }

    /// Adds a frame to the next write.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        frame.encode(&mut self.pending);
    }

    /// Whether sends and parts may be added. While a write is under way they wait, so that what
    /// becomes urgent meanwhile (acknowledgements, pings) goes first.
    pub(super) fn has_room(&self) -> bool {
        !self.writing && self.pending.len() < WRITE_BYTES_FULL
    }

    /// The write under way is done.
    pub(super) const fn written(&mut self) {
        self.writing = false;
    }

    /// Starts the next write where there is one; whether it did.
    pub(super) fn flush(&mut self, actions: &mut Vec<Action>) -> bool {
        if self.writing || self.pending.is_empty() {
            return false;
        }
        self.writing = true;
        actions.push(Action::Transmit(std::mem::take(&mut self.pending)));
        true
    }

    /// Starts a last write, whatever is under way: the connection closes behind it.
    pub(super) fn finish(&mut self, actions: &mut Vec<Action>) {
        if !self.pending.is_empty() {
            actions.push(Action::Transmit(std::mem::take(&mut self.pending)));
        }
    }
}
