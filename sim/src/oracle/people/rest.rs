//! What people are still owed to be told of others, once everything is at rest.

use fulmar_client::people::privacy;

use super::super::Oracle;
use super::super::link::{Link, Stage};
use super::presence::Watch;
use crate::network::ConnNo;

/// Open points that are told at most.
const TOLD_MAX: usize = 8;

impl Oracle {
    /// Questions without an answer, and watchers who weren't told what holds.
    pub(crate) fn missing_of_people(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let is_open = |link: &Link| link.stage == Stage::Open && link.is_good;
        let mut links: Vec<(ConnNo, &Link)> = self
            .links
            .iter()
            .filter(|(_, link)| is_open(link))
            .map(|(&conn, link)| (conn, link))
            .collect();
        links.sort_unstable_by_key(|&(conn, _)| conn);
        for (conn, link) in links {
            let looks = link.people.looks.values().filter(|looks| !looks.is_empty()).count();
            if looks + link.people.finds.len() > 0 {
                missing.push(format!("questions about people are not answered on {conn}"));
            }
            for (&user, watch) in link.people.watches.iter().filter(|(_, watch)| watch.is_on()) {
                missing.extend(self.missing_of_watch(link, user, watch));
            }
            if missing.len() >= TOLD_MAX {
                break;
            }
        }
        missing.truncate(TOLD_MAX);
        missing
    }

    fn missing_of_watch(&self, link: &Link, user: u64, watch: &Watch) -> Option<String> {
        let id = self.id_of(link);
        let Some((is_online, last_seen_ms)) = watch.told else {
            return Some(format!("{id} was told nothing of {user}"));
        };
        let person = *self.users_by_id.get(&user)?;
        let acts = self.people.acts.get(&person);
        let is_here = acts.map_or(Some(false), |acts| acts.is_here(self.now, link.people.interval));
        let Some(is_here) = is_here else {
            return Some(format!("one doesn't know whether {user} is there"));
        };
        let shows = |what: u8| self.surely_shows(person, what, link.user, self.now);
        let due = match shows(privacy::ONLINE) {
            Some(shows) => Some(shows && is_here),
            None => (!is_here).then_some(false),
        };
        if due.is_some_and(|due| due != is_online) {
            return Some(format!("{id} was told {watch:?} of {user}, who is there: {is_here}"));
        }
        let shows_last_seen = shows(privacy::LAST_SEEN);
        let floor = acts.map_or(0, |acts| acts.floor(self.now, &self.clock));
        let is_hidden = shows_last_seen == Some(false);
        let is_behind = !is_here && shows_last_seen == Some(true) && last_seen_ms < floor;
        if (is_hidden && last_seen_ms > 0) || is_behind {
            return Some(format!(
                "{id} was told {watch:?} of {user}, seen at {floor}, hidden: {is_hidden}"
            ));
        }
        let version = self.people.profiles.newest(person);
        let is_shown = self.surely_shows_profile(person, link.user, self.now) == Some(true);
        if is_shown && watch.news < version {
            return Some(format!("{id} was told {watch:?} of {user}, at version {version}"));
        }
        None
    }
}
