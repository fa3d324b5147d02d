//! What a script can do.

use fulmar::shard::{DeviceId, UserId};
use fulmar_protocol::history::History;
use fulmar_protocol::limits::{HISTORY_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Chunks, Code, Frame, Goodbye, Send};

use super::line::Line;
use super::{Course, say_hello};
use crate::script::Script;

/// Connections at once.
const LINES_MAX: usize = 12;
/// Sends of a device that it may send again.
const SENT_MAX: usize = 8;
const USERS: usize = 4;
const DEVICES: usize = 3;

/// A step. In a script it is one byte, its number, and then what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A device connects and says hello: core, user, device, cursor (0 for the true one), token.
    LogIn,
    /// A stranger connects: core.
    Connect,
    /// Bytes: connection, bytes.
    Bytes,
    /// A small message: connection, peer, gap to the last number, filling.
    Send,
    /// A large message: connection, peer, gap, length, how much of it comes.
    SendLarge,
    /// The last messages of the device again: connection, how many.
    Resend,
    /// Acknowledges what came: connection.
    Ack,
    /// Acknowledges any position: connection, position.
    AckAny,
    /// Saw messages: connection, peer, ordinal.
    Read,
    /// Asks for a receipt: connection, peer.
    Ask,
    /// Pings: connection, how often.
    Ping,
    /// Says goodbye: connection.
    Goodbye,
    /// Breaks off: connection.
    HangUp,
    /// Stops reading, or reads again: connection.
    Stall,
    /// Holds something back, or lets it happen: which.
    Hold,
    /// The oldest turns of a core are stored: core, how many.
    Store,
    /// A load of a core is answered: core, which.
    Load,
    /// A letter reaches a core: core.
    Letter,
    /// A token is judged: core, verdict.
    Judge,
    /// Time passes: how long.
    Pass,
    /// The wall clock jumps: where to.
    Jump,
    /// The process ends and begins again: turns of each core that are stored before.
    Crash,
    /// The node is told to stop.
    ShutDown,
    /// Storage removes an entry that has expired: user, position.
    Remove,
    /// Asks for a page: connection, first and last position, limit, direction.
    History,
}

impl Step {
    const ALL: [Step; 25] = [
        Step::LogIn,
        Step::Connect,
        Step::Bytes,
        Step::Send,
        Step::SendLarge,
        Step::Resend,
        Step::Ack,
        Step::AckAny,
        Step::Read,
        Step::Ask,
        Step::Ping,
        Step::Goodbye,
        Step::HangUp,
        Step::Stall,
        Step::Hold,
        Step::Store,
        Step::Load,
        Step::Letter,
        Step::Judge,
        Step::Pass,
        Step::Jump,
        Step::Crash,
        Step::ShutDown,
        Step::Remove,
        Step::History,
    ];
}

impl Course {
    /// Does what the script says next.
    pub(super) fn step(&mut self, script: &mut Script<'_>) {
        self.world.lines.retain(|line| !line.is_closed);
        let cores = self.world.cores.len();
        match script.choose(&Step::ALL) {
            Step::LogIn => self.log_in(script),
            Step::Connect => {
                let core = script.below(cores);
                if self.world.lines.len() < LINES_MAX {
                    self.world.connect(core);
                }
            }
            Step::Store => {
                let core = script.below(cores);
                self.world.store(core, 1 + script.below(4));
            }
            Step::Load => {
                let core = script.below(cores);
                self.world.load(core, script.below(8));
            }
            Step::Letter => {
                self.world.bring_letter(script.below(cores));
            }
            Step::Judge => {
                let core = script.below(cores);
                let refusals = [
                    None,
                    Some(Code::TokenInvalid),
                    Some(Code::TokenExpired),
                    Some(Code::Overloaded),
                ];
                self.world.judge(core, script.choose(&refusals));
            }
            Step::Hold => self.hold(script),
            Step::Pass => {
                let (ms, step_ms) = script.choose(&[
                    (1, 250),
                    (50, 250),
                    (250, 250),
                    (2_100, 700),
                    (11_000, 5_500),
                    (31_000, 10_000),
                    (61_000, 20_000),
                    (301_000, 100_000),
                    (3_600_000, 1_200_000),
                ]);
                self.world.pass(ms, step_ms);
            }
            Step::Jump => {
                let now_ms = self.world.now.unix_ms;
                let to = script.choose(&[
                    now_ms + 1_000,
                    now_ms + 60_000,
                    now_ms + 40 * 24 * 3_600_000,
                    now_ms.saturating_sub(1_000).max(1),
                    (now_ms / 2).max(1),
                ]);
                self.world.jump(to);
            }
            Step::Crash => {
                for core in 0..cores {
                    self.world.store(core, script.below(4));
                }
                self.world.crash();
            }
            Step::ShutDown => self.world.shut_down(),
            Step::Remove => {
                let user = 1 + script.below(USERS) as UserId;
                self.world.remove_expired(user, u64::from(script.byte()));
            }
            step => self.on_line(step, script),
        }
    }

