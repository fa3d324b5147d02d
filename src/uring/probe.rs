//! Which parts of `io_uring` work here, found out by using them.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use io_uring::{Builder, IoUring, cqueue, squeue};
use rustix::event::{EventfdFlags, eventfd};

use super::config::RingConfig;
use super::ring::Ring;
use super::sockets::SocketKey;
use super::start_error::{StartError, kernel_release};
use super::{CloseReason, Completion};

/// No trial waits longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// One part of `io_uring`, and whether it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What the server uses it for.
    pub purpose: &'static str,
    /// Whether the server can't do without it.
    pub is_required: bool,
    /// Why it doesn't work; `None` if it does.
    pub error: Option<String>,
}

impl Feature {
    /// Whether it works.
    pub fn works(&self) -> bool {
        self.error.is_none()
    }
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// The running kernel's release.
    pub kernel: String,
    /// Every part that was tried, in the order in which they build on one another.
    pub features: Vec<Feature>,
}

impl Features {
    /// Whether everything works that the server can't do without.
    pub fn are_sufficient(&self) -> bool {
        self.features.iter().all(|feature| feature.works() || !feature.is_required)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "io_uring of kernel {}:", self.kernel)?;
        for Feature { name, purpose, is_required, error } in &self.features {
            match (error, is_required) {
                (None, _) => writeln!(f, "  works    {name}: {purpose}")?,
                (Some(error), true) => writeln!(f, "  MISSING  {name}: {purpose}; {error}")?,
                (Some(error), false) => writeln!(f, "  without  {name}: {purpose}; {error}")?,
            }
        }
        Ok(())
    }
}

