//! A group's log as its members saw it.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::{Action, GroupChange, content};
use fulmar_protocol::Code;

use super::super::Complaint;
use super::super::digest::Digest;
use super::super::direction::RESENDS_KEPT;
use super::Sender;

/// What somebody wrote to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) digest: Digest,
    /// The change that it tells of.
    pub(crate) change: Option<GroupChange>,
}

impl Body {
    pub(crate) fn of(content: u8, body: &[u8]) -> Self {
        let is_change = content == content::CHANGE;
        let change = is_change.then(|| GroupChange::of_body(body)).flatten();
        Body { digest: Digest::of(content, body), change }
    }
}

/// What stands at a position.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) author: u64,
    pub(crate) body: Body,
    /// When the server took it, as it says itself, in Unix milliseconds.
    pub(crate) time_ms: Option<u64>,
    /// Device and number, as a tick told.
    pub(crate) sender: Option<(u16, u64)>,
}

/// Something that a device wrote whole.
#[derive(Debug)]
struct Attempt {
    body: Body,
    /// What else was written under the same number, by a device that doesn't keep the rules: one of all is taken.
    others: Vec<Body>,
    /// Its sender knows for good that it is not taken.
    is_rejected: bool,
}

impl Attempt {
    fn has(&self, body: &Body) -> bool {
        self.all().any(|known| known == body)
    }

    /// Everything that may have been taken under its number.
    fn all(&self) -> impl Iterator<Item = &Body> {
        std::iter::once(&self.body).chain(&self.others)
    }
}

/// One body of one author.
#[derive(Debug, Default, Clone, Copy)]
struct Copies {
    /// How often it was written, without what was rejected for good.
    sent: u32,
    /// Positions at which it stands.
    kept: u32,
}

impl Copies {
    fn judge(self, what: impl std::fmt::Debug) -> Result<(), Complaint> {
        if self.kept <= self.sent {
            return Ok(());
        }
        let Copies { sent, kept } = self;
        let detail = format!("{what:?} stands {kept} times; {sent} were sent and not rejected");
        Err(Complaint("a group keeps nothing of what it rejected", detail))
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// From position 1.
    pub(crate) entries: Vec<Option<Entry>>,
    attempts: BTreeMap<Sender, Attempt>,
    /// How many of them their senders know to be turned down for good.
    rejected: u64,
    /// The request that made it is among them.
    is_made: bool,
    /// The same by user, for what is delivered.
    bodies: BTreeMap<(u64, Digest), Copies>,
    /// Body bytes of everything that may stand in it.
    attempts_bytes: u64,
    ticks: BTreeMap<Sender, u64>,
    /// The largest position that was named.
    pub(crate) told: u64,
    /// The largest one that was passed over.
    passed: u64,
    /// What was there when some people went: of what came later authors who stayed hear without another login.
    pub(crate) before_parting: u64,
}

/// How the request that made a group stands in its log: creations have numbers of their own, and nothing has 0.
pub(super) const fn creation((user, device, _): Sender) -> Sender {
    (user, device, 0)
}

impl Log {
    pub(crate) fn entry(&self, position: u64) -> Option<&Entry> {
        self.entries.get((position as usize).checked_sub(1)?)?.as_ref()
    }

    /// Most entries that it can have: what is rejected takes no position. Those who were added by its creation may write before anybody was told
    /// which request that was.
    pub(crate) fn entries_max(&self) -> u64 {
        self.attempts.len() as u64 - self.rejected + u64::from(!self.is_made)
    }

    /// Whether a device sent this entry, as far as that is known.
    pub(crate) fn is_of(&self, position: u64, user: u64, device: u16) -> bool {
        self.entry(position).is_some_and(|entry| {
            entry.author == user && entry.sender.is_some_and(|(sender, _)| sender == device)
        })
    }

    /// This request made it.
    pub(crate) fn made(&mut self, by: Sender, body: Body) {
        self.is_made = true;
        self.attempt(creation(by), body);
    }

