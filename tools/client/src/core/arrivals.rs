//! From what arrived to what is stored and told.

use std::collections::BTreeMap;

use fulmar_protocol::group::GroupNotice;

use super::intake::{Arrival, Entry};
use super::ledger::Effect;
use super::log::LogId;
use super::session::Session;
use crate::event::Event;
use crate::group::GroupChange;
use crate::limits::NUMBER_MAX;
use crate::message::{Message, State, Target, content};
use crate::refer::Changes;
use crate::store::Write;

impl Session {
    /// Gives what arrived whole to the store, and with it what may follow once it is durable.
    pub(super) fn hand_on_arrivals(&mut self) {
        let mut reached: BTreeMap<LogId, u64> = BTreeMap::new();
        while let Some((log, entry)) = self.intake.next_ready() {
            self.note_beginning(log, &entry);
            let position = match (log, entry) {
                (LogId::Group(group), Entry::Skip(position)) => {
                    self.goes_on(group);
                    position
                }
                (_, Entry::Skip(position)) | (LogId::Inbox, Entry::Gone(position)) => position,
                (LogId::Inbox, Entry::Arrival(arrival)) => self.take_message(arrival),
                (LogId::Group(group), Entry::Arrival(arrival)) => self.take_entry(group, arrival),
                (_, Entry::Notice(notice)) => self.take_notice(&notice),
                (LogId::Group(group), Entry::Gone(position)) => {
                    if self.groups.gone(group) {
                        self.ledger.then(Effect::Notify(Event::GroupGone { group, position }));
                    }
                    position
                }
            };
            let reached = reached.entry(log).or_default();
            *reached = position.max(*reached);
        }
        for (log, position) in reached {
            match log {
                LogId::Inbox => self.ledger.write(Write::Cursor(position)),
                LogId::Group(group) => {
                    let state = self.groups.state(group);
                    state.cursor = state.cursor.max(position);
                    self.write_group(group);
                }
            }
            self.ledger.then(Effect::Log { log, position });
        }
    }

    /// A message of the inbox; its position.
    fn take_message(&mut self, arrival: Arrival) -> u64 {
        let (peer, ordinal, position) = (arrival.peer, arrival.ordinal, arrival.position);
        let message = self.keep(None, arrival);
        let id = message.id;
        let event = if message.state.is_own() {
            self.conversations.wrote(peer, id);
            self.conversations.sent(peer, ordinal);
            self.asks.ask(Target::Peer(peer));
            Event::OwnCopy(message)
        } else {
            self.conversations.received(peer, ordinal, id);
            Event::Message(message)
        };
        self.write_conversation(peer);
        self.ledger.then(Effect::Notify(event));
        position
    }

    /// An entry of a group comes, or one is passed over: that is told to members only, whatever was said before.
    /// Of a group that goes on after a while, or that this device didn't know, it asks who is in it, and what became
    /// of what its user wrote there.
    fn goes_on(&mut self, group: u64) {
        if self.groups.is_member_again(group) {
            self.groups.look(group);
        }
        if self.groups.take_rejoined(group) && self.groups.is_unread(group) {
            self.asks.ask_once(Target::Group(group));
        }
    }

    /// An entry of a group; its position.
    fn take_entry(&mut self, group: u64, arrival: Arrival) -> u64 {
        let position = arrival.position;
        self.goes_on(group);
        let message = self.keep(Some(group), arrival);
        self.groups.met(group, message.id);
        if message.state.is_own() {
            self.groups.sent(group, position);
            self.asks.ask(Target::Group(group));
        }
        if message.content == content::CHANGE
            && let Some(change) = GroupChange::of_body(&message.body)
        {
            let writes = self.groups.changed(group, position, message.peer, &change);
            self.ledger.write_all(writes);
        }
        self.ledger.then(Effect::Notify(Event::GroupMessage(message)));
        position
    }

    /// The user was added to a group. It is resumed even if it was added during this connection: the server
    /// may have come to that before it came to this connection's first resumption, and then nothing would
    /// come by itself.
    fn take_notice(&mut self, notice: &GroupNotice) -> u64 {
        let &GroupNotice { position, group, by, .. } = notice;
        if !self.intake.group(group).is_fed {
            self.groups.resume(group);
        }
        // The notice comes before the user is a member, so who else is one is asked for with the first
        // entry.
        self.groups.added(group);
        self.write_group(group);
        let time_ms = notice.time_ms.min(NUMBER_MAX);
        self.ledger.then(Effect::Notify(Event::AddedToGroup { group, by, time_ms }));
        position
    }

    fn keep(&mut self, group: Option<u64>, arrival: Arrival) -> Message {
        let message = Message {
            id: self.next_id(),
            group,
            peer: arrival.peer,
            state: if arrival.own { State::Sent } else { State::Received },
            ordinal: Some(arrival.ordinal),
            position: Some(arrival.position),
            time_ms: arrival.time_ms,
            content: arrival.content,
            body: arrival.body,
            changes: Changes::default(),
        };
        let message = self.with_expiry(message);
        self.heed_timer(&message);
        self.ledger.write(Write::Insert(message.clone()));
        message
    }
}
