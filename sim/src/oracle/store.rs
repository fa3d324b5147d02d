//! What devices store, and what people are shown.

use fulmar_client::store::Write;
use fulmar_client::{Event, Message, Reason, State, Target};

use super::digest::Digest;
use super::{Complaint, Oracle};

impl Oracle {
    /// A device's store committed a batch.
    pub(crate) fn stored(&mut self, user: u64, device: u16, batch: &[Write]) {
        let (id, user) = (user, self.user(user));
        for write in batch {
            let outcome = match write {
                Write::Insert(message) if message.group.is_some() => {
                    self.inserted_in_group(id, device, message)
                }
                Write::Fill(message) if message.group.is_some() => {
                    self.filled_in_group(id, device, message)
                }
                Write::Fill(message) => self.filled(user, device, message),
                Write::Group(state) => self.group_stored(id, device, state),
                Write::Insert(message) => self.inserted(user, device, message),
                Write::Cursor(cursor) => self.moved(user, device, *cursor),
                Write::Conversation(state) => {
                    let peer = self.user(state.peer);
                    if let Some(device) = self.users[user as usize].device(device) {
                        device.conversations.entry(peer).or_default().stored(state);
                    }
                    Ok(())
                }
                Write::WentBack { head } => {
                    let detail = format!("the server's head is {head}");
                    Err(Complaint("a head never goes back", detail))
                }
                Write::Rejected { number, .. } => {
                    match self.rejections.remove(&(user, device, *number)) {
                        Some(Target::Peer(peer)) => {
                            let to = self.user(peer);
                            self.given_up(user, to, (device, *number))
                        }
                        Some(Target::Group(group)) => {
                            self.given_up_in_group(group, (id, device, *number))
                        }
                        None => Ok(()),
                    }
                }
                Write::Enqueue { .. }
                | Write::Requeue { .. }
                | Write::Ticked { .. }
                | Write::Placed { .. }
                | Write::Roles { .. }
                | Write::Filled(_)
                | Write::Clocks(_)
                | Write::Item { .. }
                | Write::BookCursor(_)
                | Write::BookForgotten
                | Write::Wish { .. }
                | Write::Profile(_)
                | Write::Expires { .. }
                | Write::Expire { .. }
                | Write::GroupWentBack { .. }
                | Write::NumberLast(_) => Ok(()),
            };
            self.judge(outcome);
        }
    }

    /// A sender knows for good that its send was turned down.
    fn given_up(
        &mut self,
        from: u32,
        to: u32,
        (device, number): (u16, u64),
    ) -> Result<(), Complaint> {
        for digest in self.direction(from, to).given_up(device, number)? {
            for user in self.inboxes_of(from, to) {
                self.users[user as usize].never_gets(digest);
            }
        }
        Ok(())
    }

    fn inserted(&mut self, user: u32, device: u16, message: &Message) -> Result<(), Complaint> {
        let position = message.position.unwrap_or(0);
        let peer = self.user(message.peer);
        let state = &mut self.users[user as usize];
        let known = state.entry(position).is_some_and(|entry| {
            entry.peer == peer
                && Some(entry.ordinal) == message.ordinal
                && entry.own == (message.state == State::Sent)
                && entry.digest == Digest::of(message.content, &message.body)
        });
        if !known {
            let detail = format!("position {position} of user {}", state.id);
            return Err(Complaint("what is stored is what was delivered", detail));
        }
        state.device(device).map_or(Ok(()), |device| device.store(position))
    }

    fn moved(&mut self, user: u32, device: u16, cursor: u64) -> Result<(), Complaint> {
        let Some(device) = self.users[user as usize].device(device) else { return Ok(()) };
        if cursor < device.cursor {
            let detail = format!("from {} to {cursor}", device.cursor);
            return Err(Complaint("a cursor never goes back", detail));
        }
        device.cursor = cursor;
        Ok(())
    }

    /// A device's program was told something.
    pub(crate) fn notified(&mut self, user: u64, device: u16, event: &Event) {
        let outcome = match event {
            Event::Message(message) | Event::OwnCopy(message) => {
                let user = self.user(user);
                let position = message.position.unwrap_or(0);
                match self.users[user as usize].device(device) {
                    Some(device) => device.show(position),
                    None => Ok(()),
                }
            }
            Event::GroupMessage(message) => self.shown_of_group(user, device, message),
            Event::Disconnected {
                reason: reason @ (Reason::Violation(_) | Reason::Gap { .. }),
                ..
            } => {
                let detail = format!("device {device} of user {user}: {reason}");
                Err(Complaint("a client that keeps the rules finds them kept", detail))
            }
            Event::InboxWentBack { cursor, head } | Event::GroupWentBack { cursor, head, .. } => {
                let detail = format!("from {cursor} to {head}");
                Err(Complaint("a head never goes back", detail))
            }
            _ => Ok(()),
        };
        self.judge(outcome);
    }

    /// A device lost its store.
    pub(crate) fn lost_store(&mut self, user: u64, device: u16) {
        self.lost_groups(user, device);
        let user = self.user(user);
        if let Some(device) = self.users[user as usize].device(device) {
            device.lose_store();
        }
    }

    /// A device comes back no more.
    pub(crate) fn gone(&mut self, user: u64, device: u16) {
        let user = self.user(user);
        if let Some(device) = self.users[user as usize].device(device) {
            device.is_gone = true;
        }
    }
}
