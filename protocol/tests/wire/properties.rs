//! Laws that hold for any bytes and any frame: what is decoded encodes to the same bytes, what is
//! encoded decodes to the same frame, and where a stream is split makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected,
    GroupSend, GroupState,
};
use fulmar_protocol::{
    Assembly, Chunks, Code, Deliver, Frame, FrameError, Frames, Goodbye, Hello, Kind, Numbers,
    Pairs, Send, Welcome, limits, split_frame,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;

use crate::golden::{self, bytes, name, number, with_length};

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

/// What a random frame is made of; each kind takes what it needs.
#[derive(Debug)]
struct Material {
    kind: Kind,
    numbers: [u64; 9],
    code: u16,
    content: u8,
    own: bool,
    /// How many bytes of the body are in later parts; 0 for a body that isn't cut.
    later_bytes: u64,
    bytes: Vec<u8>,
    short_text: String,
    long_text: String,
    pairs: Vec<(u64, u64)>,
    action: Action,
    users: Vec<u64>,
}

impl Material {
    fn frame(&self) -> Frame<'_> {
        let [first, second, third, fourth, ..] = self.numbers;
        let code = Code::from_number(self.code);
        match self.kind {
            Kind::Hello => Frame::Hello(self.hello()),
            Kind::Welcome => Frame::Welcome(self.welcome()),
            Kind::Refuse => Frame::Refuse { code, retry_after_ms: first, detail: &self.long_text },
            Kind::Send => Frame::Send(Send {
                peer: first,
                number: second.max(1),
                content: self.content,
                total_bytes: self.total_bytes(),
                body: &self.bytes,
            }),
            // A part has at least one byte.
            Kind::Part if self.bytes.is_empty() => Frame::Part { body: &[0] },
            Kind::Part => Frame::Part { body: &self.bytes },
            Kind::Sent => {
                Frame::Sent { peer: first, number: second, ordinal: third, time_ms: fourth }
            }
            Kind::Rejected => {
                Frame::Rejected { peer: first, number: second, code, retry_after_ms: third }
            }
            Kind::Deliver => Frame::Deliver(Deliver {
                position: first,
                peer: second,
                ordinal: third,
                time_ms: fourth,
                content: self.content,
                own: self.own,
                total_bytes: self.total_bytes(),
                body: &self.bytes,
            }),
            Kind::Skip => Frame::Skip { position: first },
            Kind::Ack => Frame::Ack { position: first },
            Kind::Read => Frame::Read { peer: first, ordinal: second },
            Kind::Receipt => {
                Frame::Receipt { peer: first, delivered: second, read: third, own: self.own }
            }
            Kind::Ask => Frame::Ask { peer: first },
            Kind::Ping => Frame::Ping,
            Kind::Pong => Frame::Pong { heads: Pairs::Slice(&self.pairs) },
            Kind::Goodbye => Frame::Goodbye(Goodbye {
                code,
                retry_after_ms: first,
                address: &self.short_text,
                detail: &self.long_text,
            }),
            kind => self.group_frame(kind),
        }
    }

    /// A frame about groups, presence or typing.
    fn group_frame(&self, kind: Kind) -> Frame<'_> {
        let [group, position, after, fourth, ..] = self.numbers;
        let cursors = Pairs::Slice(&self.pairs);
        let users = Numbers::Slice(&self.users);
        match kind {
            Kind::GroupSend => Frame::GroupSend(self.group_send()),
            Kind::GroupSent => Frame::GroupSent { group, number: after, position, time_ms: fourth },
            Kind::GroupRejected => Frame::GroupRejected(GroupRejected {
                group,
                number: position,
                code: Code::from_number(self.code),
                retry_after_ms: after,
            }),
            Kind::GroupDeliver => Frame::GroupDeliver(self.group_deliver()),
            Kind::GroupSkip => Frame::GroupSkip { group, position },
            Kind::GroupAck => Frame::GroupAck { group, position },
            Kind::GroupRead => Frame::GroupRead { group, position },
            Kind::GroupReceipt => Frame::GroupReceipt(self.group_receipt()),
            Kind::GroupAsk => Frame::GroupAsk { group, position, after },
            Kind::GroupChange => {
                Frame::GroupChange { group, number: position.max(1), change: self.change() }
            }
            Kind::GroupResume => Frame::GroupResume { cursors },
            Kind::GroupLook => Frame::GroupLook { group, after },
            Kind::GroupState => Frame::GroupState(self.group_state()),
            Kind::GroupNotice => {
                Frame::GroupNotice(GroupNotice { position, group, by: after, time_ms: fourth })
            }
            Kind::GroupGone => Frame::GroupGone { group, position },
            Kind::Activity => Frame::Activity { is_here: self.own },
            Kind::Watch => Frame::Watch { users },
            Kind::Unwatch => Frame::Unwatch { users },
            Kind::Presence => {
                Frame::Presence { user: group, is_online: self.own, last_seen_ms: position }
            }
            Kind::Typing => Frame::Typing { group, user: position, is_typing: self.own },
            other => panic!("not about groups: {other:?}"),
        }
    }

    /// As much of the bytes as a name, description or setting may have.
    fn value(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(limits::GROUP_VALUE_BYTES_MAX)]
    }

    fn change(&self) -> Change<'_> {
        Change { action: self.action, users: Numbers::Slice(&self.users), value: self.value() }
    }

    fn group_send(&self) -> GroupSend<'_> {
        let [group, number, ..] = self.numbers;
        GroupSend {
            group,
            number: number.max(1),
            content: if self.content == CONTENT_CHANGE { 1 } else { self.content },
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_deliver(&self) -> GroupDeliver<'_> {
        let [group, position, author, time_ms, ..] = self.numbers;
        GroupDeliver {
            group,
            position,
            author,
            time_ms,
            content: self.content,
            own: self.own,
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_receipt(&self) -> GroupReceipt<'_> {
        let [group, position, members, delivered, read, delivered_all, read_all, ..] = self.numbers;
        let who = Pairs::Slice(&self.pairs);
        GroupReceipt { group, position, members, delivered, read, delivered_all, read_all, who }
    }

    fn group_state(&self) -> GroupState<'_> {
        let [group, head, members, ..] = self.numbers;
        GroupState {
            group,
            head,
            members,
            shows_history: self.own,
            name: self.short_text.as_bytes(),
            info: self.value(),
            roles: Pairs::Slice(&self.pairs),
        }
    }

    fn total_bytes(&self) -> Option<u64> {
        let total_bytes = (self.bytes.len() as u64).saturating_add(self.later_bytes);
        (self.later_bytes > 0).then_some(total_bytes)
    }

    fn hello(&self) -> Hello<'_> {
        let [version_min, version_max, capabilities, user, device, ..] = self.numbers;
        Hello {
            version_min,
            version_max,
            capabilities,
            user,
            device,
            token: &self.bytes[..self.bytes.len().min(limits::TOKEN_BYTES_MAX)],
            agent: &self.short_text,
            cursors: Pairs::Slice(&self.pairs),
        }
    }

    fn welcome(&self) -> Welcome<'_> {
        let [version, capabilities, session, time_ms, body_bytes_max, ..] = self.numbers;
        let [.., window_messages, window_bytes, sends_max, idle_s] = self.numbers;
        Welcome {
            version,
            capabilities,
            session,
            time_ms,
            body_bytes_max,
            window_messages,
            window_bytes,
            sends_max,
            idle_s,
            heads: Pairs::Slice(&self.pairs),
        }
    }
}

