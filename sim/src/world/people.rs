//! Devices and the people who hold them.

use fulmar_client::core::{Action, Input, Now, Session};
use fulmar_client::store::Store as _;
use fulmar_client::{Event as Told, Reason, Target};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Code, Frame, Frames};

use super::World;
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::device::{self, Device};
use crate::network::Way;
use crate::schedule::Event;
use crate::trace::in_words;

impl World {
    fn device_now(&self) -> Now {
        Now { elapsed_ms: self.schedule.now() / MS, unix_ms: self.unix_ms() }
    }

    /// Feeds a device's session, and does what it says.
    pub(super) fn device_input(&mut self, device: u32, input: Input<'_>) {
        self.with_session(device, |session, now, actions| session.handle(now, input, actions));
    }

    /// Has something done by a device's session, and does what follows from it.
    pub(super) fn with_session<T>(
        &mut self,
        device: u32,
        does: impl FnOnce(&mut Session, Now, &mut Vec<Action>) -> T,
    ) -> Option<T> {
        let now = self.device_now();
        let mut actions = std::mem::take(&mut self.actions);
        let session = self.devices[device as usize].session.as_mut()?;
        let outcome = does(session, now, &mut actions);
        for action in actions.drain(..) {
            self.act(device, action);
        }
        self.actions = actions;
        self.set_timer(device);
        Some(outcome)
    }

    fn act(&mut self, device: u32, action: Action) {
        let now = self.schedule.now();
        let state = &mut self.devices[device as usize];
        match action {
            Action::Connect { .. } => {
                let conn = self.dial(device);
                self.devices[device as usize].conn = Some(conn);
            }
            Action::Transmit(bytes) => {
                let Some(conn) = state.conn else { return };
                for frame in Frames::new(&bytes, FRAME_BYTES_MAX).flatten() {
                    if let Ok(frame) = Frame::decode(frame) {
                        self.trace.say(now, || format!("device on {conn}: {}", in_words(&frame)));
                        self.oracle.wrote(conn, &frame);
                    }
                }
                self.repeat_hello(device, &bytes);
                self.client_writes(conn, bytes);
            }
            Action::Close => {
                if let Some(conn) = state.conn.take() {
                    self.client_closes(conn);
                }
            }
            Action::Commit(batch) => {
                state.batch = Some(batch);
                let process = state.process;
                let mut pause = self.people.pause(self.plan.store);
                if !self.is_calm() && self.people.once_in(300) {
                    pause += self.people.between(100 * MS..=3 * SECOND);
                    self.coverage.hit(Happening::SlowStore);
                }
                self.schedule.after(pause, Event::DeviceStored { device, process });
            }
            Action::Saved(_) => {}
            Action::Notify(event) => self.notified(device, &event),
        }
    }

    fn notified(&mut self, device: u32, event: &Told) {
        let now = self.schedule.now();
        let state = &mut self.devices[device as usize];
        let (user, number) = (state.user, state.number);
        self.trace.say(now, || format!("device {number} of {user}: {event:?}"));
        self.oracle.notified(user, number, event);
        match event {
            Told::Message(message) => {
                state.arrived(message.peer, message.ordinal.unwrap_or(0));
                state.remembers(message.id);
                state.heeds(message);
            }
            Told::OwnCopy(message) => {
                state.remembers(message.id);
                state.heeds(message);
            }
            Told::Ticked { id, .. } => {
                state.remembers(*id);
                state.heeds_own(*id);
            }
            Told::Rejected { id, .. } => state.was_rejected(*id),
            Told::Disconnected { retry_in_ms: None, reason } => {
                state.is_stopped = true;
                if matches!(reason, Reason::Goodbye { code: Code::Replaced, .. }) {
                    self.coverage.hit(Happening::Replaced);
                }
            }
            Told::Refused { retry_in_ms: None, .. } => state.is_stopped = true,
            _ => self.notified_of_group(device, event),
        }
    }

    fn set_timer(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        let Some(due_ms) = state.session.as_ref().and_then(Session::deadline_ms) else { return };
        let due = due_ms.saturating_mul(MS).max(self.schedule.now() + 1);
        if due < state.timer {
            state.timer = due;
            let process = state.process;
            self.schedule.at(due, Event::DeviceTimer { device, process });
        }
    }

