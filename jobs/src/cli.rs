//! The command line. Doc comments are the help.

mod reclaim;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use reclaim::{AdoptArgs, ApplyArgs, ConfirmArgs, OffboardArgs, UndoArgs};

/// Knows, every morning, who uses their Box licence and who does not.
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
  BOXSEAT_ACTIONS_CLIENT_ID, BOXSEAT_ACTIONS_CLIENT_SECRET (or …_FILE)                             for reclaim apply, undo, nightly and offboard
  BOXSEAT_JOURNAL_KEY_FILE                                                                         private key that seals the journal of reclamation [default: one in the store]
  BOXSEAT_TOKEN (or BOXSEAT_TOKEN_FILE)                                                            developer token, one hour
Any key of boxseat.toml can be set as BOXSEAT_<SECTION>_<KEY>, such as BOXSEAT_RATE_CALLS_PER_MINUTE.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a guard, 4 done with rejected rows,
75 try again later, 130 interrupted (start again to go on).

Try it: boxseat demo";

/// Flags every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: boxseat.toml, else boxseat/boxseat.toml in the user's configuration directory]
    #[arg(long, global = true, env = "BOXSEAT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory that holds lake, spool and boxseat.duckdb [default: ./warehouse; demo: ./demo]
    #[arg(long, global = true, env = "BOXSEAT_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// How results are printed on stdout
    #[arg(long, global = true, env = "BOXSEAT_FORMAT", value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice: say what is sent
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No progress bars, even on a terminal
    #[arg(long, global = true, env = "BOXSEAT_NO_PROGRESS")]
    pub(crate) no_progress: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
    /// The moment to take for now, RFC 3339; for rehearsals: `sync` takes it only when the API is on loopback
    #[arg(long, global = true, env = "BOXSEAT_NOW", value_name = "TIME", value_parser = rfc3339)]
    pub(crate) now: Option<DateTime<Utc>>,
}

/// Output format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs; has a schema_version on top
    Json,
    /// For spreadsheets; text that looks like a formula is escaped
    Csv,
    /// For a ticket; of `reclaim show` alone
    Markdown,
    /// For data frames; of `report` alone, and with -o
    Parquet,
    /// A page of its own, with charts; of `report` alone
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
    /// Read the enterprise, keep the night, publish boxseat.duckdb: the cron job
    Sync(SyncArgs),
    /// Build boxseat.duckdb again from the lake, without any call
    Publish(PublishArgs),
    /// Say which night is published, what is unfinished, and who holds the store
    Status(StatusArgs),
    /// Say what the published night, or an earlier one, means: licences, idle and suspended seats, access, movers, runs
    Report(ReportArgs),
    /// Run SQL against the published night, read-only
    Query(QueryArgs),
    /// Take in evidence of use from a report of Box's admin console (User Details or User Engagement)
    Import(ImportArgs),
    /// Give seats back that provably nobody uses, by plans that somebody has read and approved
    Reclaim(ReclaimArgs),
    /// Say whether boxseat could run here tonight: configuration, credentials, scopes, clock, disk
    Check(CheckArgs),
    /// Say whether last night can be trusted: raw pages, lake and file against each other
    Verify(VerifyArgs),
    /// Make a store whole again whose files were removed, rolled back or replaced, as far as something proves it. Evidence that
    /// nothing proves is uncovered after it, and no account counts as idle by it
    Repair(RepairArgs),
    /// Copy the whole store into a new directory, with a digest of every file. Other commands may run meanwhile
    Backup(BackupArgs),
    /// Check a backup and make it a store again. Changes nothing if --store exists and is not empty
    Restore(RestoreArgs),
    /// Normalise the kept raw pages again, as new runs in the place of the old ones, without a call
    Replay(ReplayArgs),
    /// Print the data dictionary: every table and column, with its meaning
    Schema(SchemaArgs),
    /// Start a stand-in for Box on loopback
    Simulate(SimulateArgs),
    /// Live a month of nights of a simulated enterprise and show its licence summary
    Demo(DemoArgs),
    /// Take back the seat of one person who leaves: suspend, sign out, move the content to somebody else
    Offboard(OffboardArgs),
    /// Erase a user that Box no longer lists from the lake, the spools, the journal, the plans and boxseat.duckdb; without --yes
    /// show what would be erased, and change nothing
    Forget(ForgetArgs),
    /// Print a completion script
    Completions(CompletionsArgs),
}

