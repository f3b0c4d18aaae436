//! `apply`: acts on the users of an approved plan who still qualify.
//!
//! ```text
//! admit ─▶ begin (acting account, Box's clock) ─▶ reconcile ─▶ feed ─▶ per user: evaluate ─▶ re-read ─▶ intent ─▶ call ─▶ outcome
//! ```
//!
//! **Killed anywhere**, the journal has every call that may have been made: its intent was on disk before it. The same command
//! continues: calls without an outcome are reconciled by reads, and finished actions are not repeated.
//!
//! Every step that could harm a user checks first: the policy on the latest snapshot (R10), the admin log (R11), and the user as
//! Box shows it now (R12). A user that is not exactly as approved is skipped, with a reason code and a sentence in the journal.

mod adopted;
mod begin;
mod confirm;
mod content;
mod delete;
pub(crate) mod feed;
pub mod leaver_plan;
mod other_account;
mod outcome;
pub mod planning;
mod recheck;
mod reconcile;
mod refused;
mod steps;
mod suspend;
mod transfer;
mod undo;
mod verify;
mod window;

use std::sync::Mutex;

use boxseat_pipeline::Clock;
use boxseat_pipeline::client::{BoxActor, BoxReader, Refusal};
use boxseat_schemas::reclaim::plan::{Operator, PlannedPerson};
use boxseat_schemas::reclaim::{Action, Attempt, Outcome, Plan, PlanEnd, ReasonCode, Record, Standing};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::error::{Error, ErrorKind};
use crate::journal::Journal;
use crate::journal::StreamMark;
use crate::journal::state::{ActionState, CAPS_WINDOW, JournalState};
use crate::rules::evaluator::{Evaluator, refused};
use crate::rules::offboarding;
use crate::rules::policy::Policy;
use crate::rules::policy_inputs::PolicyInputs;
use crate::rules::snapshot::Snapshot;
use feed::{Feed, FeedBrief};
use steps::Steps;

pub use begin::{SNAPSHOT_MAX_AGE, admit, is_due, ours};
pub use confirm::Canaries;
pub use content::Content;
pub use outcome::{Applied, UserOutcome};
pub use recheck::Now;
pub(crate) use recheck::{fresh, reread_to_lock_out};
pub use reconcile::reconcile;
pub(crate) use transfer::unfit;
pub use undo::{Scope, take_out, undo};
pub use verify::verify_transfers;
pub use window::close_windows;

/// The inputs of an apply: plain values.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The plan; its digest is already known to be the journal's.
    pub plan: &'a Plan,
    /// The present policy; `None` for an offboarding without one.
    pub policy: Option<&'a Policy>,
    /// The latest snapshot.
    pub snapshot: &'a Snapshot,
    /// The lists next to the policy.
    pub inputs: &'a PolicyInputs,
    /// The live stream position before that snapshot; `None`: unknown.
    pub mark: Option<&'a StreamMark>,
    /// `[offboard] people_per_day`.
    pub leavers_per_day: usize,
}

/// The environment in which an apply acts.
#[derive(Clone, Copy)]
pub struct ApplyEnv<'a> {
    /// Reads the admin log.
    pub reader: &'a BoxReader,
    /// Reads and changes users.
    pub actor: &'a BoxActor,
    /// The data clock.
    pub clock: &'a Clock,
    /// Who applies.
    pub by: &'a Operator,
    /// Users processed at the same time.
    pub concurrency: usize,
    /// Whether our clock must agree with Box's: not in a rehearsal.
    pub check_clock: bool,
    /// Where the head of the journal is stored outside of the journal.
    pub anchors: &'a dyn Anchors,
    /// The points at which a test can stop the process.
    pub crash: &'a (dyn Fn(&str) -> Result<(), Error> + Sync),
}

/// Stores the head of the journal outside of it.
pub trait Anchors: Sync {
    /// Writes the head.
    ///
    /// # Errors
    /// The disk's.
    fn anchor(&self, journal: &Journal) -> Result<(), Error>;
}

