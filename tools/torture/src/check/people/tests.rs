//! Profiles and usernames: an honest run passes; a run with each kind of violation is complained
//! about.

use super::super::tests::{complains, replaced, verdict};
use super::super::{Promise, Verdict};

/// User 1 has a profile and takes the name f1, after user 2 let it go, and is refused f2, which
/// user 2 has then. User 1 blocks user 2 for a while. A kill takes the answer to what 1.1 puts
/// last.
const HONEST: &str = "\
1.1 begin user=1 device=1
2.1 begin user=2 device=1
1.1 hello cursor=0
1.1 welcome session=1 head=0
2.1 hello cursor=0
2.1 welcome session=2 head=0
1.1 send peer=1 number=9 bytes=50 digest=99
1.1 tick peer=1 number=9 ordinal=1
1.1 shown position=1 peer=1 own=0 ordinal=1 body=1.1.1.9 digest=99
1.1 bresume version=0
1.1 bpage version=0 head=0 reset=0
2.1 bresume version=0
2.1 bpage version=0 head=0 reset=0
2.1 look user=1 known=0
2.1 profile user=1 known=0 version=0 name=none status=none avatar=none
1.1 bput item=0.00 value=a1
1.1 bitem version=1 item=0.00 value=a1
2.1 look user=1 known=0
2.1 profile user=1 known=0 version=1 name=a1 status=none avatar=none
2.1 bput item=6. value=f1
2.1 bitem version=1 item=6. value=f1
1.1 find name=f1
1.1 found name=f1 user=2 code=0
2.1 bput item=6. value=f2
2.1 bitem version=2 item=6. value=f2
1.1 bput item=6. value=f1
1.1 bitem version=2 item=6. value=f1
1.1 bput item=6. value=f2
1.1 brejected item=6. code=315
1.1 bput item=0.02 value=a2
1.1 bitem version=3 item=0.02 value=a2
1.1 bput item=0.00 value=a3
1.1 bitem version=4 item=0.00 value=a3
2.1 look user=1 known=1
2.1 profile user=1 known=1 version=4 name=a3 status=none avatar=a2
2.1 look user=1 known=4
2.1 profile user=1 known=4 version=4 name=none status=none avatar=none
2.1 find name=f1
2.1 found name=f1 user=1 code=0
1.1 bput item=2.02 value=b1
1.1 bitem version=5 item=2.02 value=b1
2.1 look user=1 known=4
2.1 find name=f1
2.1 profile user=1 known=4 version=0 name=none status=none avatar=none
2.1 found name=f1 user=0 code=0
1.1 bput item=2.02 value=none
1.1 bitem version=6 item=2.02 value=none
1.1 bput item=0.01 value=a4
1.1 closed why=lost
1.1 hello cursor=1
1.1 welcome session=3 head=1
1.1 bresume version=6
1.1 bpage version=6 head=6 reset=0
1.1 bputagain item=0.01
1.1 bitem version=7 item=0.01 value=a4
1.1 pong head=1
2.1 pong head=0
1.1 drained
2.1 drained
2.1 hello cursor=0
2.1 welcome session=4 head=0
2.1 look user=1 known=0
2.1 find name=f1
2.1 profile user=1 known=0 version=7 name=a3 status=a4 avatar=a2
2.1 find name=f3
2.1 found name=f3 user=0 code=0
2.1 found name=f1 user=1 code=0
1.1 final
2.1 final
";

fn changed(changes: &[(&str, &str)]) -> Verdict {
    verdict(&replaced(HONEST, changes))
}

#[test]
fn an_honest_run_passes() {
    let verdict = changed(&[]);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let people = verdict.volume.people;
    assert_eq!((people.profiles_told, people.names_found), (6, 3));
}

#[test]
fn a_profile_is_what_its_user_put() {
    let told = "version=4 name=a3 status=none avatar=a2";
    let with = |other: &str| changed(&[(told, other)]);
    let words = "2.1: 0.01 of 1 is a9, which wasn't put";
    complains(&with("version=4 name=a3 status=a9 avatar=a2"), &[Promise::Corrupt], words);
    let words = "2.1 was told 0.00 of 1 is a1; a3 was confirmed before";
    complains(&with("version=4 name=a1 status=none avatar=a2"), &[Promise::Lost], words);
    let words = "2.1 was told 0.02 of 1 is nothing; a2 was confirmed before";
    complains(&with("version=4 name=a3 status=none avatar=none"), &[Promise::Lost], words);
    let known = "known=4 version=4 name=none";
    let words = "2.1: version 4 of 1's profile came with the rest";
    let verdict = changed(&[(known, "known=4 version=4 name=a3")]);
    complains(&verdict, &[Promise::Protocol], words);
}

#[test]
fn a_confirmed_profile_must_not_be_lost() {
    let last = "2.1 profile user=1 known=0 version=7 name=a3 status=a4 avatar=a2\n";
    let without = last.replace("status=a4", "status=none");
    let words = "2.1 was told 0.01 of 1 is nothing; a4 was confirmed before";
    complains(&changed(&[(last, &without)]), &[Promise::Lost], words);
    let none = "2.1 profile user=1 known=0 version=0 name=none status=none avatar=none\n";
    let words = "2.1 was told that 1 has no profile";
    complains(&changed(&[(last, none)]), &[Promise::Lost], words);
}

