//! Why a run came to no verdict. Broken promises are in [`Tally`](crate::check::Tally).

use std::io;

use crate::check::CheckError;
use crate::report::Named;

/// Why there is no verdict. Each says what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Options that don't fit together.
    #[error("{0}")]
    Options(String),
    /// None of the faults that were asked for can be made here; with the reasons.
    #[error("none of these faults can be made here")]
    Skipped(Named<String>),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; nothing was judged")]
    Interrupted,
    /// There is no such server to run.
    #[error("{0}")]
    Program(String),
    /// The server did not become ready, or keeps ending. What it left behind is kept.
    #[error("{0}")]
    Server(String),
    /// A device's thread panicked.
    #[error("a device panicked; what it said is above")]
    Panic,
    /// The histories can't be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The system refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Failure {
    /// Wraps what the system said with what was being done.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let doing = doing.into();
        move |source| Failure::System { doing, source }
    }
}
