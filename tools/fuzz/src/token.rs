//! Login tokens, as they come in a hello.
//!
//! A fuzzer can't forge a signature, so one kind of input is signed here with the key that the ring
//! knows: its claims and footer reach the judgement behind the signature.

use std::sync::LazyLock;

use fulmar::auth::{CLOCK_SKEW_S, KeyFile, KeyRing, TokenError};
use fulmar_protocol::limits::TOKEN_BYTES_MAX;
use fulmar_protocol::{Code, Frame};
use pasetors::keys::AsymmetricSecretKey;
use pasetors::version4::{PublicToken, V4};
use serde_json::Value;

use crate::script::Script;

/// The time of the judgement, in seconds of Unix time; the seeds' tokens are valid then.
const NOW_S: u64 = 1_750_000_000;
/// A key file with one key, of the server's own tests.
pub(crate) const KEYS: &str = include_str!("../../../src/auth/testdata/keys.toml");
/// A token of that key.
pub(crate) const TOKEN: &str = include_str!("../../../src/auth/testdata/token.txt");

static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyFile::parse(KEYS).expect("a key file").ring());

static SECRET: LazyLock<AsymmetricSecretKey<V4>> = LazyLock::new(|| {
    let line = KEYS.lines().find(|line| line.starts_with("secret")).expect("a secret");
    let text = line.split('"').nth(1).expect("in quotes");
    AsymmetricSecretKey::try_from(text).expect("a secret key")
});

/// See the module's description. The first byte says which kind of input follows: a token, a hello
/// frame, signed claims, or signed claims with a footer.
pub fn token(data: &[u8]) {
    let mut script = Script::new(data);
    match script.below(4) {
        0 => verify(script.rest()),
        1 => {
            if let Ok(Frame::Hello(hello)) = Frame::decode(script.rest()) {
                verify(hello.token);
            }
        }
        2 => signed(script.rest(), &footer()),
        _ => {
            let footer = script.bytes().to_vec();
            signed(script.rest(), &footer);
        }
    }
}

/// The footer that names the ring's key.
pub(crate) fn footer() -> Vec<u8> {
    format!(r#"{{"kid":"{}"}}"#, RING.ids()[0]).into_bytes()
}

/// What is given as a token.
fn verify(token: &[u8]) {
    let verdict = RING.verify(token, NOW_S);
    assert_eq!(RING.verify(token, NOW_S), verdict, "the same token, the same verdict");
    assert!(KeyRing::empty().verify(token, NOW_S).is_err(), "no key, no login");
    match verdict {
        // Only the key's owner can make one, and the seeds have one of his.
        Ok(identity) => {
            assert_eq!(token, TOKEN.trim_end().as_bytes());
            assert_eq!((identity.user, identity.device), (7, 1));
        }
        Err(error) => {
            assert_ne!(error.code(), Code::None);
            assert!(!error.detail().is_empty());
        }
    }
}

/// Claims and footer with a good signature.
fn signed(claims: &[u8], footer: &[u8]) {
    let footer = (!footer.is_empty()).then_some(footer);
    let Ok(token) = PublicToken::sign(&SECRET, claims, footer, None) else { return };
    let verdict = RING.verify(token.as_bytes(), NOW_S);
    // Claims that are no text are told apart from a bad signature by nobody.
    let is_text = std::str::from_utf8(claims).is_ok();
    assert!(!is_text || verdict != Err(TokenError::Signature), "the signature is good");
    if token.len() > TOKEN_BYTES_MAX {
        assert_eq!(verdict, Err(TokenError::TooLong));
    }
    let Ok(identity) = verdict else { return };
    assert!(identity.user > 0 && identity.device > 0);
    assert!(identity.expires_s > NOW_S, "it hasn't expired");
    let claims: Value = serde_json::from_slice(claims).expect("claims are JSON");
    assert_eq!(number(&claims["user"]), Some(identity.user));
    assert_eq!(number(&claims["device"]), Some(u64::from(identity.device)));
    assert!(claims["exp"].is_string());
    let late = RING.verify(token.as_bytes(), identity.expires_s);
    assert_eq!(late, Err(TokenError::Expired), "it ends when it says");
    let early = RING.verify(token.as_bytes(), NOW_S.saturating_sub(CLOCK_SKEW_S));
    assert!(matches!(early, Ok(_) | Err(TokenError::NotYetValid)));
}

/// A number, or a string of digits.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
