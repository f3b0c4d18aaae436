//! `boxseat reclaim confirm USER --i-have-checked TEXT`: an operator confirms that the content of a user has arrived (R15).

use std::path::Path;

use boxseat_pipeline::client::Found;
use boxseat_reclaim::engine::{Canaries, Content};
use boxseat_reclaim::journal::approval::terms;
use boxseat_reclaim::journal::operator::{OsUserCounts, operators_needed};
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::state::{ActionState, JournalState};
use boxseat_reclaim::rules::confirmation::{operators, to_confirm};
use boxseat_reclaim::rules::emptiness::APART;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_schemas::reclaim::{Ability, Record};
use serde_json::json;

use super::head;
use crate::cli::{ConfirmArgs, Global};
use crate::error::CommandError;
use crate::on_runtime;
use crate::printer::Printer;
use crate::reclaim_context::apply_context::ApplyContext;
use crate::stop::Stop;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ConfirmArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    if !args.i_have_checked.contains(char::is_alphanumeric) {
        return Err(CommandError::usage("--i-have-checked is empty")
            .hint("state what was checked in Box, for example where the content is now"));
    }
    on_runtime(confirm(global, policy, args, printer))
}

async fn confirm(
    global: &Global,
    policy: Option<&Path>,
    args: &ConfirmArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let acting = ApplyContext::open(global, policy)?;
    let snapshot = acting.context.snapshot()?;
    let mut journal = acting.context.journal_to_write()?;
    let user_id = find(&snapshot, journal.past(), &args.user)?;
    let transfer = to_confirm(journal.past(), &user_id, &args.user, (acting.clock)())?;
    let connection = acting.connect(&stop)?;
    let refused = |what: String| CommandError::refused(format!("{}: {what}", args.user));
    let user = match connection.actor.user(&user_id).await? {
        Found::Is(user) => user,
        Found::Gone => return Err(refused("Box answers 404: the account is gone".to_owned())),
        Found::Closed(refusal) => return Err(refused(format!("the account cannot be read: {refusal}"))),
    };
    let allows = journal.past().allows(Ability::ReadInactive, (acting.clock)());
    let canaries = Canaries::of(&snapshot, &[]);
    let content = Content::of(&connection.actor, &user, allows, &canaries).await?.content;
    if let Some(items) = content.owned_items.filter(|items| *items > 0) {
        return Err(refused(format!("{items} items are still in the account"))
            .hint("move them to the receiver in the Box console, then confirm"));
    }
    let Some(space_used_bytes) = content.space_used_bytes else {
        return Err(refused("Box does not say how many bytes the account holds".to_owned()));
    };
    let needed = needed(&acting, journal.past(), &transfer)?;
    // Confirmations are by users of the operating system, also where approvals are signed.
    OsUserCounts::of(needed, false).check_namespace()?;
    let now = (acting.clock)();
    journal.append(
        now,
        Record::ContentConfirmed {
            user_id: user_id.clone(),
            action_id: transfer.attempt.action_id.clone(),
            statement: args.i_have_checked.trim().to_owned(),
            by: acting.by.clone(),
            operators_needed: needed,
            owned_items: content.owned_items,
            space_used_bytes,
        },
    )?;
    acting.commit_actions(&journal);
    let known = &journal.past().people[&user_id];
    let action_id = transfer.attempt.action_id.as_str();
    let confirmed_by = operators(known.confirmations.iter().filter(|one| one.action_id == action_id));
    let person = snapshot.person(&user_id);
    printer.facts(
        "confirm",
        &[
            ("user_id", json!(user_id)),
            ("login", json!(user.login)),
            ("name", json!(person.and_then(|person| person.name.clone()))),
            ("receiver_user_id", json!(transfer.attempt.receiver_user_id)),
            ("transferred_at", json!(transfer.asked_at)),
            ("destination_folder_id", json!(transfer.destination_folder_id)),
            ("owned_items", json!(content.owned_items)),
            ("space_used_bytes", json!(space_used_bytes)),
            ("confirmed_by", json!(confirmed_by)),
            ("operators_needed", json!(needed)),
        ],
    )?;
    if space_used_bytes > 0 {
        printer.note(format!(
            "{space_used_bytes} bytes are still in use. Box refuses the deletion while the account owns content; the trash does not count."
        ));
    }
    if known.confirmation(action_id).is_some() {
        printer.note(format!(
            "`boxseat reclaim nightly` reads the account again from {} on. If it holds no more than now, the proof is complete: an offboarding deletes the account by its plan, and for the policy `nightly` makes a plan, which needs an approval.",
            (now + APART).format("%F %H:%M UTC")
        ));
    } else {
        printer.note(format!(
            "The policy requires {needed} different operators: another operator must confirm, too."
        ));
    }
    printer.note(head(&journal));
    Ok(0)
}

/// The user that the argument names: an id, or a login as the latest snapshot has it. A login that an account had earlier is not
/// used, because it may belong to another account now.
fn find(snapshot: &Snapshot, past: &JournalState, user: &str) -> Result<String, CommandError> {
    if past.people.contains_key(user) {
        return Ok(user.to_owned());
    }
    let mut found = snapshot.people.values().filter(|person| {
        person.listing.is_some()
            && person.login.as_deref().is_some_and(|login| login.eq_ignore_ascii_case(user))
    });
    match (found.next(), found.next()) {
        (Some(person), None) if past.people.contains_key(&person.user_id) => Ok(person.user_id.clone()),
        (Some(_), None) => Err(CommandError::usage(format!("boxseat has not changed {user}"))),
        (Some(_), Some(_)) => Err(CommandError::refused(format!("two accounts have the login {user}"))
            .hint("name the account by its Box id; `boxseat reclaim status` shows it")),
        (None, _) => Err(CommandError::usage(format!("no account has the login or the id {user}"))
            .hint("`boxseat reclaim status` lists the users who need an operator")),
    }
}

/// How many operators the plan of the transfer and the configured policy require. A plan that the journal knows must be there unchanged,
/// because without it fewer operators might do.
fn needed(acting: &ApplyContext, past: &JournalState, transfer: &ActionState) -> Result<u32, CommandError> {
    let policy = acting.policy.as_ref();
    let configured = policy.map(|policy| terms(&policy.approval)).transpose()?;
    let (store, plan_id) = (&acting.context.store, &transfer.attempt.plan_id);
    let pinned = match past.plans.get(plan_id) {
        // An action that `reclaim adopt` has taken in.
        None => None,
        Some(_) => {
            let file = PlanFile::open(store.root(), plan_id)?;
            file.owned(store.id(), store.enterprise_id(), past)?;
            file.plan.approval
        }
    };
    Ok([configured, pinned]
        .iter()
        .flatten()
        .map(|terms| operators_needed(terms.is_two_person, terms.approvers))
        .max()
        .unwrap_or(1))
}
