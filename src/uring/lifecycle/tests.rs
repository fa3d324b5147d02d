//! The state machine against a model of the kernel, and its main paths one by one.

use super::*;

/// The kernel's side of one socket: what is in flight, and whether it can still succeed.
#[derive(Debug, Default)]
struct Kernel {
    receive: Option<Wanted>,
    is_cancelled: bool,
    is_broken: bool,
    is_write_shut: bool,
}

/// A socket, the kernel under it, and how it ended.
struct World {
    lifecycle: Lifecycle,
    kernel: Kernel,
    end: Option<Due>,
    random: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let wanted = [Wanted::Once, Wanted::Always][seed as usize % 2];
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let lifecycle = Lifecycle::new(wanted);
        let mut world = World { lifecycle, kernel: Kernel::default(), end: None, random };
        world.settle();
        world
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn settle(&mut self) {
        while self.end.is_none() {
            match self.lifecycle.next_due() {
                Due::Nothing => break,
                Due::Arm(wanted) => {
                    assert_ne!(wanted, Wanted::Nothing);
                    assert!(self.kernel.receive.is_none(), "armed once at a time");
                    self.kernel.receive = Some(wanted);
                    self.kernel.is_cancelled = false;
                }
                Due::CancelReceive => {
                    assert!(self.kernel.receive.is_some(), "something to cancel");
                    assert!(!self.kernel.is_cancelled, "cancelled once");
                    self.kernel.is_cancelled = true;
                }
                Due::ShutdownWrite => {
                    assert!(!self.lifecycle.is_send_in_flight(), "FIN follows the last byte");
                    assert!(!self.kernel.is_write_shut, "FIN is sent once");
                    self.kernel.is_write_shut = true;
                    if self.kernel.is_broken {
                        self.lifecycle.not_connected();
                    }
                }
                Due::EndSend | Due::Reset => self.kernel.is_broken = true,
                due @ (Due::Detach | Due::Close(_)) => {
                    assert!(self.kernel.receive.is_none(), "nothing in flight at the end");
                    assert!(!self.lifecycle.is_send_in_flight(), "nothing in flight at the end");
                    self.end = Some(due);
                }
            }
        }
    }

    fn receive_completes(&mut self) {
        let Some(armed) = self.kernel.receive else { return };
        let choice = self.below(10);
        let more = choice < 3 && armed == Wanted::Always && !self.kernel.is_broken;
        if !more {
            self.kernel.receive = None;
        }
        match choice {
            _ if self.kernel.is_broken => self.lifecycle.receive_failed(libc::ECONNRESET),
            _ if self.kernel.is_cancelled && !more => self.lifecycle.receive_over(),
            0..=5 => self.lifecycle.received(more),
            6 => self.lifecycle.received_eof(),
            7 => {
                self.kernel.is_broken = true;
                self.lifecycle.receive_failed(libc::ETIMEDOUT);
            }
            _ => self.lifecycle.receive_over(),
        }
    }

    fn send_completes(&mut self) {
        let unsent = self.lifecycle.unsent().len() as u64;
        if unsent == 0 {
            return;
        }
        if self.kernel.is_broken || self.below(10) == 0 {
            self.kernel.is_broken = true;
            let written = self.lifecycle.send_failed(libc::EPIPE);
            assert!(matches!(written, Written::Dropped));
            return;
        }
        let bytes = 1 + self.below(unsent);
        match self.lifecycle.sent(bytes as u32) {
            Written::Whole(buffer) => assert!(bytes == unsent && !buffer.is_empty()),
            Written::Part => assert_eq!(self.lifecycle.unsent().len() as u64, unsent - bytes),
            Written::Dropped => assert!(!self.lifecycle.takes_sends()),
        }
    }

    /// One thing that the owner or the kernel may do at this moment.
    fn step(&mut self) {
        match self.below(20) {
            0 => self.lifecycle.want(Wanted::Nothing),
            1 | 2 => self.lifecycle.want(Wanted::Once),
            3 | 4 => self.lifecycle.want(Wanted::Always),
            5 | 6 if self.lifecycle.takes_sends() && !self.lifecycle.is_send_in_flight() => {
                let len = 1 + self.below(9) as usize;
                self.lifecycle.send(vec![7; len]);
            }
            7 if self.below(8) == 0 => self.lifecycle.detach(),
            8 if self.below(8) == 0 => self.lifecycle.close(),
            9 if self.below(16) == 0 => self.lifecycle.abort(),
            10 | 11 => self.lifecycle.turn_over(),
            12 => {
                if self.lifecycle.rest() {
                    assert!(self.kernel.receive.is_some() && !self.kernel.is_cancelled);
                    self.kernel.is_cancelled = true;
                }
            }
            13..=16 => self.receive_completes(),
            _ => self.send_completes(),
        }
        self.settle();
    }
}

