//! Groups on one connection: where each continues, and what is delivered and not acknowledged.

use std::collections::{BTreeMap, VecDeque};

use super::super::Complaint;

/// The share of the window that one group may have.
const SHARE: u64 = 4;

#[derive(Debug, Default)]
struct Line {
    /// Where the client said that it goes on from, the last such place.
    resumed: Option<u64>,
    /// The next position, once one was named.
    next: Option<u64>,
    acked: u64,
    /// The user was added again, or the device asked once more for what it was told: that may come once more.
    is_renewed: bool,
    /// Delivered and not acknowledged: position and body bytes.
    in_flight: VecDeque<(u64, u64)>,
}

/// A send or a change without an answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) group: u64,
    number: u64,
    /// How far the device had the group when it wrote this.
    pub(crate) cursor: u64,
    /// Of those who would be told that they are added: up to where their inboxes were emptied.
    pub(crate) floors: Vec<(u32, u64)>,
    /// Something that was written later was ticked: this may only be refused.
    pub(crate) is_overtaken: bool,
}

/// A question what a group is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// How much of it was known then: the least that its head may be.
    pub(crate) head: u64,
    /// Members with larger numbers are asked for; it isn't known which of several questions is answered where that is
    /// missing.
    pub(crate) after: Option<u64>,
}

/// Questions what one group is.
#[derive(Debug)]
enum Looks {
    /// They are answered in their order.
    Asked(VecDeque<Look>),
    /// It was said that the group is gone, which answered one of them or none. The oldest knew this much.
    Unclear(u64),
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The client said that it takes groups.
    is_taking: bool,
    all: BTreeMap<u64, Line>,
    messages: u64,
    bytes: u64,
    /// Sends and changes without an answer, in the order in which they were written.
    unanswered: Vec<Asked>,
    /// Questions what a group is, without an answer.
    looks: BTreeMap<u64, Looks>,
}

impl Lines {
    pub(crate) fn resumes(&mut self, cursors: impl Iterator<Item = (u64, u64)>) {
        self.is_taking = true;
        for (group, cursor) in cursors {
            let line = self.all.entry(group).or_default();
            line.resumed = line.resumed.max(Some(cursor));
            line.is_renewed |= line.next.is_some_and(|next| cursor.saturating_add(1) < next);
            // What the device says that it has, it acknowledges.
            self.acks(group, cursor);
        }
    }

    /// Whether the client said that it takes groups.
    pub(crate) const fn takes(&self) -> bool {
        self.is_taking
    }

    pub(crate) fn asks(&mut self, group: u64, number: u64, cursor: u64, floors: Vec<(u32, u64)>) {
        self.unanswered.push(Asked { group, number, cursor, floors, is_overtaken: false });
    }

    /// An answer about this group, or about the creation that made it.
    pub(crate) fn answered(
        &mut self,
        group: u64,
        number: u64,
        is_tick_in_order: bool,
    ) -> Result<Asked, Complaint> {
        let is_it = |asked: &Asked, of: u64| (asked.group, asked.number) == (of, number);
        let at = |of: u64| self.unanswered.iter().position(|asked| is_it(asked, of));
        let Some(at) = at(group).or_else(|| at(0)) else {
            let detail = format!("number {number} to group {group}");
            return Err(Complaint("a send to a group is answered once", detail));
        };
        let asked = self.unanswered.remove(at);
        if is_tick_in_order && asked.is_overtaken {
            let detail = format!("number {number} to group {group}, behind a later one");
            return Err(Complaint("ticks of a group come in the order of the sends", detail));
        }
        if is_tick_in_order && asked.group > 0 {
            let earlier = self.unanswered[..at].iter_mut().filter(|it| it.group == asked.group);
            earlier.for_each(|it| it.is_overtaken = true);
        }
        Ok(asked)
    }

    /// The client asks what a group is.
    pub(crate) fn looks(&mut self, group: u64, look: Look) {
        let looks = self.looks.entry(group).or_insert_with(|| Looks::Asked(VecDeque::new()));
        if let Looks::Asked(looks) = looks {
            looks.push_back(look);
        }
    }

    /// It is told what the group is; what it asked.
    pub(crate) fn looked(&mut self, group: u64) -> Option<Look> {
        match self.looks.get_mut(&group)? {
            Looks::Asked(looks) => looks.pop_front(),
            &mut Looks::Unclear(head) => Some(Look { head, after: None }),
        }
    }

    /// It is told that there is no such group for it, whatever it asked.
    pub(crate) fn looked_in_vain(&mut self, group: u64) {
        if let Some(looks) = self.looks.get_mut(&group)
            && let Looks::Asked(asked) = looks
            && let Some(oldest) = asked.front()
        {
            *looks = Looks::Unclear(oldest.head);
        }
    }

    pub(crate) fn delivers(
        &mut self,
        group: u64,
        position: u64,
        body_bytes: u64,
        (messages_max, bytes_max): (u64, u64),
    ) -> Result<(), Complaint> {
        if !self.is_taking {
            let detail = format!("group {group}");
            return Err(Complaint("groups come to who takes them", detail));
        }
        let line = self.all.entry(group).or_default();
        let is_next = match line.next {
            Some(next) => position == next || (line.is_renewed && position < next),
            None => position <= line.resumed.unwrap_or(0).saturating_add(1),
        };
        if !is_next {
            let detail = format!("position {position} of {group}, after {line:?}");
            return Err(Complaint("positions of a group come without holes", detail));
        }
        let (share, share_bytes) = ((messages_max / SHARE).max(1), bytes_max / SHARE);
        let is_full = |messages, bytes, messages_max, bytes_max| {
            messages >= messages_max || (messages > 0 && bytes >= bytes_max)
        };
        let (of_line, bytes_of_line) =
            (line.in_flight.len() as u64, line.in_flight.iter().map(|(_, bytes)| bytes).sum());
        if is_full(self.messages, self.bytes, messages_max, bytes_max)
            || is_full(of_line, bytes_of_line, share, share_bytes)
        {
            let detail = format!(
                "{} entries of {} bytes are in flight, {of_line} of {bytes_of_line} in {group}; allowed \
                 are {messages_max}, {bytes_max}, {share} and {share_bytes}",
                self.messages, self.bytes
            );
            return Err(Complaint("the window of groups is kept", detail));
        }
        line.is_renewed &= line.next.is_none();
        line.next = Some(position + 1);
        if position > line.acked {
            line.in_flight.push_back((position, body_bytes));
            self.messages += 1;
            self.bytes += body_bytes;
        }
        Ok(())
    }

    pub(crate) fn skips(&mut self, group: u64, position: u64) -> Result<(), Complaint> {
        let line = self.all.entry(group).or_default();
        if line.next.is_some_and(|next| position < next && !line.is_renewed) {
            let detail = format!("skip of {position} in {group}, after {line:?}");
            return Err(Complaint("a skip says something new", detail));
        }
        line.is_renewed &= line.next.is_none();
        line.next = Some(position + 1);
        Ok(())
    }

    /// The user was told that it is added, or that its time is over and another one may begin.
    pub(crate) fn noticed(&mut self, group: u64) {
        self.all.entry(group).or_default().is_renewed = true;
    }

    pub(crate) fn acks(&mut self, group: u64, position: u64) {
        let line = self.all.entry(group).or_default();
        line.acked = line.acked.max(position);
        while let Some(&(oldest, bytes)) = line.in_flight.front()
            && oldest <= position
        {
            line.in_flight.pop_front();
            self.messages -= 1;
            self.bytes -= bytes;
        }
    }
}
