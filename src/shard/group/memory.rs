//! Groups in memory: loaded when something is wanted of them, stored when they change, let go when they
//! rest.

use super::super::inbox::Stage;
use super::super::record::{COUNT_MAX, RecordError, split_entry};
use super::super::seam::{GroupId, Key, Load, Loaded, LogId, Write};
use super::super::{Effects, Retention, Shard};
use super::home::Group;
use super::letter::GroupLetter;
use super::record::GroupRecord;
use crate::limits::{GROUP_PERSIST_MS, PERSIST_PER_TURN, QUOTA_RETRY_MS, WARM_MS};

impl Shard {
    /// The slot of a group, which is asked for if it isn't in memory.
    pub(super) fn group_slot(&mut self, id: GroupId, fx: &mut Effects) -> u32 {
        let mono_ms = self.now.mono_ms;
        if let Some(&slot) = self.groups_by_id.get(&id) {
            self.groups[slot].used_ms = mono_ms;
            return slot;
        }
        if self.groups.len() >= self.config.groups_warm_max {
            self.sweep.grown.groups += 1;
        }
        let mut group = Group::loading(id, mono_ms);
        if self.group_heads.contains_key(&id) {
            self.counters.hydrations += 1;
            let expire_through_ms = self.expired_through_ms();
            fx.loads.push(Load::Log { log: LogId::Group(id), expire_through_ms });
        } else {
            // All that there are are known; this one isn't yet.
            group.stage = Stage::Ready;
        }
        let slot = self.groups.insert(group);
        self.groups_by_id.insert(id, slot);
        slot
    }

    /// Groups whose state is in memory.
    #[must_use]
    pub fn groups_warm(&self) -> u64 {
        self.groups.len() as u64
    }

    /// The slot of a group that is in memory.
    pub(super) fn loaded_group(&self, id: GroupId) -> Option<u32> {
        let &slot = self.groups_by_id.get(&id)?;
        (self.groups[slot].stage == Stage::Ready).then_some(slot)
    }

    /// Something is to enter a group, which stays as long as that waits; or it is turned down.
    pub(in super::super) fn is_entering_group(&mut self, id: GroupId, begins: bool) {
        let Some(slot) = self.loaded_group(id) else { return };
        let entering = &mut self.groups[slot].entering;
        *entering = if begins { *entering + 1 } else { entering.saturating_sub(1) };
    }

    /// A group's state has been read.
    pub(in super::super) fn group_loaded(&mut self, id: GroupId, loaded: Loaded, fx: &mut Effects) {
        let Some(&slot) = self.groups_by_id.get(&id) else { return };
        // A damaged record must not be taken for an empty one: positions would repeat.
        let record = found(loaded).unwrap_or_else(|error| panic!("group {id}: {error}"));
        let group = &mut self.groups[slot];
        if group.stage == Stage::Ready {
            group.is_looking = false;
            if record.trim > group.record.trim && record.trim <= group.durable {
                (group.record.trim, group.record.trim_bytes) = (record.trim, record.trim_bytes);
                self.mark_group_dirty(slot);
            }
            return;
        }
        (group.durable, group.stage) = (record.head, Stage::Ready);
        // What expired is deleted from storage by storage itself; what lies before it is gone already.
        group.trim_stored = record.trim;
        group.record = record;
        group.find_authors();
        for letter in std::mem::take(&mut self.groups[slot].waiting) {
            self.at_group(slot, letter, fx);
        }
    }

    /// Whether the log holds as much as it may; if so, storage is asked what has expired. Where all is kept
    /// there is no such bound: nothing would ever make room again.
    pub(super) fn is_group_full(&mut self, slot: u32, body_bytes: usize, fx: &mut Effects) -> bool {
        if self.config.retention == Retention::History {
            return false;
        }
        let (messages, bytes) = (self.config.group_quota_messages, self.config.group_quota_bytes);
        let now_ms = self.now.mono_ms;
        let expire_through_ms = self.expired_through_ms();
        let group = &mut self.groups[slot];
        let GroupRecord { trim, trim_bytes, head, head_bytes, .. } = group.record;
        let is_full =
            head - trim >= messages || head_bytes - trim_bytes + body_bytes as u64 > bytes;
        let is_due = group.looked_ms == 0 || now_ms >= group.looked_ms + QUOTA_RETRY_MS;
        if is_full && is_due && !group.is_looking {
            (group.is_looking, group.looked_ms) = (true, now_ms.max(1));
            fx.loads.push(Load::Log { log: LogId::Group(group.id), expire_through_ms });
        }
        is_full
    }