/// One apply in progress.
pub(crate) struct Run<'a> {
    task: Task<'a>,
    env: ApplyEnv<'a>,
    journal: Mutex<&'a mut Journal>,
    feed: Mutex<Feed>,
    walking: tokio::sync::Mutex<()>,
    /// The acting account.
    actor_user_id: String,
    /// Listed users that are in no plan: Box must show them while it answers 404 for another user (R16).
    canaries: Canaries,
    /// Set when no further user may be changed.
    halted: Mutex<Option<Error>>,
}

/// Applies a plan that [`admit`] has accepted.
///
/// # Errors
/// What ends the process: the disk, a stop, a crash made by a test. A guard that stopped the run is in [`Applied::stopped`].
pub async fn apply(task: Task<'_>, env: ApplyEnv<'_>, journal: &mut Journal) -> Result<Applied, Error> {
    let run = Run::begin(task, env, journal).await?;
    let now = run.now();
    let mut applied = Applied::default();
    if now >= task.plan.expires_at {
        // R17: users that are already suspended may still have to be signed out; nothing else is started.
        run.terminate_waiting(&mut applied).await?;
        let mut step = Applied::default();
        for planned in task.plan.people.iter().filter(|planned| !run.is_done(planned)) {
            step.set(
                planned,
                UserOutcome::Waiting(ReasonCode::Expired, "the plan has expired: make a new plan".into()),
            );
        }
        applied.then(step);
        if !task.plan.people.iter().any(|planned| run.is_half_done(planned)) {
            let plan_id = task.plan.plan_id.clone();
            run.write(Record::PlanClosed { plan_id, because: PlanEnd::Expired.into(), by: None })?;
        }
        return run.end(applied);
    }
    if let Err(e) = run.walk_feed().await {
        if run.is_offboarding() && !e.is_external_failure() {
            // R19: a leaver is suspended and signed out even when the admin log is unavailable.
            tracing::warn!("the admin log cannot be read: {}", e.lines().join(": "));
        } else {
            applied.stopped = Some(e);
            return run.end(applied);
        }
    }
    let past = run.past();
    let evaluator = match run.evaluator(&past) {
        Ok(evaluator) => evaluator,
        Err(e) => {
            applied.stopped = Some(e);
            return run.end(applied);
        }
    };
    let evaluator = evaluator.as_ref();
    let has = |action| task.plan.people.iter().any(|planned| planned.actions.contains(&action));
    if has(Action::Suspend) {
        let mut step = Applied::default();
        run.suspend_everybody(evaluator, &mut step).await?;
        applied.then(step);
    }
    if has(Action::Transfer) {
        let mut step = Applied::default();
        run.transfer_everybody(evaluator, &mut step).await?;
        applied.then(step);
    }
    if has(Action::Delete) {
        let mut step = Applied::default();
        run.delete_everybody(evaluator, &mut step).await?;
        applied.then(step);
    }
    if task.plan.people.iter().all(|planned| run.is_done(planned)) {
        let plan_id = task.plan.plan_id.clone();
        run.write(Record::PlanClosed { plan_id, because: PlanEnd::Applied.into(), by: None })?;
        applied.is_closed = true;
    }
    run.end(applied)
}

impl<'a> Run<'a> {
    /// The acting account, the clock, and everything that an earlier run of the plan has left open.
    async fn begin(task: Task<'a>, env: ApplyEnv<'a>, journal: &'a mut Journal) -> Result<Self, Error> {
        let actor_user_id = begin::who_acts(task, env).await?;
        begin::note(task, env, journal, &actor_user_id)?;
        let canaries = Canaries::of(task.snapshot, &[task.plan]);
        let code_names = task.policy.map(Policy::code_names).unwrap_or_default();
        let is_ours = |past: &ActionState| past.attempt.plan_id == task.plan.plan_id;
        close_windows(env, journal, &canaries).await?;
        reconcile(env, journal, &canaries, &code_names, is_ours).await?;
        Ok(Self {
            task,
            env,
            journal: Mutex::new(journal),
            feed: Mutex::new(Feed::default()),
            walking: tokio::sync::Mutex::new(()),
            actor_user_id,
            canaries,
            halted: Mutex::new(None),
        })
    }

    fn now(&self) -> DateTime<Utc> {
        (self.env.clock)()
    }

