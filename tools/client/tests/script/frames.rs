//! The server's side of a script: frames to say, and one line for each frame and event that came.

use fulmar_client::{Event, GroupChange, content};
use fulmar_protocol::history::History;
use fulmar_protocol::{Chunks, Deliver, Frame, Pairs, Welcome};

/// The server's clock in every script.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// The limits that a script's server states.
pub(crate) const WELCOME: Welcome<'static> = Welcome {
    version: 1,
    capabilities: 0,
    session: 5,
    time_ms: START_MS,
    body_bytes_max: 416_384,
    window_messages: 64,
    window_bytes: 1_000_000,
    sends_max: 4,
    idle_s: 90,
    presence_s: 30,
    heads: Pairs::Slice(&[]),
};

/// A delivery of a text.
pub(crate) fn deliver(position: u64, peer: u64, ordinal: u64, text: &str) -> Frame<'_> {
    let (time_ms, content) = (START_MS + position, content::TEXT);
    let (total_bytes, body) = (None, text.as_bytes());
    let own = false;
    Frame::Deliver(Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body })
}

/// A copy of what this user sent from another device.
pub(crate) fn own_copy(position: u64, peer: u64, ordinal: u64, text: &str) -> Frame<'_> {
    let Frame::Deliver(deliver) = deliver(position, peer, ordinal, text) else { unreachable!() };
    Frame::Deliver(Deliver { own: true, ..deliver })
}

/// The frames of a delivery that is cut.
pub(crate) fn deliver_large(position: u64, peer: u64, ordinal: u64, body: &[u8]) -> Vec<Frame<'_>> {
    let total_bytes = Some(Chunks::total_bytes(body).expect("a large body"));
    let mut chunks = Chunks::new(body);
    let (time_ms, content, own) = (START_MS, content::TEXT, false);
    let first = chunks.next().unwrap();
    let first =
        Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body: first };
    let parts = chunks.map(|body| Frame::Part { body });
    std::iter::once(Frame::Deliver(first)).chain(parts).collect()
}

/// A tick.
pub(crate) const fn tick(peer: u64, number: u64, ordinal: u64) -> Frame<'static> {
    Frame::Sent { peer, number, ordinal, time_ms: START_MS + 1 }
}

/// What a client without groups says behind every welcome, which scripts about other things leave out.
pub(crate) const NO_GROUPS: &str = "resume []";

/// What a client says about presence and its book, which scripts on sockets leave out.
#[allow(dead_code, reason = "the scripts of a session look at all of it")]
pub(crate) const IN_PASSING: &[&str] = &["here ", "watch ", "unwatch ", "typing ", "book "];

/// A receipt for what this user sent.
pub(crate) const fn receipt(peer: u64, delivered: u64, read: u64) -> Frame<'static> {
    Frame::Receipt { peer, delivered, read, own: false }
}

/// A body of many bytes, no two parts of which are alike.
pub(crate) fn large_body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

fn text(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if body.len() <= 40 => text.to_owned(),
        _ => format!("[{} bytes]", body.len()),
    }
}

/// One line for a frame of a client. Numbers of sends are shown from `base`.
pub(crate) fn describe(frame: &Frame<'_>, base: u64) -> String {
    match frame {
        Frame::Hello(hello) => {
            let cursors: Vec<_> = hello.cursors.iter().collect();
            let token = text(hello.token);
            format!("hello {}/{} {token} {} {cursors:?}", hello.user, hello.device, hello.agent)
        }
        Frame::Send(send) => {
            let number = send.number as i64 - base as i64;
            let of = send.total_bytes.map_or(String::new(), |total| format!(" of {total}"));
            format!("send {} #{number} {}{of}", send.peer, text(send.body))
        }
        Frame::Part { body } => format!("part {}", body.len()),
        Frame::Ack { position } => format!("ack {position}"),
        Frame::Read { peer, ordinal } => format!("read {peer} {ordinal}"),
        Frame::Ask { peer } => format!("ask {peer}"),
        Frame::GroupSend(send) => {
            let number = send.number as i64 - base as i64;
            let of = send.total_bytes.map_or(String::new(), |total| format!(" of {total}"));
            format!("group send {} #{number} {}{of}", send.group, text(send.body))
        }
        Frame::GroupChange { group, number, change } => {
            let number = *number as i64 - base as i64;
            let users: Vec<_> = change.users.iter().collect();
            format!(
                "change {group} #{number} {} {users:?} {}",
                change.action.name(),
                text(change.value)
            )
        }
        Frame::GroupResume { cursors } => {
            format!("resume {:?}", cursors.iter().collect::<Vec<_>>())
        }
        Frame::GroupAck { group, position } => format!("group ack {group} {position}"),
        Frame::GroupRead { group, position } => format!("group read {group} {position}"),
        Frame::GroupAsk { group, position, after: u64::MAX } => {
            format!("group ask {group} {position}")
        }
        Frame::GroupAsk { group, position, after } => {
            format!("group ask {group} {position} who after {after}")
        }
        Frame::GroupLook { group, after } => format!("look {group} {after}"),
        Frame::Activity { is_here } => format!("here {is_here}"),
        Frame::Watch { users } => format!("watch {:?}", users.iter().collect::<Vec<_>>()),
        Frame::Unwatch { users } => format!("unwatch {:?}", users.iter().collect::<Vec<_>>()),
        Frame::Typing { group, user, is_typing } => format!("typing {group} {user} {is_typing}"),
        Frame::History(history) => {
            let History { group, from, through, limit, newest_first } = *history;
            format!("history {group} @{from} to @{through}, {limit} {newest_first}")
        }
        Frame::Put { item, key, value } => {
            format!("put {item}/{} {}", key.escape_ascii(), text(value))
        }
        Frame::BookResume { version } => format!("book {version}"),
        Frame::ProfileLook { user, version } => format!("profile {user} {version}"),
        Frame::Find { name } => format!("find {}", text(name)),
        Frame::Ping => "ping".into(),
        Frame::Goodbye(goodbye) => format!("goodbye {}", goodbye.code.name()),
        other => panic!("a client never sends {other:?}"),
    }
}

