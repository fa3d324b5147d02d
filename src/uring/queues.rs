//! The submission and completion queue, and the one system call between them.
//!
//! Everything `unsafe` about submitting is here. Operations that lend memory to the kernel say in
//! their safety section how long it has to live; the others carry numbers only.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{Builder, EnterFlags, IoUring, Submitter, cqueue, opcode, squeue};

use super::buffers::{BUFFER_GROUP, Buffers};
use super::config::RingConfig;
use super::counters::Counters;
use super::lifecycle::Wanted;
use super::start_error::StartError;
use super::token::{Kind, Token};

/// How long an accept waits after an error that would only repeat itself.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The same for the kernel, which reads it at some time after the operation was queued.
static ACCEPT_RETRY_TIMESPEC: Timespec = Timespec::new().nsec(ACCEPT_RETRY.subsec_nanos());

/// Longest wait that is passed on to the kernel; a longer one is none that anybody would notice.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);
/// How long completions are waited for when the kernel can't take a submission at the moment.
const SUBMIT_RETRY: Duration = Duration::from_millis(1);

/// A completion as the kernel posted it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completed {
    pub(super) token: Token,
    /// What the operation returned; an error number, negated, if it failed.
    pub(super) result: i32,
    /// Whether the operation is still in flight and completes again.
    pub(super) more: bool,
    /// The shared buffer that was taken for it.
    pub(super) buffer: Option<u16>,
}

/// A ring of the kernel.
pub(super) struct Queues {
    /// On the heap and never moved while `submitter` borrows from it. Only shared references to it
    /// are made.
    ring: NonNull<IoUring>,
    /// Remembers the ring's registered descriptor, which spares the kernel a look-up per call.
    submitter: ManuallyDrop<Submitter<'static>>,
    /// What found no room in the submission queue, in order.
    backlog: VecDeque<squeue::Entry>,
    /// Operations queued whose last completion wasn't popped yet. Cancels aren't among them.
    in_flight: u64,
    /// Flags of a call that waits.
    wait_flags: EnterFlags,
}

impl Queues {
    /// Makes a ring that only this thread may use.
    pub(super) fn open(config: &RingConfig) -> Result<Queues, StartError> {
        let ring = open_ring(config)?;
        let mut wait_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if ring.params().is_feature_no_iowait() {
            // An idle server would otherwise show up as a processor waiting for a disk.
            wait_flags |= EnterFlags::NO_IOWAIT;
        }
        let ring = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: the ring is freed in `drop` only, after the submitter.
        let mut submitter = unsafe { ring.as_ref() }.submitter();
        // Only a saving: where the kernel refuses, calls look the descriptor up.
        let _ = submitter.register_ring_fd();
        let submitter = ManuallyDrop::new(submitter);
        Ok(Queues { ring, submitter, backlog: VecDeque::new(), in_flight: 0, wait_flags })
    }

    /// Offers buffers to the kernel.
    ///
    /// # Safety
    ///
    /// The buffers must not be dropped before [`Queues::withdraw`], or with anything in flight.
    pub(super) unsafe fn offer(&self, buffers: &Buffers) -> io::Result<()> {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { buffers.register(&self.submitter) }
    }

    /// Takes the buffers back from the kernel.
    pub(super) fn withdraw(&self) -> io::Result<()> {
        self.submitter.unregister_buf_ring(BUFFER_GROUP)
    }

    /// Operations that the kernel still has to complete.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }
}

/// Operations.
impl Queues {
    /// Queues a receive into a shared buffer: one, or as many as come.
    ///
    /// The kernel tries at once and polls afterwards. The other way round (`POLL_FIRST`) would spare
    /// a look into an empty socket, but a multishot receive that finds its first bytes and a reset at
    /// the same time then never tells of the reset (seen on 6.18).
    pub(super) fn receive(&mut self, fd: RawFd, token: Token, wanted: Wanted) {
        let entry = match wanted {
            Wanted::Nothing => unreachable!("nothing is not received"),
            // Length 0 means "as much as the buffer holds".
            Wanted::Once => opcode::Recv::new(Fd(fd), ptr::null_mut(), 0)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(Flags::BUFFER_SELECT),
            Wanted::Always => opcode::RecvMulti::new(Fd(fd), BUFFER_GROUP).build(),
        };
        // SAFETY: the only memory is that of the registered buffers.
        unsafe { self.start(entry, token) }
    }

