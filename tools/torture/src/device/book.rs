//! A device's own store, and its history for the checker: HISTORY.md says what each line means.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::book_notes::BookNote;
use super::group_notes::GroupNote;
use super::past_notes::PastNote;
use super::people_notes::PeopleNote;
use super::wording::{Whose, Wording};
use crate::world::World;

/// A delivery as it is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) position: u64,
    pub(super) peer: u64,
    pub(super) own: bool,
    pub(super) ordinal: u64,
    pub(super) body: Whose,
    pub(super) digest: u64,
}

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Note<'a> {
    Begin { user: u64, device: u64 },
    Hello { cursor: u64 },
    Welcome { session: u64, head: u64 },
    Refused { code: u16 },
    Takeover,
    Replaced { code: u16 },
    Send { peer: u64, number: u64, bytes: usize, digest: u64, wording: &'a Wording },
    Resend { peer: u64, number: u64 },
    Tick { peer: u64, number: u64, ordinal: u64 },
    Rejected { peer: u64, number: u64, code: u16 },
    Shown(Delivery),
    Again(Delivery),
    Skip { position: u64 },
    OutOfTurn { position: u64 },
    Ack { position: u64 },
    Read { peer: u64, ordinal: u64 },
    Ask { peer: u64 },
    Receipt { peer: u64, delivered: u64, read: u64, own: bool },
    Pong { head: u64 },
    Group(GroupNote<'a>),
    Book(BookNote<'a>),
    Past(PastNote),
    People(PeopleNote<'a>),
    Goodbye { code: u16 },
    Closed { why: &'a str },
    Broken { what: &'a str },
    Drained,
    Final,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivery { position, peer, own, ordinal, body, digest } = *self;
        let own = u8::from(own);
        write!(f, "position={position} peer={peer} own={own} ordinal={ordinal} ")?;
        write!(f, "body={body} digest={digest:016x}")
    }
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Note::Begin { user, device } => write!(f, "begin user={user} device={device}"),
            Note::Hello { cursor } => write!(f, "hello cursor={cursor}"),
            Note::Welcome { session, head } => write!(f, "welcome session={session} head={head}"),
            Note::Refused { code } => write!(f, "refused code={code}"),
            Note::Takeover => f.write_str("takeover"),
            Note::Replaced { code } => write!(f, "replaced code={code}"),
            Note::Send { peer, number, bytes, digest, wording } => {
                write!(f, "send peer={peer} number={number} bytes={bytes} digest={digest:016x}")?;
                write_wording(f, wording)
            }
            Note::Resend { peer, number } => write!(f, "resend peer={peer} number={number}"),
            Note::Tick { peer, number, ordinal } => {
                write!(f, "tick peer={peer} number={number} ordinal={ordinal}")
            }
            Note::Rejected { peer, number, code } => {
                write!(f, "rejected peer={peer} number={number} code={code}")
            }
            Note::Shown(delivery) => write!(f, "shown {delivery}"),
            Note::Again(delivery) => write!(f, "again {delivery}"),
            Note::Skip { position } => write!(f, "skip position={position}"),
            Note::OutOfTurn { position } => write!(f, "outofturn position={position}"),
            Note::Ack { position } => write!(f, "ack position={position}"),
            Note::Read { peer, ordinal } => write!(f, "read peer={peer} ordinal={ordinal}"),
            Note::Ask { peer } => write!(f, "ask peer={peer}"),
            Note::Receipt { peer, delivered, read, own } => {
                let own = u8::from(own);
                write!(f, "receipt peer={peer} delivered={delivered} read={read} own={own}")
            }
            Note::Pong { head } => write!(f, "pong head={head}"),
            Note::Group(ref note) => write!(f, "{note}"),
            Note::Book(ref note) => write!(f, "{note}"),
            Note::Past(ref note) => write!(f, "{note}"),
            Note::People(ref note) => write!(f, "{note}"),
            Note::Goodbye { code } => write!(f, "goodbye code={code}"),
            Note::Closed { why } => write!(f, "closed why={why}"),
            Note::Broken { what } => write!(f, "broken what={}", OneWord(what)),
            Note::Drained => f.write_str("drained"),
            Note::Final => f.write_str("final"),
        }
    }
}

/// The end of a line about a send, where it isn't plain.
pub(super) fn write_wording(f: &mut fmt::Formatter<'_>, wording: &Wording) -> fmt::Result {
    if *wording == Wording::Plain {
        return Ok(());
    }
    write!(f, " content={wording}")
}

/// Words joined to one, so that they are one field of a line.
struct OneWord<'a>(&'a str);

impl fmt::Display for OneWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.split_whitespace().enumerate() {
            if index > 0 {
                f.write_str("_")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

/// The file of one device. Lines are numbered when they are noted and reach the file with
/// [`Book::flush`], which comes before anything that follows from them goes to a socket.
///
/// The file survives what is tortured, the server's process. It is not synced to the disk: a crash
/// of the machine ends the torture too.
#[derive(Debug)]
pub(super) struct Book {
    file: File,
    lines: Vec<u8>,
    world: Arc<World>,
}

impl Book {
    /// Creates the file, in the world's directory of histories.
    pub(super) fn create(world: Arc<World>, user: u64, device: u64) -> io::Result<Book> {
        let path = world.histories().join(format!("user-{user}-device-{device}.log"));
        Book::create_at(&path, world)
    }

    fn create_at(path: &Path, world: Arc<World>) -> io::Result<Book> {
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Book { file, lines: Vec::new(), world })
    }

    /// Adds a line.
    pub(super) fn note(&mut self, note: Note<'_>) {
        let (sequence, elapsed_us) = self.world.next_line();
        // Writing to memory doesn't fail.
        let _ = writeln!(self.lines, "{sequence} {elapsed_us} {note}");
    }

    /// Writes what was noted to the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.lines.is_empty() {
            self.file.write_all(&self.lines)?;
            self.lines.clear();
        }
        Ok(())
    }
}
