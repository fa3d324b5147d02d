//! Every golden vector, in both directions, and that nothing of the wire is without one.

use std::collections::HashSet;

use fulmar_protocol::group::{Action, Change, GroupDeliver, GroupRejected, GroupSend};
use fulmar_protocol::history::Past;
use fulmar_protocol::people::{Found, PutRejected};
use fulmar_protocol::varint::{self, VarintError};
use fulmar_protocol::{
    Assembly, Chunks, Code, DecodeError, Frame, FrameError, Frames, Kind, limits, split_frame,
};
use serde_json::Value;

use crate::golden::{self, bytes, name, number};

#[test]
fn varints() {
    for vector in golden::load("varints.json") {
        let encoded = bytes(&vector["hex"]);
        let read = varint::read(&encoded);
        match vector["error"].as_str() {
            None => {
                let value = number(&vector["value"]);
                assert_eq!(read, Ok((value, encoded.len())), "{}", name(&vector));
                let mut out = Vec::new();
                varint::write(value, &mut out);
                assert_eq!(out, encoded, "{}", name(&vector));
            }
            Some("truncated") => assert_eq!(read, Err(VarintError::Truncated), "{}", name(&vector)),
            Some("invalid") => assert_eq!(read, Err(VarintError::Invalid), "{}", name(&vector)),
            Some(other) => panic!("{}: no such error: {other}", name(&vector)),
        }
    }
}

#[test]
fn frames_decode_to_their_fields_and_encode_to_their_bytes() {
    for vector in golden::load("frames.json") {
        let whole = bytes(&vector["hex"]);
        let (frame_bytes, rest) = split_frame(&whole, limits::FRAME_BYTES_MAX)
            .unwrap_or_else(|error| panic!("{}: {error}", name(&vector)))
            .unwrap_or_else(|| panic!("{}: incomplete", name(&vector)));
        assert!(rest.is_empty(), "{}", name(&vector));
        let frame =
            Frame::decode(frame_bytes).unwrap_or_else(|error| panic!("{}: {error}", name(&vector)));
        assert_eq!(
            golden::describe(&frame, frame_bytes),
            golden::plain(&vector["frame"]),
            "{}",
            name(&vector)
        );
        let Some(expected) = golden::Fields::new(&vector["frame"]).frame().map(encoded) else {
            assert_eq!(frame.kind(), None, "{}", name(&vector));
            continue;
        };
        assert_eq!(golden::hex(&expected), golden::hex(&whole), "{}", name(&vector));
    }
}

fn encoded(frame: Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

#[test]
fn bad_frames_name_what_is_wrong() {
    for vector in golden::load("bad_frames.json") {
        let frame_bytes = bytes(&vector["hex"]);
        let error = match Frame::decode(&frame_bytes) {
            Ok(frame) => panic!("{}: parses as {frame:?}", name(&vector)),
            Err(error) => error,
        };
        assert_eq!(error.name(), vector["error"], "{}: {error}", name(&vector));
        assert_eq!(error.field(), vector["field"].as_str(), "{}: {error}", name(&vector));
        assert_eq!(error.code().name(), vector["code"], "{}: {error}", name(&vector));
    }
}

/// Changes as the bodies of the entries that tell of them, in both directions.
#[test]
fn changes_decode_to_their_fields_and_encode_to_their_bytes() {
    let mut actions = HashSet::new();
    for vector in golden::load("changes.json") {
        let body = bytes(&vector["hex"]);
        let change = match Change::decode(&body) {
            Ok(change) => change,
            Err(error) => {
                assert_eq!(error.name(), vector["error"], "{}: {error}", name(&vector));
                assert_eq!(error.field(), vector["field"].as_str(), "{}: {error}", name(&vector));
                assert_eq!(error.code().name(), vector["code"], "{}: {error}", name(&vector));
                continue;
            }
        };
        assert_eq!(vector.get("error"), None, "{}: parses as {change:?}", name(&vector));
        actions.insert(change.action);
        let stated = golden::plain(&vector["change"]);
        assert_eq!(golden::describe_change(&change), stated, "{}", name(&vector));
        let fields = golden::Fields::new(&vector["change"]);
        let mut out = Vec::new();
        fields.change().encode(&mut out);
        assert_eq!(golden::hex(&out), golden::hex(&body), "{}", name(&vector));
        assert_eq!(fields.change().encoded_len(), body.len(), "{}", name(&vector));
    }
    for action in Action::ALL {
        assert!(actions.contains(&action), "{action:?}");
    }
}

#[test]
fn streams_are_cut_into_frames() {
    for vector in golden::load("streams.json") {
        let stream = bytes(&vector["hex"]);
        let bytes_max = usize::try_from(number(&vector["bytes_max"])).expect("bytes_max");
        let mut frames = Frames::new(&stream, bytes_max);
        let (cut, error) = cut_all(&mut frames);
        let expected: Vec<Vec<u8>> =
            vector["frames"].as_array().expect("frames").iter().map(bytes).collect();
        assert_eq!(cut, expected, "{}", name(&vector));
        assert_eq!(frames.rest(), bytes(&vector["rest"]), "{}", name(&vector));
        assert_eq!(error.map(FrameError::name), vector["error"].as_str(), "{}", name(&vector));
        let code = error.map(|error| error.code().name());
        assert_eq!(code, vector["code"].as_str(), "{}", name(&vector));
    }
}

fn cut_all<'a>(frames: &mut Frames<'a>) -> (Vec<&'a [u8]>, Option<FrameError>) {
    let mut cut = Vec::new();
    for frame in frames {
        match frame {
            Ok(frame) => cut.push(frame),
            Err(error) => return (cut, Some(error)),
        }
    }
    (cut, None)
}

