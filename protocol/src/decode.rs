//! Bytes to frames. Borrows, never allocates, never panics.

mod fields;
mod group;
mod history;
mod people;
mod presence;

use crate::decode_error::DecodeError;
use crate::frame::{Deliver, Frame, Goodbye, Hello, Send, Welcome};
use crate::kind::{FLAG_OWN, KIND_MASK, Kind, SKIPPABLE_FIRST};
use crate::{MAGIC, limits};
pub(crate) use fields::Fields;
use fields::judge_total;

impl<'a> Frame<'a> {
    /// Reads one frame from its bytes after the length prefix, as [`Frames`](crate::Frames) gives
    /// them.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Frame<'a>, DecodeError> {
        let (&kind_byte, rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
        let number = kind_byte & KIND_MASK;
        let kind = match Kind::from_number(number) {
            Some(kind) => kind,
            None if number >= SKIPPABLE_FIRST => return Ok(Frame::Unknown { kind: kind_byte }),
            None => return Err(DecodeError::UnknownKind(number)),
        };
        let flags = kind_byte & !KIND_MASK;
        if flags & !kind.flags() != 0 {
            return Err(DecodeError::UnknownFlag(kind_byte));
        }
        let mut fields = Fields { rest };
        let frame = decode_fields(kind, flags, &mut fields)?;
        if fields.rest.is_empty() { Ok(frame) } else { Err(DecodeError::Trailing) }
    }
}

#[inline]
fn decode_fields<'a>(
    kind: Kind,
    flags: u8,
    fields: &mut Fields<'a>,
) -> Result<Frame<'a>, DecodeError> {
    Ok(match kind {
        Kind::Send => Frame::Send(decode_send(flags, fields)?),
        Kind::Deliver => Frame::Deliver(decode_deliver(flags, fields)?),
        Kind::Part => match fields.piece("part.body")? {
            [] => return Err(DecodeError::Truncated("part.body")),
            body => Frame::Part { body },
        },
        Kind::Sent => Frame::Sent {
            peer: fields.number("sent.peer")?,
            number: fields.number("sent.number")?,
            ordinal: fields.number("sent.ordinal")?,
            time_ms: fields.number("sent.time_ms")?,
        },
        Kind::Rejected => Frame::Rejected {
            peer: fields.number("rejected.peer")?,
            number: fields.number("rejected.number")?,
            code: fields.code("rejected.code")?,
            retry_after_ms: fields.number("rejected.retry_after_ms")?,
        },
        Kind::Skip => Frame::Skip { position: fields.number("skip.position")? },
        Kind::Ack => Frame::Ack { position: fields.number("ack.position")? },
        Kind::Read => Frame::Read {
            peer: fields.number("read.peer")?,
            ordinal: fields.number("read.ordinal")?,
        },
        Kind::Receipt => Frame::Receipt {
            peer: fields.number("receipt.peer")?,
            delivered: fields.number("receipt.delivered")?,
            read: fields.number("receipt.read")?,
            own: flags & FLAG_OWN != 0,
        },
        Kind::Ask => Frame::Ask { peer: fields.number("ask.peer")? },
        Kind::Ping => Frame::Ping,
        Kind::Pong => Frame::Pong { heads: fields.pairs("pong.heads", limits::LOGS_MAX)? },
        Kind::Hello => Frame::Hello(decode_hello(fields)?),
        Kind::Welcome => Frame::Welcome(decode_welcome(fields)?),
        Kind::Refuse => Frame::Refuse {
            code: fields.code("refuse.code")?,
            retry_after_ms: fields.number("refuse.retry_after_ms")?,
            detail: fields.text("refuse.detail", limits::DETAIL_BYTES_MAX)?,
        },
        Kind::Goodbye => Frame::Goodbye(Goodbye {
            code: fields.code("goodbye.code")?,
            retry_after_ms: fields.number("goodbye.retry_after_ms")?,
            address: fields.text("goodbye.address", limits::ADDRESS_BYTES_MAX)?,
            detail: fields.text("goodbye.detail", limits::DETAIL_BYTES_MAX)?,
        }),
        Kind::GroupSend => Frame::GroupSend(group::send(flags, fields)?),
        Kind::GroupSent => group::sent(fields)?,
        Kind::GroupRejected => Frame::GroupRejected(group::rejected(fields)?),
        Kind::GroupDeliver => Frame::GroupDeliver(group::deliver(flags, fields)?),
        Kind::GroupSkip => Frame::GroupSkip {
            group: fields.number("group_skip.group")?,
            position: fields.number("group_skip.position")?,
        },
        Kind::GroupAck => Frame::GroupAck {
            group: fields.number("group_ack.group")?,
            position: fields.number("group_ack.position")?,
        },
        Kind::GroupRead => Frame::GroupRead {
            group: fields.number("group_read.group")?,
            position: fields.number("group_read.position")?,
        },
        Kind::GroupReceipt => Frame::GroupReceipt(group::receipt(fields)?),
        Kind::GroupAsk => group::ask(fields)?,
        Kind::GroupChange => group::change_request(fields)?,
        Kind::GroupResume => Frame::GroupResume {
            cursors: fields.pairs("group_resume.cursors", limits::RESUME_MAX)?,
        },
        Kind::GroupLook => Frame::GroupLook {
            group: fields.number("group_look.group")?,
            after: fields.number("group_look.after")?,
        },
        Kind::GroupState => Frame::GroupState(group::state(fields)?),
        Kind::GroupNotice => Frame::GroupNotice(group::notice(fields)?),
        Kind::GroupGone => Frame::GroupGone {
            group: fields.number("group_gone.group")?,
            position: fields.number("group_gone.position")?,
        },
        Kind::Activity => Frame::Activity { is_here: fields.flag("activity.is_here")? },
        Kind::Watch => Frame::Watch { users: fields.numbers("watch.users", limits::USERS_MAX)? },
        Kind::Unwatch => {
            Frame::Unwatch { users: fields.numbers("unwatch.users", limits::USERS_MAX)? }
        }
        Kind::Presence => presence::presence(fields)?,
        Kind::Typing => presence::typing(fields)?,
        Kind::History => Frame::History(history::history(fields)?),
        Kind::Past => Frame::Past(history::past(flags, fields)?),
        Kind::HistoryEnd => Frame::HistoryEnd(history::end(fields)?),
        Kind::Put => people::put(fields)?,
        Kind::Item => people::item(fields)?,
        Kind::PutRejected => people::put_rejected(fields)?,
        Kind::BookResume => Frame::BookResume { version: fields.number("book_resume.version")? },
        Kind::Book => people::book(fields)?,
        Kind::ProfileLook => people::profile_look(fields)?,
        Kind::Profile => people::profile(fields)?,
        Kind::ProfileNews => people::profile_news(fields)?,
        Kind::Find => Frame::Find { name: fields.bytes("find.name", limits::NAME_BYTES_MAX)? },
        Kind::Found => people::found(fields)?,
    })
}

