//! An honest run passes; a run with each kind of violation is complained about, and of nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;

/// User 3 with two devices, user 4 with one. 3.1 writes #10 and #11, which 4 has and reads; a kill
/// takes the tick of #11, so it is sent again. 4 answers with #20.
const HONEST: &str = "\
3.1 begin user=3 device=1
3.2 begin user=3 device=2
4.1 begin user=4 device=1
3.1 hello cursor=0
3.1 welcome session=1 head=0
3.2 hello cursor=0
3.2 welcome session=2 head=0
4.1 hello cursor=0
4.1 welcome session=3 head=0
3.1 send peer=4 number=10 bytes=50 digest=aa
3.1 send peer=4 number=11 bytes=50 digest=bb
3.1 tick peer=4 number=10 ordinal=1
4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa
4.1 ack position=1
3.2 shown position=1 peer=4 own=1 ordinal=1 body=3.1.4.10 digest=aa
3.1 receipt peer=4 delivered=1 read=0 own=0
4.1 closed why=lost
3.1 closed why=lost
3.2 closed why=lost
4.1 hello cursor=1
4.1 welcome session=4 head=2
4.1 again position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa
4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb
4.1 ack position=2
4.1 read peer=3 ordinal=2
3.1 hello cursor=0
3.1 welcome session=5 head=1
3.1 resend peer=4 number=11
3.1 skip position=1
3.1 ask peer=4
3.1 tick peer=4 number=11 ordinal=2
3.1 receipt peer=4 delivered=2 read=2 own=0
3.2 hello cursor=1
3.2 welcome session=6 head=2
3.2 ask peer=4
3.2 shown position=2 peer=4 own=1 ordinal=2 body=3.1.4.11 digest=bb
3.2 receipt peer=4 delivered=2 read=2 own=0
3.2 ack position=2
3.1 skip position=2
4.1 send peer=3 number=20 bytes=60 digest=cc
4.1 tick peer=3 number=20 ordinal=1
3.1 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc
3.2 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc
3.2 ack position=3
4.1 receipt peer=3 delivered=1 read=0 own=0
3.1 ack position=3
3.1 pong head=3
3.2 pong head=3
4.1 pong head=2
3.1 drained
3.2 drained
4.1 drained
3.1 closed why=goodbye
4.1 closed why=goodbye
3.1 hello cursor=3
3.1 welcome session=7 head=3
3.1 ask peer=4
3.1 receipt peer=4 delivered=2 read=2 own=0
4.1 hello cursor=2
4.1 welcome session=8 head=2
4.1 ask peer=3
4.1 receipt peer=3 delivered=1 read=0 own=0
3.1 final
3.2 final
4.1 final
";

/// A run with pieces replaced, each of which must be there once.
pub(super) fn replaced(honest: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(honest.to_owned(), |script, (from, to)| {
        assert_eq!(script.matches(from).count(), 1, "{from:?}");
        script.replace(from, to)
    })
}

pub(super) fn verdict(script: &str) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (index, line) in script.lines().enumerate() {
        let (device, event) = line.split_once(' ').unwrap();
        let file = files.entry(device).or_default();
        writeln!(file, "{} {} {event}", index + 1, index * 10).unwrap();
    }
    for (device, text) in files {
        std::fs::write(directory.path().join(format!("{device}.log")), text).unwrap();
    }
    check(directory.path()).unwrap()
}

/// The honest run with pieces replaced, each of which must be there once.
pub(super) fn changed(changes: &[(&str, &str)]) -> Verdict {
    verdict(&replaced(HONEST, changes))
}

/// Asserts that exactly these kinds were found, and that one of them says `words`.
pub(super) fn complains(verdict: &Verdict, kinds: &[Promise], words: &str) {
    let found: Vec<Promise> =
        Promise::ALL.into_iter().filter(|&kind| verdict.tally.count(kind) > 0).collect();
    assert_eq!(found, kinds, "{:#?}", verdict.tally);
    let said = kinds.iter().any(|&kind| verdict.tally.examples(kind).any(|it| it.contains(words)));
    assert!(said, "nothing says {words:?}: {:#?}", verdict.tally);
}

