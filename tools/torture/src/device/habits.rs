//! What a device does by itself: how it writes, and how it makes life hard for the server.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use fastrand::Rng;
use fulmar_protocol::limits::{BODY_BYTES_MAX, PART_BYTES_MAX};

use super::body::BYTES_MIN;

/// A character, dealt out in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Character {
    /// Writes now and then.
    Steady,
    /// Writes much at once.
    Bursting,
    /// Writes long texts.
    Lengthy,
    /// Leaves and comes back.
    Restless,
    /// Stops reading its socket.
    Slow,
    /// Logs in while it is logged in.
    Doubled,
}

const CHARACTERS: [Character; 6] = [
    Character::Steady,
    Character::Bursting,
    Character::Restless,
    Character::Lengthy,
    Character::Slow,
    Character::Doubled,
];

/// Something out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whim {
    /// Goes offline for so long, properly.
    Leave(Duration),
    /// The same, with a reset of the connection.
    Break(Duration),
    /// Doesn't read for so long.
    Stall(Duration),
    /// Opens another connection for the same device.
    TakeOver,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Habits {
    character: Character,
    rng: Rng,
    writes_at: Instant,
    whim_at: Instant,
    /// Messages that are left of a burst.
    burst: u32,
}

impl Habits {
    /// The habits of the `index`-th device of a run.
    pub(super) fn new(index: usize, seed: u64, now: Instant) -> Habits {
        let character = CHARACTERS[index % CHARACTERS.len()];
        let rng = Rng::with_seed(seed);
        let mut habits = Habits { character, rng, writes_at: now, whim_at: now, burst: 0 };
        habits.writes_at = now + habits.millis(0..=50);
        habits.whim_at = now + habits.whim_pause();
        habits
    }

    /// Most messages without an answer.
    pub(super) fn window(&self) -> usize {
        match self.character {
            // More than a server lets a connection have: the rest waits in the outbox.
            Character::Bursting => 200,
            Character::Lengthy => 4,
            _ => 16,
        }
    }

    /// Whether a message is to be written now.
    pub(super) fn writes(&mut self, now: Instant) -> bool {
        if self.burst == 0 {
            if now < self.writes_at {
                return false;
            }
            self.burst = self.rng.u32(match self.character {
                Character::Bursting => 20..=120,
                Character::Lengthy => 1..=1,
                _ => 1..=3,
            });
        }
        self.burst -= 1;
        if self.burst == 0 {
            self.writes_at = now + self.writing_pause();
        }
        true
    }

    /// No more may be written now: the next burst comes after a pause.
    pub(super) fn window_is_full(&mut self, now: Instant) {
        self.burst = 0;
        self.writes_at = self.writes_at.max(now + self.writing_pause());
    }

    fn writing_pause(&mut self) -> Duration {
        self.millis(match self.character {
            Character::Bursting => 200..=900,
            Character::Lengthy => 30..=250,
            _ => 5..=60,
        })
    }

    /// When the next message is due.
    pub(super) const fn writes_at(&self) -> Instant {
        self.writes_at
    }

    /// Length of the next body, in bytes.
    pub(super) fn body_bytes(&mut self) -> usize {
        let large_share = if self.character == Character::Lengthy { 40 } else { 1 };
        match self.rng.u32(0..400) {
            share if share < large_share => self.large_body_bytes(),
            share if share < 60 => self.rng.usize(BYTES_MIN..8_000),
            _ => self.rng.usize(BYTES_MIN..300),
        }
    }

    fn large_body_bytes(&mut self) -> usize {
        match self.rng.u8(0..8) {
            // The lengths at which something changes.
            0 => PART_BYTES_MAX,
            1 => PART_BYTES_MAX + 1,
            2 => BODY_BYTES_MAX,
            _ => self.rng.usize(PART_BYTES_MAX..150_000),
        }
    }

    /// Which of `count` things.
    pub(super) fn choose(&mut self, count: usize) -> usize {
        self.rng.usize(0..count.max(1))
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub(super) fn happens(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    /// Something between nothing and all of a time.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }

    /// What comes over the device now.
    pub(super) fn whim(&mut self, now: Instant) -> Option<Whim> {
        if now < self.whim_at {
            return None;
        }
        self.whim_at = now + self.whim_pause();
        let offline = self.millis(50..=1_500);
        Some(match self.character {
            Character::Slow => Whim::Stall(self.millis(200..=1_200)),
            Character::Doubled => Whim::TakeOver,
            Character::Restless if self.rng.bool() => Whim::Leave(offline),
            _ => Whim::Break(offline),
        })
    }

    fn whim_pause(&mut self) -> Duration {
        match self.character {
            Character::Steady | Character::Bursting | Character::Lengthy => {
                self.millis(2_000..=15_000)
            }
            Character::Restless | Character::Slow | Character::Doubled => self.millis(150..=1_500),
        }
    }

    fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same() {
        let now = Instant::now();
        let lengths = |seed| {
            let mut habits = Habits::new(3, seed, now);
            (0..50).map(|_| habits.body_bytes()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(1), lengths(1));
        assert_ne!(lengths(1), lengths(2));
    }

    #[test]
    fn bodies_stay_within_the_limits_and_reach_them() {
        let mut habits = Habits::new(3, 1, Instant::now());
        let lengths: Vec<_> = (0..20_000).map(|_| habits.body_bytes()).collect();
        assert_eq!(lengths.iter().max(), Some(&BODY_BYTES_MAX));
        assert!(lengths.iter().all(|&bytes| bytes >= BYTES_MIN));
        assert!(lengths.contains(&PART_BYTES_MAX) && lengths.contains(&(PART_BYTES_MAX + 1)));
    }

    #[test]
    fn writing_goes_on_in_time() {
        for index in 0..CHARACTERS.len() {
            let begin = Instant::now();
            let mut habits = Habits::new(index, 7, begin);
            let at = |ms| begin + Duration::from_millis(ms);
            let written = (0..10_000).filter(|&ms| habits.writes(at(ms))).count();
            assert!((30..5_000).contains(&written), "{written} by {:?}", habits.character);
        }
    }
}
