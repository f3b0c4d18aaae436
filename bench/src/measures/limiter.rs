//! The rate limit: `boxseat sync` as a customer runs it, against a Box that responds with 429 above 1,000 calls in any minute.

use std::process::Stdio;
use std::time::Duration;

use boxseat_simulator::Config;
use tokio::time::{Instant, sleep, sleep_until};

use super::Bench;
use crate::Result;
use crate::report::{Findings, Row, percent, whole};
use crate::stand::{Stand, enterprise};

/// The default of boxseat.
const CALLS_PER_MINUTE: u32 = 950;
/// Duration of a response. Box is not on loopback.
const LATENCY_MS: u64 = 100;

pub(super) fn measure(bench: &Bench) -> Result<Findings> {
    let span = Duration::from_secs(if bench.quick { 20 } else { 180 });
    // Enough users that the run still requests aliases when the time is up.
    let config =
        Config { calls_per_minute: Some(1_000), latency_ms: LATENCY_MS, ..enterprise(5_000, 50, 50_000) };
    let stand = Stand::start(config)?;
    let store = bench.new_directory("limiter")?;
    let mut command = stand.command(&bench.boxseat, &store, &["--quiet", "sync"]);
    command
        .env("BOXSEAT_RATE_CALLS_PER_MINUTE", CALLS_PER_MINUTE.to_string())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(bench.log())?);
    let mut sync = command.spawn()?;
    let counted = bench.runtime.block_on(async {
        while stand.counts(&bench.http).await?.calls == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let begin = Instant::now();
        sleep_until(begin + span).await;
        stand.counts(&bench.http).await
    });
    let early = sync.try_wait()?;
    sync.kill()?;
    sync.wait()?;
    if let Some(status) = early {
        return Err(format!("sync ended before the time was up ({status})").into());
    }
    let counts = counted?;
    let allowed = f64::from(CALLS_PER_MINUTE) * span.as_secs_f64() / 60.0;
    let share = counts.calls as f64 / allowed;
    let row = Row::new(
        "limiter: calls at 950 a minute",
        "at least 97 % of the allowed, no 429",
        format!("{} of {}, {} × 429", whole(counts.calls as f64), whole(allowed), counts.throttled),
        percent(share),
        share >= 0.97 && counts.throttled == 0,
    );
    let note = format!(
        "`boxseat sync` for {} s from its first call, counted by the stand-in, token request included; every answer takes \
         {LATENCY_MS} ms. The first calls may be a burst of 25, so 100 % can be passed. Nothing else of the bench runs meanwhile.",
        span.as_secs()
    );
    Ok(Findings { rows: vec![row], notes: vec![note] })
}
