//! A small enterprise, a store and a policy: from the first snapshot, which reads back half a year of sign-ins and so proves
//! idleness, to the last plan.

use std::path::PathBuf;

use boxseat_reclaim_checker::{Case, Intent, broken, left_suspended};
use boxseat_schemas::reclaim::Entry;
use boxseat_schemas::spool::{FILE_HEADER_LEN, FRAME_FIXED_LEN, FileKind, Fixed};
use boxseat_simulator::{Act, Config, Running, Truth};
use serde_json::json;

use crate::support::{Done, World, finish};

/// One scenario.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) intent: Intent,
    nights: Vec<Truth>,
}

/// Two dozen users, some of them idle, without changes other than those of the scenario.
pub(crate) fn small(seed: u64) -> Config {
    Config {
        users: 24,
        groups: 4,
        logins: Some(300),
        idle_share: 0.25,
        change_scale: 0.0,
        keeps_to_quota: true,
        seed,
        ..Config::plain()
    }
}

impl Stage {
    /// The first snapshot is read; the receiver, if the policy has none, is an active user with room for everything.
    pub(crate) fn new(config: Config, intent: Intent) -> Self {
        let world = World::new(config);
        let receiver = intent.receiver.clone().unwrap_or_else(|| some_receiver(&world.simulator));
        let mut stage =
            Stage { world, intent: Intent { receiver: Some(receiver), ..intent }, nights: Vec::new() };
        stage.write_policy();
        stage.night();
        stage
    }

    /// Writes the policy and its lists as they are now.
    pub(crate) fn write_policy(&self) {
        let directory = self.world.directory();
        self.intent.write(directory);
        std::fs::write(directory.join("boxseat.toml"), "[reclaim]\npolicy = \"policy.toml\"\n").unwrap();
    }

    pub(crate) fn simulator(&self) -> &Running {
        &self.world.simulator
    }

    /// Reads a snapshot.
    pub(crate) fn night(&mut self) {
        let done = self.world.run(&["sync"]);
        assert!(matches!(done.code, 0 | 4), "{}", done.stderr);
        self.nights.push(self.simulator().truth_without_events());
    }

    /// Days pass, and the last of them is read.
    pub(crate) fn later(&mut self, days: u32) {
        self.simulator().step_days(days);
        self.night();
    }

    /// Ids of ordinary active users without a sign-in for this many days, that nothing protects.
    pub(crate) fn idle(&self, days: i64) -> Vec<String> {
        let truth = self.simulator().truth_without_events();
        let now = self.simulator().now();
        let is_idle = |user_id: &str| {
            let last = truth
                .last_login_at
                .get(user_id)
                .and_then(|at| at.parse::<chrono::DateTime<chrono::Utc>>().ok());
            last.is_none_or(|at| (now - at).num_days() >= days)
        };
        let is_old = |at: &str| {
            at.parse::<chrono::DateTime<chrono::Utc>>().is_ok_and(|at| (now - at).num_days() >= days)
        };
        let users = truth.users.iter().filter(|user| {
            user.role == "user"
                && user.status == "active"
                && !user.is_platform_access_only
                && is_old(&user.created_at)
        });
        users
            .map(|user| user.user_id.clone())
            .filter(|id| is_idle(id) && Some(id) != self.intent.receiver.as_ref())
            .collect()
    }

    /// Makes a user the owner of this many items, some of them shared.
    pub(crate) fn give(&self, user_id: &str, items: u32, shared: u32) {
        let bytes = i64::from(items) * 1_000;
        self.simulator().act(&Act::SetContent { user_id: user_id.to_owned(), items, bytes, shared });
    }

