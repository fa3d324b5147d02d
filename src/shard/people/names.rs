//! The directory of usernames, on the home core of each name: which user may have it.
//!
//! ```text
//! user's home                     name's home                     home of who has it
//! PUT ── Claim ─────────────────► free, or this user's: stored
//!                                 another's ── IsYours ─────────► the item says otherwise?
//!                                 taken, or handed over ◄─ Yours ──┘
//! the item is set ◄─ Claimed ──────┘
//!   └─ stored ── Release of the name before ──►
//! ```
//!
//! A name is claimed before it is set and released after another one is, so that a crash leaves a claim
//! too many and never one too few. A claim whose user has another name is worth nothing: it is never
//! found, and the next one who wants the name gets it.

use bytes::{BufMut, Bytes, BytesMut};
use fulmar_protocol::limits::NAME_BYTES_MAX;
use fulmar_protocol::{Code, varint};
use hashbrown::HashMap;

use super::super::group::Asker;
use super::super::inbox::Stage;
use super::super::record::{Fields, RecordError, put};
use super::super::seam::{CoreId, Key, Load, Ticket, UserId, Write};
use super::super::{Answer, Effects, Shard};
use super::Reply;
use super::letter::PeopleLetter;
use crate::faults::{Fault, is_planted};
use crate::limits::{NAME_WAITING_MAX, NAMES_OF_HASH_MAX, NAMES_WARM_MAX, WARM_MS};

/// Who may have a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    name: Bytes,
    user: UserId,
    /// Which of all claims since the start it is; 0 for one from before.
    nth: u64,
}

/// The names of one hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameRecord {
    claims: Vec<Claim>,
}

impl NameRecord {
    fn find(&mut self, name: &[u8]) -> Option<&mut Claim> {
        self.claims.iter_mut().find(|claim| claim.name == name)
    }

    fn bytes_max(&self) -> usize {
        1 + varint::BYTES_MAX + self.claims.len() * (1 + NAME_BYTES_MAX + varint::BYTES_MAX)
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(1);
        put(self.claims.len() as u64, out);
        for claim in &self.claims {
            put(claim.name.len() as u64, out);
            out.extend_from_slice(&claim.name);
            put(claim.user, out);
        }
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::versioned(bytes, "name.version")?;
        let mut record = NameRecord::default();
        for _ in 0..fields.count(NAMES_OF_HASH_MAX as u64, "name.count")? {
            let name = fields.bytes(NAME_BYTES_MAX as u64, "name.name")?;
            let user = fields.number("name.user")?;
            if record.find(&name).is_some() {
                return Err(RecordError("name.name"));
            }
            record.claims.push(Claim { name, user, nth: 0 });
        }
        fields.end("name")?;
        Ok(record)
    }
}

/// Something that needs a record of names in memory.
#[derive(Debug, Clone)]
enum Want {
    Claim { name: Bytes, user: UserId },
    Release { name: Bytes, user: UserId },
    Find { name: Bytes, asker: Asker, question: u64 },
}

/// A claim that waits for the home of who has the name.
#[derive(Debug)]
struct Contest {
    name: Bytes,
    claimant: UserId,
    /// Whose it was, and which claim, when it was asked.
    user: UserId,
    nth: u64,
}

#[derive(Debug)]
struct Warm {
    record: NameRecord,
    stage: Stage,
    waiting: Vec<Want>,
    contests: Vec<Contest>,
    last_ticket: Ticket,
    used_ms: u64,
}

/// The names of one core.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    by_hash: HashMap<u64, Box<Warm>>,
    /// Everything in `by_hash`, once each; looked at from the front for being unused.
    order: std::collections::VecDeque<u64>,
    last_claim: u64,
}

impl Names {
    /// How many records are in memory.
    #[cfg(test)]
    pub(in super::super) fn len(&self) -> usize {
        self.by_hash.len()
    }
}