#[test]
fn bodies_are_put_together() {
    for vector in golden::load("bodies.json") {
        let stream = frames_of(&vector).concat();
        let outcome = receive(&stream);
        match vector["error"].as_str() {
            None => assert_eq!(outcome, Ok(bytes(&vector["body"])), "{}", name(&vector)),
            Some(expected) => {
                let error = outcome.expect_err(name(&vector));
                assert_eq!(error.0, expected, "{}", name(&vector));
                assert_eq!(error.1.name(), vector["code"], "{}", name(&vector));
            }
        }
    }
}

/// The one body in `stream`, put together from its frames; or the error's name and code.
fn receive(stream: &[u8]) -> Result<Vec<u8>, (&'static str, Code)> {
    let mut assembly = None;
    for frame in Frames::new(stream, limits::FRAME_BYTES_MAX) {
        let frame = Frame::decode(frame.expect("a frame")).expect("fields");
        let complete = match frame {
            Frame::Send(fulmar_protocol::Send { total_bytes, body, .. })
            | Frame::Deliver(fulmar_protocol::Deliver { total_bytes, body, .. })
            | Frame::GroupSend(GroupSend { total_bytes, body, .. })
            | Frame::GroupDeliver(GroupDeliver { total_bytes, body, .. })
            | Frame::Past(Past { total_bytes, body, .. }) => {
                let Some(total_bytes) = total_bytes else { return Ok(body.to_vec()) };
                let total_bytes = usize::try_from(total_bytes).expect("judged by the receiver");
                assert!(total_bytes <= limits::BODY_BYTES_MAX);
                assembly = Some(Assembly::new(total_bytes, body));
                false
            }
            Frame::Part { body } => assembly
                .as_mut()
                .expect("a body in progress")
                .push(body)
                .map_err(|error| (error.name(), error.code()))?,
            _ => false,
        };
        if complete {
            return Ok(assembly.take().expect("a body in progress").into_body());
        }
    }
    panic!("the body isn't complete");
}

#[test]
fn bodies_are_cut_as_the_vectors_show() {
    for vector in golden::load("bodies.json") {
        if vector["canonical"] != true {
            continue;
        }
        let frames = frames_of(&vector);
        let body = bytes(&vector["body"]);
        let mut chunks = Chunks::new(&body);
        let first = chunks.next().expect("a first piece");
        let first = with_body(&frames[0], Chunks::total_bytes(&body), first);
        let parts = chunks.map(|body| encoded(Frame::Part { body }));
        let cut: Vec<Vec<u8>> = std::iter::once(first).chain(parts).collect();
        let is_of_body = |frame: &Vec<u8>| {
            let (frame, _) = split_frame(frame, limits::FRAME_BYTES_MAX).unwrap().expect("a frame");
            let kind = Frame::decode(frame).expect("fields").kind();
            let of_groups = matches!(kind, Some(Kind::GroupSend | Kind::GroupDeliver | Kind::Past));
            of_groups || matches!(kind, Some(Kind::Send | Kind::Deliver | Kind::Part))
        };
        let expected: Vec<Vec<u8>> = frames.into_iter().filter(is_of_body).collect();
        assert!(cut == expected, "{}", name(&vector));
    }
}

/// `whole`, a send or deliver frame, encoded anew with this body.
fn with_body(whole: &[u8], total_bytes: Option<u64>, body: &[u8]) -> Vec<u8> {
    let (frame, _) = split_frame(whole, limits::FRAME_BYTES_MAX).unwrap().expect("a frame");
    encoded(match Frame::decode(frame).expect("fields") {
        Frame::Send(send) => Frame::Send(fulmar_protocol::Send { total_bytes, body, ..send }),
        Frame::Deliver(deliver) => {
            Frame::Deliver(fulmar_protocol::Deliver { total_bytes, body, ..deliver })
        }
        Frame::GroupSend(send) => Frame::GroupSend(GroupSend { total_bytes, body, ..send }),
        Frame::GroupDeliver(deliver) => {
            Frame::GroupDeliver(GroupDeliver { total_bytes, body, ..deliver })
        }
        Frame::Past(past) => Frame::Past(Past { total_bytes, body, ..past }),
        other => panic!("no body in {other:?}"),
    })
}

