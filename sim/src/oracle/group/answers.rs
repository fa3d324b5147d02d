//! What became of sends and changes: ticked, made, or turned down.

use fulmar_client::{Action, Target};
use fulmar_protocol::Code;

use super::super::link::Link;
use super::super::{Complaint, Oracle};
use super::Sender;
use super::log::creation;
use crate::coverage::Happening;

impl Oracle {
    pub(super) fn group_ticked(
        &mut self,
        link: &mut Link,
        group: u64,
        number: u64,
        (position, time_ms): (u64, u64),
    ) -> Result<(), Complaint> {
        let asked = link.groups.answered(group, number, link.is_good)?;
        let mut by = (self.users[link.user as usize].id, link.device, number);
        if asked.group == 0 {
            self.made(by, group)?;
            by = creation(by);
        }
        self.groups.reader(by.0, group);
        let log = self.groups.log(group);
        if !log.ticked(by, position, time_ms)? {
            self.hit(Happening::GroupRepeatTick);
            return Ok(());
        }
        let action = log.entry(position).and_then(|entry| Some(entry.body.change.as_ref()?.action));
        self.messages += 1;
        self.hit(match action {
            None => Happening::GroupTick,
            Some(Action::Create) => Happening::GroupMade,
            Some(Action::Add) => Happening::GroupAdd,
            Some(Action::Remove) => Happening::GroupRemove,
            Some(Action::Leave) => Happening::GroupLeave,
            Some(Action::Delete) => Happening::GroupDelete,
            Some(_) => Happening::GroupChange,
        });
        Ok(())
    }

    /// A creation came to a group.
    pub(super) fn made(&mut self, by: Sender, group: u64) -> Result<(), Complaint> {
        if self.groups.unmade.contains(&by) {
            let detail = format!("{by:?} made {group}");
            return Err(Complaint("a group keeps nothing of what it rejected", detail));
        }
        let made = *self.groups.made.entry(by).or_insert(group);
        if made != group {
            let detail = format!("{by:?} made {made} and {group}");
            return Err(Complaint("a group is made once", detail));
        }
        if let Some(body) = self.groups.creations.get(&by).cloned() {
            self.groups.log(group).made(by, body);
        }
        Ok(())
    }

    pub(super) fn group_rejected(
        &mut self,
        link: &mut Link,
        group: u64,
        number: u64,
        code: Code,
    ) -> Result<(), Complaint> {
        let asked = link.groups.answered(group, number, false)?;
        let by = (self.users[link.user as usize].id, link.device, number);
        match code {
            Code::NotAMember => {
                self.hit(Happening::GroupStranger);
                let cursor = self.groups.device(by.0, by.1, group).cursor;
                self.groups.strangers.push((by.0, group, cursor));
            }
            Code::NotAllowed => {
                self.hit(Happening::GroupNotAllowed);
                self.groups.not_allowed.push((by, group, asked.cursor));
            }
            Code::BadChange => self.hit(Happening::GroupBadChange),
            Code::QuotaExceeded => {
                self.hit(Happening::GroupQuota);
                self.judge_group_quota(link.run, group, by, &asked)?;
            }
            Code::GroupFull => {
                self.hit(Happening::GroupFull);
                self.judge_group_size(link.run, group, by)?;
            }
            // A later one was taken first.
            Code::StaleNumber if asked.is_overtaken && link.is_good => {
                let detail =
                    format!("number {number} to group {group} is stale, behind a later one");
                return Err(Complaint("ticks of a group come in the order of the sends", detail));
            }
            Code::StaleNumber | Code::BodyTooLarge => {}
            Code::BadContent | Code::NoSuchMessage | Code::NotYours | Code::TooOld => {
                self.note_refusal(group, by, code)?;
            }
            _ => {
                let detail = format!("{code}");
                return Err(Complaint("a group refuses for a reason of its own", detail));
            }
        }
        if link.is_good {
            // It counts once the device has stored it; before that a crash makes it try again.
            self.rejections.insert((link.user, link.device, number), Target::Group(group));
        }
        if group > 0 {
            return self.groups.log(group).rejected(by, code);
        }
        if let Some(made) = self.groups.made.get(&by) {
            let detail = format!("{by:?} made {made}: {code}");
            return Err(Complaint("what a group ticked is never rejected", detail));
        }
        Ok(())
    }

    /// How far a device has a group, as its store says.
    pub(super) fn cursor_in(&self, link: &Link, group: u64) -> u64 {
        let user = self.users[link.user as usize].id;
        self.groups.devices.get(&(user, link.device, group)).map_or(0, |state| state.cursor)
    }

    /// A sender knows for good that its send or change was turned down.
    pub(crate) fn given_up_in_group(&mut self, group: u64, by: Sender) -> Result<(), Complaint> {
        if group > 0 {
            return self.groups.log(group).given_up(by);
        }
        self.groups.unmade.insert(by);
        let Some(made) = self.groups.made.get(&by) else { return Ok(()) };
        let detail = format!("{by:?} made {made}");
        Err(Complaint("a group keeps nothing of what it rejected", detail))
    }
}
