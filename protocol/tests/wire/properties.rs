//! Laws that hold for any bytes and any frame: what is decoded encodes to the same bytes, what is
//! encoded decodes to the same frame, and where a stream is split makes no difference.

use fulmar_protocol::group::Change;
use fulmar_protocol::{Assembly, Chunks, Code, Frame, FrameError, Frames, limits, split_frame};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::golden::{self, bytes, name, number, with_length};
use crate::material::materials;

/// Vectors above this length are corrupted at their edges and at some places between: their middle
/// is body bytes, which are opaque.
const EXHAUSTIVE_BYTES_MAX: usize = 4_096;
const EDGE_BYTES: usize = 24;
const PLACES_BETWEEN: usize = 64;

/// Decodes `frame`, bytes after a length prefix: an error that can be told, or a frame that
/// encodes to the same bytes. `out` is memory to encode into.
fn judge(frame: &[u8], out: &mut Vec<u8>) {
    match Frame::decode(frame) {
        Err(error) => assert!(error.code() != Code::None && !error.name().is_empty()),
        Ok(Frame::Unknown { kind }) => assert!(kind == frame[0] && kind & 0x3f >= 32),
        Ok(decoded) => {
            out.clear();
            decoded.encode(out);
            let (again, rest) = split_frame(out, usize::MAX).unwrap().expect("a whole frame");
            assert!(again == frame && rest.is_empty(), "{decoded:?} from {frame:02x?}");
        }
    }
}

/// The same for the body of an entry that tells of a change.
fn judge_change(body: &[u8]) {
    match Change::decode(body) {
        Err(error) => assert!(error.code() != Code::None && !error.name().is_empty()),
        Ok(change) => {
            let mut again = Vec::new();
            change.encode(&mut again);
            assert!(again == body, "{change:?} from {body:02x?}");
        }
    }
}

#[test]
fn every_corrupted_byte_of_a_change_is_an_error_or_a_change() {
    for vector in golden::load("changes.json") {
        let mut body = bytes(&vector["hex"]);
        for place in places(body.len()) {
            judge_change(&body[..place]);
            let original = body[place];
            for change in 1..=255u8 {
                body[place] = original ^ change;
                judge_change(&body);
            }
            body[place] = original;
        }
    }
}

/// Cuts `stream` into frames and judges each; the lengths that are accepted have one form.
fn judge_stream(stream: &[u8], out: &mut Vec<u8>) {
    let mut frames = Frames::new(stream, limits::FRAME_BYTES_MAX);
    let mut before = stream;
    while let Some(Ok(frame)) = frames.next() {
        judge(frame, out);
        let taken = &before[..before.len() - frames.rest().len()];
        assert_eq!(taken.len(), fulmar_protocol::varint::len(frame.len() as u64) + frame.len());
        before = frames.rest();
    }
}

/// The bytes of every vector as streams: whole frames, with their length prefixes.
fn streams() -> Vec<(String, Vec<u8>)> {
    let mut streams = Vec::new();
    let mut add = |vectors: Vec<Value>, stream: fn(&Value) -> Vec<u8>| {
        streams.extend(vectors.iter().map(|vector| (name(vector).to_owned(), stream(vector))));
    };
    add(golden::load("frames.json"), |vector| bytes(&vector["hex"]));
    add(golden::load("bad_frames.json"), |vector| with_length(&bytes(&vector["hex"])));
    add(golden::load("streams.json"), |vector| bytes(&vector["hex"]));
    add(golden::load("bodies.json"), |vector| {
        vector["frames"].as_array().expect("frames").iter().flat_map(bytes).collect()
    });
    streams
}

/// The places of a stream that are worth corrupting.
fn places(len: usize) -> impl Iterator<Item = usize> {
    let stride = (len / PLACES_BETWEEN).max(1);
    let edge = move |place: &usize| *place < EDGE_BYTES || *place + EDGE_BYTES >= len;
    (0..len).filter(move |place| {
        len <= EXHAUSTIVE_BYTES_MAX || edge(place) || place.is_multiple_of(stride)
    })
}

#[test]
fn every_corrupted_byte_of_a_vector_is_an_error_or_a_frame() {
    let mut out = Vec::new();
    for (_, mut stream) in streams() {
        for place in places(stream.len()) {
            let original = stream[place];
            for change in 1..=255u8 {
                stream[place] = original ^ change;
                judge_stream(&stream, &mut out);
            }
            stream[place] = original;
        }
    }
}

#[test]
fn every_truncation_of_a_vector_is_an_error_or_a_frame() {
    let mut out = Vec::new();
    for (_, stream) in streams() {
        for len in places(stream.len()) {
            judge_stream(&stream[..len], &mut out);
        }
    }
    // The same within a frame, whose length prefix then says what is left.
    for vector in golden::load("frames.json") {
        let whole = bytes(&vector["hex"]);
        let (frame, _) = split_frame(&whole, limits::FRAME_BYTES_MAX).unwrap().expect("a frame");
        for len in 0..frame.len() {
            judge(&frame[..len], &mut out);
        }
    }
}

