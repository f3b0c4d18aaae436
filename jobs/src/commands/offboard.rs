//! `boxseat offboard LOGIN --transfer-to LOGIN`: one person who leaves (R19).
//!
//! It makes a plan of that one person. Where the policy wants no more than the user of the operating system, repeating the login
//! approves it; with `[approval]` signed, two_person or several approvers the plan waits for `reclaim approve`, and nothing is done
//! before. An approved plan is applied at once or, with `--on`, by `reclaim nightly` on that day. Suspending and signing out come first, even when the content cannot move yet; whatever
//! waits is tried again every night until the plan's last day. The account is deleted by the same plan once it is proved empty,
//! and only if a policy says who is under legal hold: without one nobody has said that the account may go.

use std::io::{BufRead, IsTerminal};

use boxseat_pipeline::client::Found;
use boxseat_schemas::reclaim::plan::{Origin, PLAN_FORMAT, PlannedPerson};
use boxseat_schemas::reclaim::{Ability, Action, ApprovalTerms, Plan, Record, Stage};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::reclaim::{hands, show_applied, task};
use crate::cli::{Format, Global, OffboardArgs};
use crate::error::CommandError;
use crate::printer::Printer;
use crate::reclaim::Ground;
use crate::reclaim::apply::{Canaries, Content, Now, admit, apply, fresh, reread, unfit};
use crate::reclaim::approval::{Required, terms};
use crate::reclaim::ground::Person;
use crate::reclaim::offboarding::{forbids, is_locked_out, leavers};
use crate::reclaim::past::Past;
use crate::reclaim::plan::{actions, name};
use crate::reclaim::plans::PlanFile;
use crate::reclaim::policy::Policy;
use crate::reclaim::session::{Connection, Session};
use crate::reclaim::signature::NAMESPACE;
use crate::stop::Stop;

pub(crate) async fn run(global: &Global, args: &OffboardArgs, printer: &Printer) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let session = Session::open(global, args.policy.as_deref())?;
    let now = (session.clock)();
    if args.on.is_some_and(|day| day < now.date_naive()) {
        return Err(CommandError::usage(format!("--on {} is over", args.on.unwrap_or_default())));
    }
    let ground = session.desk.ground()?;
    let person = find(&ground, &args.login)?;
    let receiver = find(&ground, &args.transfer_to)?;
    if person.user_id == receiver.user_id {
        return Err(CommandError::usage("whoever leaves cannot receive the own content"));
    }
    let mut journal = if args.yes { session.desk.journal_to_write()? } else { session.desk.journal()? };
    let gives_way = gives_way(&session, journal.past(), person)?;
    let connection = session.connect(&stop)?;
    let looked = look(&session, &connection, &ground, journal.past(), args, person, receiver).await?;
    within_cap(&session, journal.past(), args, person)?;
    let approval = session.policy.as_ref().map(|policy| terms(&policy.approval)).transpose()?;
    let approval = approval.unwrap_or_else(ApprovalTerms::os_user);
    let plan = Plan { approval: Some(approval), ..plan(&session, &ground, args, person, receiver, &looked) };
    let plan = named(plan);
    // A program that asks for JSON gets one document: with --yes, what was done.
    if !args.yes || printer.format() != Format::Json {
        summary(printer, &ground, args, &plan, &looked)?;
    }
    if !args.yes {
        printer.note("Nothing was done. With --yes it is, after the login is repeated.");
        return Ok(0);
    }
    confirm(args, printer)?;
    for record in gives_way {
        journal.append(now, record)?;
    }
    let file = PlanFile::create(session.desk.store.root(), plan)?;
    journal.append(now, file.record())?;
    let required = session.required(&file.plan)?;
    if !required.is_given_by_planner() {
        session.commit_actions(&journal);
        return waits_for_approval(printer, &file, &required);
    }
    let approved = Record::Approved {
        plan_id: file.plan.plan_id.clone(),
        digest: file.digest.clone(),
        by: session.by.clone(),
        signed_by: None,
        signature: None,
    };
    journal.append(now, approved)?;
    if let Some(day) = args.on.filter(|day| *day > now.date_naive()) {
        session.commit_actions(&journal);
        let id = &file.plan.plan_id;
        printer.note(format!("Plan {id}: `boxseat reclaim nightly` does it on {day}, after looking again."));
        return Ok(0);
    }
    admit(&file, journal.past(), &required, &ground, session.desk.store.id(), now)?;
    let mark = session.mark(&ground)?;
    let applied =
        apply(task(&session, &file, &ground, mark.as_ref()), hands(&session, &connection), &mut journal)
            .await;
    session.commit_actions(&journal);
    let applied = applied?;
    show_applied(printer, "offboard", &file.plan, &applied, &journal)?;
    for progress in leavers(journal.past(), &file.plan, ground.night.now_at, (session.clock)()) {
        printer.note(format!("{}: {}", progress.login, progress.steps()));
    }
    if let Some(e) = &applied.stopped {
        printer.error(e);
    }
    Ok(applied.exit_code())
}

