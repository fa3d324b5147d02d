//! Rounds in which something runs out: descriptors, receive buffers.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::Campaign;
use crate::failure::Failure;
use crate::limits::ACCEPT_ERRORS_PER_SECOND;
use crate::metrics::{Metrics, Watch};
use crate::server::{Server, ServerOptions};

/// A segment so large that the journal needs no new file in a round: it would want a descriptor.
const LARGE_SEGMENT_MIB: u32 = 64;
/// Of a hundred devices, so many fit.
const PERCENT_THAT_FITS: u64 = 60;
/// Descriptors of a server that needs about 40 itself. It allows half of them for connections, which are
/// more than it has left.
const DESCRIPTORS: RangeInclusive<u64> = 54..=72;
/// Time for the server to do alone what it does at a start, and wants descriptors for.
const ALONE: Duration = Duration::from_millis(700);
/// Receive buffers of a core, the fewest that are allowed.
const BUFFERS: &str = "2";

impl Campaign<'_> {
    /// More clients than the server may hold, then than it has descriptors for. Who finds no place comes
    /// back later; the server waits between two attempts to accept.
    pub(super) fn descriptors_round(&mut self) -> Result<String, Failure> {
        let devices = self.plan.users * self.plan.devices;
        let most = (devices * PERCENT_THAT_FITS / 100).max(1);
        self.kill_server()?;
        self.count("kills", 1);
        self.start_server_with(&self.options_with(&["--connections-max", &most.to_string()]))?;
        let before = self.world.turned_away();
        self.load(0.4)?;
        let turned_away = self.world.turned_away() - before;
        self.count("turned_away", turned_away);
        self.kill_server()?;
        self.count("kills", 1);
        // Who waits in the queue of the listener hears nothing.
        self.world.excuse_silence(true);
        let starved = self.starve()?;
        self.kill_server()?;
        self.start_server()?;
        self.load(0.2)?;
        self.world.excuse_silence(false);
        Ok(format!("{turned_away} turned away; {starved}"))
    }

    /// Starts the server with few descriptors, under load. Says what came of it.
    fn starve(&mut self) -> Result<String, Failure> {
        let descriptors = self.rng.u64(DESCRIPTORS);
        let options = ServerOptions {
            descriptors: Some(descriptors),
            segment_mib: LARGE_SEGMENT_MIB,
            ..self.plan.server.clone()
        };
        let words = "os error 24|Too many open files";
        if let Err(death) = self.try_to_start(&options)? {
            self.count("refused", 1);
            self.judge_death(&death, words, &[]);
            return Ok(format!("no start with {descriptors} descriptors"));
        }
        let control = self.server.as_ref().and_then(Server::control);
        // Asked over a connection that has its descriptor before the devices come.
        let watch = control.and_then(|control| Watch::open(control).ok());
        let address = self.world.server();
        self.world.set_server(None);
        self.awaits_death = true;
        let mut loaded = self.pause(ALONE);
        let begin = Instant::now();
        if self.death.is_none() {
            self.world.set_server(address);
            loaded = loaded.and_then(|()| self.load(0.6));
        }
        self.awaits_death = false;
        loaded?;
        if let Some(death) = self.death.take() {
            // The journal or the database wanted one.
            self.count("ended", 1);
            self.judge_death(&death, words, &[]);
            return Ok(format!("ended for want of more than {descriptors} descriptors"));
        }
        let seconds = begin.elapsed().as_secs_f64();
        let errors = watch.and_then(|watch| watch.read().ok());
        let errors = errors.map_or(0, |metrics| metrics.sum("fulmar_accept_errors_total"));
        self.count("accept_errors", errors);
        let most = ACCEPT_ERRORS_PER_SECOND * f64::from(self.plan.server.cores) * (seconds + 1.0);
        if errors as f64 > most {
            self.complain(&format!(
                "accepting failed {errors} times in {seconds:.1} s: the server doesn't wait"
            ));
        }
        Ok(format!("{errors} accepts failed with {descriptors} descriptors"))
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
