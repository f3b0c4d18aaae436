//! One world from its first night to its judgement.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use boxseat_pipeline::client::{
    Authorities, BoxActor, BoxReader, CallJournal, CallNote, ClientSettings, Credentials, Timeouts,
};
use boxseat_pipeline::{Clock, Error};
use boxseat_schemas::box_api::Page;
use boxseat_schemas::reclaim::plan::{Operator, Plan, Stage};
use boxseat_schemas::reclaim::{Action, ApprovalTerms, Record};
use boxseat_simulator::{Act, App, Config, Running, Scopes, Truth, start};
use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::super::apply::{
    Anchors, Canaries, Fate, Hands, Scope, Task, admit, apply, close_windows, reconcile, undo,
    verify_transfers,
};
use super::super::approval::Required;
use super::super::beside::{Beside, Hold, List};
use super::super::ground::{Ground, Person};
use super::super::journal::Journal;
use super::super::judge::Judge;
use super::super::leaver_plan::{Leaving, gives_way};
use super::super::offboarding;
use super::super::plan::{Making, fit, make};
use super::super::plans::PlanFile;
use super::super::policy::Policy;
use super::super::position::StreamMark;
use super::super::returns::noticed;
use super::intent::Intent;
use super::judge::{Case, Leaver, broken, left_suspended};
use super::{life, night};
use crate::error::CommandError;
use crate::evidence::{Leave, digest};

/// How much happened, over worlds.
#[derive(Debug, Default)]
pub(super) struct Told {
    nights: usize,
    plans: usize,
    applies: usize,
    crashes: usize,
    stopped: usize,
    suspended: usize,
    transferred: usize,
    pub(super) deleted: usize,
    restored: usize,
    reactivated: usize,
    refused_calls: usize,
    offboarded: usize,
    /// Seats that became free, by the Box of a calm world.
    pub(super) freed_on: BTreeMap<&'static str, usize>,
}

impl Told {
    pub(super) fn add(&mut self, other: &Told) {
        self.nights += other.nights;
        self.plans += other.plans;
        self.applies += other.applies;
        self.crashes += other.crashes;
        self.stopped += other.stopped;
        self.suspended += other.suspended;
        self.transferred += other.transferred;
        self.deleted += other.deleted;
        self.restored += other.restored;
        self.reactivated += other.reactivated;
        self.refused_calls += other.refused_calls;
        self.offboarded += other.offboarded;
        for (of_box, seats) in &other.freed_on {
            *self.freed_on.entry(of_box).or_default() += seats;
        }
    }

    /// Enough of everything, or the worlds are too tame to prove anything.
    pub(super) fn assert_rich(&self, worlds: u64) {
        let least = |count: usize, per_hundred: u64| count as u64 * 100 >= worlds * per_hundred;
        assert!(least(self.suspended, 100), "too few suspensions");
        assert!(least(self.transferred, 20), "too few transfers");
        assert!(least(self.deleted, 5), "too few deletions");
        assert!(least(self.restored, 5), "too few restorations");
        assert!(least(self.reactivated, 5), "too few accounts that were active for a transfer");
        assert!(least(self.crashes, 50), "too few crashes");
        assert!(least(self.offboarded, 20), "too few leavers");
    }
}

/// What is broken in the world of a seed, if anything is.
pub(super) async fn live(seed: u64) -> Result<Told, String> {
    let mut world = World::new(seed).await;
    world.night().await;
    for _ in 0..world.rng.random_range(4..8) {
        world.round().await?;
        let days = world.rng.random_range(1..6);
        for _ in 0..days {
            world.simulator.step_days(1);
            world.happen(1, 0.2);
            if world.rng.random_bool(0.35) {
                world.night().await;
            }
        }
        world.night().await;
    }
    world.settle().await;
    let found = world.with_case(broken);
    if found.is_empty() { Ok(world.told) } else { Err(world.describe(&found)) }
}