/// R8, R19: open plans never keep a leaver signed in. A plan of the policy is done with the user. An earlier offboarding is withdrawn if
/// the user is locked out and the content has not begun to move: the new one may name another receiver.
///
/// *Killed* before the new plan: the user is in no open plan, and the same command makes one.
fn gives_way(session: &Session, past: &Past, person: &Person) -> Result<Vec<Record>, CommandError> {
    let user_id = &person.user_id;
    let mut records = Vec::new();
    for (id, plan) in past.open_plans().filter(|(_, plan)| plan.user_ids.contains(user_id)) {
        let known = past.people.get(user_id);
        if known.is_some_and(|known| known.final_skip(id).is_some()) {
            continue;
        }
        let plan_id = id.to_owned();
        let is_unfinished =
            known.is_some_and(|known| known.attempts.iter().any(|attempt| attempt.is_unfinished()));
        let waits_for_content =
            known.is_some_and(|known| known.suspension_by(id).is_some() && known.transfer().is_none());
        let done = |action: &Action| {
            known.is_some_and(|known| {
                known.by_plan(id).any(|past| past.attempt.action == *action && past.was_done)
            })
        };
        match plan.policy_digest {
            _ if is_unfinished => {
                return Err(CommandError::refused(format!(
                    "the outcome of an action on {} by plan {id} is not known yet",
                    person.called()
                ))
                .hint("run `boxseat reclaim nightly`, which reads it"));
            }
            None if waits_for_content => {
                let (because, by) = ("withdrawn".to_owned(), Some(session.by.clone()));
                records.push(Record::PlanClosed { plan_id, because, by });
            }
            None => {
                return Err(CommandError::refused(format!(
                    "{} is in the offboarding plan {id}, which is open",
                    person.called()
                ))
                .hint(format!(
                    "`boxseat reclaim apply {id} --yes` continues it; `boxseat reclaim undo {id} --yes` takes it back"
                )));
            }
            Some(_) if actions(plan.stage).iter().all(done) => {}
            Some(_) => records.push(Record::Skipped {
                plan_id,
                user_id: user_id.clone(),
                reason: "offboarded".to_owned(),
                detail: "the user is offboarded by a plan of its own".to_owned(),
                is_final: true,
                used_at: None,
            }),
        }
    }
    Ok(records)
}

/// R19: how many users may be offboarded on one day (UTC), open plans included.
fn within_cap(
    session: &Session,
    past: &Past,
    args: &OffboardArgs,
    person: &Person,
) -> Result<(), CommandError> {
    let day = args.on.unwrap_or_else(|| (session.clock)().date_naive());
    let (users, most) = (past.offboarded_on(day), session.desk.settings.leavers_per_day);
    if users.contains(person.user_id.as_str()) || users.len() < most {
        return Ok(());
    }
    Err(CommandError::refused(format!(
        "{} users are offboarded on {day}, and [offboard] people_per_day = {most}",
        users.len()
    ))
    .hint("choose another day by --on, or raise people_per_day in boxseat.toml"))
}

/// R9, R19: what is left to do before anything happens to the user.
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
        "Nothing was done. After the approval `boxseat reclaim apply {id} --yes` does it, and so does `boxseat reclaim nightly`."
    ));
    Ok(0)
}

