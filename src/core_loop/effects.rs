//! Carrying out what the shard wants, and feeding it what came in from other threads.

use fulmar_protocol::Code;

use super::{CoreLoop, Job, MAIL_PER_TURN, Parcel, Reply, Sockets, note_departures, socket_key};
use crate::faults::{Fault, is_planted};
use crate::shard::{Event, Now, Refusal};

impl<S: Sockets> CoreLoop<S> {
    /// Feeds the shard what the other threads left for it.
    pub(super) fn take_mail(&mut self) {
        for _ in 0..MAIL_PER_TURN {
            let Some(stored) = self.parts.mail.stored() else { break };
            self.parts.mail.keep_spare(stored.spent);
            self.parts.shard.on_event(Event::Stored { ticket: stored.ticket }, &mut self.fx);
        }
        for _ in 0..MAIL_PER_TURN {
            let Some(reply) = self.parts.mail.answer() else { break };
            let event = match reply {
                Reply::Loaded(loaded) => Event::Loaded(loaded),
                Reply::Verified { conn, result } => Event::Authenticated { conn, result },
            };
            self.parts.shard.on_event(event, &mut self.fx);
        }
        for conn in self.turned_down.drain(..) {
            let refusal = Refusal { code: Code::Overloaded, detail: "too many logins at once" };
            let event = Event::Authenticated { conn, result: Err(refusal) };
            self.parts.shard.on_event(event, &mut self.fx);
        }
        for lane in 0..self.parts.mail.lanes() {
            for _ in 0..MAIL_PER_TURN {
                let Some(parcel) = self.parts.mail.parcel(lane) else { break };
                match parcel {
                    Parcel::Letter(letter) => {
                        self.parts.shard.on_event(Event::Letter(letter), &mut self.fx);
                    }
                    Parcel::Connection { fd, arrival, early } => self.adopt(fd, arrival, &early),
                }
            }
        }
    }

    /// Carries out the effects of the turn.
    pub(super) fn carry_out(&mut self, now: Now) {
        let core = self.parts.core;
        let mail = &mut self.parts.mail;
        if !self.fx.writes.is_empty() {
            mail.commit(self.fx.ticket, &mut self.fx.writes);
        }
        for load in self.fx.loads.drain(..) {
            mail.ask(Job::Load { core, load });
        }
        for (conn, token) in self.fx.authenticate.drain(..) {
            if mail.is_crowded() {
                self.turned_down.push(conn);
            } else {
                mail.ask(Job::Verify { core, conn, token });
            }
        }
        for (to, letter) in self.fx.letters.drain(..) {
            mail.send(to, Parcel::Letter(letter));
        }
        mail.flush();
        note_departures(&mut self.fx, &mut self.moving, &mut self.leaving);
        for key in self.leaving.drain(..) {
            // It may have ended in the same turn, which takes out what is noted for it.
            if self.sockets.contains(key) {
                self.sockets.detach(key);
            } else {
                self.moving.remove(&key);
            }
        }
        for (conn, is_paused) in self.fx.pause.drain(..) {
            let key = socket_key(conn);
            if is_paused && self.sockets.contains(key) {
                self.paused.insert(key);
                self.sockets.pause(key);
            } else {
                self.paused.remove(&key);
                if !self.gated.is_empty() {
                    // The gate is closed; it goes on with the others.
                    self.gated.push(key);
                } else if !is_planted(Fault::NeverResumed) {
                    self.sockets.resume(key);
                }
            }
        }
        for conn in self.fx.flush.drain(..) {
            if let Some(bytes) = self.parts.shard.take_output(conn)
                && let Err(unsent) = self.sockets.send(socket_key(conn), bytes)
            {
                // The socket is ending, which is reported before long.
                self.parts.shard.recycle(unsent);
            }
        }
        let mut closing = std::mem::take(&mut self.fx.close);
        for conn in closing.drain(..) {
            self.close(conn, now);
        }
        self.fx.close = closing;
        for conn in self.fx.abort.drain(..) {
            self.sockets.abort(socket_key(conn));
        }
    }
}
