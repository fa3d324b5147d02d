//! What was said of groups, and whether what is told of them follows.

use fulmar::shard::{DeviceId, GroupId, UserId};
use fulmar_protocol::group::{GroupDeliver, GroupReceipt, GroupState};

use bytes::Bytes;

use super::Facts;

impl Facts {
    /// A client said a whole send or change.
    pub(in super::super) fn offer_in(
        &mut self,
        (user, device): (UserId, DeviceId),
        group: GroupId,
        number: u64,
        (content, body): (u8, &[u8]),
    ) {
        let bodies = self.offered_in.entry((user, device, group, number)).or_default();
        if !bodies.iter().any(|(kind, known)| *kind == content && known == body) {
            bodies.push((content, Bytes::copy_from_slice(body)));
        }
    }

    /// A device said that it has a group up to `position`.
    pub(in super::super) fn acknowledge_in(
        &mut self,
        group: GroupId,
        (user, device): (UserId, DeviceId),
        position: u64,
    ) {
        self.known.say(group, user, position, 0);
        let position = position.min(self.ledger.groups.head(group));
        let acked = self.acked_in.entry((user, device, group)).or_default();
        *acked = position.max(*acked);
    }

    /// How far a device has a group, by its own words.
    pub(in super::super) fn acked_in(
        &self,
        (user, device): (UserId, DeviceId),
        group: GroupId,
    ) -> u64 {
        self.acked_in.get(&(user, device, group)).copied().unwrap_or(0)
    }

    /// A tick speaks of a stored entry that this device offered under this number; the positions of a device
    /// rise with its numbers.
    pub(in super::super) fn check_group_tick(
        &mut self,
        (user, device): (UserId, DeviceId),
        group: GroupId,
        number: u64,
        position: u64,
    ) {
        let groups = &self.ledger.groups;
        let entry = groups.entry_at(group, position).expect("what is ticked is stored");
        let header = entry.header;
        assert_eq!((header.peer, header.device), (user, device), "somebody else's entry");
        // One that made the group was offered to none.
        let of = if position == 1 { 0 } else { group };
        let offered = self.offered_in.get(&(user, device, of, number)).expect("it was offered");
        let mut alike = offered
            .iter()
            .filter(|(content, body)| (*content, body) == (header.content, &entry.body));
        assert!(alike.next().is_some(), "another body under number {number}");
        if position == 1 {
            let made_by = groups.record_of(group).map(|record| record.made_by);
            assert_eq!(made_by, Some((user, device, number)));
            return;
        }
        let ticks = self.ticks_in.entry((user, device, group)).or_default();
        let before = ticks.range(..number).next_back();
        let after = ticks.range(number + 1..).next();
        assert!(before.is_none_or(|(_, before)| *before < position), "{number} has {position}");
        assert!(after.is_none_or(|(_, after)| *after > position), "{number} has {position}");
        let first = *ticks.entry(number).or_insert(position);
        assert_eq!(first, position, "number {number} has two positions in {group}");
    }

    /// What is delivered is stored, for this user, and not from this device.
    pub(in super::super) fn check_group_header(
        &self,
        (user, device): (UserId, DeviceId),
        deliver: &GroupDeliver<'_>,
    ) {
        let GroupDeliver { group, position, .. } = *deliver;
        let groups = &self.ledger.groups;
        let header = groups.entry_at(group, position).expect("what is delivered is stored").header;
        assert_eq!(
            (deliver.author, deliver.time_ms, deliver.content, deliver.own),
            (header.peer, header.time_ms, header.content, header.peer == user)
        );
        let is_echo = (header.peer, header.device) == (user, device);
        assert!(!is_echo, "a device gets nothing of what it sent");
        assert!(groups.may_read(group, user, position), "{position} of {group} isn't for {user}");
    }

    pub(in super::super) fn check_group_entry(
        &self,
        _: (UserId, DeviceId),
        deliver: &GroupDeliver<'_>,
        body: &[u8],
    ) {
        let entry = self.ledger.groups.entry_at(deliver.group, deliver.position);
        assert_eq!(entry.expect("it is stored").body, body);
    }

    /// That a user read something is told once it is stored, which it is only if the user said so.
    pub(in super::super) fn check_group_read(
        &self,
        (user, _): (UserId, DeviceId),
        group: GroupId,
        position: u64,
    ) {
        let is_stored = self.ledger.groups.read_by(group, user) >= position;
        assert!(is_stored, "that {user} read {position} of {group} isn't stored");
    }

    /// A receipt counts no more than who said so, or wrote that entry.
    pub(in super::super) fn check_group_receipt(&self, asker: UserId, receipt: &GroupReceipt<'_>) {
        let &GroupReceipt { group, position, members, delivered, read, .. } = receipt;
        let groups = &self.ledger.groups;
        assert!(read <= delivered && delivered <= members, "{receipt:?}");
        let head = groups.head(group);
        // Of nobody everything is true, also of what isn't stored yet.
        let is_stored = receipt.delivered_all <= head && receipt.read_all <= head;
        assert!(is_stored || members == 0, "{receipt:?}");
        let others =
            self.known.said.iter().filter(|((of, user), _)| *of == group && *user != asker);
        let read_max = others.clone().filter(|(_, said)| said.read >= position).count() as u64;
        assert!(read <= read_max, "{receipt:?}, where {read_max} said so");
        let delivered_max = others.filter(|(_, said)| said.delivered >= position).count() as u64;
        // Its author may have said nothing, and may ask about somebody else's.
        let author =
            u64::from(groups.entry_at(group, position).is_none_or(|it| it.header.peer != asker));
        assert!(delivered <= delivered_max + author, "{receipt:?}, where {delivered_max} said so");
        let who = receipt.who.iter().filter(|(_, state)| *state > 0).count() as u64;
        assert!(who <= delivered, "{receipt:?}");
    }

    /// A group is told as it was at some time.
    pub(in super::super) fn check_group_state(&self, state: &GroupState<'_>) {
        let groups = &self.ledger.groups;
        assert!(state.head <= groups.head(state.group));
        let roles = || state.roles.iter();
        let was = groups.was(state.group, |record| {
            record.name == state.name
                && record.info == state.info
                && record.shows_history == state.shows_history
                && record.members_count() as u64 == state.members
                && roles().all(|(user, role)| {
                    record.active(user).is_some_and(|member| member.role as u64 == role)
                })
        });
        assert!(was, "it never was {state:?}");
    }
}
