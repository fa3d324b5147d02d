//! References between two users that are allowed pass; each other one is complained about.

use super::Promise;
use super::tests::{changed, complains};

const SEND: &str = "3.1 send peer=4 number=11 bytes=50 digest=bb\n";

/// The honest run, in which #11 (ordinal 2) is this.
fn with(content: &str) -> super::Verdict {
    changed(&[(SEND, &SEND.replace('\n', &format!(" content={content}\n")))])
}

#[test]
fn what_refers_to_an_earlier_message_passes() {
    for content in ["edit:1", "delete:1", "react:1", "mention", "timer:60"] {
        let verdict = with(content);
        assert!(verdict.tally.is_clean(), "{content}: {:#?}", verdict.tally);
        let refers = u64::from(content.ends_with(":1"));
        assert_eq!(verdict.volume.references, refers, "{content}");
    }
}

#[test]
fn a_bare_body_is_whose_tick_has_its_ordinal() {
    let of = |place: &str, digest: &str| {
        let bare = |line: &str| line.replace("3.1.4.11", "none").replace("bb", digest);
        let shown = [
            "4.1 shown position=2 peer=3 own=0 ordinal=2 body=3.1.4.11 digest=bb\n",
            "3.2 shown position=2 peer=4 own=1 ordinal=2 body=3.1.4.11 digest=bb\n",
        ];
        let sent = SEND.replace('\n', " content=delete:1\n");
        let second = bare(shown[1]).replace("ordinal=2", place);
        changed(&[(SEND, &sent), (shown[0], &bare(shown[0])), (shown[1], &second)])
    };
    let verdict = of("ordinal=2", "bb");
    assert!(verdict.tally.is_clean(), "{:#?}", verdict.tally);
    complains(&of("ordinal=2", "b0"), &[Promise::Corrupt], "3.1→4 #11 is not what was sent");
    let verdict = of("ordinal=1", "bb");
    assert!(verdict.tally.count(Promise::Duplicated) > 0, "{:#?}", verdict.tally);
}

#[test]
fn what_must_be_refused_must_not_be_ticked() {
    for (content, words) in [
        ("edit:2", "refers to ordinal 2 (Edit), which there wasn't"),
        ("delete:9", "refers to ordinal 9 (Delete), which there wasn't"),
        // 4 wrote nothing yet.
        ("react_to_peer:1", "refers to ordinal 1 (ReactToPeer), which there wasn't"),
        ("malformed", "3.1→4 #11, ticked as ordinal 2, is malformed"),
    ] {
        complains(&with(content), &[Promise::Protocol], words);
    }
}

#[test]
fn only_what_must_be_is_refused() {
    // 4 answers once more, behind everything.
    let after = "4.1 receipt peer=3 delivered=1 read=0 own=0\n3.1 ack";
    let refused = |content: &str, code: u16| {
        let send = format!("4.1 send peer=3 number=21 bytes=50 digest=dd content={content}\n");
        let answer = format!("4.1 rejected peer=3 number=21 code={code}\n");
        changed(&[(after, &format!("{send}{answer}{after}"))])
    };
    for (content, code) in
        [("edit:2", 309), ("react_to_peer:3", 309), ("malformed", 308), ("edit:2", 301)]
    {
        let verdict = refused(content, code);
        assert!(verdict.tally.is_clean(), "{content}: {:#?}", verdict.tally);
        assert_eq!(verdict.volume.references_refused, u64::from(code != 301));
    }
    for (content, code) in [
        ("edit:1", 309),
        ("react_to_peer:2", 309),
        ("react:1", 309),
        ("mention", 308),
        ("delete:1", 310),
        ("delete:1", 311),
        ("malformed", 309),
    ] {
        let words = format!("4.1→3 #21 was rejected with code {code}");
        complains(&refused(content, code), &[Promise::Protocol], &words);
    }
}
