//! Presence and typing: an honest run passes; a run with each kind of violation is complained
//! about.

use super::super::tests::{complains, replaced};
use super::super::tests_expiry::verdict;
use super::super::{Promise, Verdict};

/// User 2 watches users 1 and 3. User 1 is there, writes and types; user 3 sleeps. User 1 hides for
/// a while, and has another name in its profile in the end. The interval is 5 s, and second 0 is
/// 1,000 s after 1970.
const HONEST: &str = "\
0 1.1 begin user=1 device=1
0 2.1 begin user=2 device=1
0 3.1 begin user=3 device=1
0 1.1 hello cursor=0
0 1.1 welcome session=1 head=0
0 1.1 clock presence_s=5 unix_ms=1000000
0 1.1 bresume version=0
0 1.1 bpage version=0 head=0 reset=0
0 1.1 activity here=1
0 3.1 hello cursor=0
0 3.1 welcome session=2 head=0
0 3.1 clock presence_s=5 unix_ms=1000000
1 2.1 hello cursor=0
1 2.1 welcome session=3 head=0
1 2.1 clock presence_s=5 unix_ms=1001000
1 2.1 activity here=1
1 2.1 watch users=1,3
1 2.1 presence user=1 online=1 seen_ms=1000000
1 2.1 presence user=3 online=0 seen_ms=0
2 1.1 types group=0 user=2 on=1
2 2.1 typed group=0 user=1 on=1
3 1.1 types group=7 user=0 on=0
3 2.1 typed group=7 user=1 on=0
4 1.1 send peer=1 number=9 bytes=50 digest=99
4 1.1 tick peer=1 number=9 ordinal=1
4 1.1 shown position=1 peer=1 own=0 ordinal=1 body=1.1.1.9 digest=99
5 1.1 activity here=0
10 2.1 presence user=1 online=0 seen_ms=1005000
11 1.1 bput item=1.00 value=0
11 1.1 bitem version=1 item=1.00 value=0
11 1.1 bput item=1.01 value=0
11 1.1 bitem version=2 item=1.01 value=0
12 2.1 closed why=lost
12 2.1 hello cursor=0
12 2.1 welcome session=4 head=0
12 2.1 clock presence_s=5 unix_ms=1012000
12 2.1 watch users=1,3
12 2.1 presence user=1 online=0 seen_ms=0
12 2.1 presence user=3 online=0 seen_ms=0
13 2.1 unwatch users=3
14 1.1 bput item=1.00 value=none
14 1.1 bitem version=3 item=1.00 value=none
14 1.1 bput item=1.01 value=2
14 1.1 bitem version=4 item=1.01 value=2
15 2.1 presence user=1 online=0 seen_ms=1014000
16 1.1 send peer=1 number=10 bytes=50 digest=98
16 1.1 tick peer=1 number=10 ordinal=2
16 1.1 shown position=2 peer=1 own=0 ordinal=2 body=1.1.1.10 digest=98
16 1.1 bput item=0.00 value=a1
16 1.1 bitem version=5 item=0.00 value=a1
17 1.1 pong head=2
17 2.1 pong head=0
17 3.1 pong head=0
17 1.1 drained
17 2.1 drained
17 3.1 drained
18 2.1 hello cursor=0
18 2.1 welcome session=5 head=0
18 2.1 clock presence_s=5 unix_ms=1018000
18 2.1 watch users=1,3
18 2.1 presence user=1 online=0 seen_ms=1016000
18 2.1 news user=1 version=5
18 2.1 look user=1 known=0
18 2.1 presence user=3 online=0 seen_ms=0
18 2.1 profile user=1 known=0 version=5 name=a1 status=none avatar=none
19 1.1 hello cursor=2
19 1.1 welcome session=6 head=2
19 1.1 clock presence_s=5 unix_ms=1019000
19 1.1 activity here=1
19 2.1 presence user=1 online=1 seen_ms=1019000
22 1.1 activity here=1
26 1.1 activity here=1
30 1.1 activity here=1
33 1.1 final
33 2.1 final
33 3.1 final
";

