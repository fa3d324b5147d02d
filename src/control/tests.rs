//! The promises of the control plane, over real sockets and real signals.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use clap::{Args, Command, FromArgMatches};
use signal_hook::consts::SIGHUP;
use signal_hook::low_level::raise;
use tracing_subscriber::{EnvFilter, Registry};

use super::*;
use crate::auth::{Identity, KeyFile};
use crate::config::{Flags, Machine, Sources};

fn config(arguments: &[&str]) -> Config {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    let flags = Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap();
    let machine = Machine { cpus: vec![0], descriptors_max: 20_000 };
    let mut config = Config::resolve(Sources::read(flags).unwrap(), machine).unwrap();
    config.control = Some("127.0.0.1:0".parse().unwrap());
    config
}

/// A control plane with a node that only counts how often it was told to stop.
struct World {
    control: Control,
    metrics: Arc<Metrics>,
    keys: Arc<ArcSwap<KeyRing>>,
    stops: Arc<AtomicUsize>,
    log: tracing_subscriber::reload::Layer<EnvFilter, Registry>,
}

impl World {
    fn new(config: &Config) -> World {
        World::after(config, EarlyReload::default())
    }

    /// One whose node may have been told to reload while it started.
    fn after(config: &Config, early_reload: EarlyReload) -> World {
        let metrics = Metrics::new(1);
        let keys = Arc::new(ArcSwap::from_pointee(KeyRing::empty()));
        let stops = Arc::new(AtomicUsize::new(0));
        let (log, filter) = LogFilter::new(&config.log).unwrap();
        let counter = Arc::clone(&stops);
        let handles = Handles {
            metrics: Arc::clone(&metrics),
            ready: Arc::default(),
            keys: Arc::clone(&keys),
            log: filter,
            early_reload,
            stop: Box::new(move || _ = counter.fetch_add(1, Ordering::SeqCst)),
        };
        let control = Control::spawn(config, handles).unwrap();
        World { control, metrics, keys, stops, log }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.control.address().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// The whole answer to these bytes, read until the server closes.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn request(&self, method: &str, path: &str) -> String {
        self.ask(
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
    }

    fn filter(&self) -> String {
        // The layer shows its filter only in its debug form.
        format!("{:?}", self.log)
    }
}

fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn health_readiness_and_metrics_are_served() {
    let world = World::new(&config(&["--insecure-dev"]));
    assert!(world.request("GET", "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(world.request("GET", "/readyz").starts_with("HTTP/1.1 503 "));
    world.control.announce("127.0.0.1:7700".parse().unwrap());
    assert!(world.request("GET", "/readyz").ends_with("\r\n\r\nready\n"));

    world.metrics.core(0).logins.add(41);
    let answer = world.request("GET", "/metrics?x=y");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.contains("\nfulmar_logins_total 41\n"), "{answer}");
    world.control.finish();
}

#[test]
fn other_paths_and_methods_are_told_what_exists() {
    let world = World::new(&config(&["--insecure-dev"]));
    let answer = world.request("GET", "/admin");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/metrics"), "{answer}");
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        let answer = world.request(method, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    let head = world.request("HEAD", "/healthz");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    world.control.finish();
}

#[test]
fn a_request_is_bounded() {
    let world = World::new(&config(&["--insecure-dev"]));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 << 10));
    let answer = world.ask(long.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert!(world.ask(many.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert!(world.ask(b"\0\xff\x16\x03\x01nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    // Whoever holds connections and says nothing keeps nobody else out.
    let silent: Vec<_> = (0..200).map(|_| world.connect()).collect();
    let begun = Instant::now();
    assert!(world.request("GET", "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(silent);
    world.control.finish();
}

#[test]
fn the_endpoint_can_be_off_and_a_taken_address_is_told() {
    let world = World::new(&config(&["--insecure-dev"]));
    let taken = world.control.address().unwrap();
    let mut config = config(&["--insecure-dev"]);
    config.control = None;
    let without = World::new(&config);
    assert_eq!(without.control.address(), None);
    without.control.finish();

    config.control = Some(taken);
    let handles = Handles {
        metrics: Metrics::new(1),
        ready: Arc::default(),
        keys: Arc::new(ArcSwap::from_pointee(KeyRing::empty())),
        log: LogFilter::new("info").unwrap().1,
        early_reload: EarlyReload::default(),
        stop: Box::new(|| ()),
    };
    let error = Control::spawn(&config, handles).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("can't listen on the control address {taken}: ")),
        "{error}"
    );
    world.control.finish();
}

fn save(file: &KeyFile, path: &Path) -> Vec<String> {
    file.save(path).unwrap();
    file.list().map(|key| key.id.to_owned()).collect()
}

/// Signals belong to the whole process, so all that is about them is one test.
#[test]
fn signals_reload_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| -> PathBuf { directory.path().join(name) };
    let (keys, settings) = (file("keys.toml"), file("fulmar.toml"));
    let mut ring = KeyFile::default();
    ring.generate(false, 0).unwrap();
    save(&ring, &keys);
    fs::write(&settings, "log = \"info\"\n").unwrap();
    let arguments =
        [format!("--config={}", settings.display()), format!("--keys={}", keys.display())];
    let config = config(&arguments.each_ref().map(String::as_str));
    // Before there is anybody to hear it, SIGHUP ends nothing and is done later.
    let early_reload = EarlyReload::note().unwrap();
    raise(SIGHUP).unwrap();
    let world = World::after(&config, early_reload);
    eventually("the keys", || world.keys.load().len() == 1);
    world.control.announce("127.0.0.1:7700".parse().unwrap());
    let token = ring.sign(&Identity { user: 7, device: 1, expires_s: 100 }, 0).unwrap();

    // A key is added, and the filter changes.
    ring.generate(false, 0).unwrap();
    let ids = save(&ring, &keys);
    fs::write(&settings, "log = \"trace\"\nsends_max = 9\n").unwrap();
    raise(SIGHUP).unwrap();
    eventually("the new key", || world.keys.load().len() == 2);
    assert!(ids.iter().all(|id| world.keys.load().ids().contains(&id.as_str())));
    assert!(world.keys.load().verify(token.as_bytes(), 1).is_ok(), "the old key is still valid");
    eventually("the new filter", || world.filter().contains("TRACE"));

    // A broken configuration and key file leave the old in force, and the next reload works.
    fs::write(&settings, "log = \"nonsense=5=6\"\n").unwrap();
    fs::write(&keys, "nonsense").unwrap();
    raise(SIGHUP).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(world.filter().contains("TRACE"), "{}", world.filter());
    assert_eq!(world.keys.load().len(), 2);
    fs::remove_file(&settings).unwrap();
    ring.generate(true, 0).unwrap();
    save(&ring, &keys);
    raise(SIGHUP).unwrap();
    eventually("the third key", || world.keys.load().len() == 3);

    // Stopping: not ready at once, alive and hearing until the node is done.
    assert_eq!(world.stops.load(Ordering::SeqCst), 0);
    raise(signal_hook::consts::SIGTERM).unwrap();
    eventually("the stop", || world.stops.load(Ordering::SeqCst) == 1);
    assert!(world.request("GET", "/readyz").starts_with("HTTP/1.1 503 "));
    assert!(world.request("GET", "/healthz").starts_with("HTTP/1.1 200 "));
    world.control.finish();
}
