//! Scripts that only log in, and what a welcome must allow.

use fulmar_protocol::{Frame, Welcome};

use crate::engine::{Links, Next, Port, Script};
use crate::failure::Failure;

/// Fails where the server's welcome doesn't allow what the options ask for.
pub(super) fn check_terms(port: &Port<'_>, window: u32, body_bytes: u32) -> Result<(), Failure> {
    let terms = port.terms();
    if u64::from(window) > terms.sends_max {
        return Err(Failure::Options(format!(
            "--window {window} is more than the server lets a client send without a tick: at most \
             {}",
            terms.sends_max
        )));
    }
    if u64::from(body_bytes) > terms.body_bytes_max {
        return Err(Failure::Options(format!(
            "--body {body_bytes} is more than the server takes: at most {}",
            terms.body_bytes_max
        )));
    }
    Ok(())
}

/// Logs users in and, as soon as each is, out again: from then on the server knows their devices.
pub(super) struct Register {
    to_open: std::ops::Range<usize>,
    left: usize,
}

impl Register {
    pub(super) const fn new(users: std::ops::Range<usize>) -> Register {
        let left = users.end - users.start;
        Register { to_open: users, left }
    }
}

impl Script for Register {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        port.close();
        self.left -= 1;
        Ok(())
    }

    fn on_frame(&mut self, _: &mut Port<'_>, _: &Frame<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn on_batch(&mut self, _: &mut Port<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, _: u64) -> Result<Next, Failure> {
        std::mem::take(&mut self.to_open).for_each(|index| links.open(index));
        Ok(if self.left == 0 && links.ready() == 0 { Next::Done } else { Next::Ready })
    }
}