/// What a receiver gets that feeds the stream in these pieces and keeps what is incomplete.
fn received(pieces: &[&[u8]], bytes_max: usize) -> (Vec<Vec<u8>>, Vec<u8>, Option<FrameError>) {
    let mut kept = Vec::new();
    let mut cut = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        let mut frames = Frames::new(&kept, bytes_max);
        for frame in &mut frames {
            match frame {
                Ok(frame) => cut.push(frame.to_vec()),
                Err(error) => {
                    let rest = frames.rest().to_vec();
                    return (cut, rest, Some(error));
                }
            }
        }
        kept = frames.rest().to_vec();
    }
    (cut, kept, None)
}

#[test]
fn splitting_at_every_byte_changes_nothing() {
    let mut cases: Vec<(Vec<u8>, usize)> = golden::load("streams.json")
        .iter()
        .map(|vector| (bytes(&vector["hex"]), number(&vector["bytes_max"]) as usize))
        .collect();
    let all = golden::load("frames.json").iter().flat_map(|vector| bytes(&vector["hex"])).collect();
    cases.push((all, limits::FRAME_BYTES_MAX));
    for (stream, bytes_max) in cases {
        let (frames, rest, error) = received(&[&stream], bytes_max);
        for at in places(stream.len()) {
            let (first, second) = stream.split_at(at);
            let split = received(&[first, second], bytes_max);
            assert!(split.0 == frames, "split at {at}");
            assert_eq!(split.2, error, "split at {at}");
            if error.is_none() {
                assert_eq!(split.1, rest, "split at {at}");
            }
        }
        if stream.len() <= EXHAUSTIVE_BYTES_MAX {
            let single: Vec<&[u8]> = stream.chunks(1).collect();
            let split = received(&single, bytes_max);
            assert!(split.0 == frames && split.2 == error, "byte by byte");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn frames_round_trip(materials in vec(materials(), 1..4)) {
        let mut stream = Vec::new();
        for material in &materials {
            material.frame().encode(&mut stream);
        }
        let mut frames = Frames::new(&stream, limits::FRAME_BYTES_MAX);
        for material in &materials {
            let frame = frames.next().expect("a frame").expect("within the limit");
            prop_assert_eq!(Frame::decode(frame), Ok(material.frame()));
        }
        prop_assert!(frames.next().is_none() && frames.rest().is_empty());
    }

    #[test]
    fn random_fields_are_an_error_or_a_frame(
        kind in 0u8..=50, flags in 0u8..4, fields in vec(any::<u8>(), 0..200),
    ) {
        let mut frame = vec![kind | flags << 6];
        frame.extend(&fields);
        judge(&frame, &mut Vec::new());
        // Mostly small numbers reach further into the frame than random bytes do.
        frame[1..].iter_mut().for_each(|byte| *byte %= 8);
        judge(&frame, &mut Vec::new());
    }

    #[test]
    fn changes_round_trip(material in materials()) {
        let mut body = Vec::new();
        material.change().encode(&mut body);
        prop_assert_eq!(body.len(), material.change().encoded_len());
        prop_assert_eq!(Change::decode(&body), Ok(material.change()));
    }

    #[test]
    fn random_bodies_are_an_error_or_a_change(body in vec(any::<u8>(), 0..200)) {
        judge_change(&body);
        let small: Vec<u8> = body.iter().map(|byte| byte % 8).collect();
        judge_change(&small);
    }

    #[test]
    fn random_streams_never_panic(stream in vec(any::<u8>(), 0..400)) {
        judge_stream(&stream, &mut Vec::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cut_bodies_are_put_together(
        whole_parts in 0usize..4, more_bytes in 0usize..3, less_bytes in 0usize..3, seed in any::<u8>(),
    ) {
        let len = (whole_parts * limits::PART_BYTES_MAX + more_bytes).saturating_sub(less_bytes);
        let body: Vec<u8> = (0..len).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect();
        let pieces: Vec<&[u8]> = Chunks::new(&body).collect();
        prop_assert_eq!(pieces.concat(), body.clone());
        prop_assert_eq!(pieces.len(), len.div_ceil(limits::PART_BYTES_MAX).max(1));
        prop_assert_eq!(Chunks::total_bytes(&body).is_some(), pieces.len() > 1);
        prop_assert_eq!(assembled(len, &pieces), body);
    }

    #[test]
    fn bodies_cut_anywhere_are_put_together(
        body in vec(any::<u8>(), 1..2_000), cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        prop_assert_eq!(assembled(body.len(), &pieces), body);
    }
}

/// Puts `pieces` together; complete with the last one and not before.
fn assembled(len: usize, pieces: &[&[u8]]) -> Vec<u8> {
    let mut assembly = Assembly::new(len, pieces[0]);
    for (index, piece) in pieces.iter().enumerate().skip(1) {
        let complete = assembly.push(piece).expect("no more bytes than announced");
        assert_eq!(complete, index + 1 == pieces.len());
    }
    assert_eq!(assembly.held_bytes(), assembly.total_bytes());
    assembly.into_body()
}
