//! Every bound of the torture, with the relations between them.

use std::time::Duration;

use fulmar_protocol::limits as wire;

/// Time for the started server to print that it is ready: it recovers what the last kill left.
pub const SERVER_READY: Duration = Duration::from_secs(60);
/// Time for the server to stop after SIGTERM; longer is not a clean stop.
pub const SERVER_STOP: Duration = Duration::from_secs(20);

/// Time for a server under a fault that it must not survive to end by itself.
pub const DEATH: Duration = Duration::from_secs(20);
/// The same, before the fault is made worse.
pub const DEATH_SOON: Duration = Duration::from_secs(4);
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
/// A device from which the server was asked something, and that heard nothing for so long, gives the
/// connection up. More than two pings are without an answer then.
pub const SILENCE: Duration = Duration::from_secs(4);
/// Longest time for which the server is stopped: longer than devices wait, and than the server waits for
/// a hello.
pub const STOPPED: Duration = Duration::from_secs(7);
/// Time for the server to close the older connection after a takeover.
pub const REPLACED: Duration = Duration::from_secs(15);
/// Longest pause before the next attempt to connect.
pub const RETRY: Duration = Duration::from_millis(60);
/// Longest time that an acknowledgement waits for company.
pub const ACK_DELAY: Duration = Duration::from_millis(30);
/// A question for a receipt is repeated after this time without an answer.
pub const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A group to which the user was added, and of which nothing came for so long, is named in a resume.
pub const GROUP_BEGINS: Duration = Duration::from_secs(2);

/// The server's interval of presence: the shortest that there can be.
pub const PRESENCE: Duration = Duration::from_secs(5);
/// In the end a device waits for so many of these for what it expects to be told of others. By then
/// it is late, which the checker judges.
pub const PRESENCE_PATIENCE: u64 = 3;

/// Room for data, where there must be little, in bytes: enough for all other kinds of faults in the same
/// run, some of which use large segments.
pub const ROOM_BYTES: u64 = 512 << 20;
/// Bytes behind what was synced of a segment that a power cut garbles.
pub const UNSYNCED_BYTES: u64 = 256 * 1024;
/// By how much the server's clock may be wrong, in milliseconds. Less than what ends messages or tokens.
pub const CLOCK_OFFSET_MS: i64 = 10 * 86_400_000;
/// Age up to which messages can be edited where the clock jumps.
pub const EDIT_AGE: Duration = Duration::from_secs(60 * 86_400);
/// Damaged copies of a data directory that are tried in one round.
pub const COPIES: u32 = 3;
/// Accepts that may fail in a second and on one core while there are no descriptors. One that fails is
/// tried again after a pause; without the pause there would be tens of thousands.
pub const ACCEPT_ERRORS_PER_SECOND: f64 = 100.0;

/// Packets that are on the way in one direction of a cable; more are lost.
pub const CABLE_PACKETS: usize = 20_000;
/// How often a cable looks whether it is still wanted.
pub const CABLE_STEP: Duration = Duration::from_millis(20);

/// Time for an answer to an audit.
pub const AUDIT_ANSWER: Duration = Duration::from_secs(20);
/// Logins that an audit tries, where the server has too much to do.
pub const AUDIT_RETRIES: u32 = 20;
/// Pause between them.
pub const AUDIT_RETRY: Duration = Duration::from_millis(250);
/// Time for the answer of a control port.
pub const CONTROL_ANSWER: Duration = Duration::from_secs(5);

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

/// Entries of a group among which a device chooses what it edits, deletes or reacts to.
pub const RECENT_ENTRIES: usize = 40;

/// Pages of one log that a device asks for.
pub const HISTORY_PAGES: usize = 8;
/// Entries of a page, at most.
pub const HISTORY_LIMITS: [u64; 4] = [1, 20, 100, wire::HISTORY_MAX as u64];

/// Most groups in a run.
pub const GROUPS_MAX: u64 = 256;
/// How often a device that makes groups asks for the end of one. A server remembers only so many of the
/// groups that a user was in.
pub const DELETIONS_MAX: u32 = 10;

/// Violations of each kind that are described in words; the others are only counted.
pub const EXAMPLES_MAX: usize = 8;
/// Lines of the server's log that an error shows.
pub const LOG_LINES_SHOWN: usize = 15;

const _: () = assert!(READ_BYTES > 2 * wire::FRAME_BYTES_MAX);
const _: () = assert!(OUT_BYTES_HIGH > 2 * wire::FRAME_BYTES_MAX);
const _: () = assert!(DEVICE_STEP.as_millis() < QUIET.as_millis());
const _: () = assert!(SILENCE.as_millis() < WELCOME.as_millis());
const _: () = assert!(SILENCE.as_millis() < STOPPED.as_millis());
const _: () = assert!(EDIT_AGE.as_millis() > 2 * CLOCK_OFFSET_MS as u128);
const _: () = assert!(DEATH_SOON.as_millis() < DEATH.as_millis());
