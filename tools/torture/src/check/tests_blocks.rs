//! What the blocked sends is ticked and not shown; what is shown, told or missing otherwise is complained
//! about.

use super::tests::{complains, verdict};
use super::{Promise, Verdict};

/// User 4 blocks user 3 (ordinal 2 is lost to it), and then no more.
const HONEST: &str = "\
3.1 begin user=3 device=1
4.1 begin user=4 device=1
3.1 hello cursor=0
3.1 welcome session=1 head=0
4.1 hello cursor=0
4.1 welcome session=2 head=0
4.1 bresume version=0
4.1 bpage version=0 head=0 reset=0
3.1 send peer=4 number=10 bytes=50 digest=aa
3.1 tick peer=4 number=10 ordinal=1
4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa
4.1 bput item=2.03 value=b1
4.1 bitem version=1 item=2.03 value=b1
4.1 ack position=1
3.1 send peer=4 number=11 bytes=50 digest=bb
3.1 tick peer=4 number=11 ordinal=2
3.1 receipt peer=4 delivered=0 read=0 own=0
4.1 bput item=2.03 value=none
3.1 send peer=4 number=12 bytes=50 digest=cc
3.1 tick peer=4 number=12 ordinal=3
4.1 bitem version=2 item=2.03 value=none
3.1 send peer=4 number=13 bytes=50 digest=dd
3.1 tick peer=4 number=13 ordinal=4
4.1 shown position=2 peer=3 own=0 ordinal=4 body=3.1.4.13 digest=dd
4.1 ack position=2
3.1 pong head=0
4.1 pong head=2
3.1 drained
4.1 drained
3.1 final
4.1 final
";

fn changed(from: &str, to: &str) -> Verdict {
    assert_eq!(HONEST.matches(from).count(), 1, "{from:?}");
    verdict(&HONEST.replace(from, to))
}

#[test]
fn an_honest_run_passes() {
    let verdict = verdict(HONEST);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
}

#[test]
fn what_the_blocked_sent_must_not_be_shown() {
    let last = "4.1 shown position=2 peer=3 own=0 ordinal=4 body=3.1.4.13 digest=dd\n\
                4.1 ack position=2\n3.1 pong head=0\n4.1 pong head=2\n";
    let with = |ordinal: u64, number: u64, digest: &str| {
        let more = format!(
            "4.1 shown position=2 peer=3 own=0 ordinal={ordinal} body=3.1.4.{number} digest={digest}\n\
             4.1 shown position=3 peer=3 own=0 ordinal=4 body=3.1.4.13 digest=dd\n\
             4.1 ack position=3\n3.1 pong head=0\n4.1 pong head=3\n"
        );
        changed(last, &more)
    };
    let words = "4.1: position 2: 3.1→4 #11 is from one who was blocked";
    complains(&with(2, 11, "bb"), &[Promise::Leaked], words);
    // Between the wish and the answer it may be either way.
    assert!(with(3, 12, "cc").tally.is_clean());
}

#[test]
fn what_was_sent_before_and_behind_a_block_must_be_shown() {
    let shown = "4.1 shown position=2 peer=3 own=0 ordinal=4 body=3.1.4.13 digest=dd\n";
    let verdict = changed(shown, "4.1 skip position=2\n");
    complains(&verdict, &[Promise::Lost], "3.1→4 #13, ticked as ordinal 4");
    let shown = "4.1 shown position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n";
    let verdict = changed(shown, "4.1 skip position=1\n");
    complains(&verdict, &[Promise::Lost], "3.1→4 #10, ticked as ordinal 1");
}

#[test]
fn the_blocked_is_told_nothing_more() {
    let told = "3.1 receipt peer=4 delivered=0 read=0 own=0\n";
    let more = told.replace("delivered=0", "delivered=1");
    complains(&changed(told, &more), &[Promise::Leaked], "of one who blocked it when it was 0");
    // Unblocked, it is.
    let last = "3.1 drained\n";
    assert!(changed(last, &format!("{more}{last}")).tally.is_clean());
}
