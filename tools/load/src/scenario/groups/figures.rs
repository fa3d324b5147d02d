//! What a run with many groups found.

use super::super::{Figure, Outcome, seconds_between};
use super::{Groups, Phase};

impl Groups<'_> {
    /// The figures; `members` is the sum of all groups.
    pub(super) fn outcome(self, members: usize) -> Outcome {
        let Phase::Over { start, end } = self.phase else {
            unreachable!("an engine runs until the script is over")
        };
        let (options, memory) = (self.options, self.memory);
        let seconds = seconds_between(start.at_ns, end.at_ns);
        let messages = end.totals.completed - start.totals.completed;
        let deliveries = end.totals.delivered - start.totals.delivered;
        let groups = f64::from(options.groups);
        let per_s = |from: u64, to: u64| (to - from) as f64 / seconds;
        let mut figures = Vec::new();
        let mut figure = |name, value, meaning| figures.push(Figure { name, value, meaning });
        figure("members_per_group", members as f64 / groups, "on average");
        figure(
            "online_members_per_group",
            memory.seats_here as f64 / groups,
            "of them there when the first message was sent",
        );
        figure(
            "receipts_per_s",
            per_s(start.totals.receipts, end.totals.receipts),
            "receipt frames that authors got, per second",
        );
        figure(
            "reads_per_s",
            per_s(start.totals.reads, end.totals.reads),
            "GROUP_READ frames that members sent, per second",
        );
        figure(
            "resumes_per_s",
            per_s(start.totals.resumed, end.totals.resumed),
            "people who came back, had missed something, and got it, per second",
        );
        figure(
            "backlog_messages",
            (end.totals.sent - end.totals.completed) as f64,
            "sent and not complete at the end of the measured time",
        );
        if options.talk.pace.rate > 0 {
            figure("due_messages", end.due as f64, "meant to be sent and not sent at that time");
            figure("unsent_messages", self.unsent as f64, "given up, as their author left");
        }
        if let (Some(before), Some(after)) = (memory.without_groups, memory.with_groups) {
            figure(
                "server_rss_per_group_bytes",
                (after as f64 - before as f64) / groups,
                "growth of the server's memory per group while they were made and joined",
            );
        }
        let spent = end.usage.since(&start.usage);
        if let Some(cpu_us) = spent.server_cpu_us.filter(|_| deliveries > 0) {
            figure(
                "server_cpu_us_per_delivery",
                cpu_us / deliveries as f64,
                "the server's processor time per delivery, logins and resumes included",
            );
        }
        let mut outcome = Outcome {
            connections: options.online(),
            seconds,
            messages_per_s: Some(messages as f64 / seconds),
            messages_mean: "ticked, and with every other member who is there",
            deliveries_per_s: Some(deliveries as f64 / seconds),
            spent: Some(spent),
            messages,
            body_bytes: options.talk.body,
            figures,
            ..Outcome::default()
        };
        self.talk.finish().tell(self.due, &mut outcome);
        outcome
    }
}
