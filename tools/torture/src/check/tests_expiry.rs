//! What disappears may be shown up to its time and not afterwards; what was passed over before is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::tests::complains;
use super::{Promise, Verdict, check};

/// A script whose lines begin with the second in which they were written.
pub(super) fn verdict(script: &str) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (index, line) in script.lines().enumerate() {
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().unwrap();
        let (second, device, event) = (next(), next(), next());
        let us = second.parse::<u64>().unwrap() * 1_000_000 + index as u64;
        writeln!(files.entry(device).or_default(), "{} {us} {event}", index + 1).unwrap();
    }
    for (device, text) in files {
        std::fs::write(directory.path().join(format!("{device}.log")), text).unwrap();
    }
    check(directory.path()).unwrap()
}

/// 3 sends what is over after 5 s at second 1; 4 is away, and back at second `back`; it comes or is passed
/// over. Everything is drained at second `drained`.
fn between_two(back: u64, what: &str, drained: u64) -> Verdict {
    let came = if what == "shown" {
        format!(
            "{back} 4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n\
             {back} 4.1 ack position=1\n{back} 3.1 receipt peer=4 delivered=1 read=0 own=0\n"
        )
    } else {
        // As delivered, or not.
        format!("{back} 4.1 skip position=1\n{back} 3.1 receipt peer=4 {what} read=0 own=0\n")
    };
    verdict(&format!(
        "0 3.1 begin user=3 device=1\n0 4.1 begin user=4 device=1\n\
         0 3.1 hello cursor=0\n0 3.1 welcome session=1 head=0\n\
         0 4.1 hello cursor=0\n0 4.1 welcome session=2 head=0\n\
         1 3.1 send peer=4 number=10 bytes=50 digest=aa content=disappear:5\n\
         1 3.1 send peer=4 number=11 bytes=50 digest=bb\n\
         1 3.1 tick peer=4 number=10 ordinal=1\n1 3.1 tick peer=4 number=11 ordinal=2\n\
         {back} 4.1 hello cursor=0\n{back} 4.1 welcome session=3 head=2\n{came}\
         {back} 4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n\
         {back} 4.1 ack position=2\n{back} 3.1 receipt peer=4 delivered=2 read=0 own=0\n\
         {drained} 3.1 pong head=0\n{drained} 4.1 pong head=2\n\
         {drained} 3.1 drained\n{drained} 4.1 drained\n{drained} 3.1 final\n{drained} 4.1 final\n"
    ))
}

#[test]
fn it_may_be_shown_in_time_and_passed_over_afterwards() {
    for (back, what) in [(3, "shown"), (8, "delivered=0"), (8, "delivered=1")] {
        let verdict = between_two(back, what, 20);
        assert!(verdict.tally.is_clean(), "{back} {what}: {:#?}", verdict.tally);
        assert_eq!(verdict.volume.disappearing, 1);
    }
}

#[test]
fn it_must_not_be_shown_to_who_logs_in_afterwards() {
    let words = "4.1: position 1: 3.1→4 #10 was shown 2000 ms late";
    complains(&between_two(8, "shown", 20), &[Promise::Leaked], words);
}

#[test]
fn it_must_not_be_passed_over_before() {
    let words = "3.1→4 #10, ticked as ordinal 1 (line 9), was never shown on 4.1";
    complains(&between_two(3, "delivered=0", 20), &[Promise::Lost], words);
}

#[test]
fn what_is_over_for_nobody_is_no_delivery() {
    let found = between_two(3, "delivered=1", 20);
    complains(&found, &[Promise::Lost, Promise::ReceiptsAhead], "delivered up to 1; it was 0");
}

