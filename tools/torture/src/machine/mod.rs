//! What faults are made with: a layer under the server, a small file system, a bad network. Each says
//! clearly what this machine lacks where it can't be had.

pub mod cable;
pub mod layer;
pub mod namespace;
pub mod room;

use std::collections::BTreeMap;
use std::path::Path;

use cable::Cable;
use layer::Layer;
use room::Room;

use crate::fault::Kind;
use crate::limits::ROOM_BYTES;

/// What the kinds of faults of a run need, where it can be had.
#[derive(Debug, Default)]
pub struct Machine {
    /// Between the server and libc.
    pub layer: Option<Layer>,
    /// For the data directory.
    pub room: Option<Room>,
    /// Between clients and server.
    pub cable: Option<Cable>,
}

/// Kinds that can't be run here, and why.
pub type Skipped = BTreeMap<Kind, String>;

impl Machine {
    /// Makes what `kinds` need, with files in a directory; takes out the kinds that can't be run.
    pub fn prepare(
        kinds: &mut Vec<Kind>,
        directory: &Path,
        durability: &str,
        seed: u64,
    ) -> (Machine, Skipped) {
        let (mut machine, mut skipped) = (Machine::default(), Skipped::new());
        let mut skip = |kinds: &mut Vec<Kind>, without: &[Kind], why: &str| {
            kinds.retain(|kind| {
                let stays = !without.contains(kind);
                if !stays {
                    skipped.insert(*kind, why.to_owned());
                }
                stays
            });
        };
        if durability != "fsync" {
            let why = "what isn't synced may be lost in a power cut; it needs --durability fsync";
            skip(kinds, &[Kind::TornTail, Kind::Corrupt], why);
        }
        let of_layer = [Kind::FsyncError, Kind::TornTail, Kind::Corrupt, Kind::Clock];
        if kinds.iter().any(|kind| of_layer.contains(kind)) {
            match Layer::build(&directory.join("layer")) {
                Ok(layer) => machine.layer = Some(layer),
                Err(why) => {
                    let why = format!("it needs a layer between the server and libc: {why}");
                    skip(kinds, &of_layer, &why);
                }
            }
        }
        if kinds.contains(&Kind::FullDisk) {
            match Room::make(directory, ROOM_BYTES) {
                Ok(room) => machine.room = Some(room),
                Err(why) => {
                    let why = format!("it needs a small file system of its own: {why}");
                    skip(kinds, &[Kind::FullDisk], &why);
                }
            }
        }
        if kinds.contains(&Kind::Network) {
            match Cable::lay(seed) {
                Ok(cable) => machine.cable = Some(cable),
                Err(why) => {
                    let why = format!("it needs network namespaces of its own: {why}");
                    skip(kinds, &[Kind::Network], &why);
                }
            }
        }
        (machine, skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_need_more_than_was_asked_for_are_skipped_with_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        let mut kinds = vec![Kind::Kill, Kind::Corrupt, Kind::Stop];
        let (machine, skipped) = Machine::prepare(&mut kinds, directory.path(), "os", 1);
        assert_eq!(kinds, [Kind::Kill, Kind::Stop]);
        assert!(skipped[&Kind::Corrupt].contains("--durability fsync"));
        assert!(machine.layer.is_none() && machine.room.is_none() && machine.cable.is_none());
    }
}