fn frames_of(vector: &Value) -> Vec<Vec<u8>> {
    vector["frames"].as_array().expect("frames").iter().map(bytes).collect()
}

#[test]
fn codes_are_all_listed() {
    let vectors = golden::load("codes.json");
    assert_eq!(vectors.len(), Code::ALL.len());
    for vector in vectors {
        let code = Code::from_number(u16::try_from(number(&vector["number"])).expect("16 bits"));
        assert_eq!(code.name(), name(&vector));
        assert_eq!(code.is_retryable(), vector["retryable"], "{code}");
    }
}

#[test]
fn every_kind_flag_and_code_occurs_in_the_frames() {
    let mut kinds = HashSet::new();
    let mut flags = HashSet::new();
    let mut codes = HashSet::new();
    for vector in golden::load("frames.json") {
        let whole = bytes(&vector["hex"]);
        let (frame, _) = split_frame(&whole, limits::FRAME_BYTES_MAX).unwrap().expect("a frame");
        flags.insert((frame[0] & 0x3f, frame[0] & 0xc0));
        let frame = Frame::decode(frame).expect("fields");
        kinds.insert(frame.kind());
        match frame {
            Frame::Refuse { code, .. }
            | Frame::Rejected { code, .. }
            | Frame::GroupRejected(GroupRejected { code, .. })
            | Frame::PutRejected(PutRejected { code, .. })
            | Frame::Found(Found { code, .. })
            | Frame::Goodbye(fulmar_protocol::Goodbye { code, .. }) => _ = codes.insert(code),
            _ => {}
        }
    }
    for kind in Kind::ALL {
        assert!(kinds.contains(&Some(kind)), "{kind:?}");
        assert!(flags.contains(&(kind as u8, 0)), "{kind:?} without a flag");
    }
    assert!(kinds.contains(&None), "an unknown kind");
    let mut allowed = vec![(Kind::Send, 0x40), (Kind::GroupSend, 0x40), (Kind::Receipt, 0x80)];
    for kind in [Kind::Deliver, Kind::GroupDeliver, Kind::Past] {
        allowed.extend([(kind, 0x40), (kind, 0x80), (kind, 0xc0)]);
    }
    for (kind, flag) in allowed {
        assert!(flags.contains(&(kind as u8, flag)), "{kind:?} with {flag:#x}");
    }
    for code in Code::ALL {
        assert!(codes.contains(code), "{code}");
    }
    assert!(codes.iter().any(|code| matches!(code, Code::Other(_))), "an unknown code");
}

#[test]
fn every_error_occurs_in_the_bad_vectors() {
    let mut seen = [false; 10];
    for vector in golden::load("bad_frames.json") {
        let error = Frame::decode(&bytes(&vector["hex"])).expect_err(name(&vector));
        seen[decode_error_slot(error)] = true;
    }
    assert_eq!(seen, [true; 10]);

    let mut seen = [false; 3];
    for vector in golden::load("streams.json") {
        let stream = bytes(&vector["hex"]);
        let bytes_max = usize::try_from(number(&vector["bytes_max"])).expect("bytes_max");
        if let (_, Some(error)) = cut_all(&mut Frames::new(&stream, bytes_max)) {
            seen[frame_error_slot(error)] = true;
        }
    }
    assert_eq!(seen, [true; 3]);
}

/// A place per variant. The match is exhaustive, so that a new variant asks for its vector.
fn decode_error_slot(error: DecodeError) -> usize {
    match error {
        DecodeError::Empty => 0,
        DecodeError::UnknownKind(_) => 1,
        DecodeError::UnknownFlag(_) => 2,
        DecodeError::NotFulmar => 3,
        DecodeError::Truncated(_) => 4,
        DecodeError::Number(_) => 5,
        DecodeError::TooLong(_) => 6,
        DecodeError::Text(_) => 7,
        DecodeError::Value(_) => 8,
        DecodeError::Trailing => 9,
    }
}

fn frame_error_slot(error: FrameError) -> usize {
    match error {
        FrameError::Length => 0,
        FrameError::Empty => 1,
        FrameError::TooLarge { .. } => 2,
    }
}

/// Each error of a field has words for what is allowed, not only for what was wrong.
#[test]
fn errors_of_limits_and_values_say_what_is_allowed() {
    for vector in golden::load("bad_frames.json") {
        let error = Frame::decode(&bytes(&vector["hex"])).expect_err(name(&vector));
        let text = error.to_string();
        match error {
            DecodeError::TooLong(_) => assert!(text.contains(char::is_numeric), "{text}"),
            DecodeError::Value(_) => assert!(!text.contains("specification"), "{text}"),
            _ => {}
        }
    }
}
