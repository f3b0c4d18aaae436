//! The command line. Doc comments are the help.

mod reclaim;

use std::path::PathBuf;
use std::time::Duration;

use boxseat_schemas::Money;
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use reclaim::{AdoptArgs, ApplyArgs, ConfirmArgs, OffboardArgs, UndoArgs};

/// Record who uses a Box licence: nightly snapshots of an enterprise, reports, and reclamation of unused seats.
#[derive(Debug, Parser)]
#[command(name = "boxseat", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Credentials come from the environment or files, never from flags:
  BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET (or BOXSEAT_CLIENT_SECRET_FILE), BOXSEAT_ENTERPRISE_ID   client credentials
  BOXSEAT_JWT_CONFIG                                                                               or: the JSON file of an application with a key pair
  BOXSEAT_JWT_USER_ID                                                                              sign in as this user, not as the service account
  BOXSEAT_ACTIONS_CLIENT_ID, BOXSEAT_ACTIONS_CLIENT_SECRET (or …_FILE)                             for reclaim apply, undo, nightly and offboard
  BOXSEAT_ACTIONS_JWT_CONFIG, BOXSEAT_ACTIONS_JWT_USER_ID                                          or: the same as JWT
  BOXSEAT_JOURNAL_KEY_FILE                                                                         private key that seals the journal of reclamation [default: one in the store]
  BOXSEAT_TOKEN (or BOXSEAT_TOKEN_FILE)                                                            developer token, one hour
A file of $CREDENTIALS_DIRECTORY (systemd LoadCredential) with the name of such a variable in lower case with hyphens is read without
further configuration: boxseat-jwt-config, boxseat-actions-jwt-config, boxseat-client-id, boxseat-client-secret, boxseat-enterprise-id.
Any key of boxseat.toml can be set as BOXSEAT_<SECTION>_<KEY>, such as BOXSEAT_RATE_CALLS_PER_MINUTE.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a guard, 4 done with rejected rows,
75 try again later, 130 interrupted (run the command again to continue).

boxseat --version -v prints the commit, and the version and digest of DuckDB's library.

Try it: boxseat demo. Set it up: boxseat init";

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [env: BOXSEAT_CONFIG] [default: boxseat.toml, else boxseat/boxseat.toml in the user's configuration
    /// directory, else /etc/boxseat/boxseat.toml]. A command that finds another file than the last run, or none, is refused if licence
    /// terms, [idle] or the policy would change; this flag or --no-config accepts the change
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Read no configuration file: only flags, BOXSEAT_* and defaults
    #[arg(long, global = true, conflicts_with = "config")]
    pub(crate) no_config: bool,
    /// Directory that holds lake, spool and boxseat.duckdb [default: ./warehouse; demo: ./demo]
    #[arg(long, global = true, env = "BOXSEAT_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// How results are printed on stdout
    #[arg(long, global = true, env = "BOXSEAT_FORMAT", value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Print only errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log the steps; twice: also details; three times: also what the libraries do
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Draw no progress bars, even on a terminal
    #[arg(long, global = true, env = "BOXSEAT_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_progress: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
    /// Use this time as the current time, RFC 3339. For rehearsals: only report, query and status accept it if the API is not on loopback
    #[arg(long, global = true, env = "BOXSEAT_NOW", value_name = "TIME", value_parser = rfc3339)]
    pub(crate) now: Option<DateTime<Utc>>,
}

