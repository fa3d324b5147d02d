//! One line of a history, read strictly: what doesn't follow HISTORY.md is an error, for a checker
//! that passes over what it doesn't understand would find nothing.

use super::books::{BookEvent, book_event};
use super::group::{GroupEvent, group_event};
use super::identity::{Device, Direction, MessageId};
use super::past::PastEvent;
use super::people::{PeopleEvent, people_event};
use super::wording::Wording;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its place among all lines of the run.
    pub(super) sequence: u64,
    /// When it was written.
    pub(super) us: u64,
    /// What it says.
    pub(super) event: Event,
}

/// A position of an inbox as a device got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) position: u64,
    pub(super) peer: u64,
    pub(super) own: bool,
    pub(super) ordinal: u64,
    pub(super) body: Body,
    pub(super) digest: u64,
}

/// Whose message a body is, by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Says(MessageId),
    /// There is no room for words in it; who was ticked for it says whose it is.
    Silent,
    Damaged,
}

impl Delivery {
    /// The direction that it belongs to, in the inbox of a user.
    pub(super) const fn direction(&self, user: u64) -> Direction {
        if self.own {
            Direction { author: user, reader: self.peer }
        } else {
            Direction { author: self.peer, reader: user }
        }
    }
}

/// What a line says; HISTORY.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Begin { device: Device },
    Hello { cursor: u64 },
    Welcome { session: u64, head: u64 },
    Refused { code: u16 },
    Takeover,
    Replaced { code: u16 },
    Send { peer: u64, number: u64, digest: u64, wording: Wording },
    Resend { peer: u64, number: u64 },
    Tick { peer: u64, number: u64, ordinal: u64 },
    Rejected { peer: u64, number: u64, code: u16 },
    Shown(Delivery),
    Again(Delivery),
    Skip { position: u64 },
    OutOfTurn { position: u64 },
    Ack { position: u64 },
    Read { peer: u64, ordinal: u64 },
    Ask { peer: u64 },
    Receipt { peer: u64, delivered: u64, read: u64, own: bool },
    Pong { head: u64 },
    Goodbye { code: u16 },
    Closed,
    Broken { what: String },
    Drained,
    Final,
    Group(GroupEvent),
    Book(BookEvent),
    Past(PastEvent),
    People(PeopleEvent),
}

impl Line {
    /// Reads a line, without its end.
    pub(super) fn parse(text: &str) -> Result<Line, String> {
        let mut fields = Fields { words: text.split(' ') };
        let sequence = fields.bare("sequence")?;
        let us = fields.bare("microseconds")?;
        let event = fields.event()?;
        match fields.words.next() {
            None => Ok(Line { sequence, us, event }),
            Some(word) => Err(format!("nothing is expected where {word:?} stands")),
        }
    }
}

/// The fields of a line that weren't read yet.
pub(super) struct Fields<'a> {
    words: std::str::Split<'a, char>,
}

impl<'a> Fields<'a> {
    fn event(&mut self) -> Result<Event, String> {
        let word = self.words.next().unwrap_or_default();
        Ok(match word {
            "begin" => Event::Begin {
                device: Device { user: self.number("user")?, device: self.number("device")? },
            },
            "hello" => Event::Hello { cursor: self.number("cursor")? },
            "welcome" => {
                Event::Welcome { session: self.number("session")?, head: self.number("head")? }
            }
            "refused" => Event::Refused { code: self.code()? },
            "takeover" => Event::Takeover,
            "replaced" => Event::Replaced { code: self.code()? },
            "send" => self.send()?,
            "resend" => {
                Event::Resend { peer: self.number("peer")?, number: self.number("number")? }
            }
            "tick" => Event::Tick {
                peer: self.number("peer")?,
                number: self.number("number")?,
                ordinal: self.number("ordinal")?,
            },
            "rejected" => Event::Rejected {
                peer: self.number("peer")?,
                number: self.number("number")?,
                code: self.code()?,
            },
            "shown" => Event::Shown(self.delivery()?),
            "again" => Event::Again(self.delivery()?),
            "skip" => Event::Skip { position: self.number("position")? },
            "outofturn" => Event::OutOfTurn { position: self.number("position")? },
            "ack" => Event::Ack { position: self.number("position")? },
            "read" => Event::Read { peer: self.number("peer")?, ordinal: self.number("ordinal")? },
            "ask" => Event::Ask { peer: self.number("peer")? },
            "receipt" => Event::Receipt {
                peer: self.number("peer")?,
                delivered: self.number("delivered")?,
                read: self.number("read")?,
                own: self.flag("own")?,
            },
            "pask" | "past" | "pend" => Event::Past(self.past(word)?),
            "pong" => Event::Pong { head: self.number("head")? },
            "goodbye" => Event::Goodbye { code: self.code()? },
            "closed" => {
                self.text("why")?;
                Event::Closed
            }
            "broken" => Event::Broken { what: self.text("what")?.replace('_', " ") },
            "drained" => Event::Drained,
            "final" => Event::Final,
            other => {
                if let Some(event) = book_event(other, self)? {
                    return Ok(Event::Book(event));
                }
                if let Some(event) = people_event(other, self)? {
                    return Ok(Event::People(event));
                }
                let event = group_event(other, self)?;
                Event::Group(event.ok_or_else(|| format!("{other:?} is not an event"))?)
            }
        })
    }