/// Tries every part on rings of its own and on loopback connections. Takes a few milliseconds.
pub fn probe() -> Features {
    let mut features = Vec::new();
    let mut note = |name, purpose, is_required, outcome: Result<(), String>| {
        features.push(Feature { name, purpose, is_required, error: outcome.err() });
    };
    note("io_uring", "all network I/O", true, try_setup("no flags", |_| ()));
    note(
        "SINGLE_ISSUER, DEFER_TASKRUN",
        "completions run only when a core asks for them",
        true,
        try_setup("SINGLE_ISSUER with DEFER_TASKRUN", |builder| {
            builder.setup_single_issuer().setup_defer_taskrun();
        }),
    );
    note(
        "NO_SQARRAY",
        "a shorter way for submissions",
        false,
        try_setup("NO_SQARRAY", |builder| {
            builder.setup_no_sqarray();
        }),
    );
    note("registered ring", "a shorter system call", false, try_registered_ring());
    note("NO_IOWAIT", "an idle server isn't shown as waiting for disks", false, try_no_iowait());

    let mut trial = Trial::new();
    let steps: [(&str, &str, Step); 7] = [
        ("buffer rings", "idle connections hold no buffer", |_| Ok(())),
        ("multishot accept", "one operation accepts all connections", Trial::accept),
        ("multishot receive", "one operation receives all bytes", Trial::receive),
        ("send", "sending", Trial::send),
        ("cancel", "pausing a connection that sends too fast", Trial::pause),
        ("multishot poll", "cores wake one another", Trial::wake),
        ("orderly close", "the last bytes arrive before the end", Trial::close),
    ];
    for (name, purpose, step) in steps {
        let outcome = match &mut trial {
            Ok(trial) => step(trial),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &outcome
            && trial.is_ok()
        {
            trial = Err(format!("not tried, because {name} failed: {error}"));
        }
        note(name, purpose, true, outcome);
    }
    Features { kernel: kernel_release(), features }
}

type Step = fn(&mut Trial) -> Result<(), String>;
type RingBuilder = Builder<squeue::Entry, cqueue::Entry>;

fn open(flags: &'static str, set: impl FnOnce(&mut RingBuilder)) -> Result<IoUring, String> {
    let mut builder: RingBuilder = IoUring::builder();
    set(&mut builder);
    builder
        .build(4)
        .map_err(|error| StartError::of_step("io_uring_setup", flags, 0, error).to_string())
}

fn try_setup(flags: &'static str, set: impl FnOnce(&mut RingBuilder)) -> Result<(), String> {
    open(flags, set).map(drop)
}

fn try_registered_ring() -> Result<(), String> {
    let ring = open("no flags", |_| ())?;
    let mut submitter = ring.submitter();
    submitter.register_ring_fd().map_err(|error| error.to_string())?;
    submitter.unregister_ring_fd().map_err(|error| error.to_string())
}

fn try_no_iowait() -> Result<(), String> {
    let ring = open("no flags", |_| ())?;
    let has = ring.params().is_feature_no_iowait();
    if has { Ok(()) } else { Err("Linux 6.15 or newer is needed".to_owned()) }
}

/// A small ring with a listener and, once accepted, two connections.
struct Trial {
    ring: Ring,
    listener: TcpListener,
    /// Our ends.
    keys: Vec<SocketKey>,
    /// The other ends.
    peers: Vec<TcpStream>,
}

impl Trial {
    fn new() -> Result<Trial, String> {
        let config = RingConfig {
            entries: 8,
            buffers: 8,
            buffer_bytes: 256,
            sockets_max: 8,
            sends_per_turn: 8,
            accepts_per_turn: 8,
        };
        let ring = Ring::new(&config).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(in_words("listening"))?;
        Ok(Trial { ring, listener, keys: Vec::new(), peers: Vec::new() })
    }

    fn accept(&mut self) -> Result<(), String> {
        let address = self.listener.local_addr().map_err(in_words("listening"))?;
        self.ring.listen(self.listener.try_clone().map_err(in_words("listening"))?.into());
        for _ in 0..2 {
            let peer = TcpStream::connect(address).map_err(in_words("connecting"))?;
            peer.set_read_timeout(Some(PATIENCE)).map_err(in_words("connecting"))?;
            self.peers.push(peer);
            let mut accepted = None;
            self.until("a connection", |completion| match completion {
                Completion::Accepted { fd } => {
                    accepted = Some(Ok(fd));
                    true
                }
                Completion::AcceptFailed { error } => {
                    accepted = Some(Err(error.to_string()));
                    true
                }
                _ => false,
            })?;
            let fd = accepted.ok_or("nothing was accepted")??;
            let key = self.ring.add(fd).map_err(|_| "no room for two sockets")?;
            self.keys.push(key);
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), String> {
        for round in 0..2 {
            self.peers[0].write_all(b"hello").map_err(in_words("writing"))?;
            self.until_received(self.keys[0])?;
            if self.ring.counters().rearms > 0 {
                return Err(format!("the operation ended after {} completions", round + 1));
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), String> {
        let key = self.keys[0];
        self.ring.send(key, b"hello".to_vec()).map_err(|_| "the connection ended")?;
        self.until(
            "the end of a send",
            |completion| matches!(completion, Completion::Sent { key: of, .. } if of == key),
        )?;
        let mut bytes = [0; 5];
        self.peers[0].read_exact(&mut bytes).map_err(in_words("reading"))
    }

    fn pause(&mut self) -> Result<(), String> {
        let before = self.ring.counters().received_bytes;
        self.ring.pause(self.keys[0]);
        for _ in 0..2 {
            self.turn(Duration::ZERO, |_| ())?;
        }
        self.peers[0].write_all(b"hello").map_err(in_words("writing"))?;
        self.turn(Duration::from_millis(5), |_| ())?;
        if self.ring.counters().received_bytes != before {
            return Err("bytes were received all the same".to_owned());
        }
        self.ring.resume(self.keys[0]);
        self.until_received(self.keys[0])
    }

    fn wake(&mut self) -> Result<(), String> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|errno| in_words("making an eventfd")(errno.into()))?;
        let waker = eventfd.try_clone().map_err(in_words("making an eventfd"))?;
        self.ring.watch(eventfd);
        let mut waker = std::fs::File::from(waker);
        for _ in 0..2 {
            waker.write_all(&1_u64.to_ne_bytes()).map_err(in_words("writing to an eventfd"))?;
            self.until("a wake-up", |completion| matches!(completion, Completion::Woken))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let key = self.keys[1];
        self.ring.send(key, b"bye".to_vec()).map_err(|_| "the connection ended")?;
        self.ring.close(key);
        self.until("the end of a send", |completion| {
            matches!(completion, Completion::Sent { .. })
        })?;
        let mut peer = self.peers.remove(1);
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).map_err(in_words("reading to the end"))?;
        if bytes != b"bye" {
            return Err("the last bytes didn't arrive".to_owned());
        }
        drop(peer);
        self.until("the end", |completion| {
            matches!(completion, Completion::Closed { key: of, reason: CloseReason::Local } if of == key)
        })
    }

    fn until_received(&mut self, key: SocketKey) -> Result<(), String> {
        self.until(
            "bytes",
            |completion| matches!(completion, Completion::Received { key: of, .. } if of == key),
        )
    }

    fn until(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(Completion<'_>) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut is_found = false;
        while !is_found {
            if Instant::now() > deadline {
                return Err(format!("{what} didn't come within {PATIENCE:?}"));
            }
            let timeout = Duration::from_millis(50);
            self.turn(timeout, |completion| is_found |= is_it(completion))?;
        }
        Ok(())
    }

    fn turn(&mut self, timeout: Duration, on: impl FnMut(Completion<'_>)) -> Result<(), String> {
        self.ring.wait(Some(timeout)).map_err(in_words("waiting"))?;
        self.ring.drain(on);
        Ok(())
    }
}

fn in_words(step: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{step} failed: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_required_works_where_the_tests_run() {
        let features = probe();
        assert!(features.are_sufficient(), "{features}");
        assert_eq!(features.features.len(), 12);
    }

    #[test]
    fn a_missing_feature_is_shown_with_its_reason() {
        let feature = |is_required| Feature {
            name: "teleport",
            purpose: "speed",
            is_required,
            error: Some("no such thing".to_owned()),
        };
        let features = |feature| Features { kernel: "1.0".to_owned(), features: vec![feature] };
        assert!(!features(feature(true)).are_sufficient());
        assert!(features(feature(false)).are_sufficient());
        let text = features(feature(true)).to_string();
        assert!(text.contains("MISSING  teleport: speed; no such thing"), "{text}");
    }
}
