//! What an attacker would try: endless loops, forged log lines, ambiguous lists, frames that the
//! other side can't pass on.

use fulmar_protocol::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupReceipt, GroupSend, GroupState,
};
use fulmar_protocol::history::Past;
use fulmar_protocol::{
    Code, DecodeError, Deliver, Frame, FrameError, Frames, Goodbye, Hello, Numbers, Pairs, Send,
    Welcome, limits, split_frame,
};

fn encoded(frame: Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

/// The frame without its length prefix, which is judged against the format's limit.
fn fields(whole: &[u8]) -> &[u8] {
    let (frame, rest) = split_frame(whole, limits::FRAME_BYTES_MAX).unwrap().expect("a frame");
    assert!(rest.is_empty());
    frame
}

#[test]
fn a_caller_that_skips_errors_does_not_loop_for_ever() {
    let stream = [1, 0x0e, 0, 1, 0x0e];
    let mut frames = Frames::new(&stream, limits::FRAME_BYTES_MAX);
    assert_eq!(frames.by_ref().take(10).flatten().count(), 1);
    assert_eq!(frames.next(), None);
    assert_eq!(frames.rest(), &stream[2..]);
}

#[test]
fn a_length_is_judged_before_the_frame_arrives() {
    let error = split_frame(&[0x80, 0x80, 0x01], limits::FRAME_BYTES_MAX);
    assert_eq!(error, Err(FrameError::TooLarge { bytes: 16_384, bytes_max: 16_383 }));
    assert_eq!(
        split_frame(&[0x81, 0x10], limits::HELLO_BYTES_MAX).unwrap_err().code().number(),
        101
    );
    assert_eq!(split_frame(&[0x80, 0x10], limits::HELLO_BYTES_MAX), Ok(None));
}

/// A limit that is changed between two frames, as the login does, holds for the next frame.
#[test]
fn the_limit_grows_with_the_login() {
    let mut stream = encoded(Frame::Ping);
    Frame::Part { body: &[0; limits::HELLO_BYTES_MAX] }.encode(&mut stream);
    let mut frames = Frames::new(&stream, limits::HELLO_BYTES_MAX);
    assert!(frames.next().expect("a frame").is_ok());
    assert!(frames.clone().next().expect("an error").is_err());
    frames.set_bytes_max(limits::FRAME_BYTES_MAX);
    assert!(frames.next().expect("a frame").is_ok());
}

/// What one peer may send, the server can deliver whole: the largest piece of a body fits into a
/// frame with the longest header, and a larger piece is refused though the frame would hold it.
#[test]
fn the_largest_piece_fits_behind_the_longest_header() {
    let body = [0; limits::PART_BYTES_MAX + 1];
    let deliver = |body| {
        let total_bytes = Some(u64::MAX);
        let (position, peer, ordinal, time_ms) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
        let (content, own) = (255, true);
        let deliver = Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body };
        encoded(Frame::Deliver(deliver))
    };
    let whole = deliver(&body[1..]);
    assert!(Frame::decode(fields(&whole)).is_ok());

    let whole = encoded(Frame::GroupDeliver(GroupDeliver {
        group: u64::MAX,
        position: u64::MAX,
        author: u64::MAX,
        time_ms: u64::MAX,
        content: 255,
        own: true,
        total_bytes: Some(u64::MAX),
        body: &body[1..],
    }));
    assert!(Frame::decode(fields(&whole)).is_ok());

    let whole = encoded(Frame::Past(Past {
        group: u64::MAX,
        position: u64::MAX,
        peer: u64::MAX,
        ordinal: u64::MAX,
        time_ms: u64::MAX,
        content: 255,
        own: true,
        total_bytes: Some(u64::MAX),
        body: &body[1..],
    }));
    assert!(Frame::decode(fields(&whole)).is_ok());

    let send = GroupSend { group: 1, number: 1, content: 0, total_bytes: None, body: &body };
    let whole = encoded(Frame::GroupSend(send));
    assert_eq!(Frame::decode(fields(&whole)), Err(DecodeError::TooLong("group_send.body")));

    let send = Send { peer: 1, number: 1, content: 0, total_bytes: None, body: &body };
    let whole = encoded(Frame::Send(send));
    assert_eq!(Frame::decode(fields(&whole)), Err(DecodeError::TooLong("send.body")));
}

#[test]
fn a_control_character_reaches_neither_log_nor_terminal() {
    for agent in ["a\nERROR forged", "\u{1b}]0;title\u{7}", "\u{9b}2J", "\u{0}", "\u{7f}"] {
        let hello = Hello {
            version_min: 1,
            version_max: 1,
            capabilities: 0,
            user: 7,
            device: 1,
            token: b"",
            agent,
            cursors: Pairs::Slice(&[]),
        };
        let whole = encoded(Frame::Hello(hello));
        assert_eq!(Frame::decode(fields(&whole)), Err(DecodeError::Text("hello.agent")));
    }
}

/// A server makes details from other errors' texts. Whatever they hold, the client reads the code.
#[test]
fn a_detail_of_any_length_and_content_arrives() {
    let long = "ä".repeat(200);
    let odd_cut = format!("x{long}");
    for (detail, expected) in [
        ("two\nlines", "two lines"),
        ("\u{1b}[31mred\u{9b}", " [31mred "),
        (long.as_str(), &long[..256]),
        (odd_cut.as_str(), &odd_cut[..255]),
    ] {
        let refuse = Frame::Refuse { code: Code::Internal, retry_after_ms: 1, detail };
        let whole = encoded(refuse);
        let expected_refuse =
            Frame::Refuse { code: Code::Internal, retry_after_ms: 1, detail: expected };
        assert_eq!(Frame::decode(fields(&whole)), Ok(expected_refuse));

        let goodbye = |detail| {
            Frame::Goodbye(Goodbye { code: Code::None, retry_after_ms: 0, address: "", detail })
        };
        let whole = encoded(goodbye(detail));
        assert_eq!(Frame::decode(fields(&whole)), Ok(goodbye(expected)));
    }
}