fn changed(changes: &[(&str, &str)]) -> Verdict {
    verdict(&replaced(HONEST, changes))
}

#[test]
fn an_honest_run_passes() {
    let verdict = changed(&[]);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let people = verdict.volume.people;
    assert_eq!((people.presence_told, people.typing_told, people.profiles_told), (9, 2, 2));
}

#[test]
fn who_only_acknowledges_is_not_seen() {
    let asleep = "1 2.1 presence user=3 online=0 seen_ms=0\n";
    for told in ["online=0 seen_ms=1000000", "online=1 seen_ms=1000000"] {
        let awake = asleep.replace("online=0 seen_ms=0", told);
        let words = format!("2.1 was told {told} of 3, who did nothing by then");
        complains(&changed(&[(asleep, &awake)]), &[Promise::Corrupt], &words);
    }
}

#[test]
fn who_is_not_there_is_not_shown_as_there() {
    // It writes, and never says that it is there.
    let there = "activity here=1\n0 3.1 hello";
    let words = "2.1 was told that 1 is there, who wasn't for long";
    complains(&changed(&[(there, "activity here=0\n0 3.1 hello")]), &[Promise::Corrupt], words);
    let told = "15 2.1 presence user=1 online=0 seen_ms=1014000\n";
    let online = told.replace("online=0", "online=1");
    assert!(changed(&[(told, &online)]).tally.is_clean(), "it may be late");
    let away = [19, 22, 26, 30].map(|second| format!("{second} 1.1 activity here=1\n"));
    let gone = away.each_ref().map(|line| line.replace("here=1", "here=0"));
    let last = "33 1.1 final\n";
    let late = format!("33 2.1 presence user=1 online=1 seen_ms=1030000\n{last}");
    let mut changes: Vec<_> = (0..4).map(|at| (&*away[at], &*gone[at])).collect();
    changes.push((last, &late));
    complains(&changed(&changes), &[Promise::Corrupt], words);
    let future = told.replace("seen_ms=1014000", "seen_ms=1020000");
    let words = "2.1 was told that 1 was last there in the future";
    complains(&changed(&[(told, &future)]), &[Promise::Corrupt], words);
}

#[test]
fn who_hides_is_dark() {
    let dark = "12 2.1 presence user=1 online=0 seen_ms=0\n";
    let words = "2.1 was told that 1 is there, who hides it";
    let there = dark.replace("online=0", "online=1");
    complains(&changed(&[(dark, &there)]), &[Promise::Leaked], words);
    let words = "2.1 was told when 1 was last there, who hides it";
    let seen = dark.replace("seen_ms=0", "seen_ms=1005000");
    complains(&changed(&[(dark, &seen)]), &[Promise::Leaked], words);
    // Where it isn't answered it may be either.
    let unanswered = [
        ("11 1.1 bitem version=1 item=1.00 value=0\n", ""),
        ("14 1.1 bput item=1.00 value=none\n14 1.1 bitem version=3 item=1.00 value=none\n", ""),
        (dark, &*seen),
    ];
    assert_eq!(changed(&unanswered).tally.count(Promise::Leaked), 0);
    let blocks = [
        ("11 1.1 bput item=1.00 value=0\n", "11 1.1 bput item=2.02 value=b1\n"),
        (
            "11 1.1 bitem version=1 item=1.00 value=0\n",
            "11 1.1 bitem version=1 item=2.02 value=b1\n",
        ),
        ("14 1.1 bput item=1.00 value=none\n", "14 1.1 bput item=2.02 value=none\n"),
        (
            "14 1.1 bitem version=3 item=1.00 value=none\n",
            "14 1.1 bitem version=3 item=2.02 value=none\n",
        ),
    ];
    assert!(changed(&blocks).tally.is_clean());
    let mut changes = blocks.to_vec();
    changes.push((dark, &seen));
    complains(&changed(&changes), &[Promise::Leaked], words);
}

