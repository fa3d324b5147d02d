//! What a session has stored, and what it tells the program.

use fulmar_client::limits::{BACKOFF_MS_MAX, NUMBER_MAX, RETRY_AFTER_MS_MAX};
use fulmar_client::store::Write;
use fulmar_client::{Event, MessageId, Target};

use super::{Stored, Watch, check_number};

impl Watch {
    /// A batch is in the store.
    pub(in super::super) fn stored(&mut self, batch: &[Write]) {
        for write in batch {
            match write {
                Write::Insert(message) => {
                    self.take_id(message.id);
                    let position = message.position.expect("what came has a position");
                    check_number(position);
                    check_number(message.ordinal.expect("what came has an ordinal"));
                    let is_new = self.positions.insert((message.group, position));
                    assert!(is_new, "position {position} is stored twice");
                }
                Write::Enqueue { message, number } => {
                    self.take_id(message.id);
                    let (id, target) = (message.id, message.target());
                    self.bodies.insert(id, (target, message.body.to_vec()));
                    self.take_number(*number, id);
                }
                Write::Requeue { id, number } => self.take_number(*number, *id),
                Write::Ticked { number, ordinal, time_ms, .. } => {
                    check_number(*ordinal);
                    assert!(*time_ms <= NUMBER_MAX);
                    assert!(self.sends.remove(number).is_some(), "answered twice");
                }
                Write::Rejected { number, .. } => {
                    assert!(self.sends.remove(number).is_some(), "answered twice");
                }
                Write::Cursor(position) => {
                    check_number(*position);
                    assert!(*position > self.cursor, "the cursor goes forward");
                    self.cursor = *position;
                }
                Write::WentBack { head } => {
                    assert!(*head < self.cursor, "it is not further on");
                    self.cursor = *head;
                    self.went_back = self.went_back.filter(|pending| pending < head);
                    self.positions.retain(|(group, position)| group.is_some() || position <= head);
                    self.go_back(*head);
                }
                Write::GroupWentBack { group, head } => {
                    let cursor = self.group_cursors.get_mut(group).expect("a group of this device");
                    assert!(*head < *cursor, "it is not further on");
                    *cursor = *head;
                    self.positions.retain(|(of, position)| *of != Some(*group) || position <= head);
                    self.shown.retain(|(of, position)| *of != Some(*group) || position <= head);
                }
                Write::Conversation(state) => {
                    assert!(state.read <= state.delivered && state.seen_confirmed <= state.seen);
                    for number in [state.delivered, state.seen, state.in_last, state.out_last] {
                        assert!(number <= NUMBER_MAX);
                    }
                }
                Write::Placed { id, group } => {
                    let (target, _) = self.bodies.get_mut(id).expect("a message of this device");
                    assert_eq!(*target, Target::Group(0), "placed twice");
                    *target = Target::Group(*group);
                }
                Write::Group(state) => {
                    assert!(state.seen_confirmed <= state.seen);
                    for number in [state.cursor, state.own_last, state.seen, state.roles_at] {
                        assert!(number <= NUMBER_MAX);
                    }
                    let cursor = self.group_cursors.entry(state.group).or_default();
                    assert!(state.cursor >= *cursor, "the cursor goes forward");
                    *cursor = state.cursor;
                }
                Write::Roles { after, through, roles, .. } => {
                    assert!(roles.is_sorted_by(|one, other| one.0 < other.0));
                    assert!(roles.iter().all(|(user, _)| user > after && user <= through));
                }
                Write::Fill(message) => {
                    check_number(message.position.expect("what came has a position"));
                    check_number(message.ordinal.expect("what came has an ordinal"));
                    assert!(message.id.0 < 0, "it stands before what came by itself");
                }
                Write::Expires { at_ms, .. } => assert!(*at_ms <= NUMBER_MAX),
                Write::Clocks(clocks) => {
                    assert!(clocks.server_ms <= NUMBER_MAX && clocks.unix_ms <= NUMBER_MAX);
                }
                Write::Filled(from) => assert!(*from <= NUMBER_MAX),
                Write::NumberLast(number) => {
                    check_number(*number);
                    self.number_last = self.number_last.max(*number);
                }
                Write::Item { version, .. } | Write::BookCursor(version) => {
                    assert!(*version <= NUMBER_MAX);
                }
                Write::Profile(profile) => assert!(profile.version <= NUMBER_MAX),
                Write::Expire { .. } | Write::BookForgotten | Write::Wish { .. } => {}
            }
        }
    }

    /// What the server said before means nothing any more.
    fn go_back(&mut self, head: u64) {
        self.shown.retain(|(group, position)| group.is_some() || *position <= head);
        self.receipts.clear();
    }

    fn take_id(&mut self, id: MessageId) {
        assert!(id.0 > self.id_last, "message ids rise");
        self.id_last = id.0;
    }

    fn take_number(&mut self, number: u64, id: MessageId) {
        check_number(number);
        assert!(number > self.number_last, "number {number} was used before");
        self.number_last = number;
        let (target, body) = self.bodies.get(&id).expect("a message of this device").clone();
        self.sends.insert(number, Stored { id, target, body });
    }

    /// The program learnt that a send is safe.
    pub(in super::super) fn saved(&self, id: MessageId) {
        assert!(self.bodies.contains_key(&id), "saved before it is stored");
    }

    /// What the program is told.
    pub(in super::super) fn told(&mut self, event: &Event) {
        match event {
            Event::Message(message) | Event::OwnCopy(message) | Event::GroupMessage(message) => {
                let position = message.position.expect("what came has a position");
                let is_new = self.shown.insert((message.group, position));
                assert!(is_new, "position {position} is shown twice");
            }
            Event::Ticked { id, .. } | Event::GroupTicked { id, .. } => {
                assert!(self.ticked.insert(*id), "{id} is ticked twice");
            }
            Event::Rejected { id, .. } | Event::GroupRejected { id, .. } => {
                assert!(!self.ticked.contains(id), "{id} was ticked");
            }
            Event::Delivered { peer, ordinal } => {
                let delivered = &mut self.receipts.entry(*peer).or_default().0;
                assert!(*ordinal > *delivered, "delivered goes forward");
                *delivered = *ordinal;
            }
            Event::Read { peer, ordinal } => {
                let read = &mut self.receipts.entry(*peer).or_default().1;
                assert!(*ordinal > *read, "read goes forward");
                *read = *ordinal;
            }
            Event::InboxWentBack { cursor, head } => {
                assert!(head < cursor);
                self.go_back(*head);
            }
            Event::GroupWentBack { cursor, head, .. } => assert!(head < cursor),
            Event::Disconnected { retry_in_ms, .. } | Event::Refused { retry_in_ms, .. } => {
                let longest_ms = RETRY_AFTER_MS_MAX + BACKOFF_MS_MAX;
                assert!(retry_in_ms.is_none_or(|retry_ms| retry_ms <= longest_ms));
            }
            Event::Connected { .. }
            | Event::Expired
            | Event::SeenElsewhere { .. }
            | Event::AddedToGroup { .. }
            | Event::GroupGone { .. }
            | Event::GroupState { .. }
            | Event::GroupReceipt { .. }
            | Event::GroupWho { .. }
            | Event::GroupSeenElsewhere { .. }
            | Event::HistoryFilled { .. }
            | Event::Presence { .. }
            | Event::Typing { .. }
            | Event::Item { .. }
            | Event::PutRejected { .. }
            | Event::BookComplete
            | Event::Profile(_)
            | Event::Found { .. }
            | Event::StoreFailed { .. } => {}
        }
    }
}
