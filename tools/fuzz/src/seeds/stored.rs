//! Disks of what a shard could have written, and of what it couldn't.

use super::Seed;
use super::records;
use super::scripts::seed;
use crate::script::Writer;

/// What there is besides the inbox.
const GROUP: u8 = 1;
const PEOPLE: u8 = 2;

pub(super) fn scripts() -> Vec<Seed> {
    let entry = |writer: Writer, ordinal: u8, total: u8| {
        let writer = writer.byte(0).raw(&[200, 0, 1, 1, ordinal, 1, total]).bytes(b"0123456789");
        writer.byte(0)
    };
    let (inbox, conversation) = (records::inbox(), records::conversation());
    // All are there.
    let records =
        |kinds: u8| Writer::new().byte(kinds).raw(&[0, 0]).bytes(&inbox).bytes(&conversation);
    let entries = |writer: Writer| entry(entry(writer.number(3).byte(2), 3, 30), 4, 40);
    let group = |writer: Writer, record: &[u8]| {
        let writer = writer.raw(&[0, 0, 0]).bytes(record).bytes(&conversation).bytes(&inbox);
        entry(entry(writer.number(4).byte(2), 4, 40), 5, 50)
    };
    let people = |writer: Writer, book: &[u8]| {
        let name = records::name(&[(b"bob", 2)]);
        let writer = writer.raw(&[0; 5]).bytes(&records::presence()).bytes(book).bytes(&name);
        writer.bytes(book).bytes(&conversation)
    };
    let nothing = |writer: Writer, kinds: usize| {
        let writer = writer.raw(&vec![255; kinds]);
        if kinds == 5 { writer } else { writer.number(1).byte(0) }
    };
    let (record, book) = (records::group(), records::book());
    let mut seeds = vec![
        seed("fresh", nothing(Writer::new().byte(0), 2)),
        seed("in-use", entries(records(0)).number(301)),
        seed(
            "trim-beyond-the-head",
            Writer::new().raw(&[0, 0, 255]).bytes(&[1, 9, 0, 4, 40, 0]).number(1).byte(0),
        ),
        seed("ahead", entry(records(0).number(5).byte(1), 5, 50)),
        seed("damaged", records(0).number(4).byte(1).byte(250).bytes(b"no entry")),
        seed("no-group", nothing(nothing(Writer::new().byte(GROUP), 2), 3)),
        seed("no-people", nothing(nothing(Writer::new().byte(PEOPLE), 2), 5)),
        seed("people", people(entries(records(PEOPLE)), &book)),
        seed("damaged-book", people(entries(records(PEOPLE)), &book[..9])),
        seed("all", people(group(entries(records(GROUP | PEOPLE)), &record), &book)),
        seed("damaged-group", group(entries(records(GROUP)), &record[..9])),
    ];
    // What each of them does there: the numbers of a resume, of a read and of the changes.
    for nth in 0..3 {
        let writer = group(entries(records(GROUP)), &record).number(301).raw(&[5, 5, 5, 9]);
        let writer = writer.raw(&[0, 0, 4, 4, 5, 5, 5, 2, nth, 9, 9]);
        seeds.push(seed(&format!("group-{nth}"), writer));
    }
    seeds
}
