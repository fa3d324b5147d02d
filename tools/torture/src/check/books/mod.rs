//! Judges books. What a user's devices put, and what each was told, says what the book must be.
//!
//! | promise | judged by |
//! |---|---|
//! | what was confirmed is on each device in the end, and after a clean stop in what a new device is told | `view` |
//! | a version sets one item to one value; what is put later has a later version | `facts` |
//! | nothing comes that wasn't put, or that was refused | `view` |
//! | nothing is refused but what must be; nobody's book is begun anew for nothing; heads rise | `view` |
//!
//! A removal has no value that would say whose it is, and one of what isn't there is answered with the newest
//! version, which is another item's. So versions are compared of items that have a value. Nor has a
//! block, a username or who may see what a value of its own.

mod facts;
mod line;
#[cfg(test)]
mod tests;
mod view;

pub(super) use facts::BookFacts;
pub use facts::BookVolume;
pub(super) use line::{BlockEvent, BookEvent, Place, Value, book_event, value_of};
pub(super) use view::BookCheck;
