//! One connection: a thread that reads and one that writes.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use fulmar_protocol::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX};
use fulmar_protocol::{
    Assembly, Chunks, Deliver, Frame, Frames, Pairs, Send, VERSION, Welcome, split_frame,
};

use crate::Shared;
use crate::fault::Fault;
use crate::state::{Actor, State, replaced};

/// Messages on their way to a device without acknowledgement.
const WINDOW: u64 = 64;
/// Encoded bytes that a writer takes at once.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Serves the connection that was accepted in this place, until it ends. Whatever ends it, the client
/// comes back.
pub(crate) fn serve(shared: &Arc<Shared>, socket: TcpStream, place: u64) {
    let _ = socket.set_nodelay(true);
    let Ok(mut reader) = socket.try_clone() else { return };
    let mut input = Vec::new();
    let Ok(Some(actor)) = hello(&mut reader, &mut input) else { return };
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(number) = state.login(actor, place) else { return };
    welcome(&mut state, actor, number);
    drop(state);
    shared.changed.notify_all();
    let writer = {
        let shared = Arc::clone(shared);
        thread::spawn(move || write(&shared, socket, actor, number))
    };
    let _ = read(shared, &mut reader, input, actor, number);
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.session(actor, number).is_some()
        && let Some(user) = state.users.get_mut(&actor.user)
    {
        user.sessions.remove(&actor.device);
    }
    drop(state);
    shared.changed.notify_all();
    let _ = writer.join();
}

/// The device that the first frame names.
fn hello(socket: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Option<Actor>> {
    while more(socket, input)? {
        let Some((frame, rest)) = split_frame(input, FRAME_BYTES_MAX).map_err(io::Error::other)?
        else {
            continue;
        };
        let actor = match Frame::decode(frame) {
            Ok(Frame::Hello(hello)) => Actor { user: hello.user, device: hello.device },
            _ => return Ok(None),
        };
        let rest = rest.len();
        input.drain(..input.len() - rest);
        return Ok(Some(actor));
    }
    Ok(None)
}

fn welcome(state: &mut State, actor: Actor, number: u64) {
    let head = head(state, actor);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let welcome = Welcome {
        version: VERSION,
        capabilities: 0,
        session: number,
        time_ms: time.as_millis() as u64,
        body_bytes_max: BODY_BYTES_MAX as u64,
        window_messages: WINDOW,
        window_bytes: u64::MAX >> 1,
        sends_max: 32,
        idle_s: 300,
        presence_s: 30,
        heads: Pairs::Slice(&[(0, head)]),
    };
    if let Some(session) = state.session(actor, number) {
        Frame::Welcome(welcome).encode(&mut session.output);
    }
}

fn head(state: &State, actor: Actor) -> u64 {
    state.users.get(&actor.user).map_or(0, |user| user.inbox.len() as u64)
}

fn more(socket: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    let bytes = socket.read(&mut buffer)?;
    input.extend_from_slice(&buffer[..bytes]);
    Ok(bytes > 0)
}

/// A large body on its way here: peer, number, content.
type Upload = (u64, u64, u8, Assembly);

fn read(
    shared: &Shared,
    socket: &mut TcpStream,
    mut input: Vec<u8>,
    actor: Actor,
    number: u64,
) -> io::Result<()> {
    let mut upload: Option<Upload> = None;
    loop {
        let mut frames = Frames::new(&input, FRAME_BYTES_MAX);
        {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            for frame in &mut frames {
                let frame = Frame::decode(frame.map_err(io::Error::other)?);
                if state.session(actor, number).is_none() {
                    return Ok(());
                }
                take(&mut state, actor, number, &frame.map_err(io::Error::other)?, &mut upload);
            }
        }
        shared.changed.notify_all();
        let rest = frames.rest().len();
        input.drain(..input.len() - rest);
        if !more(socket, &mut input)? {
            return Ok(());
        }
    }
}

fn take(
    state: &mut State,
    actor: Actor,
    number: u64,
    frame: &Frame<'_>,
    upload: &mut Option<Upload>,
) {
    let answer = match *frame {
        Frame::Send(Send { peer, number, content, total_bytes: Some(total_bytes), body }) => {
            *upload = Some((peer, number, content, Assembly::new(total_bytes as usize, body)));
            None
        }
        Frame::Send(ref send) => Some(state.send(actor, send)),
        Frame::Part { body } => part(state, actor, body, upload),
        Frame::Ack { position } => {
            state.ack(actor, position);
            None
        }
        Frame::Read { peer, ordinal } => {
            state.read(actor, peer, ordinal);
            None
        }
        Frame::Ask { peer } => {
            state.tell_receipt(actor.user, peer);
            None
        }
        Frame::Ping => {
            let head = head(state, actor);
            if let Some(session) = state.session(actor, number) {
                let pong = Frame::Pong { heads: Pairs::Slice(&[(0, head)]) };
                pong.encode(&mut session.output);
            }
            None
        }
        _ => None,
    };
    if let (Some(answer), Some(session)) = (answer, state.session(actor, number)) {
        answer.encode(&mut session.output);
    }
}

fn part(
    state: &mut State,
    actor: Actor,
    piece: &[u8],
    upload: &mut Option<Upload>,
) -> Option<Frame<'static>> {
    let (peer, number, content, mut assembly) = upload.take()?;
    if !assembly.push(piece).ok()? {
        *upload = Some((peer, number, content, assembly));
        return None;
    }
    let body = &assembly.into_body();
    Some(state.send(actor, &Send { peer, number, content, total_bytes: None, body }))
}

