//! Records round trip, and what isn't one is refused.

use super::*;
use crate::limits::{RESENDS_MAX, RUNS_MAX};
use smallvec::smallvec;

fn conversation() -> ConversationRecord {
    ConversationRecord {
        ordinal: 300,
        delivered: 200,
        read: 1,
        marks: Marks::of(&[(1, 1_800_000_000_000), (250, 1_800_043_200_000)]),
        senders: smallvec![
            Sender { device: 1, runs: smallvec![Run { number: 1, ordinal: 1, len: 299 }] },
            Sender { device: 9, runs: smallvec![Run { number: 77, ordinal: 300, len: 1 }] },
        ],
        copies: smallvec![(1, 5), (2, u64::MAX)],
        ties: Ties { blocks: true, is_contact: false, wrote: true },
        delivered_shown: 150,
        read_shown: 0,
    }
}

fn encoded(encode: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    encode(&mut out);
    out
}

#[test]
fn records_round_trip_and_cut_ones_are_refused() {
    let record = conversation();
    let bytes = encoded(|out| record.encode(out));
    assert!(bytes.len() <= record.bytes_max());
    assert_eq!(ConversationRecord::decode(&bytes), Ok(record));
    for cut in 0..bytes.len() {
        assert!(ConversationRecord::decode(&bytes[..cut]).is_err());
    }
    let mut groups = GroupList::default();
    for group in [9, u64::MAX, 3] {
        groups.begin(group);
    }
    let inbox = InboxRecord {
        trim: 5,
        trim_bytes: 500,
        head: 9,
        head_bytes: 900,
        devices: smallvec![
            Device { device: 1, cursor: 7, cursor_bytes: 700 },
            Device { device: 2, cursor: 5, cursor_bytes: 500 },
        ],
        groups,
        face: Face { profile: 7, ..Face::default() },
    };
    let bytes = encoded(|out| inbox.encode(out));
    assert!(bytes.len() <= inbox.bytes_max());
    assert_eq!(InboxRecord::decode(&bytes), Ok(inbox));
    for cut in 0..bytes.len() {
        assert!(InboxRecord::decode(&bytes[..cut]).is_err());
    }
}

#[test]
fn many_short_runs_take_few_bytes() {
    // A device that writes to several peers in turn numbers its sends across all of them.
    let mut sender = Sender { device: 1, runs: SmallVec::new() };
    for nth in 1..=1_000 {
        sender.push(1_800_000_000_000 + 3 * nth, nth);
    }
    assert_eq!(sender.runs.len() as u64, RESENDS_MAX);
    let senders = smallvec![sender];
    let record = ConversationRecord { ordinal: 1_000, senders, ..ConversationRecord::default() };
    let bytes = encoded(|out| record.encode(out));
    assert!(bytes.len() < 3 * RUNS_MAX + 32, "{} bytes", bytes.len());
    assert_eq!(ConversationRecord::decode(&bytes), Ok(record));
}

#[test]
fn a_mark_of_a_message_that_never_came_is_refused() {
    let mut record = conversation();
    let bytes = |record: &ConversationRecord| encoded(|out| record.encode(out));
    record.marks = Marks::of(&[(record.ordinal, 1)]);
    assert_eq!(ConversationRecord::decode(&bytes(&record)), Ok(record.clone()));
    record.marks = Marks::of(&[(record.ordinal + 1, 1)]);
    let refused = RecordError("conversation.marks");
    assert_eq!(ConversationRecord::decode(&bytes(&record)), Err(refused));
}

#[test]
fn entries_round_trip() {
    for over_ms in [0, 1, 1_800_000_060_000, u64::MAX] {
        let header = EntryHeader {
            time_ms: 1_800_000_000_000,
            own: true,
            is_notice: false,
            over_ms,
            content: 200,
            peer: u64::MAX,
            ordinal: 12,
            device: 3,
            total_bytes: 1 << 40,
        };
        let mut bytes = encoded(|out| header.encode(out));
        assert!(bytes.len() <= ENTRY_HEADER_BYTES_MAX);
        for cut in 0..bytes.len() {
            assert!(EntryHeader::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.extend_from_slice(b"hello");
        assert_eq!(split_entry(&bytes.freeze()), Ok((header, Bytes::from_static(b"hello"))));
    }
}

#[test]
fn resends_find_their_ordinal() {
    let mut sender = Sender { device: 1, runs: SmallVec::new() };
    sender.push(5, 1);
    sender.push(6, 2);
    sender.push(8, 3);
    sender.push(9, 7);
    assert_eq!(sender.runs.len(), 3);
    let found: Vec<_> = (4..=10).map(|number| sender.ordinal_of(number)).collect();
    assert_eq!(found, [None, Some(1), Some(2), None, Some(3), Some(7), None]);
    assert_eq!(sender.last(), 9);
}

#[test]
fn runs_are_bounded_and_cover_the_recent_sends() {
    let mut sender = Sender { device: 1, runs: SmallVec::new() };
    for i in 1..=5_000 {
        sender.push(i, 2 * i);
    }
    assert_eq!(sender.runs.len() as u64, RESENDS_MAX);
    assert_eq!(sender.ordinal_of(5_000 - RESENDS_MAX + 1), Some(2 * (5_000 - RESENDS_MAX + 1)));
    assert_eq!(sender.ordinal_of(5_000 - RESENDS_MAX), None);
}
