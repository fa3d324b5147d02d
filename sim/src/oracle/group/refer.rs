//! Edits, deletions and reactions in groups: what may be refused, and what may be taken.

use fulmar_protocol::Code;

use super::super::digest::Digest;
use super::super::refer::{Reference, Want, refused_as_old, taken_at_age};
use super::super::{Complaint, Oracle};
use super::Sender;
use super::log::{Entry, Log};
use super::members::{Members, SPANS_KEPT};
use crate::coverage::Happening;

/// A message that was refused for what it refers to. Whether rightly is seen once the log is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    group: u64,
    by: u64,
    code: Code,
    reference: Reference,
    /// What it refers to was known to be there.
    has_target: bool,
    /// The age of what it refers to, at most, where that is known.
    most_ms: u64,
}

impl Oracle {
    /// Something is written that may refer to another message.
    pub(super) fn note_reference(&mut self, group: u64, by: Sender, digest: Digest) {
        let Ok(Some(reference)) = digest.reference(true) else { return };
        let has_target = self.groups.log(group).entry(reference.place).is_some();
        self.groups.references.entry((group, by)).or_insert((has_target, self.now));
    }

    /// A message was turned down for what it refers to.
    pub(super) fn note_refusal(
        &mut self,
        group: u64,
        by: Sender,
        code: Code,
    ) -> Result<(), Complaint> {
        self.hit(match code {
            Code::BadContent => Happening::Senseless,
            Code::NoSuchMessage => Happening::NoSuchMessage,
            Code::NotYours => Happening::NotYours,
            _ => Happening::TooOld,
        });
        let digest = self.groups.log(group).attempt_of(by).map(|body| body.digest);
        let reference = digest.map(|digest| digest.reference(true));
        match (code, reference) {
            (Code::BadContent, Some(Err(_))) => Ok(()),
            (Code::NoSuchMessage | Code::NotYours | Code::TooOld, Some(Ok(Some(reference)))) => {
                let Some(&(has_target, at)) = self.groups.references.get(&(group, by)) else {
                    return Ok(());
                };
                let time_ms =
                    self.groups.log(group).entry(reference.place).and_then(|it| it.time_ms);
                let most_ms = self.age_most_ms(at, time_ms);
                let refusal = Refusal { group, by: by.0, code, reference, has_target, most_ms };
                self.groups.refusals.push(refusal);
                Ok(())
            }
            _ => {
                let detail = format!("{by:?} got {code} from {group} for {reference:?}");
                Err(Complaint("a group refuses for a reason of its own", detail))
            }
        }
    }

    /// Everything that groups took or refused was rightly taken or refused.
    pub(crate) fn judge_group_references(&self) -> Result<(), Complaint> {
        for (&group, log) in &self.groups.logs {
            let members = Members::play(group, log, |members, position, entry| {
                self.judge_taken(log, members, position, entry)
            })?;
            for refusal in self.groups.refusals.iter().filter(|it| it.group == group) {
                self.judge_refused(log, &members, refusal)?;
            }
        }
        Ok(())
    }

    fn judge_taken(
        &self,
        log: &Log,
        members: &Members,
        position: u64,
        entry: &Entry,
    ) -> Result<(), Complaint> {
        let Entry { author, body, time_ms, .. } = entry;
        let reference = body.digest.reference(true);
        let detail = || format!("position {position} of {author}: {reference:?}");
        let reference = match reference {
            Ok(Some(reference)) => reference,
            Ok(None) => return Ok(()),
            Err(_) => return Err(Complaint("what makes no sense is refused", detail())),
        };
        let Reference { want, place, .. } = reference;
        if place >= position || !members.may_read(*author, place) {
            return Err(Complaint("what is referred to is there", detail()));
        }
        let Some(target) = log.entry(place).filter(|_| want != Want::React) else { return Ok(()) };
        if target.body.change.is_some() {
            return Err(Complaint("what is referred to is there", detail()));
        }
        let may = target.author == *author || (want == Want::Delete && members.is_admin(*author));
        if !may {
            return Err(Complaint("only the author changes a message", detail()));
        }
        if let (&Some(time_ms), Some(target_ms)) = (time_ms, target.time_ms) {
            let least_ms = time_ms.saturating_sub(target_ms);
            taken_at_age(least_ms, self.change_age_ms, detail)?;
        }
        Ok(())
    }

    fn judge_refused(
        &self,
        log: &Log,
        members: &Members,
        refusal: &Refusal,
    ) -> Result<(), Complaint> {
        let &Refusal { by, code, reference, has_target, most_ms, .. } = refusal;
        let Some(target) = log.entry(reference.place) else { return Ok(()) };
        let detail = || format!("{refusal:?} of {target:?}");
        match code {
            Code::NotYours if target.author == by || reference.want == Want::React => {
                Err(Complaint("an author may change a message", detail()))
            }
            Code::TooOld if reference.want == Want::React => {
                Err(Complaint("a message may be changed for as long as is said", detail()))
            }
            Code::TooOld => refused_as_old(most_ms, self.change_age_ms, detail),
            Code::NoSuchMessage => {
                let has_expired = target.time_ms.is_none_or(|at| at <= self.expired_through_ms)
                    || self.entry_may_be_over(Some(target));
                let is_readable =
                    members.spans(by).len() <= SPANS_KEPT && members.may_read(by, reference.place);
                let is_there = has_target && target.body.change.is_none() && !has_expired;
                if is_there && is_readable {
                    return Err(Complaint("what exists may be referred to", detail()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
