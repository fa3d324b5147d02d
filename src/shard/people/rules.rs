//! Which items there can be.

use fulmar_protocol::people::{self, Chat, ChatSettings, audience, item};
use fulmar_protocol::{Code, limits as wire};

use super::book::Wish;

/// Says under which code a wish can't be, if it can't. An empty value removes and so fits every key.
pub(super) fn judge(wish: &Wish) -> Result<(), Code> {
    let Wish { kind, key, value } = wish;
    let (key, value) = (&key[..], &value[..]);
    let is_removal = value.is_empty();
    let is_good = match *kind {
        item::PROFILE => match key {
            [people::profile::NAME] => value.len() <= wire::PROFILE_NAME_BYTES_MAX,
            [people::profile::STATUS] => value.len() <= wire::PROFILE_STATUS_BYTES_MAX,
            [people::profile::AVATAR] => value.len() <= wire::PROFILE_AVATAR_BYTES_MAX,
            _ => false,
        },
        item::PRIVACY => {
            let is_key = matches!(key, [..=people::privacy::FOUND]);
            is_key && (is_removal || matches!(value, [..=audience::EVERYBODY]))
        }
        item::BLOCK => people::user_in(key).is_some() && (is_removal || value == [1]),
        item::CONTACT => people::user_in(key).is_some(),
        item::CHAT => {
            let is_key = Chat::read(key).is_some_and(|(_, rest)| rest.is_empty());
            is_key && (is_removal || ChatSettings::decode(value).is_some())
        }
        item::STAR => people::is_star_key(key),
        item::USERNAME => {
            if key.is_empty() && !is_removal && !people::is_username(value) {
                return Err(Code::BadName);
            }
            key.is_empty()
        }
        kind => kind >= item::APPLICATION,
    };
    if is_good { Ok(()) } else { Err(Code::BadItem) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn each_kind_has_its_keys_and_values() {
        let judge = |kind, key: &[u8], value: &[u8]| {
            judge(&Wish {
                kind,
                key: Bytes::copy_from_slice(key),
                value: Bytes::copy_from_slice(value),
            })
        };
        let long = [b'a'; 1_024];
        for (kind, key, value) in [
            (0, &[0][..], &b"Ann"[..]),
            (0, &[1], &long[..512]),
            (0, &[2], b""),
            (1, &[3], &[2]),
            (1, &[0], b""),
            (2, &[0xac, 2], &[1]),
            (2, &[0xac, 2], b""),
            (3, &[7], &long),
            (4, &[1, 7], &[3, 0]),
            (5, &[0, 7, 1, 1], b"x"),
            (5, &[1, 7, 1], b"x"),
            (6, b"", b"ann"),
            (6, b"", b""),
            (128, b"", &long),
            (255, &long[..64], b""),
        ] {
            assert_eq!(judge(kind, key, value), Ok(()), "{kind} {key:?}");
        }
        for (kind, key, value) in [
            (0, &[3][..], &b"a"[..]),
            (0, &[0], &long[..129]),
            (0, b"", b"a"),
            (1, &[4], &[1]),
            (1, &[0], &[3]),
            (1, &[0], &[1, 1]),
            (2, &[0], &[1]),
            (2, &[7], &[2]),
            (2, &[7, 7], &[1]),
            (3, b"", b"x"),
            (4, &[2, 7], &[0, 0]),
            (4, &[0, 7], &[4, 0]),
            (5, &[0, 7, 1], b"x"),
            (6, &[1], b"ann"),
            (7, b"", b""),
            (127, b"a", b"a"),
        ] {
            assert_eq!(judge(kind, key, value), Err(Code::BadItem), "{kind} {key:?}");
        }
        assert_eq!(judge(6, b"", b"Ann"), Err(Code::BadName));
    }
}