    /// A time of ours by Box's clock, as its events are dated. It is slightly early, because Box's `Date` has whole seconds.
    fn at_box(&self, ours: DateTime<Utc>) -> DateTime<Utc> {
        let skew = self.env.actor.skew_secs().filter(|_| self.env.check_clock).unwrap_or(0);
        ours + TimeDelta::seconds(skew - if self.env.check_clock { 2 } else { 0 })
    }

    /// Whether an event of Box may have come after a time of ours: Box dates events by the second.
    fn is_since(&self, event_at: DateTime<Utc>, ours: DateTime<Utc>) -> bool {
        event_at >= self.at_box(ours).trunc_subsecs(0)
    }

    fn past(&self) -> JournalState {
        self.with_past(JournalState::clone)
    }

    fn steps(&self) -> Steps<'_, 'a> {
        Steps { env: self.env, journal: &self.journal }
    }

    /// Reads the present journal state.
    fn with_past<T>(&self, look: impl FnOnce(&JournalState) -> T) -> T {
        self.steps().with_past(look)
    }

    fn write(&self, record: Record) -> Result<(), Error> {
        self.steps().append(record)
    }

    fn is_offboarding(&self) -> bool {
        offboarding::is_offboarding(self.task.plan)
    }

    /// R19: whether a leaver is still to be locked out. After the approval only protection stops that.
    fn is_lockout(&self, planned: &PlannedPerson) -> bool {
        self.is_offboarding()
            && planned.actions.contains(&Action::Suspend)
            && !self.has_done(planned, Action::Suspend)
    }

