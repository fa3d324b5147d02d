//! System calls on one socket descriptor that are made directly and not through the ring.
//!
//! They don't block. `IORING_OP_SHUTDOWN` would go to a worker thread, and cancelling through the
//! ring costs a walk through a hash table whose size doesn't grow with the number of sockets.

use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::SockRef;

/// Makes operations wait for readiness: on a non-blocking descriptor the kernel would answer
/// `EAGAIN` instead.
pub(super) fn clear_nonblocking(fd: BorrowedFd<'_>) {
    // Fails only for a closed descriptor; the operation that follows reports that.
    let _ = SockRef::from(&fd).set_nonblocking(false);
}

/// Sends FIN after everything that was written. False if there is no connection any more.
pub(super) fn shutdown_write(fd: BorrowedFd<'_>) -> bool {
    SockRef::from(&fd).shutdown(Shutdown::Write).is_ok()
}

/// Ends a send that waits for room. An error means that the connection, and so the send, is over.
pub(super) fn shutdown_both(fd: BorrowedFd<'_>) {
    let _ = SockRef::from(&fd).shutdown(Shutdown::Both);
}

/// Breaks the connection off: sends RST, drops what waits in both directions and ends what is in
/// flight with an error.
///
/// For TCP this is `connect` to the address family "unspecified" (`connect(2)`: "dissolve the
/// association"). A plain shutdown isn't enough: a multishot receive that finds the last bytes and
/// the end at once may miss the end (axboe/liburing#1549).
pub(super) fn reset(fd: BorrowedFd<'_>) {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    // SAFETY: the address lives for the call and its true length is given.
    let result = unsafe {
        libc::connect(fd.as_raw_fd(), &raw const nowhere, size_of::<libc::sockaddr>() as u32)
    };
    if result != 0 {
        // Not TCP, or already on its way down.
        shutdown_both(fd);
    }
}
