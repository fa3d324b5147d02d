//! The lines about books, read as strictly as the others.

use super::super::line::Fields;

/// Which item: its kind, a dot, and its key in hexadecimal digits.
pub(in super::super) type Place = String;
/// The digest of a value; none of what is removed.
pub(in super::super) type Value = Option<u64>;

/// The kind of an item that says who may see what.
const PRIVACY: u8 = 1;
/// The kind of an item that blocks somebody.
const BLOCK: u8 = 2;
/// The kind of the username.
pub(super) const USERNAME: u8 = 6;

/// Whether the values of an item are put more than once, so that they don't say whose they are.
/// Only one device of a user puts these.
pub(super) fn repeats(place: &str) -> bool {
    matches!(kind(place), Some(PRIVACY | BLOCK | USERNAME))
}

/// What a line says; HISTORY.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum BookEvent {
    Resume,
    Page { head: u64, reset: bool },
    Item { version: u64, place: Place, value: Value },
    Put { place: Place, value: Value },
    PutAgain { place: Place },
    Rejected { place: Place, code: u16 },
    Forget,
}

/// A line that says whom the user blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct BlockEvent {
    pub(in super::super) blocked: u64,
    /// From then on, or no more.
    pub(in super::super) blocks: bool,
    /// It is wanted; otherwise it is so.
    pub(in super::super) is_put: bool,
}

impl BookEvent {
    /// What it says of a block, if it does.
    pub(in super::super) fn about_a_block(&self) -> Option<BlockEvent> {
        let (place, value, is_put) = match self {
            BookEvent::Put { place, value } => (place, value, true),
            BookEvent::Item { place, value, .. } => (place, value, false),
            _ => return None,
        };
        let (_, key) = place.split_once('.').filter(|_| kind(place) == Some(BLOCK))?;
        Some(BlockEvent { blocked: number(key)?, blocks: value.is_some(), is_put })
    }
}

/// A number in a key: seven bits a byte, the lowest first.
fn number(key: &str) -> Option<u64> {
    let bytes = (0..key.len()).step_by(2).rev();
    bytes
        .map(|at| u64::from_str_radix(key.get(at..at + 2)?, 16).ok())
        .try_fold(0, |all, byte| Some(all << 7 | (byte? & 0x7f)))
}

/// Reads the fields of an event; `None` if it is none about books.
pub(in super::super) fn book_event(
    word: &str,
    fields: &mut Fields<'_>,
) -> Result<Option<BookEvent>, String> {
    Ok(Some(match word {
        "bresume" => {
            fields.number("version")?;
            BookEvent::Resume
        }
        "bpage" => {
            fields.number("version")?;
            BookEvent::Page { head: fields.number("head")?, reset: fields.flag("reset")? }
        }
        "bitem" => BookEvent::Item {
            version: fields.number("version")?,
            place: place(fields)?,
            value: value(fields)?,
        },
        "bput" => BookEvent::Put { place: place(fields)?, value: value(fields)? },
        "bputagain" => BookEvent::PutAgain { place: place(fields)? },
        "brejected" => BookEvent::Rejected { place: place(fields)?, code: fields.code()? },
        "bforget" => BookEvent::Forget,
        _ => return Ok(None),
    }))
}

fn place(fields: &mut Fields<'_>) -> Result<Place, String> {
    let text = fields.text("item")?;
    kind(text).ok_or_else(|| format!("item={text} is no KIND.KEY"))?;
    Ok(text.to_owned())
}

/// The kind of an item.
pub(super) fn kind(place: &str) -> Option<u8> {
    let (kind, key) = place.split_once('.')?;
    let is_hex = key.len() % 2 == 0 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    kind.parse().ok().filter(|_| is_hex)
}

fn value(fields: &mut Fields<'_>) -> Result<Value, String> {
    value_of("value", fields)
}

/// The digest of a value that is a field of its own.
pub(in super::super) fn value_of(key: &str, fields: &mut Fields<'_>) -> Result<Value, String> {
    let text = fields.text(key)?;
    if text == "none" {
        return Ok(None);
    }
    u64::from_str_radix(text, 16).map(Some).map_err(|error| format!("{key}={text}: {error}"))
}
