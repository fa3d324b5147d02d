//! What breaks, and when.

use fulmar::shard::Retention;
use fulmar_client::core::Input;

use super::{Phase, World};
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::disk::End;
use crate::network::{ClientEnd, Way};
use crate::schedule::{Event, FaultKind};

impl World {
    /// Every kind of fault, with the mean pause between two; 0 where it doesn't come.
    fn pauses(&self) -> [(FaultKind, Time); 16] {
        let faults = &self.plan.faults;
        [
            (FaultKind::Kill, faults.kill),
            (FaultKind::PowerCut, faults.power_cut),
            (FaultKind::CleanStop, faults.clean_stop),
            (FaultKind::CoreStall, faults.core_stall),
            (FaultKind::JournalStall, faults.journal_stall),
            (FaultKind::Cut, faults.cut),
            (FaultKind::Vanish, faults.vanish),
            (FaultKind::Roam, faults.roam),
            (FaultKind::ReaderStall, faults.reader_stall),
            (FaultKind::DeviceCrash, faults.device_crash),
            (FaultKind::DeviceAway, faults.device_away),
            (FaultKind::Reinstall, faults.reinstall),
            (FaultKind::ClockJump, faults.clock_jump),
            (FaultKind::Burst, faults.burst),
            (FaultKind::Twin, faults.twin),
            (FaultKind::Compaction, 3 * SECOND),
        ]
    }

    pub(super) fn enter_faults(&mut self) {
        for (kind, mean) in self.pauses() {
            if mean > 0 {
                let pause = self.faults.pause(mean);
                self.schedule.at(pause, Event::Fault { kind });
            }
        }
    }

    /// Something breaks, and will again.
    pub(super) fn fault(&mut self, kind: FaultKind) {
        if self.phase != Phase::Chaos && kind != FaultKind::Compaction {
            return;
        }
        let mean =
            self.pauses().into_iter().find(|(of, _)| *of == kind).map_or(0, |(_, mean)| mean);
        let pause = self.faults.pause(mean);
        self.schedule.after(pause, Event::Fault { kind });
        match kind {
            FaultKind::Kill => self.end_node(End::Killed),
            FaultKind::PowerCut => self.end_node(End::PowerCut),
            FaultKind::CleanStop => self.stop_node(),
            FaultKind::CoreStall => self.stall_core(),
            FaultKind::JournalStall => self.stall_journal(),
            FaultKind::Cut => self.cut_connection(),
            FaultKind::Vanish => self.vanish(),
            FaultKind::Roam => self.roam(),
            FaultKind::ReaderStall => self.stall_reader(),
            FaultKind::DeviceCrash => {
                let device = self.any_device();
                self.crash_device(device);
            }
            FaultKind::DeviceAway => {
                let device = self.any_device();
                let pause = self.faults.magnitude(SECOND..=90 * SECOND);
                self.coverage.hit(Happening::DeviceAway);
                self.send_away(device, pause);
            }
            FaultKind::Reinstall => {
                let device = self.any_device();
                self.reinstall(device);
            }
            FaultKind::ClockJump => self.jump_clock(),
            FaultKind::Burst => self.burst(),
            FaultKind::Twin => self.twin(),
            FaultKind::Compaction => self.compact(),
        }
    }

    fn any_device(&mut self) -> u32 {
        self.faults.index(self.devices.len()) as u32
    }

    /// At once, or in the middle of one of the next changes on the disk.
    fn end_node(&mut self, end: End) {
        if self.node.is_some() && self.faults.percent(50) {
            let changes = self.faults.below(12);
            if self.faults.percent(15) {
                self.disk.database.end_after(self.faults.below(3));
            } else {
                self.disk.files.end_after(changes);
            }
        } else {
            self.crash(end);
            self.wake_rung();
        }
    }

    pub(super) fn stop_node(&mut self) {
        if let Some(node) = &mut self.node
            && !node.is_stopping()
        {
            node.begin_stop();
            self.wake_rung();
        }
    }

