//! Frames about what lies behind a device's cursor: a page of a log that is asked for, and its entries.

/// Client → server: asks for a page of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The group; 0 for the inbox.
    pub group: u64,
    /// First position that is wanted.
    pub from: u64,
    /// Last position that is wanted.
    pub through: u64,
    /// At most this many entries, 1 to [`HISTORY_MAX`](crate::limits::HISTORY_MAX).
    pub limit: u64,
    /// Whether the page begins at the last of these positions and goes down. Otherwise it begins at the
    /// first and goes up.
    pub newest_first: bool,
}

/// Server → client: an entry of a page, or the first part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past<'a> {
    /// The group; 0 for the inbox.
    pub group: u64,
    /// Its position in the log.
    pub position: u64,
    /// Of the inbox: the other user of the conversation. Of a group: the author.
    pub peer: u64,
    /// Of the inbox: which message of its direction it is. Of a group: 0.
    pub ordinal: u64,
    /// When the server took it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What the body is.
    pub content: u8,
    /// Whether this user sent it, from whichever device.
    pub own: bool,
    /// Length of the whole body where it continues in part frames; `None` where it is all here.
    pub total_bytes: Option<u64>,
    /// The body, or its first bytes; at most
    /// [`PART_BYTES_MAX`](crate::limits::PART_BYTES_MAX).
    pub body: &'a [u8],
}

/// Server → client: the page is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEnd {
    /// The group; 0 for the inbox.
    pub group: u64,
    /// First position that the page covers: what is kept of these positions was in it.
    pub from: u64,
    /// Last position that it covers; less than `from` where it covers none.
    pub through: u64,
    /// Whether something lies beyond, in the positions that were asked for.
    pub has_more: bool,
}
