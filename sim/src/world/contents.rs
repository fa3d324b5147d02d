//! What people do to messages that are there: they edit them, take them back, react to them; now and then also to
//! those that aren't theirs, or that there never were. And they mention each other.

use fulmar_client::core::Session;
use fulmar_client::store::Store as _;
use fulmar_client::{Change, Message, content};
use fulmar_protocol::Numbers;
use fulmar_protocol::content::{Content, Target};

use super::World;
use crate::coverage::Happening;
use crate::device;

/// Bytes of a reaction that takes nothing back.
const REACTION_BYTES: usize = 8;

impl World {
    /// A person does something to a message, or tries to.
    pub(super) fn refer(&mut self, device: u32) {
        let remembered = &self.devices[device as usize].remembered;
        if remembered.is_empty() {
            return;
        }
        let id = remembered[self.contents.index(remembered.len())];
        // It may be over, or be one that only refers to another.
        let Ok(Some(message)) = self.devices[device as usize].store.message(id) else { return };
        match self.contents.below(100) {
            0..35 => self.react(device, &message),
            35..60 => self.edit(device, &message),
            60..75 => self.change(device, &message, Change::Delete, Happening::Delete),
            75..85 => self.mention(device, &message),
            _ => self.refer_wrongly(device, &message),
        }
    }

    fn react(&mut self, device: u32, message: &Message) {
        self.serial += 1;
        let body = device::body(self.serial, REACTION_BYTES);
        if self.contents.once_in(6) {
            self.change(device, message, Change::React(b""), Happening::Unreact);
        } else {
            self.change(device, message, Change::React(&body), Happening::React);
        }
    }

    fn edit(&mut self, device: u32, message: &Message) {
        self.serial += 1;
        let (usual, large_percent) = (self.plan.body_bytes, self.plan.large_percent);
        let bytes = device::body_bytes(&mut self.contents, usual, large_percent);
        let body = device::body(self.serial, bytes);
        self.change(device, message, Change::Edit(&body), Happening::Edit);
    }

    /// What is allowed is sent.
    fn change(&mut self, device: u32, message: &Message, change: Change<'_>, what: Happening) {
        if let Some((content, body)) = message.change(change) {
            self.send_about(device, message, content, body, what);
        }
    }

    fn mention(&mut self, device: u32, message: &Message) {
        self.serial += 1;
        let mut users = vec![self.contents.pick(&self.users), self.contents.pick(&self.users)];
        users.sort_unstable();
        users.dedup();
        let body = device::body(self.serial, 40);
        let mention = Content::Mention { users: Numbers::Slice(&users), content: 1, body: &body };
        self.send_content(device, message, &mention, Happening::Mention);
    }

    /// Somebody else's message is edited or deleted, or one that there isn't, or what is sent makes no sense.
    fn refer_wrongly(&mut self, device: u32, message: &Message) {
        let Some(place) = message.ordinal else { return };
        let beyond = place + self.contents.between(1_000_000..=2_000_000);
        let what = Happening::WrongReference;
        self.serial += 1;
        let body = device::body(self.serial, REACTION_BYTES);
        let of_peer = message.group.is_none() && self.contents.percent(50);
        let edit = |target| Content::Edit { target, body: &body };
        match self.contents.below(6) {
            0 => self.send_content(device, message, &edit(place), what),
            1 => self.send_content(device, message, &Content::Delete { target: place }, what),
            2 => self.send_content(device, message, &edit(beyond), what),
            3 => self.send_content(device, message, &Content::Delete { target: beyond }, what),
            4 => {
                let target = Target { of_peer, place: beyond };
                let reaction = Content::Reaction { target, body: &body };
                self.send_content(device, message, &reaction, what);
            }
            _ => {
                // Nothing has number 0, and a reaction says whose message it means.
                let (content, body) = self.contents.pick(&[
                    (content::EDIT, &b"\0new"[..]),
                    (content::DELETE, b""),
                    (content::REACTION, b"\x07\x01"),
                ]);
                self.send_about(device, message, content, body.to_vec(), what);
            }
        }
    }

    fn send_content(
        &mut self,
        device: u32,
        message: &Message,
        content: &Content<'_>,
        what: Happening,
    ) {
        let mut body = Vec::new();
        content.encode(&mut body);
        self.send_about(device, message, content.number(), body, what);
    }

    /// Sends something to where a message came from or went.
    fn send_about(
        &mut self,
        device: u32,
        message: &Message,
        content: u8,
        body: Vec<u8>,
        what: Happening,
    ) {
        let target = message.target();
        let taken = self.with_session(device, |session: &mut Session, now, actions| {
            session.send_to(now, target, content, body.into(), actions).is_ok()
        });
        if taken == Some(true) {
            self.coverage.hit(what);
        }
    }
}
