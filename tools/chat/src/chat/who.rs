//! Who is in a group, and how far each is with its newest message: asked page by page.

use fulmar_client::{Event, Progress};
use fulmar_protocol::limits::WHO_MAX;

use super::Chat;
use crate::text;

/// Pages that are asked for at most: more than the members of any group fill.
const PAGES_MAX: usize = 512;

/// Pages with nothing new after which the answer counts as whole. A receipt that came by itself looks like such a
/// page.
const EMPTY_MAX: usize = 3;

/// A question that is being answered.
#[derive(Debug)]
pub(super) struct Asked {
    group: u64,
    position: u64,
    pages: usize,
    empty: usize,
    who: Vec<(u64, Progress)>,
}

impl Asked {
    /// Takes a page; whether it was the last one.
    fn page(&mut self, members: u64, who: &[(u64, Progress)]) -> bool {
        let last = self.after();
        let before = self.who.len();
        self.who.extend(who.iter().filter(|(user, _)| *user > last));
        self.pages += 1;
        self.empty += usize::from(self.who.len() == before);
        let is_short = !who.is_empty() && who.len() < WHO_MAX;
        self.who.len() as u64 >= members
            || is_short
            || self.empty >= EMPTY_MAX
            || self.pages >= PAGES_MAX
    }

    /// The member behind which the next page begins.
    fn after(&self) -> u64 {
        self.who.last().map_or(0, |(user, _)| *user)
    }
}

impl Chat {
    /// Asks how far the members of the open group are with its newest message; the members, for people.
    pub(crate) async fn who(&mut self) -> Result<Vec<String>, String> {
        let known = self.open_group().ok_or("no group is open; /join opens one")?;
        let group = known.group;
        let info = text::harmless_line(&String::from_utf8_lossy(&known.info));
        let members = known.members.iter().map(|(user, role)| {
            let online = if self.is_there(*user) { ", online" } else { "" };
            format!("{user}: {}{online}", role.name())
        });
        let lines = Some(info).filter(|info| !info.is_empty()).into_iter().chain(members).collect();
        let newest = self.messages.values().filter_map(|message| message.ordinal).max();
        if let Some(position) = newest {
            self.asked = Some(Asked { group, position, pages: 0, empty: 0, who: Vec::new() });
            self.client.ask_group(group, position, 0).await;
        }
        Ok(lines)
    }

    /// Takes a page of the answer, and asks for the next one; everything once it was the last.
    pub(crate) async fn answered_who(&mut self, event: &Event) -> Option<Vec<(u64, Progress)>> {
        let Event::GroupWho { group, receipt, who } = event else { return None };
        let asked = self.asked.as_mut()?;
        if (asked.group, asked.position) != (*group, receipt.position) {
            return None;
        }
        if asked.page(receipt.members, who) {
            return self.asked.take().map(|asked| asked.who);
        }
        let (position, after) = (asked.position, asked.after());
        self.client.ask_group(*group, position, after).await;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(users: std::ops::Range<u64>) -> Vec<(u64, Progress)> {
        users.map(|user| (user, Progress::Read)).collect()
    }

    fn asked() -> Asked {
        Asked { group: 30, position: 5, pages: 0, empty: 0, who: Vec::new() }
    }

    #[test]
    fn pages_are_asked_for_until_all_members_came() {
        let mut asked = asked();
        assert!(!asked.page(300, &page(1..257)));
        assert_eq!(asked.after(), 256);
        // What came by itself, or a second time, is no end.
        assert!(!asked.page(300, &[]));
        assert!(!asked.page(300, &page(1..257)));
        assert!(asked.page(300, &page(257..301)));
        assert_eq!(asked.who, page(1..301));
    }

    #[test]
    fn a_short_page_is_the_last_and_so_is_the_last_of_nothing() {
        assert!(asked().page(3, &page(1..3)), "one left meanwhile");
        assert!(asked().page(0, &[]), "nobody else is there");
        let mut asked = asked();
        assert!(!asked.page(300, &page(1..257)));
        assert!(!asked.page(300, &[]));
        assert!(!asked.page(300, &[]));
        assert!(asked.page(300, &[]), "the others are gone");
    }

    #[test]
    fn the_pages_of_a_server_without_end_have_one() {
        let mut asked = asked();
        let mut pages = 1;
        while !asked.page(u64::MAX, &page(pages * 256..pages * 256 + 256)) {
            pages += 1;
        }
        assert_eq!(pages, PAGES_MAX as u64);
    }
}
