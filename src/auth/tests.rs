//! The promises of login tokens and key files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fulmar_protocol::Code;
use fulmar_protocol::limits::{DETAIL_BYTES_MAX, TOKEN_BYTES_MAX};
use pasetors::keys::AsymmetricSecretKey;
use pasetors::version4::{PublicToken, V4};
use proptest::prelude::*;

use super::*;

const NOW_S: u64 = 1_750_000_000;
const DAY_S: u64 = 86_400;
const SEVEN: Identity = Identity { user: 7, device: 1, expires_s: NOW_S + 30 * DAY_S };

fn key_file() -> KeyFile {
    let mut file = KeyFile::default();
    file.generate(false, NOW_S).unwrap();
    file
}

/// A token with these claims and footer, signed by the signing key of the file.
fn signed(file: &KeyFile, claims: &str, footer: &str) -> String {
    let text = file.to_text();
    let line = text.lines().find(|line| line.starts_with("secret")).unwrap();
    let secret = AsymmetricSecretKey::<V4>::try_from(line.split('"').nth(1).unwrap()).unwrap();
    PublicToken::sign(&secret, claims.as_bytes(), Some(footer.as_bytes()), None).unwrap()
}

fn footer(file: &KeyFile) -> String {
    format!(r#"{{"kid":"{}"}}"#, file.list().next().unwrap().id)
}

#[test]
fn a_token_gives_back_the_identity_until_it_ends() {
    let file = key_file();
    let ring = file.ring();
    for identity in [
        SEVEN,
        Identity { user: u64::MAX, device: u16::MAX, ..SEVEN },
        Identity { user: (1 << 53) + 1, ..SEVEN },
    ] {
        let token = file.sign(&identity, NOW_S).unwrap();
        assert!(token.len() < TOKEN_BYTES_MAX / 2, "{}", token.len());
        assert_eq!(ring.verify(token.as_bytes(), NOW_S), Ok(identity));
        assert_eq!(ring.verify(token.as_bytes(), identity.expires_s - 1), Ok(identity));
        for late in [identity.expires_s, identity.expires_s + 1, u64::MAX] {
            assert_eq!(ring.verify(token.as_bytes(), late), Err(TokenError::Expired));
        }
    }
}

/// Tokens outlive releases: one that was issued by an earlier one must stay valid.
#[test]
fn the_format_of_file_and_token_stays() {
    let text = include_str!("testdata/keys.toml");
    let token = include_str!("testdata/token.txt").trim_end();
    let file = KeyFile::parse(text).unwrap();
    assert_eq!(file.to_text(), text);
    assert_eq!(file.sign(&SEVEN, NOW_S).unwrap(), token);
    assert_eq!(file.ring().verify(token.as_bytes(), NOW_S), Ok(SEVEN));
}

#[test]
fn several_keys_are_valid_at_once_while_one_is_replaced() {
    let mut file = key_file();
    let old_ring = file.ring();
    let old = file.list().next().unwrap().id.to_owned();
    let old_token = file.sign(&SEVEN, NOW_S).unwrap();

    let new = file.generate(true, NOW_S).unwrap().to_owned();
    let signing = |file: &KeyFile| -> Vec<String> {
        file.list().filter(|key| key.signing).map(|key| key.id.to_owned()).collect()
    };
    assert_eq!(signing(&file), [old]);
    file.sign_with(&new).unwrap();
    assert_eq!(signing(&file), [new.as_str()]);
    let new_token = file.sign(&SEVEN, NOW_S).unwrap();

    let both = KeyFile::parse(&file.to_text()).unwrap().ring();
    assert_eq!(both.len(), 2);
    assert_eq!(both.verify(old_token.as_bytes(), NOW_S), Ok(SEVEN));
    assert_eq!(both.verify(new_token.as_bytes(), NOW_S), Ok(SEVEN));
    assert_eq!(old_ring.verify(new_token.as_bytes(), NOW_S), Err(TokenError::UnknownKey));
    assert!(file.sign_with("k4.pid.nobody").is_err());
}

#[test]
fn a_server_needs_the_public_parts_only() {
    let file = key_file();
    let token = file.sign(&SEVEN, NOW_S).unwrap();
    let text = file.public().to_text();
    assert!(!text.contains("k4.secret."), "{text}");
    let mut public = KeyFile::parse(&text).unwrap();
    assert_eq!(public.ring().verify(token.as_bytes(), NOW_S), Ok(SEVEN));
    assert!(matches!(public.sign(&SEVEN, NOW_S), Err(KeyFileError::NoSigningKey)));
    let id = public.list().next().unwrap().id.to_owned();
    assert!(public.sign_with(&id).is_err());
}

#[test]
fn a_token_of_another_key_is_refused_whatever_it_claims() {
    let (ours, theirs) = (key_file(), key_file());
    let claims = r#"{"user":7,"device":1,"exp":"2099-01-01T00:00:00Z"}"#;
    let forged = signed(&theirs, claims, &footer(&ours));
    assert_eq!(ours.ring().verify(forged.as_bytes(), NOW_S), Err(TokenError::Signature));
    let foreign = signed(&theirs, claims, &footer(&theirs));
    assert_eq!(ours.ring().verify(foreign.as_bytes(), NOW_S), Err(TokenError::UnknownKey));
    assert_eq!(KeyRing::empty().verify(foreign.as_bytes(), NOW_S), Err(TokenError::UnknownKey));
}

#[test]
fn what_is_no_token_is_told_apart() {
    let file = key_file();
    let ring = file.ring();
    let good = file.sign(&SEVEN, NOW_S).unwrap();
    let claims = r#"{"user":7,"device":1,"exp":"2099-01-01T00:00:00Z"}"#;
    let body = good.rsplit_once('.').unwrap().0;
    for (token, error) in [
        (String::new(), TokenError::Missing),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::TooLong),
        ("x".repeat(TOKEN_BYTES_MAX), TokenError::Version),
        (format!("{good}\n"), TokenError::Space),
        (format!(" {good}"), TokenError::Space),
        (format!("\u{feff}{good}"), TokenError::Version),
        ("v4.public.".to_owned(), TokenError::Form),
        ("v4.public...".to_owned(), TokenError::Form),
        (good.replace("v4.public", "v4.local"), TokenError::Version),
        (good.replace("v4.public", "v2.public"), TokenError::Version),
        (body.to_owned(), TokenError::Footer),
        (format!("{good}.x"), TokenError::Form),
        (signed(&file, claims, "{}"), TokenError::Footer),
        (signed(&file, claims, r#"{"kid":7}"#), TokenError::Footer),
        (signed(&file, claims, r#"{"kid":"k4.pid.x"}"#), TokenError::UnknownKey),
    ] {
        assert_eq!(ring.verify(token.as_bytes(), NOW_S), Err(error), "{token}");
    }
    assert_eq!(ring.verify(&[0xff; 100], NOW_S), Err(TokenError::Version));
    for cut in "v4.public.".len()..good.len() {
        let error = ring.verify(&good.as_bytes()[..cut], NOW_S).unwrap_err();
        assert!(error.detail().contains("cut off"), "{cut}: {error}");
    }
}

#[test]
fn claims_are_judged() {
    let file = key_file();
    let ring = file.ring();
    let ok = Ok(Identity { expires_s: 4_070_908_800, ..SEVEN });
    let verify =
        |claims: &str| ring.verify(signed(&file, claims, &footer(&file)).as_bytes(), NOW_S);
    // 1,750,000,000 s is 2025-06-15T15:06:40Z.
    for (claims, expected) in [
        (r#""user":7,"device":1,"exp":"2099-01-01T00:00:00Z""#, ok),
        (r#""user":"7","device":"1","exp":"2099-01-01T00:00:00Z""#, ok),
        (r#""user":7,"device":1,"exp":"2099-01-01T01:00:00+01:00","aud":{"x":[]}"#, ok),
        (r#""user":7,"device":1,"exp":"2099-01-01T00:00:00Z","iat":"2025-06-15T15:07:40Z""#, ok),
        (
            r#""user":7,"device":1,"exp":"2099-01-01T00:00:00Z","iat":"2025-06-15T15:07:41Z""#,
            Err(TokenError::NotYetValid),
        ),
        (
            r#""user":7,"device":1,"exp":"2099-01-01T00:00:00Z","nbf":"2098-01-01T00:00:00Z""#,
            Err(TokenError::NotYetValid),
        ),
        (r#""user":7,"device":1,"exp":"2025-06-15T15:06:40Z""#, Err(TokenError::Expired)),
        (r#""user":7,"device":1,"exp":"1960-01-01T00:00:00Z""#, Err(TokenError::Expired)),
        (r#""user":0,"device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Nobody)),
        (r#""user":7,"device":0,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Nobody)),
        (r#""user":7,"device":65536,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (r#""user":-7,"device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (r#""user":7.5,"device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (r#""user":"+7","device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (r#""user":"","device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (
            r#""user":18446744073709551616,"device":1,"exp":"2099-01-01T00:00:00Z""#,
            Err(TokenError::Claims),
        ),
        (r#""user":7,"user":8,"device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
        (r#""user":7,"device":1"#, Err(TokenError::Claims)),
        (r#""user":7,"device":1,"exp":4070908800"#, Err(TokenError::Claims)),
        (r#""user":7,"device":1,"exp":"tomorrow""#, Err(TokenError::Claims)),
        (r#""device":1,"exp":"2099-01-01T00:00:00Z""#, Err(TokenError::Claims)),
    ] {
        assert_eq!(verify(&format!("{{{claims}}}")), expected, "{claims}");
    }
    assert_eq!(verify("no json"), Err(TokenError::Claims));
    assert_eq!(verify(&"[".repeat(400)), Err(TokenError::Claims));
}

#[test]
fn errors_have_the_codes_of_the_protocol_and_fit_its_detail() {
    for (error, code) in [
        (TokenError::Missing, Code::TokenRequired),
        (TokenError::TooLong, Code::TokenInvalid),
        (TokenError::Space, Code::TokenInvalid),
        (TokenError::Version, Code::TokenInvalid),
        (TokenError::Form, Code::TokenInvalid),
        (TokenError::Footer, Code::TokenInvalid),
        (TokenError::UnknownKey, Code::TokenUnknownKey),
        (TokenError::Signature, Code::TokenInvalid),
        (TokenError::Claims, Code::TokenInvalid),
        (TokenError::Nobody, Code::TokenInvalid),
        (TokenError::NotYetValid, Code::TokenInvalid),
        (TokenError::Expired, Code::TokenExpired),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.detail().len() <= DETAIL_BYTES_MAX);
    }
    assert!(TokenError::TooLong.detail().contains(&TOKEN_BYTES_MAX.to_string()));
}

#[test]
fn a_key_file_that_contradicts_itself_is_refused_without_showing_keys() {
    let text = key_file().to_text();
    let other = key_file().to_text();
    let line = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    let with = |name: &str, new: &str| text.replace(&line(&text, name), new);
    let zeros = format!("secret = \"k4.secret.{}\"", "A".repeat(86));
    for (broken, reason) in [
        (String::new(), "0 keys; allowed: 1 to 64"),
        (with("id", &line(&other, "id")), "key 1: `id` doesn't belong to `public`"),
        (with("secret", &line(&other, "secret")), "key 1: `secret` doesn't belong to `public`"),
        (with("secret", &zeros), "key 1: `secret` is all zeros"),
        (with("secret", "secret = \"k4.secret.AAAA\""), "`secret` isn't a PASERK k4.secret"),
        (with("secret", ""), "key 1: it has `signing = true` and no `secret`"),
        (with("public", "public = \"\""), "key 1: `public` isn't a PASERK k4.public"),
        (with("id", "ID = 7"), "unknown field"),
        (with("signing", &line(&text, "secret").replace("secret =", "signing =")), "none belongs"),
        (format!("{text}\n{}", text.replace("true", "false")), "is there twice"),
        (format!("{text}\n{other}"), "several keys have `signing = true`"),
        (with("secret", &line(&text, "secret").replace("secret = ", "secret ")), "line 6: "),
        ("[[key]]\n".repeat(2), "missing field"),
    ] {
        let error = KeyFile::parse(&broken).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(!error.contains("k4.secret."), "{error}");
    }
}

#[test]
fn a_saved_file_is_private_and_a_public_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let mut file = key_file();
    file.save(&path).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path) & 0o777, 0o600);
    file.generate(false, NOW_S).unwrap();
    file.save(&path).unwrap();
    assert_eq!(mode(&path) & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file is left");
    let (ring, warning) = KeyRing::load(&path).unwrap();
    assert_eq!((ring.len(), warning), (2, None));

    assert_eq!(file.exposure(&path, 0o100_600), None);
    let warning = file.exposure(&path, 0o100_640).unwrap();
    assert!(warning.contains("mode 0640") && warning.contains("chmod 0600"), "{warning}");
    assert_eq!(file.public().exposure(&path, 0o100_644), None);
}

#[test]
fn a_link_to_a_key_file_stays_one() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("keys.toml"), directory.path().join("link.toml"));
    std::os::unix::fs::symlink("keys.toml", &link).unwrap();
    for _ in 0..2 {
        // Also one that leads to nothing yet.
        let _lock = KeyFile::lock(&link).unwrap();
        key_file().save(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(KeyRing::load(&file).unwrap().0.ids(), KeyRing::load(&link).unwrap().0.ids());
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "a temporary file is left");
}

#[test]
fn a_missing_or_endless_file_is_an_error_that_names_it() {
    let error = KeyRing::load(std::path::Path::new("/nowhere/keys.toml")).unwrap_err();
    assert!(error.to_string().starts_with("there is no key file /nowhere/keys.toml; "), "{error}");
    let error = KeyRing::load(std::path::Path::new("/dev/zero")).unwrap_err();
    assert!(error.to_string().contains("longer than the 65536 bytes"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    assert!(key_file().save(&directory.path().join("none/keys.toml")).is_err());
}

#[test]
fn a_file_holds_a_bounded_number_of_keys() {
    let mut file = KeyFile::default();
    for _ in 0..KEYS_MAX {
        file.generate(false, NOW_S).unwrap();
    }
    assert!(file.generate(false, NOW_S).is_err());
    let text = file.to_text();
    assert!((text.len() as u64) < FILE_BYTES_MAX, "{}", text.len());
    assert_eq!(KeyFile::parse(&text).unwrap().ring().len(), KEYS_MAX);
}

#[test]
fn a_token_beyond_the_year_9999_is_not_signed() {
    let file = key_file();
    assert!(file.sign(&Identity { expires_s: u64::MAX, ..SEVEN }, NOW_S).is_err());
    assert!(file.sign(&Identity { expires_s: 1 << 40, ..SEVEN }, NOW_S).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_refused(token in proptest::collection::vec(any::<u8>(), 0..1_100)) {
        prop_assert!(fixed().0.verify(&token, NOW_S).is_err());
    }

    #[test]
    fn any_text_after_the_header_is_refused(rest in "[A-Za-z0-9_.=-]{0,300}") {
        let token = format!("v4.public.{rest}");
        prop_assert!(fixed().0.verify(token.as_bytes(), NOW_S).is_err());
    }

    #[test]
    fn a_changed_or_shortened_token_is_refused(at in 0usize..1_000, to in any::<u8>()) {
        let (ring, token) = fixed();
        let mut bytes = token.as_bytes().to_vec();
        let at = at % bytes.len();
        prop_assert!(ring.verify(&bytes[..at], NOW_S).is_err());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(ring.verify(&bytes, NOW_S).is_err());
    }

    #[test]
    fn any_signed_claims_are_judged(claims in ".{1,200}") {
        let file = KeyFile::parse(include_str!("testdata/keys.toml")).unwrap();
        let token = signed(&file, &claims, &footer(&file));
        prop_assert!(file.ring().verify(token.as_bytes(), NOW_S).is_err());
    }

    #[test]
    fn any_text_is_a_key_file_or_an_error(text in ".{0,200}") {
        let _ = KeyFile::parse(&text);
    }
}

fn fixed() -> (KeyRing, &'static str) {
    let file = KeyFile::parse(include_str!("testdata/keys.toml")).unwrap();
    (file.ring(), include_str!("testdata/token.txt").trim_end())
}
