//! What a data directory gives, asked of a server that runs on it by clients that nobody is. Two
//! directories that should hold the same are compared by it.
//!
//! Asking changes the directory (a new device of each user is registered, and acknowledges), so it is
//! done on copies.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use fulmar_protocol::content::DISAPPEARING;
use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{
    Assembly, Deliver, Frame, Frames, Hello, Pairs, Send, VERSION, capability, limits,
};

use crate::device::digest::digest;
use crate::limits::{AUDIT_ANSWER, AUDIT_RETRIES, AUDIT_RETRY, CONNECT, READ_BYTES};
use crate::world::Ticked;

/// A device number that no device of a run has.
const AUDITOR: u64 = limits::DEVICE_MAX;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Questions {
    /// Users, from 1.
    pub users: u64,
    /// The last ticked send of each device to each peer, with the ordinal that it got.
    pub ticked: Ticked,
}

/// A message in an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    position: u64,
    peer: u64,
    own: bool,
    ordinal: u64,
    digest: u64,
}

/// What a user's new device gets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Inbox {
    head: u64,
    entries: Vec<Entry>,
    /// (delivered, read), by peer and whether it is the user's own reading.
    receipts: BTreeMap<(u64, bool), (u64, u64)>,
}

/// What a directory gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    inboxes: BTreeMap<u64, Inbox>,
    /// Ordinals of the repeated sends, by user, device, peer and number.
    ordinals: BTreeMap<(u64, u64, u64, u64), u64>,
}

/// Why an audit came to no end.
#[derive(Debug)]
pub enum AuditError {
    /// The connection ended or was silent for long.
    Gone(io::Error),
    /// The server refused or broke the protocol, in words.
    Wrong(String),
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::Gone(error) => write!(f, "{error}"),
            AuditError::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for AuditError {
    fn from(error: io::Error) -> Self {
        AuditError::Gone(error)
    }
}

/// Asks a server.
pub fn audit(server: SocketAddr, questions: &Questions) -> Result<Audit, AuditError> {
    let mut audit = Audit::default();
    // Receipts first: what is acknowledged later moves them.
    for user in 1..=questions.users {
        let mut inbox = Inbox::default();
        let mut auditor = Auditor::log_in(server, user, AUDITOR)?;
        for peer in (1..=questions.users).filter(|&peer| peer != user) {
            auditor.ask(peer, &mut inbox)?;
        }
        audit.inboxes.insert(user, inbox);
    }
    for (&user, inbox) in &mut audit.inboxes {
        Auditor::log_in(server, user, AUDITOR)?.read(inbox)?;
    }
    for (&(user, device), sends) in &questions.ticked {
        let mut auditor = Auditor::log_in(server, user, device)?;
        for (&peer, &(number, _)) in sends {
            let ordinal = auditor.repeat(peer, number)?;
            audit.ordinals.insert((user, device, peer, number), ordinal);
        }
    }
    Ok(audit)
}

impl Audit {
    /// How many messages there were.
    pub fn entries(&self) -> usize {
        self.inboxes.values().map(|inbox| inbox.entries.len()).sum()
    }

    /// The first difference to what is expected, in words.
    pub fn difference(&self, expected: &Audit) -> Option<String> {
        for (user, expected) in &expected.inboxes {
            let Some(found) = self.inboxes.get(user) else {
                return Some(format!("user {user} wasn't asked"));
            };
            if found != expected {
                return Some(format!("user {user}: {}", found.difference(expected)));
            }
        }
        let known = expected.ordinals.iter();
        let changed = known.map(|(id, ordinal)| (id, ordinal, self.ordinals.get(id)));
        let mut changed = changed.filter(|&(_, ordinal, found)| found != Some(ordinal));
        changed.next().map(|(&(user, device, peer, number), ordinal, found)| {
            format!("{user}.{device}→{peer} #{number} was ordinal {ordinal} and is now {found:?}")
        })
    }

    /// The first send that isn't known under the ordinal that its tick said, in words.
    pub fn forgotten(&self, questions: &Questions) -> Option<String> {
        for (&(user, device), sends) in &questions.ticked {
            for (&peer, &(number, ordinal)) in sends {
                let found = self.ordinals.get(&(user, device, peer, number));
                if found != Some(&ordinal) {
                    return Some(format!(
                        "{user}.{device}→{peer} #{number} was ticked as ordinal {ordinal}; sent \
                         again it is {found:?}"
                    ));
                }
            }
        }
        None
    }
}

impl Inbox {
    /// Not what may be over when the next one asks.
    fn keep(&mut self, entry: Entry, content: u8) {
        if content != DISAPPEARING {
            self.entries.push(entry);
        }
    }

