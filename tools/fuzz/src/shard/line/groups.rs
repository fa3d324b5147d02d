//! Groups on one connection: what a client sends to them and how far it says that it has them, and what it is
//! told.

use std::collections::{BTreeMap, VecDeque};

use fulmar::shard::{DeviceId, GroupId, UserId};
use fulmar_protocol::group::{CONTENT_CHANGE, GroupDeliver, GroupSend};
use fulmar_protocol::{Assembly, Code, Frame};

use super::super::facts::{Facts, Target};
use super::{Arriving, Line, Upload};

/// The share of the window that one group may have.
const SHARE: u64 = 4;

/// A group as it comes.
#[derive(Debug, Default)]
struct Feed {
    /// What the client said last that it has.
    resumed: u64,
    /// The next position, once something was told.
    next: Option<u64>,
    acked: u64,
    /// How often it may still go back: the user was added, or the client asked for something once more.
    renewals: usize,
    /// Positions without acknowledgement, and their bytes.
    window: VecDeque<(u64, u64)>,
}

/// A send or change.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    /// All of it was said.
    is_whole: bool,
    is_answered: bool,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct Groups {
    /// The client said that it takes groups.
    is_taking: bool,
    feeds: BTreeMap<GroupId, Feed>,
    /// By group and number. A device that repeats a send on the same connection is answered once, or again.
    sent: BTreeMap<(GroupId, u64), Sent>,
}

impl Groups {
    pub(super) fn check_answered(&self, who: (UserId, DeviceId)) {
        let mut whole = self.sent.iter().filter(|(_, sent)| sent.is_whole);
        let open = whole.find(|(_, sent)| !sent.is_answered);
        assert!(open.is_none(), "{who:?} waits for the answer to {open:?}");
    }

    /// The last position of a group that was told, or that the client has.
    pub(in super::super) fn through(&self, group: GroupId) -> u64 {
        self.feeds.get(&group).map_or(0, |feed| feed.next.map_or(feed.resumed, |next| next - 1))
    }

    /// The groups of which something was told that isn't acknowledged.
    pub(in super::super) fn unacknowledged(&self) -> Vec<(GroupId, u64)> {
        let told =
            self.feeds.iter().filter_map(|(&group, feed)| Some((group, feed.next? - 1, feed)));
        let open = told.filter(|(_, through, feed)| through > &feed.acked);
        open.map(|(group, through, _)| (group, through)).collect()
    }

    /// The user's time in a group may begin anew.
    pub(super) fn renew(&mut self, group: GroupId) {
        self.feeds.entry(group).or_default().renewals += 1;
    }

    fn acknowledge(&mut self, group: GroupId, position: u64) {
        let feed = self.feeds.entry(group).or_default();
        feed.acked = feed.acked.max(position);
        while feed.window.front().is_some_and(|&(first, _)| first <= position) {
            feed.window.pop_front();
        }
    }

    /// A send or change is answered; under which of its numbers the answer to one that makes a group comes.
    fn answer(&mut self, group: GroupId, number: u64) -> Option<GroupId> {
        let is_sent = |of: &GroupId| self.sent.contains_key(&(*of, number));
        let of = [group, 0].into_iter().find(is_sent)?;
        self.sent.entry((of, number)).or_default().is_answered = true;
        Some(of)
    }
}

impl Feed {
    /// Notes that a position comes, or is passed over; the first one of those passed over.
    fn advance(&mut self, position: u64, is_skip: bool) -> u64 {
        let first = self.next.unwrap_or_else(|| self.resumed.min(position - 1) + 1);
        if position < first {
            assert!(self.renewals > 0, "{position} comes after {self:?}");
            self.renewals -= 1;
            self.window.retain(|&(known, _)| known < position);
        }
        let is_gap = !is_skip && self.next.is_some() && position > first;
        assert!(!is_gap, "a gap before {position} in {self:?}");
        self.next = Some(position + 1);
        first
    }
}

impl Line {
    /// Takes a frame about groups; `false` for any other.
    pub(super) fn say_of_groups(&mut self, frame: &Frame<'_>, facts: &mut Facts) -> bool {
        let (user, _) = self.identity;
        match *frame {
            Frame::GroupSend(ref send) => self.say_group_send(send, facts),
            Frame::GroupChange { group, number, ref change } => {
                let mut body = Vec::new();
                change.encode(&mut body);
                self.offer_in(group, number, (CONTENT_CHANGE, &body), facts);
            }
            Frame::GroupResume { ref cursors } => {
                self.groups.is_taking = true;
                for (group, cursor) in cursors.iter() {
                    let feed = self.groups.feeds.entry(group).or_default();
                    feed.resumed = cursor;
                    feed.renewals += 1;
                    self.groups.acknowledge(group, cursor);
                    facts.acknowledge_in(group, self.identity, cursor);
                }
            }
            Frame::GroupAck { group, position } => {
                self.groups.acknowledge(group, position);
                facts.acknowledge_in(group, self.identity, position);
            }
            Frame::GroupRead { group, position } => {
                facts.known.say(group, user, position, position);
            }
            Frame::GroupAsk { .. } | Frame::GroupLook { .. } => {}
            _ => return false,
        }
        true
    }

