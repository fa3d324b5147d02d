//! A core's table of sockets, as its ring would keep it: slots with generations, completions that wait
//! for the next turn, and orders that the network carries out after it.

use std::collections::VecDeque;

use fulmar::core_loop::Sockets;
use fulmar::uring::{CloseReason, Completion, SocketKey};

use crate::network::ConnNo;

/// A connection that is on no core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Socket(pub(crate) ConnNo);

/// What a core wants done.
#[derive(Debug)]
pub(crate) enum Order {
    Add {
        conn: ConnNo,
        key: SocketKey,
    },
    Send {
        conn: ConnNo,
        bytes: Vec<u8>,
    },
    Pause {
        conn: ConnNo,
    },
    Resume {
        conn: ConnNo,
    },
    Detach {
        conn: ConnNo,
    },
    Close {
        conn: ConnNo,
    },
    Abort {
        conn: ConnNo,
    },
    TurnAway {
        conn: ConnNo,
        bytes: Vec<u8>,
    },
    /// A connection for which there was no room.
    Drop {
        conn: ConnNo,
    },
    StopListening,
}

/// What waits for the next turn.
#[derive(Debug)]
enum Input {
    Accepted(ConnNo),
    /// The bytes stand in the common buffer.
    Received {
        key: SocketKey,
        start: usize,
        end: usize,
    },
    Sent {
        key: SocketKey,
        buffer: Vec<u8>,
    },
    Closed {
        key: SocketKey,
        reason: CloseReason,
    },
    Detached {
        key: SocketKey,
        conn: ConnNo,
    },
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    conn: Option<ConnNo>,
    /// The core asked for its end, or its end is about to be reported.
    is_ending: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct SimSockets {
    slots: Vec<Slot>,
    /// The last one freed is used first, as the ring does it.
    free: Vec<u32>,
    occupied: u32,
    max: u32,
    inputs: VecDeque<Input>,
    bytes: Vec<u8>,
    orders: Vec<Order>,
    /// Turned back in this turn for want of room.
    unplaced: Vec<ConnNo>,
    /// Read from in this turn.
    read: Vec<SocketKey>,
}

impl SimSockets {
    pub(crate) fn new(max: u32) -> Self {
        SimSockets {
            slots: Vec::new(),
            free: Vec::new(),
            occupied: 0,
            max,
            inputs: VecDeque::new(),
            bytes: Vec::new(),
            orders: Vec::new(),
            unplaced: Vec::new(),
            read: Vec::new(),
        }
    }

    /// Whether something waits for the next turn.
    pub(crate) fn has_input(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// A socket that was read from in the turn, goes on, and isn't paused, if there is one.
    pub(crate) fn unpaused(&mut self) -> Option<ConnNo> {
        let read = std::mem::take(&mut self.read);
        let mut going_on = read.into_iter().filter_map(|key| self.conn(key)).collect::<Vec<_>>();
        going_on.retain(|conn| {
            let about = |order: &&Order| match order {
                Order::Pause { conn: paused } => paused == conn,
                Order::Resume { conn: resumed } => resumed == conn,
                _ => false,
            };
            !matches!(self.orders.iter().rev().find(about), Some(Order::Pause { .. }))
        });
        going_on.first().copied()
    }

    /// What the turn ordered, in order.
    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        for conn in std::mem::take(&mut self.unplaced) {
            self.orders.push(Order::Drop { conn });
        }
        std::mem::take(&mut self.orders)
    }

    /// Takes the emptied vector back.
    pub(crate) fn reuse(&mut self, orders: Vec<Order>) {
        debug_assert!(orders.is_empty() && self.orders.is_empty());
        self.orders = orders;
    }

    pub(crate) fn accepted(&mut self, conn: ConnNo) {
        self.inputs.push_back(Input::Accepted(conn));
    }

    pub(crate) fn received(&mut self, key: SocketKey, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.inputs.push_back(Input::Received { key, start, end: self.bytes.len() });
    }

    pub(crate) fn sent(&mut self, key: SocketKey, buffer: Vec<u8>) {
        self.inputs.push_back(Input::Sent { key, buffer });
    }

    pub(crate) fn closed(&mut self, key: SocketKey, reason: CloseReason) {
        if let Some(slot) = self.slot(key) {
            slot.is_ending = true;
            self.inputs.push_back(Input::Closed { key, reason });
        }
    }

