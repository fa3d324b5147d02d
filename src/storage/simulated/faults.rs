//! What goes wrong in a simulated directory, and when.

use std::io;

use rustix::io::Errno;

/// What is done to a directory or to its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Making a file.
    Create,
    /// Reading from a file, opening one, listing them.
    Read,
    /// Writing to a file.
    Write,
    /// Syncing a file, also to settle it.
    Sync,
    /// Giving a file another name.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing the names.
    SyncNames,
}

impl Operation {
    /// Whether it changes what is there or what a power cut leaves of it.
    const fn is_change(self) -> bool {
        !matches!(self, Operation::Read)
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk has a defect.
    Io,
    /// The disk is full.
    NoSpace,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io => Errno::IO.into(),
            Fault::NoSpace => Errno::NOSPC.into(),
        }
    }
}

/// What was done so far, the failed included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files made.
    pub creates: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes that they were to write.
    pub written_bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of the names.
    pub name_syncs: u64,
    /// Renames and removals.
    pub renames: u64,
}

/// Faults to come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Each with the number of operations of its kind that succeed before it.
    faults: Vec<(Operation, u64, Fault)>,
    /// Changes until the process ends in the middle of one; none if it doesn't.
    changes_left: Option<u64>,
}

/// Why an operation doesn't succeed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// It is tried and fails.
    Failed(Fault),
    /// The process ends while it is done.
    Ending,
    /// There is no process any more that could do it.
    Ended,
}

impl Plan {
    pub(super) fn fail(&mut self, operation: Operation, after: u64, fault: Fault) {
        self.faults.push((operation, after, fault));
    }

    pub(super) const fn end_after(&mut self, changes: u64) {
        self.changes_left = Some(changes);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.changes_left == Some(0)
    }

    /// Notes that an operation is done; tells if it must not succeed.
    pub(super) fn note(&mut self, operation: Operation) -> Result<(), Refusal> {
        if self.has_ended() {
            return Err(Refusal::Ended);
        }
        if operation.is_change()
            && let Some(left) = &mut self.changes_left
        {
            *left -= 1;
            if *left == 0 {
                return Err(Refusal::Ending);
            }
        }
        let mut due = None;
        self.faults.retain_mut(|(kind, after, fault)| {
            let is_now = *kind == operation && *after == 0;
            if is_now {
                due = Some(*fault);
            } else if *kind == operation {
                *after -= 1;
            }
            !is_now
        });
        due.map_or(Ok(()), |fault| Err(Refusal::Failed(fault)))
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(fault) => fault.into(),
            Refusal::Ending | Refusal::Ended => io::Error::other("the simulated process has ended"),
        }
    }
}