    fn say_group_send(&mut self, send: &GroupSend<'_>, facts: &mut Facts) {
        let GroupSend { group, number, content, total_bytes, body } = *send;
        let Some(all_bytes) = total_bytes else {
            self.offer_in(group, number, (content, body), facts);
            return;
        };
        if !matches!(self.upload, Upload::None) {
            self.is_garbled = true;
        } else if all_bytes > facts.limits.body_bytes_max {
            // It is turned down at once, for that or since its user isn't in the group.
            self.offer_in(group, number, (content, body), facts);
            self.upload = Upload::Ignored { rest_bytes: all_bytes - body.len() as u64 };
        } else {
            self.groups.sent.entry((group, number)).or_default();
            let assembly = Assembly::new(all_bytes as usize, body);
            self.upload = Upload::Taken { to: Target::Group(group), number, content, assembly };
        }
    }

    pub(super) fn offer_in(
        &mut self,
        group: GroupId,
        number: u64,
        (content, body): (u8, &[u8]),
        facts: &mut Facts,
    ) {
        facts.offer_in(self.identity, group, number, (content, body));
        self.groups.sent.entry((group, number)).or_default().is_whole = true;
    }

    /// Takes what is told of groups; `false` for any other frame.
    pub(super) fn tell_of_groups(&mut self, frame: &Frame<'_>, facts: &mut Facts) -> bool {
        let identity = self.identity;
        match *frame {
            Frame::GroupSent { group, number, position, .. } => {
                let of = self.groups.answer(group, number);
                assert!(of.is_some() || self.is_garbled, "an answer has a question");
                facts.check_group_tick(identity, group, number, position);
            }
            Frame::GroupRejected(ref rejected) => {
                let of = self.groups.answer(rejected.group, rejected.number);
                assert!(of.is_some() || self.is_garbled, "an answer has a question");
                self.check_refusal(rejected.code);
            }
            Frame::GroupDeliver(ref deliver) => self.group_deliver(deliver, facts),
            Frame::GroupSkip { group, position } => {
                assert!(position <= facts.ledger.groups.head(group), "a skip to what isn't there");
                let feed = self.groups.feeds.entry(group).or_default();
                for skipped in feed.advance(position, true)..=position {
                    let groups = &facts.ledger.groups;
                    let is_settled = groups.is_settled(group, identity, skipped, &facts.known);
                    assert!(is_settled, "{identity:?} was never given {skipped} of {group}");
                }
            }
            Frame::GroupGone { group, position } => {
                assert!(position <= facts.ledger.groups.head(group));
                self.groups.renew(group);
            }
            Frame::GroupRead { group, position } => {
                facts.check_group_read(identity, group, position);
            }
            Frame::GroupReceipt(ref receipt) => facts.check_group_receipt(identity.0, receipt),
            Frame::GroupState(ref state) => facts.check_group_state(state),
            _ => return false,
        }
        true
    }

    fn check_refusal(&self, code: Code) {
        let is_of_groups = matches!(
            code,
            Code::NotAMember
                | Code::NotAllowed
                | Code::BadChange
                | Code::GroupFull
                | Code::QuotaExceeded
                | Code::StaleNumber
                | Code::BodyTooLarge
                | Code::BadContent
                | Code::NoSuchMessage
                | Code::NotYours
                | Code::TooOld
        );
        assert!(is_of_groups, "{code} to {:?}", self.identity);
    }

    fn group_deliver(&mut self, deliver: &GroupDeliver<'_>, facts: &Facts) {
        let GroupDeliver { group, position, body, total_bytes, .. } = *deliver;
        assert!(self.groups.is_taking, "groups come to who takes them");
        assert!(self.download.is_none() || total_bytes.is_none(), "two large bodies");
        facts.check_group_header(self.identity, deliver);
        let feed = self.groups.feeds.entry(group).or_default();
        feed.advance(position, false);
        let is_acked = position <= feed.acked;
        self.check_group_window(group, facts);
        if !is_acked {
            let bytes = total_bytes.unwrap_or(body.len() as u64);
            self.groups.feeds.entry(group).or_default().window.push_back((position, bytes));
        }
        match total_bytes {
            None => facts.check_group_entry(self.identity, deliver, body),
            Some(total_bytes) => {
                let assembly = Assembly::new(total_bytes as usize, body);
                let arriving = Arriving::Entry(GroupDeliver { body: &[], ..*deliver });
                self.download = Some((arriving, assembly));
            }
        }
    }

    /// There was room for one more.
    fn check_group_window(&self, group: GroupId, facts: &Facts) {
        let bytes = |feed: &Feed| feed.window.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let feeds = &self.groups.feeds;
        let of_all = feeds.values().fold((0, 0), |(count, sum), feed| {
            (count + feed.window.len() as u64, sum + bytes(feed))
        });
        let of_group = feeds.get(&group).map_or((0, 0), |it| (it.window.len() as u64, bytes(it)));
        let limits = facts.limits;
        for ((count, sum), count_max, bytes_max) in [
            (of_all, limits.window_messages, limits.window_bytes),
            (of_group, (limits.window_messages / SHARE).max(1), limits.window_bytes / SHARE),
        ] {
            let has_room = count < count_max && (count == 0 || sum < bytes_max);
            assert!(
                has_room,
                "{count} entries of {sum} bytes are under way, in {group} and others"
            );
        }
    }
}
