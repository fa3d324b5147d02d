//! The steps of a script.

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
    /// A message of any content: connection, peer, content, body.
    Content,
    /// A message that refers to another one, or says when it is over: connection, peer, which of these, whose,
    /// ordinal.
    Refer,
    /// Makes a group: connection, whom of it, length of its name.
    GroupMake,
    /// Changes a group: connection, group, action, users, length of the value.
    GroupChange,
    /// A small message to a group: connection, group, gap to the last number, filling.
    GroupSend,
    /// A large message to a group: connection, group, gap, length, how much of it comes.
    GroupSendLarge,
    /// A message of any content to a group: connection, group, content, body.
    GroupContent,
    /// As to a peer: connection, group, which of these, position.
    GroupRefer,
    /// Goes on with all groups: connection, whether from where it is.
    GroupResume,
    /// Acknowledges what came of all groups: connection.
    GroupAck,
    /// Acknowledges any position of a group: connection, group, position.
    GroupAckAny,
    /// Saw a group: connection, group, position.
    GroupRead,
    /// Asks who has an entry: connection, group, position, after whom.
    GroupAsk,
    /// Asks what a group is: connection, group, after whom.
    GroupLook,
    /// Asks for a page of a group: connection, group, first and last position, limit, direction.
    GroupHistory,
    /// Storage removes an entry of a group that has expired: group, position.
    GroupRemove,
    /// Watches people: connection, users.
    Watch,
    /// No more: connection, users.
    Unwatch,
    /// The person is before the program, or goes: connection, which of it.
    Activity,
    /// Writes, or stops: connection, peer or group, which of it.
    Typing,
    /// Sets an item of the book: connection, item, key, value.
    Put,
    /// Asks for a page of the book: connection, version.
    BookResume,
    /// Asks for a profile: connection, user, version.
    ProfileLook,
    /// Asks who has a username: connection, name.
    Find,
}

impl Step {
    pub(super) const ALL: [Step; 49] = [
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
        Step::Content,
        Step::Refer,
        Step::GroupMake,
        Step::GroupChange,
        Step::GroupSend,
        Step::GroupSendLarge,
        Step::GroupContent,
        Step::GroupRefer,
        Step::GroupResume,
        Step::GroupAck,
        Step::GroupAckAny,
        Step::GroupRead,
        Step::GroupAsk,
        Step::GroupLook,
        Step::GroupHistory,
        Step::GroupRemove,
        Step::Watch,
        Step::Unwatch,
        Step::Activity,
        Step::Typing,
        Step::Put,
        Step::BookResume,
        Step::ProfileLook,
        Step::Find,
    ];
}