/// One line for an event.
pub(crate) fn tell(event: &Event) -> String {
    match event {
        Event::Connected { session } => format!("connected {session}"),
        Event::Disconnected { reason, retry_in_ms } => {
            format!(
                "disconnected: {reason}{}",
                if retry_in_ms.is_some() { "" } else { "; for good" }
            )
        }
        Event::Refused { code, detail, retry_in_ms } => {
            let rest = if retry_in_ms.is_some() { "" } else { "; for good" };
            format!("refused {} {detail}{rest}", code.name())
        }
        Event::Message(message) => {
            let (position, ordinal) = (message.position.unwrap(), message.ordinal.unwrap());
            format!("message @{position} {} #{ordinal} {}", message.peer, text(&message.body))
        }
        Event::OwnCopy(message) => {
            let (position, ordinal) = (message.position.unwrap(), message.ordinal.unwrap());
            format!("own @{position} {} #{ordinal} {}", message.peer, text(&message.body))
        }
        Event::Ticked { id, peer, ordinal, .. } => format!("ticked {id} {peer} #{ordinal}"),
        Event::Rejected { id, peer, code, .. } => format!("rejected {id} {peer} {}", code.name()),
        Event::Delivered { peer, ordinal } => format!("delivered {peer} #{ordinal}"),
        Event::Read { peer, ordinal } => format!("read {peer} #{ordinal}"),
        Event::SeenElsewhere { peer, ordinal } => format!("seen {peer} #{ordinal}"),
        Event::GroupMessage(message) => {
            let (group, position) = (message.group.unwrap(), message.position.unwrap());
            assert_eq!(message.ordinal, Some(position));
            let own = if message.state.is_own() { " own" } else { "" };
            let told = match GroupChange::of_body(&message.body) {
                Some(change) if message.content == content::CHANGE => {
                    format!("{} {:?} {}", change.action.name(), change.users, text(&change.value))
                }
                _ => text(&message.body),
            };
            format!("group {group} @{position} {}{own}: {told}", message.peer)
        }
        Event::GroupTicked { id, group, position, .. } => {
            format!("group ticked {id} {group} @{position}")
        }
        Event::GroupRejected { id, group, code, .. } => {
            format!("group rejected {id} {group} {}", code.name())
        }
        Event::AddedToGroup { group, by, .. } => format!("added to {group} by {by}"),
        Event::GroupGone { group, position } => format!("gone {group} @{position}"),
        Event::GroupState { group } => format!("state {group}"),
        Event::GroupReceipt { group, receipt } => format!(
            "receipt {group} @{} {} of {}, read {}",
            receipt.position, receipt.delivered, receipt.members, receipt.read
        ),
        Event::GroupWho { group, receipt, who } => {
            format!("who {group} @{} {who:?}", receipt.position)
        }
        Event::GroupSeenElsewhere { group, position } => format!("group seen {group} @{position}"),
        Event::Expired => "expired".into(),
        Event::HistoryFilled { group, entries, is_complete } => {
            format!("filled {group:?} {entries} {is_complete}")
        }
        Event::Presence { user, is_online, last_seen_ms } => {
            format!("presence {user} {is_online} {last_seen_ms}")
        }
        Event::Typing { group, user, is_typing } => format!("typing {group:?} {user} {is_typing}"),
        Event::Item { item, key, value } => {
            format!("item {item}/{} {}", key.escape_ascii(), text(value))
        }
        Event::PutRejected { item, key, code, .. } => {
            format!("put rejected {item}/{} {}", key.escape_ascii(), code.name())
        }
        Event::BookComplete => "book complete".into(),
        Event::Profile(known) => {
            format!("profile {} v{} {}", known.user, known.version, text(&known.name))
        }
        Event::Found { name, user, code, .. } => {
            format!("found {name} {user:?} {}", code.name())
        }
        Event::InboxWentBack { cursor, head } => format!("went back from {cursor} to {head}"),
        Event::GroupWentBack { group, cursor, head } => {
            format!("{group} went back from {cursor} to {head}")
        }
        Event::StoreFailed { detail } => format!("store failed: {detail}"),
    }
}
