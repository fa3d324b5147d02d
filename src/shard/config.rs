//! What an operator decides about a shard.

use fulmar_protocol::limits as wire;

use super::seam::CoreId;
use crate::limits::{CONVERSATIONS_WARM_MAX, GROUPS_WARM_MAX, OUTPUT_HIGH_BYTES, USERS_WARM_MAX};

/// How long messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// Until every device of the recipient has them, or they expire.
    #[default]
    Temporary,
    /// For ever.
    History,
}

/// Settings of one shard. All cores of a node have the same, but for `core`.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// This core.
    pub core: CoreId,
    /// Cores of the node.
    pub cores: u16,
    /// How long messages are kept.
    pub retention: Retention,
    /// Age at which a message of temporary retention is dropped though a device lacks it, in
    /// milliseconds.
    pub expiry_ms: u64,
    /// Messages that an inbox holds for the slowest device.
    pub quota_messages: u64,
    /// Body bytes that an inbox holds for the slowest device.
    pub quota_bytes: u64,
    /// Devices of one user.
    pub devices_max: usize,
    /// Messages on their way to a device without acknowledgement.
    pub window_messages: u32,
    /// Body bytes on their way to a device without acknowledgement.
    pub window_bytes: u64,
    /// Sends of a connection without an answer.
    pub sends_max: u32,
    /// Largest body, in bytes.
    pub body_bytes_max: u64,
    /// Connections on which nothing is heard for this long are closed, in seconds.
    pub idle_s: u64,
    /// Silence of a person after which they aren't online, and the time between two changes of that which
    /// are told, in milliseconds.
    pub presence_interval_ms: u64,
    /// Time from accept to a complete hello, in milliseconds.
    pub hello_timeout_ms: u64,
    /// Time from a frame's first byte to its last, in milliseconds.
    pub frame_timeout_ms: u64,
    /// Whether a hello without a token is believed.
    pub unsigned_users: bool,
    /// Age from which on a message can't be edited or deleted for everyone, in milliseconds.
    pub edit_max_age_ms: u64,
    /// Unwritten output of a connection from which on nothing is added that can wait, in bytes.
    pub output_high_bytes: usize,
    /// Members of a group.
    pub group_members_max: usize,
    /// Entries that a group's log holds.
    pub group_quota_messages: u64,
    /// Body bytes that a group's log holds.
    pub group_quota_bytes: u64,
    /// Groups that this core keeps in memory though nothing happens in them just now.
    pub groups_warm_max: usize,
    /// Inboxes that this core keeps in memory though nobody uses them just now.
    pub users_warm_max: usize,
    /// The same for conversations.
    pub conversations_warm_max: usize,
}

impl ShardConfig {
    /// The defaults, for core `core` of `cores`.
    #[must_use]
    pub const fn new(core: CoreId, cores: u16) -> Self {
        ShardConfig {
            core,
            cores,
            retention: Retention::Temporary,
            expiry_ms: 30 * 24 * 3_600 * 1_000,
            quota_messages: 10_000,
            quota_bytes: 64 * 1024 * 1024,
            devices_max: 16,
            window_messages: 128,
            window_bytes: 128 * 1024,
            sends_max: 128,
            body_bytes_max: wire::BODY_BYTES_MAX as u64,
            idle_s: 300,
            presence_interval_ms: 30_000,
            hello_timeout_ms: 5_000,
            frame_timeout_ms: 10_000,
            unsigned_users: false,
            edit_max_age_ms: 24 * 3_600 * 1_000,
            output_high_bytes: OUTPUT_HIGH_BYTES,
            group_members_max: 1_024,
            group_quota_messages: 1_000_000,
            group_quota_bytes: 1 << 30,
            groups_warm_max: GROUPS_WARM_MAX,
            users_warm_max: USERS_WARM_MAX,
            conversations_warm_max: CONVERSATIONS_WARM_MAX,
        }
    }
}
