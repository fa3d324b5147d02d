//! Bounds of the wire format. A server may set lower ones and tells them in its welcome.

/// Largest frame, in bytes after its length prefix (kind byte and fields). It is the largest value
/// that a two-byte varint holds, so a length prefix is at most two bytes.
pub const FRAME_BYTES_MAX: usize = 16_383;

/// Largest frame that is accepted before login: a hello with the longest token and agent and
/// cursors for every log, as long as the numbers of logs and positions stay below 2^35 and 2^28. A
/// hello that would be larger leaves cursors out.
pub const HELLO_BYTES_MAX: usize = 2_048;

/// Largest body of a message: 100,000 characters of up to four bytes, and 16 KiB for what
/// end-to-end encryption adds.
pub const BODY_BYTES_MAX: usize = 400_000 + 16_384;

/// Largest run of body bytes in one frame. A larger body is cut into parts of at most this size,
/// which leaves room for the longest header of such a frame within [`FRAME_BYTES_MAX`].
pub const PART_BYTES_MAX: usize = 16_300;

/// Longest login token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1_024;

/// Longest name of a client program in a hello, in bytes of UTF-8.
pub const AGENT_BYTES_MAX: usize = 64;

/// Longest explanation in a refuse or goodbye frame, in bytes of UTF-8.
pub const DETAIL_BYTES_MAX: usize = 256;

/// Longest address in a goodbye frame, in bytes of UTF-8 (`host:port`).
pub const ADDRESS_BYTES_MAX: usize = 256;

/// Most logs that one hello, welcome or pong may list.
pub const LOGS_MAX: usize = 64;

/// Most groups in one resume frame. They fit into a frame as long as positions stay below 2^35; a
/// list that would not is sent as several frames.
pub const RESUME_MAX: usize = 1_024;

/// Most users in a list: of a change, or of people to watch.
pub const USERS_MAX: usize = 256;

/// Longest reaction, in bytes: an emoji with its modifiers, or a few.
pub const REACTION_BYTES_MAX: usize = 64;

/// Longest time after which a message may disappear, in seconds: a year.
pub const DISAPPEAR_SECONDS_MAX: u64 = 365 * 86_400;

/// Most members in one answer about a group.
pub const WHO_MAX: usize = 256;

/// Longest name, description or setting of a group, in bytes.
pub const GROUP_VALUE_BYTES_MAX: usize = 4_096;

/// Most entries in one page of a log's past.
pub const HISTORY_MAX: usize = 256;
/// Longest key of an item in a book, in bytes.
pub const KEY_BYTES_MAX: usize = 64;

/// Longest value of an item in a book, in bytes.
pub const VALUE_BYTES_MAX: usize = 1_024;

/// Longest name in a profile, in bytes.
pub const PROFILE_NAME_BYTES_MAX: usize = 128;

/// Longest status line in a profile, in bytes.
pub const PROFILE_STATUS_BYTES_MAX: usize = 512;

/// Longest reference to the picture of a profile, in bytes.
pub const PROFILE_AVATAR_BYTES_MAX: usize = 256;

/// Shortest username, in bytes.
pub const NAME_BYTES_MIN: usize = 3;

/// Longest username, in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// Largest device number. Devices are numbered from 1 within a user.
pub const DEVICE_MAX: u64 = 65_535;

/// Longest header of a frame that carries a body, to a user or a group: length prefix, kind, six
/// varints, content kind.
const HEADER_BYTES_MAX: usize = 2 + 1 + 6 * crate::varint::BYTES_MAX + 1;

/// Longest encoded change: action, users and value. It is the body of one frame, never cut.
const CHANGE_BYTES_MAX: usize =
    1 + (2 + USERS_MAX * crate::varint::BYTES_MAX) + (2 + GROUP_VALUE_BYTES_MAX);

/// Longest state of a group: kind, three varints, a flag, name and description, members and roles.
const GROUP_STATE_BYTES_MAX: usize = 1
    + 3 * crate::varint::BYTES_MAX
    + 1
    + 2 * (2 + GROUP_VALUE_BYTES_MAX)
    + (2 + WHO_MAX * 2 * crate::varint::BYTES_MAX);

/// Longest receipt of a group: kind, seven varints, members and how far they are.
const GROUP_RECEIPT_BYTES_MAX: usize =
    1 + 7 * crate::varint::BYTES_MAX + (2 + WHO_MAX * 2 * crate::varint::BYTES_MAX);

/// Longest resume while positions are below 2^35.
const GROUP_RESUME_BYTES_MAX: usize = 1 + 2 + RESUME_MAX * (crate::varint::BYTES_MAX + 5);

/// Longest hello without its cursors: kind, magic, five varints, token and agent with their lengths,
/// and the number of cursors.
const HELLO_HEADER_BYTES_MAX: usize =
    1 + 4 + 5 * crate::varint::BYTES_MAX + (2 + TOKEN_BYTES_MAX) + (1 + AGENT_BYTES_MAX) + 1;

const _: () = assert!(PART_BYTES_MAX + HEADER_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(CHANGE_BYTES_MAX <= PART_BYTES_MAX);
const _: () = assert!(1 + 2 * crate::varint::BYTES_MAX + CHANGE_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(GROUP_STATE_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(GROUP_RECEIPT_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(GROUP_RESUME_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(HELLO_HEADER_BYTES_MAX + LOGS_MAX * (5 + 4) <= HELLO_BYTES_MAX);
const _: () = assert!(HELLO_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(BODY_BYTES_MAX > PART_BYTES_MAX);
const _: () = assert!(PROFILE_STATUS_BYTES_MAX <= VALUE_BYTES_MAX && NAME_BYTES_MIN > 0);
