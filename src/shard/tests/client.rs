//! A client in a test: it speaks real bytes, says in words what it was told, and checks what the
//! protocol promises on every frame.

use std::collections::BTreeMap;

use fulmar_protocol::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupReceipt, GroupRejected,
};
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::people::{Found, Item, Profile, PutRejected};
use fulmar_protocol::{Assembly, Code, Deliver, Frame, Frames, Pairs};

use crate::shard::{ConnId, DeviceId, UserId};

/// See the module's description.
pub(super) struct Client {
    pub(super) core: usize,
    pub(super) conn: ConnId,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    /// The server closed it, or it closed itself.
    pub(super) is_closed: bool,
    /// The server doesn't receive from it.
    pub(super) is_paused: bool,
    /// It doesn't read, so what the server writes isn't done.
    pub(super) is_stalled: bool,
    /// What it wrote and the server didn't receive.
    pub(super) outgoing: Vec<u8>,
    /// What the server writes and it doesn't read.
    pub(super) incoming: Option<Vec<u8>>,
    /// What it was told since it was last asked, in words.
    pub(super) told: Vec<String>,
    /// Everything that was delivered on this connection.
    pub(super) delivered: Vec<Delivered>,
    /// Bytes of frames as they came.
    pub(super) received_bytes: usize,
    pub(super) received_frames: usize,
    unread: Vec<u8>,
    pub(super) cursor: u64,
    /// Where the log stands: last position delivered or skipped.
    pub(super) position: Option<u64>,
    pub(super) acked: u64,
    /// How far it has each group.
    pub(super) groups: BTreeMap<u64, u64>,
    /// Groups that notices told of.
    pub(super) notices: Vec<u64>,
    /// The large body that is under way, and whose it is.
    large: Option<(Of, Assembly)>,
    /// What came in the inbox behind a large one.
    held: Vec<Delivered>,
    /// Number of the session.
    pub(super) session: u64,
}

/// What a large body belongs to.
enum Of {
    Inbox(Delivered),
    /// Of a group or a page: what is told before its length.
    Other(String),
}

