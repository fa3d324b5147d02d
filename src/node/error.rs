//! Why a node can't start or go on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::auth::KeyFileError;
use crate::control::ControlError;
use crate::storage::OpenError;
use crate::uring::StartError;

/// Each variant keeps its cause; the text says what to do where something can be done.
#[derive(Debug)]
pub enum NodeError {
    /// The key file.
    Keys {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: KeyFileError,
    },
    /// The data directory.
    Database(OpenError),
    /// The address for clients.
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A ring of a core.
    Ring(StartError),
    /// An eventfd.
    Doorbell(io::Error),
    /// A thread.
    Thread(io::Error),
    /// The control plane.
    Control(ControlError),
    /// A core stopped.
    Core(io::Error),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Keys { path, error: error @ KeyFileError::Content(_) } => {
                write!(f, "{}: {error}", path.display())
            }
            NodeError::Keys { error, .. } => write!(f, "{error}"),
            NodeError::Database(error) => write!(f, "{error}"),
            NodeError::Listen { address, error } => {
                write!(f, "can't listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(f, "; another process has it: stop that one or choose --listen")
                    }
                    io::ErrorKind::PermissionDenied => {
                        write!(f, "; ports below 1024 need CAP_NET_BIND_SERVICE")
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        write!(f, "; this machine has no such address")
                    }
                    _ => Ok(()),
                }
            }
            NodeError::Ring(error) => write!(f, "{error}"),
            NodeError::Doorbell(error) => write!(f, "can't make an eventfd: {error}"),
            NodeError::Thread(error) => write!(f, "can't start a thread: {error}"),
            NodeError::Control(error) => write!(f, "{error}"),
            NodeError::Core(error) => write!(f, "a core can't go on: {error}"),
        }
    }
}

impl std::error::Error for NodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            NodeError::Keys { error, .. } => error,
            NodeError::Database(error) => error,
            NodeError::Listen { error, .. }
            | NodeError::Doorbell(error)
            | NodeError::Thread(error)
            | NodeError::Core(error) => error,
            NodeError::Ring(error) => error,
            NodeError::Control(error) => error,
        })
    }
}

impl From<OpenError> for NodeError {
    fn from(error: OpenError) -> Self {
        NodeError::Database(error)
    }
}

impl From<ControlError> for NodeError {
    fn from(error: ControlError) -> Self {
        NodeError::Control(error)
    }
}
