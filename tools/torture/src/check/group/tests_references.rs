//! References in groups that are allowed pass; each other one is complained about.

use super::super::Promise;
use super::super::tests::complains;
use super::tests::changed;

/// Position 3, by member 2; 2 is its own, by 2 too, and 1 the creation.
const SEND: &str = "2.1 gsend group=70 number=21 bytes=50 digest=bb\n";
/// Position 5, by the owner, while 3 is away.
const OWNERS: &str = "1.1 gsend group=70 number=12 bytes=50 digest=cc\n";

fn worded(send: &str, content: &str) -> super::super::Verdict {
    changed(&[(send, &send.replace('\n', &format!(" content={content}\n")))])
}

#[test]
fn what_may_be_made_of_a_message_passes() {
    for content in ["edit:2", "delete:2", "react:2", "mention"] {
        let verdict = worded(SEND, content);
        assert!(verdict.tally.is_clean(), "{content}: {:#?}", verdict.tally);
    }
    for content in ["delete:2", "react:3"] {
        let verdict = worded(OWNERS, content);
        assert!(verdict.tally.is_clean(), "{content}: {:#?}", verdict.tally);
        assert_eq!(verdict.volume.references, 1);
    }
}

#[test]
fn what_must_be_refused_must_not_be_ticked() {
    for (send, content, words) in [
        (SEND, "edit:3", "position 3, by 2, refers to position 3 (Edit), which there wasn't"),
        (SEND, "react:1", "refers to position 1 (React), which is a change"),
        (SEND, "malformed", "group 70: position 3, by 2, is malformed"),
        (OWNERS, "edit:3", "position 5, by 1, refers to position 3 (Edit), which is another"),
    ] {
        complains(&worded(send, content), &[Promise::Protocol], words);
    }
}

#[test]
fn a_member_deletes_only_its_own() {
    // 2 writes once more, behind everything, about what the owner wrote at 5.
    let drained = "2.1 gask group=70 position=3\n";
    let with = |content: &str, promoted: bool| {
        let promote = "1.1 gchange group=70 number=14 change=promote:2 digest=c4\n\
                       1.1 gtick group=70 number=14 position=7\n\
                       2.1 gshown group=70 position=7 author=1 own=0 body=promote:2 digest=c4\n\
                       3.1 gshown group=70 position=7 author=1 own=0 body=promote:2 digest=c4\n";
        let at = if promoted { 8 } else { 7 };
        let late = format!(
            "2.1 gsend group=70 number=22 bytes=50 digest=ee content={content}\n\
             2.1 gtick group=70 number=22 position={at}\n\
             1.1 gshown group=70 position={at} author=2 own=0 body=none digest=ee\n\
             3.1 gshown group=70 position={at} author=2 own=0 body=none digest=ee\n"
        );
        let promote = if promoted { promote } else { "" };
        let skip = if promoted { "1.1 gskip group=70 position=7\n" } else { "" };
        changed(&[
            (drained, &format!("{promote}{skip}{late}{drained}")),
            ("2.1 gstate group=70 head=6\n", ""),
        ])
    };
    let verdict = with("delete:5", true);
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    let words = "position 7, by 2, refers to position 5 (Delete), which is another member's";
    complains(&with("delete:5", false), &[Promise::Protocol], words);
}

#[test]
fn nobody_refers_to_what_it_may_not_read() {
    // 3 was away when 5 was written, and reacts to it when it is back.
    let read = "3.1 gread group=70 position=6\n";
    let late = "3.1 gsend group=70 number=31 bytes=50 digest=ee content=react:5\n\
                3.1 gtick group=70 number=31 position=7\n\
                1.1 gshown group=70 position=7 author=3 own=0 body=3.1.70.31 digest=ee\n\
                2.1 gshown group=70 position=7 author=3 own=0 body=3.1.70.31 digest=ee\n";
    let skip = "1.1 gskip group=70 position=6\n";
    let verdict = changed(&[
        (skip, ""),
        (read, &format!("{skip}{late}{read}")),
        ("2.1 gstate group=70 head=6\n", ""),
    ]);
    complains(&verdict, &[Promise::Protocol], "which its author may not read");
}

#[test]
fn only_what_must_be_is_refused() {
    let ask = "2.1 gask group=70 position=3\n";
    let refused = |content: &str, code: u16| {
        let send = format!("2.1 gsend group=70 number=22 bytes=50 digest=ee content={content}\n");
        let answer = format!("2.1 grejected group=70 number=22 code={code}\n");
        changed(&[(ask, &format!("{send}{answer}{ask}"))])
    };
    for (content, code) in
        [("edit:9", 309), ("react:4", 309), ("edit:5", 310), ("delete:5", 310), ("malformed", 308)]
    {
        let verdict = refused(content, code);
        assert!(verdict.tally.is_clean(), "{content} {code}: {:#?}", verdict.tally);
    }
    for (content, code) in [
        ("edit:3", 309),
        ("react:5", 309),
        ("edit:3", 310),
        ("react:5", 310),
        ("mention", 308),
        ("edit:3", 311),
    ] {
        let words = format!("2.1→70 #22 was rejected with code {code}");
        complains(&refused(content, code), &[Promise::Protocol], &words);
    }
}
