//! `boxseat offboard LOGIN --transfer-to LOGIN`: one user who leaves (R19).
//!
//! It makes a plan for this one user. Where the policy requires only the user of the operating system, repeating the login approves
//! it. With `[approval]` signed, two_person or several approvers the plan waits for `reclaim approve`, and nothing is done before.
//! An approved plan is applied at once or, with `--on`, by `reclaim nightly` on that day. Suspending and signing out come first,
//! even when the content cannot move yet. `nightly` tries every waiting step again until the plan's last day. The same plan deletes
//! the account once it is proved empty, and only if a policy says who is under legal hold: without a policy the account might have
//! to be kept.

use std::io::{BufRead, IsTerminal};

use boxseat_reclaim::engine::leaver_plan::{Accounts, Leaving, gives_way, group_names};
use boxseat_reclaim::engine::{admit, apply};
use boxseat_reclaim::journal::approval::{Required, terms};
use boxseat_reclaim::journal::operator::{OsUserCounts, operators_needed};
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::signature::NAMESPACE;
use boxseat_reclaim::journal::state::JournalState;
use boxseat_reclaim::rules::offboarding::of_plan;
use boxseat_reclaim::rules::snapshot::Person;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_schemas::reclaim::{Action, ApprovalTerms, Plan, Record};
use serde_json::{Value, json};

use super::reclaim::{env, exit_code_of, show_applied, task};
use crate::cli::{Format, Global, OffboardArgs};
use crate::error::CommandError;
use crate::printer::Printer;
use crate::reclaim_context::apply_context::ApplyContext;
use crate::stop::Stop;

pub(crate) async fn run(global: &Global, args: &OffboardArgs, printer: &Printer) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let acting = ApplyContext::open(global, args.policy.as_deref())?;
    let now = (acting.clock)();
    if args.on.is_some_and(|day| day < now.date_naive()) {
        return Err(CommandError::usage(format!("--on {} is over", args.on.unwrap_or_default())));
    }
    let snapshot = acting.context.snapshot()?;
    let person = find(&snapshot, &args.login)?;
    let receiver = find(&snapshot, &args.transfer_to)
        .map_err(|e| e.hint("--transfer-to names the receiver of the content: choose an active user"))?;
    if person.user_id == receiver.user_id {
        return Err(CommandError::usage("the leaving user and the receiver are the same account"));
    }
    let mut journal = if args.yes { acting.context.journal_to_write()? } else { acting.context.journal()? };
    let gives_way = gives_way(journal.past(), person, &acting.by)?;
    let connection = acting.connect(&stop)?;
    let leaving = Leaving {
        policy: acting.policy.as_ref(),
        snapshot: &snapshot,
        past: &journal.past().clone(),
        inputs: &acting.inputs,
        person,
        receiver,
        login: &args.login,
        transfer_to: &args.transfer_to,
        on: args.on,
        ticket: args.ticket.as_deref(),
        by: &acting.by,
        now,
    };
    let looked = leaving.look(&connection.actor).await?;
    within_cap(&acting, journal.past(), args, person)?;
    let approval = acting.policy.as_ref().map(|policy| terms(&policy.approval)).transpose()?;
    let approval = approval.unwrap_or_else(ApprovalTerms::os_user);
    let operators = operators_needed(approval.is_two_person, approval.approvers);
    OsUserCounts::of(operators, approval.is_signed()).check_namespace()?;
    let plan = Plan { approval: Some(approval), ..leaving.plan(&looked) };
    // A program that requests JSON gets one document: with --yes, the result.
    if !args.yes || printer.format() != Format::Json {
        summary(printer, &snapshot, args, &plan, &looked)?;
    }
    if !args.yes {
        printer.note("Nothing was done. With --yes the user is offboarded, after the login is repeated.");
        return Ok(0);
    }
    confirm(args, printer)?;
    for record in gives_way {
        journal.append(now, record)?;
    }
    let file = PlanFile::create(acting.context.store.root(), plan)?;
    journal.append(now, file.record())?;
    let required = acting.required(&file.plan)?;
    if !required.is_given_by_planner() {
        acting.commit_actions(&journal);
        return waits_for_approval(printer, &file, &required);
    }
    let approved = Record::Approved {
        plan_id: file.plan.plan_id.clone(),
        digest: file.digest.clone(),
        by: acting.by.clone(),
        signed_by: None,
        signature: None,
    };
    journal.append(now, approved)?;
    if let Some(day) = args.on.filter(|day| *day > now.date_naive()) {
        acting.commit_actions(&journal);
        let id = &file.plan.plan_id;
        printer.note(format!(
            "Plan {id}: `boxseat reclaim nightly` applies it on {day}, after it has read the account again."
        ));
        return Ok(0);
    }
    admit(&file, journal.past(), &required, &snapshot, acting.context.store.id(), now)?;
    let mark = acting.mark(&snapshot)?;
    let applied =
        apply(task(&acting, &file, &snapshot, mark.as_ref()), env(&acting, &connection), &mut journal).await;
    acting.commit_actions(&journal);
    let applied = applied?;
    show_applied(printer, "offboard", &file.plan, &applied, &journal)?;
    for progress in of_plan(journal.past(), &file.plan, &[], (acting.clock)()) {
        printer.note(format!("{}: {}", progress.login, progress.steps()));
    }
    if let Some(e) = &applied.stopped {
        printer.error(e);
    }
    Ok(exit_code_of(&applied))
}

