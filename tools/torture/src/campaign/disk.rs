//! Rounds in which the disk refuses: no room, errors of writes and syncs.

use std::io;
use std::path::Path;

use super::Campaign;
use crate::damage::Anatomy;
use crate::failure::Failure;
use crate::limits::{DEATH, DEATH_SOON};
use crate::machine::layer::{Layer, Operation, Strike, Trap};
use crate::machine::room::Room;
use crate::server::Death;

/// Most bytes that are left where little is.
const LEFT_BYTES_MAX: u64 = 4 << 20;
/// Operations after which a trap strikes, at most.
const NTH_MAX: u64 = 80;

impl Campaign<'_> {
    /// The file system fills up under load. The server must end, saying why, and not start as long as
    /// there is no room.
    pub(super) fn full_disk_round(&mut self) -> Result<String, Failure> {
        self.load(0.5)?;
        let left = if self.one_in(3) { 0 } else { self.rng.u64(0..LEFT_BYTES_MAX) };
        self.with_room(|room| room.fill(left))?;
        let mut what = format!("filled up to {left} bytes");
        if self.one_in(3) {
            what += ", killed";
            self.kill_server()?;
            self.count("kills", 1);
            if let Err(death) = self.try_to_start(&self.plan.server.clone())? {
                what += ", refused to start";
                self.count("refused", 1);
                self.judge_death(&death, "No space left on device", &[]);
            }
        }
        if self.server.is_some() {
            let mut death = self.await_death(DEATH_SOON)?;
            if death.is_none() {
                self.with_room(|room| room.fill(0))?;
                death = self.await_death(DEATH)?;
            }
            if let Some(death) = death {
                what += ", ended by itself";
                self.count("ended", 1);
                self.judge_death(&death, "No space left on device", &[]);
            } else {
                // All that came fitted in what it had: the journal uses its files again.
                what += ", found room enough";
                self.count("survived", 1);
            }
        }
        self.with_room(Room::clear)?;
        if self.server.is_none() {
            self.start_server()?;
        }
        self.load(0.5)?;
        Ok(what)
    }

    /// A write or a sync fails, or stops half-way as the machine does. The server must end; what it
    /// ticked is there when it is started again.
    pub(super) fn fsync_error_round(&mut self) -> Result<String, Failure> {
        self.load(0.4)?;
        let drawn = self.draw_trap();
        let (trap, death, fired) = self.spring(drawn)?;
        let place = fired.join(", ");
        let mut what = format!("{trap:?} at {}", if fired.is_empty() { "nothing" } else { &place });
        self.count("struck", fired.len() as u64);
        match death {
            Some(death) if trap.strike == Strike::Fail => {
                self.count("aborted", 1);
                // A rename has two.
                let paths = fired.first().map_or("", String::as_str).split(' ').skip(1);
                let names = paths.filter_map(|path| Path::new(path).file_name()?.to_str());
                let names: Vec<&str> = names.collect();
                self.judge_death(&death, "os error 5|Input/output error", &names);
            }
            Some(death) => {
                self.count("killed", 1);
                if !death.is_kill() {
                    self.complain(&death.describe("the server ended before it was killed"));
                }
            }
            None if fired.is_empty() => {}
            None => self.complain(&format!("the server went on after {what}")),
        }
        if self.server.is_none() {
            if trap.operation == Operation::Sync && self.rng.bool() {
                // After a sync that failed, the disk may have nothing of what it was for.
                what = format!("{what}; {}", self.cut_power()?);
            }
            self.start_server()?;
        }
        self.load(0.4)?;
        Ok(what)
    }

    /// Sets a trap; the one that struck, how the server ended, and at which operations it was.
    fn spring(&mut self, drawn: Trap) -> Result<(Trap, Option<Death>, Vec<String>), Failure> {
        // It was never so far in that time: the next one, then. Files are renamed and removed now and then
        // only, but written and synced all the time.
        let next = Trap { nth: 1, ..drawn };
        let operation = match drawn.operation {
            Operation::Rename | Operation::Remove => Operation::Sync,
            own => own,
        };
        let certain = Trap { operation, ..next };
        for (trap, time) in [(drawn, DEATH_SOON), (next, DEATH), (certain, DEATH)] {
            self.with_layer(|layer| layer.set_trap(&trap))?;
            let mut death = self.await_death(time)?;
            let mut fired = self.take_fired()?;
            if death.is_none() && !fired.is_empty() {
                // It struck in the last moment.
                death = self.await_death(DEATH)?;
                fired.extend(self.take_fired()?);
            }
            if death.is_some() || !fired.is_empty() {
                self.with_layer(|layer| layer.disarm())?;
                return Ok((trap, death, fired));
            }
        }
        self.with_layer(|layer| layer.disarm())?;
        Ok((certain, None, Vec::new()))
    }

    fn draw_trap(&mut self) -> Trap {
        let nth = self.rng.u64(1..=NTH_MAX);
        let (operation, strike) = match self.rng.u8(0..10) {
            0..3 => (Operation::Sync, Strike::Fail),
            3 => (Operation::Sync, Strike::Kill),
            4..6 => (Operation::Write, Strike::Fail),
            // A page, a sector, or a few bytes.
            6 => (Operation::Write, Strike::Tear(self.rng.u64(0..4) * 4_096)),
            7 => (Operation::Write, Strike::Tear(self.rng.u64(0..2_000))),
            8 => {
                let strike = if self.rng.bool() { Strike::Fail } else { Strike::Kill };
                return Trap { operation: Operation::Rename, nth: 1 + nth % 6, strike };
            }
            _ => {
                return Trap {
                    operation: Operation::Remove,
                    nth: 1 + nth % 3,
                    strike: Strike::Kill,
                };
            }
        };
        Trap { operation, nth, strike }
    }

    /// Takes away what wasn't synced. Says what it was.
    pub(super) fn cut_power(&mut self) -> Result<String, Failure> {
        let data = self.plan.server.data.clone();
        let mut rng = self.rng.fork();
        let what = self.with_layer(|layer| {
            let anatomy = Anatomy::read(&data, layer)?;
            anatomy.cut_power(&data, &mut rng)
        })?;
        self.count("power_cuts", 1);
        Ok(format!("power cut: {what}"))
    }

    /// The server ended and had to. It must have done so in order, and have said why: one of `words`,
    /// which `|` separates, and one of the files, if there are any.
    pub(super) fn judge_death(&mut self, death: &Death, words: &str, files: &[&str]) {
        let says_why = words.split('|').any(|word| death.said.contains(word));
        let names_file = files.is_empty() || files.iter().any(|name| death.said.contains(name));
        if !death.is_deliberate() {
            self.complain(&death.describe("the server ended in disorder"));
        } else if !says_why || !names_file {
            let text = format!("the server ended without a word of {words} {}", files.join("|"));
            self.complain(&death.describe(&text));
        }
    }

    fn take_fired(&mut self) -> Result<Vec<String>, Failure> {
        self.with_layer(Layer::take_fired)
    }

    pub(super) fn with_layer<T>(
        &mut self,
        with: impl FnOnce(&mut Layer) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let layer = self.machine.layer.as_mut().expect("a kind that needs the layer has it");
        with(layer).map_err(Failure::system("using the layer under the server"))
    }

    fn with_room(&self, with: impl FnOnce(&Room) -> io::Result<()>) -> Result<(), Failure> {
        let room = self.machine.room.as_ref().expect("a kind that needs a room has it");
        with(room).map_err(Failure::system("using the small file system"))
    }
}