/// A message as the client got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) position: u64,
    pub(super) peer: UserId,
    pub(super) ordinal: u64,
    pub(super) own: bool,
    pub(super) time_ms: u64,
    pub(super) content: u8,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(core: usize, conn: ConnId) -> Self {
        Client {
            core,
            conn,
            user: 0,
            device: 0,
            is_closed: false,
            is_paused: false,
            is_stalled: false,
            outgoing: Vec::new(),
            incoming: None,
            told: Vec::new(),
            delivered: Vec::new(),
            received_bytes: 0,
            received_frames: 0,
            unread: Vec::new(),
            cursor: 0,
            position: None,
            acked: 0,
            groups: BTreeMap::new(),
            notices: Vec::new(),
            large: None,
            held: Vec::new(),
            session: 0,
        }
    }

    /// Takes bytes from the server.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.received_bytes += bytes.len();
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let mut frames = Frames::new(&unread, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame.expect("a frame's length")).expect("a frame");
            self.received_frames += 1;
            self.take(&frame);
        }
        self.unread = frames.rest().to_vec();
    }

    fn take(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Deliver(deliver) => self.deliver(deliver),
            Frame::Part { body } => self.part(body),
            Frame::GroupDeliver(deliver) => self.group_deliver(deliver),
            Frame::GroupSkip { group, position } => {
                let known = self.groups.entry(*group).or_default();
                assert!(*position > *known, "skip to {position} after {known}");
                *known = *position;
            }
            Frame::GroupNotice(notice) => {
                self.position = Some(notice.position);
                self.told.push(format!("notice @{} by {}", notice.position, notice.by));
                self.notices.push(notice.group);
            }
            Frame::Past(past) => self.past(past),
            Frame::Skip { position } => {
                let from = self.position.unwrap_or(0);
                assert!(*position > from, "skip to {position} after {from}");
                self.position = Some(*position);
                self.told.push(format!("skip @{position}"));
            }
            frame => {
                if let Frame::Welcome(welcome) = frame {
                    self.session = welcome.session;
                }
                self.told.push(words(frame));
            }
        }
    }

    fn group_deliver(&mut self, deliver: &GroupDeliver<'_>) {
        let GroupDeliver { group, position, author, own, content, total_bytes, body, .. } =
            *deliver;
        let known = self.groups.entry(group).or_default();
        assert_eq!(position, *known + 1, "a gap in group {group}");
        *known = position;
        let own = if own { "own " } else { "" };
        if let Some(total_bytes) = total_bytes {
            self.begin(Of::Other(format!("{own}@{position} {author}:")), total_bytes, body);
            return;
        }
        let body = if content == CONTENT_CHANGE {
            change_words(&Change::decode(body).expect("a change"))
        } else {
            String::from_utf8_lossy(body).into_owned()
        };
        self.told.push(format!("{own}@{position} {author}: {body}"));
    }

    fn past(&mut self, past: &Past<'_>) {
        let Past { group, position, peer, ordinal, own, total_bytes, body, .. } = *past;
        let own = if own { " own" } else { "" };
        let place = if group == 0 { format!("{peer}#{ordinal}") } else { format!("{peer}") };
        let told = format!("past{own} @{position} {place}");
        match total_bytes {
            None => self.told.push(format!("{told} {}", String::from_utf8_lossy(body))),
            Some(total_bytes) => self.begin(Of::Other(told), total_bytes, body),
        }
    }

    fn begin(&mut self, of: Of, total_bytes: u64, body: &[u8]) {
        assert!(self.large.is_none(), "two large bodies");
        self.large = Some((of, Assembly::new(total_bytes as usize, body)));
    }

    fn deliver(&mut self, deliver: &Deliver<'_>) {
        // The first may repeat what the device has; after that there is no gap.
        match self.position {
            Some(last) => assert_eq!(deliver.position, last + 1, "a gap"),
            None => assert!(deliver.position <= self.cursor + 1, "a gap after the cursor"),
        }
        self.position = Some(deliver.position);
        let Deliver { position, peer, ordinal, own, time_ms, content, .. } = *deliver;
        let body = deliver.body.to_vec();
        let delivered = Delivered { position, peer, ordinal, own, time_ms, content, body };
        match deliver.total_bytes {
            Some(total_bytes) => self.begin(Of::Inbox(delivered), total_bytes, deliver.body),
            None if self.is_mid_message() => self.held.push(delivered),
            None => self.complete(delivered),
        }
    }

    const fn is_mid_message(&self) -> bool {
        matches!(self.large, Some((Of::Inbox(_), _)))
    }

    fn part(&mut self, body: &[u8]) {
        let (of, mut assembly) = self.large.take().expect("a large body in progress");
        if !assembly.push(body).expect("no more than announced") {
            self.large = Some((of, assembly));
            return;
        }
        match of {
            Of::Other(told) => self.told.push(format!("{told} {} bytes", assembly.held_bytes())),
            Of::Inbox(mut delivered) => {
                delivered.body = assembly.into_body();
                self.complete(delivered);
                for delivered in std::mem::take(&mut self.held) {
                    self.complete(delivered);
                }
            }
        }
    }

    fn complete(&mut self, delivered: Delivered) {
        let Delivered { position, peer, ordinal, .. } = delivered;
        let own = if delivered.own { "own" } else { "deliver" };
        let body = match delivered.body.len() {
            0..100 => String::from_utf8_lossy(&delivered.body).into_owned(),
            len => format!("{len} bytes"),
        };
        self.told.push(format!("{own} @{position} {peer}#{ordinal} {body}"));
        self.delivered.push(delivered);
    }

    /// The last position up to which it has everything, as far as this connection told.
    pub(super) fn complete_through(&self) -> u64 {
        match &self.large {
            Some((Of::Inbox(message), _)) => message.position - 1,
            _ => self.position.unwrap_or(0),
        }
    }

    /// Messages that were delivered and not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.delivered.iter().filter(|delivered| delivered.position > self.acked).count()
    }
}

/// A change in a few words; its value where a test looks at it.
fn change_words(change: &Change<'_>) -> String {
    let users: Vec<u64> = change.users.iter().collect();
    let name = change.action.name();
    match change.action {
        Action::Describe => format!("{name} {}", String::from_utf8_lossy(change.value)),
        Action::ShowHistory => format!("{name} {:?}", change.value),
        _ => format!("{name} {users:?}"),
    }
}

