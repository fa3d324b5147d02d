//! What a client says.

use fulmar::shard::{DeviceId, UserId};
use fulmar_protocol::{Assembly, Code, Frame, Send};

use super::super::facts::{Facts, Target};
use super::{Line, Unanswered, Upload};

impl Line {
    pub(super) fn say_frame(&mut self, frame: &Frame<'_>, facts: &mut Facts) {
        match frame {
            Frame::Hello(hello) if self.identity == (0, 0) => {
                self.identity = (hello.user, hello.device as DeviceId);
                let inbox = hello.cursors.iter().find(|&(log, _)| log == 0);
                self.hello_cursor = inbox.map_or(0, |(_, cursor)| cursor);
            }
            Frame::Send(send) => self.say_send(send, facts),
            Frame::Part { body } => self.say_part(body, facts),
            Frame::Ack { position } => {
                self.acked = self.acked.max(*position);
                while self.window.front().is_some_and(|&(first, _)| first <= *position) {
                    self.window.pop_front();
                }
                facts.acknowledge(self.identity, *position);
            }
            Frame::Read { peer, ordinal } => facts.read(self.identity.0, *peer, *ordinal),
            Frame::Ask { .. } | Frame::Ping | Frame::Unknown { .. } => {}
            frame if self.say_of_groups(frame, facts) || self.say_of_people(frame, facts) => {}
            // The server ends the connection.
            _ => self.is_garbled = true,
        }
    }

    fn say_send(&mut self, send: &Send<'_>, facts: &mut Facts) {
        let Send { peer, number, body, total_bytes, .. } = *send;
        let all_bytes = total_bytes.unwrap_or(body.len() as u64);
        if total_bytes.is_some() && !matches!(self.upload, Upload::None) {
            self.is_garbled = true;
            return;
        }
        let refusal = if peer == 0 {
            Some(Code::BadPeer)
        } else {
            (all_bytes > facts.limits.body_bytes_max).then_some(Code::BodyTooLarge)
        };
        match total_bytes {
            None => self.offer(peer, number, body, refusal, facts),
            Some(_) if refusal.is_some() => {
                self.offer(peer, number, body, refusal, facts);
                self.upload = Upload::Ignored { rest_bytes: all_bytes - body.len() as u64 };
            }
            Some(_) => {
                let assembly = Assembly::new(all_bytes as usize, body);
                let (to, content) = (Target::Peer(peer), send.content);
                self.upload = Upload::Taken { to, number, content, assembly };
            }
        }
    }

    fn say_part(&mut self, body: &[u8], facts: &mut Facts) {
        match std::mem::replace(&mut self.upload, Upload::None) {
            Upload::None => self.is_garbled = true,
            Upload::Taken { to, number, content, mut assembly } => match assembly.push(body) {
                Ok(true) => self.say_whole(to, number, content, &assembly.into_body(), facts),
                Ok(false) => self.upload = Upload::Taken { to, number, content, assembly },
                Err(_) => self.is_garbled = true,
            },
            Upload::Ignored { rest_bytes } => match rest_bytes.checked_sub(body.len() as u64) {
                Some(0) => {}
                Some(rest_bytes) => self.upload = Upload::Ignored { rest_bytes },
                None => self.is_garbled = true,
            },
        }
    }

    /// The last piece of a large body.
    fn say_whole(&mut self, to: Target, number: u64, content: u8, body: &[u8], facts: &mut Facts) {
        match to {
            Target::Peer(peer) => self.offer(peer, number, body, None, facts),
            Target::Group(group) => self.offer_in(group, number, (content, body), facts),
        }
    }

    fn offer(
        &mut self,
        peer: UserId,
        number: u64,
        body: &[u8],
        refusal: Option<Code>,
        facts: &mut Facts,
    ) {
        let is_first = facts.offer(self.identity, peer, number, body);
        let user = self.identity.0;
        let wants_copy = is_first && peer != user && facts.ledger.devices(user).count() > 1;
        self.sends += 1;
        let nth = self.sends;
        let send = Unanswered { number, nth, refusal, wants_copy };
        self.unanswered.entry(peer).or_default().push(send);
    }
}
