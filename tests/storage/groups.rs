//! Logs of groups beside inboxes, in the journal and behind it.

use std::collections::BTreeMap;

use super::*;

/// The head of each group.
fn heads(reader: &Reader) -> BTreeMap<u64, u64> {
    let heads = reader.group_heads().expect("heads");
    let by_group: BTreeMap<u64, u64> = heads.iter().copied().collect();
    assert_eq!(by_group.len(), heads.len(), "a group is named twice");
    by_group
}

#[test]
fn a_group_and_an_inbox_of_the_same_number_do_not_meet() {
    let group = LogId::Group(7);
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    let mut position = 0;
    while !segment(data.path(), 6).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
        if position % 3 == 0 {
            commit_to(group, &mut store, position / 3).expect("commit");
        }
        if store.drain.is_due() {
            store.drain.drain_oldest(0).expect("drain");
        }
    }
    drop(store);
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    assert_eq!(head(&store.reader).expect("read"), position);
    assert_eq!(head_of(group, &store.reader).expect("read"), position / 3);
    // What is trimmed from one is there in the other.
    let trims = [Write::Trim { log: group, from: 1, through: position / 3 }];
    store.committer.commit(trims.iter()).expect("commit");
    while !segment(data.path(), 8).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
        if store.drain.is_due() {
            store.drain.drain_oldest(0).expect("drain");
        }
    }
    assert_eq!(head(&store.reader).expect("read"), position);
    let load = Load::Log { log: group, expire_through_ms: 0 };
    let Loaded::Log { last, .. } = store.reader.load(load).expect("read") else {
        panic!("not a log")
    };
    assert_eq!(last, None);
}

#[test]
fn the_head_of_every_group_is_known_after_drains_and_a_crash() {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    let mut expected = BTreeMap::new();
    for round in 0..200_u64 {
        // Numbers of any size, the largest one too.
        let group = [1, 2, 0xff, 0x100, u64::MAX - 1, u64::MAX][(round * round % 29 % 6) as usize];
        let head = expected.entry(group).or_insert(0);
        *head += 1;
        commit_to(LogId::Group(group), &mut store, *head).expect("commit");
        // Keys of the smallest and the largest members.
        let writes = [0, 1, u64::MAX].map(|peer| {
            let key = Key::Conversation { log: LogId::Group(group), peer };
            Write::Put { key, value: value(round) }
        });
        store.committer.commit(writes.iter()).expect("commit");
        if round == 100 {
            // One without an entry, and inboxes, which aren't named.
            let key = Key::State { log: LogId::Group(5) };
            let writes = [Write::Put { key, value: value(1) }];
            store.committer.commit(writes.iter()).expect("commit");
            expected.insert(5, 0);
            commit_to(LogId::Inbox(3), &mut store, 1).expect("commit");
        }
        if store.drain.is_due() {
            store.drain.drain_oldest(0).expect("drain");
            assert_eq!(heads(&store.reader), expected);
        }
    }
    assert_eq!(expected.len(), 7);
    // As a crash leaves it: nothing is closed.
    let crashed = copied(data.path());
    drop(store);
    for directory in [crashed.path(), data.path()] {
        let store = storage::open(directory, &options(16 << 10)).expect("open");
        loop {
            assert_eq!(heads(&store.reader), expected);
            if files(&directory.join("journal"), "log").len() == 1 {
                break;
            }
            store.drain.drain_oldest(0).expect("drain");
        }
    }
}
