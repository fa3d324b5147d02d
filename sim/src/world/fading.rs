//! Messages that disappear: people send some so, and agree in some conversations that all do.

use fulmar_client::core::Session;
use fulmar_client::store::Store as _;
use fulmar_client::{Message, MessageId, Target, content};
use fulmar_protocol::content::Content;

use super::World;
use crate::coverage::Happening;
use crate::device::Device;

/// Longest life of a message that disappears, in seconds: long enough that some are read in time.
const SECONDS_MAX: u64 = 90;

impl Device {
    /// A timer was set for a conversation.
    pub(crate) fn heeds(&mut self, message: &Message) {
        if message.content != content::TIMER {
            return;
        }
        if let Ok(Content::Timer { seconds }) =
            Content::parse(message.content, &message.body, message.group.is_some())
        {
            self.timers.insert(message.target(), seconds);
        }
    }

    /// An own message has its tick.
    pub(crate) fn heeds_own(&mut self, id: MessageId) {
        if let Ok(Some(message)) = self.store.message(id) {
            self.heeds(&message);
        }
    }
}

impl World {
    /// A content and body as they are sent to somebody: perhaps such that they disappear.
    pub(super) fn perhaps_fading(
        &mut self,
        device: u32,
        target: Target,
        (content, body): (u8, std::sync::Arc<[u8]>),
    ) -> (u8, std::sync::Arc<[u8]>) {
        if self.plan.fading_percent == 0 {
            return (content, body);
        }
        let timer = self.devices[device as usize].timers.get(&target).copied().unwrap_or(0);
        let seconds = if timer > 0 {
            timer
        } else if self.fading.percent(self.plan.fading_percent) {
            self.fading.magnitude(1..=SECONDS_MAX)
        } else {
            return (content, body);
        };
        self.coverage.hit(Happening::FadingSend);
        let mut bytes = Vec::new();
        Content::Disappearing { seconds, content, body: &body }.encode(&mut bytes);
        (content::DISAPPEARING, bytes.into())
    }

    /// A person sets a timer for a conversation in which something came, or takes it back.
    pub(super) fn set_timer_of_chat(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        if state.remembered.is_empty() {
            return;
        }
        let id = state.remembered[self.fading.index(state.remembered.len())];
        let Ok(Some(message)) = state.store.message(id) else { return };
        let target = message.target();
        let seconds =
            if self.fading.percent(50) { 0 } else { self.fading.magnitude(1..=SECONDS_MAX) };
        let timer = Content::Timer { seconds };
        let mut body = Vec::new();
        timer.encode(&mut body);
        let taken = self.with_session(device, |session: &mut Session, now, actions| {
            session.send_to(now, target, timer.number(), body.into(), actions).is_ok()
        });
        if taken == Some(true) {
            self.coverage.hit(Happening::TimerSet);
        }
    }
}
