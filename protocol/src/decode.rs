//! Bytes to frames. Borrows, never allocates, never panics.

use crate::code::Code;
use crate::decode_error::DecodeError;
use crate::frame::{
    Deliver, FLAG_OWN, FLAG_PARTS, Frame, Goodbye, Hello, KIND_MASK, Kind, Numbers, Pairs,
    SKIPPABLE_FIRST, Send, Welcome,
};
use crate::group::{
    Action, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupSend, GroupState,
};
use crate::{MAGIC, limits, varint};

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
        Kind::GroupSend => Frame::GroupSend(decode_group_send(flags, fields)?),
        Kind::GroupDeliver => Frame::GroupDeliver(decode_group_deliver(flags, fields)?),
        Kind::Activity | Kind::Watch | Kind::Unwatch | Kind::Presence | Kind::Typing => {
            decode_presence(kind, fields)?
        }
        _ => decode_group(kind, fields)?,
    })
}

/// The frames about groups that carry no message.
fn decode_group<'a>(kind: Kind, fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    let group = match kind {
        Kind::GroupResume | Kind::GroupNotice => 0,
        _ => fields.number("group")?,
    };
    Ok(match kind {
        Kind::GroupSent => Frame::GroupSent {
            group,
            number: fields.number("group_sent.number")?,
            position: fields.number("group_sent.position")?,
            time_ms: fields.number("group_sent.time_ms")?,
        },
        Kind::GroupRejected => Frame::GroupRejected(GroupRejected {
            group,
            number: fields.number("group_rejected.number")?,
            code: fields.code("group_rejected.code")?,
            retry_after_ms: fields.number("group_rejected.retry_after_ms")?,
        }),
        Kind::GroupSkip => {
            Frame::GroupSkip { group, position: fields.number("group_skip.position")? }
        }
        Kind::GroupAck => Frame::GroupAck { group, position: fields.number("group_ack.position")? },
        Kind::GroupRead => {
            Frame::GroupRead { group, position: fields.number("group_read.position")? }
        }
        Kind::GroupReceipt => Frame::GroupReceipt(GroupReceipt {
            group,
            position: fields.number("group_receipt.position")?,
            members: fields.number("group_receipt.members")?,
            delivered: fields.number("group_receipt.delivered")?,
            read: fields.number("group_receipt.read")?,
            delivered_all: fields.number("group_receipt.delivered_all")?,
            read_all: fields.number("group_receipt.read_all")?,
            who: fields.pairs("group_receipt.who", limits::WHO_MAX)?,
        }),
        Kind::GroupAsk => Frame::GroupAsk {
            group,
            position: fields.number("group_ask.position")?,
            after: fields.number("group_ask.after")?,
        },
        Kind::GroupChange => {
            let number = fields.number("group_change.number")?;
            if number == 0 {
                return Err(DecodeError::Value("group_change.number"));
            }
            Frame::GroupChange { group, number, change: decode_change(fields)? }
        }
        Kind::GroupResume => Frame::GroupResume {
            cursors: fields.pairs("group_resume.cursors", limits::RESUME_MAX)?,
        },
        Kind::GroupLook => Frame::GroupLook { group, after: fields.number("group_look.after")? },
        Kind::GroupState => Frame::GroupState(GroupState {
            group,
            head: fields.number("group_state.head")?,
            members: fields.number("group_state.members")?,
            shows_history: fields.flag("group_state.shows_history")?,
            name: fields.bytes("group_state.name", limits::GROUP_VALUE_BYTES_MAX)?,
            info: fields.bytes("group_state.info", limits::GROUP_VALUE_BYTES_MAX)?,
            roles: fields.pairs("group_state.roles", limits::WHO_MAX)?,
        }),
        Kind::GroupNotice => Frame::GroupNotice(GroupNotice {
            position: fields.number("group_notice.position")?,
            group: fields.number("group_notice.group")?,
            by: fields.number("group_notice.by")?,
            time_ms: fields.number("group_notice.time_ms")?,
        }),
        Kind::GroupGone => {
            Frame::GroupGone { group, position: fields.number("group_gone.position")? }
        }
        other => return Err(DecodeError::UnknownKind(other as u8)),
    })
}

fn decode_presence<'a>(kind: Kind, fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(match kind {
        Kind::Activity => Frame::Activity { is_here: fields.flag("activity.is_here")? },
        Kind::Watch => Frame::Watch { users: fields.numbers("watch.users")? },
        Kind::Unwatch => Frame::Unwatch { users: fields.numbers("unwatch.users")? },
        Kind::Presence => Frame::Presence {
            user: fields.number("presence.user")?,
            is_online: fields.flag("presence.is_online")?,
            last_seen_ms: fields.number("presence.last_seen_ms")?,
        },
        _ => Frame::Typing {
            group: fields.number("typing.group")?,
            user: fields.number("typing.user")?,
            is_typing: fields.flag("typing.is_typing")?,
        },
    })
}

fn decode_change<'a>(fields: &mut Fields<'a>) -> Result<Change<'a>, DecodeError> {
    let action = Action::from_number(fields.byte("change.action")?)
        .ok_or(DecodeError::Value("change.action"))?;
    Ok(Change {
        action,
        users: fields.numbers("change.users")?,
        value: fields.bytes("change.value", limits::GROUP_VALUE_BYTES_MAX)?,
    })
}

