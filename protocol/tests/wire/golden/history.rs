//! Vectors of the frames about pages of logs.

use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::{Frame, Kind};
use serde_json::{Value, json};

use super::{Fields, exact, hex};

impl Fields<'_> {
    /// The frame with these fields, of a kind that is about pages.
    pub(super) fn history_frame(&self, kind: Kind) -> Frame<'_> {
        match kind {
            Kind::History => Frame::History(History {
                group: self.number("group"),
                from: self.number("from"),
                through: self.number("through"),
                limit: self.number("limit"),
                newest_first: self.flag("newest_first"),
            }),
            Kind::Past => Frame::Past(Past {
                group: self.number("group"),
                position: self.number("position"),
                peer: self.number("peer"),
                ordinal: self.number("ordinal"),
                time_ms: self.number("time_ms"),
                content: self.byte("content"),
                own: self.own(),
                total_bytes: self.total_bytes(),
                body: &self.bytes,
            }),
            _ => Frame::HistoryEnd(HistoryEnd {
                group: self.number("group"),
                from: self.number("from"),
                through: self.number("through"),
                has_more: self.flag("has_more"),
            }),
        }
    }
}

/// The fields of such a frame, as a vector states them.
pub(super) fn describe(frame: &Frame<'_>) -> Value {
    match *frame {
        Frame::History(history) => json!({
            "group": exact(history.group), "from": exact(history.from),
            "through": exact(history.through), "limit": exact(history.limit),
            "newest_first": history.newest_first,
        }),
        Frame::Past(past) => json!({
            "group": exact(past.group), "position": exact(past.position),
            "peer": exact(past.peer), "ordinal": exact(past.ordinal),
            "time_ms": exact(past.time_ms), "content": past.content, "own": past.own,
            "total_bytes": past.total_bytes.map(exact), "body": hex(past.body),
        }),
        Frame::HistoryEnd(end) => json!({
            "group": exact(end.group), "from": exact(end.from), "through": exact(end.through),
            "has_more": end.has_more,
        }),
        ref other => panic!("not about a page: {other:?}"),
    }
}
