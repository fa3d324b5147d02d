//! The load: connections that always have the same number of messages in flight.

use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fulmar::uring::{Completion, Ring, RingConfig, SocketKey};

/// One connection's share of the load.
struct Connection {
    key: SocketKey,
    is_sending: bool,
    is_listed: bool,
    /// Messages to send when the send in flight is over.
    messages_due: u32,
    /// Bytes that came back and make no whole message yet.
    bytes_over: usize,
    buffer: Vec<u8>,
}

/// All connections, by slot: a fresh ring hands slots out in order.
pub(crate) struct Load {
    ring: Ring,
    connections: Vec<Connection>,
    message: Vec<u8>,
}

impl Load {
    /// Connects, and starts `depth` messages on each connection.
    pub(crate) fn connect(
        address: SocketAddr,
        connections: u32,
        depth: u32,
        bytes: u32,
    ) -> Result<Load, Box<dyn Error>> {
        if connections == 0 || depth == 0 || bytes == 0 {
            return Err("connections, depth and bytes are at least 1".into());
        }
        let ring = Ring::new(&RingConfig { sockets_max: connections, ..RingConfig::default() })?;
        let message = vec![b'x'; bytes as usize];
        let mut load = Load { ring, connections: Vec::new(), message };
        for index in 0..connections {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let key = load.ring.add(stream.into()).map_err(|_| "the ring is full")?;
            assert_eq!(key.slot, index);
            load.connections.push(Connection {
                key,
                is_sending: false,
                is_listed: false,
                messages_due: depth,
                bytes_over: 0,
                buffer: Vec::new(),
            });
        }
        Ok(load)
    }

    /// Runs for a while. Returns how many messages came back, and in what time exactly.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<(u64, Duration), Box<dyn Error>> {
        let began = Instant::now();
        let mut messages = 0;
        let mut ready: Vec<u32> = (0..self.connections.len() as u32).collect();
        let mut ended = None;
        loop {
            for index in ready.drain(..) {
                self.send(index);
            }
            let elapsed = began.elapsed();
            let left = duration.saturating_sub(elapsed);
            if left.is_zero() {
                return Ok((messages, elapsed));
            }
            self.ring.wait(Some(left))?;
            let (connections, bytes_each) = (&mut self.connections, self.message.len());
            self.ring.drain(|completion| match completion {
                Completion::Received { key, bytes } => {
                    let connection = &mut connections[key.slot as usize];
                    let total = connection.bytes_over + bytes.len();
                    connection.bytes_over = total % bytes_each;
                    connection.messages_due += (total / bytes_each) as u32;
                    messages += (total / bytes_each) as u64;
                    connection.list(&mut ready);
                }
                Completion::Sent { key, buffer } => {
                    let connection = &mut connections[key.slot as usize];
                    connection.is_sending = false;
                    connection.buffer = buffer;
                    connection.list(&mut ready);
                }
                other => ended = Some(format!("{other:?}")),
            });
            if let Some(end) = ended {
                return Err(format!("a connection didn't last: {end}").into());
            }
        }
    }

    fn send(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.is_listed = false;
        if connection.is_sending || connection.messages_due == 0 {
            return;
        }
        let mut buffer = std::mem::take(&mut connection.buffer);
        for _ in 0..std::mem::take(&mut connection.messages_due) {
            buffer.extend_from_slice(&self.message);
        }
        // A connection that ends is reported by the next drain.
        connection.is_sending = self.ring.send(connection.key, buffer).is_ok();
    }
}

impl Connection {
    fn list(&mut self, ready: &mut Vec<u32>) {
        if !self.is_listed {
            self.is_listed = true;
            ready.push(self.key.slot);
        }
    }
}
