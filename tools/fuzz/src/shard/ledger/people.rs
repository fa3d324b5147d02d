//! What people set for themselves, as it was committed: versions of a book rise and each stands for one thing
//! that was put, and a username is one user's.

use std::collections::BTreeMap;

use fulmar::shard::UserId;
use fulmar::shard::people::{Book, NameRecord};
use fulmar::shard::record::PresenceRecord;
use fulmar_protocol::people::item;

use super::Known;

/// Kind, key and value.
pub(in super::super) type Thing = (u8, Vec<u8>, Vec<u8>);

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct People {
    books: BTreeMap<UserId, Book>,
    /// What each version of a book set.
    versions: BTreeMap<(UserId, u64), Thing>,
}

impl People {
    pub(super) fn book(&mut self, user: UserId, value: &[u8], known: &Known) {
        let book = Book::decode(value).expect("a book");
        if let Some(before) = self.books.get(&user) {
            assert!(book.head >= before.head && book.floor >= before.floor, "it went back");
            assert!(book.profile_version >= before.profile_version, "its profile went back");
        }
        for set in book.items() {
            let thing = (set.kind, set.key.to_vec(), set.value.to_vec());
            let version = set.version;
            assert!(known.has_put(user, &thing), "{user} never put {thing:?}");
            let is_same = self.versions.entry((user, version)).or_insert_with(|| thing.clone());
            assert_eq!(*is_same, thing, "version {version} of {user} is two things");
        }
        let name = username(&book).map(<[u8]>::to_vec);
        self.books.insert(user, book);
        let Some(name) = name else { return };
        let owners = self.books.iter().filter(|(_, book)| username(book) == Some(&name));
        assert_eq!(owners.count(), 1, "two users have the name {name:?}");
    }

    pub(super) fn name(value: &[u8]) {
        NameRecord::decode(value).expect("a record of names");
    }

    pub(super) fn presence(value: &[u8]) {
        PresenceRecord::decode(value).expect("a record of presence");
    }

    /// The newest committed version of a book, and that of its profile.
    pub(in super::super) fn versions(&self, user: UserId) -> (u64, u64) {
        self.books.get(&user).map_or((0, 0), |book| (book.head, book.profile_version))
    }

    /// What a version set, if it was ever committed.
    pub(in super::super) fn set_by(&self, user: UserId, version: u64) -> Option<&Thing> {
        self.versions.get(&(user, version))
    }
}

fn username(book: &Book) -> Option<&[u8]> {
    let mut names = book.items().iter().filter(|it| it.kind == item::USERNAME);
    names.next().map(|it| &it.value[..]).filter(|name| !name.is_empty())
}
