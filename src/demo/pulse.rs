//! Keeps the demo's one running run alive: a heartbeat, and a line of its log now and then.

use std::time::Duration;

use crate::domain::id::RunId;
use crate::domain::user::Actor;
use crate::service::{ServiceError, Services};

/// How often a client says that it is alive.
pub(super) const BEAT: Duration = Duration::from_secs(10);

/// Rows that the backfill has in all, and how many it fills between two lines of its log.
const ROWS: u64 = 48_000_000;
const STEP: u64 = 12_500;

/// The pipeline of a run that takes its time.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub(super) pipeline: Actor,
    pub(super) run: RunId,
    /// Bytes of log that are written.
    pub(super) written: i64,
    pub(super) beats: u64,
}

impl Pulse {
    /// The run that is kept alive.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// One heartbeat; every third one comes with a line of log.
    ///
    /// # Errors
    /// When the run has ended or is unknown, or the portal is busy.
    pub async fn beat(&mut self, services: &Services) -> Result<(), ServiceError> {
        services.heartbeat(&self.pipeline, self.run).await?;
        self.beats += 1;
        if self.beats.is_multiple_of(3) {
            let filled = (self.beats / 3 * STEP).min(ROWS);
            let line = format!("INFO  [backfill] quotes.venue: {filled} of {ROWS} rows\n");
            let log = services.append_log(&self.pipeline, self.run, self.written, line.as_bytes()).await?;
            self.written = log.next;
        }
        Ok(())
    }

    /// Beats until somebody ends the run.
    pub async fn keep(mut self, services: Services) {
        loop {
            tokio::time::sleep(BEAT).await;
            match self.beat(&services).await {
                // Next time, then: the lease is longer than several beats.
                Ok(()) | Err(ServiceError::Busy) => {}
                Err(error) => {
                    tracing::info!(run = %self.run, %error, "the demo's run is not kept alive any more");
                    return;
                }
            }
        }
    }
}
