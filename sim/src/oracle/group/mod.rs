//! Groups as the oracle sees them: logs that many read, and who is a member by what the logs say.
//!
//! `log` keeps what stands in a log, `members` plays its changes again, `line` is a group on one connection,
//! `frames` takes what is said of groups, `answers` what became of sends and changes, `shown` what they are said to be, `refer` judges what refers to other entries, `past` pages, `quota` whether something was full, `store` what devices keep, `rest` says what is missing in the end.

mod answers;
mod frames;
mod line;
mod log;
mod members;
mod past;
mod quota;
mod refer;
mod rest;
mod shown;
mod store;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use line::Lines;
pub(crate) use log::{Body, Entry};
#[cfg(test)]
pub(crate) use members::SPANS_KEPT;

use log::Log;
use refer::Refusal;
use shown::Shown;

use super::user::Positions;
use crate::clock::Time;

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    logs: BTreeMap<u64, Log>,
    /// What was asked of group 0.
    creations: BTreeMap<Sender, Body>,
    /// The groups that came of it.
    made: BTreeMap<Sender, u64>,
    /// What was asked of it and turned down, as the sender knows for good.
    unmade: BTreeSet<Sender>,
    devices: BTreeMap<(u64, u16, u64), Device>,
    readers: BTreeMap<(u64, u64), Reader>,
    /// Rejections that said that somebody is no member: user, group, and how far the device had it.
    strangers: Vec<(u64, u64, u64)>,
    /// Changes that somebody's role didn't allow: by whom, of which group, and how far the device had it.
    not_allowed: Vec<(Sender, u64, u64)>,
    /// Of messages that refer to others, by group and sender: whether that one was known to be there, and when
    /// they were written.
    references: BTreeMap<(u64, Sender), (bool, Time)>,
    /// Those of them that were refused.
    refusals: Vec<Refusal>,
    /// What groups were said to be.
    shown: BTreeMap<u64, Vec<Shown>>,
    /// By group, of whom somebody was told that it writes there, and who was told: both are members behind this
    /// position.
    mates: BTreeMap<u64, BTreeMap<(u64, u64), u64>>,
}

/// User, device and number.
pub(crate) type Sender = (u64, u16, u64);

/// A group on a device: user, device, group.
#[derive(Debug, Default, Clone)]
struct Device {
    /// Stored, also in a store that was lost.
    received: Positions,
    kept: Positions,
    shown: Positions,
    /// As the store has it.
    cursor: u64,
    seen: u64,
    own_last: u64,
    receipt: fulmar_client::Receipt,
    /// The store knows the group.
    is_known: bool,
    is_gone: bool,
}

/// A group and a user, all devices together.
#[derive(Debug, Default, Clone)]
struct Reader {
    /// Delivered to any device.
    delivered: Positions,
    delivered_max: u64,
    /// The largest position that any device said it has.
    acked: u64,
    /// The same as it was resumed from, or as somebody said who doesn't keep the rules.
    claimed: u64,
    /// The largest position that the person saw, as any device said.
    read: u64,
    /// Its inbox was told of the group.
    is_noticed: bool,
}

impl Groups {
    fn device(&mut self, user: u64, device: u16, group: u64) -> &mut Device {
        self.devices.entry((user, device, group)).or_default()
    }

    fn reader(&mut self, user: u64, group: u64) -> &mut Reader {
        self.readers.entry((user, group)).or_default()
    }

    /// The numbers of all of them.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.logs.keys().copied()
    }

    /// The last position of a group that was named; 0 where none was.
    pub(crate) fn named(&self, group: u64) -> u64 {
        self.logs.get(&group).map_or(0, Log::named)
    }

    fn log(&mut self, group: u64) -> &mut Log {
        self.logs.entry(group).or_default()
    }
}