fn write(shared: &Shared, mut socket: TcpStream, actor: Actor, number: u64) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        deliver(&mut state, actor, number);
        let Some(session) = state.session(actor, number) else { break };
        let output = std::mem::take(&mut session.output);
        if output.is_empty() {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        if socket.write_all(&output).is_err() {
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
        state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    }
    drop(state);
    let mut goodbye = Vec::new();
    replaced().encode(&mut goodbye);
    let _ = socket.write_all(&goodbye);
    let _ = socket.shutdown(Shutdown::Both);
}

/// Queues what the window allows.
fn deliver(state: &mut State, actor: Actor, number: u64) {
    loop {
        let unlucky = state.fault.filter(|_| state.now_and_then());
        let swaps = state.fault == Some(Fault::Swap);
        let Some(user) = state.users.get_mut(&actor.user) else { return };
        let cursor = user.devices.get(&actor.device).copied().unwrap_or_default();
        let Some(session) = user.sessions.get_mut(&actor.device) else { return };
        let is_full = session.sent >= cursor + WINDOW || session.output.len() > OUTPUT_BYTES;
        let position = session.sent + 1;
        if session.number != number || is_full || position > user.inbox.len() as u64 {
            return;
        }
        session.sent = position;
        // Of each sixteen, the last two in the other's place.
        let partner = match position % 16 {
            14 if swaps => position + 1,
            15 if swaps => position - 1,
            _ => position,
        };
        let inbox = &user.inbox;
        let entry = inbox.get(partner as usize - 1).unwrap_or(&inbox[position as usize - 1]);
        let mut entry = entry.clone();
        if entry.own && entry.device == actor.device || unlucky == Some(Fault::Skip) {
            Frame::Skip { position }.encode(&mut session.output);
            continue;
        }
        match unlucky {
            Some(Fault::Hole) => continue,
            Some(Fault::Mixup) => entry.body = user.inbox[position as usize / 2].body.clone(),
            _ => {}
        }
        let mut pieces = Chunks::new(&entry.body);
        let deliver = Deliver {
            position,
            peer: entry.peer,
            ordinal: entry.ordinal,
            time_ms: 0,
            content: entry.content,
            own: entry.own,
            total_bytes: Chunks::total_bytes(&entry.body),
            body: pieces.next().unwrap_or_default(),
        };
        Frame::Deliver(deliver).encode(&mut session.output);
        pieces.for_each(|body| Frame::Part { body }.encode(&mut session.output));
    }
}
