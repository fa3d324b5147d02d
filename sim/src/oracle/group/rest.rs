//! What is missing of groups once everything should have come to rest.

use fulmar_client::Action;

use super::super::{Complaint, Oracle};
use super::log::Log;
use super::members::{Members, SPANS_KEPT, Span};
use crate::coverage::Happening;

/// Open points that are told at most.
const TOLD_MAX: usize = 8;

impl Oracle {
    /// What groups owe the devices of their members.
    pub(crate) fn missing_of_groups(&mut self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut expired = 0;
        for (&group, log) in &self.groups.logs {
            let Ok(members) = Members::of(group, log) else { continue };
            for (user, spans) in members.all() {
                // Behind a hole there may be another time.
                let names = |at| {
                    let entry = log.entry(at)?;
                    let change = entry.body.change.as_ref()?;
                    Some(entry.author == user || change.users.contains(&user))
                };
                if (members.through + 1..=log.told).any(|at| names(at) == Some(true)) {
                    continue;
                }
                for &span in spans.iter().rev().take(SPANS_KEPT) {
                    self.missing_of_member(
                        group,
                        log,
                        &members,
                        (user, span),
                        &mut missing,
                        &mut expired,
                    );
                }
            }
            if missing.len() >= TOLD_MAX {
                break;
            }
        }
        if missing.is_empty() {
            self.coverage.add(Happening::GroupExpired, expired);
        }
        missing.truncate(TOLD_MAX);
        missing
    }

    fn missing_of_member(
        &self,
        group: u64,
        log: &Log,
        members: &Members,
        (user, span): (u64, Span),
        missing: &mut Vec<String>,
        expired: &mut u64,
    ) {
        let Some(known) = self.users_by_id.get(&user).map(|&at| &self.users[at as usize]) else {
            return;
        };
        if !known.is_good {
            return;
        }
        let last = span.ended.unwrap_or(members.through).min(members.through);
        for device in known.devices.iter().filter(|device| !device.is_gone) {
            let Some(state) = self.groups.devices.get(&(user, device.number, group)) else {
                continue;
            };
            if !state.is_known {
                continue;
            }
            // Of a time that is over it hears by the notice, which may have expired before it came.
            let joined_ms = log.entry(span.joined).and_then(|entry| entry.time_ms);
            let is_unheard = joined_ms.is_none_or(|at| at <= self.expired_through_ms);
            if state.is_gone && span.ended.is_some() && self.is_expiring() && is_unheard {
                continue;
            }
            // Who was told that it is no member any more may have been forgotten with the last entry that it
            // might read; whether they are all gone is judged one by one.
            if state.cursor < last && !(state.is_gone && span.ended.is_some()) {
                missing.push(format!(
                    "device {} of {user} has {} of {last} in {group}",
                    device.number, state.cursor
                ));
            }
            for position in span.joined..=last {
                let is_there = state.received.contains(position) || log.is_of(position, user, device.number)
                    // A device that lost its store never learns that this was its own.
                    || log.entry(position).is_some_and(|it| it.author == user && it.sender.is_none());
                if is_there {
                    continue;
                }
                let entry = log.entry(position);
                let time_ms = entry.and_then(|entry| entry.time_ms);
                let has_expired = time_ms.is_none_or(|at| at <= self.expired_through_ms);
                if (self.is_expiring() && has_expired) || self.entry_may_be_over(entry) {
                    *expired += 1;
                } else if missing.len() < TOLD_MAX {
                    missing.push(format!(
                        "position {position} of {group} lacks on device {} of {user} ({entry:?})",
                        device.number
                    ));
                }
            }
        }
    }

    /// What must hold of all groups in the end.
    pub(crate) fn judge_groups(&mut self) {
        let outcome = self.judge_each_group().and_then(|()| self.judge_group_references());
        self.judge(outcome);
    }

    fn judge_each_group(&mut self) -> Result<(), Complaint> {
        let mut holes = 0;
        for (&group, log) in &self.groups.logs {
            log.judge_density()?;
            let members = self.members_as_shown(group, log)?;
            if members.through >= log.told && !self.is_expiring() {
                self.judge_roles(group, &members)?;
                self.judge_mates(group, &members)?;
            }
            holes += u64::from(members.through < log.told);
            // Behind a hole somebody may have been added who may read what was before.
            let shows = |at| {
                let change = log.entry(at).and_then(|entry| entry.body.change.as_ref());
                change.is_some_and(|change| change.action == Action::ShowHistory)
            };
            let is_known = members.through >= log.told
                || !(self.is_expiring()
                    || members.shows_history
                    || (members.through..=log.told).any(shows));
            for (&(user, of), reader) in &self.groups.readers {
                if of != group || !is_known {
                    continue;
                }
                let through = reader.delivered_max.min(members.through);
                let stranger = (1..=through)
                    .find(|&at| reader.delivered.contains(at) && !members.may_read(user, at));
                if let Some(position) = stranger {
                    let detail = format!(
                        "{user} got {position} of {group}, in which it is {:?}",
                        members.spans(user)
                    );
                    return Err(Complaint("who isn't a member reads nothing", detail));
                }
            }
            for (user, span) in members.present() {
                let is_told = self.groups.readers.get(&(user, group)).is_some_and(|r| r.is_noticed);
                let is_good = |at: &u32| {
                    let user = &self.users[*at as usize];
                    let is_back = |device: &super::super::user::Device| {
                        !device.is_gone && device.welcomed_at.is_some()
                    };
                    user.is_good && user.devices.iter().any(is_back)
                };
                let is_good = self.users_by_id.get(&user).is_some_and(is_good);
                let made = log.entry(1).map(|entry| entry.author);
                if is_good && !is_told && made != Some(user) && !self.is_expiring() {
                    let detail = format!("{user} is in {group} since {}", span.joined);
                    return Err(Complaint("who is added is told", detail));
                }
            }
            for &(user, of, cursor) in self.groups.strangers.iter().filter(|it| it.1 == group) {
                let is_in = |span: &Span| {
                    span.joined <= cursor && span.ended.is_none() && cursor <= members.through
                };
                // What ended its time may have expired before anybody got it, or lie behind what was over.
                let is_known = !self.is_expiring() && members.through >= log.told;
                if is_known && members.spans(user).iter().any(is_in) {
                    let detail = format!("{user} has {cursor} of {of}");
                    return Err(Complaint("a member may write", detail));
                }
            }
        }
        self.coverage.add(Happening::GroupHole, holes);
        Ok(())
    }

