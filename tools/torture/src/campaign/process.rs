//! Rounds that end or stop the process.

use std::time::Duration;

use rustix::process::Signal;

use super::Campaign;
use crate::failure::Failure;
use crate::limits::{SILENCE, STOPPED};

impl Campaign<'_> {
    /// SIGKILL; now and then the new process is killed too, while it recovers or soon after.
    pub(super) fn kill_round(&mut self) -> Result<String, Failure> {
        self.load(1.0)?;
        let down = self.down();
        let mut what = format!("killed, down for {} ms", down.as_millis());
        self.kill_server()?;
        self.count("kills", 1);
        self.pause(down)?;
        if self.one_in(5) {
            // The first milliseconds are the recovery's; later ones are the clients' return.
            let after = self.millis(0, 250);
            what = format!("{what}, killed again {} ms after the start", after.as_millis());
            self.start_server_for(after)?;
            self.kill_server()?;
            self.count("kills", 1);
            self.pause(down)?;
        }
        self.start_server()?;
        Ok(what)
    }

    /// For how long there is no server after a kill.
    pub(super) fn down(&mut self) -> Duration {
        if self.one_in(3) { Duration::ZERO } else { self.millis(1, 400) }
    }

    /// SIGSTOP, and SIGCONT later; sometimes after every device has given up, and sometimes the stopped
    /// process is killed instead.
    pub(super) fn stop_round(&mut self) -> Result<String, Failure> {
        self.load(0.5)?;
        let time = if self.one_in(4) {
            let (from, through) = (SILENCE.as_millis() as u64 + 200, STOPPED.as_millis() as u64);
            self.millis(from, through)
        } else {
            self.millis(20, 1_500)
        };
        let failed = || Failure::system("stopping the process of the server");
        self.world.excuse_silence(true);
        self.note("SIGSTOP")?;
        if let Some(server) = &self.server {
            server.signal(Signal::STOP).map_err(failed())?;
        }
        self.pause(time)?;
        let mut what = format!("stopped for {} ms", time.as_millis());
        self.count("stops", 1);
        self.count("stopped_ms", time.as_millis() as u64);
        if self.one_in(6) {
            what += ", then killed";
            self.kill_server()?;
            self.count("kills", 1);
            self.start_server()?;
        } else if let Some(server) = &self.server {
            server.signal(Signal::CONT).map_err(failed())?;
            self.note("SIGCONT")?;
        }
        self.load(0.5)?;
        self.world.excuse_silence(false);
        Ok(what)
    }
}
