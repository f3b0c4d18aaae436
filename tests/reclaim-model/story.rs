//! One world from its first snapshot to its check.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use boxseat_pipeline::client::{
    Authorities, BoxActor, BoxReader, CallJournal, CallNote, ClientSettings, Credentials, Timeouts,
};
use boxseat_pipeline::{Clock, Error};
use boxseat_reclaim::engine::{Canaries, close_windows, reconcile, verify_transfers};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::StreamMark;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::rules::evaluator::{Evaluator, Refusal};
use boxseat_reclaim::rules::plan::{Making, fit, make};
use boxseat_reclaim::rules::policy::Policy;
use boxseat_reclaim::rules::policy_inputs::{Hold, Leave, List, PolicyInputs};
use boxseat_reclaim::rules::reversals::noticed;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_reclaim_checker::Intent;
use boxseat_reclaim_checker::{Known, Leaver, broken};
use boxseat_schemas::box_api::Page;
use boxseat_schemas::reclaim::plan::{Operator, Plan, Stage};
use boxseat_schemas::reclaim::{Action, ApprovalTerms, Entry, PlanEnd, Record};
use boxseat_simulator::{Act, App, Config, Running, Scopes, Truth, start};
use boxseat_storage::digest::sha256_hex;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::acting::env;
use crate::areas::Areas;
use crate::rows_in_memory::RowsInMemory;
use crate::told::Told;
use crate::{life, night};

/// The violations in the world of a seed, if there are any.
pub(super) async fn live(seed: u64) -> Result<Told, String> {
    let mut world = World::new(seed).await;
    world.night().await;
    for _ in 0..world.rng.random_range(4..8) {
        world.put_back().await?;
        world.round().await?;
        let days = world.rng.random_range(1..6);
        for _ in 0..days {
            world.simulator.step_days(1);
            world.happen(1, 0.2);
            world.meanwhile(0.1);
            if world.rng.random_bool(0.35) {
                world.night().await;
            }
        }
        world.night().await;
    }
    world.settle().await;
    let mut found = world.with_case(broken);
    found.extend(world.untold());
    if found.is_empty() { Ok(world.told) } else { Err(world.describe(&found)) }
}

pub(super) struct World {
    pub(super) rng: ChaCha8Rng,
    pub(super) simulator: Arc<Running>,
    pub(super) intent: Intent,
    /// Items and shared items of each user at the beginning.
    pub(super) content: BTreeMap<String, (u32, u32)>,
    pub(super) policy: Policy,
    pub(super) inputs: PolicyInputs,
    pub(super) clock: Clock,
    pub(super) reader: BoxReader,
    pub(super) actor: BoxActor,
    pub(super) journal: Journal,
    /// How much happens here; 1.0 is a lot.
    pub(super) unrest: f64,
    /// Users processed at the same time. With more than one, the order of calls does not follow from the seed alone.
    pub(super) concurrency: usize,
    pub(super) nights: Vec<Truth>,
    pub(super) read: night::Nights,
    pub(super) snapshot: Option<(Snapshot, Option<StreamMark>)>,
    /// Plans with their digests, oldest first.
    pub(super) plans: Vec<PlanFile>,
    pub(super) leavers: Vec<Leaver>,
    pub(super) told: Told,
    pub(super) areas: Areas,
    /// Earlier policies, each with the time from which it was no longer in force.
    pub(super) earlier: Vec<(DateTime<Utc>, Intent)>,
    /// What each snapshot knows about the admin log.
    pub(super) known: Vec<Known>,
    /// The committed part of the journal.
    pub(super) lake: RowsInMemory,
    /// Every entry up to the time at which a copy of the journal was last put back, and how many of them the copy has.
    pub(super) before: Vec<Entry>,
    pub(super) kept: usize,
}

/// The calls of a world are not counted.
struct Uncounted;

impl CallJournal for Uncounted {
    fn record(&self, _: CallNote) -> Result<(), Error> {
        Ok(())
    }
}

pub(super) const BY: &str = "operator";

impl World {
    pub(super) async fn new(seed: u64) -> Self {
        Self::adapted(seed, Areas::of(seed), |_, _| ()).await
    }