#[test]
fn an_honest_run_passes() {
    let verdict = verdict(HONEST);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let expected = Volume {
        devices: 3,
        connections: 8,
        sent: 3,
        ticked: 3,
        rejected: 0,
        resent: 1,
        displayed: 6,
        redelivered: 1,
        receipts: 6,
        takeovers: 0,
        references: 0,
        references_refused: 0,
        disappearing: 0,
        blocked: 0,
        pages: 0,
        past: 0,
        people: PeopleVolume::default(),
        groups: GroupVolume::default(),
        books: BookVolume::default(),
    };
    assert_eq!(verdict.volume, expected);
}

#[test]
fn a_message_that_never_comes_is_lost() {
    let shown = "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n";
    let verdict = changed(&[
        (shown, "4.1 skip position=2\n"),
        ("4.1 read peer=3 ordinal=2\n", "4.1 read peer=3 ordinal=1\n"),
    ]);
    let words = "3.1→4 #11, ticked as ordinal 2 (line 31), was never shown on 4.1";
    // The receipts told of what never came.
    let kinds = [Promise::Lost, Promise::ReceiptsAhead, Promise::ReceiptsBehind];
    complains(&verdict, &kinds, words);
    assert_eq!(verdict.tally.count(Promise::Lost), 1);
}

#[test]
fn an_own_copy_that_never_comes_is_lost() {
    let shown = "3.2 shown position=2 peer=4 own=1 ordinal=2 body=3.1.4.11 digest=bb\n";
    let verdict = changed(&[(shown, "3.2 skip position=2\n")]);
    complains(&verdict, &[Promise::Lost], "the copy of 3.1→4 #11");
}

#[test]
fn what_was_written_before_the_first_login_may_be_missing() {
    let late = "\
3.3 begin user=3 device=3
3.3 hello cursor=0
3.3 welcome session=9 head=3
3.3 skip position=2
3.3 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc
3.3 ack position=3
3.3 drained
";
    let joined = |at: &str| {
        changed(&[(at, &format!("{late}{at}")), ("4.1 final\n", "4.1 final\n3.3 final\n")])
    };
    // Behind the third message nothing is owed, before it the third is.
    assert!(joined("3.1 drained\n").tally.is_clean());
    let early = "3.1 hello cursor=0\n3.1 welcome session=5";
    let verdict = joined(early);
    let kinds = [Promise::Corrupt];
    complains(&verdict, &kinds, "was not sent by then");
}

#[test]
fn the_same_message_twice_is_duplicated() {
    let again =
        "4.1 shown position=3 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n4.1 ack position=3\n";
    let verdict = changed(&[
        ("4.1 read peer=3 ordinal=2\n", &format!("{again}4.1 read peer=3 ordinal=2\n")),
        ("4.1 pong head=2\n", "4.1 pong head=3\n"),
        ("4.1 welcome session=8 head=2\n", "4.1 welcome session=8 head=3\n"),
    ]);
    let kinds = [Promise::Duplicated, Promise::Reordered];
    complains(&verdict, &kinds, "4.1: 3.1→4 #11 was shown at positions 2 and 3");
}

#[test]
fn a_position_with_two_contents_is_duplicated() {
    let verdict = changed(&[(
        "4.1 again position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa",
        "4.1 again position=1 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb",
    )]);
    complains(&verdict, &[Promise::Duplicated], "inbox 4, position 1: 3.1→4 #10");
}

#[test]
fn a_position_that_holds_different_messages_for_two_devices_is_duplicated() {
    let other = "3.2 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc\n";
    let verdict = changed(&[
        (
            "4.1 tick peer=3 number=20",
            "4.1 send peer=3 number=21 bytes=60 digest=dd\n4.1 tick peer=3 number=20",
        ),
        (
            other,
            &other
                .replace("ordinal=1 body=4.1.3.20 digest=cc", "ordinal=2 body=4.1.3.21 digest=dd"),
        ),
    ]);
    let kinds = [Promise::Lost, Promise::Duplicated, Promise::ReceiptsBehind];
    complains(&verdict, &kinds, "inbox 3, position 3: 4.1→3 #20");
}

