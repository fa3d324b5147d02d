//! The stand-in's users, inboxes and directions.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use fulmar_protocol::{Chunks, Code, Deliver, Frame, Goodbye, Pairs, Send, Welcome};

use super::groups::Groups;
use super::presence::People;
use super::{Fault, Terms};

/// What becomes of the connection after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Go,
    Close,
    SayAndClose,
}

#[derive(Debug, Clone)]
struct Message {
    position: u64,
    author: u64,
    ordinal: u64,
    body: Vec<u8>,
}

#[derive(Debug, Default)]
struct User {
    connection: Option<u64>,
    head: u64,
    acknowledged: u64,
    /// Positions up to here were delivered on the connection.
    delivered: u64,
    inbox: VecDeque<Message>,
}

#[derive(Debug, Default)]
struct Direction {
    number_last: u64,
    ordinals: u64,
    /// What the author was told.
    receipted: u64,
    /// The message that waits for its successor, where these are swapped.
    held: Option<Message>,
}

#[derive(Debug)]
struct Cut {
    peer: u64,
    number: u64,
    total_bytes: usize,
    body: Vec<u8>,
}

pub(crate) struct State {
    pub(crate) fault: Fault,
    /// When the first message came.
    pub(crate) first: Option<Instant>,
    terms: Terms,
    users: HashMap<u64, User>,
    /// By (author, recipient).
    directions: HashMap<(u64, u64), Direction>,
    sessions: HashMap<u64, u64>,
    cuts: HashMap<u64, Cut>,
    output: HashMap<u64, Vec<u8>>,
    messages: u64,
    receipts: u64,
    pub(super) groups: Groups,
    pub(super) people: People,
}

impl State {
    pub(crate) fn new(fault: Fault, terms: Terms) -> State {
        State {
            fault,
            first: None,
            terms,
            users: HashMap::new(),
            directions: HashMap::new(),
            sessions: HashMap::new(),
            cuts: HashMap::new(),
            output: HashMap::new(),
            messages: 0,
            receipts: 0,
            groups: Groups::default(),
            people: People::default(),
        }
    }

    /// Takes the bytes to write, by connection.
    pub(crate) fn take_output(&mut self) -> HashMap<u64, Vec<u8>> {
        std::mem::take(&mut self.output)
    }

    pub(crate) fn on_closed(&mut self, id: u64) {
        if let Some(number) = self.sessions.remove(&id)
            && let Some(user) = self.users.get_mut(&number)
            && user.connection == Some(id)
        {
            user.connection = None;
            self.leave_groups(number);
            self.person_left(number);
        }
        self.cuts.remove(&id);
    }

    /// Takes a frame; an error is what the client did against the protocol.
    pub(crate) fn on_frame(&mut self, id: u64, frame: &Frame<'_>) -> Result<Step, String> {
        let user = self.sessions.get(&id).copied();
        match (frame, user) {
            (Frame::Hello(hello), None) => return Ok(self.on_hello(id, hello.user)),
            (Frame::Send(send), Some(user)) => return self.on_send(id, user, send),
            (Frame::Part { body }, Some(user)) => return self.on_part(id, user, body),
            (Frame::Ack { position }, Some(user)) => self.on_ack(user, *position)?,
            (Frame::Ping, Some(user)) => {
                let head = self.users[&user].head;
                self.say(id, &Frame::Pong { heads: Pairs::Slice(&[(0, head)]) });
            }
            (Frame::Activity { is_here }, Some(user)) => self.on_activity(user, *is_here),
            (Frame::Watch { users }, Some(user)) => self.on_watch(id, user, users),
            (Frame::GroupResume { cursors }, Some(user)) => self.on_group_resume(user, cursors)?,
            (Frame::GroupChange { group, number, change }, Some(user)) => {
                self.on_group_change(id, user, *group, *number, change)?;
            }
            (Frame::GroupSend(send), Some(user)) => self.on_group_send(id, user, send)?,
            (Frame::GroupAck { group, position }, Some(user)) => {
                self.on_group_ack(user, *group, *position)?;
            }
            (Frame::GroupRead { group, position }, Some(user)) => {
                self.on_group_read(id, user, *group, *position)?;
            }
            (frame, user) => return Err(format!("{:?} of {user:?}", frame.kind())),
        }
        Ok(Step::Go)
    }

