//! Books: what devices of a user put, what they were told became of it, and that in the end all have the same.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::BookItem;
use fulmar_client::people::{audience, item, privacy};
use fulmar_protocol::people::{Item, PutRejected};
use fulmar_protocol::{Code, Frame};

use super::link::Link;
use super::{Complaint, Oracle};
use crate::coverage::Happening;

/// Open points that are told at most.
const TOLD_MAX: usize = 8;

/// Kind and key.
pub(crate) type Key = (u8, Vec<u8>);

/// A user's book, as far as its devices were told of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Every value that was ever put.
    puts: BTreeMap<Key, BTreeSet<Vec<u8>>>,
    /// How often something was put, also the same again.
    puts_count: u64,
    /// What each version set.
    versions: BTreeMap<u64, (Key, Vec<u8>)>,
    /// The newest version of each item, and its value; empty where it is removed.
    newest: BTreeMap<Key, (u64, Vec<u8>)>,
    /// The newest version that any device was told of.
    pub(crate) head: u64,
}

/// Whether a server may take this at all.
const fn is_sensible(item: u8) -> bool {
    item <= item::USERNAME || item >= item::APPLICATION
}

impl Book {
    fn put(&mut self, key: Key, value: &[u8]) {
        self.puts_count += 1;
        self.puts.entry(key).or_default().insert(value.to_vec());
    }

    /// A version was named.
    fn tell(&mut self, version: u64) -> Result<(), Complaint> {
        if version > self.puts_count {
            let detail = format!("version {version} of {} puts", self.puts_count);
            return Err(Complaint("versions of a book are dense", detail));
        }
        self.head = self.head.max(version);
        Ok(())
    }

    /// An item was told.
    fn item(&mut self, version: u64, key: &Key, value: &[u8]) -> Result<(), Complaint> {
        self.tell(version)?;
        if !self.puts.get(key).is_some_and(|values| values.contains(value)) {
            let detail = format!("{key:?} is {value:?}, which nobody put");
            return Err(Complaint("an item is as it was put", detail));
        }
        // That something isn't there is also told with the newest version, whatever that set.
        if !value.is_empty() {
            let set = (key.clone(), value.to_vec());
            let known = self.versions.entry(version).or_insert_with(|| set.clone());
            if *known != set {
                let detail = format!("version {version} was {known:?} and is {set:?}");
                return Err(Complaint("a version of a book is used once", detail));
            }
        }
        let newest = self.newest.entry(key.clone()).or_default();
        if version > newest.0 {
            *newest = (version, value.to_vec());
        } else if version == newest.0 && newest.1 != value {
            let detail = format!("{key:?} was {:?} and is {value:?}, with {version}", newest.1);
            return Err(Complaint("a version of a book is used once", detail));
        }
        Ok(())
    }

    /// Most versions that there can be.
    pub(crate) const fn versions_max(&self) -> u64 {
        self.puts_count
    }

    /// What a version set, if that is known.
    pub(crate) fn set_by(&self, version: u64) -> Option<&(Key, Vec<u8>)> {
        self.versions.get(&version)
    }

    /// Whether the newest version of an item has a value.
    pub(crate) fn has(&self, item: u8, key: &[u8]) -> bool {
        self.newest.get(&(item, key.to_vec())).is_some_and(|(_, value)| !value.is_empty())
    }

    /// What there is: kind, key, version and value.
    fn items(&self) -> impl Iterator<Item = (&Key, &(u64, Vec<u8>))> {
        self.newest.iter().filter(|(_, (_, value))| !value.is_empty())
    }
}

impl Oracle {
    /// A version of somebody's book was named.
    pub(super) fn book_reaches(&mut self, user: u32, version: u64) -> Result<(), Complaint> {
        self.book(user).tell(version)
    }

    fn book(&mut self, user: u32) -> &mut Book {
        self.books.entry(user).or_default()
    }

    /// A client wrote a frame about its book.
    pub(super) fn wrote_of_book(&mut self, link: &Link, frame: &Frame<'_>) {
        if let Frame::Put { item, key, value } = *frame {
            self.book(link.user).put((item, key.to_vec()), value);
            let is_of_reads = item == item::PRIVACY && key == [privacy::READS];
            if is_of_reads && value.first() != Some(&audience::NOBODY) {
                self.may_open_reads(link.user);
            }
        }
    }

    /// Takes a frame about the book that a client read; `None` for any other.
    pub(super) fn told_of_book(
        &mut self,
        link: &Link,
        frame: &Frame<'_>,
    ) -> Option<Result<(), Complaint>> {
        Some(match *frame {
            Frame::Item(Item { version, item, key, value }) => {
                self.hit(Happening::BookItem);
                self.told_of_block(link, frame);
                let told = Item { version, item, key, value };
                let outcome = self.told_of_place(link, &told);
                outcome.and(self.book(link.user).item(version, &(item, key.to_vec()), value))
            }
            Frame::Book { version, head, reset } => {
                self.hit(Happening::BookPage);
                self.book_page(link, version, head, reset)
            }
            Frame::PutRejected(ref rejected) => self.put_rejected(link, rejected),
            _ => return None,
        })
    }

    fn book_page(
        &mut self,
        link: &Link,
        version: u64,
        head: u64,
        reset: bool,
    ) -> Result<(), Complaint> {
        if head < link.book_floor || version > head {
            let floor = link.book_floor;
            let detail = format!("version {version}, head {head}, where {floor} was told before");
            return Err(Complaint("a book never goes back", detail));
        }
        if reset {
            let detail = format!("head {head}");
            return Err(Complaint("a device goes on with its book", detail));
        }
        self.book(link.user).tell(head)
    }

    fn put_rejected(&mut self, link: &Link, rejected: &PutRejected<'_>) -> Result<(), Complaint> {
        self.hit(Happening::PutRejected);
        if rejected.code == Code::BadItem && !is_sensible(rejected.item) {
            return Ok(());
        }
        if rejected.item == item::USERNAME {
            return self.name_refused(link, rejected.code);
        }
        let detail = format!("{rejected:?}");
        Err(Complaint("what makes sense in a book is taken", detail))
    }

    /// What a device's book lacks of what devices of its user were told, or has beyond that.
    pub(crate) fn missing_of_book(&self, user: u64, device: u16, has: &[BookItem]) -> Vec<String> {
        let known = self.users_by_id.get(&user).and_then(|at| self.books.get(at));
        let due: BTreeMap<&Key, &(u64, Vec<u8>)> =
            known.into_iter().flat_map(Book::items).collect();
        let mut has: BTreeMap<Key, (u64, Vec<u8>)> = has
            .iter()
            .map(|it| ((it.item, it.key.clone()), (it.version, it.value.clone())))
            .collect();
        let mut missing = Vec::new();
        for (key, set) in due {
            match has.remove(key) {
                Some(known) if known == *set => {}
                other => missing.push(format!(
                    "device {device} of {user} has {other:?} in its book, where {key:?} is {set:?}"
                )),
            }
        }
        missing.extend(has.first_key_value().map(|(key, known)| {
            format!("device {device} of {user} has {key:?} as {known:?}, which is removed")
        }));
        missing.truncate(TOLD_MAX);
        missing
    }
}