#[test]
fn a_position_must_not_be_used_again_after_a_restart() {
    // The server forgot position 3 and gave it to another message.
    let last = "3.1 hello cursor=3\n3.1 welcome session=7 head=3\n";
    let again = "3.1 again position=3 peer=4 own=0 ordinal=2 body=4.1.3.21 digest=dd\n";
    let verdict = changed(&[
        (
            "4.1 closed why=goodbye\n",
            "4.1 send peer=3 number=21 bytes=60 digest=dd\n4.1 closed why=goodbye\n",
        ),
        (last, &format!("{last}{again}")),
    ]);
    complains(&verdict, &[Promise::Duplicated], "inbox 3, position 3: 4.1→3 #20");
}

#[test]
fn a_message_in_the_wrong_inbox_is_corrupt() {
    // 4 is shown what 3 wrote to 5, under the ordinal and from the peer that would fit.
    let shown = "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n";
    let verdict = changed(&[
        (
            "3.1 send peer=4 number=11",
            "3.1 send peer=5 number=1 bytes=50 digest=ee\n3.1 send peer=4 number=11",
        ),
        (shown, "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.5.1 digest=ee\n"),
        (
            "3.1 ask peer=4\n3.1 tick",
            "3.1 ask peer=4\n3.1 tick peer=5 number=1 ordinal=2\n3.1 tick",
        ),
    ]);
    let found = verdict.tally.examples(Promise::Corrupt).next().unwrap_or_default();
    assert!(found.contains("its body is 3.1→5 #1"), "{:#?}", verdict.tally);
    assert!(verdict.tally.count(Promise::Lost) > 0, "#11 never came");
}

#[test]
fn a_device_must_not_be_shown_what_it_sent_itself() {
    let copy = "3.1 shown position=1 peer=4 own=1 ordinal=1 body=3.1.4.10 digest=aa\n";
    let verdict = changed(&[("3.1 skip position=1\n", copy)]);
    complains(&verdict, &[Promise::Corrupt], "its body is 3.1→4 #10");
}

#[test]
fn what_was_rejected_must_not_come() {
    let verdict = changed(&[(
        "4.1 tick peer=3 number=20 ordinal=1\n",
        "4.1 rejected peer=3 number=20 code=301\n",
    )]);
    complains(&verdict, &[Promise::Duplicated], "4.1→3 #20 was rejected (301)");
    assert_eq!(verdict.refusals[&301], 1);
}

#[test]
fn only_what_was_repeated_can_be_too_old() {
    let ticked = "4.1 tick peer=3 number=20 ordinal=1\n";
    let shown = [
        "3.1 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc\n",
        "3.2 shown position=3 peer=4 own=0 ordinal=1 body=4.1.3.20 digest=cc\n",
    ];
    let skipped = ["3.1 skip position=3\n", "3.2 skip position=3\n"];
    let receipts = [
        ("4.1 receipt peer=3 delivered=1 read=0 own=0\n3.1 ack", "3.1 ack"),
        ("4.1 receipt peer=3 delivered=1 read=0 own=0\n3.1 final", "3.1 final"),
    ];
    let stale = "4.1 rejected peer=3 number=20 code=302\n";
    let with = |answer: &str| {
        let taken_back = [(ticked, answer), (shown[0], skipped[0]), (shown[1], skipped[1])];
        changed(&[&taken_back[..], &receipts].concat())
    };
    complains(&with(stale), &[Promise::Protocol], "4.1→3 #20 was rejected with code 302");
    let verdict = with(&format!("4.1 resend peer=3 number=20\n{stale}"));
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
}

#[test]
fn messages_of_a_device_out_of_order_are_reordered() {
    let verdict = changed(&[
        (
            "4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n",
            "4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.11 digest=bb\n",
        ),
        (
            "4.1 again position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n",
            "4.1 again position=1 peer=3 own=0 ordinal=1 body=3.1.4.11 digest=bb\n",
        ),
        (
            "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n",
            "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.10 digest=aa\n",
        ),
    ]);
    complains(&verdict, &[Promise::Reordered], "4.1: 3.1→4 #10 was shown after #11");
}

#[test]
fn ordinals_must_agree_and_be_dense() {
    let verdict = changed(&[(
        "3.1 tick peer=4 number=11 ordinal=2\n",
        "3.1 tick peer=4 number=11 ordinal=4\n",
    )]);
    complains(&verdict, &[Promise::Reordered], "3.1→4 #11 is ordinal 4, and 2 for 3.2");
    let said: Vec<_> = verdict.tally.examples(Promise::Reordered).collect();
    assert!(said.contains(&"3→4 ordinal 3 is nobody's, though 4 exists"), "{said:?}");
}