#[inline]
fn decode_send<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Send<'a>, DecodeError> {
    let peer = fields.number("send.peer")?;
    let number = fields.positive("send.number")?;
    let content = fields.byte("send.content")?;
    let total_bytes = fields.total_bytes(flags, "send.total_bytes")?;
    let body = fields.piece("send.body")?;
    judge_total(total_bytes, body, "send.total_bytes")?;
    Ok(Send { peer, number, content, total_bytes, body })
}

#[inline]
fn decode_deliver<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Deliver<'a>, DecodeError> {
    let position = fields.number("deliver.position")?;
    let peer = fields.number("deliver.peer")?;
    let ordinal = fields.number("deliver.ordinal")?;
    let time_ms = fields.number("deliver.time_ms")?;
    let content = fields.byte("deliver.content")?;
    let total_bytes = fields.total_bytes(flags, "deliver.total_bytes")?;
    let body = fields.piece("deliver.body")?;
    judge_total(total_bytes, body, "deliver.total_bytes")?;
    let own = flags & FLAG_OWN != 0;
    Ok(Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body })
}

fn decode_hello<'a>(fields: &mut Fields<'a>) -> Result<Hello<'a>, DecodeError> {
    if !fields.rest.starts_with(&MAGIC) {
        return Err(DecodeError::NotFulmar);
    }
    fields.rest = &fields.rest[MAGIC.len()..];
    Ok(Hello {
        version_min: fields.number("hello.version_min")?,
        version_max: fields.number("hello.version_max")?,
        capabilities: fields.number("hello.capabilities")?,
        user: fields.number("hello.user")?,
        device: fields.number("hello.device")?,
        token: fields.bytes("hello.token", limits::TOKEN_BYTES_MAX)?,
        agent: fields.text("hello.agent", limits::AGENT_BYTES_MAX)?,
        cursors: fields.pairs("hello.cursors", limits::LOGS_MAX)?,
    })
}

fn decode_welcome<'a>(fields: &mut Fields<'a>) -> Result<Welcome<'a>, DecodeError> {
    Ok(Welcome {
        version: fields.number("welcome.version")?,
        capabilities: fields.number("welcome.capabilities")?,
        session: fields.number("welcome.session")?,
        time_ms: fields.number("welcome.time_ms")?,
        body_bytes_max: fields.number("welcome.body_bytes_max")?,
        window_messages: fields.number("welcome.window_messages")?,
        window_bytes: fields.number("welcome.window_bytes")?,
        sends_max: fields.number("welcome.sends_max")?,
        idle_s: fields.number("welcome.idle_s")?,
        presence_s: fields.number("welcome.presence_s")?,
        heads: fields.pairs("welcome.heads", limits::LOGS_MAX)?,
    })
}
