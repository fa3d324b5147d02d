//! What a script can do about people, about the past, and with contents that refer to other messages.

use std::sync::Arc;

use fulmar_client::people::{audience, item, privacy};
use fulmar_client::{Put, Target};
use fulmar_protocol::group::{CONTENT_CHANGE, GroupDeliver};
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::limits::{KEY_BYTES_MAX, PART_BYTES_MAX, VALUE_BYTES_MAX};
use fulmar_protocol::people::{Found, Item, Profile, PutRejected};
use fulmar_protocol::{Deliver, Frame};

use super::Course;
use super::groups::group;
use super::steps::{code, peer};
use crate::script::Script;

/// Usernames that people look for.
const NAMES: [&str; 3] = ["ann", "bob.2", "a name that is longer than any may be"];

impl Course {
    /// The next entry of the page under way, or one that nobody asked for.
    pub(super) fn past_frame(&mut self, script: &mut Script<'_>) {
        let (asked_group, next) = self.watch.page().unwrap_or((0, 1));
        let is_next = script.byte() < 220;
        let group = if is_next { asked_group } else { group(script) };
        let position = if is_next { next } else { script.number() };
        let (peer, ordinal, time_ms) = (peer(script), script.number(), script.number());
        let (content, own) = (script.byte(), script.flag());
        let filling = vec![b'x'; PART_BYTES_MAX];
        let body = match script.bytes() {
            [] => &filling[..usize::from(script.byte())],
            bytes => &bytes[..bytes.len().min(PART_BYTES_MAX)],
        };
        let total_bytes =
            (script.byte() >= 220).then(|| (body.len() as u64).saturating_add(script.number()));
        let past =
            Past { group, position, peer, ordinal, time_ms, content, own, total_bytes, body };
        self.receive_frame(&Frame::Past(past));
    }

    pub(super) fn past_ends(&mut self, script: &mut Script<'_>) {
        let (asked_group, next) = self.watch.page().unwrap_or((0, 1));
        let group = if script.byte() < 220 { asked_group } else { group(script) };
        let from = if script.byte() < 200 { next } else { script.number() };
        let (through, has_more) = (script.number(), script.flag());
        self.receive_frame(&Frame::HistoryEnd(HistoryEnd { group, from, through, has_more }));
    }

    /// The server says something about people.
    pub(super) fn people_frame(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let Put { item, key, value } = put(script);
        let version = script.number();
        let (key, value) = (&key[..], &value[..]);
        let cut = |bytes: &[u8], len: usize| bytes[..bytes.len().min(len)].to_vec();
        let frame = match what % 9 {
            0 | 1 => match self.watch.puts_in_flight().first().filter(|_| what.is_multiple_of(9)) {
                // The answer to what is under way.
                Some((item, key, value)) => {
                    let item = Item { version, item: *item, key, value };
                    return self.receive_frame(&Frame::Item(item));
                }
                None => Frame::Item(Item { version, item, key, value }),
            },
            2 => {
                let (code, retry_after_ms) = (code(script), script.number());
                match self.watch.puts_in_flight().first() {
                    Some((item, key, _)) => {
                        let rejected = PutRejected { item: *item, key, code, retry_after_ms };
                        return self.receive_frame(&Frame::PutRejected(rejected));
                    }
                    None => Frame::PutRejected(PutRejected { item, key, code, retry_after_ms }),
                }
            }
            3 => {
                let head = version.saturating_add(script.number());
                Frame::Book { version, head, reset: script.byte() > 200 }
            }
            4 => {
                let (user, name) = (peer(script), cut(value, 128));
                let (status, avatar) = (script.bytes(), b"");
                let status = &status[..status.len().min(512)];
                let profile = Profile { user, version, name: &name, status, avatar };
                return self.receive_frame(&Frame::Profile(profile));
            }
            5 => Frame::ProfileNews { user: peer(script), version },
            6 => {
                let name = cut(value, 32);
                let (user, code, retry_after_ms) = (peer(script), code(script), script.number());
                let found = Found { name: &name, user, code, retry_after_ms };
                return self.receive_frame(&Frame::Found(found));
            }
            7 => Frame::Presence {
                user: peer(script),
                is_online: script.flag(),
                last_seen_ms: version,
            },
            _ => {
                Frame::Typing { group: group(script), user: peer(script), is_typing: script.flag() }
            }
        };
        self.receive_frame(&frame);
    }

