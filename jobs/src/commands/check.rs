//! `boxseat check`: whether a run can succeed here. Every probe is a GET and counts as an API call.

use std::path::Path;
use std::sync::Arc;

use boxseat_output::library::{self, Library, LibraryFile};
use boxseat_pipeline::client::{Answer, BoxActor, BoxReader, Credentials, EventQuery, Found};
use boxseat_pipeline::extract::Me;
use boxseat_pipeline::{Error, guard};
use boxseat_reclaim::rules::evaluator::Evaluator;
use boxseat_reclaim::rules::policy::Policy;
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::reclaim::Record;
use boxseat_schemas::spool::Request;
use boxseat_storage::lock::Lock;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::findings::Findings;
use crate::calls::CommandCalls;
use crate::cli::{CheckArgs, Global};
use crate::clock::data_clock;
use crate::config::{
    Settings, actions_credentials, credentials, describe_actions_sign_in, describe_sign_in,
    has_actions_credentials,
};
use crate::error::{CommandError, USAGE};
use crate::evidence::LeaveList;
use crate::ledger::Month;
use crate::printer::Printer;
use crate::reclaim_context::context::ReclaimContext;
use crate::reclaim_context::policy_lists;
use crate::reclaim_context::probe::{Pair, Probed, learn, probe};
use crate::store::Store;

/// Less free space than this is a warning.
const FREE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

pub(crate) async fn run(global: &Global, _args: &CheckArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let mut findings = Findings::default();
    if !library(&mut findings)? {
        // Credentials are not given to code that nobody knows.
        findings.skip("everything else", "DuckDB's library is not trusted".to_owned());
        return finish(&findings, &settings, printer);
    }
    let config_file = settings.config_file.as_ref().map(|file| file.to_string_lossy());
    let file = config_file.as_deref().unwrap_or("no file is read; BOXSEAT_* in the environment");
    findings.pass("configuration", format!("{file}: every key is known"));
    policy(global, &settings, &mut findings);
    if let Some(leave_file) = &settings.leave_file {
        match LeaveList::read(leave_file) {
            Ok(list) => findings.pass("leave list", format!("{} leaves", list.leaves().len())),
            Err(e) => findings.fail("leave list", e.lines().join(": "), &e.hints().join("; ")),
        }
    }
    if settings.policy_file.is_some() && !has_actions_credentials() {
        findings.warn(
            "acting credentials",
            "neither BOXSEAT_ACTIONS_CLIENT_ID nor BOXSEAT_ACTIONS_JWT_CONFIG is set: reclamation would act with the reading application"
                .to_owned(),
            "use a separate application for reclamation, so that the nightly job cannot change any user",
        );
    }
    let store = store(&settings, &mut findings);
    disk(&settings.store, &mut findings);
    match credentials() {
        Err(e) => findings.fail("credentials", e.lines().join(": "), &e.hints().join("; ")),
        Ok(credentials) => {
            findings.note("sign-in", describe_sign_in(&credentials));
            let clock = data_clock(settings.rehearsed_now);
            match &store {
                None => {
                    findings.skip("Box", "calls cannot be counted without the lock of the store".to_owned())
                }
                Some((store, _lock)) => {
                    let calls = CommandCalls::begin(store.root(), &clock)?;
                    let acting = settings.policy_file.is_some().then(|| actions_credentials(&credentials));
                    let reader = BoxReader::new(
                        &settings.endpoints.client.clone().impatient(),
                        credentials,
                        calls.clone(),
                        Arc::clone(&clock),
                        CancellationToken::new(),
                    )?;
                    let window = EventQuery {
                        created_after: clock() - TimeDelta::hours(1),
                        created_before: clock(),
                        event_types: vec![LOGIN.to_owned()],
                    };
                    let mut probes = Probes {
                        reader: reader.clone(),
                        calls,
                        window,
                        bound: store.enterprise_id().map(str::to_owned),
                        is_signed_out: false,
                        pair: None,
                        first_user: None,
                    };
                    probes.run(&mut findings).await?;
                    match acting.transpose() {
                        Err(e) => {
                            findings.fail("acting credentials", e.lines().join(": "), &e.hints().join("; "))
                        }
                        Ok(None) => {}
                        Ok(Some(_)) if probes.is_signed_out => {}
                        Ok(Some(acting)) => {
                            findings.note("acting sign-in", describe_actions_sign_in(&acting));
                            let is_jwt = matches!(acting, Credentials::Jwt(_));
                            let actor = BoxActor::sharing_pace(&reader, acting)?;
                            if acts(&actor, is_jwt, probes.first_user.as_deref(), &mut findings).await? {
                                let pair = probes.pair;
                                inactive(&actor, pair, store, &settings, clock(), &mut findings).await?;
                            }
                        }
                    }
                }
            }
        }
    }
    if let Some((store, _lock)) = &store {
        quota(store, &settings, data_clock(settings.rehearsed_now)(), &mut findings)?;
    }
    finish(&findings, &settings, printer)
}

