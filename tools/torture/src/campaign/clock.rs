//! Rounds in which the wall clock jumps.

use super::Campaign;
use crate::failure::Failure;
use crate::limits::CLOCK_OFFSET_MS;

/// Small jumps, as of a clock that is set by the network, in milliseconds.
const SMALL_MS: i64 = 2_000;

impl Campaign<'_> {
    /// The wall clock jumps back and forward, by moments and by days; now and then the server is killed
    /// and started in another time.
    pub(super) fn clock_round(&mut self) -> Result<String, Failure> {
        let (mut offset_ms, mut what) = (0, String::from("clock ahead by (ms)"));
        for _ in 0..self.rng.u8(2..=5) {
            self.load(0.3)?;
            offset_ms = if self.rng.bool() {
                (offset_ms + self.rng.i64(-SMALL_MS..=SMALL_MS)).max(0)
            } else {
                self.rng.i64(0..=CLOCK_OFFSET_MS)
            };
            what = format!("{what} {offset_ms}");
            self.note(&format!("clock {offset_ms}"))?;
            self.with_layer(|layer| layer.set_clock_offset_ms(offset_ms))?;
            self.count("jumps", 1);
            if self.one_in(4) {
                what += " killed";
                self.kill_server()?;
                self.count("kills", 1);
                self.start_server()?;
            }
        }
        self.load(0.3)?;
        Ok(what)
    }
}
