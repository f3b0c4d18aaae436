//! `boxseat demo`: a month of daily runs of a simulated enterprise, from an empty directory to a licence summary.

use std::path::{Path, PathBuf};

use boxseat_output::query;
use boxseat_output::report::html::People;
use boxseat_output::report::{self, Ask, Source};
use boxseat_pipeline::client::Credentials;
use boxseat_schemas::licence::{LicenceTerms, MatchRule};
use boxseat_simulator::Config;
use boxseat_storage::durable;
use chrono::{DateTime, Datelike, Days, NaiveDate, SubsecRound, TimeDelta, Utc, Weekday};
use secrecy::SecretString;

use crate::cli::{DemoArgs, Format, Global, SyncArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::Ended;

/// Marks a store that the demo created and may replace.
const MARK: &str = "state/demo";

pub(crate) async fn run(global: &Global, args: &DemoArgs, printer: &Printer) -> Result<u8, CommandError> {
    let today = data_clock(global.now)().trunc_subsecs(0);
    let first = today - TimeDelta::days(i64::from(args.nights - 1));
    let store = global.store.clone().unwrap_or_else(|| PathBuf::from("demo"));
    clear(&store)?;
    let holiday = workday(first + TimeDelta::days(i64::from(args.nights / 2)));
    let config = Config {
        users: args.users,
        seed: args.seed,
        now: first,
        calls_per_minute: None,
        holidays: vec![holiday],
        directory_push_every_days: Some(PUSH_EVERY_DAYS),
        ..Config::default()
    };
    let running = boxseat_simulator::start(config)
        .await
        .map_err(|e| CommandError::failed("cannot start the simulated Box", e))?;
    let mut settings = Settings::defaults(global)?;
    settings.store = store.clone();
    settings.quiet_dates = vec![holiday];
    settings.report.licence = vec![licence(args.users, today.date_naive())];
    settings.endpoints.client.api_url = address(&running.api_url())?;
    settings.endpoints.client.token_url = address(&running.token_url())?;
    settings.endpoints.client.calls_per_minute = std::num::NonZeroU32::MAX;
    settings.endpoints.is_loopback = true;
    let credentials = Credentials::ClientCredentials {
        client_id: running.config().client_id.clone(),
        client_secret: SecretString::from(running.config().client_secret.clone()),
        enterprise_id: running.config().enterprise_id.clone(),
    };
    printer.note(format!(
        "Simulating a Box enterprise of {} users; snapshots of {} days go to {}.",
        args.users,
        args.nights,
        store.display()
    ));
    // Marked first, so that a demo can be started again after a kill.
    mark(&store, &settings)?;
    for day in 1..=args.nights {
        settings.rehearsed_now = Some(running.now());
        // The reports use only the last snapshot, so the others are not published.
        let sync = SyncArgs { no_publish: day < args.nights, ..SyncArgs::default() };
        match super::sync::run_once(global, &settings, credentials.clone(), &sync).await? {
            Ended::Complete(outcome) if day == args.nights => super::sync::report(printer, &outcome)?,
            _ => _ = tokio::task::block_in_place(|| running.step_days(1)),
        }
    }
    running.shutdown().await;
    let reports = reports(&store, &settings, today)?;
    for (name, sql) in [("licence_summary", SUMMARY), ("nights", NIGHTS)] {
        let rows = query::query(&store, sql, &settings.resources)?;
        printer.grid(name, &super::query::grid(rows)?)?;
    }
    if global.format == Format::Table {
        let file = store.join(boxseat_output::warehouse::FILE_NAME);
        printer.out(&format!(
            "\nThe page to open:  {page}\nAll reports:       {reports}\nThe DuckDB file:   {file}\nThe lake:          {lake}\nA first query:     boxseat --store {store} query \"{FIRST_QUERY}\"\n               or  duckdb -readonly {file} \"{FIRST_QUERY}\"\n",
            page = reports.join(super::report::PAGE).display(),
            reports = reports.display(),
            file = file.display(),
            lake = store.join("lake").display(),
            store = store.display(),
        ))?;
    }
    Ok(0)
}

/// Writes every report of the last snapshot, and returns their directory. The page names users, because none of them is real.
fn reports(store: &Path, settings: &Settings, now: DateTime<Utc>) -> Result<PathBuf, CommandError> {
    let directory = store.join("reports");
    durable::create_directory(&directory, &settings.access)?;
    let source = Source::published(store, &settings.resources)?;
    let reports = report::all(&source, &Ask { now, ..Ask::default() })?;
    super::report::write_all(&reports, &directory, People::Named, &settings.access)?;
    Ok(directory)
}

/// The licence terms of the simulated enterprise: 5 % more seats than users.
fn licence(users: u32, today: NaiveDate) -> LicenceTerms {
    let renewal = today + Days::new(120);
    LicenceTerms {
        plan_id: "enterprise".to_owned(),
        valid_from: None,
        valid_to: None,
        seats_purchased: Some(i64::from(users) + i64::from(users) / 20),
        cost_per_seat_monthly: "35.00".parse().ok(),
        currency: Some("USD".to_owned()),
        term_start: None,
        renewal_date: Some(renewal),
        notice_by: Some(renewal - Days::new(60)),
        box_plan: Some("Enterprise".to_owned()),
        external_seats: None,
        console_seats_used: None,
        console_seen_at: None,
        match_rule: MatchRule::All,
    }
}

/// How often an identity provider updates half of the users, which changes only their `modified_at`.
const PUSH_EVERY_DAYS: u32 = 13;

/// The first day from `at` on that is not on a weekend.
fn workday(at: DateTime<Utc>) -> NaiveDate {
    let mut day = at.date_naive();
    while matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        day = day + Days::new(1);
    }
    day
}

const SUMMARY: &str = "SELECT seat_state, seats_count, seats_percent, monthly_cost, currency, meaning FROM licence_summary ORDER BY seat_state_order";
const NIGHTS: &str = "SELECT snapshot_date, calls_count AS calls, planned_calls_count AS planned, drift_count AS drift FROM \
    sync_runs ORDER BY run_number";
const FIRST_QUERY: &str =
    "SELECT login, monthly_cost, meaning FROM idle_accounts ORDER BY proven_idle_days DESC LIMIT 10";

/// Removes the store of an earlier demo. Any other content of the directory is an error.
fn clear(store: &Path) -> Result<(), CommandError> {
    let is_empty = match std::fs::read_dir(store) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(CommandError::failed(format!("cannot list {}", store.display()), e)),
        Ok(mut entries) => entries.next().is_none(),
    };
    if is_empty {
        return Ok(());
    }
    if !store.join(MARK).exists() {
        return Err(CommandError::usage(format!(
            "{} exists and was not created by the demo",
            store.display()
        ))
        .hint("name another directory: boxseat --store DIR demo"));
    }
    std::fs::remove_dir_all(store)
        .map_err(|e| CommandError::failed(format!("cannot remove the earlier demo {}", store.display()), e))
}

fn mark(store: &Path, settings: &Settings) -> Result<(), CommandError> {
    Store::create_directories(store, &settings.access)?;
    std::fs::write(store.join(MARK), "created by boxseat demo, replaced by the next demo\n")
        .map_err(|e| CommandError::failed(format!("cannot mark {} as a demo", store.display()), e))
}

fn address(text: &str) -> Result<url::Url, CommandError> {
    text.parse().map_err(|_| CommandError::usage(format!("{text} is not an address")))
}
