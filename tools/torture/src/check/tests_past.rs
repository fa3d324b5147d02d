//! A page that tells what was told before passes; what is missing, other, or out of order is complained about.

use super::Promise;
use super::tests::{changed, complains};

/// User 4's inbox of the honest run.
const PAGE: [&str; 4] = [
    "4.1 pask group=0 from=1 through=2\n",
    "4.1 past group=0 position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n",
    "4.1 past group=0 position=1 peer=3 own=0 ordinal=1 body=3.1.4.10 digest=aa\n",
    "4.1 pend group=0 from=1 through=2 more=0\n",
];

fn told(page: &[&str]) -> super::Verdict {
    changed(&[("3.1 final\n", &format!("{}3.1 final\n", page.concat()))])
}

#[test]
fn a_whole_page_passes_and_so_does_one_that_covers_less() {
    assert!(told(&PAGE).tally.is_clean());
    let less = [PAGE[0], PAGE[1], "4.1 pend group=0 from=2 through=2 more=1\n"];
    assert!(told(&less).tally.is_clean());
    assert!(told(&[PAGE[0], "4.1 pend group=0 from=3 through=2 more=1\n"]).tally.is_clean());
}

#[test]
fn what_is_kept_must_be_in_it() {
    let words = "4.1: page of 0: position 1 isn't in it";
    complains(&told(&[PAGE[0], PAGE[1], PAGE[3]]), &[Promise::Lost], words);
    // It covers less, or nothing, and says that there is no more.
    let end = "4.1 pend group=0 from=2 through=2 more=0\n";
    complains(&told(&[PAGE[0], PAGE[1], end]), &[Promise::Lost], words);
    for end in ["from=3 through=2 more=0", "from=1 through=0 more=1"] {
        let end = format!("4.1 pend group=0 {end}\n");
        complains(&told(&[PAGE[0], &end]), &[Promise::Lost], words);
    }
}

#[test]
fn a_page_is_in_order_and_within_what_it_covers() {
    let words = "position 2 came after 1";
    complains(&told(&[PAGE[0], PAGE[2], PAGE[1], PAGE[3]]), &[Promise::Reordered], words);
    let end = "4.1 pend group=0 from=2 through=2 more=0\n";
    let words = "position 1 came after 2, in 2 to 2";
    complains(&told(&[PAGE[0], PAGE[1], PAGE[2], end]), &[Promise::Reordered], words);
}

#[test]
fn it_tells_what_was_shown() {
    let other = PAGE[1].replace("digest=bb", "digest=b0");
    let words = "position 2 isn't what was sent and shown";
    complains(&told(&[PAGE[0], &other, PAGE[2], PAGE[3]]), &[Promise::Corrupt], words);
    let unasked = [PAGE[1], PAGE[0], PAGE[1], PAGE[2], PAGE[3]];
    complains(&told(&unasked), &[Promise::Protocol], "4.1: a past of 0 came unasked");
}