    /// The binary, with acting credentials as well.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let config = self.simulator().config();
        let mut command = self.world.command(args);
        command
            .env("BOXSEAT_ACTIONS_CLIENT_ID", &config.actions_client_id)
            .env("BOXSEAT_ACTIONS_CLIENT_SECRET", &config.actions_client_secret);
        finish(command.output().unwrap())
    }

    /// The same; the exit code must be one of these.
    #[track_caller]
    pub(crate) fn expect(&self, codes: &[i32], args: &[&str]) -> Done {
        let done = self.run(args);
        assert!(
            codes.contains(&done.code),
            "boxseat {args:?} ended with {}\n{}\n{}",
            done.code,
            done.stdout,
            done.stderr
        );
        done
    }

    /// Makes plans of the latest snapshot; the ids of the new ones.
    #[track_caller]
    pub(crate) fn plan(&self) -> Vec<String> {
        let before = self.plans();
        self.expect(&[0, 4], &["reclaim", "plan"]);
        self.plans().into_iter().filter(|plan_id| !before.contains(plan_id)).collect()
    }

    /// Ids of all plans, in order.
    pub(crate) fn plans(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.state().join("plans")) else { return Vec::new() };
        let name = |file: std::io::Result<std::fs::DirEntry>| {
            Some(file.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned())
        };
        let mut ids: Vec<String> = files.filter_map(name).collect();
        ids.sort();
        ids
    }

    /// Plans, approves and applies the next stage; the ids of the plans.
    #[track_caller]
    pub(crate) fn go(&self) -> Vec<String> {
        let plans = self.plan();
        for plan in &plans {
            self.expect(&[0], &["reclaim", "approve", plan]);
            self.expect(&[0, 4], &["reclaim", "apply", plan, "--yes"]);
        }
        plans
    }

    /// The directory of reclamation's state.
    pub(crate) fn state(&self) -> PathBuf {
        self.world.store().join("state/reclaim")
    }

    /// The journal, read frame by frame.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        let Ok(bytes) = std::fs::read(self.state().join("journal")) else { return Vec::new() };
        let (head, mut rest) = bytes.split_first_chunk::<FILE_HEADER_LEN>().expect("a file header");
        FileKind::Journal.decode_header(head).expect("a journal");
        let mut entries = Vec::new();
        while let Some((fixed, behind)) = rest.split_first_chunk::<FRAME_FIXED_LEN>() {
            let fixed = Fixed::decode(fixed).expect("a frame");
            let header_len = fixed.header_len as usize;
            entries.push(serde_json::from_slice(&behind[..header_len]).expect("an entry"));
            // The seal follows the entry.
            rest = &behind[header_len + fixed.stored_len as usize..];
        }
        entries
    }

    /// Everything that happened must follow the rules.
    #[track_caller]
    pub(crate) fn judge(&self) {
        let broken = self.with_case(broken);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// Right after the undo of a plan: every user that could be given back was given back.
    #[track_caller]
    pub(crate) fn judge_undo(&self, plan_id: &str) {
        let left = self.with_case(|case| left_suspended(case, plan_id));
        assert!(left.is_empty(), "{}", left.join("\n"));
        self.judge();
    }

    fn with_case<T>(&self, judge: impl FnOnce(&Case<'_>) -> T) -> T {
        let (deeds, end, journal) = (self.simulator().deeds(), self.simulator().truth(), self.journal());
        judge(&Case {
            intent: &self.intent,
            earlier: &[],
            deeds: &deeds,
            nights: &self.nights,
            end: &end,
            known: &[],
            journal: &journal,
            kept: &journal,
            leavers: &[],
        })
    }
}

/// A user in use, with an unlimited quota.
fn some_receiver(simulator: &Running) -> String {
    let truth = simulator.truth_without_events();
    let now = simulator.now();
    let is_at_work = |user_id: &str| {
        let last =
            truth.last_login_at.get(user_id).and_then(|at| at.parse::<chrono::DateTime<chrono::Utc>>().ok());
        last.is_some_and(|at| (now - at).num_days() < 40)
    };
    let receiver = truth.users.iter().find(|user| {
        user.role == "user"
            && user.status == "active"
            && !user.is_platform_access_only
            && is_at_work(&user.user_id)
    });
    let user_id = receiver.expect("a user works").user_id.clone();
    let body = json!({"space_amount": -1});
    simulator.act(&Act::EditUser { user_id: user_id.clone(), body, announced: true });
    user_id
}
