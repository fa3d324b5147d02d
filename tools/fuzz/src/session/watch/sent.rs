//! What a session sends to the server.

use fulmar_client::limits::{BODY_BYTES_MAX, NUMBER_MAX, PUTS_IN_FLIGHT_MAX, SENDS_IN_FLIGHT_MAX};
use fulmar_client::{Target, content};
use fulmar_protocol::limits::{FRAME_BYTES_MAX, HISTORY_MAX, NAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Assembly, Frame, Frames};

use super::Watch;

impl Watch {
    /// The session's bytes.
    pub(in super::super) fn transmitted(&mut self, bytes: &[u8], is_writing: bool) {
        assert!(!bytes.is_empty());
        let mut frames = Frames::new(bytes, FRAME_BYTES_MAX);
        let mut last = None;
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame.expect("a client's length")).expect("a client's frame");
            assert!(!self.connection.is_over, "nothing follows a goodbye");
            self.transmitted_frame(&frame);
            last = frame.kind();
        }
        assert!(frames.rest().is_empty(), "half a frame");
        let is_last = last == Some(fulmar_protocol::Kind::Goodbye);
        assert!(!is_writing || is_last, "two writes at once");
    }

    fn transmitted_frame(&mut self, frame: &Frame<'_>) {
        if let Frame::Hello(hello) = frame {
            assert!(!self.connection.greeted, "a second hello");
            self.connection.greeted = true;
            let cursor = self.went_back.unwrap_or(self.cursor);
            assert!(hello.cursors.iter().eq([(0, cursor)]), "the cursor is what is stored");
            return;
        }
        assert!(self.connection.sends_max.is_some(), "{frame:?} before the welcome");
        match frame {
            Frame::Send(send) => {
                let target = Target::Peer(send.peer);
                self.check_send(target, send.number, send.total_bytes, send.body);
            }
            Frame::GroupSend(send) => {
                assert_ne!(send.content, content::CHANGE);
                let target = Target::Group(send.group);
                self.check_send(target, send.number, send.total_bytes, send.body);
            }
            Frame::GroupChange { group, number, change } => {
                let mut body = Vec::new();
                change.encode(&mut body);
                self.check_send(Target::Group(*group), *number, None, &body);
            }
            Frame::GroupResume { cursors } => {
                for (group, cursor) in cursors.iter() {
                    // Less where the server went back and the store doesn't know that yet.
                    let stored = self.group_cursors.get(&group).copied().unwrap_or(0);
                    assert!(cursor <= stored, "a group is resumed from what isn't stored");
                }
            }
            Frame::GroupAck { group, position } => {
                let stored = self.group_cursors.get(group).copied().unwrap_or(0);
                assert!(*position <= stored, "an acknowledgement of what isn't stored");
                // Of a group of which nothing came on this connection it has no effect.
                if let Some((announced, acked)) = self.connection.groups.get_mut(group) {
                    assert!(position <= announced, "of what wasn't delivered");
                    assert!(position > acked, "acknowledged twice");
                    *acked = *position;
                }
            }
            Frame::GroupRead { position, .. } => assert!(*position > 0),
            Frame::Part { body } => {
                let (number, mut assembly) =
                    self.connection.upload.take().expect("a body to go on");
                if assembly.push(body).expect("as many as announced") {
                    self.check_body(number, &assembly.into_body());
                } else {
                    assert_eq!(body.len(), PART_BYTES_MAX, "pieces are as large as may be");
                    self.connection.upload = Some((number, assembly));
                }
            }
            Frame::Ack { position } => {
                assert!(*position <= self.cursor, "an acknowledgement of what isn't stored");
                assert!(*position <= self.connection.announced, "of what wasn't delivered");
                assert!(*position > self.connection.acked, "acknowledged twice");
                self.connection.acked = *position;
            }
            Frame::Read { peer, ordinal } => assert!(*peer != 0 && *ordinal > 0),
            Frame::Ask { peer } => assert_ne!(*peer, 0),
            Frame::Goodbye(_) => self.connection.is_over = true,
            Frame::GroupAsk { .. } | Frame::GroupLook { .. } | Frame::Ping => {}
            frame => self.transmitted_of_people(frame),
        }
    }

    fn transmitted_of_people(&mut self, frame: &Frame<'_>) {
        let connection = &mut self.connection;
        match frame {
            Frame::History(asked) => {
                assert!(connection.page.is_none(), "a page while another one is under way");
                assert!(asked.from > 0 && asked.from <= asked.through, "{asked:?}");
                assert!(asked.through <= NUMBER_MAX);
                assert!((1..=HISTORY_MAX as u64).contains(&asked.limit), "{asked:?}");
                connection.page = Some((asked.group, asked.through));
            }
            Frame::Put { item, key, value } => {
                let thing = (*item, key.to_vec(), value.to_vec());
                let is_new = !connection.puts.iter().any(|it| (it.0, &it.1) == (thing.0, &thing.1));
                assert!(is_new, "an item is put whose last value has no answer");
                assert!(self.put.contains(&thing), "nobody put {thing:?}");
                connection.puts.push(thing);
                assert!(connection.puts.len() <= PUTS_IN_FLIGHT_MAX);
            }
            Frame::Watch { users } | Frame::Unwatch { users } => {
                assert!(users.iter().all(|user| self.watched.contains(&user)), "{users:?}");
            }
            // With neither it has no effect.
            Frame::Typing { group, user, .. } => assert!(*group == 0 || *user == 0),
            Frame::Find { name } => assert!(name.len() <= NAME_BYTES_MAX),
            Frame::BookResume { .. } | Frame::ProfileLook { .. } | Frame::Activity { .. } => {}
            other => panic!("a client doesn't send {other:?}"),
        }
    }

    fn check_send(&mut self, target: Target, number: u64, total_bytes: Option<u64>, body: &[u8]) {
        let stored = self.sends.get(&number).expect("a number is stored before it is used");
        assert_eq!(stored.target, target);
        assert!(self.connection.in_flight.insert(number), "sent twice on one connection");
        let allowed = self.connection.sends_max.unwrap_or(0).clamp(1, SENDS_IN_FLIGHT_MAX as u64);
        assert!(self.connection.in_flight.len() as u64 <= allowed, "too many without an answer");
        if let Some((other, _)) = &self.connection.upload {
            let passed = self.sends.get(other).map(|passed| passed.target);
            assert_ne!(passed, Some(target), "it passes a large body to the same target");
        }
        match total_bytes {
            None => self.check_body(number, body),
            Some(total_bytes) => {
                assert!(self.connection.upload.is_none(), "two large bodies at once");
                assert!(total_bytes <= BODY_BYTES_MAX as u64);
                let assembly = Assembly::new(total_bytes as usize, body);
                self.connection.upload = Some((number, assembly));
            }
        }
    }

    fn check_body(&self, number: u64, body: &[u8]) {
        // The answer to a large body may come before its last part.
        if let Some(stored) = self.sends.get(&number) {
            assert_eq!(stored.body, body, "what is sent is what was stored");
        }
    }
}
