//! The limit of open descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::limits::DESCRIPTORS_SPARE;

/// Raises this process's limit of open descriptors to the hard limit, and fails with what to do
/// where that isn't enough for `connections`. A server that is started afterwards inherits it.
pub fn provide(connections: usize) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| Failure::system("raising the descriptor limit")(error.into()))?;
    check(connections as u64, limit.maximum)
}

/// `None` as the limit means that there is none.
fn check(connections: u64, limit: Option<u64>) -> Result<(), Failure> {
    let needed = connections + DESCRIPTORS_SPARE;
    match limit {
        Some(limit) if limit < needed => Err(Failure::Options(format!(
            "{connections} connections need {needed} open files, but the hard limit is {limit}: \
             open at most {}, or raise the limit as root: `prlimit --pid $$ --nofile={needed}` in \
             this shell, or LimitNOFILE={needed} in a systemd unit",
            limit.saturating_sub(DESCRIPTORS_SPARE)
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_low_a_limit_is_refused_with_what_to_do() {
        assert!(check(100, Some(100 + DESCRIPTORS_SPARE)).is_ok());
        assert!(check(1 << 40, None).is_ok());
        let error = check(18_000, Some(4_096)).unwrap_err().to_string();
        assert!(error.contains("the hard limit is 4096: open at most 4032"), "{error}");
        assert!(error.contains("--nofile=18064"), "{error}");
    }
}
