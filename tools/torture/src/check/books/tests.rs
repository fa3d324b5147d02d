//! An honest run with a book passes; a run with each kind of violation is complained about.

use super::super::tests::{complains, replaced, verdict};
use super::super::{Promise, Verdict};

/// User 1 with two devices. A kill takes the answer to what 1.1 put second; 1.2 removes the first item and
/// sets it anew.
const HONEST: &str = "\
1.1 begin user=1 device=1
1.2 begin user=1 device=2
1.1 hello cursor=0
1.1 welcome session=1 head=0
1.2 hello cursor=0
1.2 welcome session=2 head=0
1.1 send peer=1 number=9 bytes=50 digest=99
1.1 tick peer=1 number=9 ordinal=1
1.1 shown position=1 peer=1 own=0 ordinal=1 body=1.1.1.9 digest=99
1.2 shown position=1 peer=1 own=0 ordinal=1 body=1.1.1.9 digest=99
1.1 bresume version=0
1.1 bpage version=0 head=0 reset=0
1.1 bput item=3.02 value=a1
1.1 bitem version=1 item=3.02 value=a1
1.1 bput item=200. value=a2
1.1 closed why=lost
1.2 bresume version=0
1.2 bitem version=1 item=3.02 value=a1
1.2 bitem version=2 item=200. value=a2
1.2 bpage version=2 head=2 reset=0
1.1 hello cursor=0
1.1 welcome session=3 head=1
1.1 bresume version=1
1.1 bputagain item=200.
1.1 bitem version=2 item=200. value=a2
1.1 bpage version=2 head=2 reset=0
1.2 bput item=3.02 value=none
1.2 bitem version=3 item=3.02 value=none
1.1 bitem version=3 item=3.02 value=none
1.2 bput item=3.02 value=b1
1.2 bitem version=4 item=3.02 value=b1
1.1 bitem version=4 item=3.02 value=b1
1.1 bput item=99.01 value=a3
1.1 brejected item=99.01 code=313
1.1 bput item=4.0002 value=none
1.1 bitem version=4 item=4.0002 value=none
1.1 pong head=1
1.2 pong head=1
1.1 drained
1.2 drained
1.1 bforget
1.1 bresume version=0
1.1 bitem version=2 item=200. value=a2
1.1 bitem version=3 item=3.07 value=none
1.1 bitem version=4 item=3.02 value=b1
1.1 bpage version=4 head=4 reset=0
1.1 final
1.2 final
";

fn changed(changes: &[(&str, &str)]) -> Verdict {
    verdict(&replaced(HONEST, changes))
}

#[test]
fn an_honest_run_passes() {
    let verdict = changed(&[]);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    assert_eq!((verdict.volume.books.book_puts, verdict.volume.books.book_items), (6, 12));
}

#[test]
fn a_confirmed_item_must_not_be_lost() {
    let told = "1.1 bitem version=4 item=3.02 value=b1\n1.1 bput";
    let words = "when all was quiet, 1.1 had 3.02 of its book as nothing (version 3); it is b1";
    complains(&changed(&[(told, "1.1 bput")]), &[Promise::Lost], words);
    let told = "1.1 bitem version=2 item=200. value=a2\n1.1 bitem version=3 item=3.07";
    let words = "after a clean stop, 1.1 had 200. of its book as nothing (version 0); it is a2";
    complains(&changed(&[(told, "1.1 bitem version=3 item=3.07")]), &[Promise::Lost], words);
}

#[test]
fn so_must_a_removal() {
    let again = "1.2 bput item=3.02 value=b1\n\
                 1.2 bitem version=4 item=3.02 value=b1\n\
                 1.1 bitem version=4 item=3.02 value=b1\n";
    let told = "1.1 bitem version=3 item=3.02 value=none\n";
    let last = "1.1 bitem version=4 item=3.02 value=b1\n1.1 bpage";
    let with = |told_again| changed(&[(again, ""), (last, "1.1 bpage"), (told, told_again)]);
    assert!(with(told).tally.is_clean());
    let words = "when all was quiet, 1.1 had 3.02 of its book as a1 (version 1); it is nothing";
    complains(&with(""), &[Promise::Lost], words);
}

