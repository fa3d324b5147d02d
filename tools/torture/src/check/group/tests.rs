//! An honest run with a group passes; a run with each kind of violation is complained about, and of
//! nothing else.

use super::super::Promise;
use super::super::tests::{complains, replaced, verdict};

/// User 1 makes group 70 with users 2 and 3, each with one device. 2 writes #20 and #21; a kill takes the
/// tick of #21. 3 is removed, misses #12, and comes back.
const HONEST: &str = "\
1.1 begin user=1 device=1
2.1 begin user=2 device=1
3.1 begin user=3 device=1
1.1 hello cursor=0
1.1 welcome session=1 head=0
2.1 hello cursor=0
2.1 welcome session=2 head=0
3.1 hello cursor=0
3.1 welcome session=3 head=0
1.1 send peer=2 number=9 bytes=50 digest=99
1.1 tick peer=2 number=9 ordinal=1
1.1 gchange group=0 number=10 change=create:2,3 digest=c1
2.1 shown position=1 peer=1 own=0 ordinal=1 body=1.1.2.9 digest=99
2.1 notice position=2 group=70 by=1
3.1 notice position=1 group=70 by=1
1.1 gmade number=10 group=70
2.1 gshown group=70 position=1 author=1 own=0 body=create:2,3 digest=c1
3.1 gshown group=70 position=1 author=1 own=0 body=create:2,3 digest=c1
1.1 gskip group=70 position=1
2.1 gsend group=70 number=20 bytes=50 digest=aa
2.1 gsend group=70 number=21 bytes=50 digest=bb
2.1 gtick group=70 number=20 position=2
2.1 gskip group=70 position=2
1.1 gshown group=70 position=2 author=2 own=0 body=2.1.70.20 digest=aa
1.1 gack group=70 position=2
2.1 greceipt group=70 position=2 members=2 delivered=1 read=0 delivered_all=0 read_all=0
2.1 closed why=lost
2.1 hello cursor=2
2.1 welcome session=4 head=2
1.1 receipt peer=2 delivered=1 read=0 own=0
2.1 gresume group=70 cursor=2
2.1 gresend group=70 number=21
3.1 gshown group=70 position=2 author=2 own=0 body=2.1.70.20 digest=aa
1.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb
2.1 gtick group=70 number=21 position=3
2.1 gskip group=70 position=3
3.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb
3.1 gack group=70 position=3
1.1 gchange group=70 number=11 change=remove:3 digest=c2
1.1 gtick group=70 number=11 position=4
3.1 gshown group=70 position=4 author=1 own=0 body=remove:3 digest=c2
3.1 ggone group=70 position=4
1.1 gsend group=70 number=12 bytes=50 digest=cc
1.1 gtick group=70 number=12 position=5
3.1 gsend group=70 number=30 bytes=50 digest=dd
3.1 grejected group=70 number=30 code=304
2.1 gshown group=70 position=4 author=1 own=0 body=remove:3 digest=c2
2.1 gshown group=70 position=5 author=1 own=0 body=1.1.70.12 digest=cc
1.1 gchange group=70 number=13 change=add:3 digest=c3
3.1 notice position=2 group=70 by=1
1.1 gtick group=70 number=13 position=6
3.1 gskip group=70 position=5
3.1 gshown group=70 position=6 author=1 own=0 body=add:3 digest=c3
2.1 gshown group=70 position=6 author=1 own=0 body=add:3 digest=c3
3.1 ack position=2
3.1 gack group=70 position=6
3.1 gread group=70 position=6
3.1 gstored group=70 position=6
2.1 ack position=2
2.1 gack group=70 position=6
1.1 gskip group=70 position=6
1.1 gack group=70 position=6
1.1 gread group=70 position=6
2.1 gask group=70 position=3
2.1 greceipt group=70 position=3 members=1 delivered=1 read=1 delivered_all=6 read_all=0
2.1 gstate group=70 head=6
2.1 pong head=2
3.1 pong head=2
1.1 drained
2.1 drained
3.1 drained
1.1 final
2.1 final
3.1 final
";

/// The honest run with pieces replaced, each of which must be there once.
pub(super) fn changed(changes: &[(&str, &str)]) -> super::super::Verdict {
    verdict(&replaced(HONEST, changes))
}

#[test]
fn an_honest_run_passes() {
    let verdict = verdict(HONEST);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let volume = verdict.volume.groups;
    assert_eq!((volume.group_messages, volume.group_changes), (3, 3));
    assert_eq!((volume.group_deliveries, volume.group_receipts), (11, 2));
    assert_eq!(verdict.refusals[&304], 1);
}

#[test]
fn a_ticked_message_that_a_member_was_not_shown_is_lost() {
    let shown = "3.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb\n";
    let verdict = changed(&[(shown, "3.1 gskip group=70 position=3\n")]);
    complains(&verdict, &[Promise::Lost], "position 3 of group 70 was never shown on 3.1");
}

