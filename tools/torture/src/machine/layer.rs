//! The layer between the server and libc (layer/layer.c): compiled, commanded, and its log read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its source.
const SOURCE: &str = include_str!("../../layer/layer.c");

/// Places in the control file, as in the source.
const CLOCK_OFFSET_NS: u64 = 0;
const COUNTDOWN: u64 = 1;
const OPERATIONS: u64 = 2;
const ACTION: u64 = 3;
const TORN_BYTES: u64 = 4;
const PLACES: u64 = 5;

/// What the server does with its files when a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// fsync or fdatasync.
    Sync,
    /// write or pwrite.
    Write,
    /// rename.
    Rename,
    /// unlink.
    Remove,
}

impl Operation {
    const fn bit(self) -> i64 {
        match self {
            Operation::Sync => 1,
            Operation::Write => 2,
            Operation::Rename => 4,
            Operation::Remove => 8,
        }
    }
}

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The operation fails with EIO and has no effect.
    Fail,
    /// The process is killed before it.
    Kill,
    /// Of a write only so many bytes are written, then the process is killed.
    Tear(u64),
}

/// A planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    /// Which operations count.
    pub operation: Operation,
    /// At which of them it strikes, from 1.
    pub nth: u64,
    /// What happens.
    pub strike: Strike,
}

/// What is known about the last write to a file that was synced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Where it began, in bytes.
    pub begin: u64,
    /// Where it ended. A file that is written from front to back is safe up to here.
    pub end: u64,
}

/// See the module's description.
#[derive(Debug)]
pub struct Layer {
    library: PathBuf,
    control_path: PathBuf,
    log_path: PathBuf,
    control: File,
    log: File,
    /// Of the log, what wasn't a whole line yet.
    unread: Vec<u8>,
    synced: HashMap<u64, Synced>,
    fired: Vec<String>,
}

impl Layer {
    /// Compiles the layer into a directory. An error is a sentence that says what is missing.
    pub fn build(directory: &Path) -> Result<Layer, String> {
        fs::create_dir_all(directory).map_err(|error| format!("no directory for it: {error}"))?;
        let (source, library) = (directory.join("layer.c"), directory.join("layer.so"));
        fs::write(&source, SOURCE).map_err(|error| format!("it can't be written: {error}"))?;
        let compiled = Command::new("cc")
            .args(["-std=gnu17", "-O2", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .output()
            .map_err(|error| format!("it has to be compiled, and cc can't be run: {error}"))?;
        if !compiled.status.success() {
            let said = String::from_utf8_lossy(&compiled.stderr);
            return Err(format!("cc can't compile it: {}", said.trim()));
        }
        Layer::open(directory, library).map_err(|error| format!("its files can't be made: {error}"))
    }

    fn open(directory: &Path, library: PathBuf) -> io::Result<Layer> {
        let (control_path, log_path) = (directory.join("control"), directory.join("log"));
        fs::write(&control_path, [0; PLACES as usize * 8])?;
        fs::write(&log_path, "")?;
        let control = File::options().read(true).write(true).open(&control_path)?;
        let log = File::open(&log_path)?;
        let (unread, synced, fired) = (Vec::new(), HashMap::new(), Vec::new());
        Ok(Layer { library, control_path, log_path, control, log, unread, synced, fired })
    }

    /// The environment in which a server with this data directory runs on the layer.
    pub fn environment(&self, data: &Path) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("TORTURE_LAYER_CONTROL", self.control_path.clone()),
            ("TORTURE_LAYER_LOG", self.log_path.clone()),
            ("TORTURE_LAYER_DATA", data.to_owned()),
        ]
    }

    /// Sets by how much the server's wall clock is wrong.
    pub fn set_clock_offset_ms(&self, offset_ms: i64) -> io::Result<()> {
        self.set(CLOCK_OFFSET_NS, offset_ms.saturating_mul(1_000_000))
    }

    /// Sets a trap, in place of any earlier one.
    pub fn set_trap(&self, trap: &Trap) -> io::Result<()> {
        self.disarm()?;
        let (action, torn_bytes) = match trap.strike {
            Strike::Fail => (1, 0),
            Strike::Kill => (2, 0),
            Strike::Tear(bytes) => (3, bytes),
        };
        self.set(ACTION, action)?;
        self.set(TORN_BYTES, torn_bytes.cast_signed())?;
        self.set(OPERATIONS, trap.operation.bit())?;
        // Last, since it arms the trap.
        self.set(COUNTDOWN, trap.nth.max(1).cast_signed())
    }