    /// Notes that a group's record must be stored before long.
    pub(super) fn mark_group_dirty(&mut self, slot: u32) {
        let group = &mut self.groups[slot];
        if !group.dirty {
            group.dirty = true;
            self.dirty_groups.push_back((self.now.mono_ms, group.id));
        }
    }

    /// Stores the records of groups that moved a while ago.
    pub(in super::super) fn store_groups(&mut self, fx: &mut Effects) {
        let delay_ms = if self.shutting_down { 0 } else { GROUP_PERSIST_MS };
        for _ in 0..self.dirty_groups.len().min(PERSIST_PER_TURN) {
            let Some(&(since_ms, id)) = self.dirty_groups.front() else { break };
            if since_ms + delay_ms > self.now.mono_ms {
                break;
            }
            self.dirty_groups.pop_front();
            let Some(slot) = self.loaded_group(id) else { continue };
            if self.groups[slot].dirty {
                self.write_group(slot, fx);
            }
        }
    }

    /// Stores a group's record with this turn's writes.
    pub(super) fn write_group(&mut self, slot: u32, fx: &mut Effects) {
        let group = &mut self.groups[slot];
        (group.dirty, group.last_ticket) = (false, self.ticket);
        group.is_await_unstored = false;
        let log = LogId::Group(group.id);
        let record = &group.record;
        let value = self.arena.value(record.bytes_max(), |block| record.encode(block));
        fx.writes.push(Write::Put { key: Key::State { log }, value });
        if record.trim > group.trim_stored {
            let (from, through) = (group.trim_stored + 1, record.trim);
            fx.writes.push(Write::Trim { log, from, through });
            group.trim_stored = through;
        }
        self.say_reads_when_stored(slot, fx);
    }

    /// Lets go of groups that rest.
    pub(in super::super) fn sweep_groups(&mut self, slots: usize, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        for _ in 0..slots.min(self.groups.slots()) {
            self.group_sweep = (self.group_sweep + 1) % self.groups.slots() as u32;
            let slot = self.group_sweep;
            let Some(group) = self.groups.get(slot) else { continue };
            let is_old = now_ms.saturating_sub(group.used_ms) >= WARM_MS;
            let is_crowded = self.groups.len() >= self.config.groups_warm_max;
            if !(is_old || is_crowded) || !group.is_unused(self.stored) {
                continue;
            }
            if group.is_await_unstored && group.is_awaited() {
                // It is let go when that is stored.
                self.write_group(slot, fx);
                continue;
            }
            let group = self.groups.remove(slot);
            self.groups_by_id.remove(&group.id);
            self.counters.evictions += 1;
            for core in group.cores {
                self.post_to_core(core, GroupLetter::Unseat { group: group.id }.into(), fx);
            }
        }
    }
}

/// A group's record as it stands: its head is the largest position that the record, the last entry or
/// storage knows, and what has expired is left out.
pub fn found(loaded: Loaded) -> Result<GroupRecord, RecordError> {
    let Loaded::Log { record, last, first, head, .. } = loaded else {
        return Err(RecordError("group"));
    };
    let mut record = record.map_or(Ok(GroupRecord::default()), |it| GroupRecord::decode(&it))?;
    if let Some((position, value)) = last
        && position > record.head
    {
        (record.head, record.head_bytes) = (position, split_entry(&value)?.0.total_bytes);
    }
    record.head = record.head.max(head);
    let (mut gone, mut gone_bytes) = (record.head, record.head_bytes);
    if let Some((position, value)) = first {
        let (header, body) = split_entry(&value)?;
        gone = position.wrapping_sub(1);
        gone_bytes = header.total_bytes - body.len() as u64;
    }
    if gone > record.head || record.head > COUNT_MAX {
        return Err(RecordError("entry.position"));
    }
    if gone_bytes > record.head_bytes {
        return Err(RecordError("entry.total_bytes"));
    }
    if gone > record.trim {
        (record.trim, record.trim_bytes) = (gone, gone_bytes);
    }
    Ok(record)
}