/// A frame in a few words.
fn words(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Welcome(welcome) => format!("welcome {}", head(&welcome.heads)),
        Frame::Refuse { code, .. } => format!("refused {}", code.name()),
        Frame::Sent { peer, number, ordinal, .. } => format!("sent {peer} n{number} #{ordinal}"),
        Frame::Rejected { peer, number, code, .. } => {
            format!("rejected {peer} n{number} {}", code.name())
        }
        Frame::Receipt { peer, delivered, read, own } => {
            let own = if *own { "own " } else { "" };
            format!("{own}receipt {peer} delivered {delivered} read {read}")
        }
        Frame::Pong { heads } => format!("pong {}", head(heads)),
        Frame::Goodbye(goodbye) => format!("goodbye {}", goodbye.code.name()),
        Frame::GroupSent { group, number, position, .. } => {
            format!("group {group} sent n{number} @{position}")
        }
        Frame::GroupRejected(rejected) => {
            let GroupRejected { group, number, code, .. } = rejected;
            format!("group {group} rejected n{number} {}", code.name())
        }
        Frame::GroupReceipt(receipt) => {
            let GroupReceipt { position, members, delivered, read, who, .. } = receipt;
            let all = (receipt.delivered_all, receipt.read_all);
            let who: Vec<_> = who.iter().collect();
            format!("receipt @{position} of {members}: {delivered} {read}, all {all:?} {who:?}")
        }
        Frame::GroupRead { group, position } => format!("group {group} read @{position}"),
        Frame::GroupGone { group, position } => format!("group {group} gone @{position}"),
        Frame::GroupState(state) => {
            let roles: Vec<_> = state.roles.iter().collect();
            let name = String::from_utf8_lossy(state.name);
            let shows = if state.shows_history { " to all" } else { "" };
            let info = match state.info {
                b"" => String::new(),
                info => format!(" ({})", String::from_utf8_lossy(info)),
            };
            format!("group {} is {name}{info}, head {}{shows} {roles:?}", state.group, state.head)
        }
        Frame::Presence { user, is_online: true, .. } => format!("presence {user} online"),
        Frame::Presence { user, last_seen_ms, .. } => {
            format!("presence {user} seen {last_seen_ms}")
        }
        Frame::Typing { group, user, is_typing } if *group > 0 => {
            format!("typing {user} in a group: {is_typing}")
        }
        Frame::Typing { group: 0, user, is_typing: true } => format!("typing {user}"),
        Frame::Typing { group: 0, user, is_typing: false } => format!("typing {user} stopped"),
        Frame::HistoryEnd(HistoryEnd { from, through, has_more, .. }) => {
            let more = if *has_more { ", more" } else { "" };
            format!("end @{from} to @{through}{more}")
        }
        frame => people(frame),
    }
}

/// A frame about people in a few words.
fn people(frame: &Frame<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match frame {
        Frame::Item(Item { version, item, key, value }) => {
            format!("item v{version} {item}/{} = {}", text(key), text(value))
        }
        Frame::PutRejected(PutRejected { item, key, code, .. }) => {
            format!("put {item}/{} rejected {}", text(key), code.name())
        }
        Frame::Book { version, head, reset: false } => format!("book {version} of {head}"),
        Frame::Book { head, .. } => format!("book reset, of {head}"),
        Frame::Profile(Profile { user, version, name, status, avatar }) => {
            format!("profile {user} v{version} {} {} {}", text(name), text(status), text(avatar))
        }
        Frame::ProfileNews { user, version } => format!("profile news {user} v{version}"),
        Frame::Found(Found { name, user, code: Code::None, .. }) => {
            format!("found {} {user}", text(name))
        }
        Frame::Found(Found { name, code, retry_after_ms, .. }) => {
            format!("found {} {} after {retry_after_ms}", text(name), code.name())
        }
        frame => panic!("a server doesn't send {frame:?}"),
    }
}

fn head(heads: &Pairs<'_>) -> u64 {
    assert_eq!(heads.len(), 1, "the inbox is the only log");
    heads.iter().next().expect("one pair").1
}
