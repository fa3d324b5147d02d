//! What a send was, as the history says.

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    Plain,
    /// It refers to a message by its ordinal, or by its position in a group.
    Refers(Reference),
    /// It refers to nothing, though it isn't plain.
    Other,
    /// It is over so many seconds after the server took it.
    Disappearing(u64),
    /// It must be refused.
    Malformed,
}

/// What a send makes of another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) way: Way,
    pub(super) target: u64,
}

/// How it refers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Edit,
    Delete,
    /// To a message of who reacts; in a group to anybody's.
    React,
    /// To a message of the other one.
    ReactToPeer,
}

impl Wording {
    /// Reads the end of a line about a send.
    pub(super) fn parse(text: Option<&str>) -> Result<Wording, String> {
        let Some(text) = text else { return Ok(Wording::Plain) };
        let (word, number) = text
            .split_once(':')
            .map_or((text, None), |(word, number)| (word, number.parse::<u64>().ok()));
        let way = match (word, number) {
            ("edit", Some(_)) => Way::Edit,
            ("delete", Some(_)) => Way::Delete,
            ("react", Some(_)) => Way::React,
            ("react_to_peer", Some(_)) => Way::ReactToPeer,
            ("mention", None) | ("timer", Some(_)) => return Ok(Wording::Other),
            ("disappear", Some(seconds)) => return Ok(Wording::Disappearing(seconds)),
            ("malformed", None) => return Ok(Wording::Malformed),
            _ => return Err(format!("content={text} is none")),
        };
        Ok(Wording::Refers(Reference { way, target: number.unwrap_or_default() }))
    }

    /// The message that it refers to.
    pub(super) const fn reference(self) -> Option<Reference> {
        match self {
            Wording::Refers(reference) => Some(reference),
            _ => None,
        }
    }
}