#[derive(Debug, Default, Args)]
pub(crate) struct SyncArgs {
    /// Read users, groups and the admin log, say what the rest of the night would read and cost, and stop; the next `sync`
    /// goes on from there
    #[arg(long, conflicts_with_all = ["no_publish", "accept_shrink"])]
    pub(crate) plan: bool,
    /// Read every group's members and everybody's aliases, whatever has changed
    #[arg(long, conflicts_with = "accept_shrink")]
    pub(crate) full: bool,
    /// Keep the night in the lake and leave boxseat.duckdb as it is
    #[arg(long)]
    pub(crate) no_publish: bool,
    /// Accept that users, groups or memberships shrank by up to so many percent, such as 12%: finishes the refused run
    /// without reading anything anew
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) accept_shrink: Option<f64>,
    /// Stop reading after so long, such as 90m; the next start goes on from there (exit 75). What is read to its end by then
    /// is finished and published
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The user's Box id, or any login or address that the store knows of the user
    #[arg(value_name = "USER")]
    pub(crate) user: String,
    /// Erase; the same command continues an erasure that was interrupted
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Which report
    #[arg(value_enum)]
    pub(crate) name: ReportName,
    /// Write to this file, replacing it whole; its ending (.json, .csv, .parquet, .html) is the format unless --format says
    /// another. With `all`: the directory that gets every report as CSV and JSON, and the page
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// idle, reclaimable: proven idle for at least so many days [default: idle_after_days]; suspended: for at least so many
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: Option<u32>,
    /// Members of this group alone, by its name or Box id
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// People with this tracking code alone; nothing behind the = is a code without a value
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) tracking_code: Option<(String, String)>,
    /// People with this role alone: admin, coadmin or user
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Accounts with this status alone: active, suspended, deprovisioned or unknown
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// licences, runs: nights from this date on; movers: what the nights after it saw
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) since: Option<NaiveDate>,
    /// Up to this date [default: the night]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) until: Option<NaiveDate>,
    /// licences: split seats by `group`, `role` or a tracking code (`tracking_code:NAME`, or its bare NAME)
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<String>,
    /// Look back on the night of this date, built aside from the lake with today's thresholds, terms and policy
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) as_of: Option<NaiveDate>,
    /// Name people on the HTML page, which is made to be forwarded; the other formats always do
    #[arg(long)]
    pub(crate) people: bool,
}

