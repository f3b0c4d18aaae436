//! What may end a run early: a signal, or the deadline.
//!
//! The deadline ends the reading alone. What is read to its end is finished, which asks Box nothing and is over soon; given up
//! there, the night would be missing in the morning for nothing. A signal ends a run at its next step, whatever it is doing: the
//! machine goes down, or somebody has changed his mind. A second signal ends the process at once. Each of them leaves what a
//! kill leaves, and the next start goes on from there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::{CommandError, INTERRUPTED};

/// What may end a run early. Clones are the same stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    signal: CancellationToken,
    /// A child of `signal`: fires with it, and at the deadline.
    reading: CancellationToken,
}

impl Stop {
    /// One that nothing fires.
    pub(crate) fn never() -> Self {
        Self::default()
    }

    /// Fired by SIGINT and SIGTERM; the second one ends the process.
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

    /// Ends the reading after `deadline` from now.
    pub(crate) fn end_reading_after(&self, deadline: Duration) {
        let reading = self.reading.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            reading.cancel();
        });
    }

    /// Fires when nothing more may be asked.
    pub(crate) fn reading(&self) -> &CancellationToken {
        &self.reading
    }

    /// Between two steps that ask Box nothing: on, unless a signal has come.
    ///
    /// # Errors
    /// Exit 130.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.signal.is_cancelled() {
            return Err(CommandError::interrupted("stopped on request; the next start continues from here"));
        }
        Ok(())
    }

    /// An interruption that no signal asked for was the deadline's: cron is to hear "later".
    pub(crate) fn explain(&self, error: CommandError) -> CommandError {
        if error.exit_code() == INTERRUPTED && !self.signal.is_cancelled() {
            return CommandError::try_later("the deadline has passed; the next start continues from here");
        }
        error
    }
}
