//! Short scripts for the targets that read one and have no file of their own.

use fulmar_protocol::limits::PART_BYTES_MAX;

use super::Seed;
use super::records;
use crate::script::Writer;

pub(super) fn seed(name: &str, writer: Writer) -> Seed {
    (name.to_owned(), writer.into_bytes())
}

pub(super) fn assembly() -> Vec<Seed> {
    let full = PART_BYTES_MAX as u64;
    vec![
        seed(
            "small",
            Writer::new()
                .number(11)
                .byte(0)
                .bytes(b"hello")
                .byte(0)
                .bytes(b" ")
                .byte(0)
                .bytes(b"world"),
        ),
        seed(
            "two-pieces",
            Writer::new().number(2 * full).byte(64).number(full).byte(65).number(full),
        ),
        seed(
            "too-many",
            Writer::new().number(10).byte(64).number(8).byte(64).number(8).byte(64).number(2),
        ),
        seed(
            "large",
            (0..20).fold(Writer::new().number(416_384), |writer, nth| {
                writer.byte(64 + nth).number(full)
            }),
        ),
    ]
}

pub(super) fn journal() -> Vec<Seed> {
    // Syncing or not; commits of a few writes, a drain, a restart, at last a changed byte.
    let commits = |writer: Writer, count: u8| {
        (0..count).fold(writer, |writer, nth| {
            writer
                .byte(0)
                .byte(2)
                .raw(&[0, nth, nth, 20])
                .raw(&[130, nth, 1, 9])
                .raw(&[190, nth, 2, 60])
        })
    };
    let begin = |syncing: u8| commits(Writer::new().byte(syncing), 4);
    vec![
        seed("last-commit", begin(1).byte(255)),
        seed("drained", commits(begin(1), 12).byte(160).byte(190).byte(3).byte(230)),
        seed("trimmed", begin(0).byte(0).byte(1).raw(&[220, 0]).raw(&[240, 1]).byte(190).byte(0)),
        seed("restarted", commits(begin(1).byte(190).byte(0), 3).byte(190).byte(0)),
        seed("empty", Writer::new().byte(1)),
    ]
}

pub(super) fn segments() -> Vec<Seed> {
    // A name as it should be, a segment, its sequence as it follows, a salt.
    let segment =
        |writer: Writer, records: u8| writer.byte(0).byte(0).byte(0).byte(7).byte(records);
    // Sequences as they follow; two puts of entries and one of a record.
    let record = |writer: Writer, first: u8| {
        let writer = writer.byte(0).byte(0).byte(2);
        let writer = writer
            .raw(&[1, first, 3])
            .bytes(b"12345678value")
            .raw(&[1, first + 1, 3])
            .bytes(b"12345678");
        writer.raw(&[1, 0, 1]).bytes(&records::inbox())
    };
    let one = || record(segment(Writer::new().number(0).byte(0), 1), 1).byte(0);
    let two = || {
        let writer = record(segment(Writer::new().number(0).byte(1), 1), 1).byte(0);
        record(segment(writer, 1), 3).byte(0)
    };
    vec![
        seed("one", one().byte(0).byte(1)),
        seed("two", two().byte(0).byte(1)),
        seed("changed", one().byte(1).byte(0).number(4_100).byte(2).byte(1)),
        seed("cut", two().byte(1).byte(0).number(4_110).byte(0)),
        seed("not-dense", record(segment(Writer::new().number(0).byte(0), 1), 9).byte(0).byte(0)),
        seed("raw", Writer::new().number(0).byte(0).byte(0).byte(255).bytes(b"FulmarJ1").byte(0)),
    ]
}

pub(super) fn store() -> Vec<Seed> {
    // Changes of one column each: which, the value, how, which rows.
    let change = |name: &str, columns: &[u8]| {
        let writer = Writer::new().byte(0).byte(columns.len() as u8);
        seed(
            name,
            columns.iter().fold(writer, |writer, &column| writer.byte(column).raw(&[200, 255, 1])),
        )
    };
    vec![
        seed("whole", Writer::new().byte(0).byte(0)),
        change("device", &[2, 3]),
        change("messages", &[4, 6, 8, 9]),
        change("outbox", &[13, 14]),
        change("conversations", &[15, 16, 20, 22]),
        seed("header", Writer::new().byte(255).byte(0).number(60).bytes(b"changed").byte(0)),
        seed("page", Writer::new().byte(255).byte(0).number(4_100).bytes(&[0; 64]).byte(0)),
        seed("cut", Writer::new().byte(255).byte(0).number(0).bytes(b"S").byte(1).number(5_000)),
    ]
}