/// Prints the findings and the verdict.
fn finish(findings: &Findings, settings: &Settings, printer: &Printer) -> Result<u8, CommandError> {
    let failures = findings.failures();
    let verdict = match failures {
        0 => "boxseat can run here.".to_owned(),
        1 => "1 problem must be fixed first.".to_owned(),
        n => format!("{n} problems must be fixed first."),
    };
    let config_file = settings.config_file.as_ref().map(|file| file.to_string_lossy());
    let facts =
        [("ready", json!(failures == 0)), ("config_file", json!(config_file)), ("verdict", json!(verdict))];
    findings.print(printer, "check", &facts)?;
    Ok(if failures == 0 { 0 } else { USAGE })
}

/// Compares DuckDB's library with the digests that the build knows. `false` if it is another one.
fn library(findings: &mut Findings) -> Result<bool, CommandError> {
    const NAME: &str = "DuckDB's library";
    let version = library::version()?;
    let of = |file: &LibraryFile| format!("{version}, {}, SHA-256 {}", file.path.display(), file.sha256);
    match Library::of_this_process() {
        Ok(Library::CompiledIn) => findings.pass(NAME, format!("{version}, compiled into the program")),
        Ok(Library::Known(file)) => findings.pass(NAME, of(&file)),
        Ok(Library::Unchecked(file)) => {
            findings.note(NAME, format!("{}; not checked: built with DUCKDB=system", of(&file)));
        }
        Ok(Library::Unknown(file)) => {
            findings.fail(
                NAME,
                format!("{}: not the library that this program was built with", of(&file)),
                "install boxseat again, and unset LD_LIBRARY_PATH and LD_PRELOAD",
            );
            return Ok(false);
        }
        Err(e) => findings.warn(
            NAME,
            format!("{version}; its digest cannot be read: {e}"),
            "if boxseat was just upgraded, start the command again",
        ),
    }
    Ok(true)
}

/// Checks that the policy and its lists can be read, and that they make plans on the published snapshot, if there is one.
fn policy(global: &Global, settings: &Settings, findings: &mut Findings) {
    let Some(path) = &settings.policy_file else { return };
    let read = Policy::load(path).map_err(CommandError::from).and_then(|policy| {
        policy_lists::read(
            &policy,
            settings.leave_file.as_deref(),
            &settings.activity_events,
            data_clock(settings.rehearsed_now)(),
        )
    });
    let can_be_read = || format!("{} and its lists can be read", path.display());
    match read {
        Ok(_) => match refused_by_snapshot(global) {
            Some(why) => findings.warn(
                "policy",
                format!("{}, and it makes no plan: {why}", can_be_read()),
                "`boxseat reclaim policy --check` lists all reasons",
            ),
            None => findings.pass("policy", can_be_read()),
        },
        Err(e) => findings.warn("policy", e.lines().join(": "), &e.hints().join("; ")),
    }
}