    fn send(&mut self) -> Result<Event, String> {
        let (peer, number) = (self.number("peer")?, self.number("number")?);
        self.number("bytes")?;
        let digest = self.digest()?;
        Ok(Event::Send { peer, number, digest, wording: self.wording()? })
    }

    fn past(&mut self, word: &str) -> Result<PastEvent, String> {
        let group = self.number("group")?;
        if word == "past" {
            return Ok(PastEvent::Entry { group, entry: self.delivery()? });
        }
        let (from, through) = (self.number("from")?, self.number("through")?);
        if word == "pask" {
            return Ok(PastEvent::Ask { group, from, through });
        }
        Ok(PastEvent::End { from, through, has_more: self.flag("more")? })
    }

    fn delivery(&mut self) -> Result<Delivery, String> {
        Ok(Delivery {
            position: self.number("position")?,
            peer: self.number("peer")?,
            own: self.flag("own")?,
            ordinal: self.number("ordinal")?,
            body: self.body()?,
            digest: self.digest()?,
        })
    }

    fn body(&mut self) -> Result<Body, String> {
        let text = self.text("body")?;
        match text {
            "damaged" => return Ok(Body::Damaged),
            "none" => return Ok(Body::Silent),
            _ => {}
        }
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[user, device, peer, number]) => {
                Ok(Body::Says(MessageId { author: Device { user, device }, peer, number }))
            }
            _ => Err(format!("body={text} is neither USER.DEVICE.PEER.NUMBER, none, nor damaged")),
        }
    }

    /// What a send says, where it isn't plain: at the end of the line, or not at all.
    pub(super) fn wording(&mut self) -> Result<Wording, String> {
        let is_over = self.words.clone().next().is_none();
        Wording::parse(if is_over { None } else { Some(self.text("content")?) })
    }

    pub(super) fn digest(&mut self) -> Result<u64, String> {
        let text = self.text("digest")?;
        u64::from_str_radix(text, 16).map_err(|error| format!("digest={text}: {error}"))
    }

    pub(super) fn code(&mut self) -> Result<u16, String> {
        let number = self.number("code")?;
        u16::try_from(number).map_err(|error| format!("code={number}: {error}"))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, String> {
        match self.number(key)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{key}={other} is neither 0 nor 1")),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<u64, String> {
        let text = self.text(key)?;
        text.parse().map_err(|error| format!("{key}={text}: {error}"))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<&'a str, String> {
        let word = self.words.next().ok_or_else(|| format!("{key} is missing"))?;
        word.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix('='))
            .ok_or_else(|| format!("{word:?} stands where {key}= is expected"))
    }

    fn bare(&mut self, what: &str) -> Result<u64, String> {
        let word = self.words.next().unwrap_or_default();
        word.parse().map_err(|error| format!("{what} {word:?}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read() {
        let line = Line::parse(
            "12 3400 shown position=7 peer=3 own=0 ordinal=2 body=3.1.4.99 digest=00000000000000ff",
        )
        .unwrap();
        let id = MessageId { author: Device { user: 3, device: 1 }, peer: 4, number: 99 };
        let delivery = Delivery {
            position: 7,
            peer: 3,
            own: false,
            ordinal: 2,
            body: Body::Says(id),
            digest: 0xff,
        };
        assert_eq!(line, Line { sequence: 12, us: 3400, event: Event::Shown(delivery) });
    }

    #[test]
    fn what_is_not_in_the_format_is_an_error() {
        for text in [
            "",
            "x 1 drained",
            "1 1 drawn",
            "1 1 drained too",
            "1 1 ack",
            "1 1 ack ordinal=1",
            "1 1 send peer=1 number=1 bytes=50 digest=aa content=edit",
            "1 1 send peer=1 number=1 bytes=50 digest=aa content=wish:1",
            "1 1 ack position=-1",
            "1 1 receipt peer=1 delivered=1 read=1 own=2",
            "1 1 goodbye code=70000",
            "1 1 shown position=7 peer=3 own=0 ordinal=2 body=3.1.4 digest=0",
        ] {
            assert!(Line::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
