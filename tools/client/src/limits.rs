//! Bounds of the client's own queues, buffers and timers.
//!
//! The server states its limits in the welcome; these hold whatever it states.

use std::ops::RangeInclusive;

pub use fulmar_protocol::limits::BODY_BYTES_MAX;
use fulmar_protocol::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};

/// Messages that may wait for their tick, on the wire or offline. Beyond it a send waits or is
/// refused, as the caller asked.
pub const OUTBOX_MESSAGES_MAX: usize = 10_000;

/// Body bytes of the messages that may wait for their tick; they are held in memory.
pub const OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sends without an answer on one connection, where the server would allow more.
pub const SENDS_IN_FLIGHT_MAX: usize = 1_024;

/// Waiting sends that are looked at for one that may pass a large body in progress.
pub const SENDS_LOOKED_AT_MAX: usize = 64;

/// Small sends that go between two parts of a large body.
pub const SENDS_PER_PART_MAX: usize = 8;

/// No further send or part is added to a write of this many bytes.
pub const WRITE_BYTES_FULL: usize = 32 * 1024;

/// Received bytes that aren't stored yet: from here on nothing more is read from the socket.
pub const UNSTORED_BYTES_PAUSE: usize = 8 * 1024 * 1024;

/// Messages held back behind a large body that isn't complete yet.
pub const HELD_MESSAGES_MAX: usize = 16_384;

/// Body bytes of the messages held back behind a large body that isn't complete yet.
pub const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Counted for each write to the store, and for each message held back, beside the body.
pub(crate) const MESSAGE_BYTES: usize = 128;

/// Questions for receipts without an answer.
pub const ASKS_IN_FLIGHT_MAX: usize = 32;

/// A question for a receipt that an overloaded server left unanswered this long is asked again, and so is one about a
/// group in which somebody lacked the entry, or of which a newer entry of the user came since; in milliseconds.
pub const ASK_AGAIN_MS: u64 = 60_000;

/// Questions of the program about members of groups that wait for an answer; more fall away.
pub const QUESTIONS_MAX: usize = 64;

/// Logs that wait to be filled with what lies before this device; more fall away.
pub const FILLS_MAX: usize = 1_024;

/// Items of the book that wait for an answer of the server; more are refused.
pub const PUTS_MAX: usize = 4_096;

/// Those of them that are under way at once.
pub const PUTS_IN_FLIGHT_MAX: usize = 16;

/// Profiles that wait to be asked for; more fall away until their person is told of again.
pub const PROFILES_MAX: usize = 4_096;

/// Bounds of the time after which it is told again that the person has the program before them, in milliseconds,
/// whatever the server's interval is.
pub const ACTIVITY_MS: RangeInclusive<u64> = 2_000..=PRESENT_MS;

/// How long after the person did something in the program it counts as being before them, in milliseconds.
pub const PRESENT_MS: u64 = 300_000;

/// Time in which it isn't told again that the person writes, in milliseconds.
pub const TYPING_AGAIN_MS: u64 = 3_000;

/// People whose presence is watched at once.
pub const WATCHED_MAX: usize = 256;

/// Time for a TCP connection to open, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 10_000;

/// Time from an open connection to the welcome, in milliseconds.
pub const WELCOME_MS_MAX: u64 = 30_000;

/// The pause before the first attempt to reconnect is at most this, in milliseconds; it doubles
/// with each that fails.
pub const BACKOFF_MS_MIN: u64 = 500;

/// The pause between two attempts never grows beyond this, in milliseconds.
pub const BACKOFF_MS_MAX: u64 = 60_000;

/// A retry-after of the server counts up to this, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// A connection that lived this long after its welcome was a good one: the pauses start anew.
pub const STABLE_MS: u64 = 30_000;

/// Shortest and longest time between pings, in milliseconds, whatever idle limit the server states.
pub(crate) const PING_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;

/// While an answer is awaited a ping goes out after this much silence, in milliseconds.
pub const PING_WAITING_MS: u64 = 10_000;

/// Shortest silence after a ping that ends the connection, in milliseconds.
pub const SILENCE_MS_MIN: u64 = 20_000;

/// Sent bytes that the peer's machine doesn't confirm for this long end the connection, in
/// milliseconds.
pub const UNCONFIRMED_MS_MAX: u64 = 60_000;

/// Time for the last bytes of a connection that is being closed, in milliseconds.
pub const CLOSE_MS_MAX: u64 = 1_000;

/// Most messages that one look into the history returns.
pub const HISTORY_MAX: usize = 1_000;

/// Events that wait for the program; beyond them nothing more is read from the socket.
pub const EVENTS_WAITING_MAX: usize = 1_024;

/// Requests of the program that wait for the driver.
pub const REQUESTS_WAITING_MAX: usize = 256;

/// Largest number that a store keeps: positions, ordinals and send numbers are at most this.
pub const NUMBER_MAX: u64 = i64::MAX as u64;

const _: () = assert!(BODY_BYTES_MAX <= OUTBOX_BYTES_MAX);
const _: () = assert!(BODY_BYTES_MAX + MESSAGE_BYTES < UNSTORED_BYTES_PAUSE);
const _: () = assert!(BODY_BYTES_MAX <= HELD_BYTES_MAX);
const _: () = assert!(PART_BYTES_MAX < FRAME_BYTES_MAX && FRAME_BYTES_MAX <= WRITE_BYTES_FULL);
const _: () = assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX && BACKOFF_MS_MAX <= RETRY_AFTER_MS_MAX);
