//! What may end a run early: a signal, or the deadline.
//!
//! The deadline ends only the reading. A run that is completely read is finished after the deadline, because that needs no API calls
//! and little time. A signal ends a run at its next step. A second signal ends the process at once. Each of them leaves the same
//! state as a kill, and the next start continues from there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::{CommandError, INTERRUPTED};

/// Ends a run early. Clones share the same state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    signal: CancellationToken,
    /// A child of `signal`: fires with it, and at the deadline.
    reading: CancellationToken,
}

impl Stop {
    /// A stop that never fires.
    pub(crate) fn never() -> Self {
        Self::default()
    }

    /// A stop that SIGINT and SIGTERM fire. The second signal ends the process.
    pub(crate) fn on_signals() -> Result<Self, CommandError> {
        use tokio::signal::unix::{SignalKind, signal};
        let cannot = |e| CommandError::failed("cannot listen for signals", e);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let signal = CancellationToken::new();
        let stop = Self { reading: signal.child_token(), signal };
        let token = stop.signal.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if token.is_cancelled() {
                    std::process::exit(i32::from(INTERRUPTED));
                }
                token.cancel();
            }
        });
        Ok(stop)
    }

    /// Ends the reading after `deadline`.
    pub(crate) fn end_reading_after(&self, deadline: Duration) {
        let reading = self.reading.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            reading.cancel();
        });
    }

    /// Fires when no more requests may be sent.
    pub(crate) fn reading(&self) -> &CancellationToken {
        &self.reading
    }

    /// Checks between two steps without requests whether a signal was received.
    ///
    /// # Errors
    /// Exit 130 after a signal.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.signal.is_cancelled() {
            return Err(CommandError::interrupted("stopped on request; the next start continues from here"));
        }
        Ok(())
    }

    /// Converts an interruption by the deadline to exit 75.
    pub(crate) fn explain(&self, error: CommandError) -> CommandError {
        if error.exit_code() == INTERRUPTED && !self.signal.is_cancelled() {
            return CommandError::try_later("the deadline has passed; the next start continues from here");
        }
        error
    }
}