#[test]
fn so_is_a_change() {
    let shown = "2.1 gshown group=70 position=4 author=1 own=0 body=remove:3 digest=c2\n";
    let verdict = changed(&[(shown, "2.1 gskip group=70 position=4\n")]);
    complains(&verdict, &[Promise::Lost], "at position 4 of group 70 was never shown on 2.1");
}

#[test]
fn who_was_added_must_be_told() {
    let told = "3.1 notice position=1 group=70 by=1\n";
    let again = "3.1 notice position=2 group=70 by=1\n";
    let verdict = changed(&[(told, "3.1 skip position=1\n"), (again, again)]);
    let words = "3.1 was added to group 70 2 times and told 1 times";
    complains(&verdict, &[Promise::Lost], words);
}

#[test]
fn what_was_shown_twice_is_duplicated() {
    let shown = "1.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb\n";
    let lost = "1.1 closed why=lost\n1.1 hello cursor=0\n1.1 welcome session=9 head=0\n";
    let verdict = changed(&[(shown, &format!("{shown}{lost}{shown}"))]);
    let kinds = [Promise::Duplicated, Promise::Reordered];
    complains(&verdict, &kinds, "1.1: group 70: position 3 was shown twice");
}

#[test]
fn a_position_holds_one_entry_for_all() {
    let shown = "3.1 gshown group=70 position=2 author=2 own=0 body=2.1.70.20 digest=aa\n";
    let verdict = changed(&[(shown, &shown.replace("aa", "a0"))]);
    let kinds = [Promise::Duplicated, Promise::Corrupt];
    complains(&verdict, &kinds, "group 70, position 2: 2.1→70 #20");
}

#[test]
fn an_entry_has_one_position() {
    let shown = "2.1 gshown group=70 position=5 author=1 own=0 body=1.1.70.12 digest=cc\n";
    let again = "2.1 gshown group=70 position=7 author=1 own=0 body=1.1.70.12 digest=cc\n";
    let state = "2.1 gstate group=70 head=6\n";
    let late = format!("{again}2.1 gstate group=70 head=7\n");
    let verdict = changed(&[(state, &late), (shown, shown)]);
    let said: Vec<_> = verdict.tally.examples(Promise::Reordered).collect();
    assert!(said.iter().any(|it| it.contains("1.1→70 #12 is at (70, 5)")), "{said:?}");
    assert!(verdict.tally.count(Promise::Duplicated) > 0, "it was shown twice");
}

#[test]
fn a_senders_order_is_kept() {
    let first = "2.1 gtick group=70 number=20 position=2\n";
    let second = "2.1 gtick group=70 number=21 position=3\n";
    let swap = |line: &str| {
        line.replace(" position=2", " position=9").replace(" position=3", " position=2")
    };
    let mut script = HONEST.to_owned();
    script = script.replace(first, &swap(first).replace(" position=9", " position=3"));
    script = script.replace(second, &swap(second));
    script = script.replace("body=2.1.70.20 digest=aa", "body=2.1.70.99");
    script = script.replace("body=2.1.70.21 digest=bb", "body=2.1.70.20 digest=aa");
    script = script.replace("body=2.1.70.99", "body=2.1.70.21 digest=bb");
    let verdict = verdict(&script);
    complains(&verdict, &[Promise::Reordered], "2.1→70 #20 has its position behind #21");
    let said: Vec<_> = verdict.tally.examples(Promise::Reordered).collect();
    assert!(said.iter().any(|it| it.contains("#20 was shown after #21")), "{said:?}");
}

#[test]
fn nobody_sees_what_was_sent_outside_of_its_time() {
    let skip = "3.1 gskip group=70 position=5\n";
    let shown = "3.1 gshown group=70 position=5 author=1 own=0 body=1.1.70.12 digest=cc\n";
    let verdict = changed(&[(skip, shown)]);
    let words = "3.1: group 70: position 5 is outside of the times of its user";
    complains(&verdict, &[Promise::Leaked], words);
}

#[test]
fn a_hole_is_a_gap() {
    let verdict = changed(&[("3.1 gskip group=70 position=5\n", "")]);
    complains(&verdict, &[Promise::Gaps], "3.1: group 70: position 6 followed 4");
    let gap = "3.1 goutofturn group=70 position=9\n3.1 gread group=70 position=6\n";
    let verdict = changed(&[("3.1 gread group=70 position=6\n", gap)]);
    complains(&verdict, &[Promise::Gaps], "position 9 came where 7 was due");
}

#[test]
fn a_position_that_is_nobodys_is_a_hole_for_all() {
    let verdict = changed(&[
        ("1.1 gtick group=70 number=13 position=6\n", "1.1 gtick group=70 number=13 position=7\n"),
        ("3.1 gskip group=70 position=5\n", "3.1 gskip group=70 position=6\n"),
        (
            "3.1 gshown group=70 position=6 author=1 own=0 body=add:3 digest=c3\n",
            "3.1 gshown group=70 position=7 author=1 own=0 body=add:3 digest=c3\n",
        ),
        (
            "2.1 gshown group=70 position=6 author=1 own=0 body=add:3 digest=c3\n",
            "2.1 gskip group=70 position=6\n2.1 gshown group=70 position=7 author=1 own=0 \
             body=add:3 digest=c3\n",
        ),
        ("2.1 gstate group=70 head=6\n", "2.1 gstate group=70 head=7\n"),
    ]);
    complains(&verdict, &[Promise::Reordered], "group 70: position 6 of 7 is nobody's");
}

