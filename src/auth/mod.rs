//! Login tokens: who may say that it is which user and device.
//!
//! A token is a PASETO `v4.public` (Ed25519): an issuer signs it with a private key, a server
//! checks it with the public one and asks nobody. Its claims are
//!
//! | claim | meaning |
//! |---|---|
//! | `user` | the user, 1 to 2⁶⁴−1; a number, or a string of digits for issuers whose numbers are doubles |
//! | `device` | the device of the user, 1 to 65,535 |
//! | `exp` | when it ends, RFC 3339 |
//! | `iat` | when it was issued, RFC 3339; optional |
//! | `nbf` | when it begins, RFC 3339; optional |
//!
//! and its footer is `{"kid":"k4.pid.…"}`, the PASERK id of the key that signed it, so that several
//! keys can be valid at once while one is being replaced. Other claims are ignored.
//!
//! A server holds a [`KeyRing`]: public keys only, whatever the file has. Private keys are touched
//! by the command line alone, through [`KeyFile`]. No clock is read here: the time is an argument.

mod claims;
mod key_file;
mod ring;
#[cfg(test)]
mod tests;

use std::fmt;

use fulmar_protocol::Code;

pub use key_file::{FILE_BYTES_MAX, KEYS_MAX, KeyFile, KeyFileError, KeyFileLock, KeyInfo};
pub use ring::KeyRing;

/// Who a valid token is for, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user, from 1.
    pub user: u64,
    /// The device of the user, from 1.
    pub device: u16,
    /// When the token ends, in seconds of Unix time. A session that was begun before goes on.
    pub expires_s: u64,
}

/// Seconds by which the clocks of issuer and server may differ: how far `iat` and `nbf` may lie in
/// the future. The end of a token isn't extended by it.
pub const CLOCK_SKEW_S: u64 = 60;

/// Why a token isn't accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// There is none.
    Missing,
    /// Longer than the protocol allows.
    TooLong,
    /// White space before or behind it, as of a file with a line break at its end.
    Space,
    /// Not a PASETO v4.public token.
    Version,
    /// One by its beginning, and then cut off or garbled.
    Form,
    /// Without a footer that names a key.
    Footer,
    /// Signed by a key that this server doesn't have.
    UnknownKey,
    /// The signature isn't that key's.
    Signature,
    /// Signed, but the claims are missing or malformed.
    Claims,
    /// For user 0 or device 0.
    Nobody,
    /// Its time hasn't come.
    NotYetValid,
    /// Its time is over.
    Expired,
}

impl TokenError {
    /// What the client is told.
    pub const fn code(self) -> Code {
        match self {
            TokenError::Missing => Code::TokenRequired,
            TokenError::UnknownKey => Code::TokenUnknownKey,
            TokenError::Expired => Code::TokenExpired,
            TokenError::TooLong
            | TokenError::Space
            | TokenError::Version
            | TokenError::Form
            | TokenError::Footer
            | TokenError::Signature
            | TokenError::Claims
            | TokenError::Nobody
            | TokenError::NotYetValid => Code::TokenInvalid,
        }
    }

    /// The reason in words that help whoever issues tokens and reveal nothing about the keys.
    pub const fn detail(self) -> &'static str {
        match self {
            TokenError::Missing => "a token is required",
            TokenError::TooLong => "the token is longer than 1024 bytes",
            TokenError::Space => "white space or a line break before or behind the token",
            TokenError::Version => "the token isn't a PASETO v4.public token",
            TokenError::Form => "the v4.public token is cut off or has wrong characters in it",
            TokenError::Footer => {
                "the token has no footer that names a key by kid, or the footer is cut off"
            }
            TokenError::UnknownKey => "the token's kid is no key of this server",
            TokenError::Signature => "the token's signature doesn't match",
            TokenError::Claims => {
                "the token's claims must be a user, a device, exp, and if there are any iat and \
                 nbf, times in RFC 3339"
            }
            TokenError::Nobody => "users and devices are numbered from 1",
            TokenError::NotYetValid => {
                "the token isn't valid yet: by this server's clock iat or nbf is in the future"
            }
            TokenError::Expired => "the token has expired",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for TokenError {}
