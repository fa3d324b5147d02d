//! What is done to the server at the end of a round. To add a fault: a variant, its share in
//! [`Fault::draw`], and what it does in [`Campaign`](crate::campaign::Campaign).

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// A fault, with all that chance decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; the server is started again after a while.
    Kill {
        /// For how long there is no server.
        down: Duration,
    },
    /// The same, and the new process is killed too, while it recovers or soon after.
    KillTwice {
        /// For how long there is no server after each kill.
        down: Duration,
        /// When the second kill comes, after the start.
        after: Duration,
    },
}

impl Fault {
    /// Chooses a fault.
    pub fn draw(rng: &mut Rng) -> Fault {
        let down = match rng.u8(0..3) {
            0 => Duration::ZERO,
            _ => Duration::from_millis(rng.u64(1..=400)),
        };
        if rng.u8(0..5) == 0 {
            // The first milliseconds are the recovery's; later ones are the clients' return.
            let after = Duration::from_millis(rng.u64(0..=250));
            return Fault::KillTwice { down, after };
        }
        Fault::Kill { down }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill { down } => write!(f, "killed, down for {} ms", down.as_millis()),
            Fault::KillTwice { down, after } => write!(
                f,
                "killed, down for {} ms, killed again {} ms after the start",
                down.as_millis(),
                after.as_millis()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_drawn() {
        let mut rng = Rng::with_seed(1);
        let drawn: Vec<Fault> = (0..200).map(|_| Fault::draw(&mut rng)).collect();
        let twice = drawn.iter().filter(|fault| matches!(fault, Fault::KillTwice { .. })).count();
        assert!((20..80).contains(&twice), "{twice}");
    }
}