    /// Removes the trap, if one is set.
    pub fn disarm(&self) -> io::Result<()> {
        self.set(COUNTDOWN, 0)
    }

    fn set(&self, place: u64, value: i64) -> io::Result<()> {
        self.control.write_all_at(&value.to_ne_bytes(), place * 8)
    }

    /// Where the trap struck since this was asked last: operation and path, for a rename both paths.
    pub fn take_fired(&mut self) -> io::Result<Vec<String>> {
        self.read_log()?;
        Ok(std::mem::take(&mut self.fired))
    }

    /// What is known of the file with this inode; `None` if the layer never saw it.
    pub fn synced(&mut self, inode: u64) -> io::Result<Option<Synced>> {
        self.read_log()?;
        Ok(self.synced.get(&inode).copied())
    }

    fn read_log(&mut self) -> io::Result<()> {
        self.log.read_to_end(&mut self.unread)?;
        let whole = self.unread.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.unread.drain(..whole).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            self.take_line(line).ok_or_else(|| io::Error::other(format!("layer log: {line:?}")))?;
        }
        Ok(())
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        let mut numbers = rest.split(' ').map(str::parse::<u64>);
        let mut number = || numbers.next()?.ok();
        match word {
            "made" => drop(self.synced.insert(number()?, Synced::default())),
            "synced" => {
                let (inode, begin, end) = (number()?, number()?, number()?);
                self.synced.insert(inode, Synced { begin, end });
            }
            "gone" => drop(self.synced.remove(&number()?)),
            "fired" => self.fired.push(rest.to_owned()),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{ExitStatus, Output};
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    /// Writes three times ten bytes to a file, syncs it, gives it another name and removes it, and prints
    /// the time. Its exit status is the number of the step that failed.
    const PROGRAM: &str = r#"
        #include <fcntl.h>
        #include <stdio.h>
        #include <time.h>
        #include <unistd.h>
        int main(int count, char **names) {
            if (count == 1) { printf("%lld", (long long)time(0)); return 0; }
            int file = open(names[1], O_CREAT | O_TRUNC | O_RDWR, 0600);
            for (int nth = 0; nth < 3; nth++) if (pwrite(file, "0123456789", 10, nth * 10) != 10) return 1;
            if (fdatasync(file) != 0) return 2;
            if (rename(names[1], names[2]) != 0) return 3;
            if (count > 3 && unlink(names[2]) != 0) return 4;
            return 0;
        }"#;

    struct World {
        _directory: tempfile::TempDir,
        layer: Layer,
        program: PathBuf,
        data: PathBuf,
    }

    impl World {
        /// `None` where nothing can be compiled.
        fn new() -> Option<World> {
            let directory = tempfile::tempdir().unwrap();
            let data = directory.path().join("data");
            fs::create_dir_all(data.join("journal")).unwrap();
            let layer = match Layer::build(&directory.path().join("layer")) {
                Ok(layer) => layer,
                Err(why) => {
                    eprintln!("skipped: {why}");
                    return None;
                }
            };
            let program = directory.path().join("program");
            let source = program.with_extension("c");
            fs::write(&source, PROGRAM).unwrap();
            let compiled = Command::new("cc").arg("-o").args([&program, &source]).status();
            assert!(compiled.unwrap().success());
            Some(World { _directory: directory, layer, program, data })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.data.join("journal").join(name)
        }

        fn run(&self, arguments: &[&str]) -> Output {
            let mut command = Command::new(&self.program);
            let names = arguments.iter().take(2).map(|name| self.path(name).into_os_string());
            command.args(names).args(arguments.iter().skip(2));
            command.envs(self.layer.environment(&self.data)).output().unwrap()
        }

        fn write(&self) -> ExitStatus {
            self.run(&["new.tmp", "a.log"]).status
        }
    }

    #[test]
    fn what_was_synced_is_in_the_log() {
        let Some(mut world) = World::new() else { return };
        assert!(world.write().success());
        let inode = fs::metadata(world.path("a.log")).unwrap().ino();
        let synced = Some(Synced { begin: 20, end: 30 });
        assert_eq!(world.layer.synced(inode).unwrap(), synced);
        assert_eq!(world.layer.synced(inode + 1).unwrap(), None);
        assert!(world.layer.take_fired().unwrap().is_empty());
    }

    #[test]
    fn what_is_replaced_or_removed_is_forgotten() {
        let Some(mut world) = World::new() else { return };
        assert!(world.write().success());
        let inode = fs::metadata(world.path("a.log")).unwrap().ino();
        assert!(world.layer.synced(inode).unwrap().is_some());
        // The inode may be used again by a file that isn't watched.
        assert!(world.run(&["new.tmp", "a.log", "remove"]).status.success());
        assert_eq!(world.layer.synced(inode).unwrap(), None);
        assert!(world.layer.synced.is_empty(), "{:?}", world.layer.synced);
    }

    #[test]
    fn what_becomes_current_is_watched_under_its_first_name() {
        let Some(mut world) = World::new() else { return };
        let rocksdb = world.data.join("rocksdb");
        fs::create_dir_all(&rocksdb).unwrap();
        let current = rocksdb.join("CURRENT");
        let mut command = Command::new(&world.program);
        command.args([&rocksdb.join("000007.dbtmp"), &current]);
        assert!(command.envs(world.layer.environment(&world.data)).status().unwrap().success());
        let inode = fs::metadata(&current).unwrap().ino();
        assert_eq!(world.layer.synced(inode).unwrap(), Some(Synced { begin: 20, end: 30 }));
    }

    #[test]
    fn a_trap_strikes_once_and_where_it_was_set() {
        let Some(mut world) = World::new() else { return };
        for (operation, name, step) in [
            (Operation::Write, "write", 1),
            (Operation::Sync, "sync", 2),
            (Operation::Rename, "rename", 3),
        ] {
            world.layer.set_trap(&Trap { operation, nth: 1, strike: Strike::Fail }).unwrap();
            assert_eq!(world.write().code(), Some(step), "{name}");
            let fired = world.layer.take_fired().unwrap();
            assert!(matches!(&fired[..], [where_] if where_.starts_with(name)), "{fired:?}");
            assert!(world.write().success(), "{name} fails once");
        }
    }

    #[test]
    fn a_torn_write_leaves_its_beginning_and_kills() {
        let Some(world) = World::new() else { return };
        let trap = Trap { operation: Operation::Write, nth: 2, strike: Strike::Tear(4) };
        world.layer.set_trap(&trap).unwrap();
        assert_eq!(world.write().signal(), Some(9));
        assert_eq!(fs::metadata(world.path("new.tmp")).unwrap().len(), 14);
        // Also where all of the write is written.
        world.layer.set_trap(&Trap { strike: Strike::Tear(4_096), ..trap }).unwrap();
        assert_eq!(world.write().signal(), Some(9));
        assert_eq!(fs::metadata(world.path("new.tmp")).unwrap().len(), 20);
    }

    #[test]
    fn a_kill_comes_before_the_operation() {
        let Some(world) = World::new() else { return };
        let trap = Trap { operation: Operation::Remove, nth: 1, strike: Strike::Kill };
        world.layer.set_trap(&trap).unwrap();
        assert_eq!(world.run(&["new.tmp", "a.log", "remove"]).status.signal(), Some(9));
        assert!(world.path("a.log").exists());
        world.layer.disarm().unwrap();
        assert!(world.run(&["new.tmp", "a.log", "remove"]).status.success());
        assert!(!world.path("a.log").exists());
    }

    #[test]
    fn the_clock_is_wrong_by_what_was_set() {
        const YEAR_S: u64 = 365 * 86_400;
        let Some(world) = World::new() else { return };
        world.layer.set_clock_offset_ms(-1_000 * YEAR_S as i64).unwrap();
        let output = world.run(&[]);
        let said: u64 = String::from_utf8_lossy(&output.stdout).parse().unwrap();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // An hour for a machine that was asleep in between.
        assert!((now_s - said).abs_diff(YEAR_S) < 3_600, "{said} is not a year before {now_s}");
    }
}
