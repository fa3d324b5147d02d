//! Faults that can be planted, to see that the simulator would notice them.
//!
//! With the feature `planted-faults`, which nothing but the simulator's check of itself switches on,
//! [`plant`] makes one of them real for the calling thread. Without it [`is_planted`] is a constant
//! `false`, and the compiler leaves nothing of it.

/// Makes the enum, the list of all and their names.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What can be planted. Each is a promise broken in one place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name),+];

            /// What it breaks, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Fault::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

faults! {
    /// The tick goes out before its write is stored.
    TickBeforeCommit,
    /// An entry is delivered before it is stored.
    DeliverBeforeCommit,
    /// A device's cursor moves when a message is sent to it, not when it is acknowledged.
    CursorBeforeAck,
    /// A resend is taken as a new message.
    ResendNotRecognised,
    /// A resend is answered with the newest ordinal instead of its own.
    ResendWrongOrdinal,
    /// The number of a send isn't stored with its message.
    NumberNotStored,
    /// After a start the head of an inbox is what its record says, though the log has more.
    PositionReused,
    /// The older session of a device goes on after a takeover.
    TakeoverWithoutFence,
    /// An inbox is trimmed up to the fastest device.
    TrimPastCursor,
    /// A delivered receipt tells of one message more than was acknowledged.
    ReceiptAhead,
    /// A delivered receipt tells of what was sent to a device, not of what it acknowledged.
    ReceiptOfUnacknowledged,
    /// Read moves with delivered.
    ReadWithoutReading,
    /// A cursor is stored without the receipts that follow from it.
    ReceiptNotStored,
    /// Receipts that are held back under load are forgotten.
    HeldReceiptForgotten,
    /// Receipts that a full output had no room for are forgotten.
    StalledReceiptForgotten,
    /// A receipt is told to one of the author's devices only.
    ReceiptToOneDevice,
    /// A full inbox drops its oldest message to make room.
    QuotaEvicts,
    /// A send to a full inbox takes a position though it is rejected.
    PositionBurned,
    /// A full inbox stays full, whatever its devices acknowledge.
    QuotaNeverGivenBack,
    /// A send to a full inbox is ticked and not kept.
    QuotaTicks,
    /// Messages expire after half of their time.
    ExpiresEarly,
    /// What a device may have unacknowledged isn't bounded.
    WindowIgnored,
    /// Letters of a core to itself are taken newest first.
    LettersReversed,
    /// News about an earlier connection of a slot is taken for the present one.
    StaleGeneration,
    /// A cold read passes over one message more than it brought.
    ColdReadSkips,
    /// The last piece of a large body lacks a byte.
    BodyCut,
    /// Own sends aren't copied to the user's other devices.
    CopyForgotten,
    /// The copy of a resend is put into the inbox again.
    CopyRepeated,
    /// With several devices the tick doesn't wait for the own copy.
    TickBeforeCopy,
    /// A new device is welcomed and not stored.
    DeviceNotStored,
    /// What is unused stays in memory for its time, however much there is.
    CrowdIgnored,
    /// The state of a user that has writes under way is let go from memory.
    EvictedTooEarly,
    /// A commit isn't synced.
    CommitNotSynced,
    /// A commit tells each core that its newest batch is stored, though it took an older one.
    ConfirmsUntaken,
    /// Recovery takes a torn record for a whole one.
    TornRecordTaken,
    /// Recovery replaces the last segment though it holds records.
    LastSegmentDropped,
    /// Old segments are freed though the database hasn't flushed what they held.
    DrainNotFlushed,
    /// Old segments are freed without carrying conversations over.
    DrainForgetsConversations,
    /// A trim takes one entry more out of the log's index.
    IndexTrimsTooMuch,
    /// The bell isn't rung for what comes out of a backlog.
    LostWakeUp,
    /// What finds a full ring is dropped.
    FullRingDrops,
    /// What comes after a backlog overtakes it.
    BacklogOvertaken,
    /// Sockets are read though too much waits for other threads.
    GateIgnored,
    /// A connection that was paused is never read again.
    NeverResumed,
    /// Who is removed from a group goes on to get what comes.
    GroupMemberNotRemoved,
    /// An entry of a group goes to its members before it is stored.
    GroupEntryBeforeCommit,
    /// A resend to a group is taken as a new message.
    GroupResendNotRecognised,
    /// A message for which a group's log has no room is rejected and kept.
    GroupRejectedKept,
    /// A message for which a group's log has no room takes a position though it is rejected.
    GroupPositionBurned,
    /// A resend to a group is rejected as stale.
    GroupResendStale,
    /// A new member of a group gets what was before it.
    GroupHistoryShown,
    /// The cores of a group's members aren't told of a new one.
    GroupSeatNotTold,
    /// A feed passes over one entry more than storage brought.
    GroupFeedSkips,
    /// A receipt of a group counts a member more than has it.
    GroupReceiptAhead,
    /// The head of a group stays as it was at the first entry.
    GroupHeadForgotten,
    /// What refers to a message that there isn't is taken.
    ReferenceNotJudged,
    /// A member edits another member's message.
    GroupEditOfOthers,
    /// Messages may be changed for ever.
    AgeNotJudged,
    /// A message that says when it is over is delivered afterwards.
    OverDelivered,
    /// What is over stays in storage.
    OverKept,
    /// A change of a book is confirmed and not stored.
    BookNotStored,
    /// A change of a book is told to the device that made it only.
    BookToOneDevice,
    /// A change of a book takes the version of the one before.
    BookVersionReused,
    /// What a blocked person sends is delivered.
    BlockedDelivered,
    /// Who is blocked goes on to get receipts.
    BlockedGetsReceipts,
    /// A page of the past lacks its last entry.
    PageLacksEntry,
    /// A page of the past goes on beyond the entries that were asked for.
    PageTooLong,
    /// An acknowledgement counts as something that a person did.
    LastSeenByAck,
    /// When somebody was last seen isn't stored.
    LastSeenNotStored,
    /// Who took up the program once is there for ever.
    OnlineForEver,
    /// Changes of presence are told whenever they happen.
    PresenceNotGathered,
    /// Who watched and had no room for what holds isn't told later.
    OwedPresenceForgotten,
    /// Who is blocked sees presence.
    BlockedSeesPresence,
    /// When somebody was last seen is told to everybody, whatever they chose.
    HiddenIsSeen,
    /// What was read is shown to everybody, whatever the reader chose.
    HiddenReadsShown,
    /// Who doesn't want to be told of somebody any more is told.
    UnwatchIgnored,
    /// What a session watched is watched when it is over.
    WatchOutlivesSession,
    /// That a blocked person writes is shown.
    BlockedTypingShown,
    /// That somebody writes is shown on devices whose person isn't there.
    TypingShownToAbsent,
    /// A change of a profile leaves it the version that it has.
    ProfileVersionReused,
    /// A profile is told before it is stored.
    ProfileBeforeCommit,
    /// A username is given without asking whether somebody has it.
    NameNotClaimed,
    /// A username that somebody has is given to the next who wants it.
    NameHandedOver,
    /// Who doesn't want to be found by its username is.
    HiddenIsFound,
    /// Some ticks of a group are told later than those behind them.
    GroupTickOvertaken,
    /// Who asks for the head of a group is told the entry before.
    GroupHeadBehind,
    /// Who asks what a group is may be told what isn't stored.
    GroupShownAhead,
    /// Who asks what a group is is told its owner as an admin.
    GroupRoleShownWrong,
    /// Who isn't in a group any more is told what it is.
    GroupShownToStranger,
    /// Who isn't in a group any more is shown to write there.
    StrangerShownToWrite,
}

/// Whether a fault is planted in this thread.
#[cfg(not(feature = "planted-faults"))]
#[must_use]
pub const fn is_planted(_: Fault) -> bool {
    false
}

#[cfg(feature = "planted-faults")]
pub use planted::{is_planted, plant};

#[cfg(feature = "planted-faults")]
mod planted {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether a fault is planted in this thread.
    #[must_use]
    pub fn is_planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Plants a fault in this thread, instead of the one before; `None` for none.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }
}
