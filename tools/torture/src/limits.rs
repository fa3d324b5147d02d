//! Every bound of the torture, with the relations between them.

use std::time::Duration;

use fulmar_protocol::limits as wire;

/// Time for the started server to print that it is ready: it recovers what the last kill left.
pub const SERVER_READY: Duration = Duration::from_secs(60);
/// Time for the server to stop after SIGTERM; longer is not a clean stop.
pub const SERVER_STOP: Duration = Duration::from_secs(20);

/// Time for all devices to note that the server is about to be stopped.
pub const TAKE_NOTE: Duration = Duration::from_secs(10);
/// A server that ended by itself so often isn't started again.
pub const DEATHS_MAX: usize = 10;
/// All devices are settled and nothing came for this long: then nothing more is expected. Longer
/// than any delay that the server may add to a receipt when it isn't overloaded.
pub const QUIET: Duration = Duration::from_millis(1_500);
/// How often the campaign looks whether it was interrupted, or whether the devices settled.
pub const CAMPAIGN_STEP: Duration = Duration::from_millis(20);

/// Longest wait of a device for its socket, so that it sees a new phase in time.
pub const DEVICE_STEP: Duration = Duration::from_millis(40);
/// Time to connect on loopback.
pub const CONNECT: Duration = Duration::from_secs(2);
/// Time from hello to welcome. A killed server resets the connection, so only a hang takes longer.
pub const WELCOME: Duration = Duration::from_secs(15);
/// Time for the server to close the older connection after a takeover.
pub const REPLACED: Duration = Duration::from_secs(15);
/// Longest pause before the next attempt to connect.
pub const RETRY: Duration = Duration::from_millis(60);
/// Longest time that an acknowledgement waits for company.
pub const ACK_DELAY: Duration = Duration::from_millis(30);
/// A question for a receipt is repeated after this time without an answer.
pub const ASK_AGAIN: Duration = Duration::from_secs(3);

/// One read from a socket.
pub const READ_BYTES: usize = 64 * 1024;
/// Encoded bytes that wait for one socket before nothing more is encoded.
pub const OUT_BYTES_HIGH: usize = 64 * 1024;
/// Entries that may stand between the parts of one large body.
pub const HELD_ENTRIES_MAX: usize = 4_096;
/// Stack of a device's thread: it recurses nowhere and keeps its buffers on the heap.
pub const DEVICE_STACK_BYTES: usize = 512 * 1024;

/// Most users and devices of one: a device is a thread.
pub const USERS_MAX: u64 = 1_000;
/// See [`USERS_MAX`]; the server's default allows 16 devices.
pub const DEVICES_MAX: u64 = 16;
/// Most devices together, by what a machine's threads and descriptors allow without being tuned.
pub const THREADS_MAX: u64 = 2_000;

/// Violations of each kind that are described in words; the others are only counted.
pub const EXAMPLES_MAX: usize = 8;
/// Lines of the server's log that an error shows.
pub const LOG_LINES_SHOWN: usize = 15;

const _: () = assert!(READ_BYTES > 2 * wire::FRAME_BYTES_MAX);
const _: () = assert!(OUT_BYTES_HIGH > 2 * wire::FRAME_BYTES_MAX);
const _: () = assert!(DEVICE_STEP.as_millis() < QUIET.as_millis());
