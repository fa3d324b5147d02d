//! From accept to welcome, and the end of a session.

use bytes::Bytes;
use fulmar_protocol::limits::DEVICE_MAX;
use fulmar_protocol::{Code, Frame, Hello, Pairs, VERSION, Welcome, capability};

use super::connection::{Connection, Session, Stage};
use super::inbox;
use super::record::Device;
use super::{
    Answer, Arrival, ConnId, DeviceId, Effects, Identity, Level, Refusal, Shard, UserId, home_core,
};
use crate::faults::{Fault, is_planted};
use crate::limits::{CORES_MAX, OVERLOAD_RETRY_MS};

/// The inbox among the logs of a hello, welcome or pong.
pub(super) const INBOX_LOG: u64 = 0;
/// Bits of a session's number below the time at which the shard began, in milliseconds. So for each
/// millisecond that lies between two shards of a core, the first may number 1,024 sessions.
pub(super) const SESSION_TIME_SHIFT: u32 = 16;

impl Shard {
    pub(super) fn accepted(&mut self, conn: ConnId, fx: &mut Effects) {
        self.counters.accepted += 1;
        self.insert(conn, Stage::Hello);
        self.arm(conn, self.now.mono_ms + self.config.hello_timeout_ms);
        if self.shutting_down {
            self.end(conn, Code::ShuttingDown, "the server is stopping", fx);
        } else if self.level >= Level::RefuseLogins {
            self.refuse_login(conn, fx);
        }
    }

    pub(super) fn arrived(&mut self, conn: ConnId, arrival: Arrival, fx: &mut Effects) {
        self.insert(conn, Stage::Login(Box::new(arrival)));
        self.arm(conn, self.now.mono_ms + crate::limits::LOGIN_TIMEOUT_MS);
        self.log_in(conn, fx);
    }

