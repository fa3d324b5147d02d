//! A client that misbehaves: it writes what it likes, and reads just enough to know what would hurt.

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames};

use crate::dice::Dice;
use crate::network::ConnNo;

/// Recent sends that a rogue may repeat.
const SENT_MAX: usize = 16;

/// How a connection of a rogue begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A login, with the cursor that it has or with another one.
    Login { is_lying: bool },
    /// A login, and something right behind it.
    Chatter,
    /// Bytes of another protocol, or of none.
    Garbage,
    /// A frame that isn't a hello.
    Early,
    /// A part of a hello.
    Half,
    /// Nothing at all.
    Silence,
    /// A hello of an unknown version.
    Version,
    /// A hello of nobody.
    Nobody,
    /// A hello with a token that isn't good.
    Token,
    /// A hello without a token.
    NoToken,
    /// A frame that is too large for a hello.
    TooLarge,
    /// A hello whose fields don't parse.
    Malformed,
}

const OPENINGS: [Opening; 14] = [
    Opening::Login { is_lying: false },
    Opening::Login { is_lying: false },
    Opening::Login { is_lying: true },
    Opening::Chatter,
    Opening::Garbage,
    Opening::Early,
    Opening::Half,
    Opening::Silence,
    Opening::Version,
    Opening::Nobody,
    Opening::Token,
    Opening::NoToken,
    Opening::TooLarge,
    Opening::Malformed,
];

/// What a rogue does once it is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Send,
    Resend,
    OtherBody,
    StaleNumber,
    BadPeer,
    TooLarge,
    Large,
    Unfinished,
    SecondLarge,
    StrayPart,
    TooManyParts,
    Ack,
    AckAhead,
    Read,
    ReadAhead,
    Ask,
    Flood,
    Malformed,
    UnknownKind,
    Skippable,
    ServerFrame,
    LongFrame,
    HalfFrame,
    Stall,
    HangUp,
    Goodbye,
    Nothing,
}

/// Harmless deeds are more frequent, or no rogue would get far.
const DEEDS: [Deed; 40] = [
    Deed::Send,
    Deed::Send,
    Deed::Send,
    Deed::Send,
    Deed::Send,
    Deed::Resend,
    Deed::Resend,
    Deed::Resend,
    Deed::OtherBody,
    Deed::OtherBody,
    Deed::StaleNumber,
    Deed::BadPeer,
    Deed::TooLarge,
    Deed::Large,
    Deed::Unfinished,
    Deed::SecondLarge,
    Deed::StrayPart,
    Deed::TooManyParts,
    Deed::Ack,
    Deed::Ack,
    Deed::Ack,
    Deed::AckAhead,
    Deed::Read,
    Deed::Read,
    Deed::ReadAhead,
    Deed::ReadAhead,
    Deed::Ask,
    Deed::Flood,
    Deed::Malformed,
    Deed::UnknownKind,
    Deed::Skippable,
    Deed::Skippable,
    Deed::ServerFrame,
    Deed::LongFrame,
    Deed::HalfFrame,
    Deed::Stall,
    Deed::HangUp,
    Deed::Goodbye,
    Deed::Nothing,
    Deed::Nothing,
];

/// The same about groups, pages of the past, books and people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// A group, with people in it who keep the rules.
    Make,
    Resume,
    ResumeLie,
    Write,
    /// Another body under a number that was used.
    WriteOther,
    Ack,
    AckAhead,
    ReadAhead,
    /// A change of a group that it isn't in.
    Strange,
    /// Something of a group that there isn't.
    NoGroup,
    /// A page while another one is under way.
    TwoPages,
    BadPut,
    WatchMany,
    FindMany,
}

impl Trick {
    /// Those that need a group most often.
    pub(crate) const ALL: [Trick; 24] = [
        Trick::Make,
        Trick::Make,
        Trick::Resume,
        Trick::Resume,
        Trick::Resume,
        Trick::ResumeLie,
        Trick::Write,
        Trick::Write,
        Trick::Write,
        Trick::Write,
        Trick::WriteOther,
        Trick::WriteOther,
        Trick::Ack,
        Trick::Ack,
        Trick::Ack,
        Trick::AckAhead,
        Trick::ReadAhead,
        Trick::ReadAhead,
        Trick::Strange,
        Trick::NoGroup,
        Trick::TwoPages,
        Trick::BadPut,
        Trick::WatchMany,
        Trick::FindMany,
    ];

