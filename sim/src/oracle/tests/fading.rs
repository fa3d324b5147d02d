//! Messages that disappear.

use fulmar_protocol::content::{Content, DISAPPEARING};
use fulmar_protocol::{Deliver, Frame, Pairs, Send};

use super::{History, READER, SENDER, TIME_MS};
use crate::clock::SECOND;
use crate::network::ConnNo;

fn body(seconds: u64) -> Vec<u8> {
    let mut body = Vec::new();
    Content::Disappearing { seconds, content: 1, body: b"psst" }.encode(&mut body);
    body
}

impl History {
    fn send_for(&mut self, number: u64, seconds: u64) {
        let (peer, content, total_bytes) = (READER, DISAPPEARING, None);
        let body = &body(seconds)[..];
        self.wrote(1, &Frame::Send(Send { peer, number, content, total_bytes, body }));
        self.tick(number, number);
    }

    fn deliver_fading(&mut self, conn: ConnNo, position: u64, seconds: u64) {
        let deliver = Deliver {
            position,
            peer: SENDER,
            ordinal: position,
            time_ms: TIME_MS,
            content: DISAPPEARING,
            own: false,
            total_bytes: None,
            body: &body(seconds),
        };
        self.told(conn, &Frame::Deliver(deliver));
    }
}

#[test]
fn what_is_over_is_delivered_no_more() {
    let mut history = History::new();
    history.send_for(1, 10);
    history.0.time(60 * SECOND);
    // It may have been on its way for all that time.
    history.deliver_fading(2, 1, 10);
    history.is_quiet();

    let mut history = History::new();
    history.send_for(1, 10);
    history.0.time(60 * SECOND);
    history.wrote(2, &Frame::Ping);
    history.told(2, &Frame::Pong { heads: Pairs::Slice(&[(0, 1)]) });
    history.deliver_fading(2, 1, 10);
    history.complains("what is over is delivered no more");
}

#[test]
fn what_is_over_is_not_missed() {
    let mut history = History::new();
    history.send_for(1, 10);
    for (conn, device) in [(2, 1), (3, 2)] {
        history.skip(conn, 1);
        history.0.stored(READER, device, &[fulmar_client::store::Write::Cursor(1)]);
        history.ack(conn, 1);
    }
    history.0.time(5 * SECOND);
    assert!(!history.0.missing().is_empty());
    history.0.time(11 * SECOND);
    history.is_content();
}
