//! The client without a rate limit: per-user calls into the spool, compared with a loop that only sends requests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use boxseat_pipeline::client::{Authorities, BoxReader, ClientSettings, Credentials, Timeouts};
use boxseat_pipeline::extract::{Brief, Crawl, ExtractSettings, Meter, extract, journal_to};
use boxseat_pipeline::spool::{SpoolDir, SpoolWriter};
use boxseat_pipeline::{Clock, Privacy};
use boxseat_schemas::plan::{Reads, RunPlan, Which};
use secrecy::SecretString;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Bench;
use crate::Result;
use crate::report::{Findings, Row, Sample, percent, whole};
use crate::stand::{Stand, UNTHROTTLED, enterprise};

/// The default of boxseat.
const IN_FLIGHT: usize = 16;

pub(super) fn measure(bench: &Bench) -> Result<Findings> {
    let users = if bench.quick { 2_000 } else { 20_000 };
    let stand = Stand::start(enterprise(users, 10, 0))?;
    let ids = Arc::new(bench.runtime.block_on(ids(&bench.http, &stand))?);
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.often() {
        let loop_rate = bench.runtime.block_on(bare_loop(bench, &stand, Arc::clone(&ids)))?;
        let our_rate = bench.runtime.block_on(read(bench, &stand))?;
        // The first round warms the simulator.
        if round > 0 {
            bare.push(loop_rate);
            ours.push(our_rate);
            ratios.push(our_rate / loop_rate);
        }
    }
    let (ours, bare, ratios) = (Sample::new(ours), Sample::new(bare), Sample::new(ratios));
    let a_second = |rate| format!("{}/s", whole(rate));
    let rows = vec![
        Row::new(
            "client: per-user calls, no pace",
            "at least 3,000/s",
            ours.show(a_second),
            format!("{:.2} × target", ours.median() / 3_000.0),
            ours.median() >= 3_000.0,
        ),
        Row::new(
            "client: compared with a bare loop",
            "at least 70 %",
            ratios.show(percent),
            format!("bare loop {}", bare.show(a_second)),
            ratios.median() >= 0.70,
        ),
    ];
    let note = format!(
        "Aliases (and some memberships) of {} users, {IN_FLIGHT} in flight, counted by the stand-in. Ours: `extract` as `sync` \
         calls it, every page summarised and in the spool before it counts, the listings in the time. Bare: reqwest alone, \
         aliases, bodies discarded. The two take turns; client and stand-in share the machine's cores, the stand-in keeps to one.",
        whole(f64::from(users))
    );
    Ok(Findings { rows, notes: vec![note] })
}

/// Per-user calls a second of boxseat's client, counted by the simulator: aliases, and memberships of users that the readable
/// pages of a large group do not show.
async fn read(bench: &Bench, stand: &Stand) -> Result<f64> {
    let settings = ClientSettings {
        api_url: stand.at.api_url.parse()?,
        token_url: stand.at.token_url.parse()?,
        calls_per_minute: NonZeroU32::new(UNTHROTTLED).expect("not zero"),
        patience: ClientSettings::PATIENCE,
        timeouts: Timeouts::default(),
        authorities: Authorities::default(),
    };
    let config = &stand.config;
    let credentials = Credentials::ClientCredentials {
        client_id: config.client_id.clone(),
        client_secret: SecretString::from(config.client_secret.as_str()),
        enterprise_id: config.enterprise_id.clone(),
    };
    let now = config.now;
    let clock: Clock = Arc::new(move || now);
    let mut walks = Crawl::new(Brief {
        slices: Vec::new(),
        event_types: Vec::new(),
        activity: None,
        bound_enterprise: None,
    });
    let spool = SpoolWriter::create(SpoolDir::of(&bench.new_directory("client")?, 1), 1)?;
    let reader = BoxReader::new(
        &settings,
        credentials,
        journal_to(spool.clone(), Arc::clone(&clock)),
        clock,
        tokio_util::sync::CancellationToken::new(),
    )?;
    let (how, meter) = (
        ExtractSettings { concurrency: IN_FLIGHT, check_clock: false, privacy: Privacy::default() },
        Meter::default(),
    );
    extract(&reader, &spool, &mut walks, &how, &meter, &CancellationToken::new()).await?;
    let everybody = Reads { aliases: Which::All, groups: Which::All, ..Reads::default() };
    walks.follow(RunPlan { reads: everybody, ..RunPlan::default() });
    let (before, begin) = (per_user_calls(bench, stand).await?, Instant::now());
    extract(&reader, &spool, &mut walks, &how, &meter, &CancellationToken::new()).await?;
    let elapsed = begin.elapsed().as_secs_f64();
    Ok((per_user_calls(bench, stand).await? - before) as f64 / elapsed)
}

async fn per_user_calls(bench: &Bench, stand: &Stand) -> Result<u64> {
    let counts = stand.counts(&bench.http).await?;
    let per_user = counts.by_endpoint.iter().filter(|(name, _)| name.starts_with("GET /users/{user_id}/"));
    Ok(per_user.map(|(_, endpoint)| endpoint.ok).sum())
}

/// Per-user calls a second of the HTTP library alone.
async fn bare_loop(bench: &Bench, stand: &Stand, ids: Arc<Vec<String>>) -> Result<f64> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let token = stand.config.developer_token.clone().ok_or("the stand-in takes no developer token")?;
    let next = Arc::new(AtomicUsize::new(0));
    let (before, begin) = (per_user_calls(bench, stand).await?, Instant::now());
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (http, token, ids, next) = (http.clone(), token.clone(), Arc::clone(&ids), Arc::clone(&next));
        let api_url = stand.at.api_url.clone();
        loops.spawn(async move {
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                let url = format!("{api_url}/users/{id}/email_aliases");
                let mut answer = http.get(url).bearer_auth(&token).send().await?.error_for_status()?;
                while answer.chunk().await?.is_some() {}
            }
            Ok::<_, reqwest::Error>(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    let elapsed = begin.elapsed().as_secs_f64();
    Ok((per_user_calls(bench, stand).await? - before) as f64 / elapsed)
}

/// The ids of all users.
async fn ids(http: &reqwest::Client, stand: &Stand) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Truth {
        users: Vec<User>,
    }
    #[derive(Deserialize)]
    struct User {
        user_id: String,
    }
    let answer = http.get(format!("{}/truth?events=false", stand.at.control_url)).send().await?;
    let truth: Truth = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(truth.users.into_iter().map(|user| user.user_id).collect())
}