    /// The world of a seed, with another Box and policy. `adapt` is called twice: before the Box is started, and before the policy
    /// is read.
    pub(super) async fn adapted(
        seed: u64,
        areas: Areas,
        adapt: impl Fn(Option<&mut Config>, Option<&mut Intent>),
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut config = life::config(&mut rng, seed);
        adapt(Some(&mut config), None);
        let simulator = Arc::new(start(config).await.expect("a free port"));
        let content = life::furnish(&mut rng, &simulator);
        let mut intent = life::intent(&mut rng, &simulator);
        adapt(None, Some(&mut intent));
        let policy = policy(&intent);
        let inputs = inputs(&intent);
        let unrest = [0.05, 0.3, 1.0][rng.random_range(0..3)];
        let own = Arc::clone(&simulator);
        let clock: Clock = Arc::new(move || own.now());
        let (reader, actor) = clients(&simulator, &clock);
        let mut world = World {
            rng,
            areas,
            simulator,
            intent,
            content,
            policy,
            inputs,
            clock,
            reader,
            actor,
            journal: Journal::in_memory(),
            unrest,
            concurrency: 1,
            nights: Vec::new(),
            read: night::Nights::default(),
            snapshot: None,
            plans: Vec::new(),
            leavers: Vec::new(),
            told: Told::default(),
            earlier: Vec::new(),
            known: Vec::new(),
            lake: RowsInMemory::default(),
            before: Vec::new(),
            kept: 0,
        };
        for _ in 0..if world.areas.has_trash { 6 } else { 0 } {
            world.fill_or_empty_trash();
        }
        world
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Reads a snapshot and reconciles what is open, as the nightly job does.
    pub(super) async fn night(&mut self) {
        self.simulator.advance_secs(60);
        let body = self.reader.stream("now", &[]).await.expect("the stand-in answers");
        let position = Page::parse(&body).expect("a page").next_stream_position.expect("a position");
        let mark = StreamMark { position: position.as_str().to_owned(), asked_at: self.now() };
        let truth = self.simulator.truth();
        let mut mark = Some(mark);
        if self.areas.has_gaps {
            self.read.gaps.pass(&mut self.areas.rng, night::read_to(&truth));
            mark = mark.filter(|_| self.areas.rng.random_bool(0.9));
        }
        let snapshot = self.read.read(&truth, &self.intent, &self.simulator.config().enterprise_id);
        self.nights.push(Truth { logins: Vec::new(), other_events: Vec::new(), ..truth });
        self.told.nights += 1;
        self.known.push(Known {
            at: snapshot.night.now_at,
            logins: snapshot.login_coverage,
            edits: snapshot.activity_coverage.get("EDIT_USER").copied(),
            has_position: mark.is_some(),
        });
        let known = self.known.last().expect("just put there");
        let is_whole = self.is_whole(known.logins) && self.is_whole(known.edits);
        self.told.nights_with_gaps += usize::from(!is_whole);
        self.told.nights_without_position += usize::from(mark.is_none());
        self.snapshot = Some((snapshot, mark));
        self.commit();
        self.look_after().await;
        self.confirm().await;
        self.commit();
    }

    /// Whether a span is all that a snapshot can know.
    fn is_whole(&self, span: Option<(DateTime<Utc>, DateTime<Utc>)>) -> bool {
        let (Some(first), Some(last)) = (self.known.first(), self.known.last()) else { return true };
        let window = TimeDelta::days(night::WINDOW_DAYS);
        span.is_some_and(|(from, to)| from + window <= first.at && last.at - to < TimeDelta::hours(1))
    }

    /// Whether the newest snapshot lacks sign-ins.
    pub(super) fn lacks_logins(&self) -> bool {
        self.known.last().is_some_and(|known| !self.is_whole(known.logins))
    }

    /// Settles unknown outcomes and content that is moving.
    async fn look_after(&mut self) {
        let Some((snapshot, _)) = &self.snapshot else { return };
        let plans: Vec<&Plan> = self.plans.iter().map(|file| &file.plan).collect();
        let canaries = Canaries::of(snapshot, &plans);
        for record in noticed(snapshot, self.journal.past()) {
            self.journal.append((self.clock)(), record).expect("a journal in memory accepts entries");
        }
        let by = operator(BY);
        let never = |_: &str| Ok(());
        let env = env(&self.reader, &self.actor, &self.clock, &by, &never);
        let code_names = self.policy.code_names();
        _ = close_windows(env, &mut self.journal, &canaries).await;
        _ = reconcile(env, &mut self.journal, &canaries, &code_names, |_| true).await;
        _ = verify_transfers(env, &mut self.journal, &canaries, snapshot).await;
    }

    /// Plans what is next, lets the world change, approves, applies with a crash somewhere, and sometimes undoes a plan.
    async fn round(&mut self) -> Result<(), String> {
        let made = self.plan();
        self.happen(3, 0.5);
        self.meanwhile(0.3);
        for index in made {
            if self.rng.random_bool(0.9) {
                self.approve(index);
                self.happen(2, 0.3);
                self.meanwhile(0.4);
                self.apply(index).await;
            }
        }
        if self.rng.random_bool(0.15) {
            self.offboard().await?;
        }
        for index in self.open_offboardings() {
            self.apply(index).await;
        }
        if self.rng.random_bool(0.12) && !self.plans.is_empty() {
            let index = self.rng.random_range(0..self.plans.len());
            self.happen(1, 0.3);
            self.meanwhile(0.2);
            self.undo(index).await?;
        }
        Ok(())
    }

    /// Up to `most` things happen.
    pub(super) fn happen(&mut self, most: u32, share: f64) {
        let planned: Vec<String> = self
            .plans
            .iter()
            .flat_map(|file| &file.plan.people)
            .map(|person| person.user_id.clone())
            .collect();
        for _ in 0..most {
            if self.rng.random_bool(share * self.unrest) {
                life::happens(&mut self.rng, &self.simulator, &planned, &self.intent);
            }
        }
        self.simulator.advance_secs(1);
    }

    /// Makes the plans of the latest snapshot; returns their places. Older plans without an approval are replaced, or stay.
    pub(super) fn plan(&mut self) -> Vec<usize> {
        let Some((snapshot, _)) = &self.snapshot else { return Vec::new() };
        let (past, now, by) = (self.journal.past().clone(), (self.clock)(), operator(BY));
        let gives_way: Vec<&str> =
            if self.rng.random_bool(0.7) { past.replaceable_plans().collect() } else { Vec::new() };
        // A refusal is a valid result, too: a snapshot with too many unknown seats, a receiver who is gone.
        let evaluator =
            Evaluator::new(&self.policy, snapshot, &past, &self.inputs, now, gives_way.iter().copied());
        let is_of_gap =
            |refusals: &Vec<Refusal>| refusals.iter().any(|refusal| refusal.subject.rule() == "R2");
        self.told.refused_by_gap += usize::from(evaluator.as_ref().is_err_and(is_of_gap));
        let (Ok(()), Ok(evaluator)) = (fit(snapshot, now), evaluator) else { return Vec::new() };
        let judged = evaluator.everybody();
        self.told.count_words(self.lacks_logins(), judged.left_out.values().map(|(_, no)| no.word.as_str()));
        let mut made = Vec::new();
        for stage in [Stage::Suspend, Stage::Transfer, Stage::Delete] {
            let mut open =
                past.open_plans().filter(|(_, plan)| plan.stage == stage && plan.policy_digest.is_some());
            let stands = open.any(|(plan_id, _)| !gives_way.contains(&plan_id));
            if stands || judged.going.get(&stage).is_none_or(Vec::is_empty) {
                continue;
            }
            for plan_id in gives_way.iter().filter(|plan_id| past.plans[**plan_id].stage == stage) {
                let (plan_id, because) = ((*plan_id).to_owned(), PlanEnd::Withdrawn.into());
                let record = Record::PlanClosed { plan_id, because, by: Some(by.clone()) };
                self.journal.append(now, record).expect("a journal in memory accepts entries");
            }
            let (policy, inputs) = (&self.policy, &self.inputs);
            let approval = &ApprovalTerms::os_user();
            let making = Making {
                stage,
                ticket: None,
                by: by.clone(),
                now,
                policy,
                approval,
                snapshot,
                inputs,
                past: &past,
            };
            let plan = make(making, &judged);
            let bytes = serde_json::to_vec(&plan).expect("plain data");
            let file = PlanFile { digest: sha256_hex(&bytes), plan, path: PathBuf::new(), bytes };
            self.journal.append(now, file.record()).expect("a journal in memory accepts entries");
            made.push(file);
        }
        let first = self.plans.len();
        self.plans.extend(made);
        self.told.plans += self.plans.len() - first;
        (first..self.plans.len()).collect()
    }

    /// The places of plans that are not closed.
    pub(super) fn open_plans(&self) -> Vec<usize> {
        let open: Vec<&str> = self.journal.past().open_plans().map(|(plan_id, _)| plan_id).collect();
        (0..self.plans.len())
            .filter(|index| open.contains(&self.plans[*index].plan.plan_id.as_str()))
            .collect()
    }

    /// Trouble ends, days pass, and every open action gets its outcome.
    pub(super) async fn settle(&mut self) {
        self.simulator.clear_faults();
        self.simulator.act(&Act::SetScopes { app: App::Acting, scopes: Scopes::default() });
        for _ in 0..3 {
            self.simulator.step_days(1);
            self.night().await;
        }
        for entry in self.journal.entries() {
            let Record::Intent(attempt) = &entry.record else { continue };
            self.told.restored += usize::from(attempt.action == Action::Restore);
            self.told.reactivated += usize::from(attempt.action == Action::Reactivate);
        }
        for deed in self.simulator.deeds() {
            let is_ours = self.journal.past().actor_user_ids.contains(&deed.actor_id);
            if !is_ours {
                continue;
            }
            self.told.refused_calls += usize::from(!deed.is_applied);
            self.told.suspended += usize::from(deed.suspends());
            let is = |verb| deed.is_applied && deed.verb == verb;
            self.told.transferred += usize::from(is(boxseat_simulator::Verb::FinishTransfer));
            self.told.deleted += usize::from(is(boxseat_simulator::Verb::Delete));
            let has_trash = deed.before.as_ref().is_some_and(|before| before.trash_bytes > 0);
            self.told.deleted_with_trash += usize::from(is(boxseat_simulator::Verb::Delete) && has_trash);
        }
    }
}

pub(super) fn operator(name: &str) -> Operator {
    Operator { os_user: name.to_owned(), host: "world".to_owned() }
}

pub(super) fn policy(intent: &Intent) -> Policy {
    Policy::parse("policy.toml", &intent.toml(), std::path::Path::new(""))
        .unwrap_or_else(|e| panic!("{intent:?}: {:?}", e.lines()))
}

pub(super) fn inputs(intent: &Intent) -> PolicyInputs {
    let list = |rows| Some(List { rows, age: TimeDelta::zero() });
    let hold = |id: &String| Hold { who: id.clone(), reason: "litigation".to_owned(), line: 2 };
    let leave = |(id, from, to): &(String, String, String)| Leave {
        line: 2,
        user_id: id.clone(),
        login: None,
        from: from.parse().expect("a date"),
        to: to.parse().ok(),
    };
    PolicyInputs {
        leave: (!intent.leaves.is_empty())
            .then(|| List { rows: intent.leaves.iter().map(leave).collect(), age: TimeDelta::zero() }),
        holds: list(intent.held.iter().map(hold).collect()),
        ..PolicyInputs::default()
    }
}

fn clients(simulator: &Running, clock: &Clock) -> (BoxReader, BoxActor) {
    let config = simulator.config();
    let settings = ClientSettings {
        api_url: simulator.api_url().parse().expect("an address"),
        token_url: simulator.token_url().parse().expect("an address"),
        calls_per_minute: NonZeroU32::new(100_000_000).expect("not zero"),
        patience: ClientSettings::PATIENCE,
        timeouts: Timeouts::default(),
        authorities: Authorities::default(),
    };
    let credentials = |id: &str, secret: &str| Credentials::ClientCredentials {
        client_id: id.to_owned(),
        client_secret: SecretString::from(secret.to_owned()),
        enterprise_id: config.enterprise_id.clone(),
    };
    let reader = BoxReader::new(
        &settings,
        credentials(&config.client_id, &config.client_secret),
        Arc::new(Uncounted),
        Arc::clone(clock),
        CancellationToken::new(),
    )
    .expect("plain http");
    let acting = credentials(&config.actions_client_id, &config.actions_client_secret);
    let actor = BoxActor::sharing_pace(&reader, acting).expect("plain http");
    (reader, actor)
}