#[test]
fn receipts_must_not_run_ahead() {
    let told = "members=2 delivered=1 read=0 delivered_all=0 read_all=0\n";
    for (from, to, words) in [
        ("delivered=1", "delivered=2", "delivered to 2; it was 1 by then"),
        ("read=0 ", "read=1 ", "read by 1; it was 0 by then"),
        ("delivered_all=0", "delivered_all=2", "delivered to all up to 2; it was"),
        ("read_all=0", "read_all=1", "read by all up to 1; it was 0 by then"),
    ] {
        let verdict = changed(&[(told, &told.replace(from, to))]);
        complains(&verdict, &[Promise::ReceiptsAhead], words);
    }
    let stored = "3.1 gstored group=70 position=6\n";
    let verdict = changed(&[(stored, &stored.replace("position=6", "position=7"))]);
    complains(&verdict, &[Promise::ReceiptsAhead], "3.1 was told that group 70 is read up to 7");
}

#[test]
fn receipts_must_be_the_truth_in_the_end() {
    // 3 left and came back after it.
    let told = "2.1 greceipt group=70 position=3 members=1 delivered=1 read=1 delivered_all=6 read_all=0\n";
    for (from, to) in
        [("delivered=1", "delivered=0"), ("read=1", "read=0"), ("members=1", "members=2")]
    {
        let verdict = changed(&[(told, &told.replace(from, to))]);
        complains(&verdict, &[Promise::ReceiptsBehind], "2.1 knew position 3 of group 70");
    }
    let verdict = changed(&[(told, "")]);
    complains(&verdict, &[Promise::ReceiptsBehind], "2.1 had no receipt of group 70");
}

#[test]
fn a_body_that_was_not_sent_is_corrupt() {
    let shown = "1.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb\n";
    let verdict = changed(&[(shown, &shown.replace("2.1.70.21", "2.1.71.21"))]);
    let said: Vec<_> = verdict.tally.examples(Promise::Corrupt).collect();
    assert!(said.iter().any(|it| it.contains("and is 2.1→71 #21")), "{said:?}");
    let verdict = changed(&[(shown, &shown.replace("own=0", "own=1"))]);
    complains(&verdict, &[Promise::Corrupt], "1.1: group 70: position 3 is said to be 2's");
    let damaged = shown.replace("2.1.70.21", "damaged");
    let verdict = changed(&[(shown, &damaged)]);
    complains(&verdict, &[Promise::Corrupt], "position 3: the body is damaged");
}

#[test]
fn a_device_must_not_be_shown_what_it_sent_itself() {
    let skip = "2.1 gskip group=70 position=2\n";
    let copy = "2.1 gshown group=70 position=2 author=2 own=1 body=2.1.70.20 digest=aa\n";
    let verdict = changed(&[(skip, copy)]);
    complains(&verdict, &[Promise::Corrupt], "is said to be 2's, and is 2.1→70 #20");
}

#[test]
fn a_member_must_not_be_refused_and_what_was_refused_must_not_come() {
    let send = "1.1 gsend group=70 number=12 bytes=50 digest=cc\n";
    let refused = "2.1 gsend group=70 number=22 bytes=50 digest=ee\n\
                   2.1 grejected group=70 number=22 code=304\n";
    let verdict = changed(&[(send, &format!("{refused}{send}"))]);
    complains(&verdict, &[Promise::Protocol], "2.1→70 #22 was rejected with code 304");
    let ticked = "1.1 gtick group=70 number=12 position=5\n";
    let verdict = changed(&[(ticked, "1.1 grejected group=70 number=12 code=301\n")]);
    complains(&verdict, &[Promise::Duplicated], "1.1→70 #12 was rejected (301)");
}

#[test]
fn ends_and_heads_must_be_true() {
    let gone = "3.1 ggone group=70 position=4\n";
    let verdict = changed(&[(gone, &gone.replace("position=4", "position=3"))]);
    complains(&verdict, &[Promise::Protocol], "3.1: group 70 ended at 3, which no change says");
    let state = "2.1 gstate group=70 head=6\n";
    let verdict = changed(&[(state, &state.replace("head=6", "head=5"))]);
    complains(&verdict, &[Promise::Protocol], "2.1: group 70: the head is 5 after 6");
}

#[test]
fn a_line_that_is_not_in_the_format_is_an_error() {
    for text in [
        "1 1 gack position=3",
        "1 1 gshown group=70 position=1 author=1 own=0 body=make:2 digest=c1",
        "1 1 gshown group=70 position=1 author=1 own=0 body=add:x digest=c1",
        "1 1 gwish group=70 number=1",
        "1 1 gchange group=70 number=1 change=add digest=c1",
    ] {
        assert!(super::super::line::Line::parse(text).is_err(), "{text:?} was taken");
    }
}
