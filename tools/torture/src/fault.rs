//! The kinds of faults, and which of them a round gets. To add one: a variant, its line in
//! [`Kind::ALL`], a round in [`Campaign`](crate::campaign::Campaign), a section in docs/torture.md.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// What is done to the server, its disk or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SIGKILL under load.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    Stop,
    /// No room on the file system.
    FullDisk,
    /// Writes and syncs that fail or stop half-way.
    FsyncError,
    /// A power cut: what wasn't synced is gone. And holes in what was.
    TornTail,
    /// Changed, cut and missing files.
    Corrupt,
    /// A wall clock that jumps.
    Clock,
    /// No descriptor for another connection.
    Descriptors,
    /// No memory for what arrives.
    Buffers,
    /// A network that loses, delays, repeats, reorders and cuts.
    Network,
}

impl Kind {
    /// All kinds, in the order of reports.
    pub const ALL: [Kind; 10] = [
        Kind::Kill,
        Kind::Stop,
        Kind::FullDisk,
        Kind::FsyncError,
        Kind::TornTail,
        Kind::Corrupt,
        Kind::Clock,
        Kind::Descriptors,
        Kind::Buffers,
        Kind::Network,
    ];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Stop => "stop",
            Kind::FullDisk => "full-disk",
            Kind::FsyncError => "fsync-error",
            Kind::TornTail => "torn-tail",
            Kind::Corrupt => "corrupt",
            Kind::Clock => "clock",
            Kind::Descriptors => "descriptors",
            Kind::Buffers => "buffers",
            Kind::Network => "network",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            format!("must be one of {}", names.join(", "))
        })
    }
}

/// Deals the kinds out to rounds: shuffled, each as often as the others.
#[derive(Debug)]
pub struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    /// A deck of these kinds, at least one.
    pub fn new(kinds: &[Kind]) -> Deck {
        assert!(!kinds.is_empty(), "a round has a fault");
        Deck { kinds: kinds.to_vec(), left: Vec::new() }
    }

    /// The kind of the next round.
    pub fn deal(&mut self, rng: &mut Rng) -> Kind {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            rng.shuffle(&mut self.left);
        }
        self.left.pop().unwrap_or(self.kinds[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "fire".parse::<Kind>().unwrap_err();
        assert!(error.contains("kill, stop, full-disk"), "{error}");
    }

    #[test]
    fn every_kind_is_dealt_equally_often() {
        let (mut deck, mut rng) = (Deck::new(&Kind::ALL), Rng::with_seed(1));
        let dealt: Vec<Kind> = (0..30).map(|_| deck.deal(&mut rng)).collect();
        for kind in Kind::ALL {
            assert_eq!(dealt.iter().filter(|&&found| found == kind).count(), 3, "{kind}");
        }
    }
}