#[test]
fn an_ordinal_belongs_to_one_message() {
    let tick = "3.1 tick peer=4 number=11 ordinal=2\n";
    let verdict = changed(&[(tick, &tick.replace("ordinal=2", "ordinal=1"))]);
    complains(&verdict, &[Promise::Reordered], "3→4 ordinal 1 is 3.1→4 #10, and 3.1→4 #11 for 3.1");
    let said: Vec<_> = verdict.tally.examples(Promise::Reordered).collect();
    let words = "3.1→4 #11 was ticked as ordinal 1, #10 before as 1";
    assert!(said.contains(&words), "{said:?}");
}

#[test]
fn ticks_must_not_go_back() {
    let send = "3.1 send peer=4 number=11 bytes=50 digest=bb\n";
    let first = "3.1 tick peer=4 number=10 ordinal=1\n";
    let second = "3.1 tick peer=4 number=11 ordinal=2\n";
    let verdict = changed(&[(first, ""), (second, &format!("{second}{first}")), (send, send)]);
    let kinds = [Promise::Reordered, Promise::Protocol];
    // Their order is wrong; what 4 was shown, and when, is not.
    complains(&verdict, &kinds[1..], "3.1→4 #10 was ticked after #11");
    // The numbers rise and the ordinals don't.
    let verdict = changed(&[
        (first, &first.replace("ordinal=1", "ordinal=2")),
        (second, &second.replace("ordinal=2", "ordinal=1")),
    ]);
    complains(&verdict, &kinds[..1], "3.1→4 #11 was ticked as ordinal 1, #10 before as 2");
}

#[test]
fn receipts_must_not_run_ahead() {
    let delivered = "3.1 receipt peer=4 delivered=1 read=0 own=0\n4.1 closed";
    let verdict =
        changed(&[(delivered, "3.1 receipt peer=4 delivered=2 read=0 own=0\n4.1 closed")]);
    complains(&verdict, &[Promise::ReceiptsAhead], "3→4 is delivered up to 2; it was 1 by then");
    let verdict =
        changed(&[(delivered, "3.1 receipt peer=4 delivered=1 read=1 own=0\n4.1 closed")]);
    complains(&verdict, &[Promise::ReceiptsAhead], "3→4 is read up to 1; it was 0 by then");
}

#[test]
fn receipts_for_the_reader_itself_must_not_run_ahead() {
    let before = "4.1 pong head=2\n";
    let verdict =
        changed(&[(before, &format!("{before}3.2 receipt peer=4 delivered=1 read=1 own=1\n"))]);
    complains(&verdict, &[Promise::ReceiptsAhead], "4→3 is read up to 1; it was 0 by then");
}

#[test]
fn receipts_must_arrive_while_connected_and_after_asking() {
    let last = "4.1 receipt peer=3 delivered=1 read=0 own=0\n3.1 ack";
    let verdict = changed(&[(last, "3.1 ack")]);
    complains(&verdict, &[Promise::ReceiptsBehind], "when all was quiet, 4.1 knew 4→3");
}

#[test]
fn receipts_must_survive_a_clean_stop() {
    let asked = "4.1 ask peer=3\n4.1 receipt peer=3 delivered=1 read=0 own=0\n";
    let verdict =
        changed(&[(asked, "4.1 ask peer=3\n4.1 receipt peer=3 delivered=0 read=0 own=0\n")]);
    complains(&verdict, &[Promise::ReceiptsBehind], "after a clean stop, 4.1 knew 4→3");
}

#[test]
fn a_body_that_was_not_sent_is_corrupt() {
    let own = "3.2 shown position=2 peer=4 own=1 ordinal=2 body=3.1.4.11 digest=bb\n";
    let verdict = changed(&[(own, &own.replace("bb", "b0"))]);
    complains(&verdict, &[Promise::Corrupt], "3.1→4 #11 is not what was sent");
    let damaged = own.replace("3.1.4.11", "damaged");
    let verdict = changed(&[(own, &damaged)]);
    complains(&verdict, &[Promise::Lost, Promise::Corrupt], "3.2: position 2: the body is damaged");
    let verdict = changed(&[(own, &own.replace("peer=4", "peer=5"))]);
    complains(&verdict, &[Promise::Corrupt], "(to 5, ordinal 2, digest bb), its body is 3.1→4 #11");
}

