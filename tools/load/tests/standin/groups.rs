//! The stand-in's groups: logs of many, without windows, notices or rules about who may do what.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fulmar_protocol::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupReceipt, GroupSend,
};
use fulmar_protocol::{Frame, Pairs};

use super::Fault;
use super::state::State;

/// The number of the first group.
const FIRST: u64 = 300;

#[derive(Debug, Clone)]
struct Entry {
    author: u64,
    content: u8,
    body: Vec<u8>,
    /// Which message of all it is, from 1; 0 for a change.
    nth: u64,
}

#[derive(Debug, Default)]
struct Log {
    /// How far each member has it, as it said.
    members: BTreeMap<u64, u64>,
    /// How far each member read it, as it said.
    reads: HashMap<u64, u64>,
    entries: Vec<Entry>,
    /// By user and number: the position.
    numbers: HashMap<(u64, u64), u64>,
    /// How far it was sent to those who are there.
    delivered: HashMap<u64, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    logs: BTreeMap<u64, Log>,
    created: HashMap<(u64, u64), u64>,
    /// Users whose connection takes groups.
    resumed: BTreeSet<u64>,
    messages: u64,
    reads: u64,
    /// Where members moved whose authors weren't told yet.
    moved: BTreeSet<u64>,
}

impl State {
    pub(super) fn on_group_resume(&mut self, user: u64, cursors: &Pairs<'_>) -> Result<(), String> {
        let is_first = self.groups.resumed.insert(user);
        let cursors: BTreeMap<u64, u64> = cursors.iter().collect();
        let mine: Vec<u64> = self.groups_of(user).collect();
        for group in mine {
            let log = self.groups.logs.get_mut(&group).ok_or("no such group")?;
            let Some(cursor) = cursors.get(&group).copied().or(is_first.then_some(0)) else {
                continue;
            };
            if cursor > log.entries.len() as u64 {
                return Err(format!("cursor {cursor} in group {group} of {user}"));
            }
            log.delivered.insert(user, cursor);
            let acknowledged = log.members.entry(user).or_default();
            *acknowledged = cursor.max(*acknowledged);
            self.deliver_group(group, user);
        }
        Ok(())
    }

    pub(super) fn leave_groups(&mut self, user: u64) {
        self.groups.resumed.remove(&user);
        for log in self.groups.logs.values_mut() {
            log.delivered.remove(&user);
        }
    }