/// Output format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading
    Table,
    /// For programs; begins with a schema_version
    Json,
    /// For spreadsheets; text that looks like a formula is escaped
    Csv,
    /// For a ticket; only for `reclaim show`
    Markdown,
    /// For data frames; only for `report`, with -o
    Parquet,
    /// One self-contained page with charts; only for `report`
    Html,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first configuration, test the credentials, and print the lines of a daily job for this machine. Asks on a terminal
    Init(InitArgs),
    /// Read the enterprise from Box, store the snapshot and publish boxseat.duckdb: the cron job
    Sync(SyncArgs),
    /// Build boxseat.duckdb again from the lake. Makes no API calls
    Publish(PublishArgs),
    /// Show the published snapshot, unfinished runs, API calls of the month, and the process that holds the store
    Status(StatusArgs),
    /// Report on the published snapshot or an earlier one: licences, idle and suspended seats, access, movers, runs
    Report(ReportArgs),
    /// Run SQL against the published snapshot, read-only
    Query(QueryArgs),
    /// Import evidence of use from a report of Box's admin console (User Details or User Engagement)
    Import(ImportArgs),
    /// Reclaim seats that are provably unused, by plans that an operator has reviewed and approved
    Reclaim(ReclaimArgs),
    /// Check that a run can succeed here: configuration, credentials, scopes, clock, disk. Makes a few API calls
    Check(CheckArgs),
    /// Check that the latest snapshot can be trusted: compare raw pages, lake and published file
    Verify(VerifyArgs),
    /// Repair a store whose files were removed, rolled back or replaced, from what can still be proved. Time whose evidence cannot
    /// be proved counts as not covered afterwards, so it makes no account idle
    Repair(RepairArgs),
    /// Copy the whole store into a new directory, with a digest of every file. Other commands may run at the same time
    Backup(BackupArgs),
    /// Check a backup and create a store from it. Changes nothing if --store exists and is not empty
    Restore(RestoreArgs),
    /// Normalise the stored raw pages again, as new runs that replace the old ones. Makes no API calls
    Replay(ReplayArgs),
    /// Print the data dictionary: every table and column, with its meaning
    Schema(SchemaArgs),
    /// Start a simulated Box on loopback
    Simulate(SimulateArgs),
    /// Run a month of daily snapshots of a simulated enterprise and show its licence summary
    Demo(DemoArgs),
    /// Reclaim the seat of one user who leaves: suspend, sign out, move the content to another user
    Offboard(OffboardArgs),
    /// Erase a user that Box no longer lists from the lake, the spools, the journal, the plans and boxseat.duckdb. Without --yes,
    /// show what would be erased and change nothing
    Forget(ForgetArgs),
    /// Print a completion script
    Completions(CompletionsArgs),
    /// Write a manual page for every command into a directory
    Man(ManArgs),
}

const INIT_HELP: &str = "\
The configuration goes to --config, else BOXSEAT_CONFIG, else /etc/boxseat/boxseat.toml (root) or boxseat/boxseat.toml in the user's
configuration directory. A file that exists is never changed. What no flag names is asked for on a terminal, and left out elsewhere.
--store names the store; BOXSEAT_API_URL and BOXSEAT_TOKEN_URL, if set, are written to the configuration.
Secrets are never asked for and never in a flag: the flags name files with them. Credentials that are there are tested as
`boxseat check` does; its exit code is then the exit code.";

#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct InitArgs {
    /// Id of the Box enterprise
    #[arg(long, value_name = "ID", value_parser = enterprise_id)]
    pub(crate) enterprise_id: Option<String>,
    /// Seats bought
    #[arg(long, value_name = "N")]
    pub(crate) seats_purchased: Option<u32>,
    /// Price of a seat a month, such as 35.00
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(crate) cost_per_seat_monthly: Option<String>,
    /// Currency of the price: three capital letters
    #[arg(long, value_name = "CURRENCY", value_parser = currency)]
    pub(crate) currency: Option<String>,
    /// Day of the contract's renewal
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) renewal_date: Option<NaiveDate>,
    /// Last day to give notice
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) notice_by: Option<NaiveDate>,
    /// JSON file of an application with a key pair, as the Box developer console offers it [env: BOXSEAT_JWT_CONFIG]
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret_file")]
    pub(crate) jwt_config: Option<PathBuf>,
    /// File with the secret of client credentials; BOXSEAT_CLIENT_ID has their id [env: BOXSEAT_CLIENT_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Environment file that the cron job reads. One that exists is not changed [default: env, next to the configuration]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Which job to print
    #[arg(long, value_enum, default_value_t = Scheduler::Cron)]
    pub(crate) schedule: Scheduler,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    pub(crate) no_input: bool,
}