/// The hash of a name: FNV-1a. Names that collide share a record.
pub(in super::super) fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Shard {
    pub(super) fn post_to_name(&mut self, name: &[u8], letter: PeopleLetter, fx: &mut Effects) {
        self.post(hash(name), letter.into(), fx);
    }

    /// A letter to a name of this core.
    pub(super) fn name_letter(&mut self, letter: PeopleLetter, fx: &mut Effects) {
        let (name, want) = match letter {
            PeopleLetter::Claim { name, user } => (name.clone(), Want::Claim { name, user }),
            PeopleLetter::Release { name, user } => (name.clone(), Want::Release { name, user }),
            PeopleLetter::Find { name, asker, question } => {
                (name.clone(), Want::Find { name, asker, question })
            }
            _ => return,
        };
        let now_ms = self.now.mono_ms;
        let hash = hash(&name);
        if let Some(warm) = self.names.by_hash.get_mut(&hash) {
            warm.used_ms = now_ms;
            match warm.stage {
                Stage::Loading => {
                    let is_release = matches!(want, Want::Release { .. });
                    if is_release || warm.waiting.len() < NAME_WAITING_MAX {
                        warm.waiting.push(want);
                    } else {
                        self.refuse_name(want, fx);
                    }
                }
                Stage::Ready => self.do_with_names(hash, want, fx),
            }
            return;
        }
        if self.names.by_hash.len() >= NAMES_WARM_MAX {
            self.sweep.grown.names += 1;
        }
        let warm = Warm {
            record: NameRecord::default(),
            stage: Stage::Loading,
            waiting: vec![want],
            contests: Vec::new(),
            last_ticket: 0,
            used_ms: now_ms,
        };
        self.names.by_hash.insert(hash, Box::new(warm));
        self.names.order.push_back(hash);
        self.counters.hydrations += 1;
        fx.loads.push(Load::Name { hash });
    }

    /// Too many already wait for these names. Who has one lets it go in any case.
    fn refuse_name(&mut self, want: Want, fx: &mut Effects) {
        match want {
            Want::Claim { name, user } => {
                self.answer_claim(name, user, Some(Code::Overloaded), fx);
            }
            Want::Find { asker, question, .. } => {
                let letter = PeopleLetter::Resolved { question, user: None, mates: None };
                self.post_to_core(asker.core, letter.into(), fx);
            }
            Want::Release { .. } => {}
        }
    }

    pub(in super::super) fn names_loaded(
        &mut self,
        hash: u64,
        record: Option<&[u8]>,
        fx: &mut Effects,
    ) {
        let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
        // A damaged record must not be taken for an empty one: a name would be given twice.
        let record = record.map_or(Ok(NameRecord::default()), NameRecord::decode);
        warm.record = record.unwrap_or_else(|error| panic!("names of {hash:016x}: {error}"));
        warm.stage = Stage::Ready;
        for want in std::mem::take(&mut warm.waiting) {
            self.do_with_names(hash, want, fx);
        }
    }

    fn do_with_names(&mut self, hash: u64, want: Want, fx: &mut Effects) {
        match want {
            Want::Claim { name, user } => self.claim(hash, name, user, fx),
            Want::Release { name, user } => {
                let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
                let before = warm.record.claims.len();
                warm.record.claims.retain(|claim| claim.name != name || claim.user != user);
                if warm.record.claims.len() < before {
                    self.write_names(hash, fx);
                }
            }
            Want::Find { name, asker, question } => {
                let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
                let user = warm.record.find(&name).map(|claim| claim.user);
                let letter = match user {
                    Some(user) => PeopleLetter::Resolve { user, name, asker, question },
                    None => PeopleLetter::Resolved { question, user: Some(0), mates: None },
                };
                match user {
                    Some(user) => self.post(user, letter.into(), fx),
                    None => self.post_to_core(asker.core, letter.into(), fx),
                }
            }
        }
    }

    /// A user wants a name.
    fn claim(&mut self, hash: u64, name: Bytes, user: UserId, fx: &mut Effects) {
        self.names.last_claim += 1;
        let nth = self.names.last_claim;
        let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
        let is_full = warm.record.claims.len() >= NAMES_OF_HASH_MAX;
        match warm.record.find(&name) {
            Some(claim) if claim.user == user => {
                claim.nth = nth;
                self.answer_claim(name, user, None, fx);
            }
            Some(claim) => {
                let contest = Contest {
                    name: name.clone(),
                    claimant: user,
                    user: claim.user,
                    nth: claim.nth,
                };
                let (user, core) = (claim.user, self.config.core);
                warm.contests.push(contest);
                self.post(user, PeopleLetter::IsYours { user, name, core }.into(), fx);
            }
            None if is_full => self.answer_claim(name, user, Some(Code::NameTaken), fx),
            None => {
                warm.record.claims.push(Claim { name: name.clone(), user, nth });
                self.write_names(hash, fx);
                self.answer_claim(name, user, None, fx);
            }
        }
    }

    /// The home of a name's user says whether it is its username.
    pub(super) fn judge_contests(
        &mut self,
        user: UserId,
        name: &Bytes,
        is_theirs: bool,
        fx: &mut Effects,
    ) {
        let hash = hash(name);
        let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
        let is_meant = |contest: &Contest| contest.user == user && contest.name == *name;
        let Some(at) = warm.contests.iter().position(is_meant) else { return };
        let contest = warm.contests.remove(at);
        let is_same = |claim: &mut Claim| claim.user == user && claim.nth == contest.nth;
        if !warm.record.find(name).is_some_and(is_same) {
            // It changed meanwhile.
            self.claim(hash, contest.name, contest.claimant, fx);
        } else if is_theirs && !is_planted(Fault::NameHandedOver) {
            self.answer_claim(contest.name, contest.claimant, Some(Code::NameTaken), fx);
        } else {
            warm.record.claims.retain(|claim| claim.name != *name);
            self.claim(hash, contest.name, contest.claimant, fx);
        }
    }

    /// Answers once it is stored.
    fn answer_claim(&mut self, name: Bytes, user: UserId, refusal: Option<Code>, fx: &mut Effects) {
        let letter = PeopleLetter::Claimed { user, name, refusal };
        let core = super::super::home_core(user, self.config.cores);
        let reply = Reply::Post { letter: (core, letter) };
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }

    fn write_names(&mut self, hash: u64, fx: &mut Effects) {
        let Some(warm) = self.names.by_hash.get_mut(&hash) else { return };
        warm.last_ticket = self.ticket;
        let record = &warm.record;
        let value = self.arena.value(record.bytes_max(), |block| record.encode(block));
        fx.writes.push(Write::Put { key: Key::Name { hash }, value });
    }

    /// Lets go of names that are stored and unused.
    pub(in super::super) fn sweep_names(&mut self, slots: usize) {
        let (now_ms, stored) = (self.now.mono_ms, self.stored);
        let Names { by_hash, order, .. } = &mut self.names;
        for _ in 0..slots.min(order.len()) {
            let Some(hash) = order.pop_front() else { break };
            let Some(warm) = by_hash.get(&hash) else { continue };
            let is_old = now_ms.saturating_sub(warm.used_ms) >= WARM_MS;
            let is_unused = warm.stage == Stage::Ready
                && warm.contests.is_empty()
                && warm.last_ticket <= stored;
            if (is_old || by_hash.len() >= NAMES_WARM_MAX) && is_unused {
                by_hash.remove(&hash);
                self.counters.evictions += 1;
            } else {
                order.push_back(hash);
            }
        }
    }

    pub(super) fn answer_is_yours(
        &mut self,
        user: UserId,
        name: Bytes,
        is_yours: bool,
        core: CoreId,
        fx: &mut Effects,
    ) {
        let letter = PeopleLetter::Yours { user, name, is_yours };
        let reply = Reply::Post { letter: (core, letter) };
        // Not before a removal that it speaks of is stored: the next claim must not be stored earlier.
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_cut_ones_are_refused() {
        let claim = |name: &'static str, user| Claim {
            name: Bytes::from_static(name.as_bytes()),
            user,
            nth: 0,
        };
        let record = NameRecord { claims: vec![claim("ann", 7), claim("bob.2", u64::MAX)] };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert!(bytes.len() <= record.bytes_max());
        assert_eq!(NameRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(NameRecord::decode(&bytes[..cut]).is_err());
        }
        assert!(NameRecord::decode(&[1, 2, 1, b'a', 1, 1, b'a', 2]).is_err());
    }
}