/// Two cursors for one log would leave it to the server which one counts.
#[test]
fn a_log_is_listed_once() {
    for (pairs, ok) in [
        (&[(0, 1), (1, 1)][..], true),
        (&[(0, 1), (0, 2)], false),
        (&[(1, 1), (0, 1)], false),
        (&[(0, 5), (u64::MAX, 1)], true),
    ] {
        let whole = encoded(Frame::Pong { heads: Pairs::Slice(pairs) });
        let decoded = Frame::decode(fields(&whole));
        assert_eq!(decoded.is_ok(), ok, "{pairs:?}: {decoded:?}");
    }
}

/// The largest frames that aren't cut stay far below the limit of a frame.
#[test]
fn the_longest_lists_and_texts_fit_into_a_frame() {
    let pairs: Vec<(u64, u64)> =
        (0..limits::LOGS_MAX as u64).map(|log| (u64::MAX - 64 + log, u64::MAX)).collect();
    let most = u64::MAX;
    let welcome = Frame::Welcome(Welcome {
        version: most,
        capabilities: most,
        session: most,
        time_ms: most,
        body_bytes_max: most,
        window_messages: most,
        window_bytes: most,
        sends_max: most,
        idle_s: most,
        presence_s: most,
        heads: Pairs::Slice(&pairs),
    });
    let address = "h".repeat(limits::ADDRESS_BYTES_MAX);
    let detail = "d".repeat(limits::DETAIL_BYTES_MAX);
    let goodbye = Frame::Goodbye(Goodbye {
        code: Code::Other(u16::MAX),
        retry_after_ms: most,
        address: &address,
        detail: &detail,
    });
    for frame in [welcome, goodbye] {
        let whole = encoded(frame);
        assert!(whole.len() < 2_048, "{} bytes", whole.len());
        assert_eq!(Frame::decode(fields(&whole)), Ok(frame));
    }
}

/// All numbers at their largest: the longest lists, names and values about groups fit into a frame.
#[test]
fn the_longest_frames_about_groups_fit() {
    let most = u64::MAX;
    let pairs: Vec<(u64, u64)> =
        (0..limits::WHO_MAX as u64).map(|at| (most - at, most)).rev().collect();
    let users: Vec<u64> = pairs.iter().map(|pair| pair.0).take(limits::USERS_MAX).collect();
    let users = Numbers::Slice(&users);
    let value = [b'v'; limits::GROUP_VALUE_BYTES_MAX];
    let state = Frame::GroupState(GroupState {
        group: most,
        head: most,
        members: most,
        shows_history: true,
        name: &value,
        info: &value,
        roles: Pairs::Slice(&pairs),
    });
    let receipt = Frame::GroupReceipt(GroupReceipt {
        group: most,
        position: most,
        members: most,
        delivered: most,
        read: most,
        delivered_all: most,
        read_all: most,
        who: Pairs::Slice(&pairs),
    });
    let change = Change { action: Action::Create, users, value: &value };
    let request = Frame::GroupChange { group: most, number: most, change };
    for frame in [state, receipt, request, Frame::Watch { users }] {
        assert_eq!(Frame::decode(fields(&encoded(frame))), Ok(frame));
    }
    // The entry that tells the members of the longest change isn't cut.
    assert!(change.encoded_len() <= limits::PART_BYTES_MAX);
}

/// The most groups of a resume fit while positions are below 2^35; beyond that a client sends fewer.
#[test]
fn a_resume_of_the_most_groups_fits_up_to_the_stated_position() {
    let length = |position: u64| {
        let pair = |at| (u64::MAX - at, position);
        let cursors: Vec<(u64, u64)> = (0..limits::RESUME_MAX as u64).map(pair).rev().collect();
        let whole = encoded(Frame::GroupResume { cursors: Pairs::Slice(&cursors) });
        split_frame(&whole, usize::MAX).unwrap().expect("a frame").0.len()
    };
    assert!(length((1 << 35) - 1) <= limits::FRAME_BYTES_MAX);
    assert!(length(1 << 35) > limits::FRAME_BYTES_MAX);
}

/// Members take an entry of content 2 for a change that the server made, so no member can send one.
#[test]
fn a_member_can_not_forge_a_change() {
    let mut body = Vec::new();
    let users = Numbers::Slice(&[9]);
    Change { action: Action::Promote, users, value: &[] }.encode(&mut body);
    let send =
        GroupSend { group: 3, number: 1, content: CONTENT_CHANGE, total_bytes: None, body: &body };
    let whole = encoded(Frame::GroupSend(send));
    assert_eq!(Frame::decode(fields(&whole)), Err(DecodeError::Value("group_send.content")));
    let cut = GroupSend { total_bytes: Some(1_000), ..send };
    let whole = encoded(Frame::GroupSend(cut));
    assert_eq!(Frame::decode(fields(&whole)), Err(DecodeError::Value("group_send.content")));
}

/// A person named twice would be counted twice.
#[test]
fn a_user_is_listed_once_and_exists() {
    for (users, ok) in [
        (&[1, 2][..], true),
        (&[], true),
        (&[u64::MAX], true),
        (&[0], false),
        (&[2, 2], false),
        (&[2, 1], false),
    ] {
        let whole = encoded(Frame::Watch { users: Numbers::Slice(users) });
        assert_eq!(Frame::decode(fields(&whole)).is_ok(), ok, "{users:?}");
    }
}
