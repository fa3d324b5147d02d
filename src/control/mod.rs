//! The control plane: one thread off the cores, for operators.
//!
//! It hears signals (stop, reload) and serves health and metrics by HTTP. It knows the node only
//! through [`Handles`] and never touches the message path: if it is slow, nobody's message is.
//!
//! It runs on a tokio-uring runtime. That is an ordinary single-threaded tokio runtime whose files
//! are read through a ring; sockets, timers and signals are tokio's own.

mod http;
mod logging;
mod reload;
mod signals;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use crate::auth::KeyRing;
use crate::config::Config;
use crate::metrics::Metrics;

pub use logging::{LogFilter, start_logging};

pub use signals::EarlyReload;

use reload::Reload;
use signals::Signals;

/// What the control plane may see and do of a node.
pub struct Handles {
    /// What the node counts.
    pub metrics: Arc<Metrics>,
    /// Whether the node takes clients. [`Control::announce`] sets it, the first signal to stop
    /// clears it.
    pub ready: Arc<AtomicBool>,
    /// The login keys in force. A reload puts a new ring there.
    pub keys: Arc<ArcSwap<KeyRing>>,
    /// The log filter in force.
    pub log: LogFilter,
    /// Whether a reload was asked for during the start.
    pub early_reload: EarlyReload,
    /// Asks the node to stop in an orderly way. Must return at once; may be called again.
    pub stop: Box<dyn Fn() + Send>,
}

impl Handles {
    /// The node no longer takes clients, and is to stop.
    fn stop(&self) {
        self.ready.store(false, Ordering::Release);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        (self.stop)();
    }
}

/// The running control plane.
#[derive(Debug)]
pub struct Control {
    address: Option<SocketAddr>,
    ready: Arc<AtomicBool>,
    finish: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Why the control plane doesn't start.
#[derive(Debug)]
pub enum ControlError {
    /// The control address can't be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The runtime can't be made: `io_uring` is missing or forbidden.
    Runtime(io::Error),
    /// Signals can't be heard.
    Signals(io::Error),
    /// The thread can't be started.
    Thread(io::Error),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::Listen { address, source } => {
                write!(f, "can't listen on the control address {address}: {source}")?;
                match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(
                            f,
                            "; another process has it, perhaps another server: choose --control"
                        )
                    }
                    _ => Ok(()),
                }
            }
            ControlError::Runtime(source) => write!(
                f,
                "the control plane's io_uring can't be made: {source}; `fulmar doctor` says \
                 whether the kernel has none, kernel.io_uring_disabled forbids it, or a \
                 container's seccomp profile does"
            ),
            ControlError::Signals(source) => write!(f, "can't hear signals: {source}"),
            ControlError::Thread(source) => write!(f, "can't start the control thread: {source}"),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let (ControlError::Listen { source, .. }
        | ControlError::Runtime(source)
        | ControlError::Signals(source)
        | ControlError::Thread(source)) = self;
        Some(source)
    }
}

impl Control {
    /// Starts the control thread and returns once it hears signals and listens.
    ///
    /// # Errors
    /// The address is taken, `io_uring` is missing or forbidden, or the thread can't be made.
    pub fn spawn(config: &Config, handles: Handles) -> Result<Control, ControlError> {
        let listener = match config.control {
            None => None,
            Some(address) => {
                Some(listen(address).map_err(|source| ControlError::Listen { address, source })?)
            }
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let ready = Arc::clone(&handles.ready);
        let reload = Reload::new(config.clone(), Arc::clone(&handles.keys), handles.log.clone());
        let (finish, finished) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("fulmar-control".to_owned())
            .spawn(move || run(listener, handles, reload, finished, &started))
            .map_err(ControlError::Thread)?;
        match start.recv() {
            Ok(Ok(())) => Ok(Control { address, ready, finish, thread }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ControlError::Thread(io::Error::other("it ended at once"))),
        }
    }

    /// Where health and metrics are served, with the real port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Tells the world that clients are taken at `listen`: `/readyz`, the service manager, and on
    /// stdout the lines that scripts wait for, with real ports.
    pub fn announce(&self, listen: SocketAddr) {
        self.ready.store(true, Ordering::Release);
        let control = self.address.map(|control| format!("fulmar control on {control}\n"));
        let lines = format!("{}fulmar ready on {listen}\n", control.unwrap_or_default());
        // Nobody needs to read them: a closed stdout is no reason to stop.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Ends the control plane; the last thing that a stopping node does, so that operators can
    /// watch until then.
    pub fn finish(self) {
        let _ = self.finish.send(());
        if self.thread.join().is_err() {
            tracing::error!("the control thread had panicked");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Stops the node if the control thread panics: a server that no longer hears signals and shows
/// no metrics is better restarted than left alone.
struct StopOnPanic(Rc<Handles>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the control thread panicked; the server stops");
            self.0.stop();
        }
    }
}

/// The control thread. Reports through `started` whether it could start.
fn run(
    listener: Option<TcpListener>,
    handles: Handles,
    reload: Reload,
    finished: oneshot::Receiver<()>,
    started: &mpsc::Sender<Result<(), ControlError>>,
) {
    /// Submission entries: files are read one after the other.
    const RING_ENTRIES: u32 = 8;
    let handles = Rc::new(handles);
    let _guard = StopOnPanic(Rc::clone(&handles));
    let runtime = match tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES)) {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(ControlError::Runtime(error)))),
    };
    runtime.block_on(async move {
        // Both need the runtime around them.
        let signals = Signals::new().map_err(ControlError::Signals);
        let listener = listener.map(tokio::net::TcpListener::from_std).transpose();
        let (signals, listener) = match (signals, listener) {
            (Ok(signals), Ok(listener)) => (signals, listener),
            (Err(error), _) => return drop(started.send(Err(error))),
            (_, Err(error)) => return drop(started.send(Err(ControlError::Runtime(error)))),
        };
        let _ = started.send(Ok(()));
        // In this task and not in ones of their own, whose panics would pass unnoticed.
        tokio::select! {
            () = http::serve(listener, Rc::clone(&handles)) => {}
            () = signals.serve(handles, reload) => {}
            // An error means that the node dropped its handle without a word: the same.
            _ = finished => {}
        }
    });
}
