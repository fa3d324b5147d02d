//! The verdict, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::check::{BookVolume, GroupVolume, PeopleVolume, Promise, Tally, Verdict, Volume};
use crate::fault::Kind;

/// What was run; nothing of it is known where only histories are checked.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// Rounds of load.
    pub rounds: u32,
    /// How often the server was killed.
    pub kills: u64,
    /// What was done and seen, by kind of fault.
    pub faults: Named<BTreeMap<&'static str, u64>>,
    /// Kinds of faults that can't be made here, and why.
    pub skipped: Named<String>,
    /// `fsync` or `os`.
    pub durability: &'static str,
    /// Threads of the server's message path.
    pub cores: u32,
    /// Users.
    pub users: u64,
    /// Devices of each.
    pub devices_per_user: u64,
    /// Groups.
    pub groups: u64,
    /// From the first start to the verdict, in seconds.
    pub seconds: f64,
    /// Seed of the choices.
    pub seed: u64,
}

/// Values by the names of kinds of faults.
pub type Named<T> = BTreeMap<&'static str, T>;

/// `by_kind`, by names.
pub fn named<T>(by_kind: BTreeMap<Kind, T>) -> Named<T> {
    by_kind.into_iter().map(|(kind, value)| (kind.name(), value)).collect()
}

/// See the module's description. Its JSON form is one object on one line.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was run.
    #[serde(flatten)]
    pub setting: Option<Setting>,
    /// How much was tried.
    #[serde(flatten)]
    pub volume: Volume,
    /// Broken promises.
    #[serde(flatten, serialize_with = "counts")]
    pub tally: Tally,
    /// Refused sends by the code of the refusal.
    #[serde(skip)]
    pub refusals: Vec<(u16, u64)>,
    /// Where the histories are, if they are kept.
    pub kept: Option<PathBuf>,
    /// The source tree.
    pub commit: String,
}

impl Report {
    /// The report on a verdict.
    pub fn new(verdict: Verdict, setting: Option<Setting>, commit: String) -> Report {
        let Verdict { tally, volume, refusals } = verdict;
        let refusals = refusals.into_iter().collect();
        Report { setting, volume, tally, refusals, kept: None, commit }
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts become JSON")
    }
}

fn counts<S: Serializer>(tally: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(Promise::ALL.len()))?;
    for kind in Promise::ALL {
        map.serialize_entry(kind.name(), &tally.count(kind))?;
    }
    map.end()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(setting) = &self.setting {
            writeln!(
                f,
                "{} rounds, {} kills in {:.0} s; {} users with {} devices each; durability {}, {} \
                 cores; seed {}; commit {}",
                setting.rounds,
                setting.kills,
                setting.seconds,
                setting.users,
                setting.devices_per_user,
                setting.durability,
                setting.cores,
                setting.seed,
                self.commit
            )?;
        }
        if let Some(setting) = &self.setting {
            setting.write_faults(f)?;
        }
        self.write_volume(f)?;
        for kind in Promise::ALL {
            self.write_kind(kind, f)?;
        }
        match (&self.kept, self.tally.is_clean()) {
            (Some(path), _) => writeln!(f, "histories and logs: {}", path.display()),
            (None, true) => writeln!(f, "every promise was kept"),
            (None, false) => Ok(()),
        }
    }
}

impl Setting {
    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, counts) in &self.faults {
            let counts: Vec<String> =
                counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            writeln!(f, "{kind:>18} {}", counts.join(", ").replace('_', " "))?;
        }
        for (kind, why) in &self.skipped {
            writeln!(f, "{kind:>18} skipped: {why}")?;
        }
        Ok(())
    }
}

