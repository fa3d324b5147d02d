//! The end of a world: trouble stops, everything must come to rest, everybody logs in once more, and
//! what is left in memory and on the disk must be what is still owed.

use fulmar::shard::record::{InboxRecord, split_entry};
use fulmar::shard::{ConnId, Load, Loaded, LogId};
use fulmar::storage::journal::{JournalError, JournalReader};
use fulmar::storage::{SimulatedDatabase, SimulatedDirectory};
use fulmar_client::core::{Input, Session};

use super::{CALM_MAX, Phase, World};
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::disk::End;
use crate::plan::NodePlan;
use crate::schedule::Event;

/// Time for moved cursors to be stored once everything is acknowledged.
const STORE_MAX: Time = 2 * SECOND;
/// Time in which a node lets go of what nobody uses.
const WARM_MAX: Time = 120 * SECOND;

/// Longer than any message that disappears lives, however far the clock went back, in milliseconds.
const LATER_MS: u64 = 30 * 24 * 3_600_000;

type Reader = JournalReader<SimulatedDirectory, SimulatedDatabase>;

fn unreadable(error: &JournalError) -> (&'static str, String) {
    ("what is stored can be read", error.to_string())
}

impl World {
    /// Looks whether this part of the world's life is over.
    pub(super) fn look(&mut self) {
        match self.phase {
            Phase::Chaos => self.calm_down(),
            Phase::Calm { since } => self.look_for_rest(since),
            Phase::Apart { since, has_seen } => self.look_for_reunion(since, has_seen),
            Phase::LastLogin { since } => self.look_for_receipts(since),
            Phase::Asking { since } => self.look_for_answers(since),
            Phase::Storing => {
                self.oracle.judge_whole();
                self.look_at_stores();
                self.leave();
            }
            Phase::Leaving { since } => self.look_for_memory(since),
            Phase::Over => {}
        }
    }

    pub(super) fn look_again(&mut self) {
        self.looks += 1;
        let pause = (u64::from(self.looks) * 500 * MS).min(15 * SECOND);
        self.schedule.after(pause, Event::Look);
    }

    /// Nothing breaks any more.
    fn calm_down(&mut self) {
        let now = self.schedule.now();
        self.trace.say(now, || "nothing breaks from here on".into());
        self.phase = Phase::Calm { since: now };
        self.network.calm_down();
        self.disk.files.calm();
        self.disk.database.calm();
        if let Some(node) = &mut self.node {
            node.journal_stalled_until = 0;
            node.cores.iter_mut().for_each(|slot| slot.stalled_until = 0);
        }
        for rogue in 0..self.rogues.len() as u32 {
            self.hang_up(rogue);
        }
        for device in 0..self.devices.len() as u32 {
            self.hush(device);
            if self.devices[device as usize].is_lost {
                self.lose_device(device);
                continue;
            }
            let pause = self.people.magnitude(MS..=3 * SECOND);
            self.start_later(device, pause);
        }
        self.look_again();
    }

    /// Whether every device is logged in and waits for nothing. Those that were told to stay away are
    /// told to come.
    fn are_devices_at_rest(&mut self) -> Option<u32> {
        let mut restless = None;
        for device in 0..self.devices.len() as u32 {
            if self.devices[device as usize].is_lost {
                continue;
            }
            if self.devices[device as usize].is_stopped {
                self.devices[device as usize].is_stopped = false;
                self.reconnect(device);
            }
            // One whose connection vanished without a word believes that it is online until a ping isn't answered.
            let conn = self.devices[device as usize].conn;
            let is_deaf = conn.is_some_and(|conn| self.network.get(conn).has_vanished);
            if is_deaf || !self.devices[device as usize].is_at_rest() {
                restless.get_or_insert(device);
            }
        }
        restless
    }

