//! The promises that can be broken on purpose.

use clap::ValueEnum;

/// See the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Ticks before the journal has the message.
    Forget,
    /// Doesn't know after a restart which numbers it took.
    Twice,
    /// Delivers some messages in the other's place.
    Swap,
    /// Tells that a message is delivered as soon as it has it.
    Eager,
    /// Tells that everything delivered is read.
    Nosy,
    /// Delivers the body of another message now and then.
    Mixup,
    /// Keeps the author's other devices without copies.
    Nocopies,
    /// Leaves out a position now and then, until the next connection.
    Hole,
    /// Skips a message now and then, for good.
    Skip,
    /// Doesn't know after a restart what was delivered and read.
    Stale,
    /// Takes a message and rejects it.
    Deny,
    /// Ends by itself soon after its first start.
    Die,
    /// Doesn't stop cleanly.
    Unclean,
}