/// What stops every plan of the configured policy. `None` without a published snapshot that can be read: `verify` checks that.
fn refused_by_snapshot(global: &Global) -> Option<String> {
    let evaluate = || {
        let context = ReclaimContext::open(global)?;
        let policy = context.policy(None)?;
        let (inputs, snapshot, journal) = (context.inputs(&policy)?, context.snapshot()?, context.journal()?);
        let (_, refusals) = Evaluator::look(&policy, &snapshot, journal.past(), &inputs, context.now, []);
        Ok::<_, CommandError>(refusals)
    };
    let refusals = evaluate().ok()?;
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// Opens and locks the store: the calls of the probes are recorded in it.
fn store(settings: &Settings, findings: &mut Findings) -> Option<(Store, Lock)> {
    let opened = Store::create_and_lock(&settings.store, &settings.access).and_then(|lock| {
        let store = Store::open_or_create(
            &settings.store,
            &settings.access,
            &settings.journal_key,
            uuid::Uuid::new_v4(),
            &lock,
        )?;
        Ok((store, lock))
    });
    match opened {
        Ok((store, lock)) => {
            let bound = store
                .enterprise_id()
                .map_or_else(|| "not bound yet".to_owned(), |id| format!("bound to enterprise {id}"));
            findings.pass("store", format!("{} can be written, {bound}", settings.store.display()));
            Some((store, lock))
        }
        Err(e) if e.exit_code() == crate::error::TRY_LATER => {
            findings.warn("store", e.lines().join(": "), "nothing, if the nightly job is running");
            None
        }
        Err(e) => {
            findings.fail("store", e.lines().join(": "), &e.hints().join("; "));
            None
        }
    }
}

fn disk(store: &Path, findings: &mut Findings) {
    match rustix::fs::statvfs(store) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{:.1} GiB free", free as f64 / (1u64 << 30) as f64);
            if free < FREE_BYTES {
                findings.warn(
                    "disk",
                    detail,
                    "free space: a run needs its raw pages, its lake files and a second DuckDB file",
                );
            } else {
                findings.pass("disk", detail);
            }
        }
        Err(e) => findings.skip("disk", format!("cannot be measured: {e}")),
    }
}

/// The API calls of this month so far, and the forecast.
fn quota(
    store: &Store,
    settings: &Settings,
    now: DateTime<Utc>,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    let month = Month::of(store, &store.lake().sync_runs()?, now)?;
    let forecast = month.forecast();
    let detail = format!("{} calls this month so far, {forecast} at this pace", month.calls);
    match settings.monthly_calls {
        None => findings.note("quota", format!("{detail}; set [rate] monthly_calls to compare")),
        Some(allowed) if forecast > allowed => {
            findings.warn(
                "quota",
                format!("{detail}, {allowed} allowed"),
                "later runs use only the calls that are left, and read aliases and memberships less often than configured; `boxseat status` shows their age",
            );
        }
        Some(allowed) => findings.pass("quota", format!("{detail}, {allowed} allowed")),
    }
    Ok(())
}

/// Signs in as the acting application and makes the reads that precede every action. Whether it may change users cannot be tried
/// without a change. Returns whether it is signed in.
async fn acts(
    actor: &BoxActor,
    is_jwt: bool,
    user_id: Option<&str>,
    findings: &mut Findings,
) -> Result<bool, CommandError> {
    const NAME: &str = "acting credentials";
    match actor.me().await {
        Ok(me) => findings.pass(
            NAME,
            format!(
                "signed in as {}; docs/try-on-box.md tries on a test account whether it may change users",
                me.login.as_deref().unwrap_or("an account without a login")
            ),
        ),
        Err(e) => {
            let error = CommandError::from(e);
            let hint = if is_jwt {
                error.hints().join("; ")
            } else {
                "check BOXSEAT_ACTIONS_CLIENT_ID, BOXSEAT_ACTIONS_CLIENT_SECRET and the authorisation of this application in the Admin Console".to_owned()
            };
            findings.fail(NAME, error.lines().join(": "), &hint);
            return Ok(false);
        }
    }
    let Some(user_id) = user_id else { return Ok(true) };
    let user = readable(actor.user(user_id).await);
    let groups = readable(actor.group_ids(user_id).await);
    for (scope, read) in [("Manage users", user), ("Manage groups", groups)] {
        let name = format!("acting scope: {scope} (read)");
        match read {
            Ok(()) => findings.pass(&name, format!("read of user {user_id}")),
            Err(why) => findings.fail(
                &name,
                why,
                &format!("tick \"{scope}\" and the access level \"App + Enterprise Access\" for the acting application, and authorise it again in the Admin Console"),
            ),
        }
    }
    Ok(true)
}

