//! Which processors a thread may use.

use std::io;
use std::ops::Range;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::Failure;

/// Where something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Where the kernel likes.
    Anywhere,
    /// On this processor, or from it on.
    Processor(usize),
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Placement, String> {
        if text == "none" {
            return Ok(Placement::Anywhere);
        }
        match text.parse() {
            Ok(number) if number < CpuSet::MAX_CPU => Ok(Placement::Processor(number)),
            _ => {
                Err(format!("a processor's number (0 to {}) or `none` is needed", CpuSet::MAX_CPU))
            }
        }
    }
}

impl Placement {
    /// The processors of `cores` threads from here on; `None` for anywhere.
    pub const fn processors(self, cores: usize) -> Option<Range<usize>> {
        match self {
            Placement::Anywhere => None,
            Placement::Processor(first) => Some(first..first + cores),
        }
    }
}

/// Keeps the calling thread, and what it starts from now on, on these processors.
///
/// Makes one system call and allocates nothing: a child calls it between fork and exec.
pub fn pin(processors: Range<usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.for_each(|processor| set.set(processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// Fails, and says what to do, where this process may not use a processor of the range that
/// `option` leads to.
pub fn check(processors: &Range<usize>, option: &str) -> Result<(), Failure> {
    let allowed = sched_getaffinity(None)
        .map_err(|error| Failure::system("reading the allowed processors")(error.into()))?;
    let is_allowed = |processor| processor < CpuSet::MAX_CPU && allowed.is_set(processor);
    let Some(missing) = processors.clone().find(|&processor| !is_allowed(processor)) else {
        return Ok(());
    };
    let list: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| is_allowed(cpu)).collect();
    Err(Failure::Options(format!(
        "{option} needs processor {missing}, but only {list:?} are there for this process; choose \
         another, or `{option} none` to leave the place to the kernel (the figures then vary)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_are_numbers_or_none() {
        assert_eq!("none".parse(), Ok(Placement::Anywhere));
        assert_eq!("3".parse(), Ok(Placement::Processor(3)));
        assert!("1024".parse::<Placement>().is_err() && "x".parse::<Placement>().is_err());
        assert_eq!(Placement::Processor(2).processors(3), Some(2..5));
    }

    #[test]
    fn a_processor_that_is_not_there_is_refused_with_advice() {
        let error = check(&(1_000..1_001), "--load-cpu").unwrap_err().to_string();
        assert!(error.contains("--load-cpu needs processor 1000"), "{error}");
        assert!(error.contains("--load-cpu none"), "{error}");
    }
}
