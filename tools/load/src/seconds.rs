//! Durations on the command line and in reports: seconds, with a fraction.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Longest time that an option may ask for, in seconds.
const SECONDS_MAX: f64 = 86_400.0;
/// Shortest time that may be measured: the kernel counts processor time in hundredths of a second.
const MEASURED_SECONDS_MIN: f64 = 0.1;

/// A duration, 0 to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// Reads a time to be measured, which can't be arbitrarily short.
    pub fn measured(text: &str) -> Result<Seconds, String> {
        let seconds: Seconds = text.parse()?;
        if seconds.0.as_secs_f64() < MEASURED_SECONDS_MIN {
            return Err(format!("measure at least {MEASURED_SECONDS_MIN} seconds"));
        }
        Ok(seconds)
    }

    /// As a duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        match text.parse::<f64>() {
            Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
                Ok(Seconds(Duration::from_secs_f64(seconds)))
            }
            _ => Err(format!("a number of seconds from 0 to {SECONDS_MAX} is needed")),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs_f64())
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_in_their_range() {
        assert_eq!("0.25".parse(), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!("0".parse(), Ok(Seconds(Duration::ZERO)));
        for wrong in ["-1", "NaN", "inf", "86401", "", "5s"] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
        assert!(Seconds::measured("0").is_err() && Seconds::measured("0.1").is_ok());
    }
}
