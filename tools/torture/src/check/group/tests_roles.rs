//! Changes that their authors may make pass; each other one is complained about, and so is whatever stands
//! behind the end of a group.

use super::super::Promise;
use super::super::tests::complains;
use super::tests::changed;

/// The last position of the honest run, and the line behind which more happens.
const HEAD: u64 = 6;
const QUIET: &str = "2.1 gask group=70 position=3\n";
const RECEIPT: &str = "2.1 greceipt group=70 position=3 members=1 delivered=1 read=1 delivered_all=6 \
                       read_all=0\n";
const MEMBERS: [u64; 3] = [1, 2, 3];

/// What somebody writes: a change, or a body.
enum Wrote {
    Change(u64, &'static str),
    Message(u64),
}

/// The lines of entries behind the honest run: each is ticked, and shown to these users.
fn lines(entries: &[Wrote], shown_to: &[u64]) -> String {
    let mut lines = Vec::new();
    for (position, (number, entry)) in (HEAD + 1..).zip((50..).zip(entries)) {
        let (author, sent, body) = match *entry {
            Wrote::Change(author, change) => {
                (author, format!("gchange group=70 number={number} change={change}"), change.into())
            }
            Wrote::Message(author) => {
                let body = format!("{author}.1.70.{number}");
                (author, format!("gsend group=70 number={number} bytes=50"), body)
            }
        };
        let digest = format!("digest={number:x}");
        lines.push(format!("{author}.1 {sent} {digest}\n"));
        lines.push(format!("{author}.1 gtick group=70 number={number} position={position}\n"));
        for &user in shown_to {
            let place = format!("group=70 position={position}");
            lines.push(if user == author {
                format!("{user}.1 gskip {place}\n")
            } else {
                format!("{user}.1 gshown {place} author={author} own=0 body={body} {digest}\n")
            });
        }
    }
    lines.concat()
}

/// The honest run with entries behind it, and lines behind these. Nobody asks for receipts then.
fn with(entries: &[Wrote], shown_to: &[u64], after: &str) -> super::super::Verdict {
    let more = lines(entries, shown_to) + after;
    changed(&[(QUIET, &more), (RECEIPT, ""), ("2.1 gstate group=70 head=6\n", "")])
}

use Wrote::{Change, Message};

#[test]
fn what_members_may_change_passes() {
    for entries in [
        &[Change(1, "promote:2"), Change(2, "rename:"), Change(2, "describe:")][..],
        &[Change(1, "promote:2"), Change(1, "demote:2"), Change(1, "show_history:1"), Message(2)],
        &[Change(1, "hand_over:3"), Change(3, "demote:1"), Change(3, "hand_over:1")],
        &[Change(1, "hand_over:3"), Change(3, "delete:")][..1],
    ] {
        let verdict = with(entries, &MEMBERS, "");
        assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    }
}

#[test]
fn a_change_needs_its_role() {
    for (entries, words) in [
        (&[Change(2, "describe:")][..], "position 7, by 2, is a Wording by a mere Member"),
        (&[Change(3, "add:9")], "position 7, by 3, is a Add by a mere Member"),
        (&[Change(3, "demote:2")], "is a Demote by a mere Member"),
        (&[Change(1, "promote:2"), Change(2, "demote:2")], "is a Demote by a mere Admin"),
        (&[Change(1, "promote:2"), Change(2, "hand_over:3")], "is a HandOver by a mere Admin"),
        (&[Change(2, "show_history:1")], "is a ShowHistory(true) by a mere Member"),
        (
            &[Change(1, "promote:2"), Change(1, "demote:2"), Change(2, "rename:")],
            "position 9, by 2, is a Wording by a mere Member",
        ),
        (
            &[Change(1, "hand_over:3"), Change(1, "promote:2")],
            "position 8, by 1, is a Promote by a mere Admin",
        ),
    ] {
        complains(&with(entries, &MEMBERS, ""), &[Promise::Protocol], words);
    }
}

#[test]
fn a_change_names_whom_it_can() {
    for (entries, words) in [
        (&[Change(1, "demote:2")][..], "is a Demote of 2, which can't be"),
        (&[Change(1, "promote:2"), Change(1, "promote:2")], "is a Promote of 2, which can't be"),
        (&[Change(1, "hand_over:1")], "is a HandOver of 1, which can't be"),
        (&[Change(1, "hand_over:9")], "is a HandOver of 9, which can't be"),
    ] {
        complains(&with(entries, &MEMBERS, ""), &[Promise::Protocol], words);
    }
}

#[test]
fn an_owner_who_leaves_is_followed_by_one_who_may_then_do_what_owners_may() {
    let gone = "1.1 ggone group=70 position=8\n";
    // 3 came back later, so 2 follows whoever is an admin.
    let entries = [Change(1, "describe:"), Change(1, "leave:"), Change(2, "promote:3")];
    let verdict = with(&entries, &[2, 3], &format!("1.1 gskip group=70 position=8\n{gone}"));
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let entries = [Change(1, "promote:3"), Change(1, "leave:"), Change(2, "demote:3")];
    let verdict = with(&entries, &[2, 3], gone);
    complains(&verdict, &[Promise::Protocol], "position 9, by 2, is a Demote by a mere Member");
}

#[test]
fn a_group_that_ended_takes_nothing_and_all_its_members_are_told() {
    let gone = |users: &[u64]| -> String {
        let gone = users.iter().map(|user| format!("{user}.1 ggone group=70 position=7\n"));
        gone.collect::<Vec<_>>().concat()
    };
    let delete = || Change(1, "delete:");
    let verdict = with(&[delete()], &MEMBERS, &gone(&MEMBERS));
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let verdict = with(&[delete()], &MEMBERS, &gone(&[1, 3]));
    complains(&verdict, &[Promise::Lost], "2.1 was never told that group 70 ended for it at 7");
    let verdict = with(&[delete()], &[1, 3], &gone(&MEMBERS));
    complains(&verdict, &[Promise::Lost], "at position 7 of group 70 was never shown on 2.1");
    let late = gone(&MEMBERS);
    for entry in [Message(2), Change(1, "add:2"), Change(1, "rename:")] {
        let verdict = with(&[delete(), entry], &[], &late);
        let said: Vec<_> = verdict.tally.examples(Promise::Protocol).collect();
        let words = "is by somebody who is no member";
        assert!(said.iter().any(|it| it.contains("position 8") && it.contains(words)), "{said:?}");
    }
}

#[test]
fn who_is_added_for_the_first_time_is_owed_what_the_group_shows() {
    let fourth = "4.1 begin user=4 device=1\n4.1 hello cursor=0\n4.1 welcome session=9 head=0\n";
    let old = "4.1 gshown group=70 position=1 author=1 own=0 body=create:2,3 digest=c1\n\
               4.1 gshown group=70 position=2 author=2 own=0 body=2.1.70.20 digest=aa\n\
               4.1 gshown group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb\n\
               4.1 gshown group=70 position=4 author=1 own=0 body=remove:3 digest=c2\n\
               4.1 gshown group=70 position=5 author=1 own=0 body=1.1.70.12 digest=cc\n\
               4.1 gshown group=70 position=6 author=1 own=0 body=add:3 digest=c3\n";
    let run = |shows: &'static str, came: &str| {
        let entries = [Change(1, shows), Change(1, "add:4")];
        let new = format!(
            "4.1 gshown group=70 position=7 author=1 own=0 body={shows} digest=32\n\
             4.1 gshown group=70 position=8 author=1 own=0 body=add:4 digest=33\n"
        );
        let new = if came.contains("position=6") {
            new
        } else {
            new.split_inclusive('\n').skip(1).collect()
        };
        let rest = format!(
            "4.1 notice position=1 group=70 by=1\n{came}{new}4.1 pong head=1\n4.1 drained\n4.1 final\n"
        );
        let more = lines(&entries, &MEMBERS);
        let first = "1.1 hello cursor=0\n";
        changed(&[
            (first, &format!("{fourth}{first}")),
            (QUIET, &format!("{more}{rest}")),
            (RECEIPT, ""),
            ("2.1 gstate group=70 head=6\n", ""),
        ])
    };
    let verdict = run("show_history:1", old);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let skipped = "4.1 gskip group=70 position=7\n";
    let verdict = run("show_history:0", skipped);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let words = "at position 7 of group 70 was never shown on 4.1";
    complains(&run("show_history:1", skipped), &[Promise::Lost], words);
    let words = "4.1: group 70: position 6 is outside of the times of its user";
    complains(&run("show_history:0", old), &[Promise::Leaked], words);
}

