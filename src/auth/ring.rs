//! The public keys of a server.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use pasetors::Public;
use pasetors::keys::AsymmetricPublicKey;
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use serde::Deserialize;

use fulmar_protocol::limits::TOKEN_BYTES_MAX;

use super::key_file::{KeyFile, KeyFileError};
use super::{Identity, TokenError, claims};

/// The keys that tokens may be signed with, by their ids. Immutable: a reload builds a new one,
/// and whoever verifies holds the old one until it is done.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: HashMap<String, AsymmetricPublicKey<V4>>,
}

/// What every token begins with.
const HEADER: &[u8] = b"v4.public.";

/// The part of a footer that matters here.
#[derive(Deserialize)]
struct Footer<'a> {
    #[serde(borrow)]
    kid: Cow<'a, str>,
}

impl KeyRing {
    /// A ring without keys, which refuses every token: for a development server.
    pub fn empty() -> KeyRing {
        KeyRing::default()
    }

    /// Reads the public keys of a key file. Private parts are checked and forgotten; a warning
    /// comes along if others than the owner may read them.
    ///
    /// # Errors
    /// The file can't be read, or [`KeyFile::parse`] refuses it.
    pub fn load(path: &Path) -> Result<(KeyRing, Option<String>), KeyFileError> {
        let (file, warning) = KeyFile::load(path)?;
        Ok((file.ring(), warning))
    }

    /// A ring of these keys.
    pub(super) fn new(keys: impl Iterator<Item = (String, AsymmetricPublicKey<V4>)>) -> KeyRing {
        KeyRing { keys: keys.collect() }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the keys, sorted.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    /// Judges a token at `now_unix_s`, in seconds of Unix time. Costs one Ed25519 verification once
    /// the form is right and the key is known, and allocates a small multiple of the token's
    /// length, which is bounded first.
    ///
    /// # Errors
    /// Why the token isn't accepted. The signature is judged before the claims, so nothing that
    /// is unsigned decides what is told.
    pub fn verify(&self, token: &[u8], now_unix_s: u64) -> Result<Identity, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        if token.trim_ascii().len() < token.len() {
            return Err(TokenError::Space);
        }
        if !token.starts_with(HEADER) {
            return Err(TokenError::Version);
        }
        let text = std::str::from_utf8(token).map_err(|_| TokenError::Form)?;
        let untrusted =
            UntrustedToken::<Public, V4>::try_from(text).map_err(|_| TokenError::Form)?;
        let footer: Footer<'_> =
            serde_json::from_slice(untrusted.untrusted_footer()).map_err(|_| TokenError::Footer)?;
        let key = self.keys.get(footer.kid.as_ref()).ok_or(TokenError::UnknownKey)?;
        let trusted =
            PublicToken::verify(key, &untrusted, None, None).map_err(|_| TokenError::Signature)?;
        claims::judge(trusted.payload().as_bytes(), now_unix_s)
    }
}
