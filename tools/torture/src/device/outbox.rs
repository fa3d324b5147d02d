//! Sends without an answer: their numbers, their order, and the large body in progress.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fulmar_protocol::group::{CONTENT_CHANGE, Change, GroupSend};
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Chunks, Frame, Send};

use super::body::BodyId;
use super::book::{Book, Note};
use super::digest::digest;
use super::group_notes::GroupNote;
use super::link::Link;
use super::wording::Wording;
use crate::limits::OUT_BYTES_HIGH;

/// Where a send is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It never was on a wire.
    Written,
    /// It went out on an earlier connection, which broke.
    Broken,
    /// It is on this connection.
    OnTheWay,
}

/// Where a send goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    User(u64),
    /// 0 makes one.
    Group(u64),
}

#[derive(Debug)]
struct Outgoing {
    to: To,
    number: u64,
    /// What the body is; a change of a group goes out in a frame of its own.
    content: u8,
    body: Arc<[u8]>,
    stage: Stage,
}

/// The large body in progress. It is finished whatever the answer: the server counts its bytes.
#[derive(Debug)]
struct Upload {
    to: To,
    body: Arc<[u8]>,
    done: usize,
}

/// An answer to what isn't on the way.
#[derive(Debug)]
pub(super) struct Unasked;

/// The sends of one device, across connections.
#[derive(Debug)]
pub(super) struct Outbox {
    user: u64,
    device: u64,
    number: u64,
    /// By number, which is the order in which they go out.
    waiting: VecDeque<Outgoing>,
    on_the_way: usize,
    upload: Option<Upload>,
}

impl Outbox {
    /// The outbox of a device whose store is empty. Its numbers begin at the present time, so that
    /// they are above any that the device used before it lost its store.
    pub(super) fn new(user: u64, device: u64) -> Outbox {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (waiting, number) = (VecDeque::new(), now.as_millis() as u64);
        Outbox { user, device, number, waiting, on_the_way: 0, upload: None }
    }

    /// How many sends have no answer.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Writes a message of `bytes` bytes; it goes out when there is a connection.
    pub(super) fn write(&mut self, to: To, wording: &Wording, bytes: usize, book: &mut Book) {
        self.number += 1;
        let (user, device, number) = (self.user, self.device, self.number);
        let (To::User(peer) | To::Group(peer)) = to;
        let (content, body) = wording.write(BodyId { user, device, peer, number }, bytes);
        let (digest, bytes) = (digest(content, &body), body.len());
        book.note(match to {
            To::User(peer) => Note::Send { peer, number, bytes, digest, wording },
            To::Group(group) => {
                Note::Group(GroupNote::Send { group, number, bytes, digest, wording })
            }
        });
        self.wait(to, content, Arc::from(body));
    }

    /// Writes a change of a group, or of group 0 to make one; the number that it has.
    pub(super) fn change(&mut self, group: u64, change: &Change<'_>, book: &mut Book) -> u64 {
        self.number += 1;
        let number = self.number;
        let mut body = Vec::new();
        change.encode(&mut body);
        let digest = digest(CONTENT_CHANGE, &body);
        book.note(Note::Group(GroupNote::Change { group, number, change, digest }));
        self.wait(To::Group(group), CONTENT_CHANGE, Arc::from(body));
        number
    }

    fn wait(&mut self, to: To, content: u8, body: Arc<[u8]>) {
        let (number, stage) = (self.number, Stage::Written);
        self.waiting.push_back(Outgoing { to, number, content, body, stage });
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.upload = None;
        self.on_the_way = 0;
        for outgoing in &mut self.waiting {
            if outgoing.stage == Stage::OnTheWay {
                outgoing.stage = Stage::Broken;
            }
        }
    }

    /// The server answered. What it was, if it was a change; an error if there was no question.
    pub(super) fn answered(&mut self, to: To, number: u64) -> Result<Option<Arc<[u8]>>, Unasked> {
        let is_it = |outgoing: &Outgoing| {
            (outgoing.to, outgoing.number, outgoing.stage) == (to, number, Stage::OnTheWay)
        };
        let index = self.waiting.iter().position(is_it).ok_or(Unasked)?;
        self.on_the_way -= 1;
        let outgoing = self.waiting.remove(index).ok_or(Unasked)?;
        Ok((outgoing.content == CONTENT_CHANGE).then_some(outgoing.body))
    }

    /// Queues what may go out: sends, as long as fewer than `sends_max` are without an answer, and
    /// after each the next part of the large body in progress.
    pub(super) fn fill(&mut self, link: &mut Link, sends_max: u64, book: &mut Book) {
        while link.pending_bytes() < OUT_BYTES_HIGH {
            let mut progress = false;
            if (self.on_the_way as u64) < sends_max
                && let Some(index) = self.next_sendable()
            {
                self.send(index, link, book);
                progress = true;
            }
            progress |= self.send_part(link);
            if !progress {
                return;
            }
        }
    }

    /// The first send that may go out now. Beside a large body in progress, small ones to other
    /// peers may; what stays behind holds back what is for the same peer.
    fn next_sendable(&self) -> Option<usize> {
        let uploading = self.upload.as_ref().map(|upload| upload.to);
        let mut held_back: BTreeSet<To> = uploading.into_iter().collect();
        for (index, outgoing) in self.waiting.iter().enumerate() {
            if outgoing.stage == Stage::OnTheWay {
                continue;
            }
            let waits_for_upload = uploading.is_some() && outgoing.body.len() > PART_BYTES_MAX;
            if waits_for_upload || held_back.contains(&outgoing.to) {
                held_back.insert(outgoing.to);
            } else {
                return Some(index);
            }
        }
        None
    }

    fn send(&mut self, index: usize, link: &mut Link, book: &mut Book) {
        let Outgoing { to, number, content, body, stage } = &mut self.waiting[index];
        let (to, number, content) = (*to, *number, *content);
        if *stage == Stage::Broken {
            book.note(match to {
                To::User(peer) => Note::Resend { peer, number },
                To::Group(group) => Note::Group(GroupNote::Resend { group, number }),
            });
        }
        *stage = Stage::OnTheWay;
        self.on_the_way += 1;
        if let (To::Group(group), CONTENT_CHANGE) = (to, content) {
            let change = Change::decode(body).expect("it was encoded here");
            link.queue(&Frame::GroupChange { group, number, change });
            return;
        }
        let total_bytes = Chunks::total_bytes(body);
        let piece = Chunks::new(body).next().unwrap_or_default();
        link.queue(&match to {
            To::User(peer) => Frame::Send(Send { peer, number, content, total_bytes, body: piece }),
            To::Group(group) => {
                Frame::GroupSend(GroupSend { group, number, content, total_bytes, body: piece })
            }
        });
        if total_bytes.is_some() {
            self.upload = Some(Upload { to, body: Arc::clone(body), done: piece.len() });
        }
    }

    fn send_part(&mut self, link: &mut Link) -> bool {
        let Some(upload) = &mut self.upload else { return false };
        let rest = &upload.body[upload.done..];
        let piece = &rest[..rest.len().min(PART_BYTES_MAX)];
        link.queue(&Frame::Part { body: piece });
        upload.done += piece.len();
        if upload.done == upload.body.len() {
            self.upload = None;
        }
        true
    }
}