#[test]
fn who_comes_back_is_sent_what_was_passed_over_only_if_the_group_shows_its_history() {
    let run = |shows: &'static str| {
        let entries = [Change(1, shows), Change(1, "remove:3"), Change(1, "add:3")];
        let again = "3.1 closed why=lost\n3.1 hello cursor=2\n3.1 welcome session=5 head=2\n\
                     3.1 ggone group=70 position=8\n3.1 notice position=3 group=70 by=1\n\
                     3.1 gagain group=70 position=1 author=1 own=0 body=create:2,3 digest=c1\n\
                     3.1 gagain group=70 position=2 author=2 own=0 body=2.1.70.20 digest=aa\n\
                     3.1 gagain group=70 position=3 author=2 own=0 body=2.1.70.21 digest=bb\n\
                     3.1 gagain group=70 position=4 author=1 own=0 body=remove:3 digest=c2\n\
                     3.1 gagain group=70 position=5 author=1 own=0 body=1.1.70.12 digest=cc\n\
                     3.1 gagain group=70 position=6 author=1 own=0 body=add:3 digest=c3\n";
        let pong = format!("{again}3.1 pong head=3\n");
        changed(&[
            (QUIET, &lines(&entries, &MEMBERS)),
            (RECEIPT, ""),
            ("2.1 gstate group=70 head=6\n", ""),
            ("3.1 pong head=2\n", &pong),
        ])
    };
    let verdict = run("show_history:1");
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let words = "3.1: group 70: position 5 is outside of the times of its user";
    complains(&run("show_history:0"), &[Promise::Leaked], words);
}
