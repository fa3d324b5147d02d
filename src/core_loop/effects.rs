//! Carrying out what the shard wants, and feeding it what came in from other threads.

use super::{CoreLoop, Job, MAIL_PER_TURN, Moving, Parcel, Reply, socket_key};
use crate::shard::{Event, Now};

impl CoreLoop {
    /// Feeds the shard what the other threads left for it.
    pub(super) fn take_mail(&mut self) {
        for _ in 0..MAIL_PER_TURN {
            let Some(stored) = self.parts.mail.stored.pop() else { break };
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
        for lane in 0..self.parts.mail.cores_in.len() {
            for _ in 0..MAIL_PER_TURN {
                let Some(parcel) = self.parts.mail.cores_in[lane].pop() else { break };
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
            mail.ask(Job::Verify { core, conn, token });
        }
        for (to, letter) in self.fx.letters.drain(..) {
            mail.send(to, Parcel::Letter(letter));
        }
        mail.flush();
        for (conn, to, arrival) in self.fx.hand_over.drain(..) {
            let key = socket_key(conn);
            // It may have ended in this very turn.
            if self.ring.detach(key) {
                self.moving.insert(key, Moving { core: to, arrival, early: Vec::new() });
            }
        }
        for (conn, is_paused) in self.fx.pause.drain(..) {
            let key = socket_key(conn);
            if is_paused {
                self.paused.insert(key);
                self.ring.pause(key);
            } else {
                self.paused.remove(&key);
                self.ring.resume(key);
            }
        }
        for conn in self.fx.flush.drain(..) {
            if let Some(bytes) = self.parts.shard.take_output(conn)
                && let Err(unsent) = self.ring.send(socket_key(conn), bytes)
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
            self.ring.abort(socket_key(conn));
        }
    }
}
