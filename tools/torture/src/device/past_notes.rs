//! What a device writes down about pages of the past: HISTORY.md says what each line means.

use std::fmt;

use fulmar_protocol::group::CONTENT_CHANGE;

use super::wording::Whose;

/// Which entry came.
#[derive(Debug, Clone, Copy)]
pub(super) struct PastEntry {
    /// 0 for the inbox.
    pub(super) group: u64,
    pub(super) position: u64,
    pub(super) peer: u64,
    pub(super) ordinal: u64,
    pub(super) own: bool,
}

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum PastNote {
    Ask { group: u64, from: u64, through: u64 },
    Entry { entry: PastEntry, content: u8, whose: Whose, digest: u64 },
    End { group: u64, from: u64, through: u64, has_more: bool },
}

impl fmt::Display for PastNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PastNote::Ask { group, from, through } => {
                write!(f, "pask group={group} from={from} through={through}")
            }
            PastNote::Entry { entry, content, whose, digest } => {
                let PastEntry { group, position, peer, ordinal, own } = entry;
                let own = u8::from(own);
                write!(f, "past group={group} position={position} peer={peer} own={own} ")?;
                // Of a change the digest says what it is.
                let whose = if content == CONTENT_CHANGE { Whose::Silent } else { whose };
                write!(f, "ordinal={ordinal} body={whose} digest={digest:016x}")
            }
            PastNote::End { group, from, through, has_more } => {
                let more = u8::from(has_more);
                write!(f, "pend group={group} from={from} through={through} more={more}")
            }
        }
    }
}