    /// The person does something about people, or wants to see what was before.
    pub(super) fn of_people(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let mut actions = Vec::new();
        let (session, now) = (&mut self.session, self.now);
        match what % 9 {
            0 => {
                let log = if script.flag() { Some(group(script)) } else { None };
                session.fill_history(now, log, script.number(), &mut actions);
            }
            1 => session.follow_book(now, &mut actions),
            2 | 3 => {
                let put = put(script);
                self.watch.puts(&put);
                session.put(now, put, &mut actions);
            }
            4 => session.look_at_profile(now, peer(script), &mut actions),
            5 => session.find(now, NAMES[script.below(NAMES.len())], &mut actions),
            6 => {
                let is_active = script.flag();
                session.set_active(now, is_active, &mut actions);
            }
            7 => {
                let users = [peer(script), peer(script)];
                if script.flag() {
                    session.unwatch(now, &users, &mut actions);
                } else {
                    self.watch.watches(&users);
                    session.watch(now, &users, &mut actions);
                }
            }
            _ => {
                let target = target(script);
                session.typing(now, target, script.flag(), &mut actions);
            }
        }
        self.carry_out(actions);
    }

    /// A message or an entry of any content, next in its log.
    pub(super) fn content_frame(&mut self, script: &mut Script<'_>) {
        let target = target(script);
        let (ordinal, time_ms, own) = (script.number(), script.number(), script.flag());
        let (content, body) = (script.byte(), script.bytes());
        let body = &body[..body.len().min(PART_BYTES_MAX)];
        let frame = match target {
            Target::Peer(peer) => Frame::Deliver(Deliver {
                position: self.watch.announced().saturating_add(1),
                peer,
                ordinal,
                time_ms,
                content,
                own,
                total_bytes: None,
                body,
            }),
            Target::Group(group) => Frame::GroupDeliver(GroupDeliver {
                group,
                position: self.watch.announced_in(group).saturating_add(1),
                author: peer(script),
                time_ms,
                content,
                own,
                total_bytes: None,
                body,
            }),
        };
        self.receive_frame(&frame);
    }

    /// The person's program sends what it likes.
    pub(super) fn send_content(&mut self, script: &mut Script<'_>) {
        let (target, content) = (target(script), script.byte());
        // That is a change, which is made otherwise.
        let content = if content == CONTENT_CHANGE { 0 } else { content };
        let body = Arc::from(script.bytes());
        let mut actions = Vec::new();
        let sent = self.session.send_to(self.now, target, content, body, &mut actions);
        assert!(sent.is_err() || !self.is_over);
        self.carry_out(actions);
    }
}

fn target(script: &mut Script<'_>) -> Target {
    if script.flag() { Target::Group(group(script)) } else { Target::Peer(peer(script)) }
}

/// An item of a book; one in a while doesn't fit.
fn put(script: &mut Script<'_>) -> Put {
    let kind = script.byte();
    match kind % 8 {
        0 => Put::block(peer(script)),
        1 => Put::unblock(peer(script)),
        2 => Put::contact(peer(script), script.bytes()),
        3 => Put::privacy(privacy::ONLINE, audience::NOBODY),
        4 => Put::profile(script.byte() % 4, script.bytes()),
        5 => Put::username(NAMES[script.below(NAMES.len())]),
        6 => {
            let (key, value) = (script.bytes().to_vec(), script.bytes().to_vec());
            Put { item: item::APPLICATION, key, value }
        }
        _ => Put {
            item: script.byte(),
            key: vec![b'k'; script.number() as usize % (KEY_BYTES_MAX + 2)],
            value: vec![b'v'; script.number() as usize % (VALUE_BYTES_MAX + 2)],
        },
    }
}
