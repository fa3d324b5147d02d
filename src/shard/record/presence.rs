//! When a person was last seen, and what watchers may see.

use bytes::{BufMut, BytesMut};
use fulmar_protocol::varint;

use super::{Face, Fields, RecordError};

const VERSION: u8 = 2;

/// When a person was last seen, in a record of its own, since it moves far more often than the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceRecord {
    /// When the person last did something, Unix milliseconds.
    pub last_seen_ms: u64,
    /// What others may see.
    pub face: Face,
}

impl PresenceRecord {
    /// What a damaged one counts as: nothing is shown.
    pub(in super::super) const DAMAGED: PresenceRecord =
        PresenceRecord { last_seen_ms: 0, face: Face::CLOSED };

    /// Most bytes of the encoded form.
    pub const BYTES_MAX: usize = 1 + 8 + 1 + varint::BYTES_MAX;

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        out.put_u64_le(self.last_seen_ms);
        self.face.encode(out);
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some((&VERSION, rest)) = bytes.split_first() else {
            return Err(RecordError("presence.version"));
        };
        let (time, rest) = rest.split_first_chunk().ok_or(RecordError("presence.last_seen"))?;
        let mut fields = Fields { rest };
        let face = Face::decode(&mut fields)?;
        fields.end("presence")?;
        Ok(PresenceRecord { last_seen_ms: u64::from_le_bytes(*time), face })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_others_are_refused() {
        let face = Face { profile: 300, ..Face::CLOSED };
        let record = PresenceRecord { last_seen_ms: 1_800_000_000_000, face };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert!(bytes.len() <= PresenceRecord::BYTES_MAX);
        assert_eq!(PresenceRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(PresenceRecord::decode(&bytes[..cut]).is_err());
        }
        bytes[0] += 1;
        assert!(PresenceRecord::decode(&bytes).is_err());
        bytes[0] -= 1;
        bytes.put_u8(0);
        assert!(PresenceRecord::decode(&bytes).is_err());
    }
}
