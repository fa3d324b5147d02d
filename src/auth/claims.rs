//! The claims of a token: JSON to an identity and back.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{CLOCK_SKEW_S, Identity, TokenError};

/// What a token may hold, as received.
#[derive(Deserialize)]
struct Received<'a> {
    user: Number,
    device: Number,
    #[serde(borrow)]
    exp: &'a str,
    iat: Option<&'a str>,
    nbf: Option<&'a str>,
}

/// A number, or a string of digits: beyond 2⁵³ many languages can't write a JSON number exactly.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Digits(String),
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Number::Number(number) => Some(*number),
            Number::Digits(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            Number::Digits(_) => None,
        }
    }
}

/// Judges the payload of a token whose signature is good.
pub(super) fn judge(payload: &[u8], now_unix_s: u64) -> Result<Identity, TokenError> {
    let claims: Received<'_> = serde_json::from_slice(payload).map_err(|_| TokenError::Claims)?;
    let user = claims.user.value().ok_or(TokenError::Claims)?;
    let device = claims.device.value().and_then(|device| u16::try_from(device).ok());
    let device = device.ok_or(TokenError::Claims)?;
    if user == 0 || device == 0 {
        return Err(TokenError::Nobody);
    }
    let expires_s = unix_s(claims.exp)?;
    for begin in [claims.iat, claims.nbf].into_iter().flatten() {
        if unix_s(begin)? > now_unix_s.saturating_add(CLOCK_SKEW_S) {
            return Err(TokenError::NotYetValid);
        }
    }
    if expires_s <= now_unix_s {
        return Err(TokenError::Expired);
    }
    Ok(Identity { user, device, expires_s })
}

/// The payload of a token for `identity`, issued at `now_unix_s`. None if a time is beyond the
/// year 9999.
pub(super) fn write(identity: &Identity, now_unix_s: u64) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    struct Issued {
        user: u64,
        device: u16,
        exp: String,
        iat: String,
    }
    let claims = Issued {
        user: identity.user,
        device: identity.device,
        exp: rfc3339(identity.expires_s)?,
        iat: rfc3339(now_unix_s)?,
    };
    serde_json::to_vec(&claims).ok()
}

/// Seconds of Unix time; times before 1970 count as 0, which is long ago.
fn unix_s(text: &str) -> Result<u64, TokenError> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TokenError::Claims)?;
    Ok(u64::try_from(time.unix_timestamp()).unwrap_or(0))
}

/// The time as RFC 3339 in UTC. None beyond the year 9999.
pub(super) fn rfc3339(unix_s: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(unix_s).ok()?).ok()?;
    time.format(&Rfc3339).ok()
}
