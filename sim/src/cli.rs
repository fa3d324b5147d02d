//! The command line.

use std::ops::Range;

use clap::{Parser, ValueEnum as _};
use fulmar_sim::{Trouble, Wishes};

/// Lives deterministic worlds of Fulmar from seeds, and checks every promise in them.
#[derive(Debug, Parser)]
#[command(version, about)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub(crate) struct Arguments {
    /// The seed of one world.
    #[arg(required_unless_present_any = ["seeds", "seconds", "mutants"])]
    pub(crate) seed: Option<u64>,
    /// Many worlds: all seeds from A up to, not including, B.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
    pub(crate) seeds: Option<Range<u64>>,
    /// Random seeds for so many real seconds; with --seeds, of these as many as so many seconds allow.
    #[arg(long, conflicts_with = "seed")]
    pub(crate) seconds: Option<u64>,
    /// Plant each fault that the simulator must notice, and see in how many worlds it does.
    #[arg(long, conflicts_with_all = ["seed", "seconds"])]
    pub(crate) mutants: bool,
    /// Only these faults, comma separated.
    #[arg(long, requires = "mutants", value_delimiter = ',', value_name = "NAME")]
    pub(crate) mutant: Vec<String>,
    /// Worlds that live at the same time, each in a thread of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Tell everything that happens in the world.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
    /// Of many worlds, tell of each which it was and what happened in it, in a line.
    #[arg(long, conflicts_with_all = ["seed", "mutants"])]
    pub(crate) verbose: bool,
    /// Don't look for a smaller world when one fails.
    #[arg(long)]
    pub(crate) no_shrink: bool,
    /// Well-behaved users, instead of what the seed chooses.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    users: Option<u32>,
    /// Most devices of a user.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8))]
    devices: Option<u32>,
    /// Cores at the beginning.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=8))]
    cores: Option<u16>,
    /// Things that people do, all together.
    #[arg(long)]
    steps: Option<u64>,
    /// How long people act and things break, in virtual seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    span: Option<u64>,
    /// Kinds of trouble to leave out, comma separated.
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Trouble>,
}

impl Arguments {
    /// What is asked for instead of what a seed would choose.
    pub(crate) fn wishes(&self) -> Wishes {
        Wishes {
            users: self.users,
            devices: self.devices,
            cores: self.cores,
            steps: self.steps,
            span: self.span,
            without: self.without.clone(),
        }
    }
}

/// The command that lives a world again.
pub(crate) fn command(seed: u64, wishes: &Wishes) -> String {
    let mut command = format!("./dev sim {seed}");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.extend([" --", name, " ", &value]);
        }
    };
    add("users", wishes.users.map(|value| value.to_string()));
    add("devices", wishes.devices.map(|value| value.to_string()));
    add("cores", wishes.cores.map(|value| value.to_string()));
    add("steps", wishes.steps.map(|value| value.to_string()));
    add("span", wishes.span.map(|value| value.to_string()));
    let name = |trouble: &Trouble| Some(trouble.to_possible_value()?.get_name().to_owned());
    let without: Vec<String> = wishes.without.iter().filter_map(name).collect();
    add("without", (!without.is_empty()).then(|| without.join(",")));
    command
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let usage = || format!("{text:?} is not a range like 1..101");
    let (first, end) = text.split_once("..").ok_or_else(usage)?;
    let range = first.parse().map_err(|_| usage())?..end.parse().map_err(|_| usage())?;
    if range.is_empty() { Err(format!("{text:?} is empty")) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_is_printed_asks_for_the_same_world() {
        let wishes = Wishes {
            users: Some(2),
            steps: Some(120),
            without: vec![Trouble::Clock, Trouble::Rogues],
            ..Wishes::default()
        };
        let command = command(7, &wishes);
        assert_eq!(command, "./dev sim 7 --users 2 --steps 120 --without clock,rogues");
        let words = command.split(' ').skip(1);
        let arguments = Arguments::try_parse_from(words).expect("a command line");
        assert_eq!((arguments.seed, arguments.wishes()), (Some(7), wishes));
    }

    #[test]
    fn ranges_of_seeds_are_not_empty() {
        assert_eq!(seeds("3..5"), Ok(3..5));
        for wrong in ["", "5", "5..5", "a..b", "9..3"] {
            assert!(seeds(wrong).is_err(), "{wrong:?}");
        }
    }
}