/// Whoever has a login on the night; nobody else is meant by it.
fn find<'a>(ground: &'a Ground, login: &str) -> Result<&'a Person, CommandError> {
    let mut found = ground.people.values().filter(|person| {
        person.listing.is_some()
            && person.login.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(login))
    });
    match (found.next(), found.next()) {
        (Some(person), None) => Ok(person),
        (None, _) => Err(CommandError::usage(format!(
            "nobody on the night of {} has the login {login}",
            ground.night.snapshot_date
        ))
        .hint("the login must be the whole one; somebody new is known after the next `boxseat sync`")),
        (Some(_), Some(_)) => Err(CommandError::refused(format!("two accounts have the login {login}"))),
    }
}

/// What Box says at this moment.
struct Looked {
    now: Now,
    content: Content,
    /// Whether an earlier plan has suspended the account and ended its sessions.
    is_locked_out_by_us: bool,
    /// Why nothing can move to the receiver yet.
    receiver_waits: Option<String>,
}

async fn look(
    session: &Session,
    connection: &Connection,
    ground: &Ground,
    past: &Past,
    args: &OffboardArgs,
    person: &Person,
    receiver: &Person,
) -> Result<Looked, CommandError> {
    let actor = &connection.actor;
    let code_names = session.policy.as_ref().map(Policy::code_names).unwrap_or_default();
    let now = match reread(actor, &person.user_id, &code_names).await? {
        Found::Is(now) => now,
        Found::Gone => return Err(CommandError::refused("Box answers 404: the account is gone already")),
        Found::Closed(refusal) => {
            return Err(CommandError::refused(format!("the account cannot be read: {refusal}")));
        }
    };
    is_still(&args.login, now.standing.login.as_deref())?;
    let policy = session.policy.as_ref();
    forbids(&fresh(Some(person), &now), policy, ground, past, &session.beside, (session.clock)())
        .map_err(|no| CommandError::refused(format!("{}: {}: {}", no.rule, no.word, no.detail)))?;
    // R19: a receiver that cannot receive now never keeps the leaver signed in: the content waits.
    let receiver_waits = match actor.user(&receiver.user_id).await {
        Ok(Found::Is(user)) => {
            is_still(&args.transfer_to, user.login.as_deref())?;
            unfit(&user, &ground.enterprise_id, now.user.space_used)
        }
        Ok(Found::Gone) => Some("is gone: Box answered 404".to_owned()),
        Ok(Found::Closed(refusal)) => Some(format!("cannot be read: {refusal}")),
        Err(e) => Some(format!("cannot be read: {}", passing(e.into())?)),
    };
    let space_used_bytes = now.user.space_used;
    let allows = past.allows(Ability::ReadInactive, (session.clock)());
    let content = match Content::of(actor, &now.user, allows, &Canaries::of(ground, &[])).await {
        Ok(reading) => reading.content,
        Err(e) => {
            tracing::warn!("the content cannot be counted: {}", passing(e)?);
            Content { owned_items: None, shared_items: None, space_used_bytes }
        }
    };
    let is_locked_out_by_us = past.people.get(&person.user_id).is_some_and(is_locked_out);
    Ok(Looked { now, content, is_locked_out_by_us, receiver_waits })
}

/// A failure of one read, as a sentence. R19: it keeps no leaver signed in.
///
/// # Errors
/// A failure of the machine, and an interruption.
fn passing(error: CommandError) -> Result<String, CommandError> {
    if error.is_external_failure() { Err(error) } else { Ok(error.lines().join(": ")) }
}

/// R19: the night said whose login it is; since then it may have become somebody else's.
fn is_still(login: &str, now: Option<&str>) -> Result<(), CommandError> {
    if now.is_some_and(|now| now.to_lowercase() == login.to_lowercase()) {
        return Ok(());
    }
    let now = now.unwrap_or("none");
    Err(CommandError::refused(format!("the account that had the login {login} has the login {now} by now"))
        .hint("run `boxseat sync`, then say whom you mean"))
}

