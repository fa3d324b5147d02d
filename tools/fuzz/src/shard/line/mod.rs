//! One connection, from the client's side: what was said on it, what was told on it, and whether the
//! one may follow from the other.
//!
//! Here is the login; [`said`] and [`told`] have the conversations of two, [`groups`], [`past`] and [`people`]
//! what their names say.

mod groups;
mod past;
mod people;
mod said;
mod told;

use std::collections::{BTreeMap, VecDeque};

use fulmar::shard::{ConnId, DeviceId, UserId};
use fulmar_protocol::group::GroupDeliver;
use fulmar_protocol::history::Past;
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Assembly, Code, Deliver, Frame, Frames, Welcome};

use super::facts::{Facts, Target};
use groups::Groups;
use past::Page;
use people::Questions;

/// Where the login stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No answer to the hello came.
    Before,
    Online,
    /// A goodbye or refusal came; nothing may follow it.
    Over,
}

/// A send that has no answer.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    number: u64,
    /// Its place among the sends of the connection.
    nth: usize,
    /// Why it can't be taken, by its own words.
    refusal: Option<Code>,
    /// The user had several devices when it was first sent, so that its tick stands for a copy too.
    wants_copy: bool,
}

/// A large body on its way to the server.
#[derive(Debug)]
enum Upload {
    None,
    Taken {
        to: Target,
        number: u64,
        content: u8,
        assembly: Assembly,
    },
    /// The server passes over what is still to come.
    Ignored {
        rest_bytes: u64,
    },
}

/// What a large body on its way to the client is.
#[derive(Debug, Clone, Copy)]
enum Arriving {
    Message(Deliver<'static>),
    Entry(GroupDeliver<'static>),
    OfPage(Past<'static>),
}

/// See the module's description.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts about the connection
pub(super) struct Line {
    pub(super) core: usize,
    pub(super) conn: ConnId,
    pub(super) is_closed: bool,
    /// The server doesn't receive from it.
    pub(super) is_paused: bool,
    /// The client doesn't read, so what the server writes isn't done.
    pub(super) is_stalled: bool,
    /// The server writes.
    pub(super) is_writing: bool,
    /// Bytes that the client wrote and the server didn't receive.
    pub(super) outgoing: Vec<u8>,
    /// User and device of the hello.
    pub(super) identity: (UserId, DeviceId),
    hello_cursor: u64,
    stage: Stage,
    /// What the client said can't be understood any more.
    is_garbled: bool,
    said: Vec<u8>,
    told: Vec<u8>,
    /// The last position delivered or skipped.
    position: Option<u64>,
    acked: u64,
    /// Positions without acknowledgement, and their bytes.
    window: VecDeque<(u64, u64)>,
    unanswered: BTreeMap<UserId, Vec<Unanswered>>,
    sends: usize,
    /// The last send to each peer that was ticked.
    ticked: BTreeMap<UserId, usize>,
    upload: Upload,
    download: Option<(Arriving, Assembly)>,
    pub(super) groups: Groups,
    /// Pages that were asked for and are not told to their end.
    pages: VecDeque<Page>,
    questions: Questions,
}

/// The limits that the server states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) window_messages: u64,
    pub(super) window_bytes: u64,
    pub(super) body_bytes_max: u64,
}

impl Line {
    pub(super) fn new(core: usize, conn: ConnId) -> Self {
        Line {
            core,
            conn,
            is_closed: false,
            is_paused: false,
            is_stalled: false,
            is_writing: false,
            outgoing: Vec::new(),
            identity: (0, 0),
            hello_cursor: 0,
            stage: Stage::Before,
            is_garbled: false,
            said: Vec::new(),
            told: Vec::new(),
            position: None,
            acked: 0,
            window: VecDeque::new(),
            unanswered: BTreeMap::new(),
            sends: 0,
            ticked: BTreeMap::new(),
            upload: Upload::None,
            download: None,
            groups: Groups::default(),
            pages: VecDeque::new(),
            questions: Questions::default(),
        }
    }

    pub(super) const fn is_online(&self) -> bool {
        matches!(self.stage, Stage::Online) && !self.is_closed
    }

    /// Every complete send and every question was answered, as far as one can tell.
    pub(super) fn check_answered(&self) {
        if self.is_garbled {
            return;
        }
        let who = self.identity;
        assert!(self.unanswered.values().all(Vec::is_empty), "a send of {who:?} has no answer");
        assert!(self.pages.is_empty(), "a page of {who:?} has no end: {:?}", self.pages);
        self.groups.check_answered(who);
        self.questions.check_answered(who);
    }

    /// The last position up to which everything came, and whether that is more than is acknowledged.
    pub(super) fn complete_through(&self) -> Option<u64> {
        let is_incomplete = matches!(self.download, Some((Arriving::Message(_), _)));
        let position = self.position? - u64::from(is_incomplete);
        (position > self.acked).then_some(position)
    }

    /// Acknowledges what came of groups, and whether that is anything.
    pub(super) fn acknowledge_groups(&mut self) -> bool {
        let open = self.groups.unacknowledged();
        for (group, through) in &open {
            let is_incomplete = matches!(
                self.download,
                Some((Arriving::Entry(deliver), _)) if deliver.group == *group
            );
            let (group, position) = (*group, through - u64::from(is_incomplete));
            if position > 0 {
                Frame::GroupAck { group, position }.encode(&mut self.outgoing);
            }
        }
        !open.is_empty()
    }

    /// Notes what the server receives.
    pub(super) fn say(&mut self, bytes: &[u8], facts: &mut Facts) {
        if self.is_garbled || self.stage == Stage::Over {
            return;
        }
        self.said.extend_from_slice(bytes);
        let said = std::mem::take(&mut self.said);
        let mut frames = Frames::new(&said, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            match frame.map(Frame::decode) {
                Ok(Ok(frame)) => self.say_frame(&frame, facts),
                _ => self.is_garbled = true,
            }
            if self.is_garbled {
                return;
            }
        }
        self.said = frames.rest().to_vec();
    }

    /// Takes what the server writes.
    pub(super) fn tell(&mut self, bytes: &[u8], facts: &mut Facts) {
        self.told.extend_from_slice(bytes);
        let told = std::mem::take(&mut self.told);
        let mut frames = Frames::new(&told, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame.expect("a server's length")).expect("a server's frame");
            self.tell_frame(&frame, facts);
        }
        assert!(frames.rest().is_empty(), "the server writes whole frames");
    }

    fn tell_frame(&mut self, frame: &Frame<'_>, facts: &mut Facts) {
        match (self.stage, frame) {
            (Stage::Before, Frame::Refuse { code, .. }) => {
                assert_ne!(*code, Code::None);
                self.stage = Stage::Over;
            }
            (Stage::Before, Frame::Welcome(welcome)) => self.welcome(welcome, facts),
            (Stage::Online, Frame::Goodbye(goodbye)) => {
                assert_ne!(goodbye.code, Code::Internal, "{}", goodbye.detail);
                self.stage = Stage::Over;
            }
            (Stage::Online, frame) => self.tell_session(frame, facts),
            (stage, frame) => panic!("{frame:?} comes at {stage:?}"),
        }
    }

    fn welcome(&mut self, welcome: &Welcome<'_>, facts: &Facts) {
        let (user, device) = self.identity;
        let is_known = facts.ledger.devices(user).any(|(known, _)| known == device);
        assert!(is_known, "{user}.{device} is welcome before it is stored");
        facts.check_heads(user, &welcome.heads);
        self.stage = Stage::Online;
    }
}
