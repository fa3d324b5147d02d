//! Bytes to frames. Borrows, never allocates, never panics.

use std::fmt;

use crate::code::Code;
use crate::frame::{
    Deliver, FLAG_OWN, FLAG_PARTS, Frame, Goodbye, Hello, KIND_MASK, Kind, Pairs, SKIPPABLE_FIRST,
    Send, Welcome,
};
use crate::{MAGIC, limits, varint};

/// Why bytes are not a frame. Each names the field or the rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame has no kind byte.
    Empty,
    /// A kind that isn't defined and may not be skipped.
    UnknownKind(u8),
    /// A flag that this kind doesn't have.
    UnknownFlag(u8),
    /// The hello doesn't begin with the magic bytes.
    NotFulmar,
    /// The frame ends inside this field.
    Truncated(&'static str),
    /// This number is longer than 64 bits or not in its shortest form.
    Number(&'static str),
    /// This field is over its limit.
    TooLong(&'static str),
    /// This field is not valid UTF-8.
    Text(&'static str),
    /// This field has a value that isn't allowed.
    Value(&'static str),
    /// Bytes follow the last field.
    Trailing,
}

impl DecodeError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            DecodeError::UnknownKind(_) => Code::UnknownKind,
            DecodeError::NotFulmar => Code::NotFulmar,
            _ => Code::MalformedFrame,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Empty => write!(f, "frame of length 0; a frame has at least a kind byte"),
            DecodeError::UnknownKind(kind) => {
                write!(f, "kind {kind} is unknown and below 32, so it can't be skipped")
            }
            DecodeError::UnknownFlag(byte) => {
                write!(f, "kind byte {byte:#04x} has an unknown flag")
            }
            DecodeError::NotFulmar => write!(f, "a hello begins with the bytes FLMR"),
            DecodeError::Truncated(field) => write!(f, "frame ends inside {field}"),
            DecodeError::Number(field) => {
                write!(f, "{field} is not a shortest-form varint of at most 64 bits")
            }
            DecodeError::TooLong(field) => write!(f, "{field} is over its limit"),
            DecodeError::Text(field) => write!(f, "{field} is not UTF-8"),
            DecodeError::Value(field) => write!(f, "{field} has a value that is not allowed"),
            DecodeError::Trailing => write!(f, "bytes follow the last field"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl<'a> Frame<'a> {
    /// Reads one frame from its bytes after the length prefix, as [`Frames`](crate::Frames) gives
    /// them.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Frame<'a>, DecodeError> {
        let (&kind_byte, rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
        let number = kind_byte & KIND_MASK;
        if number >= SKIPPABLE_FIRST {
            return Ok(Frame::Unknown { kind: kind_byte });
        }
        let kind = Kind::from_number(number).ok_or(DecodeError::UnknownKind(number))?;
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
        Kind::Part => match fields.remainder() {
            [] => return Err(DecodeError::Truncated("part.body")),
            body => Frame::Part { body },
        },
        Kind::Sent => Frame::Sent {
            peer: fields.number("sent.peer")?,
            number: fields.number("sent.number")?,
            ordinal: fields.number("sent.ordinal")?,
            time_ms: fields.number("sent.time")?,
        },
        Kind::Rejected => Frame::Rejected {
            peer: fields.number("rejected.peer")?,
            number: fields.number("rejected.number")?,
            code: fields.code("rejected.code")?,
            retry_after_ms: fields.number("rejected.retry_after")?,
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
        Kind::Pong => Frame::Pong { heads: fields.pairs("pong.heads")? },
        Kind::Hello => Frame::Hello(decode_hello(fields)?),
        Kind::Welcome => Frame::Welcome(decode_welcome(fields)?),
        Kind::Refuse => Frame::Refuse {
            code: fields.code("refuse.code")?,
            retry_after_ms: fields.number("refuse.retry_after")?,
            detail: fields.text("refuse.detail", limits::DETAIL_BYTES_MAX)?,
        },
        Kind::Goodbye => Frame::Goodbye(Goodbye {
            code: fields.code("goodbye.code")?,
            retry_after_ms: fields.number("goodbye.retry_after")?,
            address: fields.text("goodbye.address", limits::ADDRESS_BYTES_MAX)?,
            detail: fields.text("goodbye.detail", limits::DETAIL_BYTES_MAX)?,
        }),
    })
}

#[inline]
fn decode_send<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Send<'a>, DecodeError> {
    let peer = fields.number("send.peer")?;
    let number = fields.number("send.number")?;
    if number == 0 {
        return Err(DecodeError::Value("send.number"));
    }
    let content = fields.byte("send.content")?;
    let (total_bytes, body) = fields.body(flags, "send.total")?;
    Ok(Send { peer, number, content, total_bytes, body })
}

#[inline]
fn decode_deliver<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Deliver<'a>, DecodeError> {
    let position = fields.number("deliver.position")?;
    let peer = fields.number("deliver.peer")?;
    let ordinal = fields.number("deliver.ordinal")?;
    let time_ms = fields.number("deliver.time")?;
    let content = fields.byte("deliver.content")?;
    let (total_bytes, body) = fields.body(flags, "deliver.total")?;
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
        cursors: fields.pairs("hello.cursors")?,
    })
}

fn decode_welcome<'a>(fields: &mut Fields<'a>) -> Result<Welcome<'a>, DecodeError> {
    Ok(Welcome {
        version: fields.number("welcome.version")?,
        capabilities: fields.number("welcome.capabilities")?,
        session: fields.number("welcome.session")?,
        time_ms: fields.number("welcome.time")?,
        body_bytes_max: fields.number("welcome.body_bytes_max")?,
        window_messages: fields.number("welcome.window_messages")?,
        window_bytes: fields.number("welcome.window_bytes")?,
        sends_max: fields.number("welcome.sends_max")?,
        idle_s: fields.number("welcome.idle")?,
        heads: fields.pairs("welcome.heads")?,
    })
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

    #[inline]
    fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The body of a send or deliver, and its total length where parts follow.
    #[inline]
    fn body(
        &mut self,
        flags: u8,
        field: &'static str,
    ) -> Result<(Option<u64>, &'a [u8]), DecodeError> {
        if flags & FLAG_PARTS == 0 {
            return Ok((None, self.remainder()));
        }
        let total_bytes = self.number(field)?;
        let body = self.remainder();
        // A body that is complete in its first frame is not cut, so each body has one form per cut.
        if total_bytes <= body.len() as u64 {
            return Err(DecodeError::Value(field));
        }
        Ok((Some(total_bytes), body))
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

    fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field, max)?).map_err(|_| DecodeError::Text(field))
    }

    fn pairs(&mut self, field: &'static str) -> Result<Pairs<'a>, DecodeError> {
        let count = self.number(field)?;
        if count > limits::LOGS_MAX as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let start = self.rest;
        for _ in 0..count * 2 {
            self.number(field)?;
        }
        let encoded = &start[..start.len() - self.rest.len()];
        Ok(Pairs::Encoded(encoded, count as usize))
    }
}
