//! What a frame is: its kind, the flags that go with it, and who causes it.

/// What a frame is. The number is the low six bits of the kind byte.
///
/// Numbers from 32 upwards are *skippable*: a peer that doesn't know one ignores the frame. An
/// unknown number below 32 ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client's first frame.
    Hello = 1,
    /// The login succeeded.
    Welcome = 2,
    /// The login failed; the connection closes.
    Refuse = 3,
    /// A message from this device to a peer.
    Send = 4,
    /// More bytes of the large body in progress in this direction.
    Part = 5,
    /// The tick: a send is durable.
    Sent = 6,
    /// A send was not taken.
    Rejected = 7,
    /// A message for this device.
    Deliver = 8,
    /// Positions that hold nothing for this device.
    Skip = 9,
    /// This device stored everything up to a position.
    Ack = 10,
    /// The person saw a conversation up to an ordinal.
    Read = 11,
    /// How far a peer received and read.
    Receipt = 12,
    /// Asks for the receipt of a peer.
    Ask = 13,
    /// Are you there.
    Ping = 14,
    /// Yes, and these are the heads of your logs.
    Pong = 15,
    /// The connection ends, with a reason.
    Goodbye = 16,
    /// A message from this device to a group.
    GroupSend = 17,
    /// The tick for it, or for a change of a group.
    GroupSent = 18,
    /// A send or change was not taken.
    GroupRejected = 19,
    /// An entry of a group's log.
    GroupDeliver = 20,
    /// Positions of a group that hold nothing for this device.
    GroupSkip = 21,
    /// This device stored a group's entries up to a position.
    GroupAck = 22,
    /// The person saw a group up to a position.
    GroupRead = 23,
    /// How far the members of a group are.
    GroupReceipt = 24,
    /// Asks how far which members are.
    GroupAsk = 25,
    /// Makes or changes a group.
    GroupChange = 26,
    /// How far this device has its groups.
    GroupResume = 27,
    /// Asks what a group is, and who is in it.
    GroupLook = 28,
    /// The answer to that.
    GroupState = 29,
    /// An inbox entry: this user was added to a group.
    GroupNotice = 30,
    /// This user is no member of a group (any more).
    GroupGone = 31,
    /// Whether the person has the program before them.
    Activity = 32,
    /// Asks to be told of people's presence.
    Watch = 33,
    /// Asks to be told no more.
    Unwatch = 34,
    /// Whether somebody is online, or was when.
    Presence = 35,
    /// Somebody writes.
    Typing = 36,
    /// Asks for a page of a log.
    History = 37,
    /// An entry of it.
    Past = 38,
    /// The page is over.
    HistoryEnd = 39,
    /// Sets an item of the own book, or removes it.
    Put = 40,
    /// An item of the own book; also the tick of a put.
    Item = 41,
    /// A put was not taken.
    PutRejected = 42,
    /// How far this device has its user's book.
    BookResume = 43,
    /// How far a page of the book reaches.
    Book = 44,
    /// Asks for somebody's profile.
    ProfileLook = 45,
    /// The answer to that.
    Profile = 46,
    /// Somebody's profile changed.
    ProfileNews = 47,
    /// Asks who has a username.
    Find = 48,
    /// The answer to that.
    Found = 49,
}

/// First skippable kind number.
pub(crate) const SKIPPABLE_FIRST: u8 = 32;
/// The bits of the kind byte that number the kind.
pub(crate) const KIND_MASK: u8 = 0x3f;
/// Flag of sends and delivers, to users and groups: the body continues in part frames.
pub(crate) const FLAG_PARTS: u8 = 0x40;
/// Flag of delivers and of a receipt: about what this user itself sent or read elsewhere.
pub(crate) const FLAG_OWN: u8 = 0x80;

/// The kinds at their numbers.
const BY_NUMBER: [Option<Kind>; Kind::NUMBERS] = {
    let mut kinds = [None; Kind::NUMBERS];
    let mut index = 0;
    while index < Kind::ALL.len() {
        kinds[Kind::ALL[index] as usize] = Some(Kind::ALL[index]);
        index += 1;
    }
    kinds
};