    pub(super) fn say(&mut self, id: u64, frame: &Frame<'_>) {
        frame.encode(self.output.entry(id).or_default());
    }

    pub(super) fn say_to_user(&mut self, user: u64, frame: &Frame<'_>) {
        if let Some(id) = self.users.get(&user).and_then(|user| user.connection) {
            self.say(id, frame);
        }
    }

    fn on_hello(&mut self, id: u64, user: u64) -> Step {
        match self.fault {
            Fault::Refuse => {
                let detail = "the stand-in takes nobody";
                let code = Code::TooManyConnections;
                self.say(id, &Frame::Refuse { code, retry_after_ms: 5, detail });
                return Step::SayAndClose;
            }
            Fault::Garbage => {
                self.output.entry(id).or_default().extend_from_slice(b"\x05HTTP/");
                return Step::SayAndClose;
            }
            _ => (),
        }
        self.sessions.insert(id, user);
        let entry = self.users.entry(user).or_default();
        entry.connection = Some(id);
        entry.delivered = entry.acknowledged;
        let (head, acknowledged) = (entry.head, entry.acknowledged);
        let Terms { sends_max, window_messages, body_bytes_max, idle_s } = self.terms;
        self.say(
            id,
            &Frame::Welcome(Welcome {
                version: 1,
                capabilities: 0,
                session: id,
                time_ms: 1,
                body_bytes_max,
                window_messages,
                window_bytes: 1 << 30,
                sends_max,
                idle_s,
                presence_s: 30,
                heads: Pairs::Slice(&[(0, head)]),
            }),
        );
        if acknowledged > 0 {
            self.say(id, &Frame::Skip { position: acknowledged });
        }
        self.deliver(user);
        Step::Go
    }

    fn on_send(&mut self, id: u64, author: u64, send: &Send<'_>) -> Result<Step, String> {
        let Some(total_bytes) = send.total_bytes else {
            return self.on_message(id, author, send.peer, send.number, send.body.to_vec());
        };
        let (peer, number, body) = (send.peer, send.number, send.body.to_vec());
        let cut = Cut { peer, number, total_bytes: total_bytes as usize, body };
        match self.cuts.insert(id, cut) {
            Some(_) => Err("a cut send began while another was not complete".to_owned()),
            None => Ok(Step::Go),
        }
    }

    fn on_part(&mut self, id: u64, author: u64, piece: &[u8]) -> Result<Step, String> {
        let cut = self.cuts.get_mut(&id).ok_or("a part without a send")?;
        cut.body.extend_from_slice(piece);
        if cut.body.len() < cut.total_bytes {
            return Ok(Step::Go);
        }
        let cut = self.cuts.remove(&id).ok_or("a part without a send")?;
        self.on_message(id, author, cut.peer, cut.number, cut.body)
    }

    fn on_message(
        &mut self,
        id: u64,
        author: u64,
        peer: u64,
        number: u64,
        mut body: Vec<u8>,
    ) -> Result<Step, String> {
        self.first.get_or_insert_with(Instant::now);
        self.messages += 1;
        let messages = self.messages;
        let is_nth = |every: u64| messages.is_multiple_of(every);
        match self.fault {
            Fault::Goodbye(after) if messages > after => {
                let (code, detail) = (Code::ShuttingDown, "the stand-in stops");
                self.say(
                    id,
                    &Frame::Goodbye(Goodbye { code, retry_after_ms: 9, address: "", detail }),
                );
                return Ok(Step::SayAndClose);
            }
            Fault::Vanish(after) if messages > after => return Ok(Step::Close),
            Fault::Reject(after) if messages > after => {
                let code = Code::QuotaExceeded;
                self.say(id, &Frame::Rejected { peer, number, code, retry_after_ms: 0 });
                return Ok(Step::Go);
            }
            Fault::Corrupt(every) if is_nth(every) => body[40] ^= 1,
            _ => (),
        }
        let direction = self.directions.entry((author, peer)).or_default();
        if number <= direction.number_last {
            return Err(format!("number {number} after {}", direction.number_last));
        }
        direction.number_last = number;
        direction.ordinals += 1;
        let ordinal = direction.ordinals;
        let message = Message { position: 0, author, ordinal, body };
        if !matches!(self.fault, Fault::DropTick(every) if is_nth(every)) {
            self.say(id, &Frame::Sent { peer, number, ordinal, time_ms: 1 });
        }
        self.store(peer, message, is_nth);
        Ok(Step::Go)
    }

