//! The journal: client frames, each actor's behind a hello that names it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use fulmar_protocol::{Assembly, Chunks, Frame, Frames, Hello, Pairs, Send, VERSION};

use crate::state::{Actor, State};

/// Frames that the dishonest server holds back from its file.
const HELD_FRAMES: u32 = 200;

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Encoded and not written.
    held: Vec<u8>,
    held_frames: u32,
}

impl Journal {
    /// Opens the journal and applies what it has to the state. A frame that a kill cut is removed:
    /// nobody was told about it.
    pub(crate) fn open(path: &Path, state: &mut State) -> io::Result<Journal> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut frames = Frames::new(&bytes, usize::MAX);
        let mut actor = Actor { user: 0, device: 0 };
        let mut large: Option<(u64, u64, u8, Assembly)> = None;
        for frame in &mut frames {
            let frame = frame.map_err(io::Error::other)?;
            match Frame::decode(frame).map_err(io::Error::other)? {
                Frame::Hello(hello) => {
                    actor = Actor { user: hello.user, device: hello.device };
                    large = None;
                }
                Frame::Send(Send { peer, number, content, total_bytes: Some(bytes), body }) => {
                    large = Some((peer, number, content, Assembly::new(bytes as usize, body)));
                }
                Frame::Part { body } => {
                    let Some((peer, number, content, mut assembly)) = large.take() else {
                        continue;
                    };
                    if !assembly.push(body).map_err(io::Error::other)? {
                        large = Some((peer, number, content, assembly));
                        continue;
                    }
                    let body = &assembly.into_body();
                    let send = Send { peer, number, content, total_bytes: None, body };
                    state.replay(actor, &Frame::Send(send));
                }
                frame => state.replay(actor, &frame),
            }
        }
        file.set_len((bytes.len() - frames.rest().len()) as u64)?;
        Ok(Journal { file, held: Vec::new(), held_frames: 0 })
    }

    /// Adds a frame. When this returns the kernel has it, so that the death of the process can't
    /// take it away; unless `late`.
    pub(crate) fn add(&mut self, actor: Actor, frame: &Frame<'_>, late: bool) {
        encode_hello(actor, &mut self.held);
        match *frame {
            Frame::Send(send) => encode_send(send, &mut self.held),
            ref frame => frame.encode(&mut self.held),
        }
        self.held_frames += 1;
        if !late || self.held_frames >= HELD_FRAMES {
            self.file.write_all(&self.held).expect("the journal can be written");
            self.held.clear();
            self.held_frames = 0;
        }
    }
}

fn encode_hello(actor: Actor, out: &mut Vec<u8>) {
    let hello = Hello {
        version_min: VERSION,
        version_max: VERSION,
        capabilities: 0,
        user: actor.user,
        device: actor.device,
        token: b"",
        agent: "",
        cursors: Pairs::Slice(&[]),
    };
    Frame::Hello(hello).encode(out);
}

/// A send with its whole body, cut as it is on the wire.
fn encode_send(send: Send<'_>, out: &mut Vec<u8>) {
    let mut pieces = Chunks::new(send.body);
    let total_bytes = Chunks::total_bytes(send.body);
    let body = pieces.next().unwrap_or_default();
    Frame::Send(Send { total_bytes, body, ..send }).encode(out);
    pieces.for_each(|body| Frame::Part { body }.encode(out));
}