impl Report {
    fn write_volume(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Volume { devices, connections, takeovers, sent, ticked, resent, rejected, .. } =
            self.volume;
        let Volume { displayed, redelivered, receipts, .. } = self.volume;
        writeln!(f, "{devices} devices logged in {connections} times ({takeovers} takeovers)")?;
        write!(f, "{sent} messages written, {ticked} ticked, {rejected} rejected")?;
        for (index, (code, count)) in self.refusals.iter().enumerate() {
            write!(f, "{}{count} with code {code}", if index == 0 { ": " } else { ", " })?;
        }
        writeln!(f, "; {resent} sent again after a lost answer")?;
        writeln!(
            f,
            "{displayed} shown, {redelivered} delivered again and recognised; {receipts} receipts"
        )?;
        let Volume { references, references_refused, .. } = self.volume;
        writeln!(
            f,
            "{references} edits, deletions and reactions ticked, {references_refused} refused"
        )?;
        let Volume { disappearing, blocked, pages, past, .. } = self.volume;
        write!(f, "{disappearing} disappearing, {blocked} to who blocked the author; ")?;
        writeln!(f, "{past} entries in {pages} pages of the past")?;
        let GroupVolume { group_messages, group_changes, group_deliveries, group_receipts } =
            self.volume.groups;
        writeln!(
            f,
            "in groups: {group_messages} messages and {group_changes} changes ticked, \
             {group_deliveries} shown, {group_receipts} receipts"
        )?;
        let BookVolume { book_puts, book_items } = self.volume.books;
        writeln!(f, "in books: {book_puts} put or removed, {book_items} told")?;
        let PeopleVolume { presence_told, typing_told, profiles_told, names_found } =
            self.volume.people;
        writeln!(
            f,
            "of people: presence told {presence_told} times, typing {typing_told}, profiles \
             {profiles_told}; {names_found} names found"
        )
    }

    fn write_kind(&self, kind: Promise, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.tally.count(kind);
        writeln!(f, "{:>18} {count}", kind.name())?;
        let mut shown = 0;
        for example in self.tally.examples(kind) {
            writeln!(f, "    {example}")?;
            shown += 1;
        }
        if count > shown {
            writeln!(f, "    and {} more", count - shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tally: Tally) -> Report {
        let setting = Setting {
            rounds: 20,
            kills: 23,
            faults: named(BTreeMap::from([(Kind::Stop, BTreeMap::from([("rounds", 20)]))])),
            skipped: named(BTreeMap::from([(Kind::Network, "no TUN".to_owned())])),
            durability: "fsync",
            cores: 2,
            users: 40,
            devices_per_user: 2,
            groups: 7,
            seconds: 61.5,
            seed: 7,
        };
        let people = PeopleVolume { presence_told: 300, names_found: 4, ..PeopleVolume::default() };
        let volume = Volume { ticked: 1_000, displayed: 2_000, people, ..Volume::default() };
        let verdict = Verdict { tally, volume, ..Verdict::default() };
        Report::new(verdict, Some(setting), "abc1234".to_owned())
    }

    #[test]
    fn the_json_has_the_promised_keys_on_one_line() {
        let mut tally = Tally::default();
        tally.add(Promise::Lost, "3.1→4 #17");
        let json = report(tally).json();
        assert!(!json.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (key, expected) in [
            ("rounds", 20),
            ("kills", 23),
            ("ticked", 1_000),
            ("displayed", 2_000),
            ("resent", 0),
            ("presence_told", 300),
            ("typing_told", 0),
            ("names_found", 4),
            ("lost", 1),
            ("duplicated", 0),
            ("reordered", 0),
            ("receipts_ahead", 0),
            ("seed", 7),
        ] {
            assert_eq!(value[key], expected, "{key}");
        }
        assert_eq!(value["faults"]["stop"]["rounds"], 20);
        assert_eq!(value["skipped"]["network"], "no TUN");
        assert_eq!(
            (value["seconds"].as_f64(), value["commit"].as_str()),
            (Some(61.5), Some("abc1234"))
        );
    }

    #[test]
    fn the_text_names_messages_and_says_how_many_more_there_are() {
        let mut tally = Tally::default();
        for number in 0..20 {
            tally.add(Promise::Lost, format!("message {number}"));
        }
        let text = report(tally).to_string();
        assert!(text.contains("lost 20\n    message 0\n"), "{text}");
        assert!(text.contains("    and 12 more\n"), "{text}");
        assert!(text.contains("network skipped: no TUN\n"), "{text}");
        assert!(report(Tally::default()).to_string().ends_with("every promise was kept\n"));
    }
}