/// R19: how many users may be offboarded on one day (UTC), open plans included.
fn within_cap(
    acting: &ApplyContext,
    past: &JournalState,
    args: &OffboardArgs,
    person: &Person,
) -> Result<(), CommandError> {
    let day = args.on.unwrap_or_else(|| (acting.clock)().date_naive());
    let (users, most) = (past.offboarded_on(day), acting.context.settings.leavers_per_day);
    if users.contains(person.user_id.as_str()) || users.len() < most {
        return Ok(());
    }
    Err(CommandError::refused(format!(
        "{} users are offboarded on {day}, and [offboard] people_per_day = {most}",
        users.len()
    ))
    .hint("choose another day by --on, or raise people_per_day in boxseat.toml"))
}

/// R9, R19: what an operator must do before the user is changed.
fn waits_for_approval(printer: &Printer, file: &PlanFile, required: &Required) -> Result<u8, CommandError> {
    let (id, path) = (&file.plan.plan_id, file.path.display().to_string());
    printer.facts(
        "offboard",
        &[
            ("plan", json!(id)),
            ("state", json!("waits for approval")),
            ("file", json!(path)),
            ("approve", json!(required.command(id))),
            ("approvals_needed", json!(required.approvers())),
        ],
    )?;
    if required.is_signed() {
        printer.note(format!("To sign it: ssh-keygen -Y sign -n {NAMESPACE} -f KEY {path}"));
    }
    printer.note(format!(
        "Nothing was done. After the approval `boxseat reclaim apply {id} --yes` or `boxseat reclaim nightly` applies the plan."
    ));
    Ok(0)
}

/// The user that has the login in the latest snapshot; no other user is meant.
fn find<'a>(snapshot: &'a Snapshot, login: &str) -> Result<&'a Person, CommandError> {
    let mut found = snapshot.people.values().filter(|person| {
        person.listing.is_some()
            && person.login.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(login))
    });
    match (found.next(), found.next()) {
        (Some(person), None) => Ok(person),
        (None, _) => Err(unknown(snapshot, login)),
        (Some(_), Some(_)) => Err(CommandError::refused(format!("two accounts have the login {login}"))),
    }
}

/// No account of the latest snapshot has the login.
fn unknown(snapshot: &Snapshot, login: &str) -> CommandError {
    let date = snapshot.night.snapshot_date;
    let has = |known: &str| known.eq_ignore_ascii_case(login);
    let had = |person: &&Person| person.former_addresses.iter().any(|address| has(address));
    let listed = |person: &&Person| person.listing.is_some();
    let people = || snapshot.people.values();
    if people().any(|person| person.listing.is_none() && person.login.as_deref().is_some_and(has)) {
        return CommandError::usage(format!(
            "the account {login} is gone: the snapshot of {date} does not have it"
        ))
        .hint("the seat of this account is free");
    }
    if let Some(person) = people().filter(listed).find(had) {
        return CommandError::usage(format!(
            "{login} was an earlier address of the account that has the login {}",
            person.called()
        ))
        .hint("name the present login, if this is the user who leaves");
    }
    if people().filter(listed).any(|person| person.aliases.iter().any(|alias| has(alias))) {
        return CommandError::usage(format!("{login} is an alias, not a login"))
            .hint("name the login of the account");
    }
    CommandError::usage(format!("no account of the snapshot of {date} has the login {login}")).hint(
        "write the whole login; an account that was created later is known after the next `boxseat sync`",
    )
}

/// For the ticket: what the user has, and what becomes unavailable.
fn summary(
    printer: &Printer,
    snapshot: &Snapshot,
    args: &OffboardArgs,
    plan: &Plan,
    looked: &Accounts,
) -> Result<(), CommandError> {
    let planned = &plan.people[0];
    let list = |values: &[String]| if values.is_empty() { Value::Null } else { json!(values.join(", ")) };
    let is_left = |action: &&Action| looked.moved.is_none() || **action != Action::Transfer;
    let actions: Vec<&str> = planned.actions.iter().filter(is_left).map(|action| action.as_str()).collect();
    printer.facts(
        "offboard",
        &[
            ("login", json!(planned.login)),
            ("user_id", json!(planned.user_id)),
            ("name", json!(planned.name)),
            ("status", json!(looked.now.standing.status)),
            ("last_active", json!(planned.last_activity_at.map(|at| at.format("%F %H:%M UTC").to_string()))),
            ("receiver", json!(planned.receiver_login)),
            ("on", json!(args.on.map_or_else(|| "at once".to_owned(), |day| day.to_string()))),
            ("does", json!(actions.join(", "))),
            ("groups", list(&group_names(snapshot, &looked.now.standing.group_ids))),
            ("aliases", list(&looked.now.standing.aliases)),
            ("owned_items", json!(looked.content.owned_items)),
            ("shared_items", json!(looked.content.shared_items)),
            ("space_used_bytes", json!(looked.content.space_used_bytes)),
            ("monthly_cost", json!(planned.monthly_cost)),
            ("ticket", json!(args.ticket)),
        ],
    )?;
    for warning in &plan.warnings {
        printer.note(format!("- {warning}"));
    }
    Ok(())
}

/// R19: the login once more, typed or given as a flag.
fn confirm(args: &OffboardArgs, printer: &Printer) -> Result<(), CommandError> {
    let said = match &args.confirm {
        Some(said) => said.clone(),
        None if std::io::stdin().is_terminal() => {
            printer.note(format!("Type the login {} to confirm:", args.login));
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|e| CommandError::failed("cannot read the confirmation", e))?;
            line.trim().to_owned()
        }
        None => {
            return Err(CommandError::usage("the login must be repeated")
                .hint(format!("without a terminal: --yes --confirm {}", args.login)));
        }
    };
    if said.eq_ignore_ascii_case(&args.login) {
        return Ok(());
    }
    Err(CommandError::usage(format!("{said:?} is not {}: nothing was done", args.login)))
}
