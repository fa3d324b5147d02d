//! A page of a group tells what its log holds, for this member.

use super::super::Promise;
use super::super::tests::complains;
use super::tests::changed;

/// The owner's page of the honest run.
const PAGE: [&str; 8] = [
    "1.1 pask group=70 from=1 through=6\n",
    "1.1 past group=70 position=6 peer=1 own=1 ordinal=0 body=none digest=c3\n",
    "1.1 past group=70 position=5 peer=1 own=1 ordinal=0 body=1.1.70.12 digest=cc\n",
    "1.1 past group=70 position=4 peer=1 own=1 ordinal=0 body=none digest=c2\n",
    "1.1 past group=70 position=3 peer=2 own=0 ordinal=0 body=2.1.70.21 digest=bb\n",
    "1.1 past group=70 position=2 peer=2 own=0 ordinal=0 body=2.1.70.20 digest=aa\n",
    "1.1 past group=70 position=1 peer=1 own=1 ordinal=0 body=none digest=c1\n",
    "1.1 pend group=70 from=1 through=6 more=0\n",
];

fn told(page: &str) -> super::super::Verdict {
    changed(&[("1.1 final\n", &format!("{page}1.1 final\n"))])
}

#[test]
fn a_whole_page_passes() {
    let verdict = told(&PAGE.concat());
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
}

#[test]
fn what_is_missing_or_other_is_complained_about() {
    for at in 1..7 {
        let page: String = (0..8).filter(|&nth| nth != at).map(|nth| PAGE[nth]).collect();
        let words = format!("1.1: page of 70: position {} isn't in it", 7 - at);
        complains(&told(&page), &[Promise::Lost], &words);
    }
    let page = PAGE.concat().replace("digest=bb", "digest=b0");
    let words = "position 3 isn't what the group's log has there";
    complains(&told(&page), &[Promise::Corrupt], words);
}

#[test]
fn nobody_is_told_what_was_outside_of_its_time() {
    // 3 was away when 5 was sent; what was before its last time may be missing.
    let page = |entry: &str| {
        format!(
            "3.1 pask group=70 from=5 through=6\n\
             3.1 past group=70 position=6 peer=1 own=0 ordinal=0 body=none digest=c3\n{entry}\
             3.1 pend group=70 from=1 through=6 more=0\n"
        )
    };
    assert!(told(&page("")).tally.is_clean());
    let other = "3.1 past group=70 position=5 peer=1 own=0 ordinal=0 body=1.1.70.12 digest=cc\n";
    complains(&told(&page(other)), &[Promise::Leaked], "3.1: page of 70: position 5");
}
