//! Rounds in which something runs out: descriptors, receive buffers.

use std::time::Instant;

use super::Campaign;
use crate::failure::Failure;
use crate::limits::ACCEPT_ERRORS_PER_SECOND;
use crate::metrics::Metrics;
use crate::server::{Server, ServerOptions};

/// A segment so large that the journal needs no new file in a round: it would want a descriptor.
const LARGE_SEGMENT_MIB: u32 = 64;
/// Of a hundred devices, so many fit.
const PERCENT_THAT_FITS: u64 = 60;
/// Receive buffers of a core, the fewest that are allowed.
const BUFFERS: &str = "2";

impl Campaign<'_> {
    /// More clients than the server may hold, then than it has descriptors for. Who finds no place comes
    /// back later; the server waits between two attempts to accept.
    pub(super) fn descriptors_round(&mut self) -> Result<String, Failure> {
        let devices = self.plan.users * self.plan.devices;
        let most = (devices * PERCENT_THAT_FITS / 100).max(1);
        let mut options = self.options_with(&["--connections-max", &most.to_string()]);
        options.segment_mib = LARGE_SEGMENT_MIB;
        self.kill_server()?;
        self.count("kills", 1);
        self.world.excuse_silence(true);
        self.start_server_with(&options)?;
        let before = self.world.turned_away();
        self.world.shake();
        self.load(0.4)?;
        let turned_away = self.world.turned_away() - before;
        self.count("turned_away", turned_away);
        let (died, errors) = self.starve()?;
        if self.server.is_none() {
            self.start_server()?;
        }
        self.load(0.2)?;
        self.world.excuse_silence(false);
        let died = if died { ", ended by itself" } else { "" };
        Ok(format!("{turned_away} turned away, {errors} accepts without a descriptor{died}"))
    }

    /// Leaves descriptors for half of the connections only, under load; whether the server ended, and
    /// how many accepts failed.
    fn starve(&mut self) -> Result<(bool, u64), Failure> {
        let failed = || Failure::system("limiting the server's descriptors");
        let Some(server) = &self.server else { return Ok((false, 0)) };
        let used = server.descriptors().map_err(failed())?;
        let fewer = used.saturating_sub(self.plan.users * self.plan.devices / 3).max(1);
        server.limit_descriptors(Some(fewer)).map_err(failed())?;
        self.note(&format!("descriptors {fewer} of {used}"))?;
        self.world.shake();
        let begin = Instant::now();
        self.awaits_death = true;
        let loaded = self.load(0.5);
        self.awaits_death = false;
        loaded?;
        let seconds = begin.elapsed().as_secs_f64();
        if let Some(death) = self.death.take() {
            // The journal or the database wanted one.
            self.count("ended", 1);
            self.judge_death(&death, "os error 24|Too many open files", None);
            return Ok((true, 0));
        }
        if let Some(server) = &self.server {
            server.limit_descriptors(None).map_err(failed())?;
        }
        let errors = self.metrics("fulmar_accept_errors_total")?;
        self.count("accept_errors", errors);
        let most = ACCEPT_ERRORS_PER_SECOND * f64::from(self.plan.server.cores) * (seconds + 1.0);
        if errors as f64 > most {
            self.complain(&format!(
                "accepting failed {errors} times in {seconds:.1} s: the server doesn't wait"
            ));
        }
        Ok((false, errors))
    }

    /// Hardly any receive buffers: what arrives finds none free, and waits.
    pub(super) fn buffers_round(&mut self) -> Result<String, Failure> {
        let options = self.options_with(&["--receive-buffers", BUFFERS]);
        self.kill_server()?;
        self.count("kills", 1);
        self.start_server_with(&options)?;
        self.load(1.0)?;
        let enobufs = self.metrics("fulmar_enobufs_total")?;
        self.count("enobufs", enobufs);
        self.kill_server()?;
        self.count("kills", 1);
        self.start_server()?;
        Ok(format!("{enobufs} receives without a buffer"))
    }

    fn options_with(&self, arguments: &[&str]) -> ServerOptions {
        let mut options = self.plan.server.clone();
        options.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        options
    }

    /// A counter of the server; 0 where it has no control port.
    fn metrics(&mut self, name: &str) -> Result<u64, Failure> {
        let Some(control) = self.server.as_ref().and_then(Server::control) else {
            return Ok(0);
        };
        let metrics = Metrics::read(control).map_err(Failure::system("reading the metrics"))?;
        Ok(metrics.sum(name))
    }
}
