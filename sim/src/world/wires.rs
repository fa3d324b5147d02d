//! Bytes on their way, and what a core orders for its sockets.

use fulmar::uring::{CloseReason, SocketKey};
use fulmar_client::core::Input;

use super::World;
use crate::clock::{MS, Time};
use crate::coverage::Happening;
use crate::network::{ClientEnd, ConnNo, Party, ServerEnd, Way};
use crate::schedule::Event;
use crate::sockets::{Order, SimSockets};

/// How long a client's machine repeats bytes that nobody confirms.
const UNCONFIRMED_MAX: Time = fulmar_client::limits::UNCONFIRMED_MS_MAX * MS;

impl World {
    /// The sockets of a core that runs.
    fn sockets(&mut self, core: u16) -> Option<&mut SimSockets> {
        Some(self.node.as_mut()?.core(core)?.sockets())
    }

    // Opening.

    /// An attempt to connect reaches the server's machine.
    pub(super) fn dial_arrives(&mut self, conn: ConnNo) {
        self.coverage.hit(Happening::Connect);
        let crossing = self.network.crossing(conn);
        if !self.is_calm() && self.network_is_lossy() && self.faults.once_in(60) {
            // Neither a yes nor a no comes back.
            self.coverage.hit(Happening::ConnectLost);
            self.network.get(conn).server = ServerEnd::Gone;
            return;
        }
        let listening = self.node.as_ref().filter(|node| node.is_listening);
        let cores: Vec<u16> = listening.map_or(Vec::new(), |node| {
            let running = (0..).zip(&node.cores).filter(|(_, slot)| slot.core.is_some());
            running.map(|(core, _)| core).collect()
        });
        let is_open = !cores.is_empty();
        if is_open {
            let core = self.threads.pick(&cores);
            if let Some(sockets) = self.sockets(core) {
                sockets.accepted(conn);
            }
            self.poke(core);
        } else {
            self.coverage.hit(Happening::ConnectRefused);
            self.network.get(conn).server = ServerEnd::Gone;
        }
        self.schedule.after(crossing, Event::Dialed { conn, is_open });
    }

    pub(super) fn network_is_lossy(&self) -> bool {
        self.plan.faults.cut > 0
    }

    /// A client learns what became of its attempt.
    pub(super) fn dialed(&mut self, conn: ConnNo, is_open: bool) {
        if self.network.get(conn).client != ClientEnd::Dialing {
            return;
        }
        if !is_open {
            self.client_loses(conn, "refused");
            return;
        }
        self.network.get(conn).client = ClientEnd::Open;
        match self.network.get(conn).party {
            Party::Device(device) => {
                self.oracle.opened(conn, true);
                self.device_input(device, Input::Connected);
            }
            Party::Rogue(rogue) => {
                self.oracle.opened(conn, false);
                self.rogue_connected(rogue, conn);
            }
            Party::Echo(device) => self.echo_opened(device, conn),
        }
        self.read(conn, Way::Down);
    }

    // Bytes.

    pub(super) fn arrive(&mut self, conn: ConnNo, way: Way, bytes: usize) {
        if !self.network.get(conn).has_vanished {
            self.network.arrive(conn, way, bytes);
            self.read(conn, way);
        }
    }

    pub(super) fn fin_arrives(&mut self, conn: ConnNo, way: Way) {
        if !self.network.get(conn).has_vanished {
            self.network.fin_arrives(conn, way);
            self.read(conn, way);
        }
    }

    /// The reader of a direction takes what it can.
    pub(super) fn read(&mut self, conn: ConnNo, way: Way) {
        match way {
            Way::Up => self.server_reads(conn),
            Way::Down => self.client_reads(conn),
        }
    }

    fn server_reads(&mut self, conn: ConnNo) {
        let connection = self.network.get(conn);
        let (server, is_receiving, is_closing) =
            (connection.server, connection.is_receiving, connection.is_closing);
        let ServerEnd::Owned { core, key } = server else {
            if server == ServerEnd::Gone {
                self.throw_away(conn, Way::Up);
            }
            return;
        };
        if !is_receiving {
            return;
        }
        if is_closing {
            self.throw_away(conn, Way::Up);
        } else if self.network.arrived(conn, Way::Up) > 0 {
            let World { network, node, schedule, coverage, trace, .. } = self;
            let Some(running) = node.as_mut().and_then(|node| node.core(core)) else { return };
            let bytes = network.readable(conn, Way::Up);
            let count = bytes.len();
            trace.bytes(bytes);
            trace.say(schedule.now(), || {
                format!("server reads of {conn}: {:02x?}", &bytes[..count.min(64)])
            });
            running.sockets().received(key, bytes);
            if network.consume(conn, Way::Up, count, schedule) {
                coverage.hit(Happening::SplitRead);
                schedule
                    .after(self.threads.magnitude(1..=100), Event::ReadOn { conn, way: Way::Up });
            }
            self.poke(core);
        }
        if self.network.is_at_end(conn, Way::Up) {
            let reason = if is_closing { CloseReason::Local } else { CloseReason::PeerEof };
            self.server_end_is_over(conn, core, key, reason);
            self.network.end(conn, Way::Down, &mut self.schedule);
            self.network.forget_if_over(conn);
        }
    }

