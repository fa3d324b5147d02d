//! Rounds on a bad network.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Campaign;
use crate::failure::Failure;
use crate::limits::SILENCE;
use crate::machine::cable::Conditions;

impl Campaign<'_> {
    /// Packets are lost, delayed, repeated and reordered; now and then the cable is cut, in one
    /// direction or both, and the server killed meanwhile.
    pub(super) fn network_round(&mut self) -> Result<String, Failure> {
        let conditions = self.draw_conditions();
        let before = self.traffic();
        self.world.excuse_silence(true);
        self.set_conditions(conditions);
        let Conditions { delay, jitter, lost_permille, repeated_permille, .. } = conditions;
        let mut what = format!(
            "{} ms and up to {} more, {lost_permille} ‰ lost, {repeated_permille} ‰ twice",
            delay.as_millis(),
            jitter.as_millis()
        );
        self.load(0.7)?;
        if self.one_in(2) {
            let cut = [[true, true], [true, false], [false, true]][self.rng.usize(0..3)];
            let time = if self.one_in(3) {
                self.millis(200, SILENCE.as_millis() as u64 + 2_000)
            } else {
                self.millis(50, 1_000)
            };
            what = format!("{what}, cut {cut:?} for {} ms", time.as_millis());
            self.count("cuts", 1);
            self.set_conditions(Conditions { cut, ..conditions });
            self.pause(time)?;
        }
        if self.one_in(3) {
            what += ", killed";
            self.kill_server()?;
            self.count("kills", 1);
            self.start_server()?;
        }
        self.set_conditions(conditions);
        self.load(0.3)?;
        self.set_conditions(Conditions::GOOD);
        // What is still under way comes late.
        self.load(0.3)?;
        self.world.excuse_silence(false);
        for ((name, before), (_, after)) in before.into_iter().zip(self.traffic()) {
            self.count(name, after - before);
        }
        Ok(what)
    }

    fn draw_conditions(&mut self) -> Conditions {
        if self.one_in(4) {
            // A mobile network: 40 ms ± 20 ms, one packet in twenty lost.
            return Conditions {
                delay: Duration::from_millis(20),
                jitter: Duration::from_millis(40),
                lost_permille: 50,
                repeated_permille: 10,
                cut: [false, false],
            };
        }
        Conditions {
            delay: self.millis(0, 60),
            jitter: self.millis(0, 40),
            lost_permille: self.rng.u32(0..=60),
            repeated_permille: self.rng.u32(0..=30),
            cut: [false, false],
        }
    }

    fn traffic(&self) -> [(&'static str, u64); 4] {
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        self.machine.cable.as_ref().map_or([("packets", 0); 4], |cable| {
            let traffic = cable.traffic();
            [
                ("packets", load(&traffic.packets)),
                ("lost", load(&traffic.lost)),
                ("repeated", load(&traffic.repeated)),
                ("overtaken", load(&traffic.overtaken)),
            ]
        })
    }
}
