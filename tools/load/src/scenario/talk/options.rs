//! The options that the scenarios with groups share.

use clap::ArgAction;
use fulmar_protocol::limits::PART_BYTES_MAX;
use serde::Serialize;

use super::super::login::check_terms;
use super::super::pace::PaceOptions;
use crate::engine::Port;
use crate::failure::Failure;
use crate::limits::BODY_BYTES_MIN;

/// What is said in groups: options of the scenarios that have some.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, clap::Args)]
pub struct TalkOptions {
    /// Length of each message body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(BODY_BYTES_MIN as i64..=PART_BYTES_MAX as i64))]
    pub body: u32,
    /// Members report nothing as read. Without this, each reports what it got as read when it
    /// acknowledges it
    #[arg(long = "no-reads", action = ArgAction::SetFalse)]
    pub reads: bool,
    /// When messages are made.
    #[command(flatten)]
    #[serde(flatten)]
    pub pace: PaceOptions,
}

impl TalkOptions {
    /// Fails where the server's welcome doesn't allow what the options ask for; `window` is the one of a
    /// closed loop.
    pub(in super::super) fn check_terms(
        &self,
        port: &Port<'_>,
        window: u32,
    ) -> Result<(), Failure> {
        check_terms(port, if self.pace.rate > 0 { 1 } else { window }, self.body)
    }
}