    fn insert(&mut self, conn: ConnId, stage: Stage) {
        let connection = Connection::new(conn, stage, self.now.mono_ms);
        self.connections.put(conn.slot, connection);
        self.counters.connections += 1;
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self, conn: ConnId) {
        if self.connection(conn).is_none() {
            return;
        }
        self.leave(conn);
        self.forget(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.take(conn.slot) {
            self.counters.connections -= 1;
            self.recycle(connection.input);
            self.recycle(connection.output);
        }
    }

    /// Takes the session of a connection, if it has one, out of its user.
    pub(super) fn leave(&mut self, conn: ConnId) {
        let now_ms = self.now.mono_ms;
        self.leave_groups(conn);
        let Some(session) = self.session(conn) else { return };
        let (slot, id) = (session.user_slot, session.user);
        if let Some(attention) = session.attention.take() {
            self.watching.end(conn, id, attention);
        }
        let Some(session) = self.session(conn) else { return };
        if let Some(upload) = session.upload.take() {
            self.forget_upload(&upload);
        }
        self.drop_page(conn);
        self.counters.sessions -= 1;
        let user = &mut self.users[slot];
        user.sessions.retain(|&mut (_, known)| known != conn);
        user.used_ms = now_ms;
        self.queue_pump(slot);
        if let Some(connection) = self.connection(conn) {
            connection.stage = Stage::Closing;
        }
    }

    pub(super) fn hello(&mut self, conn: ConnId, hello: &Hello<'_>, fx: &mut Effects) {
        if hello.version_min > VERSION || hello.version_max < VERSION {
            let detail = format!(
                "this server speaks version {VERSION}; the hello offers {} to {}",
                hello.version_min, hello.version_max
            );
            self.refuse(conn, Code::UnsupportedVersion, 0, &detail, fx);
            return;
        }
        let Some(identity) = identity(hello.user, hello.device) else {
            let detail = format!("user is from 1, device from 1 to {DEVICE_MAX}");
            self.refuse(conn, Code::BadIdentity, 0, &detail, fx);
            return;
        };
        let inbox_cursor =
            hello.cursors.iter().find(|&(log, _)| log == INBOX_LOG).map_or(0, |(_, cursor)| cursor);
        let arrival = Arrival { identity, capabilities: hello.capabilities, inbox_cursor };
        let now_ms = self.now.mono_ms;
        let Some(connection) = self.connection(conn) else { return };
        connection.heard_ms = now_ms;
        connection.stage = Stage::Authenticating(Box::new(arrival));
        if !hello.token.is_empty() {
            fx.authenticate.push((conn, Bytes::copy_from_slice(hello.token)));
        } else if self.config.unsigned_users {
            self.authenticated(conn, Ok(identity), fx);
        } else {
            self.refuse(conn, Code::TokenRequired, 0, "the hello has no token", fx);
        }
    }

    pub(super) fn authenticated(
        &mut self,
        conn: ConnId,
        result: Result<Identity, Refusal>,
        fx: &mut Effects,
    ) {
        let (core, cores) = (self.config.core, self.config.cores);
        let Some(connection) = self.connection(conn) else { return };
        let Stage::Authenticating(arrival) = &connection.stage else { return };
        let arrival = arrival.clone();
        match result {
            Err(Refusal { code, detail }) => {
                let retry_ms = if code == Code::Overloaded { OVERLOAD_RETRY_MS } else { 0 };
                self.refuse(conn, code, retry_ms, detail, fx);
            }
            Ok(identity) if identity != arrival.identity => {
                let detail = "the token is for another user or device than the hello";
                self.refuse(conn, Code::TokenMismatch, 0, detail, fx);
            }
            Ok(identity) => {
                let home = home_core(identity.user, cores);
                if home == core {
                    connection.stage = Stage::Login(arrival);
                    self.log_in(conn, fx);
                } else {
                    self.leaving.push((conn, home));
                }
            }
        }
    }

    /// Hands connections that belong to other cores to these, at the end of the turn: what follows a
    /// hello in the same turn still makes it void.
    pub(super) fn hand_over(&mut self, fx: &mut Effects) {
        while let Some((conn, home)) = self.leaving.pop() {
            let Some(connection) = self.connection(conn) else { continue };
            let Stage::Authenticating(arrival) = &connection.stage else { continue };
            let arrival = (**arrival).clone();
            self.forget(conn);
            fx.hand_over.push((conn, home, arrival));
        }
    }

    /// Goes on with a login whose identity is known, at the user's home core.
    pub(super) fn log_in(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(arrival) = self.arrival(conn) else { return };
        if self.shutting_down {
            self.end(conn, Code::ShuttingDown, "the server is stopping", fx);
            return;
        }
        if self.level >= Level::RefuseLogins {
            self.refuse_login(conn, fx);
            return;
        }
        let slot = self.user_slot(arrival.identity.user, fx);
        let user = &mut self.users[slot];
        let is_known = user.device(arrival.identity.device).is_some();
        // A new device is stored with the inbox's record, which must not be ahead of receipts.
        if user.stage == inbox::Stage::Loading || (!is_known && user.receipts_waiting > 0) {
            user.waits().logins.push(conn);
            return;
        }
        if is_known && user.registered <= self.stored {
            self.welcome(conn, fx);
            return;
        }
        if is_known {
            // Another connection of the device just registered it.
            self.answer_when_stored(None, Answer::Welcome { conn }, fx);
            return;
        }
        if user.record.devices.len() >= self.config.devices_max {
            let detail = format!("a user has at most {} devices", self.config.devices_max);
            self.refuse(conn, Code::TooManyDevices, 0, &detail, fx);
            return;
        }
        self.register(slot, arrival.identity.device, fx);
        // The welcome tells the device that it is entitled to messages, so that must be durable.
        self.answer_when_stored(None, Answer::Welcome { conn }, fx);
    }

    fn refuse_login(&mut self, conn: ConnId, fx: &mut Effects) {
        let detail = "too much to do to take new logins";
        self.refuse(conn, Code::Overloaded, OVERLOAD_RETRY_MS, detail, fx);
    }

    fn arrival(&mut self, conn: ConnId) -> Option<Arrival> {
        match &self.connection(conn)?.stage {
            Stage::Login(arrival) => Some((**arrival).clone()),
            _ => None,
        }
    }

    /// Adds a device to a user. It starts with the oldest message that another device lacks, or
    /// with everything that is kept if it is the first.
    fn register(&mut self, slot: u32, device: DeviceId, fx: &mut Effects) {
        let user = &mut self.users[slot];
        let record = &mut user.record;
        let (cursor, cursor_bytes) = record
            .slowest()
            .map_or((record.trim, record.trim_bytes), |known| (known.cursor, known.cursor_bytes));
        record.devices.push(Device { device, cursor, cursor_bytes });
        user.registered = self.ticket;
        if !is_planted(Fault::DeviceNotStored) {
            self.write_inbox(slot, fx);
        }
    }

    /// Opens the session and says so, unless the device has another one: that is decided at the end of
    /// the turn. Goes back to loading if the user was let go meanwhile.
    pub(super) fn welcome(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(arrival) = self.arrival(conn) else { return };
        let Identity { user, device } = arrival.identity;
        let slot = self.user_slot(user, fx);
        if self.users[slot].session_of(device).is_some() {
            self.takeovers.push(conn);
        } else {
            self.begin_session(conn, fx);
        }
    }

    /// Lets logins replace older sessions of their devices. What has arrived of a connection is
    /// known by now, its end included: a client that gave up while the node didn't get to it has come
    /// back since, and its old hello must not replace the new connection.
    pub(super) fn take_over(&mut self, fx: &mut Effects) {
        for conn in std::mem::take(&mut self.takeovers) {
            self.begin_session(conn, fx);
        }
    }

    fn begin_session(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(arrival) = self.arrival(conn) else { return };
        let Identity { user: id, device } = arrival.identity;
        let slot = self.user_slot(id, fx);
        let user = &mut self.users[slot];
        let Some(known) = user.device(device).copied() else {
            self.log_in(conn, fx);
            return;
        };
        let head = user.durable;
        if let Some(older) = user.session_of(device) {
            self.counters.takeovers += 1;
            let detail = "this device logged in on another connection";
            if !is_planted(Fault::TakeoverWithoutFence) {
                self.end(older, Code::Replaced, detail, fx);
            }
        }
        self.open(conn, id, slot, device, known.cursor);
        let frame = Frame::Welcome(Welcome {
            version: VERSION,
            capabilities: arrival.capabilities & capability::NONE,
            session: self.session_number(),
            time_ms: self.now.unix_ms,
            body_bytes_max: self.config.body_bytes_max,
            window_messages: u64::from(self.config.window_messages),
            window_bytes: self.config.window_bytes,
            sends_max: u64::from(self.config.sends_max),
            idle_s: self.config.idle_s,
            presence_s: self.config.presence_interval_ms / 1_000,
            heads: Pairs::Slice(&[(INBOX_LOG, head)]),
        });
        self.put(conn, &frame, fx);
        if arrival.inbox_cursor < known.cursor {
            self.put(conn, &Frame::Skip { position: known.cursor }, fx);
        }
        self.queue_pump(slot);
    }

    fn open(&mut self, conn: ConnId, id: UserId, slot: u32, device: DeviceId, cursor: u64) {
        let now_ms = self.now.mono_ms;
        let idle_ms = self.config.idle_s * 1_000;
        let user = &mut self.users[slot];
        user.sessions.push((device, conn));
        user.used_ms = now_ms;
        if let Some(connection) = self.connection(conn) {
            connection.heard_ms = now_ms;
            connection.stage = Stage::Open(Box::new(Session::new(id, slot, device, cursor)));
        }
        self.arm(conn, now_ms + idle_ms);
        self.counters.logins += 1;
        self.counters.sessions += 1;
    }

    /// A number that no other session of this node has, larger than those before it on this core, also
    /// over a restart: counted from the time at which the shard began, with the core in the last six
    /// bits. The clock isn't asked, since it may go back.
    fn session_number(&mut self) -> u64 {
        self.last_session += CORES_MAX as u64;
        self.last_session
    }

    pub(super) fn pong(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if !std::mem::replace(&mut session.pong_owed, true) && !self.pay_pong(conn, fx) {
            self.pongs_owed.push(conn);
        }
    }

    /// Answers the pings for whose answers more had to be stored.
    pub(super) fn pay_pongs(&mut self, fx: &mut Effects) {
        let mut owed = std::mem::take(&mut self.pongs_owed);
        owed.retain(|&conn| !self.pay_pong(conn, fx));
        self.pongs_owed = owed;
    }

    /// Answers a ping, if that is owed. A pong also says that everything from before the pong before it is stored, so
    /// it waits for that, and for what the session said and isn't changed yet; `false` if it has to.
    pub(super) fn pay_pong(&mut self, conn: ConnId, fx: &mut Effects) -> bool {
        let now_ms = self.now.mono_ms;
        let changed_ms = self.oldest_change_ms().unwrap_or(u64::MAX);
        let Some(session) = self.session(conn).filter(|session| session.pong_owed) else {
            return true;
        };
        let is_unstored = changed_ms <= session.ponged_ms && session.ponged_ms > 0;
        if is_unstored || session.reads_loading > 0 {
            return false;
        }
        session.pong_owed = false;
        session.ponged_ms = now_ms;
        let slot = session.user_slot;
        let head = self.users[slot].durable;
        self.put(conn, &Frame::Pong { heads: Pairs::Slice(&[(INBOX_LOG, head)]) }, fx);
        self.pause_if_full(conn, fx);
        true
    }

    pub(super) fn shut_down(&mut self, fx: &mut Effects) {
        self.shutting_down = true;
        let conns: Vec<ConnId> = self.connections.iter().map(|connection| connection.id).collect();
        for conn in conns {
            self.end(conn, Code::ShuttingDown, "the server is stopping", fx);
        }
    }
}

fn identity(user: u64, device: u64) -> Option<Identity> {
    let device = DeviceId::try_from(device).ok()?;
    (user > 0 && device > 0).then_some(Identity { user, device })
}
