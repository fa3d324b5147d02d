//! When a person was last seen.

use bytes::{BufMut, BytesMut};

use super::{RecordError, VERSION};

/// When a person was last seen, in a record of its own, since it moves far more often than the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceRecord {
    /// When the person last did something, Unix milliseconds.
    pub last_seen_ms: u64,
}

impl PresenceRecord {
    /// Length of the encoded form.
    pub const BYTES: usize = 9;

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        out.put_u64_le(self.last_seen_ms);
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&VERSION, time)) => {
                let time = time.try_into().map_err(|_| RecordError("presence"))?;
                Ok(PresenceRecord { last_seen_ms: u64::from_le_bytes(time) })
            }
            _ => Err(RecordError("presence.version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_others_are_refused() {
        let record = PresenceRecord { last_seen_ms: 1_800_000_000_000 };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert_eq!(bytes.len(), PresenceRecord::BYTES);
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