impl<'a> Change<'a> {
    /// Reads the body of a [`CONTENT_CHANGE`](crate::group::CONTENT_CHANGE) entry.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields { rest: bytes };
        let change = decode_change(&mut fields)?;
        if fields.rest.is_empty() { Ok(change) } else { Err(DecodeError::Trailing) }
    }
}

#[inline]
fn decode_group_send<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<GroupSend<'a>, DecodeError> {
    let group = fields.number("group_send.group")?;
    let number = fields.number("group_send.number")?;
    if number == 0 {
        return Err(DecodeError::Value("group_send.number"));
    }
    let content = fields.byte("group_send.content")?;
    let total_bytes = fields.total_bytes(flags, "group_send.total_bytes")?;
    let body = fields.piece("group_send.body")?;
    judge_total(total_bytes, body, "group_send.total_bytes")?;
    Ok(GroupSend { group, number, content, total_bytes, body })
}

#[inline]
fn decode_group_deliver<'a>(
    flags: u8,
    fields: &mut Fields<'a>,
) -> Result<GroupDeliver<'a>, DecodeError> {
    let group = fields.number("group_deliver.group")?;
    let position = fields.number("group_deliver.position")?;
    let author = fields.number("group_deliver.author")?;
    let time_ms = fields.number("group_deliver.time_ms")?;
    let content = fields.byte("group_deliver.content")?;
    let total_bytes = fields.total_bytes(flags, "group_deliver.total_bytes")?;
    let body = fields.piece("group_deliver.body")?;
    judge_total(total_bytes, body, "group_deliver.total_bytes")?;
    let own = flags & FLAG_OWN != 0;
    Ok(GroupDeliver { group, position, author, time_ms, content, own, total_bytes, body })
}

#[inline]
fn decode_send<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Send<'a>, DecodeError> {
    let peer = fields.number("send.peer")?;
    let number = fields.number("send.number")?;
    if number == 0 {
        return Err(DecodeError::Value("send.number"));
    }
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
        heads: fields.pairs("welcome.heads", limits::LOGS_MAX)?,
    })
}

/// A body that is complete in its first frame is not cut, so each body has one form per cut.
#[inline]
fn judge_total(
    total_bytes: Option<u64>,
    body: &[u8],
    field: &'static str,
) -> Result<(), DecodeError> {
    match total_bytes {
        Some(total_bytes) if total_bytes <= body.len() as u64 => Err(DecodeError::Value(field)),
        _ => Ok(()),
    }
}

/// The unread rest of a frame's fields.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    fn number(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        match varint::read(self.rest) {
            Ok((value, taken)) => {
                self.rest = &self.rest[taken..];
                Ok(value)
            }
            Err(varint::VarintError::Truncated) => Err(DecodeError::Truncated(field)),
            Err(varint::VarintError::Invalid) => Err(DecodeError::Number(field)),
        }
    }

    #[inline]
    fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(byte)
    }

    /// All bytes that are left: a body, or a piece of one. The bound keeps room for the header of
    /// another frame around the same piece, so what one peer sent can always be delivered whole.
    #[inline]
    fn piece(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() > limits::PART_BYTES_MAX {
            return Err(DecodeError::TooLong(field));
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// The length of the whole body, where the flag says that parts follow.
    #[inline]
    fn total_bytes(&mut self, flags: u8, field: &'static str) -> Result<Option<u64>, DecodeError> {
        if flags & FLAG_PARTS == 0 {
            return Ok(None);
        }
        self.number(field).map(Some)
    }

    fn code(&mut self, field: &'static str) -> Result<Code, DecodeError> {
        let number = u16::try_from(self.number(field)?).map_err(|_| DecodeError::Value(field))?;
        Ok(Code::from_number(number))
    }

    fn bytes(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.number(field)?;
        if len > max as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let (bytes, rest) =
            self.rest.split_at_checked(len as usize).ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Text for logs and for people. Without control characters, so that a peer can neither forge a
    /// line of a log nor steer a terminal.
    fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        let text =
            std::str::from_utf8(self.bytes(field, max)?).map_err(|_| DecodeError::Text(field))?;
        if text.chars().any(char::is_control) {
            return Err(DecodeError::Text(field));
        }
        Ok(text)
    }

    /// Yes or no, in one form each.
    fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.number(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value(field)),
        }
    }

    /// Numbers in increasing order, so that a set has one encoding.
    fn numbers(&mut self, field: &'static str) -> Result<Numbers<'a>, DecodeError> {
        let count = self.number(field)?;
        if count > limits::USERS_MAX as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let start = self.rest;
        let mut before = 0;
        for _ in 0..count {
            let number = self.number(field)?;
            if number <= before {
                return Err(DecodeError::Value(field));
            }
            before = number;
        }
        let encoded = &start[..start.len() - self.rest.len()];
        Ok(Numbers::Encoded(encoded, count as usize))
    }

    /// Pairs of (log, position), each log once and in increasing order, so that a set of cursors
    /// has one encoding and no log has two answers.
    fn pairs(&mut self, field: &'static str, max: usize) -> Result<Pairs<'a>, DecodeError> {
        let count = self.number(field)?;
        if count > max as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let start = self.rest;
        let mut before = None;
        for _ in 0..count {
            let log = self.number(field)?;
            self.number(field)?;
            if before.is_some_and(|before| before >= log) {
                return Err(DecodeError::Value(field));
            }
            before = Some(log);
        }
        let encoded = &start[..start.len() - self.rest.len()];
        Ok(Pairs::Encoded(encoded, count as usize))
    }
}
