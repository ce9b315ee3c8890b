//! The work that nobody asks for: every few seconds, runs that stopped reporting are written down as lost; every
//! hour, idempotency keys that are too old to be repeated are forgotten.
//!
//! The evaluator counts a lapsed lease at once; this only makes it permanent and audited.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::service::Services;

const EVERY: Duration = Duration::from_secs(5);

/// Keys are forgotten on every so many ticks: once an hour.
const TICKS_PER_FORGETTING: u32 = 720;

/// Sweeps until it is dropped. `swept` is told, each time, how many runs were lost.
pub async fn run(services: Services, swept: impl Fn(u64)) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in (0..TICKS_PER_FORGETTING).cycle() {
        ticks.tick().await;
        if tick == 0
            && let Err(error) = services.forget_keys().await
        {
            tracing::warn!(error = %error, "old idempotency keys could not be forgotten");
        }
        match services.sweep().await {
            Ok(lost) => swept(u64::try_from(lost).unwrap_or(u64::MAX)),
            Err(error) => {
                tracing::warn!(error = %error, "runs that stopped reporting could not be looked for");
            }
        }
    }
}