/// The reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportName {
    /// How seats are used, what they cost, and how many are needed
    Licences,
    /// Who has a seat and provably does not use it
    #[value(alias = "inactive")]
    Idle,
    /// Who is suspended and still takes a seat, since when, by whom, and what it has cost
    Suspended,
    /// Whose seat the reclamation policy would take back
    Reclaimable,
    /// Who has which role, through which groups, and still signs in
    Access,
    /// Who came, went and changed
    Movers,
    /// How the nights went, and whether the month's calls will last
    Runs,
    /// All of them, into a directory
    All,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// One SELECT, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN SELECT statement, or - to read it from stdin
    // SQL may begin with a comment, which looks like a flag.
    #[arg(allow_hyphen_values = true)]
    pub(crate) sql: String,
    /// Write the rows to this Parquet file instead of printing them
    #[arg(long, value_name = "FILE.parquet")]
    pub(crate) save: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The report, as CSV: UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs. Translated headings are mapped by
    /// [imports.columns] of the configuration. Exit 4 if a row was not taken; the same file can be imported again to add it
    pub(crate) file: PathBuf,
    /// Time zone of the admin who ran the report, such as Europe/Berlin: a User Details report is in local time and does not
    /// say whose. Without it each time counts as late as it can be anywhere
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<chrono_tz::Tz>,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimArgs {
    #[command(subcommand)]
    pub(crate) command: ReclaimCommand,
    /// Another policy. It can only add restrictions to [reclaim] policy of the configuration; `policy` reads it by itself
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

impl ReclaimArgs {
    /// Whether it is `show`, which alone draws a page of Markdown.
    pub(crate) fn is_show(&self) -> bool {
        matches!(self.command, ReclaimCommand::Show(_))
    }
}

/// Verbs of reclamation.
#[derive(Debug, Subcommand)]
pub(crate) enum ReclaimCommand {
    /// Say in sentences what the policy does; with --check, whom it is about tonight and what is missing
    Policy(ReclaimPolicyArgs),
    /// Plan who goes which stage tonight; nothing is done by it
    Plan(ReclaimPlanArgs),
    /// Show a plan: everybody in it and why, everybody left out and why, the money
    Show(ReclaimShowArgs),
    /// Say what differs between two plans, or between a plan and what tonight's would be
    Diff(ReclaimDiffArgs),
    /// Agree to a plan, in writing
    Approve(ReclaimApproveArgs),
    /// Act on the people of an approved plan who still qualify; without --yes say what would be done, and do nothing
    Apply(ApplyArgs),
    /// Take back the suspensions of a plan, as far as nobody else has touched the people since
    Undo(UndoArgs),
    /// Confirm that all content of a user has arrived, where no reading proves it. Changes nothing in Box
    Confirm(ConfirmArgs),
    /// List plans, their results, stuck users, and actions with unknown outcome
    Status,
    /// Check the journal's chain and every seal, and the lake, the configured key and the witness against it
    Verify,
    /// Continue a copied, restored or moved store here: show what the lake knows and the journal does not, and with --yes take it in
    Adopt(AdoptArgs),
    /// What cron runs after `sync`: reconcile, apply approved plans that are due, verify what was moved, plan the next stages
    Nightly,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimPolicyArgs {
    /// Resolve everything it names against the published night, too; exit 3 when something is missing
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ReclaimPlanArgs {
    /// One stage alone [default: a plan for each that somebody goes]
    #[arg(long, value_enum)]
    pub(crate) stage: Option<StageName>,
    /// The ticket under which this is known elsewhere
    #[arg(long, value_name = "TICKET")]
    pub(crate) ticket: Option<String>,
    /// Also write the plan to this file, to be signed or handed on
    #[arg(short, long, value_name = "FILE", requires = "stage")]
    pub(crate) output: Option<PathBuf>,
}

/// The stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageName {
    /// Switch the account off and end its sessions
    Suspend,
    /// Move what it owns to somebody else
    Transfer,
    /// Delete it: only this frees the seat
    Delete,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimShowArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// List the users that the plan leaves out, each with the reason; as a table, CSV or JSON
    #[arg(long)]
    pub(crate) left_out: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimDiffArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// The plan to compare it with [default: what tonight's would be]
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
    /// Directory that `boxseat backup` wrote. The store is made at --store. Exit 3 names the file that was changed, removed or
    /// added since the backup
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Also compare every file of the lake, the raw pages and the waiting imports with the record of what boxseat wrote; reads
    /// all of them. Exit 3 if one differs
    #[arg(long)]
    pub(crate) deep: bool,
    /// Also read so many users from Box and compare them; costs a call each
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) live: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The first run to replay; every later one follows
    #[arg(long, value_name = "RUN")]
    pub(crate) from: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// One table or view alone
    pub(crate) table: Option<String>,
    /// The tables of the lake instead of those of boxseat.duckdb
    #[arg(long)]
    pub(crate) lake: bool,
    /// A page of Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

const SIMULATE_HELP: &str = "\
While it runs, requests on its control address change it. They need no token and are not part of Box:
  curl http://127.0.0.1:8808/_simulator                          the simulated time: give it as --now to every command
  curl -X POST 'http://127.0.0.1:8808/_simulator/step?days=15'   live 15 days
  curl -X POST http://127.0.0.1:8808/_simulator/act -H 'Content-Type: application/json' \\
    -d '{\"login\":{\"user_id\":\"9001000391\"}}'                    a user signs in

Keys of the --scenario file (TOML) set how this Box behaves, for example:
  as_user_when_inactive = true      the folders of inactive accounts can be read As-User [default: false]
  inactive_transfer_status = 403    content of inactive accounts is not moved [default: it is]
  keeps_to_quota = true             a transfer needs room at the receiver [default: false]
  idle_share = 0.2                  this share of the users has stopped signing in";

#[derive(Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub(crate) struct SimulateArgs {
    /// Users to make up
    #[arg(long, default_value_t = 500)]
    pub(crate) users: u32,
    /// Groups to make up
    #[arg(long, default_value_t = 50)]
    pub(crate) groups: u32,
    /// LOGIN events over the last year [default: what the people's habits give, about 30 each]
    #[arg(long)]
    pub(crate) logins: Option<u64>,
    /// Same seed, same enterprise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8808")]
    pub(crate) listen: std::net::SocketAddr,
    /// Calls allowed in any 60 seconds; 0 switches the limit off
    #[arg(long, default_value_t = 1000)]
    pub(crate) calls_per_minute: u32,
    /// Further settings of the simulated Box as TOML; see below
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Nights to live, the last one tonight
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub(crate) nights: u32,
    /// Users to make up
    #[arg(long, default_value_t = 500)]
    pub(crate) users: u32,
    /// Same seed, same enterprise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

fn rfc3339(text: &str) -> Result<DateTime<Utc>, String> {
    boxseat_schemas::box_api::lenient::parse_time(text)
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not a code with its value; write it as NAME=VALUE")),
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

/// A day as every file and report has it.
fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "write the day as year-month-day, such as 2026-12-03".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
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
    fn percentages_with_and_without_sign() {
        assert_eq!((percent("12%"), percent(" 7.5 % ")), (Ok(12.0), Ok(7.5)));
        assert!(percent("many").is_err() && percent("120%").is_err());
    }
}