impl Kind {
    /// Every kind's number is below this.
    pub const NUMBERS: usize = KIND_MASK as usize + 1;

    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 49] = [
        Kind::Hello,
        Kind::Welcome,
        Kind::Refuse,
        Kind::Send,
        Kind::Part,
        Kind::Sent,
        Kind::Rejected,
        Kind::Deliver,
        Kind::Skip,
        Kind::Ack,
        Kind::Read,
        Kind::Receipt,
        Kind::Ask,
        Kind::Ping,
        Kind::Pong,
        Kind::Goodbye,
        Kind::GroupSend,
        Kind::GroupSent,
        Kind::GroupRejected,
        Kind::GroupDeliver,
        Kind::GroupSkip,
        Kind::GroupAck,
        Kind::GroupRead,
        Kind::GroupReceipt,
        Kind::GroupAsk,
        Kind::GroupChange,
        Kind::GroupResume,
        Kind::GroupLook,
        Kind::GroupState,
        Kind::GroupNotice,
        Kind::GroupGone,
        Kind::Activity,
        Kind::Watch,
        Kind::Unwatch,
        Kind::Presence,
        Kind::Typing,
        Kind::History,
        Kind::Past,
        Kind::HistoryEnd,
        Kind::Put,
        Kind::Item,
        Kind::PutRejected,
        Kind::BookResume,
        Kind::Book,
        Kind::ProfileLook,
        Kind::Profile,
        Kind::ProfileNews,
        Kind::Find,
        Kind::Found,
    ];

    /// The kind with this number, if it is defined.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Kind> {
        if number > KIND_MASK { None } else { BY_NUMBER[number as usize] }
    }

    /// A stable name in snake case, for logs, metrics and vectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Hello => "hello",
            Kind::Welcome => "welcome",
            Kind::Refuse => "refuse",
            Kind::Send => "send",
            Kind::Part => "part",
            Kind::Sent => "sent",
            Kind::Rejected => "rejected",
            Kind::Deliver => "deliver",
            Kind::Skip => "skip",
            Kind::Ack => "ack",
            Kind::Read => "read",
            Kind::Receipt => "receipt",
            Kind::Ask => "ask",
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Goodbye => "goodbye",
            Kind::GroupSend => "group_send",
            Kind::GroupSent => "group_sent",
            Kind::GroupRejected => "group_rejected",
            Kind::GroupDeliver => "group_deliver",
            Kind::GroupSkip => "group_skip",
            Kind::GroupAck => "group_ack",
            Kind::GroupRead => "group_read",
            Kind::GroupReceipt => "group_receipt",
            Kind::GroupAsk => "group_ask",
            Kind::GroupChange => "group_change",
            Kind::GroupResume => "group_resume",
            Kind::GroupLook => "group_look",
            Kind::GroupState => "group_state",
            Kind::GroupNotice => "group_notice",
            Kind::GroupGone => "group_gone",
            Kind::Activity => "activity",
            Kind::Watch => "watch",
            Kind::Unwatch => "unwatch",
            Kind::Presence => "presence",
            Kind::Typing => "typing",
            Kind::History => "history",
            Kind::Past => "past",
            Kind::HistoryEnd => "history_end",
            Kind::Put => "put",
            Kind::Item => "item",
            Kind::PutRejected => "put_rejected",
            Kind::BookResume => "book_resume",
            Kind::Book => "book",
            Kind::ProfileLook => "profile_look",
            Kind::Profile => "profile",
            Kind::ProfileNews => "profile_news",
            Kind::Find => "find",
            Kind::Found => "found",
        }
    }

    /// The flags that this kind may carry.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Kind::Send | Kind::GroupSend => FLAG_PARTS,
            Kind::Deliver | Kind::GroupDeliver | Kind::Past => FLAG_PARTS | FLAG_OWN,
            Kind::Receipt => FLAG_OWN,
            _ => 0,
        }
    }

    /// Whether a client sends it because its person did something just now. Only such frames count for
    /// online and last seen: the rest (acknowledgements, pings, logins) programs send by themselves.
    #[must_use]
    pub const fn is_by_person(self) -> bool {
        matches!(
            self,
            Kind::Send
                | Kind::Read
                | Kind::GroupSend
                | Kind::GroupRead
                | Kind::GroupChange
                | Kind::Activity
                | Kind::Typing
                | Kind::Put
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_number_and_has_its_own_name() {
        for (index, &kind) in Kind::ALL.iter().enumerate() {
            assert!(Kind::ALL[..index].iter().all(|other| (*other as u8) < kind as u8));
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
            assert!(Kind::ALL[..index].iter().all(|other| other.name() != kind.name()));
            assert!(kind as u8 <= KIND_MASK);
        }
        assert_eq!((0..=u8::MAX).filter_map(Kind::from_number).count(), Kind::ALL.len());
    }

    /// What a program sends by itself must not make a person look as if they were there. The match is
    /// exhaustive, so that a new kind asks for an answer.
    #[test]
    fn only_what_a_person_does_is_by_a_person() {
        for kind in Kind::ALL {
            let expected = match kind {
                // A message written, a conversation looked at, a group changed, the program used, something
                // set.
                Kind::Send
                | Kind::Read
                | Kind::GroupSend
                | Kind::GroupRead
                | Kind::GroupChange
                | Kind::Activity
                | Kind::Typing
                | Kind::Put => true,
                // Logins, acknowledgements, keeping the connection, and questions: programs send these.
                Kind::Hello
                | Kind::Ack
                | Kind::Ask
                | Kind::Ping
                | Kind::Goodbye
                | Kind::GroupAck
                | Kind::GroupAsk
                | Kind::GroupResume
                | Kind::GroupLook
                | Kind::Watch
                | Kind::Unwatch
                | Kind::History
                | Kind::BookResume
                | Kind::ProfileLook
                | Kind::Find
                // The rest of a message that the send already told of.
                | Kind::Part
                // From the server only.
                | Kind::Welcome
                | Kind::Refuse
                | Kind::Sent
                | Kind::Rejected
                | Kind::Deliver
                | Kind::Skip
                | Kind::Receipt
                | Kind::Pong
                | Kind::GroupSent
                | Kind::GroupRejected
                | Kind::GroupDeliver
                | Kind::GroupSkip
                | Kind::GroupReceipt
                | Kind::GroupState
                | Kind::GroupNotice
                | Kind::GroupGone
                | Kind::Presence
                | Kind::Past
                | Kind::HistoryEnd
                | Kind::Item
                | Kind::PutRejected
                | Kind::Book
                | Kind::Profile
                | Kind::ProfileNews
                | Kind::Found => false,
            };
            assert_eq!(kind.is_by_person(), expected, "{kind:?}");
        }
    }
}