    /// A timer of a session is due, or was when it was entered.
    pub(super) fn device_timer(&mut self, device: u32, process: u32) {
        let now = self.schedule.now();
        let state = &mut self.devices[device as usize];
        if state.process != process || state.timer != now {
            return;
        }
        state.timer = Time::MAX;
        let due_ms = state.session.as_ref().and_then(Session::deadline_ms);
        if due_ms.is_some_and(|due_ms| due_ms <= now / MS) {
            self.device_input(device, Input::Tick);
        } else {
            self.set_timer(device);
        }
    }

    /// A device's store has committed.
    pub(super) fn device_stored(&mut self, device: u32, process: u32) {
        let state = &mut self.devices[device as usize];
        if state.process != process {
            return;
        }
        self.commit(device);
        self.device_input(device, Input::Stored(Ok(())));
        if let Some(conn) = self.devices[device as usize].conn {
            self.read(conn, Way::Down);
        }
    }

    fn commit(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        let Some(batch) = state.batch.take() else { return };
        let (user, number) = (state.user, state.number);
        if let Err(error) = state.store.commit(&batch) {
            self.fail("a session's batches fit its store", error.to_string());
        }
        self.oracle.stored(user, number, &batch);
    }

    // Programs.

    /// A device's program begins, unless it runs.
    pub(super) fn device_start(&mut self, device: u32, process: u32) {
        let seed = self.people.number();
        let state = &mut self.devices[device as usize];
        if state.session.is_some() || state.process != process {
            return;
        }
        state.start(seed);
        if self.has_books() {
            self.with_session(device, Session::follow_book);
        }
        if self.has_presence() {
            self.watch_some(device);
        }
        self.device_input(device, Input::Tick);
    }

    /// A device's program is killed.
    pub(super) fn crash_device(&mut self, device: u32) {
        if self.devices[device as usize].session.is_none() {
            return;
        }
        self.coverage.hit(Happening::DeviceCrash);
        if self.devices[device as usize].batch.is_some() {
            if self.people.percent(50) {
                self.commit(device);
            } else {
                self.coverage.hit(Happening::DeviceLostBatch);
            }
        }
        self.end_program(device);
        let pause = self.people.magnitude(MS..=10 * SECOND);
        self.start_later(device, pause);
    }

    /// A device's program ends in order, and begins again after a while.
    pub(super) fn send_away(&mut self, device: u32, pause: Time) {
        if self.devices[device as usize].session.is_none() {
            return;
        }
        self.with_session(device, Session::close);
        // What a program stores last it waits for.
        self.commit(device);
        while let Some(Action::Commit(batch)) = self.last_batch(device) {
            self.devices[device as usize].batch = Some(batch);
            self.commit(device);
        }
        self.end_program(device);
        self.start_later(device, pause);
    }

