//! How far the drain is behind: what the committer and the drain tell each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::JournalOptions;
use super::error::JournalError;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
    /// Full segments that stay in the log.
    kept: usize,
    /// Full segments above which a commit waits.
    max: usize,
}

#[derive(Debug)]
struct State {
    /// Full segments in the log.
    full: usize,
    drain: DrainState,
}

/// Running → stopping → failed, where a step may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DrainState {
    Running,
    /// It was told to end: it won't make room any more, and the disk may have some.
    Stopping,
    /// Nothing more may be committed.
    Failed,
}

impl Backlog {
    pub(super) fn new(full: usize, options: &JournalOptions) -> Self {
        let state = State { full, drain: DrainState::Running };
        let (kept, max) = (options.segments_kept, options.segments_max);
        Backlog { state: Mutex::new(state), changed: Condvar::new(), kept, max }
    }

    // A thread that panics takes the process with it, so a poisoned lock is never seen in earnest.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that one more segment is full, and waits until that is not too many.
    pub(super) fn add(&self) -> Result<(), JournalError> {
        let mut state = self.state();
        state.full += 1;
        self.changed.notify_all();
        while state.is_too_long(self.max) {
            state = self.wait(state);
        }
        if state.drain == DrainState::Failed { Err(JournalError::DrainFailed) } else { Ok(()) }
    }

    /// Whether one more full segment would be too many.
    pub(super) fn would_wait(&self) -> bool {
        let state = self.state();
        State { full: state.full + 1, ..*state }.is_too_long(self.max)
    }

    /// Whether there is a segment to drain.
    pub(super) fn is_due(&self) -> bool {
        self.state().full > self.kept
    }

    /// Waits for a segment to drain; `false` if the drain is to end.
    pub(super) fn wait_until_due(&self) -> bool {
        let mut state = self.state();
        while state.drain == DrainState::Running && state.full <= self.kept {
            state = self.wait(state);
        }
        state.drain == DrainState::Running
    }

    /// Notes that one less segment is full.
    pub(super) fn remove(&self) {
        self.state().full -= 1;
        self.changed.notify_all();
    }

    /// Tells the drain to end.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        if state.drain == DrainState::Running {
            state.drain = DrainState::Stopping;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that the drain has failed.
    pub(super) fn fail(&self) {
        self.state().drain = DrainState::Failed;
        self.changed.notify_all();
    }
}

impl State {
    /// Whether a commit has to wait for the drain.
    fn is_too_long(&self, max: usize) -> bool {
        self.full > max && self.drain == DrainState::Running
    }
}