    /// A device wrote something whole; whether it is new.
    pub(crate) fn attempt(&mut self, by: Sender, body: Body) -> bool {
        let known = self.attempts.get(&by);
        if known.is_some_and(|known| known.has(&body)) {
            return false;
        }
        self.attempts_bytes += u64::from(body.digest.bytes);
        self.bodies.entry((by.0, body.digest)).or_default().sent += 1;
        match self.attempts.get_mut(&by) {
            Some(known) => known.others.push(body),
            None => {
                self.attempts.insert(by, Attempt { body, others: Vec::new(), is_rejected: false });
            }
        }
        true
    }

    /// A send or change was turned down.
    pub(crate) fn rejected(&self, by: Sender, code: Code) -> Result<(), Complaint> {
        let (user, device, number) = by;
        let above = (user, device, number.saturating_add(1))..=(user, device, u64::MAX);
        let newer = self.attempts.range(above).count();
        if let Some(position) = self.tick_of(by) {
            let is_forgotten = code == Code::StaleNumber && newer >= RESENDS_KEPT;
            if !is_forgotten {
                let detail = format!("{by:?} has position {position}: {code}");
                return Err(Complaint("what a group ticked is never rejected", detail));
            }
        }
        if code == Code::StaleNumber && newer == 0 {
            let detail = format!("{by:?} is the newest of its device");
            return Err(Complaint("a number is stale only behind a newer one", detail));
        }
        Ok(())
    }

    /// The sender knows for good that its send or change was turned down, and won't repeat it.
    pub(crate) fn given_up(&mut self, by: Sender) -> Result<(), Complaint> {
        let is_ticked = self.ticks.contains_key(&by);
        let Some(attempt) = self.attempts.get_mut(&by).filter(|_| !is_ticked) else {
            return Ok(());
        };
        if std::mem::replace(&mut attempt.is_rejected, true) {
            return Ok(());
        }
        self.attempts_bytes -= u64::from(attempt.body.digest.bytes);
        let copies = self.bodies.entry((by.0, attempt.body.digest)).or_default();
        copies.sent -= 1;
        self.rejected += 1;
        copies.judge(by)
    }

    /// What a device wrote under a number.
    pub(crate) fn attempt_of(&self, by: Sender) -> Option<&Body> {
        self.attempts.get(&by).map(|attempt| &attempt.body)
    }

    /// Entries that it may have without one that isn't taken, and the bytes of their bodies; nothing where the
    /// request that made it isn't known.
    pub(super) fn size_max_without(&self, by: Sender) -> Option<(u64, u64)> {
        let own_bytes = self.attempt_of(by).map_or(0, |body| u64::from(body.digest.bytes));
        let own = u64::from(self.attempts.contains_key(&by));
        let sizes = (self.entries_max() - own, self.attempts_bytes - own_bytes);
        self.is_made.then_some(sizes)
    }

    /// Everybody who may have come to be in it by something else than this.
    pub(super) fn members_max_without(&self, by: Sender) -> Option<BTreeSet<u64>> {
        let others = self.attempts.iter().filter(|(of, it)| **of != by && !it.is_rejected);
        let mut members = BTreeSet::new();
        for (of, attempt) in others {
            for change in attempt.all().filter_map(|body| body.change.as_ref()) {
                if matches!(change.action, Action::Create | Action::Add) {
                    members.extend(change.users.iter().copied().chain([of.0]));
                }
            }
        }
        self.is_made.then_some(members)
    }

    /// A position was named.
    pub(crate) fn tell(&mut self, position: u64) -> Result<(), Complaint> {
        self.told = self.told.max(position);
        self.judge_density()
    }

    /// A position was passed over.
    pub(crate) fn pass(&mut self, position: u64) -> Result<(), Complaint> {
        self.passed = self.passed.max(position);
        self.judge_density()
    }

    /// The largest position that was named in whatever way: there is one, for good.
    pub(crate) fn named(&self) -> u64 {
        self.told.max(self.passed)
    }

