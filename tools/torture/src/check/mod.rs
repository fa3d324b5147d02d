//! The checker: reads the histories that the devices of a run wrote (HISTORY.md) and compares each
//! promise of the server with what happened.
//!
//! It shares no code with the server, nor with the clients that wrote the histories, nor with the
//! protocol crate: an error that they had in common would hide itself.
//!
//! | promise | judged by |
//! |---|---|
//! | what was ticked is shown on each device that it is for, and on the author's other devices | `inbox`, against `facts` |
//! | nothing is shown twice, no position holds two messages, nothing comes that was refused | `inbox` |
//! | positions rise without holes, a device's messages keep their order | `inbox` |
//! | ordinals are dense, and the same for ticks and for all devices | `ordinals` |
//! | bodies come as they were sent, to where they were sent | `inbox` |
//! | receipts are never ahead of the recipient and equal it in the end | `receipts`, against `progress` |
//! | each send is answered once, ticks in the order of the sends, with rising ordinals | `facts` |
//! | edits, deletions and reactions refer to what they may, and only what must be is refused | `references` |
//! | what disappears isn't shown after its time | `inbox`, `group`, against `expiry` |
//! | pages of the past tell what was told before, and all that is kept | `past` |
//! | sessions and heads rise; nobody is blamed for nothing | `connection` |
//! | the same in groups | `group` |
//! | what was confirmed of a user's book is on all its devices | `books` |
//! | who is blocked is ticked, not shown, and told nothing of the blocker | `inbox`, `receipts`, against `blocks` |
//! | of people that is told which they did, set and show | `people` |
//!
//! A message is owed to a device whose first welcome came before the message was written. What was
//! written earlier may come too: a new device starts at the oldest message that is still kept.

mod blocks;
mod books;
mod connection;
mod expiry;
mod facts;
mod group;
mod history;
mod identity;
mod inbox;
mod line;
mod ordinals;
mod past;
mod people;
mod progress;
mod receipts;
mod references;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_blocks;
#[cfg(test)]
mod tests_expiry;
#[cfg(test)]
mod tests_past;
#[cfg(test)]
mod tests_references;
mod violation;
mod wording;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub use books::BookVolume;
pub use facts::Volume;
pub use group::GroupVolume;
pub use history::CheckError;
pub use people::PeopleVolume;
pub use violation::{Promise, Tally};

use books::BookCheck;
use connection::ConnectionCheck;
use facts::{Facts, Gathering};
use group::{EntriesCheck, GroupReceiptCheck};
use history::History;
use identity::{Device, MessageId};
use inbox::{InboxCheck, Positions};
use past::PastCheck;
use people::PeopleCheck;
use receipts::ReceiptCheck;

/// What the checker found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Broken promises.
    pub tally: Tally,
    /// How much was tried.
    pub volume: Volume,
    /// Refused sends by the code of the refusal.
    pub refusals: BTreeMap<u16, u64>,
}

/// Checks the histories in a run's directory.
pub fn check(directory: &Path) -> Result<Verdict, CheckError> {
    let histories = History::find(directory)?;
    let mut tally = Tally::default();
    let mut facts = Facts::default();
    for history in &histories {
        let mut gathering = Gathering::new(&mut facts, history.device());
        history.read(|line| gathering.line(line, &mut tally))?;
    }
    facts.finish(&mut tally);
    if facts.volume.ticked == 0 || facts.volume.displayed == 0 {
        tally.add(Promise::Unsettled, "nothing was ticked and shown, so nothing was tried");
    }
    let mails = Mails::new(&facts);
    for of_one_user in histories.chunk_by(|a, b| a.device().user == b.device().user) {
        let mut positions = Positions::default();
        for history in of_one_user {
            judge(history, &facts, &mails, &mut positions, &mut tally)?;
        }
    }
    let (groups, books) = (facts.groups.volume, facts.books.volume);
    let volume = Volume { groups, books, people: facts.people.volume, ..facts.volume };
    Ok(Verdict { tally, volume, refusals: facts.refusals })
}

/// The second reading of one device's history.
fn judge(
    history: &History,
    facts: &Facts,
    mails: &Mails,
    positions: &mut Positions,
    tally: &mut Tally,
) -> Result<(), CheckError> {
    let device = history.device();
    let mut inbox = InboxCheck::new(facts, device);
    let mut receipts = ReceiptCheck::new(facts, device);
    let mut connection = ConnectionCheck::new(facts, device);
    let mut entries = EntriesCheck::new(&facts.groups, device);
    let mut past = PastCheck::new(facts, device);
    let mut book = BookCheck::new(&facts.books, device);
    let mut people = PeopleCheck::new(facts, device);
    let mut group_receipts = GroupReceiptCheck::new(&facts.groups, device);
    history.read(|line| {
        inbox.line(line, positions, tally);
        receipts.line(line, tally);
        connection.line(line, tally);
        entries.line(line, tally);
        group_receipts.line(line, tally);
        book.line(line, tally);
        past.line(line, tally);
        people.line(line, tally);
    })?;
    inbox.finish(mails.owed(device.user), tally);
    entries.finish(tally);
    connection.finish(mails.written(device), tally);
    Ok(())
}

/// All sends, by where they go and by who wrote them, in the order of writing.
#[derive(Debug, Default)]
struct Mails {
    /// By user: to the recipient's inbox, and to the author's own for its other devices.
    owed: HashMap<u64, Vec<MessageId>>,
    written: HashMap<Device, Vec<MessageId>>,
}

impl Mails {
    fn new(facts: &Facts) -> Self {
        let mut all: Vec<_> = facts.sent.iter().map(|(&id, sent)| (sent.sequence, id)).collect();
        all.sort_unstable();
        let mut mails = Mails::default();
        for (_, id) in all {
            mails.owed.entry(id.peer).or_default().push(id);
            if id.peer != id.author.user {
                mails.owed.entry(id.author.user).or_default().push(id);
            }
            mails.written.entry(id.author).or_default().push(id);
        }
        mails
    }

    fn owed(&self, user: u64) -> &[MessageId] {
        self.owed.get(&user).map_or(&[], Vec::as_slice)
    }

    fn written(&self, device: Device) -> &[MessageId] {
        self.written.get(&device).map_or(&[], Vec::as_slice)
    }
}
