//! Contents with a head: the vectors in both directions, random ones, and bytes of strangers.

use fulmar_protocol::content::{Content, EDIT, TEXT, TIMER, Target};
use fulmar_protocol::limits::{DISAPPEAR_SECONDS_MAX, REACTION_BYTES_MAX, USERS_MAX};
use fulmar_protocol::{DecodeError, Numbers};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::golden::{self, hex, name};

/// The fields of a content, as a vector states them.
fn describe(content: &Content<'_>) -> Value {
    match *content {
        Content::Plain { body, .. } => json!({ "body": hex(body) }),
        Content::Edit { target, body } => {
            json!({ "target": golden::exact(target), "body": hex(body) })
        }
        Content::Delete { target } => json!({ "target": golden::exact(target) }),
        Content::Reaction { target: Target { of_peer, place }, body } => {
            json!({ "of_peer": of_peer, "target": golden::exact(place), "body": hex(body) })
        }
        Content::Mention { users, content, body } => json!({
            "users": users.iter().collect::<Vec<_>>(), "inner": content, "body": hex(body),
        }),
        Content::Disappearing { seconds, content, body } => {
            json!({ "seconds": seconds, "inner": content, "body": hex(body) })
        }
        Content::Timer { seconds } => json!({ "seconds": seconds }),
    }
}

fn encoded(content: &Content<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    content.encode(&mut out);
    out
}

#[test]
fn contents_parse_to_their_fields_and_encode_to_their_bytes() {
    let mut seen = std::collections::HashSet::new();
    for vector in golden::load("contents.json") {
        let body = golden::bytes(&vector["hex"]);
        let number = u8::try_from(golden::number(&vector["content"])).expect("a content");
        let in_group = vector["in_group"].as_bool().expect("in_group");
        match Content::parse(number, &body, in_group) {
            Ok(content) => {
                assert_eq!(vector.get("error"), None, "{}: {content:?}", name(&vector));
                assert_eq!(describe(&content), vector["fields"], "{}", name(&vector));
                assert_eq!(hex(&encoded(&content)), hex(&body), "{}", name(&vector));
                assert_eq!(content.number(), number);
                seen.insert(number);
            }
            Err(error) => {
                assert_eq!(error.name(), vector["error"], "{}: {error}", name(&vector));
                assert_eq!(error.field(), vector["field"].as_str(), "{}: {error}", name(&vector));
                assert!(!error.to_string().contains("specification"), "{error}");
            }
        }
    }
    assert!((EDIT..=TIMER).all(|number| seen.contains(&number)));
}

/// Every cut of a good body is an error or another content, and never a panic.
#[test]
fn cut_bodies_are_judged() {
    for vector in golden::load("contents.json") {
        let body = golden::bytes(&vector["hex"]);
        let number = u8::try_from(golden::number(&vector["content"])).expect("a content");
        for cut in 0..body.len() {
            for in_group in [false, true] {
                judge(number, &body[..cut], in_group);
            }
        }
    }
}

/// What parses is encoded as it was, and has what it carries parsed too.
fn judge(number: u8, body: &[u8], in_group: bool) {
    let Ok(content) = Content::parse(number, body, in_group) else { return };
    assert_eq!(encoded(&content), body);
    let inner = content.inner(in_group).expect("it was judged with what is around it");
    assert!(
        !matches!(inner, Content::Disappearing { .. } | Content::Timer { .. }) || inner == content
    );
}

#[test]
fn the_longest_reaction_and_list_are_taken_and_nothing_longer() {
    let reaction = |len: usize| [&[0, 1][..], &vec![b'x'; len]].concat();
    assert!(Content::parse(5, &reaction(REACTION_BYTES_MAX), true).is_ok());
    let longer = reaction(REACTION_BYTES_MAX + 1);
    let error = Content::parse(5, &longer, true);
    assert_eq!(error, Err(DecodeError::TooLong("reaction.body")));
    let users: Vec<u64> = (1..=USERS_MAX as u64).collect();
    let mention = Content::Mention { users: Numbers::Slice(&users), content: TEXT, body: b"all" };
    assert_eq!(Content::parse(6, &encoded(&mention), true), Ok(mention));
}

proptest! {
    #[test]
    fn contents_round_trip(
        place in 1..u64::MAX,
        of_peer in any::<bool>(),
        seconds in 1..=DISAPPEAR_SECONDS_MAX,
        users in btree_set(1..u64::MAX, 0..20),
        body in vec(any::<u8>(), 0..REACTION_BYTES_MAX),
    ) {
        let users: Vec<u64> = users.into_iter().collect();
        let body = &body[..];
        for content in [
            Content::Edit { target: place, body },
            Content::Delete { target: place },
            Content::Reaction { target: Target { of_peer, place }, body },
            Content::Mention { users: Numbers::Slice(&users), content: TEXT, body },
            Content::Disappearing { seconds, content: TEXT, body },
            Content::Timer { seconds },
        ] {
            let bytes = encoded(&content);
            prop_assert_eq!(Content::parse(content.number(), &bytes, false), Ok(content));
        }
    }

    #[test]
    fn random_bodies_never_panic(
        number in any::<u8>(),
        low in EDIT..=TIMER,
        body in vec(any::<u8>(), 0..100),
        in_group in any::<bool>(),
    ) {
        judge(number, &body, in_group);
        judge(low, &body, in_group);
    }
}
