//! What the ring counted since it was made.

/// Counts of one ring. All of them only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// System calls that submitted or waited.
    pub enters: u64,
    /// Completions that the kernel posted.
    pub completions: u64,
    /// Bytes received and handed out.
    pub received_bytes: u64,
    /// Bytes received and dropped, because the socket was being closed.
    pub discarded_bytes: u64,
    /// Bytes that the kernel took for sending.
    pub sent_bytes: u64,
    /// Sends of which the kernel took only a part; the rest was submitted again.
    pub short_writes: u64,
    /// Receives that found no free buffer.
    pub enobufs: u64,
    /// Receives that were stopped for a turn because the socket took too many buffers.
    pub rests: u64,
    /// Receives armed again after the kernel ended them.
    pub rearms: u64,
    /// Turns at which the kernel held completions back because the completion queue was full.
    pub cq_overflows: u64,
    /// Connections accepted.
    pub accepts: u64,
    /// Accepts that failed.
    pub accept_errors: u64,
    /// Completions of a socket whose slot has another owner by now.
    pub stale_completions: u64,
    /// Cancels that found nothing to cancel although it was still to complete, and were repeated.
    pub cancel_retries: u64,
    /// Submissions that the kernel put off for want of memory or of room for completions.
    pub submit_retries: u64,
}
