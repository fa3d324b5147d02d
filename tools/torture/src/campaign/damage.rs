//! Rounds in which the data directory is damaged while no server runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Campaign;
use crate::audit::{Audit, AuditError, Questions, audit};
use crate::damage::{Anatomy, Damage, copy};
use crate::failure::Failure;
use crate::limits::{COPIES, DEATH, SERVER_STOP};
use crate::server::{Death, Server, ServerOptions};

/// What became of a server on a copy.
#[derive(Debug)]
enum Fate {
    /// It started and answered everything.
    Answered(Audit),
    /// It ended: before it was ready, or later.
    Ended { was_ready: bool, death: Death },
    /// It lives and doesn't answer, or answers what can't be.
    Failed(AuditError),
}

impl Campaign<'_> {
    /// A power cut: what was written and not synced is gone, and the server goes on with the rest. On
    /// copies, what was synced has holes, and the server must refuse it.
    pub(super) fn torn_tail_round(&mut self) -> Result<String, Failure> {
        self.load(1.0)?;
        self.kill_server()?;
        self.count("kills", 1);
        for nth in 0..COPIES {
            let damage = self.damaged_copy(nth, Anatomy::hole)?;
            let Some((data, damage)) = damage else { continue };
            self.count("holes", 1);
            match self.fate(&data, None)? {
                Fate::Ended { was_ready: false, death } => {
                    self.count("refused", 1);
                    self.judge_death(&death, "journal file", &[&damage.name()]);
                }
                other => self.complain(&format!("not refused: {damage}: {}", other.describe())),
            }
            remove(&data)?;
        }
        let what = self.cut_power()?;
        self.start_server()?;
        Ok(what)
    }

    /// Files are damaged on copies. A server on one must refuse to start or end when it reads the
    /// damage, and name the file; or it gives everything that a server on an undamaged copy gives.
    pub(super) fn corrupt_round(&mut self) -> Result<String, Failure> {
        self.load(1.0)?;
        if self.rng.bool() {
            self.kill_server()?;
            self.count("kills", 1);
        } else {
            self.halt_server()?;
        }
        let questions = Questions { users: self.plan.users, ticked: self.world.last_ticked() };
        let Some(expected) = self.undamaged(&questions)? else {
            self.start_server()?;
            return Ok("no answer on an undamaged copy".to_owned());
        };
        let mut what = format!("{} messages waited", expected.entries());
        for nth in 0..COPIES {
            let damaged = self.damaged_copy(nth, Anatomy::damage)?;
            let Some((data, damage)) = damaged else { continue };
            self.count("damaged", 1);
            let fate = self.fate(&data, Some(&questions))?;
            what = format!("{what}; {damage}: {}", fate.word());
            self.judge_fate(&damage, fate, &expected);
            remove(&data)?;
        }
        self.start_server()?;
        Ok(what)
    }

    fn judge_fate(&mut self, damage: &Damage, fate: Fate, expected: &Audit) {
        match fate {
            Fate::Ended { was_ready, death } => {
                self.count(if was_ready { "aborted" } else { "refused" }, 1);
                let words =
                    "damaged|Corruption|missing|gone|has the format|no FORMAT|no number|can't";
                self.judge_death(&death, words, &[]);
                let name = damage.name();
                if !death.said.contains(&name) {
                    // RocksDB names its list of tables where it means a table, and a list that lost its
                    // end is known by what it no longer lists.
                    if damage.file.starts_with("rocksdb") && death.said.contains("MANIFEST") {
                        self.count("named_by_list", 1);
                    } else {
                        self.complain(&death.describe(&format!("{damage}: {name} isn't named")));
                    }
                }
            }
            Fate::Answered(found) => match found.difference(expected) {
                None => self.count("complete", 1),
                Some(difference) => {
                    self.complain(&format!("silently less: {damage}: {difference}"));
                }
            },
            Fate::Failed(error) => {
                self.complain(&format!("neither ended nor whole: {damage}: {error}"));
            }
        }
    }

    /// What an undamaged copy gives. `None`, with a complaint, if that isn't all.
    fn undamaged(&mut self, questions: &Questions) -> Result<Option<Audit>, Failure> {
        let data = self.copy_data("whole")?;
        let fate = self.fate(&data, Some(questions))?;
        remove(&data)?;
        match fate {
            Fate::Answered(audit) => match audit.forgotten(questions) {
                None => Ok(Some(audit)),
                Some(what) => {
                    self.complain(&format!("on an undamaged copy: {what}"));
                    Ok(None)
                }
            },
            other => {
                self.complain(&format!("on an undamaged copy: {}", other.describe()));
                Ok(None)
            }
        }
    }

    /// A copy of the data directory to which something was done. `None` where it couldn't be.
    fn damaged_copy(
        &mut self,
        nth: u32,
        inflict: impl FnOnce(&Anatomy, &Path, &mut fastrand::Rng) -> std::io::Result<Option<Damage>>,
    ) -> Result<Option<(PathBuf, Damage)>, Failure> {
        let data = self.copy_data(&format!("damaged-{nth}"))?;
        let original = self.plan.server.data.clone();
        let mut rng = self.rng.fork();
        // What was synced is known of the original's files.
        let damage =
            self.with_layer(|layer| inflict(&Anatomy::read(&original, layer)?, &data, &mut rng))?;
        if let Some(damage) = damage {
            return Ok(Some((data, damage)));
        }
        remove(&data)?;
        Ok(None)
    }

    fn copy_data(&self, name: &str) -> Result<PathBuf, Failure> {
        let target = self.plan.copies.join(name);
        copy(&self.plan.server.data, &target)
            .map_err(Failure::system("copying the data directory"))?;
        Ok(target)
    }

    /// Starts a server on a copy and asks it everything; without questions, only whether it starts.
    fn fate(&mut self, data: &Path, questions: Option<&Questions>) -> Result<Fate, Failure> {
        let options = ServerOptions {
            data: data.to_owned(),
            // On this machine, and without a layer.
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            network: None,
            keys: None,
            environment: Vec::new(),
            ..self.plan.server.clone()
        };
        let mut server = Server::start(&options)?;
        let address = match server.wait_until_ready(&self.plan.interrupted)? {
            Ok(address) => address,
            Err(death) => return Ok(Fate::Ended { was_ready: false, death }),
        };
        let Some(questions) = questions else {
            return Ok(Fate::Answered(Audit::default()));
        };
        Self::interview(server, address, questions)
    }

    fn interview(
        mut server: Server,
        address: SocketAddr,
        questions: &Questions,
    ) -> Result<Fate, Failure> {
        let answer = audit(address, questions);
        let begin = std::time::Instant::now();
        loop {
            if let Some(death) = server.death() {
                return Ok(Fate::Ended { was_ready: true, death });
            }
            match answer {
                Ok(audit) => return Ok(Fate::Answered(audit)),
                // A server that ends takes its connections with it.
                Err(error) if begin.elapsed() > DEATH.min(SERVER_STOP) => {
                    return Ok(Fate::Failed(error));
                }
                Err(_) => std::thread::sleep(crate::limits::CAMPAIGN_STEP),
            }
        }
    }
}

fn remove(data: &Path) -> Result<(), Failure> {
    fs::remove_dir_all(data).map_err(Failure::system("removing a copy"))
}

impl Fate {
    const fn word(&self) -> &'static str {
        match self {
            Fate::Answered(_) => "answered",
            Fate::Ended { was_ready: false, .. } => "refused",
            Fate::Ended { was_ready: true, .. } => "ended",
            Fate::Failed(_) => "failed",
        }
    }

    fn describe(&self) -> String {
        match self {
            Fate::Answered(audit) => format!("it gave {} messages", audit.entries()),
            Fate::Ended { was_ready: false, death } => death.describe("it did not start"),
            Fate::Ended { was_ready: true, death } => death.describe("it ended"),
            Fate::Failed(error) => format!("it failed: {error}"),
        }
    }
}