#[test]
fn whatever_happens_a_socket_ends_once_and_with_nothing_in_flight() {
    let seeds = if cfg!(miri) { 200 } else { 100_000 };
    let mut ends = [0; 4];
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for _ in 0..200 {
            if world.end.is_some() {
                break;
            }
            world.step();
        }
        // Whatever it waited for, an abort gets it over with.
        world.lifecycle.abort();
        world.settle();
        while world.end.is_none() {
            let was = (world.kernel.receive, world.lifecycle.unsent().len());
            assert!(was.0.is_some() || was.1 > 0, "seed {seed}: nothing left to wait for");
            world.receive_completes();
            world.send_completes();
            world.settle();
        }
        let index = match world.end.expect("an end") {
            Due::Close(Reason::PeerEof) => 0,
            Due::Close(Reason::Error(_)) => 1,
            Due::Close(Reason::Local) => 2,
            _ => 3,
        };
        ends[index] += 1;
    }
    assert!(ends.iter().all(|&count| count > seeds / 100), "every end was met: {ends:?}");
}

#[test]
fn a_socket_that_is_wanted_is_armed_or_waits_for_the_end_of_the_turn() {
    for seed in 0..2_000 {
        let mut world = World::new(seed);
        for _ in 0..100 {
            world.step();
            if world.end.is_some() || world.lifecycle.life != Life::Open {
                break;
            }
            match (world.lifecycle.receiving, world.lifecycle.wanted) {
                (Receiving::Idle, wanted) => assert_eq!(wanted, Wanted::Nothing),
                (Receiving::Armed | Receiving::Waiting, wanted) => {
                    assert_ne!(wanted, Wanted::Nothing);
                }
                (Receiving::Cancelling, _) => assert!(world.kernel.is_cancelled),
                (Receiving::Ended, _) => unreachable!("an open socket hasn't ended"),
            }
        }
    }
}

/// Runs what is due and returns it.
fn all_due(lifecycle: &mut Lifecycle) -> Vec<Due> {
    let mut all = Vec::new();
    loop {
        match lifecycle.next_due() {
            Due::Nothing => return all,
            due @ (Due::Detach | Due::Close(_)) => {
                all.push(due);
                return all;
            }
            due => all.push(due),
        }
    }
}

#[test]
fn a_close_flushes_shuts_discards_and_closes() {
    let mut lifecycle = Lifecycle::new(Wanted::Always);
    assert_eq!(all_due(&mut lifecycle), [Due::Arm(Wanted::Always)]);
    lifecycle.send(vec![1, 2, 3]);
    lifecycle.close();
    assert!(!lifecycle.takes_sends() && !lifecycle.reports_input());
    assert_eq!(all_due(&mut lifecycle), []);
    assert!(matches!(lifecycle.sent(2), Written::Part));
    assert_eq!(lifecycle.unsent(), [3]);
    assert!(matches!(lifecycle.sent(1), Written::Whole(_)));
    assert_eq!(all_due(&mut lifecycle), [Due::ShutdownWrite]);
    lifecycle.received(true);
    assert_eq!(all_due(&mut lifecycle), []);
    lifecycle.received_eof();
    assert_eq!(all_due(&mut lifecycle), [Due::Close(Reason::Local)]);
}

#[test]
fn a_paused_socket_receives_again_to_close() {
    let mut lifecycle = Lifecycle::new(Wanted::Once);
    assert_eq!(all_due(&mut lifecycle), [Due::Arm(Wanted::Once)]);
    lifecycle.received(false);
    assert_eq!(all_due(&mut lifecycle), []);
    lifecycle.close();
    assert_eq!(all_due(&mut lifecycle), [Due::ShutdownWrite, Due::Arm(Wanted::Always)]);
}

#[test]
fn a_resume_during_a_cancel_arms_again_at_the_end_of_the_turn() {
    let mut lifecycle = Lifecycle::new(Wanted::Always);
    all_due(&mut lifecycle);
    lifecycle.want(Wanted::Nothing);
    assert_eq!(all_due(&mut lifecycle), [Due::CancelReceive]);
    lifecycle.want(Wanted::Always);
    assert_eq!(all_due(&mut lifecycle), []);
    lifecycle.receive_over();
    assert!(lifecycle.is_waiting());
    assert_eq!(all_due(&mut lifecycle), []);
    lifecycle.turn_over();
    assert_eq!(all_due(&mut lifecycle), [Due::Arm(Wanted::Always)]);
}

#[test]
fn the_peers_end_ends_a_send_that_waits() {
    let mut lifecycle = Lifecycle::new(Wanted::Always);
    all_due(&mut lifecycle);
    lifecycle.send(vec![1, 2, 3]);
    lifecycle.received_eof();
    assert_eq!(all_due(&mut lifecycle), [Due::EndSend]);
    lifecycle.send_failed(libc::EPIPE);
    assert_eq!(all_due(&mut lifecycle), [Due::Close(Reason::PeerEof)]);
}

#[test]
fn a_failed_send_resets_a_receive_that_might_wait_for_ever() {
    let mut lifecycle = Lifecycle::new(Wanted::Always);
    all_due(&mut lifecycle);
    lifecycle.send(vec![1]);
    lifecycle.send_failed(libc::EPIPE);
    assert_eq!(all_due(&mut lifecycle), [Due::Reset]);
    lifecycle.receive_failed(libc::ECONNRESET);
    assert_eq!(all_due(&mut lifecycle), [Due::Close(Reason::Error(libc::EPIPE))]);
}
