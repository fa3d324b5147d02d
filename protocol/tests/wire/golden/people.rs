//! Vectors of the frames about people.

use fulmar_protocol::people::{Found, Item, Profile, PutRejected};
use fulmar_protocol::{Frame, Kind};
use serde_json::{Value, json};

use super::{Fields, exact, hex};

impl Fields<'_> {
    /// The frame with these fields, of a kind that is about people.
    pub(super) fn people_frame(&self, kind: Kind) -> Frame<'_> {
        let number = |field| self.number(field);
        let (user, version) = (|| number("user"), || number("version"));
        let key = &self.more[0];
        match kind {
            Kind::Put => Frame::Put { item: self.byte("item"), key, value: &self.bytes },
            Kind::Item => {
                let item = self.byte("item");
                Frame::Item(Item { version: version(), item, key, value: &self.bytes })
            }
            Kind::PutRejected => Frame::PutRejected(PutRejected {
                item: self.byte("item"),
                key,
                code: self.code(),
                retry_after_ms: number("retry_after_ms"),
            }),
            Kind::BookResume => Frame::BookResume { version: version() },
            Kind::Book => {
                Frame::Book { version: version(), head: number("head"), reset: self.flag("reset") }
            }
            Kind::ProfileLook => Frame::ProfileLook { user: user(), version: version() },
            Kind::Profile => Frame::Profile(Profile {
                user: user(),
                version: version(),
                name: &self.bytes,
                status: &self.more[0],
                avatar: &self.more[1],
            }),
            Kind::ProfileNews => Frame::ProfileNews { user: user(), version: version() },
            Kind::Find => Frame::Find { name: &self.bytes },
            Kind::Found => Frame::Found(Found {
                name: &self.bytes,
                user: user(),
                code: self.code(),
                retry_after_ms: number("retry_after_ms"),
            }),
            other => panic!("not about people: {other:?}"),
        }
    }
}

/// The fields of a frame about people, as a vector states them.
pub(super) fn describe(frame: &Frame<'_>) -> Value {
    match *frame {
        Frame::Put { item, key, value } => {
            json!({ "item": item, "key": hex(key), "value": hex(value) })
        }
        Frame::Item(Item { version, item, key, value }) => json!({
            "version": exact(version), "item": item, "key": hex(key), "value": hex(value),
        }),
        Frame::PutRejected(PutRejected { item, key, code, retry_after_ms }) => json!({
            "item": item, "key": hex(key),
            "code": code.number(), "retry_after_ms": exact(retry_after_ms),
        }),
        Frame::BookResume { version } => json!({ "version": exact(version) }),
        Frame::Book { version, head, reset } => {
            json!({ "version": exact(version), "head": exact(head), "reset": reset })
        }
        Frame::ProfileLook { user, version } | Frame::ProfileNews { user, version } => {
            json!({ "user": exact(user), "version": exact(version) })
        }
        Frame::Profile(Profile { user, version, name, status, avatar }) => json!({
            "user": exact(user), "version": exact(version),
            "name": hex(name), "status": hex(status), "avatar": hex(avatar),
        }),
        Frame::Find { name } => json!({ "name": hex(name) }),
        Frame::Found(Found { name, user, code, retry_after_ms }) => json!({
            "name": hex(name), "user": exact(user),
            "code": code.number(), "retry_after_ms": exact(retry_after_ms),
        }),
        other => panic!("not about people: {other:?}"),
    }
}