    /// Some people go, now that everything is at rest.
    pub(crate) fn part(&mut self) {
        for log in self.groups.logs.values_mut() {
            log.before_parting = log.named();
        }
    }

    /// Receipts of groups that an author's device should have by now and hasn't. A device asks for them at its login;
    /// without another one it need only know what became of entries that were written since people parted: about
    /// what came to it later than its question it may know less, if nothing changes any more.
    pub(crate) fn missing_group_receipts(&self, was_asked: bool) -> Vec<String> {
        let mut missing = Vec::new();
        for (&group, log) in &self.groups.logs {
            let Ok(members) = Members::of(group, log) else { continue };
            if members.through < log.told {
                continue;
            }
            for (user, _) in members.present() {
                let known = if was_asked { 0 } else { log.before_parting };
                self.missing_counts((group, known), log, &members, user, &mut missing);
            }
        }
        missing.truncate(TOLD_MAX);
        missing
    }

    fn missing_counts(
        &self,
        (group, after): (u64, u64),
        log: &Log,
        members: &Members,
        author: u64,
        missing: &mut Vec<String>,
    ) {
        let devices = self.groups.devices.range((author, 0, group)..=(author, u16::MAX, group));
        for (&(_, device, _), state) in devices.filter(|(at, _)| at.2 == group) {
            let position = state.own_last;
            let is_gone = self.users_by_id.get(&author).is_some_and(|&at| {
                let all = &self.users[at as usize].devices;
                all.iter().any(|known| known.number == device && known.is_gone)
            });
            let entry = log.entry(position);
            let time_ms = entry.and_then(|entry| entry.time_ms);
            let has_expired = time_ms.is_none_or(|at| at <= self.expired_through_ms)
                || self.entry_may_be_over(entry);
            if !state.is_known || state.is_gone || is_gone || position <= after || has_expired {
                continue;
            }
            let (mut delivered, mut read) = (0, 0);
            // Who doesn't keep the rules may not be what it says.
            let is_counted = |user: u64| user != author && self.keeps_rules(user);
            for (user, span) in members.present().filter(|(user, _)| is_counted(*user)) {
                if span.first <= position && span.joined <= position {
                    let (acked, seen) = self.progress(user, group);
                    delivered += u64::from(acked.max(seen) >= position);
                    read += u64::from(seen >= position);
                }
            }
            let told = &state.receipt;
            if told.position > position {
                // Of a newer one, which was over before this device got it.
                continue;
            }
            // Counts about an older entry say nothing of this one, but where all have everything, or saw it,
            // nothing more is asked.
            let is_about_it = told.position == position;
            let (mut known, mut known_read) =
                if is_about_it { (told.delivered, told.read) } else { (0, 0) };
            if told.delivered_all >= position {
                known = delivered;
            }
            if told.read_all >= position {
                (known, known_read) = (delivered, read);
            }
            if known < delivered || known_read < read {
                missing.push(format!(
                    "device {device} of {author} knows {told:?} of {position} in {group}; true \
                     are {delivered} and {read}"
                ));
            }
        }
    }

    fn keeps_rules(&self, user: u64) -> bool {
        self.users_by_id.get(&user).is_some_and(|&at| self.users[at as usize].is_good)
    }

    /// How far a user's devices are with a group, and how far the person is.
    fn progress(&self, user: u64, group: u64) -> (u64, u64) {
        let acked = self.groups.readers.get(&(user, group)).map_or(0, |reader| reader.acked);
        let devices = self.groups.devices.range((user, 0, 0)..=(user, u16::MAX, u64::MAX));
        // What a device saw that comes back no more nobody else can tell.
        let is_back = |number: u16| {
            let all = self.users_by_id.get(&user).map(|&at| &self.users[at as usize].devices);
            let known = all.and_then(|all| all.iter().find(|device| device.number == number));
            known.is_some_and(|device| !device.is_gone)
        };
        let of_group = devices.filter(|(at, _)| at.2 == group && is_back(at.1));
        (acked, of_group.map(|(_, state)| state.seen).max().unwrap_or(0))
    }
}
