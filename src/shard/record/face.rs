//! What others may see of a person, in short.

use bytes::{BufMut, BytesMut};
use fulmar_protocol::people::audience;

use super::{Fields, RecordError, put};

/// Who may see something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// Those to whom the person wrote, its contacts, and the members of groups to which it wrote.
    Known,
    /// Everybody.
    #[default]
    Everybody,
}

impl Audience {
    /// The one that an item's value says; everybody where there is no item.
    pub(in super::super) fn of(value: Option<&[u8]>) -> Audience {
        match value {
            None | Some([audience::EVERYBODY]) => Audience::Everybody,
            Some([audience::KNOWN]) => Audience::Known,
            Some(_) => Audience::Nobody,
        }
    }

    /// Whether it includes somebody whom the person knows, or doesn't.
    pub(in super::super) const fn includes(self, is_known: bool) -> bool {
        match self {
            Audience::Nobody => false,
            Audience::Known => is_known,
            Audience::Everybody => true,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Audience::Everybody => 0,
            Audience::Known => 1,
            Audience::Nobody => 2,
        }
    }

    fn from_bits(bits: u8) -> Result<Audience, RecordError> {
        match bits & 3 {
            0 => Ok(Audience::Everybody),
            1 => Ok(Audience::Known),
            2 => Ok(Audience::Nobody),
            _ => Err(RecordError("face")),
        }
    }
}

/// What of a book must be known without reading it. Two records hold it: that of the inbox, which is in memory
/// as long as somebody is logged in, and that of presence, which is read for watchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Face {
    /// Who may see when the person was last seen.
    pub last_seen: Audience,
    /// Who may see whether the person is online.
    pub online: Audience,
    /// Who may see up to where the person read.
    pub reads: Audience,
    /// Whether the person blocks anybody.
    pub has_blocks: bool,
    /// The version of the profile; 0 where there is none.
    pub profile: u64,
}

const HAS_BLOCKS: u8 = 1 << 6;

impl Face {
    /// What holds of somebody of whom it isn't known.
    pub(in super::super) const CLOSED: Face = Face {
        last_seen: Audience::Nobody,
        online: Audience::Nobody,
        reads: Audience::Nobody,
        has_blocks: true,
        profile: 0,
    };

    /// Whether watchers must be looked at one by one.
    pub(in super::super) fn is_guarded(&self) -> bool {
        let open = Audience::Everybody;
        self.has_blocks || self.last_seen != open || self.online != open
    }

    /// Whether what watchers may see depends on whom the person knows.
    pub(in super::super) fn is_for_known(&self) -> bool {
        self.last_seen == Audience::Known || self.online == Audience::Known
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let blocks = if self.has_blocks { HAS_BLOCKS } else { 0 };
        let (online, reads) = (self.online.bits() << 2, self.reads.bits() << 4);
        out.put_u8(self.last_seen.bits() | online | reads | blocks);
        put(self.profile, out);
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, RecordError> {
        let bits = fields.byte("face")?;
        if bits & !(HAS_BLOCKS | 0x3f) != 0 {
            return Err(RecordError("face"));
        }
        Ok(Face {
            last_seen: Audience::from_bits(bits)?,
            online: Audience::from_bits(bits >> 2)?,
            reads: Audience::from_bits(bits >> 4)?,
            has_blocks: bits & HAS_BLOCKS != 0,
            profile: fields.number("face.profile")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_round_trip_and_others_are_refused() {
        for face in [
            Face::default(),
            Face::CLOSED,
            Face { online: Audience::Known, profile: u64::MAX, ..Face::default() },
        ] {
            let mut bytes = BytesMut::new();
            face.encode(&mut bytes);
            assert_eq!(Face::decode(&mut Fields { rest: &bytes }), Ok(face));
        }
        for bad in [&[0x80, 0][..], &[3, 0], &[0x0c, 0], &[0x30, 0], &[0], &[]] {
            assert!(Face::decode(&mut Fields { rest: bad }).is_err(), "{bad:?}");
        }
        assert!(!Face::default().is_guarded() && Face::CLOSED.is_guarded());
    }
}