    fn difference(&self, expected: &Inbox) -> String {
        if self.head != expected.head {
            return format!("the head is {}, not {}", self.head, expected.head);
        }
        if self.receipts != expected.receipts {
            return format!("the receipts are {:?}, not {:?}", self.receipts, expected.receipts);
        }
        let differs = self.entries.iter().zip(&expected.entries).find(|(a, b)| a != b);
        match differs {
            Some((found, expected)) => format!("{found:?} came, not {expected:?}"),
            None => format!("{} messages came, not {}", self.entries.len(), expected.entries.len()),
        }
    }
}

/// A client that asks.
struct Auditor {
    socket: TcpStream,
    input: Vec<u8>,
    head: u64,
}

impl Auditor {
    fn log_in(server: SocketAddr, user: u64, device: u64) -> Result<Auditor, AuditError> {
        let mut refusal = AuditError::Wrong("no login".to_owned());
        for _ in 0..AUDIT_RETRIES {
            match Auditor::try_to_log_in(server, user, device)? {
                Ok(auditor) => return Ok(auditor),
                Err(why) => refusal = AuditError::Wrong(why),
            }
            std::thread::sleep(AUDIT_RETRY);
        }
        Err(refusal)
    }

    /// The inner error is a refusal for now.
    fn try_to_log_in(
        server: SocketAddr,
        user: u64,
        device: u64,
    ) -> Result<Result<Auditor, String>, AuditError> {
        let socket = TcpStream::connect_timeout(&server, CONNECT)?;
        socket.set_read_timeout(Some(AUDIT_ANSWER))?;
        socket.set_write_timeout(Some(AUDIT_ANSWER))?;
        socket.set_nodelay(true)?;
        let mut auditor = Auditor { socket, input: Vec::new(), head: 0 };
        auditor.put(&Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: capability::NONE,
            user,
            device,
            token: b"",
            agent: "fulmar-torture audit",
            // The server keeps to its own cursor, and says with a skip where it starts.
            cursors: Pairs::Slice(&[(0, 0)]),
        }))?;
        let answer = auditor.next(|frame| match frame {
            Frame::Welcome(welcome) => {
                let head = welcome.heads.iter().find(|&(log, _)| log == 0).map(|(_, head)| head);
                Ok(Some(head.ok_or("a welcome without the head of the inbox".to_owned())))
            }
            Frame::Refuse { code, .. } if code.is_retryable() => Ok(Some(Err(code.to_string()))),
            Frame::Refuse { code, .. } => Err(format!("user {user} was refused: {code}")),
            _ => Ok(None),
        })?;
        Ok(answer.map(|head| Auditor { head, ..auditor }))
    }

    fn put(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.socket.write_all(&bytes)
    }

    /// Reads until a frame gives something.
    fn next<T>(
        &mut self,
        mut take: impl FnMut(&Frame<'_>) -> Result<Option<T>, String>,
    ) -> Result<T, AuditError> {
        loop {
            let mut frames = Frames::new(&self.input, FRAME_BYTES_MAX);
            let mut found = None;
            for bytes in &mut frames {
                let bytes = bytes.map_err(|error| AuditError::Wrong(error.to_string()))?;
                let frame = Frame::decode(bytes);
                let frame = frame.map_err(|error| AuditError::Wrong(error.to_string()))?;
                found = take(&frame).map_err(AuditError::Wrong)?;
                if found.is_some() {
                    break;
                }
            }
            let rest = frames.rest().len();
            self.input.drain(..self.input.len() - rest);
            if let Some(found) = found {
                return Ok(found);
            }
            let held = self.input.len();
            self.input.resize(held + READ_BYTES, 0);
            let read = self.socket.read(&mut self.input[held..]);
            self.input.truncate(held + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Err(AuditError::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Asks how far a peer is.
    fn ask(&mut self, asked: u64, inbox: &mut Inbox) -> Result<(), AuditError> {
        self.put(&Frame::Ask { peer: asked })?;
        self.next(|frame| match *frame {
            Frame::Receipt { peer, delivered, read, own } if peer == asked => {
                inbox.receipts.insert((peer, own), (delivered, read));
                Ok((!own).then_some(()))
            }
            Frame::Goodbye(ref goodbye) => Err(format!("goodbye: {}", goodbye.code)),
            _ => Ok(None),
        })
    }

    /// Reads the inbox to its head.
    fn read(&mut self, inbox: &mut Inbox) -> Result<(), AuditError> {
        inbox.head = self.head;
        let mut position = 0;
        let mut large: Option<(Entry, u8, Assembly)> = None;
        while position < inbox.head || large.is_some() {
            let taken = self.next(|frame| match frame {
                Frame::Deliver(deliver) => {
                    let entry = entry(deliver);
                    match deliver.total_bytes {
                        Some(bytes) => {
                            let assembly = Assembly::new(bytes as usize, deliver.body);
                            large = Some((entry, deliver.content, assembly));
                        }
                        None => inbox.keep(entry, deliver.content),
                    }
                    Ok(Some(entry.position))
                }
                Frame::Part { body } => {
                    let (mut entry, content, mut assembly) =
                        large.take().ok_or("a part of nothing")?;
                    if assembly.push(body).map_err(|error| error.to_string())? {
                        entry.digest = digest(content, &assembly.into_body());
                        inbox.keep(entry, content);
                    } else {
                        large = Some((entry, content, assembly));
                    }
                    Ok(Some(position))
                }
                Frame::GroupNotice(notice) => {
                    inbox.entries.push(told(notice));
                    Ok(Some(notice.position))
                }
                Frame::Skip { position } => Ok(Some(*position)),
                Frame::Goodbye(goodbye) => Err(format!("goodbye: {}", goodbye.code)),
                _ => Ok(None),
            })?;
            position = position.max(taken);
            if large.is_none() {
                self.put(&Frame::Ack { position })?;
            }
        }
        // Small ones may have overtaken a large one.
        inbox.entries.sort_by_key(|entry| entry.position);
        Ok(())
    }

    /// Repeats a send; the ordinal that the server has for it.
    fn repeat(&mut self, to: u64, number: u64) -> Result<u64, AuditError> {
        let send = Send { peer: to, number, content: 1, total_bytes: None, body: b"repeated" };
        self.put(&Frame::Send(send))?;
        self.next(|frame| match *frame {
            Frame::Sent { peer, number: answered, ordinal, .. } => {
                Ok((peer == to && answered == number).then_some(ordinal))
            }
            Frame::Rejected { peer, number: answered, code, .. } => {
                // No ordinal is 0: it differs from whatever was ticked.
                let is_it = peer == to && answered == number;
                if is_it && code.is_retryable() {
                    Err(code.to_string())
                } else {
                    Ok(is_it.then_some(0))
                }
            }
            Frame::Goodbye(ref goodbye) => Err(format!("goodbye: {}", goodbye.code)),
            _ => Ok(None),
        })
    }
}

fn entry(deliver: &Deliver<'_>) -> Entry {
    let Deliver { position, peer, own, ordinal, content, body, .. } = *deliver;
    Entry { position, peer, own, ordinal, digest: digest(content, body) }
}

/// A notice as an entry: who added the user, and to which group.
fn told(notice: &GroupNotice) -> Entry {
    let GroupNotice { position, group, by, .. } = *notice;
    Entry { position, peer: by, own: false, ordinal: 0, digest: group }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Audit {
        let entry = Entry { position: 1, peer: 4, own: false, ordinal: 1, digest: 5 };
        let inbox = Inbox {
            head: 1,
            entries: vec![entry],
            receipts: BTreeMap::from([((4, false), (1, 0))]),
        };
        Audit {
            inboxes: BTreeMap::from([(3, inbox)]),
            ordinals: BTreeMap::from([((3, 1, 4, 17), 2)]),
        }
    }

    #[test]
    fn each_difference_is_said() {
        assert_eq!(sample().difference(&sample()), None);
        let changed = |change: &dyn Fn(&mut Inbox)| {
            let mut audit = sample();
            change(audit.inboxes.get_mut(&3).unwrap());
            audit.difference(&sample()).unwrap()
        };
        assert!(changed(&|inbox| inbox.head = 0).contains("the head is 0, not 1"));
        assert!(changed(&|inbox| inbox.entries.clear()).contains("0 messages came, not 1"));
        assert!(changed(&|inbox| inbox.entries[0].digest = 6).contains("digest: 6"));
        assert!(changed(&|inbox| inbox.receipts.clear()).contains("the receipts are {}"));
        let mut audit = sample();
        audit.ordinals.insert((3, 1, 4, 17), 3);
        assert!(audit.difference(&sample()).unwrap().contains("3.1→4 #17 was ordinal 2"));
        assert!(Audit::default().difference(&sample()).unwrap().contains("user 3 wasn't asked"));
    }

    #[test]
    fn a_forgotten_send_is_said() {
        let ticked = BTreeMap::from([((3, 1), BTreeMap::from([(4, (17, 2))]))]);
        let mut questions = Questions { users: 4, ticked };
        assert_eq!(sample().forgotten(&questions), None);
        questions.ticked.insert((3, 1), BTreeMap::from([(4, (17, 1))]));
        assert!(sample().forgotten(&questions).unwrap().contains("was ticked as ordinal 1"));
    }
}