    fn throw_away(&mut self, conn: ConnNo, way: Way) {
        let count = self.network.arrived(conn, way);
        self.network.consume(conn, way, count, &mut self.schedule);
    }

    fn client_reads(&mut self, conn: ConnNo) {
        let now = self.schedule.now();
        let connection = self.network.get(conn);
        let (client, party, stalled_until) =
            (connection.client, connection.party, connection.stalled_until);
        match client {
            ClientEnd::Dialing => return,
            ClientEnd::Closed => {
                self.throw_away(conn, Way::Down);
                return;
            }
            ClientEnd::Open => {}
        }
        if stalled_until > now {
            self.schedule.at(stalled_until, Event::ReadOn { conn, way: Way::Down });
            return;
        }
        if let Party::Device(device) = party
            && !self.devices[device as usize].wants_bytes()
        {
            // It reads on once its store has caught up.
            return;
        }
        if self.network.arrived(conn, Way::Down) > 0 {
            let bytes = self.network.readable(conn, Way::Down).to_vec();
            self.trace.bytes(&bytes);
            if self.network.consume(conn, Way::Down, bytes.len(), &mut self.schedule) {
                self.coverage.hit(Happening::SplitRead);
                let pause = self.threads.magnitude(1..=100);
                self.schedule.after(pause, Event::ReadOn { conn, way: Way::Down });
            }
            self.oracle.read(conn, &bytes);
            match party {
                Party::Device(device) => self.device_input(device, Input::Received(&bytes)),
                Party::Rogue(rogue) => self.rogue_reads(rogue, conn, &bytes),
                Party::Echo(_) => {}
            }
        }
        if self.network.get(conn).client == ClientEnd::Open
            && self.network.is_at_end(conn, Way::Down)
        {
            self.client_loses(conn, "end of stream");
        }
    }

    /// A writer learns that everything was taken.
    pub(super) fn written(&mut self, conn: ConnNo, way: Way) {
        let connection = self.network.get(conn);
        match (way, connection.server, connection.party) {
            (Way::Up, _, Party::Device(device)) => {
                let is_open = connection.client == ClientEnd::Open;
                if self.network.take_written(conn, Way::Up).is_some() && is_open {
                    self.device_input(device, Input::Transmitted);
                }
            }
            (Way::Up, _, Party::Rogue(_) | Party::Echo(_)) => {
                self.network.take_written(conn, Way::Up);
            }
            (Way::Down, ServerEnd::Owned { core, key }, _) => {
                let is_detaching = connection.is_detaching;
                let Some(buffer) = self.network.take_written(conn, Way::Down) else { return };
                if let Some(sockets) = self.sockets(core) {
                    sockets.sent(key, buffer);
                }
                if is_detaching {
                    self.detached(conn, core, key);
                }
                self.poke(core);
            }
            (Way::Down, ..) => {}
        }
    }

    // Ends.

    /// From here on nothing arrives at either side, and nobody is told.
    pub(super) fn vanish_connection(&mut self, conn: ConnNo) {
        self.coverage.hit(Happening::Vanished);
        self.network.get(conn).has_vanished = true;
        self.schedule.after(UNCONFIRMED_MAX, Event::GiveUp { conn });
    }

    /// A write has not come to its end for as long as a machine waits for it.
    pub(super) fn give_up(&mut self, conn: ConnNo) {
        if self.network.is_writing(conn, Way::Up) {
            self.client_loses(conn, "timed out");
        }
    }

    /// A client writes bytes.
    pub(super) fn client_writes(&mut self, conn: ConnNo, bytes: Vec<u8>) {
        self.network.write(conn, Way::Up, bytes, &mut self.schedule);
        if self.network.get(conn).has_vanished && self.network.is_writing(conn, Way::Up) {
            self.schedule.after(UNCONFIRMED_MAX, Event::GiveUp { conn });
        }
    }

    /// The client's end is gone without its doing: tells the client.
    pub(super) fn client_loses(&mut self, conn: ConnNo, detail: &str) {
        if self.network.get(conn).client == ClientEnd::Closed {
            return;
        }
        self.client_closes(conn);
        match self.network.get(conn).party {
            Party::Device(device) => {
                if self.devices[device as usize].conn == Some(conn) {
                    self.devices[device as usize].conn = None;
                    self.device_input(device, Input::Disconnected(detail));
                }
            }
            Party::Rogue(rogue) => self.rogue_loses(rogue, conn),
            Party::Echo(device) => self.echo_ends(device, conn),
        }
    }

    /// The client closes its end, behind what it wrote.
    pub(super) fn client_closes(&mut self, conn: ConnNo) {
        if self.network.get(conn).client == ClientEnd::Closed {
            return;
        }
        self.network.get(conn).client = ClientEnd::Closed;
        self.oracle.closed(conn);
        self.network.end(conn, Way::Up, &mut self.schedule);
        self.throw_away(conn, Way::Down);
        self.network.forget_if_over(conn);
    }