#[test]
fn when_somebody_was_last_seen_survives_a_clean_stop() {
    let told = "18 2.1 presence user=1 online=0 seen_ms=1016000\n";
    let words = "after a clean stop 2.1 was told that 1 was last there at";
    for seen in ["seen_ms=0", "seen_ms=1014000"] {
        let older = told.replace("seen_ms=1016000", seen);
        complains(&changed(&[(told, &older)]), &[Promise::Lost], words);
    }
}

#[test]
fn in_the_end_all_is_told() {
    let there = "19 2.1 presence user=1 online=1 seen_ms=1019000\n";
    let words = "in the end 2.1 was told that 1 is away, who is there";
    complains(&changed(&[(there, "")]), &[Promise::Lost], words);
    // Who came a moment ago may be shown later, and who was silent for an interval is away.
    let ends = ["1", "2", "3"].map(|user| format!("33 {user}.1 final\n"));
    let early = ends.each_ref().map(|line| line.replace("33", "30"));
    let changes = [0, 1, 2].map(|at| (&*ends[at], &*early[at]));
    assert!(changed(&[&changes[..], &[(there, "")]].concat()).tally.is_clean());
    assert!(changed(&[(there, ""), ("26 1.1 activity here=1\n", "")]).tally.is_clean());
    let answer = "18 2.1 presence user=3 online=0 seen_ms=0\n";
    let words = "2.1 watches 3 and was told nothing";
    complains(&changed(&[(answer, "")]), &[Promise::Lost], words);
    let news = "18 2.1 news user=1 version=5\n";
    let words = "the profile of 1 is version 0; it is 5";
    complains(&changed(&[(news, "")]), &[Promise::Lost], words);
}

#[test]
fn nobody_is_told_of_whom_it_does_not_watch() {
    let watch = "12 2.1 watch users=1,3\n";
    let verdict = changed(&[(watch, &watch.replace("1,3", "1"))]);
    complains(&verdict, &[Promise::Protocol], "2.1 was told of 3, whom it doesn't watch");
}

#[test]
fn typing_is_told_of_who_said_so_just_then() {
    let typed = "2 2.1 typed group=0 user=1 on=1\n";
    let words = "2.1 was told of typing by 1, who didn't say so";
    for other in ["group=0 user=1 on=0", "group=7 user=1 on=1"] {
        let verdict = changed(&[(typed, &typed.replace("group=0 user=1 on=1", other))]);
        complains(&verdict, &[Promise::Corrupt], words);
    }
    let (late, kept) = ("17 2.1 pong head=0\n", "17 2.1 typed group=0 user=1 on=1\n");
    let stays = [("12 2.1 watch users=1,3\n", "12 2.1 activity here=1\n12 2.1 watch users=1,3\n")];
    let verdict = changed(&[stays[0], (late, &format!("{kept}{late}"))]);
    complains(&verdict, &[Promise::Corrupt], words);
    let here = "1 2.1 activity here=1\n";
    let words = "2.1 was told of typing, whose person wasn't there";
    complains(&changed(&[(here, "")]), &[Promise::Protocol], words);
}

#[test]
fn typing_of_the_blocked_is_not_told() {
    let typed = "2 1.1 types group=0 user=2 on=1\n";
    let block = "2 2.1 bput item=2.01 value=b1\n2 2.1 bitem version=1 item=2.01 value=b1\n";
    let resume = "1 2.1 bresume version=0\n1 2.1 bpage version=0 head=0 reset=0\n";
    let last = "17 2.1 pong head=0\n";
    let page = format!("17 2.1 bresume version=1\n17 2.1 bpage version=1 head=1 reset=0\n{last}");
    let watch = "1 2.1 watch users=1,3\n";
    let before = format!("{resume}{watch}{block}");
    let verdict = changed(&[(watch, &before), (last, &page)]);
    complains(&verdict, &[Promise::Leaked], "2.1 was told of typing by 1, whom it blocks");
    // What was said before the block may be under way.
    let behind = format!("{typed}{resume}{block}");
    assert!(changed(&[(typed, &behind), (last, &page)]).tally.is_clean());
}
