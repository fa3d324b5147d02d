//! Every bound of the load generator, with the relations between them.

use fulmar_protocol::limits as wire;

/// Smallest body: the stamp that every message carries (run, author, sequence, intended time).
pub const BODY_BYTES_MIN: usize = 24;

/// One read from a socket, together with the piece of a frame that the last read left over.
pub const READ_BYTES: usize = 128 * 1024;

/// Socket events handled per turn; between two turns the schedule gets its chance.
pub const EVENTS_PER_TURN: usize = 256;

/// Logins under way at once. Enough to keep a server busy, few enough that none waits for the
/// server's hello timeout in its accept queue.
pub const OPENING_MAX: usize = 256;

/// Connections from one source address; on loopback the next address serves the ones after. Far
/// below the 28,232 ports of the default `ip_local_port_range`: the kernel looks for a free port
/// in steps, and with most of them taken a login costs a millisecond of our own time.
pub const CONNECTIONS_PER_SOURCE: usize = 4_000;

/// Messages of one direction whose delivered receipt is still out. A sender at this bound waits,
/// so that a server that ticks and never delivers can't fill our memory.
pub const UNRECEIPTED_MAX: usize = 16_384;

/// Messages of an author in a group that aren't with all members, in windows of the author. A sender at
/// this bound waits, so that a server that ticks and never delivers can't fill our memory.
pub const GROUP_WINDOWS_MAX: u64 = 16;

/// Watchers whose answers are under way at once, while all begin to watch.
pub const WATCHERS_FLIGHT_MAX: u64 = 256;

/// How long somebody must be gone until a server tells those who watch, in seconds: the server's own
/// limit, beside its presence interval.
pub const PRESENCE_SETTLE_S: u64 = 5;

/// Encoded bytes that wait for one socket before its sender stops making more.
pub const OUT_PENDING_BYTES_MAX: usize = 64 * 1024;

/// Longest sleep of a turn, so that ctrl-C and the keep-alive sweep are never late.
pub const TURN_NS_MAX: u64 = 100_000_000;

/// Before an intended send the loop polls instead of sleeping: a timer's wake-up is late by tens of
/// microseconds, which would be our error in the server's latency.
pub const SPIN_BEFORE_DUE_NS: u64 = 100_000;

/// How often the keep-alive looks for connections that have been silent.
pub const SWEEP_NS: u64 = 500_000_000;

/// After this time of draining no message that is only due, and not sent, is sent any more.
pub const DRAIN_NS_MAX: u64 = 60_000_000_000;

/// Descriptors needed beside the connections: epoll, standard streams, the server's pipe, `/proc`.
pub const DESCRIPTORS_SPARE: u64 = 64;

/// Faults described in words; the others are only counted.
pub const FAULT_EXAMPLES_MAX: usize = 8;

/// Longest latency that a histogram tells apart, in nanoseconds (an hour). Longer ones count as it.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Time for the started server to print that it is ready.
pub const SERVER_READY_S: u64 = 60;

/// Time for the server to stop after SIGTERM, before it is killed.
pub const SERVER_STOP_S: u64 = 20;

const _: () = assert!(READ_BYTES >= 2 * (wire::FRAME_BYTES_MAX + 2));
const _: () = assert!(TURN_NS_MAX < 1_000_000_000);
const _: () = assert!(BODY_BYTES_MIN <= wire::PART_BYTES_MAX);
