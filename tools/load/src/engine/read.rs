//! Reading a connection: bytes to frames to the script.

use std::io::{self, Read as _};

use fulmar_protocol::{Frame, Frames, limits as wire};

use super::Script;
use super::link::{Link, Port, Stage, Terms};
use super::links::Links;
use crate::failure::Failure;

/// Reads once and hands every complete frame to the script. What is left of the last frame stays
/// with the link; if the socket holds more, the epoll says so again.
pub(super) fn read(
    links: &mut Links,
    script: &mut impl Script,
    buffer: &mut [u8],
    index: usize,
    now_ns: u64,
) -> Result<(), Failure> {
    let user = links.user(index);
    let link = links.link(index);
    let bytes = receive(link, buffer).map_err(|source| Failure::Lost { user, source })?;
    if bytes == 0 {
        return Ok(());
    }
    let mut frames = Frames::new(&buffer[..bytes], wire::FRAME_BYTES_MAX);
    for frame in &mut frames {
        let protocol = |what: String| Failure::Protocol { user, what };
        let frame = frame.map_err(|error| protocol(error.to_string()))?;
        let frame = Frame::decode(frame).map_err(|error| protocol(error.to_string()))?;
        on_frame(links, script, index, now_ns, &frame)?;
    }
    let link = links.link(index);
    link.partial.extend_from_slice(frames.rest());
    script.on_batch(&mut Port { index, now_ns, user, link })
}

/// One read behind what the last one left over. The number of bytes in the buffer; 0 where nothing
/// new came.
fn receive(link: &mut Link, buffer: &mut [u8]) -> io::Result<usize> {
    let held = link.partial.len();
    buffer[..held].copy_from_slice(&link.partial);
    let Some(mut socket) = link.socket.as_ref() else { return Ok(0) };
    match socket.read(&mut buffer[held..]) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(bytes) => {
            link.partial.clear();
            Ok(held + bytes)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        },
    }
}

#[inline]
fn on_frame(
    links: &mut Links,
    script: &mut impl Script,
    index: usize,
    now_ns: u64,
    frame: &Frame<'_>,
) -> Result<(), Failure> {
    let user = links.user(index);
    let link = links.link(index);
    match frame {
        Frame::Goodbye(goodbye) => {
            Err(Failure::Goodbye { user, code: goodbye.code, detail: goodbye.detail.to_owned() })
        }
        Frame::Unknown { .. } => Ok(()),
        _ if link.stage != Stage::Ready => on_login(links, script, index, now_ns, frame),
        Frame::Pong { .. } if link.keep_alives > 0 => {
            link.keep_alives -= 1;
            Ok(())
        }
        Frame::Sent { .. }
        | Frame::Rejected { .. }
        | Frame::Deliver(_)
        | Frame::Part { .. }
        | Frame::Skip { .. }
        | Frame::Receipt { .. }
        | Frame::GroupSent { .. }
        | Frame::GroupRejected(_)
        | Frame::GroupDeliver(_)
        | Frame::GroupSkip { .. }
        | Frame::GroupReceipt(_)
        | Frame::GroupRead { .. }
        | Frame::GroupNotice(_)
        | Frame::Presence { .. }
        | Frame::Pong { .. } => script.on_frame(&mut Port { index, now_ns, user, link }, frame),
        _ => Err(unexpected(user, frame)),
    }
}

/// A frame before the login is through: its answer, or an error.
#[cold]
fn on_login(
    links: &mut Links,
    script: &mut impl Script,
    index: usize,
    now_ns: u64,
    frame: &Frame<'_>,
) -> Result<(), Failure> {
    let user = links.user(index);
    match frame {
        Frame::Welcome(welcome) => {
            links.on_welcome(index, now_ns);
            let link = links.link(index);
            link.terms = Terms {
                sends_max: welcome.sends_max,
                body_bytes_max: welcome.body_bytes_max,
                idle_s: welcome.idle_s,
            };
            script.on_ready(&mut Port { index, now_ns, user, link }, welcome)
        }
        Frame::Refuse { code, detail, .. } => {
            Err(Failure::Refused { user, code: *code, detail: (*detail).to_owned() })
        }
        _ => Err(unexpected(user, frame)),
    }
}

fn unexpected(user: u64, frame: &Frame<'_>) -> Failure {
    let name = frame.kind().map_or("unknown", fulmar_protocol::Kind::name);
    Failure::Protocol { user, what: format!("a {name} frame came where it is not allowed") }
}