/// Programs that can start the daily job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheduler {
    /// A line of a crontab, and the environment file that it reads
    Cron,
    /// A service and a timer
    Systemd,
    /// A CronJob with its volume
    Kubernetes,
}

#[derive(Debug, Default, Args)]
pub(crate) struct SyncArgs {
    /// Read users, groups and the admin log, print what the rest of the run would read and cost, and stop. The next `sync`
    /// continues from there
    #[arg(long, conflicts_with_all = ["no_publish", "accept_shrink"])]
    pub(crate) plan: bool,
    /// Read the members of every group and the aliases of every user, even if nothing has changed
    #[arg(long, conflicts_with = "accept_shrink")]
    pub(crate) full: bool,
    /// Store the snapshot in the lake and leave boxseat.duckdb unchanged
    #[arg(long)]
    pub(crate) no_publish: bool,
    /// Accept that users, groups or memberships shrank by up to this percentage, such as 12%. Finishes the refused run without
    /// reading it again
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) accept_shrink: Option<f64>,
    /// Stop reading after this time, such as 90m, with exit 75; the next start continues from there. A run that is read
    /// completely by then is finished and published
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The user's Box id, or any login or address that the store has for the user
    #[arg(value_name = "USER")]
    pub(crate) user: String,
    /// Erase the user. After an interruption, the same command continues
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// How old the published snapshot may be before it counts as stale
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "36h")]
    pub(crate) max_age: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Which report
    #[arg(value_enum)]
    pub(crate) name: ReportName,
    /// Write to this file and replace it whole. Its extension (.json, .csv, .parquet, .html) sets the format unless --format
    /// does. With `all`: the directory for the HTML page and for every report as CSV and JSON
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// idle, reclaimable: proven idle for at least this many days [default: idle_after_days]; suspended: for at least this many
    /// days
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: Option<u32>,
    /// Only members of this group, by its name or Box id
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Only users with this tracking code; `NAME=` selects the code without a value
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) tracking_code: Option<(String, String)>,
    /// Only users with this role: admin, coadmin or user
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Only accounts with this status: active, suspended, deprovisioned or unknown
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// licences, runs: snapshots from this date on; movers: changes in the snapshots after this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) since: Option<NaiveDate>,
    /// Up to this date [default: the date of the snapshot]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) until: Option<NaiveDate>,
    /// licences: split seats by `group`, `role` or a tracking code (`tracking_code:NAME`, or only NAME)
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<String>,
    /// Report on the snapshot of this date. It is built from the lake into a temporary file, with the current thresholds, terms
    /// and policy
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) as_of: Option<NaiveDate>,
    /// Name users on the HTML page, which is meant to be forwarded. The other formats always name them
    #[arg(long)]
    pub(crate) people: bool,
}