/// 3 sends what is over after 5 s at second 1, which 4 acknowledges; a kill takes that, and at second
/// 20 so much counts as delivered.
fn acknowledged(content: &str, delivered: u64) -> Verdict {
    verdict(&format!(
        "0 3.1 begin user=3 device=1\n0 4.1 begin user=4 device=1\n\
         0 3.1 hello cursor=0\n0 3.1 welcome session=1 head=0\n\
         0 4.1 hello cursor=0\n0 4.1 welcome session=2 head=0\n\
         1 3.1 send peer=4 number=10 bytes=50 digest=aa{content}\n\
         1 3.1 tick peer=4 number=10 ordinal=1\n\
         1 4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n\
         1 4.1 ack position=1\n1 3.1 receipt peer=4 delivered=1 read=0 own=0\n\
         20 3.1 pong head=0\n20 4.1 pong head=1\n20 3.1 drained\n20 4.1 drained\n\
         20 3.1 hello cursor=0\n20 3.1 welcome session=3 head=0\n20 3.1 ask peer=4\n\
         20 3.1 receipt peer=4 delivered={delivered} read=0 own=0\n20 3.1 final\n20 4.1 final\n"
    ))
}

#[test]
fn what_was_acknowledged_and_is_over_may_count_or_not() {
    for (content, delivered) in [(" content=disappear:5", 0), (" content=disappear:5", 1), ("", 1)]
    {
        let verdict = acknowledged(content, delivered);
        assert!(verdict.tally.is_clean(), "{content} {delivered}: {:#?}", verdict.tally);
    }
    let words = "knew 3→4 as delivered up to 0 and read up to 0; it was 1 and 0";
    complains(&acknowledged("", 0), &[Promise::ReceiptsBehind], words);
}

/// 1 sends what is over after 5 s to its group at second 1; 2 is back at second `back`.
fn in_a_group(back: u64, is_shown: bool, delivered: u64) -> Verdict {
    let came = if is_shown {
        format!(
            "{back} 2.1 gshown group=70 position=2 author=1 own=0 body=1.1.70.11 digest=aa\n\
             {back} 2.1 gack group=70 position=2\n"
        )
    } else {
        format!("{back} 2.1 gskip group=70 position=2\n{back} 2.1 gack group=70 position=2\n")
    };
    verdict(&format!(
        "0 1.1 begin user=1 device=1\n0 2.1 begin user=2 device=1\n\
         0 1.1 hello cursor=0\n0 1.1 welcome session=1 head=0\n\
         0 2.1 hello cursor=0\n0 2.1 welcome session=2 head=0\n\
         0 1.1 send peer=2 number=9 bytes=50 digest=99\n0 1.1 tick peer=2 number=9 ordinal=1\n\
         0 2.1 shown position=1 peer=1 own=0 ordinal=1 body=1.1.2.9 digest=99\n\
         0 1.1 gchange group=0 number=10 change=create:2 digest=c1\n\
         0 1.1 gmade number=10 group=70\n0 2.1 notice position=2 group=70 by=1\n\
         0 2.1 gshown group=70 position=1 author=1 own=0 body=create:2 digest=c1\n\
         1 1.1 gsend group=70 number=11 bytes=50 digest=aa content=disappear:5\n\
         1 1.1 gtick group=70 number=11 position=2\n\
         {back} 2.1 hello cursor=0\n{back} 2.1 welcome session=3 head=2\n\
         {back} 2.1 gresume group=70 cursor=1\n{came}\
         {back} 1.1 gask group=70 position=2\n\
         {back} 1.1 greceipt group=70 position=2 members=1 delivered={delivered} read=0 \
         delivered_all=2 read_all=0\n\
         20 1.1 pong head=0\n20 2.1 pong head=2\n\
         20 1.1 drained\n20 2.1 drained\n20 1.1 final\n20 2.1 final\n"
    ))
}

#[test]
fn the_same_in_groups() {
    for (back, is_shown, delivered) in [(3, true, 1), (8, false, 0), (8, false, 1)] {
        let verdict = in_a_group(back, is_shown, delivered);
        assert!(verdict.tally.is_clean(), "{back}: {:#?}", verdict.tally);
    }
    let words = "2.1: group 70: position 2: 1.1→70 #11 was shown 2000 ms late";
    complains(&in_a_group(8, true, 1), &[Promise::Leaked], words);
}
