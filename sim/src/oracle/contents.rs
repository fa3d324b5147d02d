//! Edits, deletions and reactions of two people: what may be refused, and what may be taken.

use fulmar_protocol::Code;

use super::digest::Digest;
use super::direction::Direction;
use super::refer::{Reference, Want, refused_as_old, taken_at_age};
use super::{Complaint, Oracle};
use crate::clock::Time;
use crate::coverage::Happening;

impl Oracle {
    /// Whether the message to which something refers that is about to be written is known to be there.
    pub(crate) fn has_target(&mut self, from: u32, to: u32, digest: Digest) -> bool {
        let Ok(Some(Reference { of_peer, place, .. })) = digest.reference(false) else {
            return false;
        };
        let about = if of_peer { self.direction(to, from) } else { self.direction(from, to) };
        place <= about.ordinals.len() as u64
    }

    /// A send was turned down for what it refers to.
    pub(crate) fn judge_refusal(
        &mut self,
        (from, to): (u32, u32),
        (device, number): (u16, u64),
        code: Code,
    ) -> Result<(), Complaint> {
        self.hit(match code {
            Code::BadContent => Happening::Senseless,
            Code::NoSuchMessage => Happening::NoSuchMessage,
            _ => Happening::TooOld,
        });
        let limit_ms = self.change_age_ms;
        let (now, clock) = (self.now, self.clock.clone());
        let direction = self.direction(from, to);
        // Of several bodies under one number any may be the one that was judged.
        let mut judged = Ok(());
        for attempt in direction.attempts_of(device, number) {
            let reference = attempt.digest.reference(false);
            let detail = || format!("number {number} of device {device}: {reference:?} got {code}");
            judged = match (code, reference) {
                (Code::BadContent, Err(_)) => Ok(()),
                (Code::NoSuchMessage, Ok(Some(_))) if !attempt.has_target => Ok(()),
                (Code::NoSuchMessage, Ok(Some(_))) => {
                    Err(Complaint("what exists may be referred to", detail()))
                }
                (
                    Code::TooOld,
                    Ok(Some(Reference { want: Want::Edit | Want::Delete, place, .. })),
                ) => {
                    let latest_ms = clock.latest_between(attempt.sent_at, now);
                    let most_ms = direction
                        .time_of(place)
                        .map_or(u64::MAX, |at| latest_ms.saturating_sub(at));
                    refused_as_old(most_ms, limit_ms, detail)
                }
                _ => Err(Complaint("a send is rejected for a reason of its own", detail())),
            };
            if judged.is_ok() {
                return Ok(());
            }
        }
        judged
    }

    /// Everything that was taken was rightly taken.
    pub(crate) fn judge_references(&mut self) {
        let mut outcome = Ok(());
        for (&(from, to), &at) in &self.directions_by_pair {
            let other = self.directions_by_pair.get(&(to, from));
            let other = other.map_or(0, |&at| self.directions[at as usize].attempts.len() as u64);
            outcome = outcome.and(self.judge_direction(&self.directions[at as usize], other));
        }
        self.judge(outcome);
    }

    fn judge_direction(&self, direction: &Direction, of_peer: u64) -> Result<(), Complaint> {
        for (ordinal, known) in (1..).zip(&direction.ordinals) {
            let Some(digest) = direction.digest_of(known) else { continue };
            let detail = || format!("ordinal {ordinal} with {:?}", digest.reference(false));
            let reference = match digest.reference(false) {
                Ok(Some(reference)) => reference,
                Ok(None) => continue,
                Err(_) => return Err(Complaint("what makes no sense is refused", detail())),
            };
            let place_max = if reference.of_peer { of_peer } else { ordinal - 1 };
            if reference.place > place_max {
                return Err(Complaint("what is referred to is there", detail()));
            }
            // With a clock that goes back the server knows ages less well.
            if reference.want == Want::React || self.clock.went_back() {
                continue;
            }
            if let (Some(time_ms), Some(target_ms)) =
                (known.time_ms, direction.time_of(reference.place))
            {
                let least_ms = time_ms.saturating_sub(target_ms);
                let limit_ms = self.change_age_ms;
                taken_at_age(least_ms, limit_ms.saturating_add(limit_ms.div_ceil(2)), detail)?;
            }
        }
        Ok(())
    }

    /// How old something is at most, that was judged after `since`.
    pub(crate) fn age_most_ms(&self, since: Time, time_ms: Option<u64>) -> u64 {
        let latest_ms = self.clock.latest_between(since, self.now);
        time_ms.map_or(u64::MAX, |time_ms| latest_ms.saturating_sub(time_ms))
    }
}