/// Why a user that the reading application lists cannot be read.
fn readable<T>(found: Result<Found<T>, Error>) -> Result<(), String> {
    match found {
        Ok(Found::Is(_)) => Ok(()),
        Ok(Found::Gone) => Err("Box says 404 for a user that the reading application lists".to_owned()),
        Ok(Found::Closed(refusal)) => Err(refusal.to_string()),
        Err(e) => Err(CommandError::from(e).lines().join(": ")),
    }
}

/// Whether Box allows As-User reads of inactive accounts. Which reads can prove that an account is empty depends on it (R15).
async fn inactive(
    actor: &BoxActor,
    pair: Option<Pair>,
    store: &Store,
    settings: &Settings,
    now: DateTime<Utc>,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    const NAME: &str = "As-User on inactive accounts";
    let Some(pair) = pair else {
        let why = "the first page of users does not have both an inactive and an active account of role user";
        findings.skip(NAME, why.to_owned());
        return Ok(());
    };
    match probe(actor, &pair).await {
        Ok(Probed::Learned(learned)) => {
            let detail = match learned.as_ref() {
                Record::BoxAllows { is_allowed: true, .. } => "allowed: accounts are also read after their suspension",
                _ => "refused: an account is proved empty by the count before the suspension, space_used and the destination folder",
            };
            findings.pass(NAME, format!("{detail} (read of user {})", pair.inactive));
            match learn(store, settings, *learned, now) {
                Ok(()) => {}
                Err(e) => findings.warn(NAME, e.lines().join(": "), &e.hints().join("; ")),
            }
        }
        Ok(Probed::NoAsUser(why)) => findings.fail(
            NAME,
            format!("refused even on an active account: {why}"),
            "tick \"Make API calls using the as-user header\" for the application of reclamation, and authorise it again in the Admin Console",
        ),
        Ok(Probed::Unclear(why)) => findings.skip(NAME, why),
        Err(e) => findings.warn(NAME, e.lines().join(": "), &e.hints().join("; ")),
    }
    Ok(())
}

/// One request of each kind that a run makes.
struct Probes {
    reader: BoxReader,
    calls: Arc<CommandCalls>,
    window: EventQuery,
    bound: Option<String>,
    /// Whether the sign-in failed. The other probes are then skipped.
    is_signed_out: bool,
    /// The users for the As-User probe.
    pair: Option<Pair>,
    /// The first user of the listing.
    first_user: Option<String>,
}