    /// Queues the sending of `bytes`.
    ///
    /// # Safety
    ///
    /// The bytes must be neither changed nor freed before the completion was popped.
    pub(super) unsafe fn send(&mut self, fd: RawFd, token: Token, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("a send is shorter than 4 GiB");
        // With WAITALL the kernel goes on by itself after a short write, as long as it can.
        let entry = opcode::Send::new(Fd(fd), bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        // SAFETY: the caller's promise is the one asked for.
        unsafe { self.start(entry, token) }
    }

    /// Queues an accept that goes on until an error.
    pub(super) fn accept(&mut self, fd: RawFd, token: Token) {
        let entry = opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: no memory is lent.
        unsafe { self.start(entry, token) }
    }

    /// Queues a completion after [`ACCEPT_RETRY`].
    pub(super) fn accept_retry(&mut self, token: Token) {
        let entry = opcode::Timeout::new(&raw const ACCEPT_RETRY_TIMESPEC).build();
        // SAFETY: the timespec is static.
        unsafe { self.start(entry, token) }
    }

    /// Queues a poll that completes with every write to an eventfd, until an error.
    pub(super) fn poll(&mut self, fd: RawFd, token: Token) {
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).multi(true).build();
        // SAFETY: no memory is lent.
        unsafe { self.start(entry, token) }
    }

    /// Queues the cancelling of one operation. The operation completes as cancelled; the cancel
    /// itself completes, as `token`, only if it failed.
    pub(super) fn cancel(&mut self, operation: Token, token: Token) {
        let entry = opcode::AsyncCancel::new(operation.to_user_data())
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(token.to_user_data());
        // SAFETY: no memory is lent.
        unsafe { self.push(entry) }
    }

    /// Queues the cancelling of everything. For the last few only: the kernel searches for each
    /// operation among those it found before.
    pub(super) fn cancel_all(&mut self) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any())
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Token::other(Kind::CancelAtEnd).to_user_data());
        // SAFETY: no memory is lent.
        unsafe { self.push(entry) }
    }

    /// Queues an operation that completes at least once.
    ///
    /// # Safety
    ///
    /// Memory that the entry refers to must live until the operation's last completion.
    unsafe fn start(&mut self, entry: squeue::Entry, token: Token) {
        self.in_flight += 1;
        // SAFETY: the caller's promise is the one asked for.
        unsafe { self.push(entry.user_data(token.to_user_data())) }
    }

    /// Queues an entry, behind all queued before it: a cancel must not overtake what it cancels.
    ///
    /// # Safety
    ///
    /// Memory that the entry refers to must live until the operation's last completion.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            // SAFETY: the caller's promise is the one asked for.
            if unsafe { self.submission().push(&entry) }.is_ok() {
                return;
            }
            // Full: what is there is submitted early. An error shows again in the next `enter`.
            let _ = self.call(EnterFlags::empty(), 0, None);
            // SAFETY: as above.
            if unsafe { self.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }
}

/// The system call.
impl Queues {
    /// Submits what is queued, runs what the kernel put off, and waits until there is a completion or
    /// the time is over. No time is "as long as it takes"; a zero time doesn't wait at all. May return
    /// early.
    pub(super) fn enter(
        &mut self,
        timeout: Option<Duration>,
        counters: &mut Counters,
    ) -> io::Result<()> {
        counters.enters += 1;
        if self.submission().cq_overflow() {
            counters.cq_overflows += 1;
        }
        self.flush_backlog();
        // An entry that found no room is submitted by the next call, which mustn't be far.
        let wait = timeout != Some(Duration::ZERO) && self.backlog.is_empty();
        let result = self.call(self.wait_flags, u32::from(wait), timeout.filter(|_| wait));
        match result.as_ref().map_err(io::Error::raw_os_error) {
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(Some(libc::EAGAIN | libc::EBUSY)) => {
                counters.submit_retries += 1;
                self.wait_for_room()
            }
            Err(_) => result.map(drop),
        }
    }

