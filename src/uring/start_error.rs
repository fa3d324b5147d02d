//! Why a ring could not be made, in words that tell an operator what to do.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;

/// The oldest kernel that has everything the ring needs: `DEFER_TASKRUN` is the youngest part.
pub(super) const KERNEL_MIN: &str = "6.1";

const DISABLED_SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// Why [`Ring::new`](super::Ring::new) failed.
#[derive(Debug)]
pub enum StartError {
    /// A size in the configuration is out of its bounds; the text names it and the bounds.
    Config(String),
    /// The kernel has no `io_uring` at all, or hides it.
    Missing,
    /// The kernel has `io_uring` but doesn't let this process use it.
    Forbidden {
        /// Value of the sysctl `kernel.io_uring_disabled`, where it exists.
        disabled: Option<u32>,
    },
    /// The kernel's `io_uring` lacks something that the ring is built on.
    FeatureMissing {
        /// What is missing.
        feature: &'static str,
        /// What the kernel answered.
        error: io::Error,
    },
    /// The kernel had no memory for the queues or the buffers, or isn't allowed to lock it.
    Memory {
        /// Bytes of receive buffers that were asked for.
        pool_bytes: u64,
        /// What the kernel answered.
        error: io::Error,
    },
    /// This process or the whole system has as many descriptors open as it may.
    Descriptors(io::Error),
    /// Anything else that the kernel answered.
    Kernel {
        /// What was tried.
        step: &'static str,
        /// What the kernel answered.
        error: io::Error,
    },
}

impl StartError {
    /// Sorts the error of a step that makes a part of the ring. `feature` names what is missing if
    /// the kernel doesn't know the step's arguments.
    pub(super) fn of_step(
        step: &'static str,
        feature: &'static str,
        pool_bytes: u64,
        error: io::Error,
    ) -> StartError {
        match error.raw_os_error() {
            Some(libc::ENOSYS) => StartError::Missing,
            Some(libc::EPERM | libc::EACCES) => StartError::Forbidden { disabled: disabled() },
            Some(libc::EINVAL | libc::EOPNOTSUPP) => StartError::FeatureMissing { feature, error },
            Some(libc::ENOMEM) => StartError::Memory { pool_bytes, error },
            Some(libc::EMFILE | libc::ENFILE) => StartError::Descriptors(error),
            _ => StartError::Kernel { step, error },
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(what) => write!(f, "wrong ring configuration: {what}"),
            StartError::Missing => write!(
                f,
                "this system has no io_uring (kernel {}): Linux {KERNEL_MIN} or newer with \
                 CONFIG_IO_URING is needed; a sandbox such as gVisor may also hide it",
                kernel_release()
            ),
            StartError::Forbidden { disabled: Some(2) } => f.write_str(
                "io_uring is switched off for everybody (sysctl kernel.io_uring_disabled is 2): \
                 set it to 0 with `sysctl -w kernel.io_uring_disabled=0`, or to 1 and give this \
                 process CAP_SYS_ADMIN or the group of kernel.io_uring_group",
            ),
            StartError::Forbidden { disabled: Some(1) } => f.write_str(
                "io_uring is switched off for ordinary processes (sysctl \
                 kernel.io_uring_disabled is 1): run as a member of the group in \
                 kernel.io_uring_group, or set the sysctl to 0 with \
                 `sysctl -w kernel.io_uring_disabled=0`",
            ),
            StartError::Forbidden { .. } => f.write_str(
                "io_uring is forbidden to this process by a seccomp filter or a security module: \
                 container runtimes forbid it by default; allow the system calls \
                 io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp \
                 profile (Docker: `--security-opt seccomp=PROFILE.json`; systemd: \
                 SystemCallFilter=@aio)",
            ),
            StartError::FeatureMissing { feature, error } => write!(
                f,
                "this kernel's io_uring has no {feature} (kernel {}): Linux {KERNEL_MIN} or newer \
                 is needed; the kernel answered: {error}",
                kernel_release()
            ),
            StartError::Memory { pool_bytes, error } => write!(
                f,
                "no memory for a ring with {pool_bytes} bytes of receive buffers: raise the \
                 memory limit of the service or container, or the limit on locked memory \
                 (`ulimit -l`, systemd: LimitMEMLOCK=), or configure fewer buffers; the kernel \
                 answered: {error}"
            ),
            StartError::Descriptors(error) => write!(
                f,
                "no descriptor left for the ring: raise the limit on open files (`ulimit -n`, \
                 systemd: LimitNOFILE=; system-wide: sysctl fs.file-max); the kernel answered: \
                 {error}"
            ),
            StartError::Kernel { step, error } => {
                write!(f, "{step} failed (kernel {}): {error}", kernel_release())
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::FeatureMissing { error, .. }
            | StartError::Memory { error, .. }
            | StartError::Descriptors(error)
            | StartError::Kernel { error, .. } => Some(error),
            StartError::Config(_) | StartError::Missing | StartError::Forbidden { .. } => None,
        }
    }
}

/// The running kernel's release, as in `uname -r`.
pub(super) fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "of unknown release".to_owned(), |release| release.trim().to_owned())
}

/// Value of the sysctl `kernel.io_uring_disabled`: 0 open to all, 1 to a group only, 2 to nobody.
/// Kernels before 6.6 don't have it.
fn disabled() -> Option<u32> {
    fs::read_to_string(DISABLED_SYSCTL).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_errno(errno: i32) -> StartError {
        StartError::of_step("step", "feature", 4_096, io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn errors_of_the_kernel_are_told_apart() {
        assert!(matches!(of_errno(libc::ENOSYS), StartError::Missing));
        assert!(matches!(of_errno(libc::EPERM), StartError::Forbidden { .. }));
        assert!(matches!(of_errno(libc::EINVAL), StartError::FeatureMissing { .. }));
        assert!(matches!(of_errno(libc::ENOMEM), StartError::Memory { pool_bytes: 4_096, .. }));
        assert!(matches!(of_errno(libc::EMFILE), StartError::Descriptors(_)));
        assert!(matches!(of_errno(libc::EIO), StartError::Kernel { step: "step", .. }));
    }

    #[test]
    fn each_text_says_what_to_do() {
        let says = |error: StartError, words: &[&str]| {
            let text = error.to_string();
            for word in words {
                assert!(text.contains(word), "{word} in: {text}");
            }
        };
        says(StartError::Missing, &[KERNEL_MIN, "CONFIG_IO_URING"]);
        says(StartError::Forbidden { disabled: Some(2) }, &["kernel.io_uring_disabled=0"]);
        says(StartError::Forbidden { disabled: Some(1) }, &["kernel.io_uring_group"]);
        says(StartError::Forbidden { disabled: Some(0) }, &["seccomp", "io_uring_setup"]);
        says(StartError::Forbidden { disabled: None }, &["seccomp"]);
        says(of_errno(libc::EINVAL), &["feature", KERNEL_MIN]);
        says(of_errno(libc::ENOMEM), &["4096", "LimitMEMLOCK"]);
        says(of_errno(libc::EMFILE), &["LimitNOFILE"]);
        says(of_errno(libc::EIO), &["step"]);
    }
}
