//! The disk of the node's machine: the journal's files and the database behind it. It outlives the node.

use fulmar::storage::journal::{self, JournalError, JournalOptions};
use fulmar::storage::{Durability, Loss, SimulatedDatabase, SimulatedDirectory};

use crate::dice::Dice;
use crate::plan::NodePlan;

/// The parts of the journal that a node runs.
pub(crate) type Parts = journal::Parts<SimulatedDirectory, SimulatedDatabase>;

/// How the process that uses the disk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// What it wrote stays.
    Killed,
    /// What it didn't sync may be gone, in parts.
    PowerCut,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) files: SimulatedDirectory,
    pub(crate) database: SimulatedDatabase,
    dice: Dice,
}

impl Disk {
    pub(crate) fn new(mut dice: Dice) -> Self {
        let files = SimulatedDirectory::new(dice.number());
        Disk { files, database: SimulatedDatabase::default(), dice }
    }

    /// Opens the journal, as the node's start does it.
    pub(crate) fn open(&self, plan: &NodePlan) -> Result<Parts, JournalError> {
        let options = JournalOptions {
            segment_bytes: plan.segment_bytes,
            segments_kept: plan.segments_kept,
            segments_max: plan.segments_kept + 2,
        };
        let is_syncing = plan.durability == Durability::Fsync;
        journal::open(self.files.clone(), options, is_syncing, self.database.clone())
    }

    /// Ends the process. Returns whether writes were lost, and whether one was torn.
    pub(crate) fn end(&mut self, end: End) -> (bool, bool) {
        let mut outcome = (false, false);
        match end {
            End::Killed => self.files.kill(),
            End::PowerCut => {
                let loss = if self.dice.percent(50) { Loss::Newest } else { Loss::Any };
                let lost = self.files.cut_power(self.dice.rng(), loss);
                outcome = (lost.writes > 0, lost.torn > 0);
            }
        }
        self.database.crash(self.dice.rng());
        outcome
    }

    /// Whether the process ended in the middle of a change, as was planned.
    pub(crate) fn has_ended(&self) -> bool {
        self.files.has_ended() || self.database.has_ended()
    }
}