#[test]
fn a_hole_in_the_positions_is_a_gap() {
    let verdict = changed(&[("3.1 skip position=2\n", "")]);
    complains(&verdict, &[Promise::Gaps], "3.1: position 3 followed 1");
    let gap = "4.1 outofturn position=9\n";
    let verdict = changed(&[("4.1 pong head=2\n", &format!("{gap}4.1 pong head=2\n"))]);
    complains(&verdict, &[Promise::Gaps], "4.1: position 9 came where 3 was due");
    let back = "4.1 outofturn position=1\n";
    let verdict = changed(&[("4.1 pong head=2\n", &format!("{back}4.1 pong head=2\n"))]);
    complains(&verdict, &[Promise::Reordered], "4.1: position 1 came where 3 was due");
}

#[test]
fn a_head_beyond_what_came_is_a_gap() {
    let verdict = changed(&[
        ("4.1 pong head=2\n", "4.1 pong head=3\n"),
        ("4.1 welcome session=8 head=2\n", "4.1 welcome session=8 head=3\n"),
    ]);
    complains(&verdict, &[Promise::Gaps], "4.1: the head is 3, but only positions up to 2 came");
}

#[test]
fn protocol_errors_are_reported() {
    let cases = [
        ("3.1 welcome session=5 head=1\n", "3.1 welcome session=1 head=1\n", "session 1 follows 1"),
        ("3.1 pong head=3\n", "3.1 pong head=2\n3.1 pong head=3\n", "the head is 2"),
        // Positions up to 9 were told of and not delivered.
        ("4.1 pong head=2\n", "4.1 pong head=9\n4.1 pong head=2\n", "went back from 9 to 2"),
        ("3.1 pong head=3\n", "3.1 goodbye code=109\n3.1 pong head=3\n", "goodbye with code 109"),
        ("3.1 pong head=3\n", "3.1 pong head=3\n3.1 broken what=two_words\n", "3.1: two words"),
        (
            "3.1 resend peer=4 number=11\n",
            "3.1 tick peer=4 number=10 ordinal=1\n",
            "answered twice",
        ),
    ];
    for (from, to, words) in cases {
        complains(&changed(&[(from, to)]), &[Promise::Protocol], words);
    }
}

#[test]
fn a_device_that_does_not_come_to_the_end_is_unsettled() {
    let verdict = changed(&[("3.2 drained\n", "")]);
    complains(&verdict, &[Promise::Unsettled], "3.2 did not come to an end");
    let verdict = changed(&[("3.2 final\n", "")]);
    complains(&verdict, &[Promise::Unsettled], "3.2 did not come to an end after the clean stop");
    let verdict = changed(&[("4.1 tick peer=3 number=20 ordinal=1\n", ""), ("4.1 drained\n", "")]);
    complains(&verdict, &[Promise::Unsettled], "4.1 did not come to an end: 1 sends without");
}

#[test]
fn something_new_after_the_drain_is_reported() {
    let late = "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n";
    let verdict = changed(&[("4.1 drained\n", &format!("4.1 drained\n{late}"))]);
    let found = verdict.tally.examples(Promise::Unsettled).next().unwrap();
    assert!(found.contains("came after everything was drained"), "{found}");
}

#[test]
fn a_run_that_tried_nothing_does_not_pass() {
    let verdict = verdict("3.1 begin user=3 device=1\n");
    complains(&verdict, &[Promise::Unsettled], "nothing was tried");
}

#[test]
fn an_empty_directory_and_a_damaged_line_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(check(directory.path()), Err(CheckError::Nothing(_))));
    let path = directory.path().join("3.1.log");
    std::fs::write(&path, "1 1 begin user=3 device=1\n2 2 tick peer=4\n").unwrap();
    let error = check(directory.path()).unwrap_err();
    assert!(error.to_string().contains(":2: number is missing"), "{error}");
    std::fs::write(&path, "1 1 begin user=3 device=1\n2 2 drained").unwrap();
    assert!(check(directory.path()).unwrap_err().to_string().contains("may be cut"));
}
