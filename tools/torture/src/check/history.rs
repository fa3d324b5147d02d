//! The files of a run.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::identity::Device;
use super::line::{Event, Line};

/// Why a run can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file or directory can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to check.
    #[error("{}: no history (user-*-device-*.log) is here or in {}/history", .0.display(), .0.display())]
    Nothing(PathBuf),
    /// A line is not in the format.
    #[error("{}:{number}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        /// What was wrong.
        what: String,
    },
}

/// The file of one device. It is read line by line, twice: a long run is larger than the memory.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
    device: Device,
}

impl History {
    /// The histories in a run's directory, or in its `history`, by user and device.
    pub(super) fn find(directory: &Path) -> Result<Vec<History>, CheckError> {
        let inner = directory.join("history");
        let place = if inner.is_dir() { &inner } else { directory };
        let failed = |source| CheckError::Read { path: place.to_owned(), source };
        let mut histories = Vec::new();
        for entry in fs::read_dir(place).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                histories.push(History::open(path)?);
            }
        }
        histories.sort_by_key(|history| history.device);
        if let Some(twice) = histories.windows(2).find(|pair| pair[0].device == pair[1].device) {
            let what = format!("another history is of {} too", twice[0].device);
            return Err(CheckError::Line { path: twice[1].path.clone(), number: 1, what });
        }
        if histories.is_empty() {
            return Err(CheckError::Nothing(directory.to_owned()));
        }
        Ok(histories)
    }

    fn open(path: PathBuf) -> Result<History, CheckError> {
        let unknown = Device { user: 0, device: 0 };
        let mut history = History { path, device: unknown };
        let mut first = None;
        history.lines(1, &mut |line| first = Some(line.event.clone()))?;
        match first {
            Some(Event::Begin { device }) => history.device = device,
            _ => return Err(history.error(1, "the first line must be a begin".to_owned())),
        }
        Ok(history)
    }

    /// Whose history it is.
    pub(super) const fn device(&self) -> Device {
        self.device
    }

    /// Hands over each line in its order.
    pub(super) fn read(&self, mut each: impl FnMut(&Line)) -> Result<(), CheckError> {
        self.lines(usize::MAX, &mut each)
    }

    fn lines(&self, lines_max: usize, each: &mut dyn FnMut(&Line)) -> Result<(), CheckError> {
        let failed = |source| CheckError::Read { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(failed)?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let (mut text, mut sequence) = (String::new(), 0);
        for number in 1..=lines_max {
            text.clear();
            if reader.read_line(&mut text).map_err(failed)? == 0 {
                break;
            }
            let line = text.strip_suffix('\n').ok_or("it has no end, so it may be cut".to_owned());
            let line = line.and_then(Line::parse).map_err(|what| self.error(number, what))?;
            if line.sequence <= sequence {
                let what = format!("sequence {} follows {sequence}", line.sequence);
                return Err(self.error(number, what));
            }
            sequence = line.sequence;
            each(&line);
        }
        Ok(())
    }

    fn error(&self, number: usize, what: String) -> CheckError {
        CheckError::Line { path: self.path.clone(), number, what }
    }
}