fn plan(
    session: &Session,
    ground: &Ground,
    args: &OffboardArgs,
    person: &Person,
    receiver: &Person,
    looked: &Looked,
) -> Plan {
    let now = (session.clock)();
    let standing = &looked.now.standing;
    let deletes = session.policy.as_ref().is_some_and(|policy| policy.holds.is_some());
    // An account that boxseat has locked out before stays the earlier plan's to give back.
    let is_locked_out = standing.status.as_deref() == Some("inactive") && looked.is_locked_out_by_us;
    let lockout = [Action::Suspend, Action::TerminateSessions];
    let mut actions: Vec<Action> = lockout.into_iter().filter(|_| !is_locked_out).collect();
    actions.push(Action::Transfer);
    if deletes {
        actions.push(Action::Delete);
    }
    let folders = if looked.now.user.keeps_folders_open() {
        "folders that others work in stay open to them while the account is inactive, as Box says now"
    } else {
        "folders that others work in are closed for them from the suspension until the content has moved"
    };
    let mut warnings = vec![
        folders.to_owned(),
        "collaborations on single files move along, and go when the account is deleted".to_owned(),
        "workflows move only if the receiver has Box Relay".to_owned(),
        "remove the assignment at the identity provider first, or it makes the account again".to_owned(),
    ];
    if !deletes {
        warnings
            .push("the account is not deleted by this: no policy says who is under legal hold".to_owned());
    }
    if let Some(why) = &looked.receiver_waits {
        warnings.push(format!(
            "the content waits: the receiver {} {why}; running `boxseat offboard` again can name another",
            receiver.called()
        ));
    }
    let begins_at = args.on.map_or(now, |day| day.and_time(chrono::NaiveTime::MIN).and_utc().max(now));
    Plan {
        format: PLAN_FORMAT,
        plan_id: String::new(),
        store_id: ground.store_id,
        enterprise_id: ground.enterprise_id.clone(),
        night: ground.night.clone(),
        created_at: now,
        expires_at: begins_at
            + session.policy.as_ref().map_or(TimeDelta::hours(168), |policy| policy.plan_max_age),
        planned_by: session.by.clone(),
        origin: Origin::Offboard { on: args.on },
        stage: if deletes { Stage::Delete } else { Stage::Transfer },
        approval: None,
        ticket: args.ticket.clone(),
        evidence_sources: Vec::new(),
        warnings,
        people: vec![PlannedPerson {
            user_id: person.user_id.clone(),
            login: standing.login.clone().unwrap_or_default(),
            name: looked.now.user.name.clone(),
            actions,
            baseline: standing.clone(),
            sentence: format!("{} leaves, and {} receives the content", person.called(), receiver.called()),
            last_activity_at: person.last_activity_at,
            last_activity_source: person.last_activity_source.clone(),
            proven_idle_days: person.proven_idle_days,
            suspended_at: None,
            groups: group_names(ground, &standing.group_ids),
            space_used_bytes: looked.content.space_used_bytes,
            owned_items: looked.content.owned_items,
            shared_items: looked.content.shared_items,
            receiver_user_id: Some(receiver.user_id.clone()),
            receiver_login: receiver.login.clone(),
            monthly_cost: person.monthly_cost.map(|cost| cost.to_string()),
            currency: person.currency.clone(),
            warnings: Vec::new(),
        }],
        left_out: Vec::new(),
    }
}

fn named(plan: Plan) -> Plan {
    Plan { plan_id: name(&plan).replacen(plan.stage.as_str(), "offboard", 1), ..plan }
}

fn group_names(ground: &Ground, ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| ground.groups.get(id).unwrap_or(id).clone()).collect()
}

/// For the ticket: what the person has, and what goes meanwhile.
fn summary(
    printer: &Printer,
    ground: &Ground,
    args: &OffboardArgs,
    plan: &Plan,
    looked: &Looked,
) -> Result<(), CommandError> {
    let planned = &plan.people[0];
    let list = |values: &[String]| if values.is_empty() { Value::Null } else { json!(values.join(", ")) };
    let actions: Vec<&str> = planned.actions.iter().map(|action| action.as_str()).collect();
    printer.facts(
        "offboard",
        &[
            ("login", json!(planned.login)),
            ("user_id", json!(planned.user_id)),
            ("name", json!(planned.name)),
            ("status", json!(looked.now.standing.status)),
            ("receiver", json!(planned.receiver_login)),
            ("on", json!(args.on.map_or_else(|| "at once".to_owned(), |day| day.to_string()))),
            ("does", json!(actions.join(", "))),
            ("groups", list(&group_names(ground, &looked.now.standing.group_ids))),
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

/// R19: the login once more, typed or given.
fn confirm(args: &OffboardArgs, printer: &Printer) -> Result<(), CommandError> {
    let said = match &args.confirm {
        Some(said) => said.clone(),
        None if std::io::stdin().is_terminal() => {
            printer.note(format!("Type the login {} to do it:", args.login));
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
