//! What devices do besides sending messages to each other, each of which can be left out.

use clap::ValueEnum;

/// A part of what devices do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Make groups and write to them. Left out where `--groups` is 0.
    #[value(skip)]
    Groups,
    /// Edit, delete, react, mention; also what is to be refused.
    Contents,
    /// Put items into the books of their users, and take them out.
    Books,
    /// Block and unblock people, with items of the book.
    Blocks,
    /// Watch each other, type, show profiles and take usernames (the last two with books).
    People,
    /// Compare when people were last seen with the own clock. Left out where the server's jumps.
    #[value(skip)]
    LastSeen,
    /// Send messages that are over some time later. Left out where the clock jumps.
    Expiry,
    /// Ask for pages of the past, in the end.
    History,
    /// Also of the inbox, of which the server keeps all. Left out where it doesn't.
    #[value(skip)]
    WholeInbox,
}

/// What the server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retention {
    /// What some device lacks.
    Temporary,
    /// Everything.
    History,
}

/// Those that take part in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    without: Vec<Feature>,
}

impl Features {
    /// All but these.
    pub fn all_but(without: &[Feature]) -> Features {
        Features { without: without.to_vec() }
    }

    /// One less.
    pub fn leave_out(&mut self, feature: Feature) {
        self.without.push(feature);
    }

    /// Whether one takes part.
    pub fn has(&self, feature: Feature) -> bool {
        !self.without.contains(&feature)
    }
}