#[test]
fn what_may_be_either_is_taken() {
    // The answer to a2 and a3 wasn't there when the question went out.
    let look = "2.1 look user=1 known=1\n";
    let early = "1.1 bput item=0.02 value=a2\n";
    let told = "known=1 version=4 name=a3 status=none avatar=a2";
    let older = "known=1 version=2 name=a1 status=none avatar=none";
    let known = "2.1 look user=1 known=4\n2.1 profile user=1 known=4 version=4 name=none";
    let new = "2.1 look user=1 known=2\n2.1 profile user=1 known=2 version=4 name=a3";
    let rest = "known=2 version=4 name=a3 status=none avatar=none";
    let all = "known=2 version=4 name=a3 status=none avatar=a2";
    let changes = [(look, ""), (early, &format!("{look}{early}")), (told, older), (known, new)];
    let verdict =
        changed(&[changes[0], (early, changes[1].1), changes[2], changes[3], (rest, all)]);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
}

#[test]
fn versions_rise_and_are_one_profile() {
    let last = "version=7 name=a3 status=a4 avatar=a2";
    let again = "version=4 name=a3 status=a4 avatar=a2";
    let found = changed(&[(last, again)]);
    assert!(found.tally.count(Promise::Duplicated) == 1, "{:#?}", found.tally);
    let words = "version 4 was told before 0.01 of version 4 was put";
    let said: Vec<_> = found.tally.examples(Promise::Reordered).collect();
    assert!(said.iter().any(|it| it.contains(words)), "{said:?}");
    let found = changed(&[(last, "version=3 name=a3 status=a4 avatar=a2")]);
    let words = "2.1: the profile of 1 is version 3 after 4";
    let said: Vec<_> = found.tally.examples(Promise::Reordered).collect();
    assert!(said.iter().any(|it| it.contains(words)), "{said:?}");
}

#[test]
fn the_blocked_is_told_nothing() {
    let dark = "2.1 profile user=1 known=4 version=0 name=none status=none avatar=none\n";
    let told = dark.replace("version=0", "version=4");
    let words = "2.1 was told the profile of 1, who blocked it";
    complains(&changed(&[(dark, &told)]), &[Promise::Leaked], words);
    let unfound = "2.1 found name=f1 user=0 code=0\n";
    let found = unfound.replace("user=0", "user=1");
    let words = "2.1 was told that f1 is 1, who isn't found by it";
    complains(&changed(&[(unfound, &found)]), &[Promise::Leaked], words);
    // On a connection that began since.
    let news = "2.1 closed why=lost\n2.1 hello cursor=0\n2.1 welcome session=3 head=0\n\
                2.1 watch users=1\n2.1 presence user=1 online=0 seen_ms=0\n\
                2.1 news user=1 version=4\n";
    let verdict = changed(&[(unfound, &format!("{unfound}{news}"))]);
    complains(&verdict, &[Promise::Leaked], "2.1 was told news of 1, who blocked it");
}

#[test]
fn a_name_is_one_users() {
    let refused = "1.1 brejected item=6. code=315\n";
    let set = "1.1 bitem version=3 item=6. value=f2\n";
    let found = changed(&[
        (refused, set),
        ("2.1 found name=f1 user=1 code=0\n1.1 bput", "2.1 found name=f1 user=0 code=0\n1.1 bput"),
        (
            "2.1 found name=f1 user=1 code=0\n1.1 final",
            "2.1 found name=f1 user=0 code=0\n1.1 final",
        ),
    ]);
    let said: Vec<_> = found.tally.examples(Promise::Duplicated).collect();
    assert!(said.iter().any(|it| it.contains("2 has the name f2, and 1 too")), "{said:?}");
    let found = "1.1 found name=f1 user=2 code=0\n";
    let verdict = changed(&[(found, "1.1 found name=f1 user=1 code=0\n")]);
    let words = "1.1 was told that f1 is 1, who doesn't have it";
    complains(&verdict, &[Promise::Duplicated], words);
}

#[test]
fn who_has_a_name_is_found() {
    let found = "2.1 found name=f1 user=1 code=0\n1.1 final";
    let verdict = changed(&[(found, "2.1 found name=f1 user=0 code=0\n1.1 final")]);
    complains(&verdict, &[Promise::Lost], "2.1 asked who is f1: nobody; it is 1");
    // But for one who isn't found by it, or may not be.
    let last = "1.1 closed why=lost\n";
    for answer in ["", "1.1 bitem version=8 item=1.03 value=0\n"] {
        let secret = format!("1.1 bput item=1.03 value=0\n{answer}{last}");
        let verdict =
            changed(&[(found, "2.1 found name=f1 user=0 code=0\n1.1 final"), (last, &secret)]);
        assert_eq!(verdict.tally.count(Promise::Lost), 0, "{:#?}", verdict.tally);
    }
    let secret =
        format!("1.1 bput item=1.03 value=0\n1.1 bitem version=7 item=1.03 value=0\n{last}");
    let verdict = changed(&[(last, &secret)]);
    let said: Vec<_> = verdict.tally.examples(Promise::Leaked).collect();
    assert!(said[0].contains("2.1 was told that f1 is 1, who isn't found by it"), "{said:?}");
}

#[test]
fn a_name_is_refused_only_where_another_may_have_it() {
    let taken = "1.1 bput item=6. value=f2\n";
    let verdict = changed(&[(taken, "1.1 bput item=6. value=f3\n")]);
    complains(&verdict, &[Promise::Protocol], "1.1 was refused the name f3, which nobody had");
    // Somebody wants it meanwhile.
    let wanted = format!("2.1 bput item=6. value=f3\n{}", taken.replace("f2", "f3"));
    assert!(changed(&[(taken, &wanted)]).tally.is_clean());
    let refused = "1.1 brejected item=6. code=315\n";
    let verdict = changed(&[(refused, &refused.replace("315", "316"))]);
    complains(&verdict, &[Promise::Protocol], "too many names were asked for, and it were 3");
}