    /// Waits a little for completions without submitting anything.
    fn wait_for_room(&mut self) -> io::Result<()> {
        let timespec = Timespec::from(SUBMIT_RETRY);
        let args = SubmitArgs::new().timespec(&timespec);
        // SAFETY: the flags say that the argument is of this type, and it lives for the call.
        let result = unsafe { self.submitter.enter(0, 1, self.wait_flags.bits(), Some(&args)) };
        match result {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn flush_backlog(&mut self) {
        let mut submission = self.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: whoever queued the entry promised that its memory lives.
            if unsafe { submission.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
    }

    fn call(
        &self,
        flags: EnterFlags,
        completions_min: u32,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let timespec = timeout.map(|timeout| Timespec::from(timeout.min(WAIT_MAX)));
        let args = SubmitArgs::new();
        let args = timespec.as_ref().map_or(args, |timespec| args.timespec(timespec));
        let entries = self.submission().len() as u32;
        let flags = flags | EnterFlags::EXT_ARG;
        // SAFETY: the flags say that the argument is of this type, and it lives for the call.
        unsafe { self.submitter.enter(entries, completions_min, flags.bits(), Some(&args)) }
    }

    /// How many completions can be popped without a system call.
    pub(super) fn completed(&self) -> usize {
        self.completion().len()
    }

    /// The next completion.
    pub(super) fn pop(&mut self) -> Option<Completed> {
        let entry = self.completion().next()?;
        let completed = Completed {
            token: Token::from_user_data(entry.user_data()),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
            buffer: cqueue::buffer_select(entry.flags()),
        };
        if !completed.more && !is_cancel(completed.token.kind) {
            self.in_flight -= 1;
        }
        Some(completed)
    }

    fn submission(&self) -> squeue::SubmissionQueue<'static> {
        // SAFETY: the ring lives as long as `self`, and what this returns never leaves a method. The
        // type is confined to one thread, and no method holds two of them at a time.
        unsafe { self.ring.as_ref().submission_shared() }
    }

    fn completion(&self) -> cqueue::CompletionQueue<'static> {
        // SAFETY: as for `submission`.
        unsafe { self.ring.as_ref().completion_shared() }
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        // The thread's table of registered rings would keep this one alive.
        let _ = self.submitter.unregister_ring_fd();
        // SAFETY: the submitter isn't used after this, and it is the only borrower of the ring, which
        // came from a box and is freed once, here.
        unsafe {
            ManuallyDrop::drop(&mut self.submitter);
            drop(Box::from_raw(self.ring.as_ptr()));
        }
    }
}

fn is_cancel(kind: Kind) -> bool {
    matches!(kind, Kind::CancelReceive | Kind::CancelAccept | Kind::CancelAtEnd)
}

fn open_ring(config: &RingConfig) -> Result<IoUring, StartError> {
    let mut builder: Builder<squeue::Entry, cqueue::Entry> = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(config.completions());
    // Without the indirection array where the kernel knows that (6.6): a read less per entry.
    let opened = match builder.clone().setup_no_sqarray().build(config.entries) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder.build(config.entries),
        opened => opened,
    };
    let ring = opened.map_err(|error| {
        let feature = "SINGLE_ISSUER with DEFER_TASKRUN";
        StartError::of_step("io_uring_setup", feature, config.pool_bytes(), error)
    })?;
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        let feature = "EXT_ARG with NODROP";
        return Err(StartError::FeatureMissing { feature, error });
    }
    Ok(ring)
}