pub(super) struct World {
    rng: ChaCha8Rng,
    pub(super) simulator: Arc<Running>,
    pub(super) intent: Intent,
    /// Items and shared items of each user at the beginning.
    pub(super) content: BTreeMap<String, (u32, u32)>,
    pub(super) policy: Policy,
    pub(super) beside: Beside,
    clock: Clock,
    reader: BoxReader,
    actor: BoxActor,
    pub(super) journal: Journal,
    /// How much happens here, 1.0 being a lot.
    pub(super) unrest: f64,
    /// Users worked on at once. With more than one the order of calls is not the seed's alone.
    pub(super) concurrency: usize,
    nights: Vec<Truth>,
    read: night::Nights,
    pub(super) ground: Option<(Ground, StreamMark)>,
    /// Plans with their digests, oldest first.
    plans: Vec<PlanFile>,
    leavers: Vec<Leaver>,
    pub(super) told: Told,
}

/// Nobody counts the calls of a world.
struct Uncounted;

impl CallJournal for Uncounted {
    fn record(&self, _: CallNote) -> Result<(), Error> {
        Ok(())
    }
}

const BY: &str = "operator";

impl World {
    async fn new(seed: u64) -> Self {
        Self::adapted(seed, |_, _| ()).await
    }

    /// The world of a seed, with another Box and policy. `adapt` is called twice: before the Box is started, and before the policy is read.
    pub(super) async fn adapted(seed: u64, adapt: impl Fn(Option<&mut Config>, Option<&mut Intent>)) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut config = life::config(&mut rng, seed);
        adapt(Some(&mut config), None);
        let simulator = Arc::new(start(config).await.expect("a free port"));
        let content = life::furnish(&mut rng, &simulator);
        let mut intent = life::intent(&mut rng, &simulator);
        adapt(None, Some(&mut intent));
        let policy = Policy::parse("policy.toml", &intent.toml(), std::path::Path::new(""))
            .unwrap_or_else(|e| panic!("world {seed}: {:?}", e.lines()));
        let beside = beside(&intent);
        let unrest = [0.05, 0.3, 1.0][rng.random_range(0..3)];
        let own = Arc::clone(&simulator);
        let clock: Clock = Arc::new(move || own.now());
        let (reader, actor) = clients(&simulator, &clock);
        World {
            rng,
            simulator,
            intent,
            content,
            policy,
            beside,
            clock,
            reader,
            actor,
            journal: Journal::in_memory(),
            unrest,
            concurrency: 1,
            nights: Vec::new(),
            read: night::Nights::default(),
            ground: None,
            plans: Vec::new(),
            leavers: Vec::new(),
            told: Told::default(),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Reads a night, looks after what is open, as the nightly job does.
    pub(super) async fn night(&mut self) {
        self.simulator.advance_secs(60);
        let body = self.reader.stream("now", &[]).await.expect("the stand-in answers");
        let position = Page::parse(&body).expect("a page").next_stream_position.expect("a position");
        let mark = StreamMark { position: position.as_str().to_owned(), asked_at: self.now() };
        let truth = self.simulator.truth();
        let ground = self.read.read(&truth, &self.intent, &self.simulator.config().enterprise_id);
        self.nights.push(Truth { logins: Vec::new(), other_events: Vec::new(), ..truth });
        self.ground = Some((ground, mark));
        self.told.nights += 1;
        self.look_after().await;
    }

    /// Outcomes that nobody knew, and content on its way.
    async fn look_after(&mut self) {
        let Some((ground, _)) = &self.ground else { return };
        let plans: Vec<&Plan> = self.plans.iter().map(|file| &file.plan).collect();
        let canaries = Canaries::of(ground, &plans);
        for record in noticed(ground, self.journal.past()) {
            self.journal.append((self.clock)(), record).expect("memory is patient");
        }
        let by = operator(BY);
        let never = |_: &str| Ok(());
        let hands = hands(&self.reader, &self.actor, &self.clock, &by, &never);
        let code_names = self.policy.code_names();
        _ = close_windows(hands, &mut self.journal, &canaries).await;
        _ = reconcile(hands, &mut self.journal, &canaries, &code_names, |_| true).await;
        _ = verify_transfers(hands, &mut self.journal, &canaries, ground).await;
    }

    /// Plans what is next, lets the world change, approves, applies with a crash somewhere, and sometimes takes a plan back.
    async fn round(&mut self) -> Result<(), String> {
        let made = self.plan();
        self.happen(3, 0.5);
        for index in made {
            if self.rng.random_bool(0.9) {
                self.approve(index);
                self.happen(2, 0.3);
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
            self.undo(index).await?;
        }
        Ok(())
    }

    /// Up to `most` things happen.
    fn happen(&mut self, most: u32, share: f64) {
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

    /// Makes the plans of the newest night; their places. Older ones that nobody approved give way, or stay.
    pub(super) fn plan(&mut self) -> Vec<usize> {
        let Some((ground, _)) = &self.ground else { return Vec::new() };
        let (past, now, by) = (self.journal.past().clone(), (self.clock)(), operator(BY));
        let gives_way: Vec<&str> =
            if self.rng.random_bool(0.7) { past.replaceable_plans().collect() } else { Vec::new() };
        // A refusal is an answer, too: a night that knows too little, a receiver who is gone.
        let judge = Judge::new(&self.policy, ground, &past, &self.beside, now, gives_way.iter().copied());
        let (Ok(()), Ok(judge)) = (fit(ground, now), judge) else { return Vec::new() };
        let judged = judge.everybody();
        let mut made = Vec::new();
        for stage in [Stage::Suspend, Stage::Transfer, Stage::Delete] {
            let mut open =
                past.open_plans().filter(|(_, plan)| plan.stage == stage && plan.policy_digest.is_some());
            let stands = open.any(|(plan_id, _)| !gives_way.contains(&plan_id));
            if stands || judged.going.get(&stage).is_none_or(Vec::is_empty) {
                continue;
            }
            for plan_id in gives_way.iter().filter(|plan_id| past.plans[**plan_id].stage == stage) {
                let (plan_id, because) = ((*plan_id).to_owned(), "withdrawn".to_owned());
                let record = Record::PlanClosed { plan_id, because, by: Some(by.clone()) };
                self.journal.append(now, record).expect("memory is patient");
            }
            let (policy, beside) = (&self.policy, &self.beside);
            let approval = &ApprovalTerms::os_user();
            let making = Making {
                stage,
                ticket: None,
                by: by.clone(),
                now,
                policy,
                approval,
                ground,
                beside,
                past: &past,
            };
            let plan = make(making, &judged);
            let bytes = serde_json::to_vec(&plan).expect("plain data");
            let file = PlanFile { digest: digest(&bytes), plan, path: PathBuf::new(), bytes };
            self.journal.append(now, file.record()).expect("memory is patient");
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

    /// R19: an operator offboards a user, at once or on a day to come. Afterwards the user is locked out, whatever else is in the way.
    async fn offboard(&mut self) -> Result<(), String> {
        let Some((ground, _)) = &self.ground else { return Ok(()) };
        let listed: Vec<&Person> = ground
            .people
            .values()
            .filter(|person| person.listing.is_some() && person.seat_kind == "managed_user")
            .collect();
        let person = listed[self.rng.random_range(0..listed.len())];
        let usual = self.intent.receiver.as_deref().and_then(|id| ground.person(id));
        let receiver = match usual.filter(|_| self.rng.random_bool(0.7)) {
            Some(usual) => usual,
            None => listed[self.rng.random_range(0..listed.len())],
        };
        let (Some(login), Some(transfer_to)) = (&person.login, &receiver.login) else { return Ok(()) };
        let (by, now, past) = (operator(BY), self.now(), self.journal.past().clone());
        let on = self
            .rng
            .random_bool(0.3)
            .then(|| now.date_naive() + TimeDelta::days(self.rng.random_range(0..4)));
        let leaving = Leaving {
            policy: Some(&self.policy),
            ground,
            past: &past,
            beside: &self.beside,
            person,
            receiver,
            login,
            transfer_to,
            on,
            ticket: None,
            by: &by,
            now,
        };
        let Ok(gives_way) = gives_way(&past, person, &by) else { return Ok(()) };
        // A refusal is an answer, too: an administrator, a protected user, a login that is another's by now.
        let looked =
            if person.user_id == receiver.user_id { return Ok(()) } else { leaving.look(&self.actor).await };
        let Ok(looked) = looked else { return Ok(()) };
        let plan = Plan { approval: Some(ApprovalTerms::os_user()), ..leaving.plan(&looked) };
        if past.plans.contains_key(&plan.plan_id) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&plan).expect("plain data");
        let file = PlanFile { digest: digest(&bytes), plan, path: PathBuf::new(), bytes };
        let user_id = person.user_id.clone();
        self.leavers.push(Leaver {
            user_id: user_id.clone(),
            receiver_user_id: receiver.user_id.clone(),
            at: now,
        });
        for record in gives_way.into_iter().chain([file.record()]) {
            self.journal.append(now, record).expect("memory is patient");
        }
        self.plans.push(file);
        let index = self.plans.len() - 1;
        self.approve(index);
        self.told.offboarded += 1;
        if on.is_some_and(|day| day > now.date_naive()) {
            return Ok(());
        }
        let done = self.run(index, i64::MAX, Verb::Apply).await;
        let truth = self.simulator.truth_without_events();
        let still = truth.users.iter().find(|user| user.user_id == user_id && user.status == "active");
        match (done, still) {
            (Ok(Some(refused)), Some(_)) if !refused.contains(&user_id) => {
                let plan_id = &self.plans[index].plan.plan_id;
                let skip = self.journal.past().people.get(&user_id).and_then(|known| known.skips.last());
                let reason = skip.map_or("none", |skip| skip.reason.as_str());
                // Only these may keep a leaver signed in.
                let may =
                    ["protected", "on_hold", "receiver", "admin", "no_person", "login_of_other", "closed"];
                if may.contains(&reason) {
                    return Ok(());
                }
                Err(self
                    .describe(&[format!("{user_id} is active after the offboarding {plan_id}: {reason}")]))
            }
            _ => Ok(()),
        }
    }

    /// The places of offboardings that are open.
    fn open_offboardings(&self) -> Vec<usize> {
        let open = self.open_plans().into_iter();
        open.filter(|index| offboarding::is_offboarding(&self.plans[*index].plan)).collect()
    }

    pub(super) fn approve(&mut self, index: usize) {
        let PlanFile { plan, digest, .. } = &self.plans[index];
        let record = Record::Approved {
            plan_id: plan.plan_id.clone(),
            digest: digest.clone(),
            by: operator("approver"),
            signed_by: None,
            signature: None,
        };
        self.journal.append((self.clock)(), record).expect("memory is patient");
    }

    /// Applies a plan until nothing stops it: dying at a random step, or losing an answer, and going on.
    pub(super) async fn apply(&mut self, index: usize) {
        if self.rng.random_bool(0.2) {
            life::loses_an_answer(&mut self.rng, &self.simulator);
        }
        for attempt in 0..3 {
            // The last attempt is let through.
            let dies = attempt < 2 && self.rng.random_bool(0.5);
            let steps = if dies { self.rng.random_range(1..25) } else { i64::MAX };
            if self.run(index, steps, Verb::Apply).await.is_ok() {
                break;
            }
            if self.rng.random_bool(0.5) {
                self.happen(1, 0.5);
            }
        }
        self.simulator.clear_faults();
    }

    /// Takes a plan back, perhaps in two goes; whoever may be given back must be.
    async fn undo(&mut self, index: usize) -> Result<(), String> {
        let dies = if self.rng.random_bool(0.3) { self.rng.random_range(1..8) } else { i64::MAX };
        let mut done = self.run(index, dies, Verb::Undo).await;
        if done.is_err() {
            done = self.run(index, i64::MAX, Verb::Undo).await;
        }
        let Ok(Some(refused)) = done else { return Ok(()) };
        let plan_id = self.plans[index].plan.plan_id.clone();
        let mut left = self.with_case(|case| left_suspended(case, &plan_id));
        left.retain(|sentence| !refused.iter().any(|user_id| sentence.starts_with(user_id.as_str())));
        if left.is_empty() { Ok(()) } else { Err(self.describe(&left)) }
    }

    /// One start of a command. `Err`: it died. `Ok(None)`: it was not let in, or stopped early. `Ok(Some)`: it came to its end;
    /// those whom Box refused or of whom nothing is known.
    async fn run(&mut self, index: usize, dies_after: i64, verb: Verb) -> Result<Option<Vec<String>>, ()> {
        self.simulator.advance_secs(self.rng.random_range(1..120));
        let Some((ground, mark)) = &self.ground else { return Ok(None) };
        let file = &self.plans[index];
        let plan = &file.plan;
        let steps = AtomicI64::new(dies_after);
        let simulator = Arc::clone(&self.simulator);
        let crash = move |step: &str| {
            simulator.advance_secs(1);
            if steps.fetch_sub(1, Ordering::Relaxed) == 0 {
                return Err(CommandError::refused(format!("died at {step}")));
            }
            Ok(())
        };
        let by = operator(BY);
        let hands = hands(&self.reader, &self.actor, &self.clock, &by, &crash);
        let hands = Hands { concurrency: self.concurrency, ..hands };
        let (policy, beside) = (Some(&self.policy), &self.beside);
        let task = Task { plan, policy, ground, beside, mark: Some(mark), leavers_per_day: usize::MAX };
        let past = self.journal.past().clone();
        let done = match verb {
            Verb::Apply => {
                let required = Required::of(plan, None);
                if admit(file, &past, &required, ground, night::STORE, (self.clock)()).is_err() {
                    return Ok(None);
                }
                self.told.applies += 1;
                apply(task, hands, &mut self.journal).await
            }
            Verb::Undo => undo(task, Scope::WholePlan, hands, &mut self.journal).await,
        };
        match done {
            Ok(applied) if applied.stopped.is_some() => {
                self.told.stopped += 1;
                Ok(None)
            }
            Ok(applied) => {
                let is_refused =
                    |fate: &Fate| matches!(fate, Fate::Refused(_) | Fate::Unknown(_) | Fate::NotAttempted);
                let refused = applied.people.iter().filter(|(_, fate)| is_refused(fate));
                Ok(Some(refused.map(|(user_id, _)| user_id.clone()).collect()))
            }
            Err(_) => {
                self.told.crashes += 1;
                Err(())
            }
        }
    }

    /// Trouble ends, days pass, and whatever is open gets its outcome.
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
        }
    }

    pub(super) fn with_case<T>(&self, judge: impl FnOnce(&Case<'_>) -> T) -> T {
        let (deeds, end) = (self.simulator.deeds(), self.simulator.truth());
        let journal = self.journal.entries();
        judge(&Case {
            intent: &self.intent,
            deeds: &deeds,
            nights: &self.nights,
            end: &end,
            journal,
            leavers: &self.leavers,
        })
    }

    /// What is broken, and everything that happened to the people concerned.
    pub(super) fn describe(&self, found: &[String]) -> String {
        let mut text = found.join("\n");
        let deeds = self.simulator.deeds();
        let ids = deeds.iter().map(|deed| deed.user_id.as_str()).collect::<std::collections::BTreeSet<_>>();
        for id in
            ids.into_iter().filter(|id| !id.is_empty() && found.iter().any(|sentence| sentence.contains(*id)))
        {
            text.push_str(&format!("\n  about {id}:"));
            for deed in deeds.iter().filter(|deed| deed.user_id == id) {
                let status = |account: &Option<boxseat_simulator::Account>| {
                    account.as_ref().map_or("-".to_owned(), |a| {
                        format!("{}/{} items/{} bytes", a.status, a.owned_items, a.owned_bytes)
                    })
                };
                text.push_str(&format!(
                    "\n    deed {} {} {:?} {:?} {} {} -> {} {}",
                    deed.sequence,
                    deed.at,
                    deed.by,
                    deed.verb,
                    deed.http_status,
                    status(&deed.before),
                    status(&deed.after),
                    deed.body
                ));
            }
            for entry in self.journal.entries() {
                let line = serde_json::to_string(&entry.record).expect("plain data");
                if line.contains(id) {
                    text.push_str(&format!(
                        "\n    journal {} {} {}",
                        entry.sequence,
                        entry.at,
                        line.chars().take(400).collect::<String>()
                    ));
                }
            }
        }
        text.push_str(&format!("\n  intent: {:?}", self.intent));
        text
    }
}

/// What a run is about.
#[derive(Clone, Copy)]
enum Verb {
    Apply,
    Undo,
}

fn hands<'a>(
    reader: &'a BoxReader,
    actor: &'a BoxActor,
    clock: &'a Clock,
    by: &'a Operator,
    crash: &'a (dyn Fn(&str) -> Result<(), CommandError> + Sync),
) -> Hands<'a> {
    // One at a time: what happens in a world must not depend on how tasks interleave.
    Hands { reader, actor, clock, by, concurrency: 1, check_clock: false, anchors: &NoAnchor, crash }
}

struct NoAnchor;

impl Anchors for NoAnchor {
    fn anchor(&self, _: &Journal) -> Result<(), CommandError> {
        Ok(())
    }
}

fn operator(name: &str) -> Operator {
    Operator { os_user: name.to_owned(), host: "world".to_owned() }
}

fn beside(intent: &Intent) -> Beside {
    let list = |rows| Some(List { rows, age: TimeDelta::zero() });
    let hold = |id: &String| Hold { who: id.clone(), reason: "litigation".to_owned(), line: 2 };
    let leave = |(id, from, to): &(String, String, String)| Leave {
        line: 2,
        user_id: id.clone(),
        from: from.parse().expect("a date"),
        to: to.parse().ok(),
    };
    Beside {
        leave: (!intent.leaves.is_empty())
            .then(|| List { rows: intent.leaves.iter().map(leave).collect(), age: TimeDelta::zero() }),
        holds: list(intent.held.iter().map(hold).collect()),
        ..Beside::default()
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
    let actor = BoxActor::beside(&reader, acting).expect("plain http");
    (reader, actor)
}

/// R11: a sign-in while a plan is applied is heard of by the walk of the admin log every five minutes, and not before.
#[tokio::test]
async fn r11_the_log_is_walked_again_every_five_minutes() {
    for (secs, is_heard) in [(1, false), (301, true)] {
        let mut seeds = 1..;
        let (mut world, index) = loop {
            let mut world = World::new(seeds.next().expect("one of many")).await;
            world.night().await;
            let made = world.plan();
            let long = made.into_iter().find(|index| {
                let plan = &world.plans[*index].plan;
                plan.stage == Stage::Suspend && plan.people.len() > 2
            });
            if let Some(index) = long {
                break (world, index);
            }
        };
        world.approve(index);
        let plan = &world.plans[index].plan;
        let user_id = plan.people.last().expect("more than two").user_id.clone();
        let (simulator, is_first) = (Arc::clone(&world.simulator), AtomicI64::new(1));
        let signs_in = |_: &str| {
            if is_first.fetch_sub(1, Ordering::Relaxed) == 1 {
                simulator.act(&Act::Login { user_id: user_id.clone() });
                simulator.advance_secs(secs);
            }
            Ok(())
        };
        let (ground, mark) = world.ground.as_ref().expect("a night was read");
        let by = operator(BY);
        let (policy, beside) = (Some(&world.policy), &world.beside);
        let task = Task { plan, policy, ground, beside, mark: Some(mark), leavers_per_day: usize::MAX };
        let hands = hands(&world.reader, &world.actor, &world.clock, &by, &signs_in);
        let applied = apply(task, hands, &mut world.journal).await.expect("nothing dies here");
        let word = applied.people[&user_id].word();
        assert_eq!(word == "done", !is_heard, "{secs} seconds later: {word}");
    }
}