    /// Names of the tracking codes whose change counts as a change of the user (R12).
    fn code_names(&self) -> Vec<&'a str> {
        self.task.policy.map(Policy::code_names).unwrap_or_default()
    }

    /// The policy on the latest snapshot; `None` for an offboarding, which waives most of the rules (R19).
    fn evaluator<'b>(&'b self, past: &'b JournalState) -> Result<Option<Evaluator<'b>>, Error> {
        if self.is_offboarding() {
            return Ok(None);
        }
        let policy = self.task.policy.ok_or_else(|| {
            Error::usage("the plan follows a policy, and none is configured")
                .hint("[reclaim] policy or --policy names it")
        })?;
        let set_aside = [self.task.plan.plan_id.as_str()];
        Evaluator::new(policy, self.task.snapshot, past, self.task.inputs, self.now(), set_aside)
            .map(Some)
            .map_err(|refusals| refused(&refusals))
    }

    async fn walk_feed(&self) -> Result<(), Error> {
        let Some(mark) = self.task.mark else {
            return Err(Error::refused(format!(
                "the snapshot of {} has no position of the admin log",
                self.task.snapshot.night.snapshot_date
            ))
            .hint("run `boxseat sync`; its log says why the last run could not read the position"));
        };
        let brief = FeedBrief {
            mark,
            snapshot_time: self.task.snapshot.night.now_at,
            activity: &self.task.inputs.activity_events,
            events_by_day: &self.task.snapshot.events_by_day,
            quiet_dates: &self.task.inputs.quiet_dates,
        };
        let mut feed = self.feed.lock().expect("no holder panics").clone();
        // R11: an admin log that cannot be read stops the run, however long Box is unavailable.
        let record = feed.walk(self.env.reader, &brief, self.now()).await.map_err(|e| match e {
            e if e.kind() == ErrorKind::TryLater && !e.is_external_failure() => {
                Error::refused(format!("the admin log cannot be read: {}", e.lines().join(": ")))
                    .hint("Box is not available or asks to wait: run the same command later to continue")
            }
            e => e,
        })?;
        *self.feed.lock().expect("no holder panics") = feed;
        self.write(record)
    }

    fn is_feed_stale(&self) -> bool {
        self.feed.lock().expect("no holder panics").is_stale(self.now())
    }

    /// R11: reads the admin log up to the present when the last walk is five minutes old; a walk that fails halts the run.
    async fn keep_feed_fresh(&self) -> Result<bool, Error> {
        if !self.is_feed_stale() {
            return Ok(!self.is_halted());
        }
        // One task reads for all tasks that run at the same time.
        let _walking = self.walking.lock().await;
        if self.is_feed_stale()
            && let Err(e) = self.walk_feed().await
        {
            if e.is_external_failure() {
                return Err(e);
            }
            self.halt(e);
        }
        Ok(!self.is_halted())
    }

    fn halt(&self, error: Error) {
        self.halted.lock().expect("no holder panics").get_or_insert(error);
    }

    fn is_halted(&self) -> bool {
        self.halted.lock().expect("no holder panics").is_some()
    }

    /// Writes the intent; the call may follow.
    fn intend(
        &self,
        planned: &PlannedPerson,
        login: &str,
        action: Action,
        before: &Standing,
        receiver_user_id: Option<&str>,
    ) -> Result<String, Error> {
        let plan = self.task.plan;
        let of_snapshot = self.task.snapshot.person(&planned.user_id).and_then(|now| now.last_activity_at);
        self.steps().intend(action, |past| Attempt {
            action_id: String::new(),
            plan_id: plan.plan_id.clone(),
            stage: plan.stage,
            user_id: planned.user_id.clone(),
            login: login.to_owned(),
            action,
            before: before.clone(),
            receiver_user_id: receiver_user_id.map(str::to_owned),
            last_activity_at: of_snapshot.max(past.heard_use(&planned.user_id)),
        })
    }

    /// Writes the outcome.
    fn conclude(&self, action_id: &str, came: CallResult) -> Result<(), Error> {
        self.steps().conclude(action_id, came)
    }

    /// Skips a user, and records why.
    fn skip(&self, planned: &PlannedPerson, no: Skip) -> Result<UserOutcome, Error> {
        self.write(Record::Skipped {
            plan_id: self.task.plan.plan_id.clone(),
            user_id: planned.user_id.clone(),
            reason: no.word.into(),
            detail: no.detail.clone(),
            is_final: no.is_final,
            used_at: no.used_at,
        })?;
        Ok(if no.is_final {
            UserOutcome::Skipped(no.word, no.detail)
        } else {
            UserOutcome::Waiting(no.word, no.detail)
        })
    }

    /// Whether the plan has nothing more to do for a user.
    fn is_done(&self, planned: &PlannedPerson) -> bool {
        self.with_past(|past| is_done(past, self.task.plan, planned))
    }

    /// R17: whether a call of the plan has no outcome yet, or a user it suspended is still signed in.
    fn is_half_done(&self, planned: &PlannedPerson) -> bool {
        let is_unfinished = self.with_past(|past| {
            let person = past.people.get(&planned.user_id);
            person
                .is_some_and(|person| person.by_plan(&self.task.plan.plan_id).any(ActionState::is_unfinished))
        });
        is_unfinished
            || planned.actions.contains(&Action::TerminateSessions)
                && !self.is_done(planned)
                && self.is_ours(planned)
                && !self.has_done(planned, Action::TerminateSessions)
    }

    /// Whether the user is suspended by this plan, by the journal.
    fn is_ours(&self, planned: &PlannedPerson) -> bool {
        self.with_past(|past| {
            let person = past.people.get(&planned.user_id);
            person.is_some_and(|person| person.suspension_by(&self.task.plan.plan_id).is_some())
        })
    }

    /// R20: another actor has undone what this plan has done.
    fn reverted_before(&self, planned: &PlannedPerson) -> Option<Skip> {
        let is_reverted = |past: &ActionState| {
            past.attempt.action == Action::Suspend && past.outcome == Some(Outcome::RevertedByOther)
        };
        let plan_id = &self.task.plan.plan_id;
        self.with_past(|past| {
            past.people.get(&planned.user_id)?.by_plan(plan_id).find(|past| is_reverted(past)).cloned()
        })
        .map(|past| {
            Skip::finally(
                ReasonCode::RevertedByOther,
                past.reason.unwrap_or_else(|| "another actor undid it".to_owned()),
            )
        })
    }

    /// Whether an action of the plan was done, or is not needed.
    fn has_done(&self, planned: &PlannedPerson, action: Action) -> bool {
        self.with_past(|past| has_done(past, &self.task.plan.plan_id, &planned.user_id, action))
    }

    fn end(self, mut applied: Applied) -> Result<Applied, Error> {
        if let Some(e) = self.halted.into_inner().expect("no holder panics") {
            applied.stopped.get_or_insert(e);
        }
        for planned in &self.task.plan.people {
            applied.people.entry(planned.user_id.clone()).or_insert_with(|| {
                outcome::of(self.journal.lock().expect("no holder panics").past(), self.task.plan, planned)
            });
        }
        Ok(applied)
    }

    /// R19: why this leaver is not locked out today.
    fn over_daily_cap(&self, user_id: &str) -> Option<Skip> {
        let most = self.task.leavers_per_day;
        let since = self.now() - TimeDelta::hours(24);
        let has_room = !self.is_offboarding()
            || self.with_past(|past| {
                let users = past.locked_out_since(since);
                users.contains(user_id) || users.len() < most
            });
        let detail =
            format!("[offboard] people_per_day = {most} is reached; the user is offboarded on the next day");
        (!has_room).then(|| Skip::for_now(ReasonCode::OverCap, detail))
    }

    /// R8: why this user may not be changed in these thirty days, counted over all plans.
    fn over_cap(&self, user_id: &str) -> Option<Skip> {
        let policy = self.task.policy.filter(|_| !self.is_offboarding())?;
        let most = policy.caps.most(self.task.snapshot.seats_assigned);
        let since = self.now() - CAPS_WINDOW;
        let has_room = self.with_past(|past| {
            let touched = past.touched_since(since);
            touched.contains(user_id) || (touched.len() as u64) < most
        });
        (!has_room).then(|| Skip::for_now(ReasonCode::OverCap, "the cap on users in any 30 days is reached"))
    }
}