    pub(crate) fn detached(&mut self, key: SocketKey, conn: ConnNo) {
        self.inputs.push_back(Input::Detached { key, conn });
    }

    fn slot(&mut self, key: SocketKey) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        (slot.generation == key.generation && slot.conn.is_some()).then_some(slot)
    }

    /// The connection of a key that is alive and not ending.
    fn conn(&mut self, key: SocketKey) -> Option<ConnNo> {
        let slot = self.slot(key)?;
        if slot.is_ending { None } else { slot.conn }
    }

    /// The same, and it ends from here on.
    fn ending(&mut self, key: SocketKey) -> Option<ConnNo> {
        let conn = self.conn(key)?;
        self.slots[key.slot as usize].is_ending = true;
        Some(conn)
    }

    fn remove(&mut self, key: SocketKey) {
        if let Some(slot) = self.slot(key) {
            slot.conn = None;
            slot.generation += 1;
            self.occupied -= 1;
            self.free.push(key.slot);
        }
    }
}

impl Sockets for SimSockets {
    type Socket = Socket;

    fn add(&mut self, socket: Socket) -> Result<SocketKey, Socket> {
        let Socket(conn) = socket;
        if self.occupied == self.max {
            self.unplaced.push(conn);
            return Err(socket);
        }
        self.occupied += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, conn: None, is_ending: false });
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        (place.conn, place.is_ending) = (Some(conn), false);
        let key = SocketKey { slot, generation: place.generation };
        self.orders.push(Order::Add { conn, key });
        Ok(key)
    }

    fn turn_away(&mut self, socket: Socket, bytes: &[u8]) {
        let Socket(conn) = socket;
        self.unplaced.retain(|&unplaced| unplaced != conn);
        self.orders.push(Order::TurnAway { conn, bytes: bytes.to_vec() });
    }

    fn contains(&self, key: SocketKey) -> bool {
        let slot = self.slots.get(key.slot as usize);
        slot.is_some_and(|slot| slot.generation == key.generation && slot.conn.is_some())
    }

    fn send(&mut self, key: SocketKey, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.conn(key) {
            Some(conn) => {
                self.orders.push(Order::Send { conn, bytes });
                Ok(())
            }
            None => Err(bytes),
        }
    }

    fn pause(&mut self, key: SocketKey) {
        let order = self.conn(key).map(|conn| Order::Pause { conn });
        self.orders.extend(order);
    }

    fn resume(&mut self, key: SocketKey) {
        let order = self.conn(key).map(|conn| Order::Resume { conn });
        self.orders.extend(order);
    }

    fn detach(&mut self, key: SocketKey) {
        let order = self.ending(key).map(|conn| Order::Detach { conn });
        self.orders.extend(order);
    }

    fn close(&mut self, key: SocketKey) {
        let order = self.ending(key).map(|conn| Order::Close { conn });
        self.orders.extend(order);
    }

    /// Also for one that is closing already.
    fn abort(&mut self, key: SocketKey) {
        let Some(slot) = self.slot(key) else { return };
        slot.is_ending = true;
        let order = slot.conn.map(|conn| Order::Abort { conn });
        self.orders.extend(order);
    }

    fn stop_listening(&mut self) {
        self.orders.push(Order::StopListening);
    }

    fn drain(&mut self, mut on: impl FnMut(Completion<'_, Socket>)) {
        self.read.clear();
        let mut inputs = std::mem::take(&mut self.inputs);
        let mut bytes = std::mem::take(&mut self.bytes);
        for input in inputs.drain(..) {
            match input {
                Input::Accepted(conn) => on(Completion::Accepted { fd: Socket(conn) }),
                Input::Received { key, start, end } => {
                    self.read.push(key);
                    on(Completion::Received { key, bytes: &bytes[start..end] });
                }
                Input::Sent { key, buffer } => on(Completion::Sent { key, buffer }),
                Input::Closed { key, reason } => {
                    self.remove(key);
                    on(Completion::Closed { key, reason });
                }
                Input::Detached { key, conn } => {
                    self.remove(key);
                    on(Completion::Detached { key, fd: Socket(conn) });
                }
            }
        }
        bytes.clear();
        (self.inputs, self.bytes) = (inputs, bytes);
    }
}
