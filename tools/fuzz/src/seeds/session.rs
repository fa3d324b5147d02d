//! Short courses of events around a client.

use super::Seed;
use super::scripts::seed;
use super::vectors::{Content, Vector};
use crate::script::Writer;
use crate::session::Step as Client;

impl Writer {
    fn client(self, step: Client) -> Self {
        self.byte(step as u8)
    }

    /// A connection opens and the login succeeds.
    fn online(self) -> Self {
        let heads = [0, 0];
        self.client(Client::Open)
            .byte(0)
            .client(Client::Transmitted)
            .client(Client::Welcome)
            .raw(&heads)
            .raw(&[0, 3])
    }
}

pub(super) fn scripts() -> Vec<Seed> {
    let begin = || Writer::new().byte(1).client(Client::Pass).byte(0).online();
    let sent = || {
        begin().client(Client::Send).raw(&[0, 5]).client(Client::Stored).client(Client::Transmitted)
    };
    // A frame's step is followed by a head and whether it is told.
    let deliver = |writer: Writer| writer.client(Client::Deliver).raw(&[0, 0, 5, 0, 1, 0, 1, 0]);
    vec![
        seed("online", begin()),
        seed("sent", sent().client(Client::Answer).raw(&[0, 0, 0, 0, 1, 9])),
        seed(
            "rejected",
            sent()
                .client(Client::Answer)
                .raw(&[0, 0, 0, 200, 20, 3])
                .client(Client::Stored)
                .client(Client::Resend)
                .byte(0),
        ),
        seed(
            "delivered",
            deliver(begin())
                .client(Client::Stored)
                .client(Client::Transmitted)
                .client(Client::MarkRead)
                .raw(&[0, 1]),
        ),
        seed(
            "large",
            begin()
                .client(Client::Send)
                .raw(&[0, 245])
                .client(Client::Stored)
                .client(Client::Transmitted)
                .client(Client::Transmitted),
        ),
        seed("lost", deliver(sent()).client(Client::Lose).client(Client::Pass).byte(6).online()),
        seed(
            "crash",
            deliver(sent())
                .client(Client::Crash)
                .raw(&[1, 3])
                .client(Client::Pass)
                .byte(1)
                .online(),
        ),
        seed(
            "refused",
            Writer::new()
                .byte(0)
                .client(Client::Pass)
                .byte(0)
                .client(Client::Open)
                .byte(0)
                .client(Client::Refuse)
                .raw(&[0, 0, 9, 5]),
        ),
        seed(
            "redirected",
            begin().client(Client::Goodbye).raw(&[0, 0, 0, 0, 1]).client(Client::Pass).byte(8),
        ),
        seed(
            "went-back",
            deliver(begin())
                .client(Client::Stored)
                .client(Client::Lose)
                .client(Client::Pass)
                .byte(7)
                .client(Client::Open)
                .byte(0)
                .client(Client::Transmitted)
                .client(Client::Welcome)
                .raw(&[0, 1, 0, 3]),
        ),
        seed(
            "parts",
            begin()
                .client(Client::DeliverAny)
                .raw(&[0, 0, 1, 0, 10, 1, 50, 0, 1, 0, 1, 1])
                .client(Client::Part)
                .raw(&[0, 0, 49]),
        ),
        seed("past", past(begin())),
        seed(
            "book",
            begin()
                .client(Client::OfPeople)
                .byte(1)
                .client(Client::OfPeople)
                .raw(&[2, 0, 0])
                .client(Client::OfPeople)
                .raw(&[2, 4, 0])
                .bytes(b"Ann")
                .client(Client::Stored)
                .client(Client::Transmitted)
                .client(Client::People)
                .raw(&[0, 0, 0, 3])
                .client(Client::People)
                .raw(&[2, 0, 0, 3, 20, 9])
                .client(Client::People)
                .raw(&[3, 0, 0, 3, 0, 0])
                .client(Client::Stored)
                .client(Client::Transmitted),
        ),
        seed(
            "people",
            (0..9).fold(begin(), |writer, what| {
                writer
                    .client(Client::OfPeople)
                    .raw(&[what, 0, 1, 0])
                    .client(Client::Transmitted)
                    .client(Client::People)
                    .raw(&[what, 0, 1, 2, 3, 0, 0])
                    .client(Client::Stored)
            }),
        ),
        seed(
            "contents",
            (3..9).fold(begin(), |writer, content| {
                let writer = writer.client(Client::Content).raw(&[0, 0, content, 9, 0, content]);
                let writer = writer.bytes(&[1, 1, b'x']).client(Client::Stored);
                let writer = writer.client(Client::SendContent).raw(&[0, 0, content]);
                writer.bytes(&[1, 1, b'x']).client(Client::Stored).client(Client::Transmitted)
            }),
        ),
        seed(
            "pongs",
            begin()
                .client(Client::Pass)
                .byte(5)
                .client(Client::Transmitted)
                .client(Client::Pong)
                .raw(&[9, 1])
                .client(Client::Pass)
                .byte(5),
        ),
    ]
}

/// A message that comes as the ninth, and then two of those before it.
fn past(writer: Writer) -> Writer {
    let writer = writer.client(Client::Skip).byte(8);
    let writer = writer.client(Client::Deliver).raw(&[0, 0, 5, 0, 1, 0, 1]).client(Client::Stored);
    let writer = writer.client(Client::OfPeople).raw(&[0, 0, 5]).client(Client::Transmitted);
    let past = |writer: Writer, ordinal| {
        writer.client(Client::Past).raw(&[0, 0, ordinal, 0, 1, 0, 0, 1, 0])
    };
    let writer = past(past(writer, 4), 3).client(Client::Stored);
    writer
        .client(Client::HistoryEnd)
        .raw(&[0, 0, 7, 1])
        .client(Client::Stored)
        .client(Client::Transmitted)
}

/// A server that says what a vector has, after the login or before.
pub(super) fn told(vector: &Vector) -> Vec<u8> {
    let writer = Writer::new().byte(1).client(Client::Pass).byte(0);
    let writer = if vector.name.contains("welcome") || vector.name.contains("refuse") {
        writer.client(Client::Open).byte(0).client(Client::Transmitted)
    } else {
        writer.online()
    };
    writer.client(Client::Bytes).bytes(&vector.bytes).client(Client::Stored).into_bytes()
}

/// A server that delivers a body first.
pub(super) fn content(content: &Content) -> Option<Vec<u8>> {
    let writer = Writer::new().byte(1).client(Client::Pass).byte(0).online();
    let writer = writer.client(Client::Bytes).bytes(&content.delivered()?);
    Some(writer.client(Client::Stored).into_bytes())
}
