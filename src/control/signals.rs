//! Signals: SIGTERM and SIGINT stop, a second one of these exits at once, SIGHUP reloads, also one that came
//! during the start.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Handles;
use super::reload::Reload;

/// Exit code after a second signal, the shell's code for an interrupted program.
const EXIT_CODE: i32 = 130;

/// Whether a reload was asked for before the control plane could hear it.
#[derive(Debug, Clone, Default)]
pub struct EarlyReload(Arc<AtomicBool>);

impl EarlyReload {
    /// Lets SIGHUP be noted from now on, which otherwise ends a process.
    pub fn note() -> io::Result<EarlyReload> {
        let early = EarlyReload::default();
        flag::register(SIGHUP, Arc::clone(&early.0))?;
        Ok(early)
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes over the signals. Needs the runtime around it.
    pub(super) fn new() -> io::Result<Signals> {
        // The second signal is handled inside the handler, without this thread or any other: it is
        // for a server that hangs. The order matters: the flag is looked at before it is set.
        let stopping = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(number, EXIT_CODE, Arc::clone(&stopping))?;
            flag::register(number, Arc::clone(&stopping))?;
        }
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Acts on signals until the runtime ends.
    pub(super) async fn serve(mut self, handles: Rc<Handles>, mut reload: Reload) {
        if handles.early_reload.take() {
            reload.run().await;
        }
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    reload.run().await;
                    continue;
                }
            };
            tracing::info!(signal = name, "stopping; a second signal exits at once");
            handles.stop();
        }
    }
}
