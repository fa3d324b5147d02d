//! How large a ring is made.

use super::start_error::StartError;
use super::token::SLOTS_MAX;

/// Largest completion queue that the kernel makes.
const COMPLETIONS_MAX: u32 = 65_536;
/// Largest submission queue that the kernel makes.
const ENTRIES_MAX: u32 = 32_768;
/// Most buffers in one ring of provided buffers.
const BUFFERS_MAX: u16 = 32_768;
/// Smallest and largest receive buffer, in bytes.
const BUFFER_BYTES_MIN: u32 = 64;
const BUFFER_BYTES_MAX: u32 = 1 << 20;
/// Most memory for receive buffers of one ring, in bytes.
const POOL_BYTES_MAX: u64 = 1 << 30;

/// The sizes of one ring. The defaults suit a core with a million mostly idle sockets and use about
/// 8.3 MiB, nearly all of it the receive buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    /// Length of the submission queue, a power of two. What is queued beyond it in one turn is
    /// submitted early.
    pub entries: u32,
    /// Receive buffers shared by all sockets, a power of two.
    pub buffers: u16,
    /// Length of a receive buffer, in bytes.
    pub buffer_bytes: u32,
    /// Most sockets at a time. The table of them (64 bytes each) is reserved at the start but takes
    /// memory only as it is used. Keep it below `RLIMIT_NOFILE`: a connection over this limit can be
    /// closed at once, one over that can't even be accepted.
    pub sockets_max: u32,
    /// Sends that a turn is expected to start at most. More is not an error: their completions
    /// then overflow the completion queue, which costs time.
    pub sends_per_turn: u32,
    /// Connections that a turn is expected to accept at most; see `sends_per_turn`.
    pub accepts_per_turn: u32,
}

impl Default for RingConfig {
    fn default() -> RingConfig {
        RingConfig {
            entries: 1_024,
            buffers: 2_048,
            buffer_bytes: 4_096,
            sockets_max: 1 << 20,
            sends_per_turn: 4_096,
            accepts_per_turn: 1_024,
        }
    }
}

impl RingConfig {
    /// Says what is wrong with the sizes, if anything.
    pub(super) fn check(&self) -> Result<(), StartError> {
        let wrong = |what: String| Err(StartError::Config(what));
        if !self.entries.is_power_of_two() || self.entries > ENTRIES_MAX {
            return wrong(format!(
                "entries is {}, must be a power of two up to {ENTRIES_MAX}",
                self.entries
            ));
        }
        if !self.buffers.is_power_of_two() {
            return wrong(format!(
                "buffers is {}, must be a power of two up to {BUFFERS_MAX}",
                self.buffers
            ));
        }
        if !(BUFFER_BYTES_MIN..=BUFFER_BYTES_MAX).contains(&self.buffer_bytes) {
            return wrong(format!(
                "buffer_bytes is {}, must be {BUFFER_BYTES_MIN} to {BUFFER_BYTES_MAX}",
                self.buffer_bytes
            ));
        }
        if self.pool_bytes() > POOL_BYTES_MAX {
            return wrong(format!(
                "buffers × buffer_bytes is {}, must be at most {POOL_BYTES_MAX}",
                self.pool_bytes()
            ));
        }
        if self.sockets_max == 0 || self.sockets_max > SLOTS_MAX {
            return wrong(format!("sockets_max is {}, must be 1 to {SLOTS_MAX}", self.sockets_max));
        }
        if self.completions_wanted() > u64::from(COMPLETIONS_MAX) {
            return wrong(format!(
                "buffers + sends_per_turn + accepts_per_turn is {}, must be at most \
                 {COMPLETIONS_MAX}",
                self.completions_wanted()
            ));
        }
        Ok(())
    }

    /// Length of the completion queue: room for everything that one turn may complete. A multishot
    /// operation that finds the queue full ends, and other completions go the slow way through
    /// memory that the kernel allocates for each.
    pub(super) fn completions(&self) -> u32 {
        let wanted = self.completions_wanted().max(u64::from(self.entries) * 2);
        (wanted as u32).next_power_of_two()
    }

    /// Memory of all receive buffers, in bytes.
    pub(super) fn pool_bytes(&self) -> u64 {
        u64::from(self.buffers) * u64::from(self.buffer_bytes)
    }

    fn completions_wanted(&self) -> u64 {
        u64::from(self.buffers) + u64::from(self.sends_per_turn) + u64::from(self.accepts_per_turn)
    }
}

// The kernel's limits stand in powers of two, so rounding up stays within them.
const _: () = assert!(COMPLETIONS_MAX.is_power_of_two());
const _: () = assert!(ENTRIES_MAX * 2 <= COMPLETIONS_MAX);
const _: () = assert!(BUFFERS_MAX.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_leave_room_for_a_whole_turn() {
        let config = RingConfig::default();
        config.check().expect("the defaults are valid");
        assert_eq!(config.completions(), 8_192);
    }

    #[test]
    fn each_wrong_size_is_named() {
        let good = RingConfig::default();
        let wrong = [
            ("entries", RingConfig { entries: 1_000, ..good }),
            ("entries", RingConfig { entries: 0, ..good }),
            ("entries", RingConfig { entries: 65_536, ..good }),
            ("buffers", RingConfig { buffers: 0, ..good }),
            ("buffers", RingConfig { buffers: 100, ..good }),
            ("buffer_bytes", RingConfig { buffer_bytes: 0, ..good }),
            ("buffer_bytes", RingConfig { buffer_bytes: u32::MAX, ..good }),
            ("sockets_max", RingConfig { sockets_max: 0, ..good }),
            ("sockets_max", RingConfig { sockets_max: u32::MAX, ..good }),
            ("sends_per_turn", RingConfig { sends_per_turn: u32::MAX, ..good }),
            ("accepts_per_turn", RingConfig { accepts_per_turn: u32::MAX, ..good }),
            ("buffers ×", RingConfig { buffers: 32_768, buffer_bytes: 1 << 20, ..good }),
        ];
        for (field, config) in wrong {
            let error = config.check().expect_err(field);
            assert!(error.to_string().contains(field), "{field}: {error}");
        }
    }
}