    /// Each position is filled by something that was sent and not rejected.
    pub(crate) fn judge_density(&self) -> Result<(), Complaint> {
        let named = self.named();
        if named > self.entries_max() {
            let detail = format!("position {named} of {} entries", self.entries_max());
            return Err(Complaint("positions of a group are dense", detail));
        }
        Ok(())
    }

    /// Something of this author is at a position.
    fn place(&mut self, position: u64, author: u64, body: &Body) -> Result<&mut Entry, Complaint> {
        self.tell(position)?;
        let at = position as usize - 1;
        if self.entries.len() <= at {
            self.entries.resize(at + 1, None);
        }
        if self.entries[at].is_none() {
            let copies = self.bodies.entry((author, body.digest)).or_default();
            copies.kept += 1;
            copies.judge((position, author, body))?;
        }
        let entry = self.entries[at].get_or_insert_with(|| Entry {
            author,
            body: body.clone(),
            time_ms: None,
            sender: None,
        });
        if (entry.author, entry.body.digest) != (author, body.digest) {
            let detail = format!("position {position} was {entry:?} and is {body:?} of {author}");
            return Err(Complaint("all members see one entry at a position", detail));
        }
        Ok(entry)
    }

    /// A send or change was answered with a position; whether for the first time.
    pub(crate) fn ticked(
        &mut self,
        by: Sender,
        position: u64,
        time_ms: u64,
    ) -> Result<bool, Complaint> {
        let (user, device, number) = by;
        if let Some(&before) = self.ticks.get(&by) {
            if before != position {
                let detail = format!("{by:?} got {before}, now {position}");
                return Err(Complaint("a resend to a group is answered as at first", detail));
            }
            return Ok(false);
        }
        let Some(attempt) = self.attempts.get(&by) else {
            let detail = format!("{by:?} was never sent whole");
            return Err(Complaint("a tick of a group is for something that was sent", detail));
        };
        let below = self.ticks.range((user, device, 0)..by).next_back();
        let above = self.ticks.range(by..=(user, device, u64::MAX)).next();
        let is_wrong = below.is_some_and(|(_, &known)| known >= position)
            || above.is_some_and(|(_, &known)| known <= position);
        if is_wrong {
            let detail = format!("{by:?} got {position}, between {below:?} and {above:?}");
            return Err(Complaint("a sender's order is kept in a group", detail));
        }
        let (body, is_sure) = (attempt.body.clone(), attempt.others.is_empty());
        if !is_sure {
            // What it was that was taken, others will see.
            self.ticks.insert(by, position);
            self.tell(position)?;
            return Ok(true);
        }
        let entry = self.place(position, user, &body)?;
        if let Some(sender) = entry.sender {
            let detail = format!("position {position} is {sender:?} and now {by:?}");
            return Err(Complaint("a position of a group is used once", detail));
        }
        entry.sender = Some((device, number));
        if time_ms > 0 {
            entry.time_ms = entry.time_ms.or(Some(time_ms));
        }
        self.ticks.insert(by, position);
        Ok(true)
    }

    /// An entry was delivered.
    pub(crate) fn delivered(
        &mut self,
        position: u64,
        author: u64,
        body: &Body,
        time_ms: u64,
    ) -> Result<(), Complaint> {
        if !self.bodies.contains_key(&(author, body.digest)) {
            let detail = format!("position {position}: {body:?}, which {author} never sent");
            return Err(Complaint("a body arrives in a group as it was sent", detail));
        }
        let entry = self.place(position, author, body)?;
        if *entry.time_ms.get_or_insert(time_ms) != time_ms {
            let detail = format!("position {position}: {:?} and {time_ms}", entry.time_ms);
            return Err(Complaint("all members see one entry at a position", detail));
        }
        Ok(())
    }

    pub(crate) fn tick_of(&self, by: Sender) -> Option<u64> {
        self.ticks.get(&by).copied()
    }
}
