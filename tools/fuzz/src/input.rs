//! What a client sends to a shard, whole and cut.
//!
//! A shard keeps split frames itself and doesn't use the splitter of the protocol crate for that.
//! However the bytes are cut into receives, they mean the same to it.

use std::collections::BTreeMap;

use fulmar::shard::{ConnId, Event};
use fulmar::storage::SimulatedDatabase;
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Code, Frame, Frames};

use crate::node::Node;
use crate::script::Script;

/// Longest input, in bytes: its answers fit the output buffer, so that no client is paused for them.
const BYTES_MAX: usize = 4_096;
/// Inputs up to this length also come byte by byte.
const SINGLE_BYTES_MAX: usize = 64;
const CONN: ConnId = ConnId { slot: 0, generation: 1 };

/// What a client was told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// Frames by their kind; receipts, which are merged, are left out.
    frames: BTreeMap<u8, usize>,
    end: Option<(Code, String)>,
    is_closed: bool,
    was_paused: bool,
}

/// See the module's description. The first bytes say where the others are cut, and whether a login
/// comes before them.
pub fn input(data: &[u8]) {
    let mut script = Script::new(data);
    let is_stranger = script.byte() >= 192;
    let (first_cut, second_cut) = (script.number() as usize, script.number() as usize);
    let bytes = script.rest();
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let (first, rest) = bytes.split_at(first_cut % (bytes.len() + 1));
    let (second, third) = rest.split_at(second_cut % (rest.len() + 1));
    let whole = run(is_stranger, &[bytes]);
    compare(is_stranger, &whole, &run(is_stranger, &[first, second, third]));
    if bytes.len() <= SINGLE_BYTES_MAX {
        let pieces: Vec<_> = bytes.chunks(1).collect();
        compare(is_stranger, &whole, &run(is_stranger, &pieces));
    }
}

/// A client that was paused is read again a little earlier or later, which may change what it is
/// told: such runs aren't compared.
fn compare(is_stranger: bool, whole: &Told, cut: &Told) {
    if whole.was_paused || cut.was_paused {
        return;
    }
    assert_eq!(whole.is_closed, cut.is_closed);
    // What follows a hello makes it void; whether it came with it or behind it is told apart.
    if !is_stranger {
        assert_eq!(whole.end, cut.end);
        if whole.end.is_none() {
            assert_eq!(whole.frames, cut.frames);
        }
    }
}

/// Feeds the pieces in one turn.
fn run(is_stranger: bool, pieces: &[&[u8]]) -> Told {
    let mut node = Node::new(SimulatedDatabase::default());
    if is_stranger {
        node.turn(vec![Event::Accepted { conn: CONN }]);
    } else {
        assert_eq!(node.log_in(CONN.slot, 7, 1), CONN);
    }
    // A receive brings something; one that brings nothing is the end of the connection.
    let pieces = pieces.iter().filter(|bytes| !bytes.is_empty());
    node.turn(pieces.map(|bytes| Event::Received { conn: CONN, bytes }).collect());
    let is_closed = node.closed.contains(&CONN);
    let was_paused = node.shard.counters().pauses > 0;
    let mut told = Told { frames: BTreeMap::new(), end: None, is_closed, was_paused };
    told.take(node.told.get(&CONN).map_or(&[], Vec::as_slice));
    told
}

impl Told {
    fn take(&mut self, bytes: &[u8]) {
        for frame in Frames::new(bytes, FRAME_BYTES_MAX) {
            let frame = Frame::decode(frame.expect("a server's length")).expect("a server's frame");
            assert_eq!(self.end, None, "nothing follows the end");
            match frame {
                Frame::Goodbye(goodbye) => {
                    self.end = Some((goodbye.code, goodbye.detail.to_owned()));
                }
                Frame::Refuse { code, detail, .. } => self.end = Some((code, detail.to_owned())),
                Frame::Receipt { .. } => {}
                frame => {
                    let kind = frame.kind().map_or(0, |kind| kind as u8);
                    *self.frames.entry(kind).or_default() += 1;
                }
            }
        }
    }
}
