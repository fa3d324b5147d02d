//! The frame decoder, over a byte stream.
//!
//! However the stream is cut into receives, the same frames come out of it and the same error ends
//! it. Whatever decodes is encoded to the same bytes, and a large body comes out as it went in.

use fulmar_protocol::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use fulmar_protocol::{DecodeError, Frame, FrameError, Frames};

/// Streams up to this length are cut at every place; longer ones at some, so that time stays linear.
const CUTS_MAX: usize = 256;

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Each frame's bytes.
    frames: Vec<Vec<u8>>,
    error: Option<FrameError>,
    rest: Vec<u8>,
}

/// See the module's description. The first byte says how large a frame may be.
pub fn decode(data: &[u8]) {
    let Some((&first, stream)) = data.split_first() else { return };
    let bytes_max = [FRAME_BYTES_MAX, HELLO_BYTES_MAX, 16, 1][usize::from(first) % 4];
    let whole = cut([stream], bytes_max);
    whole.frames.iter().for_each(|frame| check_frame(frame));
    check_frame(stream);
    let step = stream.len().div_ceil(CUTS_MAX).max(1);
    for at in (1..stream.len()).step_by(step) {
        let (before, behind) = stream.split_at(at);
        assert_eq!(cut([before, behind], bytes_max), whole, "cut at {at}");
    }
    if stream.len() <= CUTS_MAX {
        assert_eq!(cut(stream.chunks(1), bytes_max), whole, "byte by byte");
    }
}

/// Cuts a stream that comes in pieces as a receiver does, who keeps what isn't complete.
fn cut<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bytes_max: usize) -> Found {
    let mut found = Found { frames: Vec::new(), error: None, rest: Vec::new() };
    for piece in pieces {
        found.rest.extend_from_slice(piece);
        if found.error.is_some() {
            continue;
        }
        let mut frames = Frames::new(&found.rest, bytes_max);
        for frame in frames.by_ref() {
            match frame {
                Ok(frame) => found.frames.push(frame.to_vec()),
                Err(error) => found.error = Some(error),
            }
        }
        assert_eq!(frames.next(), None, "after its end it stays at its end");
        found.rest = frames.rest().to_vec();
    }
    if let Some(error) = found.error {
        assert!(!error.to_string().is_empty() && !error.code().name().is_empty());
    }
    found
}

/// A frame after its length prefix.
fn check_frame(bytes: &[u8]) {
    let frame = match Frame::decode(bytes) {
        Ok(frame) => frame,
        Err(error) => return check_error(error),
    };
    let mut encoded = Vec::new();
    frame.encode(&mut encoded);
    let mut frames = Frames::new(&encoded, usize::MAX);
    let again = frames.next().expect("a frame").expect("its length is right");
    assert!(frames.rest().is_empty(), "one frame was encoded");
    if let Frame::Unknown { kind } = frame {
        assert_eq!(again, [kind], "of an unknown frame the kind is kept");
        return;
    }
    assert_eq!(again, bytes, "{frame:?} has one form");
    assert_eq!(Frame::decode(again), Ok(frame));
    let number = frame.kind().map(|kind| kind as u8);
    assert_eq!(number, Some(bytes[0] & 0x3f), "the kind byte names the kind");
}

fn check_error(error: DecodeError) {
    let (text, field) = (error.to_string(), error.field());
    assert!(field.is_none_or(|field| text.contains(field)), "{text} names {field:?}");
    assert!(!error.name().is_empty() && !error.code().name().is_empty());
}