    /// Everything that is owed, in words; nothing where all is at rest.
    pub(super) fn unrest(&mut self) -> Vec<String> {
        if let Some(device) = self.are_devices_at_rest() {
            let state = &self.devices[device as usize];
            let (user, number) = (state.user, state.number);
            let session = state.session.as_ref();
            let is_online = session.is_some_and(Session::is_online);
            let unanswered = session.map_or(0, |it| it.unanswered() + it.unanswered_puts());
            return vec![format!(
                "device {number} of {user} is online: {is_online}, sends and puts without answer: {unanswered}"
            )];
        }
        let mut missing = self.oracle.missing();
        missing.extend(self.missing_of_books());
        missing
    }

    fn look_for_rest(&mut self, since: Time) {
        let now = self.schedule.now();
        let mut unrest = self.unrest();
        if unrest.is_empty() {
            // Without another login, which would ask for them.
            unrest = self.oracle.missing_receipts(false);
        }
        if unrest.is_empty() {
            // Nor did watchers have to ask again.
            unrest = self.oracle.missing_of_people();
        }
        if unrest.is_empty() {
            if self.parts() { self.part() } else { self.begin_last_login() }
        } else if now > since + CALM_MAX {
            self.fail("everything ticked arrives", unrest.join("; "));
        } else {
            self.look_again();
        }
    }

    pub(super) fn begin_last_login(&mut self) {
        let now = self.schedule.now();
        self.trace.say(now, || "everything is at rest; everybody logs in again".into());
        self.phase = Phase::LastLogin { since: now };
        self.looks = 0;
        self.log_in_again();
        self.schedule.after(STORE_MAX, Event::Look);
    }

    /// Everybody loses the connection: by a stop of the node, or by itself.
    fn log_in_again(&mut self) {
        if self.threads.percent(60) {
            self.stop_node();
            return;
        }
        for device in 0..self.devices.len() as u32 {
            if let Some(conn) = self.devices[device as usize].conn.take() {
                self.client_closes(conn);
                self.device_input(device, Input::Disconnected("once more"));
            }
        }
    }

    fn look_for_receipts(&mut self, since: Time) {
        let now = self.schedule.now();
        let mut unrest = self.unrest();
        if unrest.is_empty() {
            unrest = self.oracle.missing_receipts(true);
        }
        if unrest.is_empty() {
            // Those of groups are asked for at the login.
            unrest = self.oracle.missing_group_receipts(true);
        }
        if unrest.is_empty() && self.node.is_some() {
            self.ask();
        } else if now > since + CALM_MAX {
            self.fail("receipts end as the truth", unrest.join("; "));
        } else {
            self.look_again();
        }
    }

    /// Everybody asks what may be seen of others, and some are there to be seen.
    fn ask(&mut self) {
        let now = self.schedule.now();
        self.phase = Phase::Asking { since: now };
        self.looks = 0;
        self.oracle.asks_in_the_end();
        self.take_up_some();
        self.ask_about_others();
        self.look_again();
    }

    /// Who may see something of others is shown what holds.
    fn look_for_answers(&mut self, since: Time) {
        let now = self.schedule.now();
        let unrest = self.oracle.missing_of_people();
        if unrest.is_empty() {
            self.phase = Phase::Storing;
            self.schedule.after(STORE_MAX, Event::Look);
        } else if now > since + CALM_MAX {
            self.fail("who may see others is shown what holds", unrest.join("; "));
        } else {
            self.look_again();
        }
    }

    /// What became of messages on each device.
    fn look_at_stores(&mut self) {
        for state in self.devices.iter().filter(|state| !state.is_lost) {
            self.oracle.judge_changes((state.user, state.number), state.store.messages());
        }
    }

    /// Everybody goes for good.
    fn leave(&mut self) {
        let now = self.schedule.now();
        self.phase = Phase::Leaving { since: now };
        self.looks = 0;
        for device in 0..self.devices.len() as u32 {
            self.send_away(device, Time::MAX / 2);
        }
        self.schedule.after(WARM_MAX, Event::Look);
    }