#[test]
fn a_version_is_of_one_item() {
    let item = "1.1 bitem version=2 item=200. value=a2\n1.1 bpage";
    let other = "1.1 bitem version=1 item=200. value=a2\n1.1 bpage";
    let found = changed(&[(item, other)]);
    let said: Vec<_> = found.tally.examples(Promise::Duplicated).collect();
    assert!(said[0].contains("book of 1: version 1 sets 3.02 to a1, and 200. to a2"), "{said:?}");
}

#[test]
fn what_is_put_later_has_a_later_version() {
    let found = changed(&[(
        "1.2 bitem version=4 item=3.02 value=b1\n",
        "1.2 bitem version=3 item=3.02 value=b1\n",
    )]);
    let said: Vec<_> = found.tally.examples(Promise::Reordered).collect();
    let words = "3.02 was version 3 before what 1.2 put then, which is 3";
    assert!(said.iter().any(|it| it.contains(words)), "{:#?}", found.tally);
}

#[test]
fn only_what_was_put_and_not_refused_may_come() {
    let item = "1.2 bitem version=2 item=200. value=a2\n";
    let found = changed(&[(item, &item.replace("a2", "a9"))]);
    assert!(found.tally.count(Promise::Corrupt) == 1, "{:#?}", found.tally);
    let put = "1.1 bput item=4.0002 value=none\n1.1 bitem version=4 item=4.0002 value=none\n";
    let refused = "1.1 bput item=4.0002 value=a7\n1.1 brejected item=4.0002 code=400\n\
                   1.1 bitem version=5 item=4.0002 value=a7\n\
                   1.2 bitem version=5 item=4.0002 value=a7\n";
    let last = "1.1 bpage version=4 head=4 reset=0\n";
    let all = format!("1.1 bitem version=5 item=4.0002 value=a7\n{}", last.replace('4', "5"));
    let found = changed(&[(put, refused), (last, &all)]);
    complains(&found, &[Promise::Duplicated], "4.0002 is what 1.1 put and was refused (400)");
    let reserved = "1.1 brejected item=99.01 code=313\n";
    let taken = "1.1 bitem version=5 item=99.01 value=a3\n";
    let found = changed(&[(reserved, taken)]);
    assert!(found.tally.count(Promise::Protocol) > 0, "{:#?}", found.tally);
}

#[test]
fn nothing_is_refused_or_begun_anew_without_a_reason() {
    let reserved = "1.1 brejected item=99.01 code=313\n";
    let other = "1.1 bput item=4.0002 value=none\n1.1 bitem version=4 item=4.0002 value=none\n";
    for code in [312, 313, 500] {
        let refused = format!("{reserved}1.1 bput item=3.05 value=a8\n");
        let refused = format!("{refused}1.1 brejected item=3.05 code={code}\n");
        let words = format!("1.1: 3.05 was refused with code {code}");
        complains(&changed(&[(reserved, &refused)]), &[Promise::Protocol], &words);
    }
    let page = "1.2 bpage version=2 head=2 reset=0\n";
    let anew = "1.2 bpage version=0 head=2 reset=1\n\
                1.2 bitem version=2 item=200. value=a2\n1.2 bpage version=2 head=2 reset=0\n";
    let verdict = changed(&[(page, anew), (other, "")]);
    complains(&verdict, &[Promise::Protocol], "1.2: the book was begun anew for nothing");
    let page = "1.1 bpage version=4 head=4 reset=0\n";
    let verdict = changed(&[(page, "1.1 bpage version=3 head=3 reset=0\n")]);
    complains(&verdict, &[Promise::Protocol], "1.1: the head of the book is 3 after 4");
}

#[test]
fn a_line_that_is_not_in_the_format_is_an_error() {
    for text in [
        "1 1 bput item=3 value=a1",
        "1 1 bput item=3.0 value=a1",
        "1 1 bput item=3.02 value=",
        "1 1 bitem item=3.02 value=a1",
        "1 1 bwish item=3.02 value=a1",
    ] {
        assert!(super::super::line::Line::parse(text).is_err(), "{text:?} was taken");
    }
}