    fn stall_core(&mut self) {
        let until = self.schedule.now() + self.faults.magnitude(MS..=1_500 * MS);
        let Some(node) = &mut self.node else { return };
        let core = self.faults.index(node.cores.len());
        node.cores[core].stalled_until = until;
        self.coverage.hit(Happening::CoreStall);
    }

    fn stall_journal(&mut self) {
        let until = self.schedule.now() + self.faults.magnitude(50 * MS..=5 * SECOND);
        let Some(node) = &mut self.node else { return };
        node.journal_stalled_until = until;
        self.coverage.hit(Happening::JournalStall);
    }

    /// Both sides learn that a connection is broken, each in its own time. What was in flight is cut
    /// off at any byte.
    fn cut_connection(&mut self) {
        let Some(conn) = self.network.any_open(&mut self.faults) else { return };
        if self.network.get(conn).client == ClientEnd::Dialing {
            return;
        }
        self.coverage.hit(Happening::Cut);
        for way in [Way::Up, Way::Down] {
            if self.network.cut(conn, way) {
                self.coverage.hit(Happening::CutFrame);
            }
            let pause = 2 * self.network.crossing(conn) + self.faults.magnitude(1..=SECOND);
            self.schedule.after(pause, Event::Reset { conn, way });
        }
    }

    /// Nothing passes any more, and neither side is told.
    fn vanish(&mut self) {
        let Some(conn) = self.network.any_open(&mut self.faults) else { return };
        self.vanish_connection(conn);
    }

    /// A device finds itself in another network; its server isn't told.
    fn roam(&mut self) {
        let device = self.any_device();
        let Some(conn) = self.devices[device as usize].conn.take() else { return };
        self.coverage.hit(Happening::Roamed);
        self.network.get(conn).has_vanished = true;
        self.network.get(conn).client = ClientEnd::Closed;
        self.oracle.closed(conn);
        self.network.forget_if_over(conn);
        self.device_input(device, Input::Disconnected("another network"));
    }

    fn stall_reader(&mut self) {
        let Some(conn) = self.network.any_open(&mut self.faults) else { return };
        let until = self.schedule.now() + self.faults.magnitude(100 * MS..=30 * SECOND);
        self.network.get(conn).stalled_until = until;
        self.coverage.hit(Happening::StalledReader);
    }

    fn jump_clock(&mut self) {
        let ms = self.faults.magnitude(10..=3_600_000) as i64;
        let goes_back = self.plan.faults.goes_back && self.faults.percent(50);
        let by_ms = if goes_back { -ms } else { ms };
        let now = self.schedule.now();
        self.clock.jump(now, by_ms);
        self.oracle.jumped(&self.clock);
        self.trace.say(now, || format!("the wall clock jumps by {by_ms} ms"));
        self.coverage.hit(if goes_back { Happening::ClockBack } else { Happening::ClockForward });
    }

    /// Several people write a lot, to few.
    fn burst(&mut self) {
        self.coverage.hit(Happening::Burst);
        let peer = self.people.pick(&self.users);
        let writers = self.faults.between(1..=12);
        for _ in 0..writers {
            let device = self.any_device();
            for _ in 0..self.faults.magnitude(4..=150) {
                if self.steps_left == 0 {
                    return;
                }
                self.steps_left -= 1;
                if self.faults.percent(50) {
                    self.write_to(device, peer);
                } else {
                    self.write(device);
                }
            }
        }
    }

    /// The database drops what has expired, as its compactions do it.
    fn compact(&mut self) {
        let shard = &self.node_plan.shard;
        if self.node.is_some() && shard.retention == Retention::Temporary {
            let through_ms = self.unix_ms().saturating_sub(shard.expiry_ms);
            self.oracle.expires(through_ms);
            let dropped = self.disk.database.expire(through_ms);
            self.coverage.add(Happening::ExpiredBehind, dropped);
        }
    }
}
