//! What of a group somebody may read, for a page of its past.

use super::super::{Effects, Shard};
use super::letter::{Asker, GroupLetter, Readable};
use super::telling::seated;

impl Shard {
    /// A session wants a page of a group: tells it what its user may read.
    pub(super) fn page_asked(&mut self, slot: u32, asker: Asker, fx: &mut Effects) {
        let group = &self.groups[slot];
        let member = group.record.find(asker.user).map(seated);
        let readable = match member {
            Some(member) => Some(Readable {
                head: group.durable,
                before: member.before.max(group.record.trim),
                until: member.until,
                absences: member.absences,
            }),
            // That it is being added isn't decided yet, but it was told of it.
            None if group.is_joining(asker.user) => Some(Readable::default()),
            None => None,
        };
        let (conn, group) = (asker.conn, group.id);
        let letter = GroupLetter::Readable { conn, group, readable };
        self.post_to_core(asker.core, letter.into(), fx);
    }
}