    fn store(&mut self, peer: u64, message: Message, is_nth: impl Fn(u64) -> bool) {
        match self.fault {
            Fault::Drop(every) if is_nth(every) => return,
            Fault::Hole(every) if is_nth(every) => {
                self.users.entry(peer).or_default().head += 1;
                return;
            }
            Fault::Duplicate(every) if is_nth(every) => self.append(peer, message.clone()),
            Fault::Misdeliver(every) if is_nth(every) => return self.append(peer ^ 1, message),
            Fault::Swap(every) => {
                let direction = self.directions.entry((message.author, peer)).or_default();
                if message.ordinal.is_multiple_of(every) {
                    direction.held = Some(message);
                    return;
                }
                if let Some(held) = direction.held.take() {
                    self.append(peer, message);
                    return self.append(peer, held);
                }
            }
            _ => (),
        }
        self.append(peer, message);
    }

    fn append(&mut self, peer: u64, mut message: Message) {
        let user = self.users.entry(peer).or_default();
        user.head += 1;
        message.position = user.head;
        user.inbox.push_back(message);
        self.deliver(peer);
    }

    /// Delivers as far as the window reaches.
    fn deliver(&mut self, user_number: u64) {
        let window = self.terms.window_messages;
        let Some(user) = self.users.get_mut(&user_number) else { return };
        let Some(id) = user.connection else { return };
        let (acknowledged, delivered) = (user.acknowledged, user.delivered);
        let next = user.inbox.partition_point(|message| message.position <= delivered);
        let messages: Vec<Message> = user
            .inbox
            .iter()
            .skip(next)
            .take_while(|message| message.position <= acknowledged + window)
            .cloned()
            .collect();
        user.delivered = messages.last().map_or(delivered, |message| message.position);
        for message in messages {
            let Message { position, author: peer, ordinal, body } = message;
            let total_bytes = Chunks::total_bytes(&body);
            let mut chunks = Chunks::new(&body);
            let first = chunks.next().unwrap_or_default();
            let (time_ms, content, own) = (1, 0, false);
            let deliver = Deliver {
                position,
                peer,
                ordinal,
                time_ms,
                content,
                own,
                total_bytes,
                body: first,
            };
            self.say(id, &Frame::Deliver(deliver));
            for body in chunks {
                self.say(id, &Frame::Part { body });
            }
            self.receipts += 1;
            if matches!(self.fault, Fault::ReceiptAhead(every) if self.receipts.is_multiple_of(every))
            {
                self.receipt(peer, user_number, ordinal);
            }
        }
    }

    fn on_ack(&mut self, user_number: u64, position: u64) -> Result<(), String> {
        let Some(user) = self.users.get_mut(&user_number) else { return Ok(()) };
        if position > user.delivered || position < user.acknowledged {
            let (acknowledged, delivered) = (user.acknowledged, user.delivered);
            return Err(format!("ack {position} after {acknowledged}, delivered {delivered}"));
        }
        user.acknowledged = position;
        let mut stored: HashMap<u64, u64> = HashMap::new();
        let count = user.inbox.partition_point(|message| message.position <= position);
        for message in user.inbox.drain(..count) {
            let ordinal = stored.entry(message.author).or_default();
            *ordinal = message.ordinal.max(*ordinal);
        }
        for (author, ordinal) in stored {
            self.receipt(author, user_number, ordinal);
        }
        self.deliver(user_number);
        Ok(())
    }

    fn receipt(&mut self, author: u64, recipient: u64, ordinal: u64) {
        let direction = self.directions.entry((author, recipient)).or_default();
        if ordinal <= direction.receipted || self.fault == Fault::NoReceipts {
            return;
        }
        direction.receipted = ordinal;
        let receipt = Frame::Receipt { peer: recipient, delivered: ordinal, read: 0, own: false };
        self.say_to_user(author, &receipt);
    }
}
