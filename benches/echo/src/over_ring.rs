//! The echo server on Fulmar's ring: what came for a connection in one turn goes out in one send.

use std::error::Error;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use fulmar::uring::{Completion, Ring, RingConfig, SocketKey};
use socket2::SockRef;

use crate::server;

/// What is to go out on a connection.
#[derive(Default)]
struct Outgoing {
    is_sending: bool,
    is_listed: bool,
    bytes: Vec<u8>,
    /// The buffer of the last send, for the next one.
    spare: Vec<u8>,
}

pub(crate) fn serve(cpu: usize) -> Result<(), Box<dyn Error>> {
    server::pin(cpu)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    SockRef::from(&listener).listen(4_096)?;
    let mut ring = Ring::new(&RingConfig::default())?;
    println!("{}", listener.local_addr()?);
    ring.listen(listener.into());

    let mut outgoing: Vec<Outgoing> = Vec::new();
    let mut accepted: Vec<OwnedFd> = Vec::new();
    let mut ready: Vec<SocketKey> = Vec::new();
    loop {
        ring.wait(None)?;
        ring.drain(|completion| match completion {
            Completion::Accepted { fd } => accepted.push(fd),
            Completion::Received { key, bytes } => {
                let out = &mut outgoing[key.slot as usize];
                out.bytes.extend_from_slice(bytes);
                list(key, out, &mut ready);
            }
            Completion::Sent { key, buffer } => {
                let out = &mut outgoing[key.slot as usize];
                out.is_sending = false;
                out.spare = buffer;
                list(key, out, &mut ready);
            }
            Completion::Closed { key, .. } => outgoing[key.slot as usize] = Outgoing::default(),
            Completion::AcceptFailed { error } => eprintln!("accepting failed: {error}"),
            Completion::Detached { .. } | Completion::Woken => {}
        });
        for fd in accepted.drain(..) {
            // A full table closes the connection.
            let Ok(key) = ring.add(fd) else { continue };
            if outgoing.len() <= key.slot as usize {
                outgoing.resize_with(key.slot as usize + 1, Outgoing::default);
            }
        }
        for key in ready.drain(..) {
            let out = &mut outgoing[key.slot as usize];
            out.is_listed = false;
            if !out.is_sending && !out.bytes.is_empty() {
                let spare = std::mem::take(&mut out.spare);
                let bytes = std::mem::replace(&mut out.bytes, spare);
                out.is_sending = ring.send(key, bytes).is_ok();
            }
        }
    }
}

fn list(key: SocketKey, out: &mut Outgoing, ready: &mut Vec<SocketKey>) {
    if !out.is_listed {
        out.is_listed = true;
        ready.push(key);
    }
}