/// Numbers of every length alike.
fn numbers() -> impl Strategy<Value = u64> + Clone {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), limits::PART_BYTES_MAX - 2..=limits::PART_BYTES_MAX)
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn materials() -> impl Strategy<Value = Material> {
    // `\PC` is any character outside Unicode's category C, control characters among them.
    let texts = ("\\PC{0,16}", "\\PC{0,64}");
    let pairs = btree_map(numbers(), numbers(), 0..=limits::LOGS_MAX);
    let users = btree_set(numbers().prop_map(|user| user.max(1)), 0..=limits::LOGS_MAX);
    let kinds = prop::sample::select(Kind::ALL.to_vec());
    let actions = prop::sample::select(Action::ALL.to_vec());
    let scalars = (any::<u16>(), any::<u8>(), any::<bool>(), actions);
    let later_bytes = prop_oneof![Just(0), numbers()];
    let lists = (pairs, users);
    (kinds, prop::array::uniform9(numbers()), scalars, later_bytes, bodies(), texts, lists)
        .prop_map(|(kind, numbers, scalars, later_bytes, bytes, texts, (pairs, users))| {
            let (code, content, own, action) = scalars;
            Material {
                kind,
                numbers,
                code,
                content,
                own,
                later_bytes,
                bytes,
                short_text: texts.0,
                long_text: texts.1,
                pairs: BTreeMap::into_iter(pairs).collect(),
                action,
                users: BTreeSet::into_iter(users).collect(),
            }
        })
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
        kind in 0u8..=37, flags in 0u8..4, fields in vec(any::<u8>(), 0..200),
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
    fn random_bodies_are_an_error_or_a_change(mut body in vec(any::<u8>(), 0..200)) {
        judge_change(&body);
        body.iter_mut().for_each(|byte| *byte %= 8);
        judge_change(&body);
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
