//! The reasons that a server gives for refusing, rejecting or closing.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)+) => {
        /// Why a hello was refused, a send was rejected, or a connection ends.
        ///
        /// The numbers are part of the protocol and never change their meaning. A client treats a
        /// number that it doesn't know by its hundred: 1xx the bytes were wrong, 2xx the login was
        /// wrong, 3xx this message can't be taken, 4xx try again later or elsewhere, 5xx the
        /// server's own fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)+
            /// A number that this version doesn't define.
            Other(u16),
        }

        impl Code {
            /// Every code that this version defines.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Code::$name => $value,)+ Code::Other(number) => number }
            }

            /// The code with this number on the wire.
            #[must_use]
            pub const fn from_number(number: u16) -> Code {
                match number { $($value => Code::$name,)+ other => Code::Other(other) }
            }

            /// A stable name in snake case, for logs, metrics and the specification.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Code::$name => $text,)+ Code::Other(_) => "other" }
            }
        }
    };
}

codes! {
    /// The end of a connection that nobody is at fault for.
    None = 0, "none";
    /// A frame's fields don't parse.
    MalformedFrame = 100, "malformed_frame";
    /// A frame is longer than allowed in this state.
    FrameTooLarge = 101, "frame_too_large";
    /// A known frame at a moment or in a direction where it isn't allowed.
    UnexpectedFrame = 102, "unexpected_frame";
    /// A kind that is unknown and not skippable.
    UnknownKind = 103, "unknown_kind";
    /// The first bytes aren't a Fulmar hello.
    NotFulmar = 104, "not_fulmar";
    /// No version that both sides speak.
    UnsupportedVersion = 105, "unsupported_version";
    /// No complete hello in time.
    HelloTimeout = 106, "hello_timeout";
    /// A frame was begun and not completed in time.
    FrameTimeout = 107, "frame_timeout";
    /// Nothing was heard for longer than the idle limit of the welcome.
    IdleTimeout = 108, "idle_timeout";
    /// An acknowledgement of a position that was never delivered on this connection.
    CursorAhead = 109, "cursor_ahead";
    /// A part without a body to continue, more bytes than the body's stated length, or a second
    /// body that is cut while one is in progress.
    UnexpectedPart = 110, "unexpected_part";
    /// The token's signature or form is wrong.
    TokenInvalid = 200, "token_invalid";
    /// The token was valid once.
    TokenExpired = 201, "token_expired";
    /// The token names a key that this server doesn't have.
    TokenUnknownKey = 202, "token_unknown_key";
    /// The token is for another user or device than the hello.
    TokenMismatch = 203, "token_mismatch";
    /// A hello without a token, where a token is required.
    TokenRequired = 204, "token_required";
    /// User 0, device 0, or a device number over the limit.
    BadIdentity = 205, "bad_identity";
    /// The user has as many devices as are allowed.
    TooManyDevices = 206, "too_many_devices";
    /// The same device logged in again; the newer connection stays.
    Replaced = 207, "replaced";
    /// The body is longer than the limit of the welcome.
    BodyTooLarge = 300, "body_too_large";
    /// The recipient's log holds as much as it may; it opens when the recipient returns.
    QuotaExceeded = 301, "quota_exceeded";
    /// A number at or below one that was judged before, and not among the recent ones that can be
    /// answered again.
    StaleNumber = 302, "stale_number";
    /// A recipient that can't exist (user 0).
    BadPeer = 303, "bad_peer";
    /// The user is no member of the group, or there is no such group.
    NotAMember = 304, "not_a_member";
    /// The member's role doesn't allow this change.
    NotAllowed = 305, "not_allowed";
    /// The group has, or would have, more members than are allowed; or the user more groups.
    GroupFull = 306, "group_full";
    /// The change can't be made: it names nobody, or people it can't be made to, or a bad value.
    BadChange = 307, "bad_change";
    /// The body isn't what its content says that it is.
    BadContent = 308, "bad_content";
    /// The message that it refers to doesn't exist, or isn't kept any more.
    NoSuchMessage = 309, "no_such_message";
    /// The message that it refers to is somebody else's.
    NotYours = 310, "not_yours";
    /// The message that it refers to is too old to be changed.
    TooOld = 311, "too_old";
    /// The book holds as much as it may.
    BookFull = 312, "book_full";
    /// No such item can be put: an unknown kind, or a key or value that it can't have.
    BadItem = 313, "bad_item";
    /// No username can be like that.
    BadName = 314, "bad_name";
    /// Somebody else has this username.
    NameTaken = 315, "name_taken";
    /// The user asked for too many usernames lately; try again after the stated time.
    TooManyLookups = 316, "too_many_lookups";
    /// The server has too much to do; try again after the stated time.
    Overloaded = 400, "overloaded";
    /// The server stops; reconnect after the stated time.
    ShuttingDown = 401, "shutting_down";
    /// The server holds as many connections as it may.
    TooManyConnections = 402, "too_many_connections";
    /// The user's home is at the stated address.
    Moved = 403, "moved";
    /// The server failed; nothing is known to be stored.
    Internal = 500, "internal";
}

impl Code {
    /// Whether the same request can succeed later without being changed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        let number = self.number();
        number >= 400
            || number == Code::QuotaExceeded.number()
            || number == Code::TooManyLookups.number()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_round_trip() {
        for (index, &code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::from_number(code.number()), code);
            assert!(Code::ALL[..index].iter().all(|other| other.number() != code.number()));
        }
        assert_eq!(Code::from_number(9_999), Code::Other(9_999));
    }
}