    /// One side learns that the connection is broken.
    pub(super) fn reset_arrives(&mut self, conn: ConnNo, way: Way) {
        let connection = self.network.get(conn);
        if connection.has_vanished {
            return;
        }
        match way {
            Way::Down => {
                self.client_loses(conn, "reset");
                self.network.discard(conn, Way::Down);
            }
            Way::Up => {
                let server = connection.server;
                if let ServerEnd::Owned { core, key } = server {
                    let error = std::io::ErrorKind::ConnectionReset.into();
                    self.server_end_is_over(conn, core, key, CloseReason::Error(error));
                } else {
                    self.network.get(conn).server = ServerEnd::Gone;
                }
                self.network.discard(conn, Way::Up);
            }
        }
        self.network.forget_if_over(conn);
    }

    fn server_end_is_over(&mut self, conn: ConnNo, core: u16, key: SocketKey, reason: CloseReason) {
        self.network.get(conn).server = ServerEnd::Gone;
        if let Some(sockets) = self.sockets(core) {
            sockets.closed(key, reason);
        }
        self.poke(core);
    }

    fn detached(&mut self, conn: ConnNo, core: u16, key: SocketKey) {
        self.network.get(conn).server = ServerEnd::Moving;
        self.network.get(conn).is_detaching = false;
        self.coverage.hit(Happening::HandOver);
        if let Some(sockets) = self.sockets(core) {
            sockets.detached(key, conn);
        }
        self.poke(core);
    }

    // Orders.

    /// Carries out what a core ordered in its turn.
    pub(super) fn carry_out(&mut self, core: u16, mut orders: Vec<Order>) {
        for order in orders.drain(..) {
            match order {
                Order::Add { conn, key } => self.add(conn, core, key),
                Order::Send { conn, bytes } => self.send(conn, bytes),
                Order::Pause { conn } => {
                    self.coverage.hit(Happening::Paused);
                    self.network.get(conn).is_receiving = false;
                }
                Order::Resume { conn } => {
                    self.network.get(conn).is_receiving = true;
                    self.read(conn, Way::Up);
                }
                Order::Detach { conn } => self.detach(conn),
                Order::Close { conn } => self.close(conn),
                Order::Abort { conn } => self.abort(conn),
                Order::TurnAway { conn, bytes } => {
                    self.coverage.hit(Happening::TurnedAway);
                    self.network.write(conn, Way::Down, bytes, &mut self.schedule);
                    self.drop_server_end(conn);
                }
                Order::Drop { conn } => self.drop_server_end(conn),
                Order::StopListening => {
                    if let Some(node) = &mut self.node {
                        node.is_listening = false;
                    }
                }
            }
        }
        if let Some(sockets) = self.sockets(core) {
            sockets.reuse(orders);
        }
    }

    fn add(&mut self, conn: ConnNo, core: u16, key: SocketKey) {
        let connection = self.network.get(conn);
        if connection.server == ServerEnd::Gone {
            // It broke while it was on no core.
            let error = std::io::ErrorKind::ConnectionReset.into();
            self.server_end_is_over(conn, core, key, CloseReason::Error(error));
            return;
        }
        connection.server = ServerEnd::Owned { core, key };
        connection.is_receiving = true;
        self.read(conn, Way::Up);
    }

    fn send(&mut self, conn: ConnNo, bytes: Vec<u8>) {
        let most = self.send_bytes_max();
        if bytes.len() > most {
            let detail = format!("{} bytes at once, where {most} may be", bytes.len());
            self.fail("output is bounded", detail);
        }
        self.network.write(conn, Way::Down, bytes, &mut self.schedule);
        if self.network.has_unsent(conn, Way::Down) {
            self.coverage.hit(Happening::ShortWrite);
        }
    }

    fn detach(&mut self, conn: ConnNo) {
        let is_writing = self.network.is_writing(conn, Way::Down);
        let connection = self.network.get(conn);
        connection.is_receiving = false;
        if is_writing {
            connection.is_detaching = true;
        } else if let ServerEnd::Owned { core, key } = connection.server {
            self.detached(conn, core, key);
        }
    }

    fn close(&mut self, conn: ConnNo) {
        let connection = self.network.get(conn);
        (connection.is_closing, connection.is_receiving) = (true, true);
        self.network.end(conn, Way::Down, &mut self.schedule);
        self.read(conn, Way::Up);
    }

    fn abort(&mut self, conn: ConnNo) {
        if let ServerEnd::Owned { core, key } = self.network.get(conn).server {
            self.server_end_is_over(conn, core, key, CloseReason::Local);
            self.break_off(conn);
        }
    }

    /// The server's end closes behind what was written on it.
    fn drop_server_end(&mut self, conn: ConnNo) {
        self.network.get(conn).server = ServerEnd::Gone;
        self.network.end(conn, Way::Down, &mut self.schedule);
        self.throw_away(conn, Way::Up);
        self.network.forget_if_over(conn);
    }
}