    fn groups_of(&self, user: u64) -> impl Iterator<Item = u64> + '_ {
        let logs = self.groups.logs.iter();
        logs.filter(move |(_, log)| log.members.contains_key(&user)).map(|(&group, _)| group)
    }

    pub(super) fn on_group_change(
        &mut self,
        id: u64,
        user: u64,
        group: u64,
        number: u64,
        change: &Change<'_>,
    ) -> Result<(), String> {
        let group = match change.action {
            Action::Create => FIRST + self.groups.logs.len() as u64,
            Action::Add => group,
            action => return Err(format!("the load asks for {}", action.name())),
        };
        if change.action == Action::Create
            && self.groups.created.insert((user, number), group).is_some()
        {
            return Err(format!("user {user} makes two groups under number {number}"));
        }
        let log = self.groups.logs.entry(group).or_default();
        let mut body = Vec::new();
        change.encode(&mut body);
        log.entries.push(Entry { author: user, content: CONTENT_CHANGE, body, nth: 0 });
        let head = log.entries.len() as u64;
        for added in change.users.iter().chain([user]) {
            log.members.entry(added).or_default();
            if self.groups.resumed.contains(&added) {
                let begin = if added == user { 0 } else { head - 1 };
                log.delivered.entry(added).or_insert(begin);
            }
        }
        self.say(id, &Frame::GroupSent { group, number, position: head, time_ms: 1 });
        self.deliver_to_members(group);
        Ok(())
    }

    pub(super) fn on_group_send(
        &mut self,
        id: u64,
        user: u64,
        send: &GroupSend<'_>,
    ) -> Result<(), String> {
        let (group, number) = (send.group, send.number);
        let log = self.groups.logs.get_mut(&group).ok_or("a send to no group")?;
        if !log.members.contains_key(&user) {
            return Err(format!("user {user} writes to group {group}"));
        }
        if let Some(&position) = log.numbers.get(&(user, number)) {
            self.say(id, &Frame::GroupSent { group, number, position, time_ms: 0 });
            return Ok(());
        }
        self.groups.messages += 1;
        let nth = self.groups.messages;
        let is_nth = |every: u64| nth.is_multiple_of(every);
        let mut entry = Entry { author: user, content: 0, body: send.body.to_vec(), nth };
        if matches!(self.fault, Fault::Corrupt(every) if is_nth(every)) {
            entry.body[40] ^= 1;
        }
        log.entries.push(entry.clone());
        let position = log.entries.len() as u64;
        log.numbers.insert((user, number), position);
        if matches!(self.fault, Fault::Twice(every) if is_nth(every)) {
            log.entries.push(entry);
        }
        let others = log.members.len() as u64 - 1;
        if !matches!(self.fault, Fault::DropTick(every) if is_nth(every)) {
            self.say(id, &Frame::GroupSent { group, number, position, time_ms: 1 });
        }
        if matches!(self.fault, Fault::ReceiptAhead(every) if is_nth(every)) {
            let receipt = self.groups.logs[&group].receipt(group, user, self.fault);
            self.say_group_receipt(user, GroupReceipt { delivered: others, ..receipt });
        }
        self.deliver_to_members(group);
        Ok(())
    }

    fn deliver_to_members(&mut self, group: u64) {
        let Some(log) = self.groups.logs.get(&group) else { return };
        let here: Vec<u64> = log.delivered.keys().copied().collect();
        for user in here {
            self.deliver_group(group, user);
        }
    }

    fn deliver_group(&mut self, group: u64, user: u64) {
        let fault = self.fault;
        let Some(log) = self.groups.logs.get_mut(&group) else { return };
        let Some(delivered) = log.delivered.get_mut(&user) else { return };
        let from = std::mem::replace(delivered, log.entries.len() as u64) as usize;
        let is_last = log.members.keys().next_back() == Some(&user);
        let entries = log.entries.clone();
        for (index, entry) in entries.iter().enumerate().skip(from) {
            let position = index as u64 + 1;
            let is_hit = |every: u64| entry.nth > 0 && entry.nth.is_multiple_of(every);
            let mut times = 1;
            let mut told = entry;
            match fault {
                Fault::Drop(every) if is_last && is_hit(every) => times = 0,
                Fault::Duplicate(every) if is_last && is_hit(every) => times = 2,
                Fault::Swap(every) if is_last && is_hit(every) && entries[index - 1].nth > 0 => {
                    told = &entries[index - 1];
                }
                _ => (),
            }
            let (time_ms, total_bytes, own) = (1, None, false);
            let Entry { author, content, ref body, .. } = *told;
            let deliver =
                GroupDeliver { group, position, author, time_ms, content, total_bytes, body, own };
            for _ in 0..times {
                if entry.author == user {
                    self.say_to_user(user, &Frame::GroupSkip { group, position });
                } else {
                    self.say_to_user(user, &Frame::GroupDeliver(deliver));
                }
            }
        }
    }

    pub(super) fn on_group_ack(
        &mut self,
        user: u64,
        group: u64,
        position: u64,
    ) -> Result<(), String> {
        let log = self.groups.logs.get_mut(&group).ok_or("an ack for no group")?;
        let delivered = log.delivered.get(&user).copied().unwrap_or(0);
        let acknowledged = log.members.get_mut(&user).ok_or("an ack of no member")?;
        if position > delivered || position < *acknowledged {
            return Err(format!(
                "ack {position} of {user} in {group} after {acknowledged}, delivered {delivered}"
            ));
        }
        *acknowledged = position;
        self.groups.moved.insert(group);
        Ok(())
    }

    pub(super) fn on_group_read(
        &mut self,
        id: u64,
        user: u64,
        group: u64,
        position: u64,
    ) -> Result<(), String> {
        let log = self.groups.logs.get_mut(&group).ok_or("a read of no group")?;
        let acknowledged = *log.members.get(&user).ok_or("a read of no member")?;
        let read = log.reads.entry(user).or_default();
        let is_own = log.entries.get(position as usize - 1).is_none_or(|it| it.author == user);
        if position < *read || position > acknowledged || is_own {
            return Err(format!(
                "read {position} of {user} in {group} after {read}, acknowledged {acknowledged}"
            ));
        }
        *read = position;
        self.groups.reads += 1;
        let is_hit = matches!(self.fault, Fault::ReadTooFar(every) if self.groups.reads.is_multiple_of(every));
        let position = position + u64::from(is_hit);
        self.say(id, &Frame::GroupRead { group, position });
        self.groups.moved.insert(group);
        Ok(())
    }

    /// Tells those who wrote to a group how far the others are with the last, once for all who moved.
    pub(super) fn tell_authors(&mut self) {
        for group in std::mem::take(&mut self.groups.moved) {
            if self.fault == Fault::NoReceipts {
                continue;
            }
            let log = &self.groups.logs[&group];
            let authors: BTreeSet<u64> = log.entries.iter().map(|entry| entry.author).collect();
            let receipt = |author| (author, log.receipt(group, author, self.fault));
            let told: Vec<_> = authors.into_iter().map(receipt).collect();
            for (author, receipt) in told {
                self.say_group_receipt(author, receipt);
            }
        }
    }

    fn say_group_receipt(&mut self, author: u64, receipt: GroupReceipt<'static>) {
        if self.groups.resumed.contains(&author) {
            self.say_to_user(author, &Frame::GroupReceipt(receipt));
        }
    }
}

impl Log {
    /// How far the others are with an author's newest entry.
    fn receipt(&self, group: u64, author: u64, fault: Fault) -> GroupReceipt<'static> {
        let newest = self.entries.iter().rposition(|entry| entry.author == author);
        let position = newest.map_or(0, |index| index as u64 + 1);
        let others = || self.members.iter().filter(|&(&member, _)| member != author);
        let delivered = || others().map(|(_, &acknowledged)| acknowledged);
        let read = |(member, &acknowledged): (&u64, &u64)| match fault {
            Fault::NoReadReceipts => 0,
            Fault::ReadAhead => acknowledged,
            _ => self.reads.get(member).copied().unwrap_or(0),
        };
        let read = || others().map(read);
        GroupReceipt {
            group,
            position,
            members: others().count() as u64,
            delivered: delivered().filter(|&up_to| up_to >= position).count() as u64,
            read: read().filter(|&up_to| up_to >= position).count() as u64,
            delivered_all: delivered().min().unwrap_or(0),
            read_all: read().min().unwrap_or(0),
            who: Pairs::Slice(&[]),
        }
    }
}