    fn log_in(&mut self, script: &mut Script<'_>) {
        let core = script.below(self.world.cores.len());
        let user = 1 + script.below(USERS) as UserId;
        let device = 1 + script.below(DEVICES) as DeviceId;
        let cursor = match script.number() {
            0 => self.world.facts.acked(user, device),
            any => any,
        };
        let token: &[u8] = if script.flag() { b"a token" } else { b"" };
        if self.world.lines.len() < LINES_MAX {
            let line = self.world.connect(core);
            say_hello((user, device), cursor, token, &mut self.world.lines[line].outgoing);
        }
    }

    fn hold(&mut self, script: &mut Script<'_>) {
        let holds = &mut self.world.holds;
        let held = match script.below(5) {
            0 => &mut holds.turns,
            1 => &mut holds.stores,
            2 => &mut holds.loads,
            3 => &mut holds.letters,
            _ => &mut holds.verdicts,
        };
        *held = !*held;
    }

    /// What a client does on a connection that it has.
    fn on_line(&mut self, step: Step, script: &mut Script<'_>) {
        if self.world.lines.is_empty() {
            return;
        }
        let nth = script.below(self.world.lines.len());
        let line = &mut self.world.lines[nth];
        match step {
            Step::Bytes => line.outgoing.extend_from_slice(script.bytes()),
            Step::Ack => {
                if let Some(position) = line.complete_through() {
                    Frame::Ack { position }.encode(&mut line.outgoing);
                }
            }
            Step::AckAny => Frame::Ack { position: script.number() }.encode(&mut line.outgoing),
            Step::Read => {
                let (peer, ordinal) = (peer(script), script.number());
                Frame::Read { peer, ordinal }.encode(&mut line.outgoing);
            }
            Step::History => {
                let (group, from, through) = (0, script.number(), script.number());
                let limit = 1 + script.below(HISTORY_MAX) as u64;
                let newest_first = script.flag();
                let page = History { group, from, through, limit, newest_first };
                Frame::History(page).encode(&mut line.outgoing);
            }
            Step::Ask => Frame::Ask { peer: peer(script) }.encode(&mut line.outgoing),
            Step::Ping => {
                let count = match script.byte() {
                    byte @ 0..240 => usize::from(byte) % 4,
                    // So many in one piece fill the output.
                    byte => usize::from(byte - 239) * 1_024,
                };
                for _ in 0..count {
                    Frame::Ping.encode(&mut line.outgoing);
                }
            }
            Step::Goodbye => {
                let (code, retry_after_ms, address, detail) = (Code::None, 0, "", "");
                let goodbye = Goodbye { code, retry_after_ms, address, detail };
                Frame::Goodbye(goodbye).encode(&mut line.outgoing);
            }
            Step::Stall => line.is_stalled = !line.is_stalled,
            Step::HangUp => self.world.hang_up(nth),
            Step::Send | Step::SendLarge => self.send(nth, step, script),
            Step::Resend => self.resend(nth, script.below(SENT_MAX)),
            // The others are no client's.
            _ => {}
        }
    }

    fn send(&mut self, nth: usize, step: Step, script: &mut Script<'_>) {
        let line = &mut self.world.lines[nth];
        let (user, device) = line.identity;
        let phone = self.phones.entry((user, device)).or_default();
        let peer = peer(script);
        let number = phone.number_last.saturating_add(1 + u64::from(script.byte() % 4));
        phone.number_last = number;
        let mut body = format!("{user}.{device} to {peer}, {number}").into_bytes();
        let mut comes = usize::MAX;
        if step == Step::Send {
            body.resize(body.len() + 8 * usize::from(script.byte()), b'.');
        } else {
            body.resize(PART_BYTES_MAX + 1 + 512 * usize::from(script.byte()), b'.');
            comes = 1 + usize::from(script.byte());
        }
        transmit(line, peer, number, &body, comes);
        if phone.sent.len() == SENT_MAX {
            phone.sent.remove(0);
        }
        phone.sent.push((peer, number, body));
    }

    fn resend(&mut self, nth: usize, count: usize) {
        let line = &mut self.world.lines[nth];
        let Some(phone) = self.phones.get(&line.identity) else { return };
        let skipped = phone.sent.len().saturating_sub(count + 1);
        for (peer, number, body) in &phone.sent[skipped..] {
            transmit(line, *peer, *number, body, usize::MAX);
        }
    }
}

/// A user, or nobody.
fn peer(script: &mut Script<'_>) -> UserId {
    match script.byte() {
        byte @ 0..248 => 1 + UserId::from(byte) % USERS as UserId,
        248..252 => script.number(),
        _ => 0,
    }
}

/// The first `comes` frames of a message.
fn transmit(line: &mut Line, peer: UserId, number: u64, body: &[u8], comes: usize) {
    let total_bytes = Chunks::total_bytes(body);
    for (nth, body) in Chunks::new(body).enumerate().take(comes) {
        let send = Send { peer, number, content: 1, total_bytes, body };
        let frame = if nth == 0 { Frame::Send(send) } else { Frame::Part { body } };
        frame.encode(&mut line.outgoing);
    }
}
