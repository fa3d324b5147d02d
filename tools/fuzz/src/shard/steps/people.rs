//! What a script can do about people: who is there, books, profiles, usernames.

use fulmar_protocol::people::{Chat, ChatSettings, item, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::super::Course;
use super::groups::users;
use super::{Step, peer};
use crate::script::Script;

/// Usernames that people want.
const NAMES: [&[u8]; 4] = [b"ann", b"bob.2", b"x_y", b"No Name"];

impl Course {
    /// What a client does about people.
    pub(super) fn of_people(&mut self, nth: usize, step: Step, script: &mut Script<'_>) {
        if step == Step::Typing {
            let (group, user) =
                if script.flag() { (self.group(script), 0) } else { (0, peer(script)) };
            let is_typing = script.flag();
            let out = &mut self.world.lines[nth].outgoing;
            Frame::Typing { group, user, is_typing }.encode(out);
            return;
        }
        let out = &mut self.world.lines[nth].outgoing;
        match step {
            Step::Watch => Frame::Watch { users: Numbers::Slice(&users(script)) }.encode(out),
            Step::Unwatch => Frame::Unwatch { users: Numbers::Slice(&users(script)) }.encode(out),
            Step::Activity => Frame::Activity { is_here: script.flag() }.encode(out),
            Step::Put => put(script, out),
            Step::BookResume => Frame::BookResume { version: script.number() }.encode(out),
            Step::ProfileLook => {
                let (user, version) = (peer(script), script.number());
                Frame::ProfileLook { user, version }.encode(out);
            }
            Step::Find => {
                let name = match script.byte() {
                    byte @ 0..200 => NAMES[usize::from(byte) % NAMES.len()],
                    _ => script.bytes(),
                };
                Frame::Find { name: &name[..name.len().min(32)] }.encode(out);
            }
            // The others are no client's.
            _ => {}
        }
    }
}

/// Sets or removes an item.
fn put(script: &mut Script<'_>, out: &mut Vec<u8>) {
    let kind = script.byte();
    let (item, key, value) = match kind % 8 {
        0 => (item::PROFILE, vec![script.byte() % 4], vec![b'p'; usize::from(script.byte())]),
        1 => (item::PRIVACY, vec![script.byte() % 5], vec![script.byte() % 4]),
        2 => (item::BLOCK, user_key(peer(script)), vec![1; usize::from(script.byte() % 3)]),
        3 => (item::CONTACT, user_key(peer(script)), vec![b'c'; usize::from(script.byte() % 9)]),
        4 => {
            let mut key = Vec::new();
            Chat::User(peer(script)).write(&mut key);
            let mut value = Vec::new();
            let is_pinned = script.flag();
            let muted_until_ms = script.number();
            ChatSettings { is_pinned, muted_until_ms, ..ChatSettings::default() }
                .encode(&mut value);
            (item::CHAT, key, value)
        }
        5 => {
            let name = NAMES[script.below(NAMES.len())].to_vec();
            (item::USERNAME, Vec::new(), if script.flag() { Vec::new() } else { name })
        }
        6 => (item::APPLICATION, vec![script.byte() % 4], vec![b'a'; usize::from(script.byte())]),
        _ => (script.byte(), script.bytes().to_vec(), script.bytes().to_vec()),
    };
    let (key, value) = (&key[..key.len().min(64)], &value[..value.len().min(1_024)]);
    Frame::Put { item, key, value }.encode(out);
}