    /// A node without clients holds nothing in memory.
    fn look_for_memory(&mut self, since: Time) {
        let now = self.schedule.now();
        let held = self.node.as_ref().map_or(0, |node| {
            node.counters()
                .map(|counters| {
                    counters.connections
                        + counters.sessions
                        + counters.users_warm
                        + counters.conversations_warm
                        + counters.watches
                        + counters.users_online
                })
                .sum::<u64>()
        });
        let unstored = self.node.as_ref().map_or(0, |node| {
            let shards = node.cores.iter().filter_map(|slot| slot.core.as_ref());
            shards.map(|core| core.parts().shard.uncommitted()).sum()
        });
        let idle = self.node_plan.shard.idle_s * SECOND;
        if held + unstored == 0 {
            self.coverage.hit(Happening::Emptied);
            self.phase = Phase::Over;
            self.look_at_disk();
        } else if now > since + WARM_MAX + 2 * idle {
            let detail = format!("{held} things are held, {unstored} are not stored");
            self.fail("a node without clients is empty", detail);
        } else {
            self.schedule.after(10 * SECOND, Event::Look);
        }
    }

    /// What every device acknowledged is gone from the disk, where it never was to be kept, once the whole
    /// journal is carried over. (What expired is left to the database's own time.)
    fn look_at_disk(&mut self) {
        let is_kept = self.oracle.is_expiring() || self.was_history;
        if is_kept && self.plan.fading_percent == 0 {
            return;
        }
        self.count_node();
        self.node = None;
        self.end_disk(End::Killed);
        let mut judged = Ok(());
        if self.plan.fading_percent > 0 {
            self.coverage.hit(Happening::NothingOver);
            judged = self.whats_over();
        }
        if !is_kept {
            self.coverage.hit(Happening::EmptyDisk);
            judged = judged.and_then(|()| self.whats_left());
        }
        if let Err((rule, detail)) = judged {
            self.fail(rule, detail);
        }
    }

    /// Once the time of every message that disappears is over, none of them is carried over, and the database
    /// lets go of those that it has.
    fn whats_over(&self) -> Result<(), (&'static str, String)> {
        let later_ms = self.unix_ms() + LATER_MS;
        let reader = self.carry_over(later_ms)?;
        self.disk.database.drop_over(later_ms);
        let inboxes = self.users.iter().map(|&user| LogId::Inbox(user));
        for log in inboxes.chain(self.oracle.groups().map(LogId::Group)) {
            let (conn, entries_max, bytes_max) =
                (ConnId { slot: 0, generation: 0 }, u32::MAX, u32::MAX);
            let (from, through) = (1, u64::MAX);
            let load = Load::Entries { log, conn, from, through, entries_max, bytes_max };
            let Loaded::Entries { entries, .. } =
                reader.load(load).map_err(|error| unreadable(&error))?
            else {
                continue;
            };
            for (position, value) in entries {
                let (header, _) = split_entry(&value)
                    .map_err(|error| ("what is stored can be read", error.to_string()))?;
                if header.over_ms > 0 {
                    let detail = format!("position {position} of {log:?} is left: {header:?}");
                    return Err(("what is over is deleted", detail));
                }
            }
        }
        Ok(())
    }

    /// Carries over the whole journal, and reads what is left then.
    fn carry_over(&self, now_ms: u64) -> Result<Reader, (&'static str, String)> {
        let plan = NodePlan { segments_kept: 0, ..self.node_plan.clone() };
        let (_, reader, drain) = self.disk.open(&plan).map_err(|error| unreadable(&error))?;
        while drain.is_due() {
            drain.drain_oldest(now_ms).map_err(|error| unreadable(&error))?;
        }
        Ok(reader)
    }

    fn whats_left(&self) -> Result<(), (&'static str, String)> {
        let reader = self.carry_over(self.unix_ms())?;
        let has_lost =
            |user| self.devices.iter().any(|device| device.user == user && device.is_lost);
        for &user in self.users.iter().filter(|&&user| !has_lost(user)) {
            let load = Load::Log { log: LogId::Inbox(user), expire_through_ms: 0 };
            let loaded = reader.load(load).map_err(|error| unreadable(&error))?;
            if let Loaded::Log { first: Some((position, _)), record, .. } = loaded {
                let record = record.as_deref().map(InboxRecord::decode);
                let detail = format!("position {position} of user {user} is left: {record:?}");
                return Err(("what everybody has is deleted", detail));
            }
        }
        Ok(())
    }
}