impl Probes {
    /// Makes all probes. A probe that fails does not stop the others.
    async fn run(&mut self, findings: &mut Findings) -> Result<(), CommandError> {
        let me = self.caller(findings).await?;
        match guard::clock(self.reader.skew_secs()) {
            Ok(()) => {
                findings.pass("clock", format!("{} s from Box's", self.reader.skew_secs().unwrap_or(0)))
            }
            Err(refusal) => findings.fail("clock", refusal.to_string(), refusal.hint()),
        }
        let users = self.ask("scope: Manage users (list)", Request::Users { marker: None }, findings).await?;
        if let Some(page) = &users {
            self.pair = Pair::on_page(&page.body);
            let listed = &page.summary.listed;
            let is_self_only = me.as_ref().filter(|me| {
                listed.iter().all(|user| *user.id == *me.id()) && page.summary.next_marker.is_none()
            });
            match is_self_only {
                Some(_) if listed.is_empty() => {
                    let refusal = guard::Refusal::EmptyList;
                    findings.fail("application access", refusal.to_string(), refusal.hint());
                }
                Some(me) if !me.may_be_alone() => {
                    let refusal = guard::Refusal::SelfOnly { login: me.login().to_owned() };
                    findings.fail("application access", refusal.to_string(), refusal.hint());
                }
                _ => findings.pass("application access", format!("{} users on the first page", listed.len())),
            }
            self.first_user = listed.first().map(|user| user.id.to_string());
            if let Some(user) = listed.first() {
                self.ask(
                    "scope: Manage users (aliases)",
                    Request::EmailAliases { user_id: user.id.to_string() },
                    findings,
                )
                .await?;
            }
        }
        let groups = self.ask("scope: Manage groups (list)", Request::Groups { offset: 0 }, findings).await?;
        if let Some(group) =
            groups.iter().flat_map(|page| &page.summary.listed).find(|group| !group.is_all_users_group)
        {
            let request = Request::GroupMemberships { group_id: group.id.to_string(), offset: 0 };
            self.ask("scope: Manage groups (members)", request, findings).await?;
        }
        let events = Request::Events { slice: 0, login_only: true, position: None };
        self.ask("scope: Manage enterprise properties (admin log)", events, findings).await?;
        Ok(())
    }

    /// Probes the credentials: reads the calling user and its enterprise, as a run does.
    async fn caller(&mut self, findings: &mut Findings) -> Result<Option<Me>, CommandError> {
        let Some(response) = self.ask("credentials", Request::Me, findings).await? else { return Ok(None) };
        let me = match Me::parse(&response.body) {
            Ok(me) => me,
            Err(e) => {
                findings.fail(
                    "enterprise",
                    format!("Box's response to GET /users/me cannot be read: {e}"),
                    "check that api_url is the address of Box: a run needs this response to start",
                );
                return Ok(None);
            }
        };
        match (me.enterprise_id(), &self.bound) {
            (None, _) => {
                findings.fail(
                    "enterprise",
                    "these credentials do not belong to an enterprise".to_owned(),
                    guard::Refusal::NoEnterprise.hint(),
                );
            }
            (Some(found), Some(bound)) if found != bound => {
                let refusal =
                    guard::Refusal::OtherEnterprise { found: found.to_owned(), bound: bound.clone() };
                findings.fail("enterprise", refusal.to_string(), refusal.hint());
            }
            (Some(found), _) => {
                findings.pass("enterprise", format!("{found}, signed in as {}", me.login()));
            }
        }
        Ok(Some(me))
    }

    /// Makes one probe. A refusal becomes a finding that names the scope to tick.
    async fn ask(
        &mut self,
        name: &str,
        request: Request,
        findings: &mut Findings,
    ) -> Result<Option<Answer>, CommandError> {
        if self.is_signed_out {
            findings.skip(name, "the sign-in failed".to_owned());
            return Ok(None);
        }
        match self.reader.ask(&request, Some(&self.window)).await {
            Ok(response) => {
                self.calls.answered(request.endpoint())?;
                if response.status == 403 {
                    let (endpoint, code) = (request.endpoint(), "access denied".to_owned());
                    let denied = Error::Denied {
                        endpoint,
                        status: 403,
                        code,
                        request_id: "in Box's response".to_owned(),
                    };
                    let error = CommandError::from(denied);
                    findings.fail(name, error.lines().join(": "), &error.hints().join("; "));
                    return Ok(None);
                }
                findings.pass(name, request.endpoint().to_owned());
                Ok(Some(response))
            }
            Err(e) => {
                self.is_signed_out = e.is_about_sign_in();
                let error = CommandError::from(e);
                findings.fail(name, error.lines().join(": "), &error.hints().join("; "));
                Ok(None)
            }
        }
    }
}