/// Why a user is skipped.
struct Skip {
    word: ReasonCode,
    detail: String,
    /// Whether the plan does nothing more for the user.
    is_final: bool,
    /// Use that the admin log showed.
    used_at: Option<DateTime<Utc>>,
}

impl Skip {
    /// For good.
    fn finally(word: ReasonCode, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into(), is_final: true, used_at: None }
    }

    /// A later apply tries again.
    fn for_now(word: ReasonCode, detail: impl Into<String>) -> Self {
        Self { is_final: false, ..Self::finally(word, detail) }
    }
}

/// The result of a call, before it is written to the journal.
struct CallResult {
    outcome: Outcome,
    http_status: Option<u16>,
    request_id: Option<String>,
    after: Option<Standing>,
    destination_folder_id: Option<String>,
    reason: Option<String>,
}

impl CallResult {
    fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            http_status: None,
            request_id: None,
            after: None,
            destination_folder_id: None,
            reason: None,
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        Self {
            http_status: Some(refusal.status),
            request_id: refusal.request_id.clone(),
            ..Self::new(Outcome::Refused).because(refusal.to_string())
        }
    }

    fn unknown(status: Option<u16>, reason: String) -> Self {
        Self { http_status: status, ..Self::new(Outcome::Unknown).because(reason) }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn record(self, action_id: &str) -> Record {
        Record::Outcome {
            action_id: action_id.to_owned(),
            outcome: self.outcome,
            http_status: self.http_status,
            request_id: self.request_id,
            after: self.after,
            destination_folder_id: self.destination_folder_id,
            reason: self.reason,
        }
    }
}

/// Whether a plan has nothing more to do for a user.
pub fn is_done(past: &JournalState, plan: &Plan, planned: &PlannedPerson) -> bool {
    past.people.get(&planned.user_id).is_some_and(|person| person.final_skip(&plan.plan_id).is_some())
        || planned.actions.iter().all(|action| has_done(past, &plan.plan_id, &planned.user_id, *action))
}

fn has_done(past: &JournalState, plan_id: &str, user_id: &str, action: Action) -> bool {
    past.people.get(user_id).is_some_and(|person| {
        // R14: content is moved once, whichever plan does it.
        let is_moved = || action == Action::Transfer && person.transfer().is_some_and(|past| past.was_done);
        is_moved() || person.by_plan(plan_id).any(|past| past.attempt.action == action && past.was_done)
    })
}