    /// What an ended session still wants stored after its last batch.
    fn last_batch(&mut self, device: u32) -> Option<Action> {
        let now = self.device_now();
        let mut actions = Vec::new();
        let session = self.devices[device as usize].session.as_mut()?;
        session.handle(now, Input::Stored(Ok(())), &mut actions);
        let (batches, told): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| matches!(action, Action::Commit(_)));
        for action in told {
            self.act(device, action);
        }
        batches.into_iter().next()
    }

    /// A device is lost for good.
    pub(super) fn lose_device(&mut self, device: u32) {
        self.coverage.hit(Happening::DeviceLost);
        self.end_program(device);
        let state = &self.devices[device as usize];
        self.oracle.gone(state.user, state.number);
    }

    fn end_program(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        state.batch = None;
        state.end();
        if let Some(conn) = state.conn.take() {
            self.client_closes(conn);
        }
    }

    pub(super) fn start_later(&mut self, device: u32, pause: Time) {
        let process = self.devices[device as usize].process;
        self.schedule.after(pause, Event::DeviceStart { device, process });
    }

    /// A device loses its store, and begins again as new.
    pub(super) fn reinstall(&mut self, device: u32) {
        if self.devices[device as usize].session.is_none() {
            return;
        }
        self.coverage.hit(Happening::Reinstall);
        self.end_program(device);
        let state = &mut self.devices[device as usize];
        state.lose_store();
        let (user, number) = (state.user, state.number);
        self.oracle.lost_store(user, number);
        let pause = self.people.magnitude(100 * MS..=5 * SECOND);
        self.start_later(device, pause);
    }

    /// A device that was told to stay away comes back.
    pub(super) fn reconnect(&mut self, device: u32) {
        self.with_session(device, Session::reconnect);
    }

    // People.

    /// A person does something on a device, and will do something again.
    pub(super) fn person(&mut self, device: u32) {
        if self.is_calm() || self.steps_left == 0 {
            return;
        }
        self.steps_left -= 1;
        let pause = self.people.pause(self.plan.person);
        self.schedule.after(pause, Event::Person { device });
        let state = &self.devices[device as usize];
        if state.session.is_none() {
            return;
        }
        if state.is_stopped && self.people.percent(50) {
            self.devices[device as usize].is_stopped = false;
            self.reconnect(device);
            return;
        }
        if self.looks_back(device) {
            return;
        }
        if self.blocks.once_in(self.plan.block_once_in) {
            self.block(device);
            return;
        }
        if self.plan.book_percent > 0 && self.books.percent(self.plan.book_percent) {
            self.put_item(device);
            return;
        }
        if self.plan.profile_percent > 0 && self.profiles.percent(self.plan.profile_percent) {
            self.about_oneself(device);
            return;
        }
        if self.has_presence() && self.presence.percent(self.plan.presence_percent) {
            self.be_there(device);
            return;
        }
        if self.plan.fading_percent > 0 && self.fading.once_in(60) {
            self.set_timer_of_chat(device);
            return;
        }
        if self.plan.content_percent > 0 && self.contents.percent(self.plan.content_percent) {
            self.refer(device);
            return;
        }
        if self.plan.groups > 0 && self.people.percent(self.plan.group_percent) {
            self.in_group(device);
            return;
        }
        match self.people.below(100) {
            0..60 => self.write(device),
            60..95 => self.look_at(device),
            _ => self.send_again(device),
        }
    }

    /// A person writes a message.
    pub(super) fn write(&mut self, device: u32) {
        let user = self.devices[device as usize].user;
        let peer = self.peer_of(user);
        self.write_to(device, peer);
    }

    pub(super) fn write_to(&mut self, device: u32, peer: u64) {
        self.serial += 1;
        let large_percent = self.plan.large_percent;
        let bytes = device::body_bytes(&mut self.people, self.plan.body_bytes, large_percent);
        let content = self.people.pick(&[0, 1, 1, 1, 200]);
        let body = device::body(self.serial, bytes);
        let (content, body) = self.perhaps_fading(device, Target::Peer(peer), (content, body));
        let user = self.devices[device as usize].user;
        let taken = self.with_session(device, |session, now, actions| {
            session.send(now, peer, content, body, actions).is_ok()
        });
        if taken == Some(true) {
            self.coverage.hit(Happening::Send);
            if bytes == 0 {
                self.coverage.hit(Happening::EmptySend);
            }
            if bytes > 16_300 {
                self.coverage.hit(Happening::LargeSend);
            }
            if peer == user {
                self.coverage.hit(Happening::SelfSend);
            }
        }
    }

    /// Mostly a neighbour, sometimes anybody, rarely oneself, a rogue, or someone who never comes.
    fn peer_of(&mut self, user: u64) -> u64 {
        let count = self.users.len() as u64;
        let first = self.users[0];
        match self.people.below(100) {
            0..70 => first + (user - first + 1 + self.people.below(4)) % count,
            70..94 => self.people.pick(&self.users),
            94..97 => user,
            97 => first + count + 1_000_000,
            _ if self.rogues.is_empty() => user,
            _ => {
                let rogue = self.people.index(self.rogues.len());
                self.rogues[rogue].user
            }
        }
    }

    /// A person looks at what came last, or at something older.
    fn look_at(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        let newest = self.people.percent(80);
        let seen = if newest { state.unread.pop_back() } else { state.unread.pop_front() };
        if let Some((peer, ordinal)) = seen {
            self.coverage.hit(Happening::Reread);
            self.with_session(device, |session, now, actions| {
                session.mark_read(now, peer, ordinal, actions);
            });
        }
    }

    /// A person sends again what was rejected.
    fn send_again(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        let Some(id) = state.rejected.pop_front() else { return };
        let Ok(Some(message)) = state.store.message(id) else { return };
        let again = self.with_session(device, |session, now, actions| {
            session.resend(now, &message, actions).is_ok()
        });
        if again == Some(true) {
            self.coverage.hit(Happening::SendAgain);
        }
    }
}

impl Device {
    /// Whether the running program takes bytes.
    pub(crate) fn wants_bytes(&self) -> bool {
        self.session.as_ref().is_some_and(Session::wants_bytes)
    }
}
