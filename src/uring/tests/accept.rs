//! Accepting, echoing, and running out of descriptors.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// Echoes whatever comes, one send at a time per socket, until all of `connections` have closed.
fn serve_echo(bench: &mut Bench, connections: usize) {
    let mut outgoing: HashMap<SocketKey, (bool, Vec<u8>)> = HashMap::new();
    let mut closed = 0;
    while closed < connections {
        match bench.next() {
            Event::Accepted(fd) => {
                let key = bench.ring.add(fd).expect("room for a socket");
                outgoing.insert(key, (false, Vec::new()));
            }
            Event::Received(key, bytes) => {
                let (is_sending, queue) = outgoing.get_mut(&key).expect("a known key");
                queue.extend(bytes);
                if !*is_sending {
                    *is_sending = true;
                    bench.ring.send(key, std::mem::take(queue)).expect("an open socket");
                }
            }
            Event::Sent(key, _) => {
                let (is_sending, queue) = outgoing.get_mut(&key).expect("a known key");
                *is_sending = !queue.is_empty();
                if *is_sending {
                    bench.ring.send(key, std::mem::take(queue)).expect("an open socket");
                }
            }
            Event::Closed(key, reason) => {
                assert!(matches!(reason, CloseReason::PeerEof), "{reason:?}");
                outgoing.remove(&key).expect("closed once");
                closed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.ring.sockets(), 0);
}

#[test]
fn a_hundred_connections_get_their_bytes_back() {
    let mut bench = Bench::new(SMALL);
    let (listener, address) = listener();
    bench.ring.listen(listener.into());
    let clients: Vec<_> = (0..100)
        .map(|n: usize| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).expect("connect");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                for round in 0..20 {
                    let sent = pattern(1 + n * 37 + round * 211);
                    stream.write_all(&sent).expect("write");
                    let mut received = vec![0; sent.len()];
                    stream.read_exact(&mut received).expect("read");
                    assert_eq!(received, sent);
                }
            })
        })
        .collect();
    serve_echo(&mut bench, clients.len());
    for client in clients {
        client.join().expect("the client's assertions hold");
    }
    assert_eq!(bench.ring.counters().accepts, 100);
    assert_eq!(bench.ring.counters().stale_completions, 0);
}

#[test]
fn a_burst_of_connections_larger_than_the_completion_queue_is_accepted_whole() {
    const CONNECTIONS: usize = 1_000;
    let config =
        RingConfig { entries: 8, buffers: 8, sends_per_turn: 8, accepts_per_turn: 8, ..SMALL };
    let mut bench = Bench::new(config);
    let (listener, address) = listener();
    socket2::SockRef::from(&listener).listen(1_024).expect("a longer backlog");
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("connect")).collect();
    bench.ring.listen(listener.into());
    bench.until("all accepted", |_, events| events.len() == CONNECTIONS);
    let keys: Vec<_> = bench
        .events
        .drain(..)
        .map(|event| match event {
            Event::Accepted(fd) => bench.ring.add(fd).expect("room for a socket"),
            other => panic!("{other:?}"),
        })
        .collect();
    for mut client in &clients {
        client.write_all(b"hello").expect("write");
    }
    bench.until("all greeted", |ring, _| ring.counters().received_bytes == 5 * 1_000);
    drop(clients);
    bench.until("all closed", |ring, _| ring.sockets() == 0);
    assert_eq!(keys.len(), CONNECTIONS);
}

#[test]
fn a_full_table_gives_the_connection_back() {
    let mut bench = Bench::new(RingConfig { sockets_max: 2, ..SMALL });
    let (first, peer) = bench.connect();
    let _second = bench.connect();
    let (third, _peer) = pair();
    let third = bench.ring.add(third).expect_err("the table is full");
    drop(peer);
    assert!(matches!(bench.closed(first), CloseReason::PeerEof));
    bench.ring.add(third).expect("room again");
}

#[test]
fn after_stop_listening_nothing_is_accepted_and_the_port_is_closed() {
    let mut bench = Bench::new(SMALL);
    let (first, address) = listener();
    let (second, other_address) = listener();
    bench.ring.listen(first.into());
    bench.ring.listen(second.into());
    let _client = TcpStream::connect(address).expect("connect");
    assert!(matches!(bench.next(), Event::Accepted(_)));
    let _client = TcpStream::connect(other_address).expect("connect");
    assert!(matches!(bench.next(), Event::Accepted(_)));
    bench.ring.stop_listening();
    bench.quiet();
    assert!(TcpStream::connect(address).is_err());
    assert!(TcpStream::connect(other_address).is_err());
}

/// The limit on descriptors is one for the whole process, so the test proper runs in another.
#[test]
fn at_the_limit_of_descriptors_accepting_rests_and_recovers() {
    let name = "at_the_limit_of_descriptors_in_a_process_of_its_own";
    let module = module_path!().split_once("::").expect("a path within the crate").1;
    let output = Command::new(std::env::current_exe().expect("the test's own program"))
        .args(["--exact", &format!("{module}::{name}"), "--ignored", "--nocapture"])
        .output()
        .expect("run the test's own program");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

#[test]
#[ignore = "run by at_the_limit_of_descriptors_accepting_rests_and_recovers"]
fn at_the_limit_of_descriptors_in_a_process_of_its_own() {
    let mut bench = Bench::new(SMALL);
    let (listener, address) = listener();
    let connected: Vec<_> = (0..8).map(|_| TcpStream::connect(address).expect("connect")).collect();
    set_descriptor_limit(64);
    let mut filling: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    filling.truncate(filling.len() - 3);
    bench.ring.listen(listener.into());

    let began = Instant::now();
    let mut accepted = Vec::new();
    let mut failures = 0;
    while began.elapsed() < Duration::from_millis(350) || failures < 2 {
        assert!(began.elapsed() < PATIENCE, "{failures} tries");
        bench.turn(Duration::from_millis(10));
        for event in bench.events.drain(..) {
            match event {
                Event::Accepted(fd) => accepted.push(fd),
                Event::AcceptFailed(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                    failures += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(accepted.len(), 3);
    let passed_ms = began.elapsed().as_millis() as u64;
    assert!(
        failures <= 1 + passed_ms / 100,
        "{failures} tries in {passed_ms} ms, ten a second at most"
    );
    assert!(bench.ring.counters().enters < 65 + passed_ms / 10, "{:?}", bench.ring.counters());

    set_descriptor_limit(128);
    bench.until("all accepted", |ring, _| ring.counters().accepts == connected.len() as u64);
}

fn set_descriptor_limit(soft: u64) {
    let limit = Rlimit { current: Some(soft), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("setrlimit");
}
