//! What a script can do; [`groups`] and [`people`] have what is about those.

mod groups;
mod people;
mod step;

use fulmar::shard::{DeviceId, LogId, UserId};
use fulmar_protocol::content::{Content, Target as Meant};
use fulmar_protocol::history::History;
use fulmar_protocol::limits::{HISTORY_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Chunks, Code, Frame, Goodbye, Send};

use super::facts::Target;
use super::line::Line;
use super::{Course, Sent, say_hello};
use crate::script::Script;
pub(crate) use step::Step;

/// Connections at once.
const LINES_MAX: usize = 12;
/// Sends of a device that it may send again.
const SENT_MAX: usize = 8;
const USERS: usize = 4;
const DEVICES: usize = 3;

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
                self.world.remove_expired(LogId::Inbox(user), u64::from(script.byte()));
            }
            Step::GroupRemove => {
                let group = self.group(script);
                self.world.remove_expired(LogId::Group(group), u64::from(script.byte()));
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
            Step::History => page(0, script, &mut line.outgoing),
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
            Step::Content => {
                let (peer, content) = (peer(script), script.byte());
                self.send_any(nth, Target::Peer(peer), content, script.bytes().to_vec(), 1);
            }
            Step::Refer => {
                let peer = peer(script);
                let (content, body) = referring(script, |script| Meant {
                    of_peer: script.flag(),
                    place: script.number(),
                });
                self.send_any(nth, Target::Peer(peer), content, body, 1);
            }
            step if self.in_group(nth, step, script) => {}
            step => self.of_people(nth, step, script),
        }
    }

    fn send(&mut self, nth: usize, step: Step, script: &mut Script<'_>) {
        let peer = peer(script);
        self.send_text(nth, Target::Peer(peer), step == Step::SendLarge, script);
    }

    /// A message that names its sender and its number, so that no two are alike.
    fn send_text(&mut self, nth: usize, to: Target, is_large: bool, script: &mut Script<'_>) {
        let (user, device) = self.world.lines[nth].identity;
        let number = self.next_number(nth, 1 + u64::from(script.byte() % 4));
        let mut body = match to {
            Target::Peer(peer) => format!("{user}.{device} to {peer}, {number}").into_bytes(),
            Target::Group(group) => format!("{user}.{device} in {group}, {number}").into_bytes(),
        };
        let mut comes = usize::MAX;
        if is_large {
            body.resize(PART_BYTES_MAX + 1 + 512 * usize::from(script.byte()), b'.');
            comes = 1 + usize::from(script.byte());
        } else {
            body.resize(body.len() + 8 * usize::from(script.byte()), b'.');
        }
        self.transmit(nth, Sent { to, number, content: 1, body }, comes);
    }

    /// A message of any content, or a change.
    fn send_any(&mut self, nth: usize, to: Target, content: u8, body: Vec<u8>, gap: u64) {
        let number = self.next_number(nth, gap);
        self.transmit(nth, Sent { to, number, content, body }, usize::MAX);
    }

    fn next_number(&mut self, nth: usize, gap: u64) -> u64 {
        let phone = self.phones.entry(self.world.lines[nth].identity).or_default();
        phone.number_last = phone.number_last.saturating_add(gap);
        phone.number_last
    }

    /// Sends the first `comes` frames of something, and remembers it.
    fn transmit(&mut self, nth: usize, sent: Sent, comes: usize) {
        let line = &mut self.world.lines[nth];
        transmit(line, &sent, comes);
        let phone = self.phones.entry(line.identity).or_default();
        if phone.sent.len() == SENT_MAX {
            phone.sent.remove(0);
        }
        phone.sent.push(sent);
    }

    fn resend(&mut self, nth: usize, count: usize) {
        let line = &mut self.world.lines[nth];
        let Some(phone) = self.phones.get(&line.identity) else { return };
        let skipped = phone.sent.len().saturating_sub(count + 1);
        for sent in &phone.sent[skipped..] {
            transmit(line, sent, usize::MAX);
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

/// The first `comes` frames of something.
fn transmit(line: &mut Line, sent: &Sent, comes: usize) {
    let &Sent { to, number, content, ref body } = sent;
    let total_bytes = Chunks::total_bytes(body);
    for (nth, body) in Chunks::new(body).enumerate().take(comes) {
        let frame = match to {
            _ if nth > 0 => Frame::Part { body },
            Target::Peer(peer) => Frame::Send(Send { peer, number, content, total_bytes, body }),
            Target::Group(group) => groups::frame(group, number, content, total_bytes, body),
        };
        frame.encode(&mut line.outgoing);
    }
}

/// The content and body of a message that refers to another one, or says when it is over.
fn referring(script: &mut Script<'_>, target: impl Fn(&mut Script<'_>) -> Meant) -> (u8, Vec<u8>) {
    let kind = script.byte();
    let target = target(script);
    let place = target.place;
    let content = match kind % 4 {
        0 => Content::Edit { target: place, body: b"edited" },
        1 => Content::Delete { target: place },
        2 => Content::Reaction { target, body: b"!" },
        _ => Content::Timer { seconds: place },
    };
    let mut body = Vec::new();
    content.encode(&mut body);
    if kind & 0x80 == 0 {
        return (content.number(), body);
    }
    let (seconds, content) =
        (1 + u64::from(kind & 0x7f), if kind % 4 == 3 { 1 } else { content.number() });
    let outer = Content::Disappearing { seconds, content, body: &body };
    let mut body = Vec::new();
    outer.encode(&mut body);
    (outer.number(), body)
}

/// Asks for a page of a log.
fn page(group: u64, script: &mut Script<'_>, out: &mut Vec<u8>) {
    let (from, through) = (script.number(), script.number());
    let limit = 1 + script.below(HISTORY_MAX) as u64;
    let newest_first = script.flag();
    Frame::History(History { group, from, through, limit, newest_first }).encode(out);
}
