//! What a script can do about groups.

use fulmar_client::{Action, GroupChange, Target};
use fulmar_protocol::group::{
    self, CONTENT_CHANGE, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected,
};
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Frame, Pairs};

use super::Course;
use super::steps::{code, peer};
use crate::script::Script;

/// Groups that there are.
const GROUPS: u64 = 3;

impl Course {
    /// The server says something about a group.
    pub(super) fn group_frame(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let group = group(script);
        let filling = vec![b'x'; PART_BYTES_MAX];
        let change = change(script).body();
        let pairs = [(peer(script), script.number()), (u64::MAX, 1)];
        let pairs = Pairs::Slice(&pairs[..script.below(3)]);
        let next = self.watch.announced_in(group).saturating_add(1);
        let frame = match what % 10 {
            0..=2 => {
                let position = if script.byte() < 230 { next } else { script.number() };
                let is_change = what % 10 == 2;
                let body = &filling[..usize::from(script.byte())];
                let total_bytes = (script.byte() >= 200)
                    .then(|| (body.len() as u64).saturating_add(script.number()));
                Frame::GroupDeliver(GroupDeliver {
                    group,
                    position,
                    author: peer(script),
                    time_ms: script.number(),
                    content: if is_change { CONTENT_CHANGE } else { script.byte() },
                    own: script.flag(),
                    total_bytes: if is_change { None } else { total_bytes },
                    body: if is_change { &change } else { body },
                })
            }
            3 => Frame::GroupSkip { group, position: next.saturating_add(script.number()) },
            4 => Frame::GroupGone { group, position: script.number() },
            5 => Frame::GroupRead { group, position: script.number() },
            6 => Frame::GroupReceipt(GroupReceipt {
                group,
                position: script.number(),
                members: script.number(),
                delivered: script.number(),
                read: script.number(),
                delivered_all: script.number(),
                read_all: script.number(),
                who: pairs,
            }),
            7 => Frame::GroupState(group::GroupState {
                group,
                head: script.number(),
                members: script.number(),
                shows_history: script.flag(),
                name: script.bytes(),
                info: b"",
                roles: pairs,
            }),
            8 => Frame::GroupNotice(GroupNotice {
                position: self.watch.announced().saturating_add(1 + u64::from(script.flag())),
                group,
                by: peer(script),
                time_ms: script.number(),
            }),
            _ => answer(group, script.number(), script),
        };
        self.receive_frame(&frame);
    }

    /// The person does something in a group.
    pub(super) fn in_group(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let group = group(script);
        let mut actions = Vec::new();
        match what % 6 {
            0 => self.send_to_group(group, vec![b'.'; usize::from(script.byte()) * 100]),
            1 => self.change_group(group, &change(script)),
            2 => self.resend(Target::Group(group)),
            3 => {
                let position = script.number();
                self.session.mark_group_read(self.now, group, position, &mut actions);
            }
            4 => self.session.look_group(self.now, group, &mut actions),
            _ => {
                let (position, after) = (script.number(), script.number());
                self.session.ask_group(self.now, group, position, after, &mut actions);
            }
        }
        self.carry_out(actions);
    }
}

/// An answer to a send or change.
pub(super) fn answer(of: u64, number: u64, script: &mut Script<'_>) -> Frame<'static> {
    // One that makes a group is answered with the group's number.
    let group = if of == 0 { group(script) } else { of };
    if script.byte() < 160 {
        let (position, time_ms) = (script.number(), script.number());
        Frame::GroupSent { group, number, position, time_ms }
    } else {
        let (code, retry_after_ms) = (code(script), script.number());
        Frame::GroupRejected(GroupRejected { group: of, number, code, retry_after_ms })
    }
}

/// A group, or none.
pub(super) fn group(script: &mut Script<'_>) -> u64 {
    match script.byte() {
        byte @ 0..230 => 20 + u64::from(byte) % GROUPS,
        230..234 => script.number(),
        _ => 0,
    }
}

fn change(script: &mut Script<'_>) -> GroupChange {
    let action = script.choose(&Action::ALL);
    let users: Vec<u64> = (0..script.below(4)).map(|_| peer(script)).collect();
    GroupChange { value: script.bytes().to_vec(), ..GroupChange::of_users(action, &users) }
}
