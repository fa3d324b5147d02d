//! What a run with watchers found.

use super::super::{Figure, NamedLatencies, Outcome, seconds_between};
use super::{Phase, Presence};
use crate::latency::Latencies;
use crate::limits::PRESENCE_SETTLE_S;

impl Presence<'_> {
    /// The figures.
    pub(super) fn outcome(self, login: Latencies) -> Outcome {
        let Phase::Over { start, end } = self.phase else {
            unreachable!("an engine runs until the script is over")
        };
        let (options, memory) = (self.options, self.memory);
        let findings = self.views.finish();
        let seconds = seconds_between(start.at_ns, end.at_ns);
        let spent = end.usage.since(&start.usage);
        let told = end.totals.told - start.totals.told;
        let per_s = |from: u64, to: u64| (to - from) as f64 / seconds;
        let watches = f64::from(options.connections) * options.watched() as f64;
        let mut figures = Vec::new();
        let mut figure = |name, value, meaning| figures.push(Figure { name, value, meaning });
        figure("stale", findings.faults.stale as f64, "watchers who at the end know what isn't so");
        figure("watches", watches, "people watched, counted for each watcher");
        figure("told_per_s", told as f64 / seconds, "frames that told of changes, per second");
        figure(
            "answers_per_s",
            per_s(start.totals.answers, end.totals.answers),
            "frames that answered those who came back and watched again, per second",
        );
        figure(
            "repeated_per_s",
            per_s(start.totals.repeated, end.totals.repeated),
            "frames that told what had been told, per second",
        );
        figure(
            "changes_per_s",
            per_s(start.totals.changes, end.totals.changes),
            "people who came or went, per second",
        );
        figure(
            "told_changes_per_s",
            per_s(start.totals.told_changes, end.totals.told_changes),
            "of these changes told; what is undone in time needn't be",
        );
        figure(
            "interval_seconds",
            f64::from(options.interval),
            "the server tells of somebody at most once in this time",
        );
        figure(
            "settle_seconds",
            PRESENCE_SETTLE_S as f64,
            "and that somebody went only after this time",
        );
        if let (Some(before), Some(after)) = (memory.logged_in, memory.watching) {
            let bytes = (after as f64 - before as f64) / watches;
            figure("server_rss_per_watch_bytes", bytes, "growth of the server's memory per watch");
        }
        if let Some(cpu_us) = spent.server_cpu_us.filter(|_| told > 0) {
            figure(
                "server_cpu_us_per_told",
                cpu_us / told as f64,
                "the server's processor time per frame that told of a change, all else included",
            );
        }
        let named = |name, label, latencies| NamedLatencies { name, label, latencies };
        Outcome {
            connections: options.connections as usize,
            seconds,
            spent: Some(spent),
            polled: true,
            figures,
            faults: findings.faults,
            other_latencies: vec![
                named("presence_us", "presence", findings.all),
                named("came_us", "came", findings.came),
                named("went_us", "went", findings.went),
                named("login_us", "login", login),
            ],
            ..Outcome::default()
        }
    }
}