    /// Where people have no groups there are none of these either.
    pub(crate) const fn is_of_groups(self) -> bool {
        !matches!(self, Trick::TwoPages | Trick::BadPut | Trick::WatchMany | Trick::FindMany)
    }
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Rogue {
    pub(crate) user: u64,
    pub(crate) device: u16,
    /// It is another program of a device that keeps the rules, and only logs in.
    pub(crate) is_twin: bool,
    pub(crate) conn: Option<ConnNo>,
    pub(crate) is_welcomed: bool,
    /// The server said why it ends, or ended.
    pub(crate) was_told: bool,
    /// The largest position that this connection brought.
    pub(crate) position: u64,
    /// The author and ordinal of the last message.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) number: u64,
    /// Peer, number and body of recent sends.
    pub(crate) sent: Vec<(u64, u64, Vec<u8>)>,
    /// Groups that it was told of, and the largest position that this connection brought of each.
    pub(crate) groups: Vec<(u64, u64)>,
    pub(crate) group_number: u64,
    /// Group and number of what it wrote there lately.
    pub(crate) sent_in_groups: Vec<(u64, u64)>,
    partial: Vec<u8>,
}

impl Rogue {
    pub(crate) fn new(user: u64, device: u16, is_twin: bool) -> Self {
        Rogue {
            user,
            device,
            is_twin,
            conn: None,
            is_welcomed: false,
            was_told: false,
            position: 0,
            last: None,
            number: 0,
            sent: Vec::new(),
            groups: Vec::new(),
            group_number: 0,
            sent_in_groups: Vec::new(),
            partial: Vec::new(),
        }
    }

    pub(crate) fn opening(&self, dice: &mut Dice) -> Opening {
        if self.is_twin { Opening::Login { is_lying: false } } else { dice.pick(&OPENINGS) }
    }

    pub(crate) fn deed(dice: &mut Dice) -> Deed {
        dice.pick(&DEEDS)
    }

    pub(crate) fn disconnected(&mut self) {
        (self.conn, self.is_welcomed, self.was_told) = (None, false, false);
        self.position = 0;
        self.groups.iter_mut().for_each(|(_, position)| *position = 0);
        self.partial.clear();
    }

    pub(crate) fn remember(&mut self, peer: u64, number: u64, body: Vec<u8>) {
        if self.sent.len() == SENT_MAX {
            self.sent.remove(0);
        }
        self.sent.push((peer, number, body));
    }

    pub(crate) fn remember_in_group(&mut self, group: u64, number: u64) {
        if self.sent_in_groups.len() == SENT_MAX {
            self.sent_in_groups.remove(0);
        }
        self.sent_in_groups.push((group, number));
    }

    /// This connection brought a group as far as that.
    fn reaches(&mut self, group: u64, position: u64) {
        match self.groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, reached)) => *reached = position.max(*reached),
            None => self.groups.push((group, position)),
        }
    }

    /// Takes bytes from the server.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        let mut frames = Frames::new(&whole, FRAME_BYTES_MAX);
        for frame in frames.by_ref().flatten() {
            match Frame::decode(frame) {
                Ok(Frame::Welcome(_)) => self.is_welcomed = true,
                Ok(Frame::Deliver(deliver)) => {
                    self.position = self.position.max(deliver.position);
                    self.last = Some((deliver.peer, deliver.ordinal));
                }
                Ok(Frame::Skip { position }) => self.position = self.position.max(position),
                Ok(Frame::GroupDeliver(deliver)) => self.reaches(deliver.group, deliver.position),
                Ok(Frame::GroupSkip { group, position }) => self.reaches(group, position),
                // It made the group.
                Ok(Frame::GroupSent { group, position: 1, .. }) => self.reaches(group, 0),
                Ok(Frame::GroupNotice(notice)) => self.reaches(notice.group, 0),
                Ok(Frame::Refuse { .. } | Frame::Goodbye(_)) => self.was_told = true,
                _ => {}
            }
        }
        self.partial = frames.rest().to_vec();
    }
}
