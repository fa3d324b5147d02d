//! Who is there, and who changes places with whom.

use crate::schedule::{Schedule, Spacing};

/// How many of those who are there are looked at for one that can leave.
const LEAVING_TRIES: usize = 8;

/// Everybody, those who are there first.
#[derive(Debug)]
pub(super) struct Churn {
    users: Vec<usize>,
    online: usize,
    /// Invariant: where each user stands in `users`.
    places: Vec<u32>,
    random: fastrand::Rng,
    schedule: Option<Schedule>,
}

impl Churn {
    /// So many of the users, drawn from all, are there.
    pub(super) fn new(users: usize, online: usize, random: &mut fastrand::Rng) -> Churn {
        let mut order: Vec<usize> = (0..users).collect();
        random.shuffle(&mut order);
        let mut places = vec![0; users];
        order.iter().enumerate().for_each(|(place, &user)| places[user] = place as u32);
        let random = fastrand::Rng::with_seed(random.u64(..));
        Churn { users: order, online: online.min(users), places, random, schedule: None }
    }

    /// From now on `rate` people leave in a second and as many come.
    pub(super) fn begin(&mut self, rate: u32, now_ns: u64, seed: u64) {
        if rate > 0 && self.online < self.users.len() {
            let rate = f64::from(rate);
            self.schedule = Some(Schedule::new(Spacing::Poisson, rate, 1, now_ns, !seed));
        }
    }

    pub(super) fn here(&self) -> &[usize] {
        &self.users[..self.online]
    }

    pub(super) fn is_here(&self, user: usize) -> bool {
        (self.places[user] as usize) < self.online
    }

    /// When the next one leaves.
    pub(super) fn next_ns(&self) -> u64 {
        self.schedule.as_ref().map_or(u64::MAX, Schedule::next_ns)
    }

    /// Somebody who leaves now and somebody who comes in its place. Only who is logged in can leave.
    pub(super) fn take_due(
        &mut self,
        now_ns: u64,
        is_ready: impl Fn(usize) -> bool,
    ) -> Option<(usize, usize)> {
        self.schedule.as_mut()?.take_due(now_ns)?;
        let mut tries = (0..LEAVING_TRIES).map(|_| self.random.usize(0..self.online));
        let place = tries.find(|&place| is_ready(self.users[place]))?;
        let other = self.random.usize(self.online..self.users.len());
        self.users.swap(place, other);
        let (coming, leaving) = (self.users[place], self.users[other]);
        (self.places[coming], self.places[leaving]) = (place as u32, other as u32);
        Some((leaving, coming))
    }

    /// The first one from this place on who is there and can write.
    pub(super) fn writer(&self, place: usize, can_write: impl Fn(usize) -> bool) -> Option<usize> {
        let (after, before) = (place..self.online, 0..place.min(self.online));
        after.chain(before).map(|place| self.users[place]).find(|&user| can_write(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_change_and_as_many_stay() {
        let mut churn = Churn::new(50, 10, &mut fastrand::Rng::with_seed(3));
        assert_eq!(churn.take_due(1, |_| true), None, "not before it begins");
        churn.begin(1_000, 0, 3);
        let mut changes = 0;
        while let Some((leaving, coming)) = churn.take_due(1_000_000_000, |_| true) {
            assert!(churn.is_here(coming) && !churn.is_here(leaving));
            changes += 1;
        }
        assert!((850..1_150).contains(&changes), "{changes}");
        assert_eq!((0..50).filter(|&user| churn.is_here(user)).count(), 10);
        assert!(churn.here().iter().all(|&user| churn.is_here(user)));
    }

    #[test]
    fn who_cannot_write_lets_the_next_one_write() {
        let churn = Churn::new(50, 10, &mut fastrand::Rng::with_seed(3));
        let last = churn.here()[9];
        assert_eq!(churn.writer(4, |user| user == last), Some(last));
        assert_eq!(churn.writer(0, |_| false), None);
    }
}