/// The reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportName {
    /// How seats are used, what they cost, and how many are needed
    Licences,
    /// Users who have a seat and provably do not use it
    #[value(alias = "inactive")]
    Idle,
    /// Suspended users who still take a seat: since when, the actor who suspended them, and the cost since then
    Suspended,
    /// Users whose seat the reclamation policy would reclaim
    Reclaimable,
    /// Roles and groups of users, and whether they still sign in
    Access,
    /// Users who joined, left or changed
    Movers,
    /// Results of the runs, and whether the API calls of the month will last
    Runs,
    /// All reports, into a directory
    All,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// One SELECT, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN SELECT statement, or - to read it from stdin
    // SQL may begin with a comment (`--`), which looks like a flag.
    #[arg(allow_hyphen_values = true)]
    pub(crate) sql: String,
    /// Write the rows to this Parquet file instead of printing them
    #[arg(long, value_name = "FILE.parquet")]
    pub(crate) save: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The report, as CSV: UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs. Translated headings are mapped by
    /// [imports.columns] of the configuration. Exit 4 if a row was not imported; the same file can be imported again to add it
    pub(crate) file: PathBuf,
    /// Time zone of the admin who ran the report, such as Europe/Berlin. A User Details report is in local time and does not
    /// name the zone. Without this option each time counts as the latest that it can be in any zone
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<chrono_tz::Tz>,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimArgs {
    #[command(subcommand)]
    pub(crate) command: ReclaimCommand,
    /// Another policy. It can only add restrictions to [reclaim] policy of the configuration; `reclaim policy` reads only this file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

impl ReclaimArgs {
    /// Whether it is `show`, the only command that prints Markdown.
    pub(crate) fn is_show(&self) -> bool {
        matches!(self.command, ReclaimCommand::Show(_))
    }
}

/// Commands of reclamation.
#[derive(Debug, Subcommand)]
pub(crate) enum ReclaimCommand {
    /// Describe in sentences what the policy does. With --check, also show which users it applies to and what is missing
    Policy(ReclaimPolicyArgs),
    /// Create plans from the latest snapshot. Changes nothing in Box
    Plan(ReclaimPlanArgs),
    /// Show a plan: included and excluded users with the reasons, and the saved cost
    Show(ReclaimShowArgs),
    /// Show the differences between two plans, or between a plan and a new one from the latest snapshot
    Diff(ReclaimDiffArgs),
    /// Approve a plan. The approval is written to the journal
    Approve(ReclaimApproveArgs),
    /// Act on the users of an approved plan who still qualify. Without --yes, show the actions and change nothing
    Apply(ApplyArgs),
    /// Undo the suspensions of a plan, except for users that were changed from outside since then. Without --yes, show the
    /// actions and change nothing
    Undo(UndoArgs),
    /// Confirm that all content of a user has arrived, if no read can prove it. Changes nothing in Box
    Confirm(ConfirmArgs),
    /// List plans, their results, stuck users, and actions with unknown outcome
    Status,
    /// Check the journal's chain and every seal, and compare the lake, the configured key and the witness with it
    Verify,
    /// Continue a copied, restored or moved store here. Show the actions that the lake has and the journal does not; with --yes,
    /// add them to the journal
    Adopt(AdoptArgs),
    /// Run from cron after `sync`: reconcile, apply approved plans that are due, verify moved content, create the next plans
    Nightly,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimPolicyArgs {
    /// Also look up every name of the policy in the published snapshot; exit 3 if one is missing
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ReclaimPlanArgs {
    /// Only this stage [default: one plan for each stage with users]
    #[arg(long, value_enum)]
    pub(crate) stage: Option<StageName>,
    /// Ticket of the request, for the journal
    #[arg(long, value_name = "TICKET")]
    pub(crate) ticket: Option<String>,
    /// Also write the plan to this file, for a signature or for another reviewer
    #[arg(short, long, value_name = "FILE", requires = "stage")]
    pub(crate) output: Option<PathBuf>,
}

/// The stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageName {
    /// Deactivate the account and end its sessions
    Suspend,
    /// Move its content to another user
    Transfer,
    /// Delete it: only this frees the seat
    Delete,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimShowArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// List the excluded users, each with the reason; as a table, CSV or JSON
    #[arg(long)]
    pub(crate) left_out: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimDiffArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// The plan to compare it with [default: a new plan from the latest snapshot]
    #[arg(value_name = "PLAN")]
    pub(crate) other: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimApproveArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// A signature of the plan's file by `ssh-keygen -Y sign -n boxseat-plan`
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Directory to write; it must not exist or be empty. Until the copy is complete it is named DIR.partial
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Directory that `boxseat backup` wrote. The store is created at --store. With exit 3, the message names the file that was
    /// changed, removed or added since the backup
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Also compare every file of the lake, the raw pages and the waiting imports with the record of what boxseat wrote. Reads
    /// all of them; exit 3 if one differs
    #[arg(long)]
    pub(crate) deep: bool,
    /// Also read this many users from Box and compare them; costs one API call each
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) live: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The first run to replay; all later runs are replayed as well
    #[arg(long, value_name = "RUN")]
    pub(crate) from: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Only this table or view
    pub(crate) table: Option<String>,
    /// The tables of the lake instead of those of boxseat.duckdb
    #[arg(long)]
    pub(crate) lake: bool,
    /// Print a page of Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

const SIMULATE_HELP: &str = "\
While it runs, requests to its control address change it. They need no token and are not part of Box:
  curl http://127.0.0.1:8808/_simulator                          the simulated time: give it as --now to every command
  curl -X POST 'http://127.0.0.1:8808/_simulator/step?days=15'   simulate 15 days
  curl -X POST http://127.0.0.1:8808/_simulator/act -H 'Content-Type: application/json' \\
    -d '{\"login\":{\"user_id\":\"9001000391\"}}'                    a user signs in

Keys of the --scenario file (TOML) set the behaviour of the simulated Box, for example:
  as_user_when_inactive = true      the folders of inactive accounts can be read As-User [default: false]
  inactive_transfer_status = 403    transfers from inactive accounts fail [default: they succeed]
  keeps_to_quota = true             a transfer needs free space at the receiver [default: false]
  idle_share = 0.2                  this share of the users has stopped signing in";

#[derive(Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub(crate) struct SimulateArgs {
    /// Number of simulated users
    #[arg(long, default_value_t = 500)]
    pub(crate) users: u32,
    /// Number of simulated groups
    #[arg(long, default_value_t = 50)]
    pub(crate) groups: u32,
    /// LOGIN events of the last year [default: from the users' habits, about 30 each]
    #[arg(long)]
    pub(crate) logins: Option<u64>,
    /// Seed; the same seed creates the same enterprise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8808")]
    pub(crate) listen: std::net::SocketAddr,
    /// Calls allowed in any 60 seconds; 0 disables the limit
    #[arg(long, default_value_t = 1000)]
    pub(crate) calls_per_minute: u32,
    /// File with further settings of the simulated Box as TOML; see below
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// Accept only sign-ins with JWT. Writes the configuration files of both applications into this directory, which must exist:
    /// boxseat-jwt-config.json and boxseat-actions-jwt-config.json, with test keys that open nothing else
    #[arg(long, value_name = "DIR")]
    pub(crate) jwt: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Number of daily runs; the last one is today's
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub(crate) nights: u32,
    /// Number of simulated users
    #[arg(long, default_value_t = 500)]
    pub(crate) users: u32,
    /// Seed; the same seed creates the same enterprise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write into, such as /usr/local/share/man/man1. Its last part is created if it does not exist. Pages in it are replaced
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

fn rfc3339(text: &str) -> Result<DateTime<Utc>, String> {
    boxseat_schemas::box_api::lenient::parse_time(text)
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not a tracking code with a value; write it as NAME=VALUE")),
    }
}

pub(crate) fn enterprise_id(text: &str) -> Result<String, String> {
    match text.trim() {
        id if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id.to_owned()),
        _ => Err(format!("{text:?} is not an enterprise id: the Box developer console shows it as digits")),
    }
}

pub(crate) fn amount(text: &str) -> Result<String, String> {
    text.parse::<Money>().map(|_| text.to_owned())
}

pub(crate) fn currency(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a currency: three capital letters, such as EUR"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write it as 30s, 90m or 2h");
    let text_trimmed = text.trim();
    let unit = text_trimmed.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let count: u32 = text_trimmed[..text_trimmed.len() - 1].trim().parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    let percent: f64 =
        number.parse().map_err(|_| format!("{text:?} is not a percentage; write it as 12%"))?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent)
    } else {
        Err(format!("{percent} is not between 0 and 100 %"))
    }
}

pub(crate) fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "write the day as year-month-day, such as 2026-12-03".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(
            (duration("30s"), duration("90m")),
            (Ok(Duration::from_secs(30)), Ok(Duration::from_secs(5400)))
        );
        assert!(["", "90", "m", "-1h", "1.5h", "é"].iter().all(|text| duration(text).is_err()));
    }

    #[test]
    fn percentages_are_read_with_and_without_sign() {
        assert_eq!((percent("12%"), percent(" 7.5 % ")), (Ok(12.0), Ok(7.5)));
        assert!(percent("many").is_err() && percent("120%").is_err());
    }
}
