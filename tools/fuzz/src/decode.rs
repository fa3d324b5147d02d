//! The frame decoder, over a byte stream.
//!
//! However the stream is cut into receives, the same frames come out of it and the same error ends
//! it. Whatever decodes is encoded to the same bytes, and a large body comes out as it went in.

use fulmar_protocol::content::{Content, EDIT, TIMER};
use fulmar_protocol::group::Change;
use fulmar_protocol::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use fulmar_protocol::{DecodeError, Frame, FrameError, Frames};

/// Streams up to this length are cut at every place, and come byte by byte; longer ones are cut at as
/// many places, so that time stays linear.
const CUTS_MAX: usize = 128;

/// What came out of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// How many frames, and a digest of where each begins and how long it is.
    frames: usize,
    digest: u64,
    error: Option<FrameError>,
    /// Where in the stream no frame covers it any more.
    rest_at: usize,
}

/// See the module's description. The first byte says how large a frame may be.
pub fn decode(data: &[u8]) {
    let Some((&first, stream)) = data.split_first() else { return };
    let bytes_max = [FRAME_BYTES_MAX, HELLO_BYTES_MAX, 16, 1][usize::from(first) % 4];
    let whole = receive(stream, [stream.len()], bytes_max, check_frame);
    check_frame(stream);
    check_change(stream);
    check_content(first, stream);
    if let Some(error) = whole.error {
        assert!(!error.to_string().is_empty() && !error.code().name().is_empty());
    }
    let step = stream.len().div_ceil(CUTS_MAX).max(1);
    for at in (1..stream.len()).step_by(step) {
        let cut = receive(stream, [at, stream.len()], bytes_max, |_| {});
        assert_eq!(cut, whole, "cut at {at}");
    }
    if stream.len() <= CUTS_MAX {
        let single = receive(stream, 0..=stream.len(), bytes_max, |_| {});
        assert_eq!(single, whole, "byte by byte");
    }
}

/// Bytes read as the body of an entry that tells of a change of a group.
fn check_change(bytes: &[u8]) {
    if let Ok(change) = Change::decode(bytes) {
        let mut again = Vec::new();
        change.encode(&mut again);
        assert_eq!(again, bytes, "a change has one form");
        assert_eq!(change.encoded_len(), bytes.len());
    }
}

/// Bytes read as the body of any content that has a head.
fn check_content(first: u8, bytes: &[u8]) {
    for number in EDIT..=TIMER {
        let Ok(content) = Content::parse(number, bytes, first & 1 == 0) else { continue };
        let mut again = Vec::new();
        content.encode(&mut again);
        assert_eq!(again, bytes, "a body has one form");
        content.inner(first & 1 == 0).expect("what is in it was judged with it");
    }
}

/// Takes a stream that arrives up to each of these places in turn, as a receiver does: what is no
/// complete frame is kept and looked at again with what follows it.
fn receive(
    stream: &[u8],
    arrivals: impl IntoIterator<Item = usize>,
    bytes_max: usize,
    each: impl Fn(&[u8]),
) -> Found {
    let mut found = Found { frames: 0, digest: 0, error: None, rest_at: 0 };
    for end in arrivals {
        let mut frames = Frames::new(&stream[found.rest_at..end], bytes_max);
        while let Some(frame) = frames.next() {
            found.rest_at = end - frames.rest().len();
            match frame {
                Ok(frame) => {
                    each(frame);
                    let place = ((found.rest_at - frame.len()) as u64) << 32 | frame.len() as u64;
                    found.digest = (found.digest.rotate_left(9) ^ place).wrapping_mul(DIGEST);
                    found.frames += 1;
                }
                Err(error) => {
                    assert_eq!(frames.next(), None, "it ends at the first error");
                    found.error = Some(error);
                    return found;
                }
            }
        }
    }
    found
}

/// An odd number that spreads bits.
const DIGEST: u64 = 0x9e37_79b9_7f4a_7c15;

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
