//! What a script can do about groups.

use fulmar::shard::{GroupId, UserId};
use fulmar_protocol::content::Target as Meant;
use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change, GroupSend};
use fulmar_protocol::{Frame, Numbers, Pairs};

use super::super::facts::Target;
use super::super::{Course, resume_groups};
use super::{Step, USERS, page, referring};
use crate::script::Script;

impl Course {
    /// A group that is stored, the first one where that many aren't, or any number.
    pub(super) fn group(&self, script: &mut Script<'_>) -> GroupId {
        let groups = &self.world.facts.ledger.groups.order;
        match script.byte() {
            byte @ 0..240 if !groups.is_empty() => groups[usize::from(byte) % groups.len()],
            byte @ 0..240 => GroupId::from(byte),
            _ => script.number(),
        }
    }

    /// What a client does about groups; `false` for any other step.
    pub(super) fn in_group(&mut self, nth: usize, step: Step, script: &mut Script<'_>) -> bool {
        match step {
            Step::GroupMake => {
                let users = users(script);
                let name = vec![b'n'; usize::from(script.byte())];
                self.change(nth, 0, Action::Create, &users, &name);
            }
            Step::GroupChange => {
                let group = self.group(script);
                let action = script.choose(&Action::ALL);
                let users = users(script);
                let value = match (action, script.byte()) {
                    (Action::ShowHistory, byte) => vec![byte % 3],
                    (_, byte) => vec![b'v'; usize::from(byte) * 8],
                };
                self.change(nth, group, action, &users, &value);
            }
            Step::GroupSend | Step::GroupSendLarge => {
                let to = Target::Group(self.group(script));
                self.send_text(nth, to, step == Step::GroupSendLarge, script);
            }
            Step::GroupContent => {
                let (group, content) = (self.group(script), script.byte());
                self.send_any(nth, Target::Group(group), content, script.bytes().to_vec(), 1);
            }
            Step::GroupRefer => {
                let group = self.group(script);
                let (content, body) =
                    referring(script, |script| Meant { of_peer: false, place: script.number() });
                self.send_any(nth, Target::Group(group), content, body, 1);
            }
            step => return self.say_of_groups(nth, step, script),
        }
        true
    }

    fn change(
        &mut self,
        nth: usize,
        group: GroupId,
        action: Action,
        users: &[UserId],
        value: &[u8],
    ) {
        let mut body = Vec::new();
        Change { action, users: Numbers::Slice(users), value }.encode(&mut body);
        self.send_any(nth, Target::Group(group), CONTENT_CHANGE, body, 1);
    }

    /// What isn't sent to a group.
    fn say_of_groups(&mut self, nth: usize, step: Step, script: &mut Script<'_>) -> bool {
        if step == Step::GroupResume {
            let is_true = script.byte() < 200;
            let all = self.world.facts.ledger.groups.order.clone();
            let facts = &self.world.facts;
            let line = &mut self.world.lines[nth];
            if is_true {
                resume_groups(line.identity, &all, facts, &mut line.outgoing);
            } else {
                let mut cursors: Vec<_> =
                    all.into_iter().map(|group| (group, script.number())).collect();
                cursors.sort_unstable();
                let cursors = Pairs::Slice(&cursors);
                Frame::GroupResume { cursors }.encode(&mut line.outgoing);
            }
            return true;
        }
        if step == Step::GroupAck {
            let line = &mut self.world.lines[nth];
            line.acknowledge_groups();
            return true;
        }
        let group = match step {
            Step::GroupAckAny
            | Step::GroupRead
            | Step::GroupAsk
            | Step::GroupLook
            | Step::GroupHistory => self.group(script),
            _ => return false,
        };
        let out = &mut self.world.lines[nth].outgoing;
        match step {
            Step::GroupHistory => page(group, script, out),
            Step::GroupAckAny => Frame::GroupAck { group, position: script.number() }.encode(out),
            Step::GroupRead => Frame::GroupRead { group, position: script.number() }.encode(out),
            Step::GroupAsk => {
                let (position, after) = (script.number(), script.number());
                Frame::GroupAsk { group, position, after }.encode(out);
            }
            _ => Frame::GroupLook { group, after: script.number() }.encode(out),
        }
        true
    }
}

/// Some of the users, a bit each, and perhaps one whom nobody knows.
pub(super) fn users(script: &mut Script<'_>) -> Vec<UserId> {
    let bits = script.byte();
    let known = (0..USERS).filter(|bit| bits >> bit & 1 == 1).map(|bit| 1 + bit as UserId);
    known.chain((bits & 0x80 > 0).then_some(1 << 40)).collect()
}

/// A message or a change, or the first piece of a message.
pub(super) fn frame(
    group: GroupId,
    number: u64,
    content: u8,
    total_bytes: Option<u64>,
    body: &[u8],
) -> Frame<'_> {
    match Change::decode(body) {
        Ok(change) if content == CONTENT_CHANGE => Frame::GroupChange { group, number, change },
        // A message can't be one.
        _ if content == CONTENT_CHANGE => {
            Frame::GroupSend(GroupSend { group, number, content: 0, total_bytes, body })
        }
        _ => Frame::GroupSend(GroupSend { group, number, content, total_bytes, body }),
    }
}
