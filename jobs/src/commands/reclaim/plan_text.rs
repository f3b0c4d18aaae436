//! Shows a plan to the approver: on a terminal, as JSON, and as Markdown for a ticket.
//!
//! Users choose their names, which may contain any character: cursor controls and line breaks are shown as their codes, and
//! Markdown shows every character literally.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use boxseat_reclaim::journal::state::{JournalState, PlanState};
use boxseat_reclaim::rules::figures::{amount, moment, people, size};
use boxseat_schemas::Money;
use boxseat_schemas::reclaim::plan::{LeftOut, Origin, Plan, PlannedPerson};
use boxseat_schemas::reclaim::{ApprovalTerms, Outcome, ReasonCode, Recorded};
use boxseat_schemas::text::visible;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
/// What is shown about a plan in addition to its content.
pub(super) struct Standing<'a> {
    /// `open, not approved`, `approved by …`, `closed: …`, or why the file cannot be used as a plan.
    pub(super) state: String,
    /// Its costs.
    pub(super) totals: Totals,
    /// What the plan did so far, one sentence by user id; users without an action are absent.
    pub(super) results: BTreeMap<String, String>,
    /// The digest of its file.
    pub(super) digest: &'a str,
}

/// R20: potential savings, freed seats, and savings realised by a renewal. They are never added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Totals {
    /// Monthly cost of the seats of all users in it, by currency, in ten-thousandths.
    pub(super) potential: BTreeMap<String, i64>,
    /// Of them, those whose account is deleted and has not come back.
    pub(super) freed: BTreeMap<String, i64>,
    /// Of those, the seats freed before a past renewal.
    pub(super) realised: BTreeMap<String, i64>,
    /// Users whose seat has no known price.
    pub(super) without_cost: usize,
    /// Users in it.
    pub(super) people: usize,
    /// Users whose account is deleted and has not come back, with or without a price.
    pub(super) seats_freed: usize,
}

impl Totals {
    /// Adds up what the journal says about a plan's users.
    pub(super) fn of(plan: &Plan, past: &JournalState, renewals: &[NaiveDate], now: DateTime<Utc>) -> Self {
        let mut totals = Self { people: plan.people.len(), ..Self::default() };
        for person in &plan.people {
            let deletion = past.people.get(&person.user_id).and_then(|past| past.freed());
            totals.seats_freed += usize::from(deletion.is_some());
            let cost = person.monthly_cost.as_deref().and_then(|cost| cost.parse::<Money>().ok());
            let Some((cost, currency)) = cost.zip(person.currency.as_ref()) else {
                totals.without_cost += 1;
                continue;
            };
            let add = |sums: &mut BTreeMap<String, i64>| {
                *sums.entry(currency.clone()).or_default() += cost.ten_thousandths()
            };
            add(&mut totals.potential);
            let Some(at) = deletion.and_then(|deletion| deletion.finished_at) else { continue };
            add(&mut totals.freed);
            if renewals.iter().any(|renewal| *renewal > at.date_naive() && *renewal <= now.date_naive()) {
                add(&mut totals.realised);
            }
        }
        totals
    }
}

/// What a plan did for each user, by the journal: its actions, and why it skipped the user.
pub(super) fn results(plan: &Plan, past: &JournalState) -> BTreeMap<String, String> {
    let of = |planned: &PlannedPerson| {
        let known = past.people.get(&planned.user_id)?;
        let actions = known.by_plan(&plan.plan_id).map(|action| {
            let outcome = action.outcome.map_or("unknown", Outcome::as_str);
            let at = moment(action.finished_at.unwrap_or(action.asked_at));
            let why = action.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            format!("{} {outcome} {at}{why}", action.attempt.action.as_str())
        });
        let skip = known.skips.iter().rfind(|skip| skip.plan_id == plan.plan_id);
        let skip = skip.filter(|skip| !known.is_over(skip));
        let skipped = skip.map(|skip| format!("{} {}: {}", skip.reason, moment(skip.at), skip.detail));
        let all: Vec<String> = actions.chain(skipped).collect();
        (!all.is_empty()).then(|| (planned.user_id.clone(), all.join("; ")))
    };
    plan.people.iter().filter_map(of).collect()
}

/// The state of a plan, in a few words.
pub(super) fn state(known: &PlanState, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if let Some(closed) = &known.closed {
        return format!("closed {}: {}", moment(closed.at), closed.because);
    }
    let approved = match known.approval() {
        None => "not approved".to_owned(),
        Some(approval) => {
            let by = approval.signed_by.as_ref().unwrap_or(&approval.by.os_user);
            format!("approved {} by {by}", moment(approval.at))
        }
    };
    let begun = if known.applies == 0 { "" } else { ", begun" };
    if now >= expires_at { format!("expired, {approved}{begun}") } else { format!("open, {approved}{begun}") }
}

/// At most 80 columns.
pub(super) fn table(plan: &Plan, standing: &Standing<'_>) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, words: String| {
        for row in wrapped(&one_line(&words), WIDTH - indent) {
            let _ = writeln!(text, "{:indent$}{row}", "");
        }
    };
    line(0, format!("Plan {}: {} {}", plan.plan_id, plan.stage.as_str(), people(plan.people.len())));
    line(2, standing.state.clone());
    for fact in facts(plan, standing.digest) {
        line(2, fact);
    }
    for warning in &plan.warnings {
        line(0, format!("! {warning}"));
    }
    for (index, person) in plan.people.iter().enumerate() {
        line(0, format!("{}. {}{}", index + 1, person.login, named(person)));
        line(5, person.sentence.clone());
        line(5, holdings(person));
        if let Some(result) = standing.results.get(&person.user_id) {
            line(5, format!("Result: {result}"));
        }
        for warning in &person.warnings {
            line(5, format!("! {warning}"));
        }
    }
    for total in totals(&standing.totals) {
        line(0, total);
    }
    let left_out = grouped(&plan.left_out);
    if !left_out.is_empty() {
        line(0, format!("Skipped: {}", people(plan.left_out.len())));
        for (reason, count) in left_out {
            line(2, format!("{count} {reason}: {}", reason.meaning()));
        }
        line(2, format!("Each by name: boxseat reclaim show {} --left-out", plan.plan_id));
    }
    text
}

/// The whole plan, with a version on top.
pub(super) fn json(plan: &Plan, standing: &Standing<'_>) -> Value {
    let left_out = grouped(&plan.left_out).into_iter().map(|(reason, count)| (reason.as_str(), count));
    let left_out: BTreeMap<&str, usize> = left_out.collect();
    let sums = |sums: &BTreeMap<String, i64>| -> BTreeMap<String, String> {
        sums.iter().map(|(currency, sum)| (currency.clone(), amount(*sum))).collect()
    };
    let totals = &standing.totals;
    json!({
        "plan": plan,
        "digest": standing.digest,
        "state": standing.state,
        "results": standing.results,
        "left_out_counts": left_out,
        "monthly": {
            "potential": sums(&totals.potential),
            "freed": sums(&totals.freed),
            "realised": sums(&totals.realised),
            "seats_freed": totals.seats_freed,
            "people_without_cost": totals.without_cost,
        },
    })
}

/// For a ticket or a pull request.
pub(super) fn markdown(plan: &Plan, standing: &Standing<'_>) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    line(format!(
        "# Plan {}: {} {}\n",
        escaped(&plan.plan_id),
        plan.stage.as_str(),
        people(plan.people.len())
    ));
    line(format!("- {}", escaped(&standing.state)));
    for fact in facts(plan, standing.digest) {
        line(format!("- {}", escaped(&fact)));
    }
    line(String::new());
    for warning in &plan.warnings {
        line(format!("> {}\n>", escaped(warning)));
    }
    line("\n| | who | why | groups | owns | monthly |\n| --: | --- | --- | --- | --- | --: |".to_owned());
    for (index, person) in plan.people.iter().enumerate() {
        let who = format!("{}{}", escaped(&person.login), escaped(&named(person)));
        let warnings: String =
            person.warnings.iter().map(|warning| format!("<br>**!** {}", escaped(warning))).collect();
        let result = standing.results.get(&person.user_id);
        let result = result.map_or_else(String::new, |result| format!("<br>Result: {}", escaped(result)));
        line(format!(
            "| {} | {who} | {}{warnings}{result} | {} | {} | {} |",
            index + 1,
            escaped(&person.sentence),
            escaped(&groups(person)),
            escaped(&owns(person)),
            escaped(&cost(person)),
        ));
    }
    line(String::new());
    for total in totals(&standing.totals) {
        line(format!("- {}", escaped(&total)));
    }
    if !plan.left_out.is_empty() {
        line(format!("\n## Skipped: {}\n", people(plan.left_out.len())));
        line("| users | why | |\n| --: | --- | --- |".to_owned());
        for (reason, count) in grouped(&plan.left_out) {
            line(format!("| {count} | {} | {} |", escaped(reason.as_str()), escaped(reason.meaning())));
        }
    }
    text
}

fn facts(plan: &Plan, digest: &str) -> Vec<String> {
    let mut facts = vec![
        format!(
            "made {} by {} on {}",
            moment(plan.created_at),
            plan.planned_by.os_user,
            plan.planned_by.host
        ),
        format!(
            "from the snapshot of {} (run {}), times in UTC",
            plan.night.snapshot_date, plan.night.run_number
        ),
        format!("to be applied until {}", moment(plan.expires_at)),
        match &plan.origin {
            Origin::Policy { policy_digest, .. } => format!("by policy {policy_digest}"),
            Origin::Offboard { on: Some(day) } => format!("an operator named this user, for {day}"),
            Origin::Offboard { on: None } => "an operator named this user".to_owned(),
        },
        format!("digest {digest}"),
    ];
    if !plan.evidence_sources.is_empty() {
        facts.push(format!("evidence of use: {}", plan.evidence_sources.join(", ")));
    }
    facts.extend(plan.approval.iter().filter(|terms| **terms != ApprovalTerms::os_user()).map(approval));
    facts.extend(plan.ticket.as_ref().map(|ticket| format!("ticket {ticket}")));
    facts
}

/// R9: the required approval, if it is more than one user of the machine.
fn approval(terms: &ApprovalTerms) -> String {
    let by = match (terms.is_signed(), terms.approvers) {
        (true, count) => format!("{count} of {} allowed signers", terms.signers.len()),
        (false, 1) => "1 user".to_owned(),
        (false, count) => format!("{count} different users"),
    };
    let other = if terms.is_two_person { ", not the user who planned" } else { "" };
    format!("approval by {by}{other} ({})", terms.kind())
}

fn named(person: &PlannedPerson) -> String {
    person.name.as_ref().map(|name| format!(", {name}")).unwrap_or_default()
}

fn holdings(person: &PlannedPerson) -> String {
    let groups = groups(person);
    let groups = if groups.is_empty() { "in no group".to_owned() } else { format!("groups: {groups}") };
    format!("{}; {groups}; {}", owns(person), cost(person))
}

fn owns(person: &PlannedPerson) -> String {
    let bytes = person
        .space_used_bytes
        .map_or_else(|| "owns an unknown amount".to_owned(), |bytes| format!("owns {}", size(bytes)));
    match (person.owned_items, person.shared_items) {
        (Some(owned), Some(shared)) => format!("{bytes}, {owned} items, {shared} of them shared"),
        (Some(owned), None) => format!("{bytes}, {owned} items"),
        _ => bytes,
    }
}

/// The first few: some users are in hundreds of groups.
fn groups(person: &PlannedPerson) -> String {
    let shown = person.groups.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match person.groups.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn cost(person: &PlannedPerson) -> String {
    let cost = person.monthly_cost.as_deref().and_then(|cost| cost.parse::<Money>().ok());
    match cost.zip(person.currency.as_ref()) {
        Some((cost, currency)) => format!("{} {currency} a month", amount(cost.ten_thousandths())),
        None => "no price".to_owned(),
    }
}

fn totals(totals: &Totals) -> Vec<String> {
    let sums = |sums: &BTreeMap<String, i64>| match sums.len() {
        0 => "nothing".to_owned(),
        _ => sums
            .iter()
            .map(|(currency, sum)| format!("{} {currency}", amount(*sum)))
            .collect::<Vec<_>>()
            .join(" and "),
    };
    let freed = format!("Seats of this plan that are free now: {} of {}", totals.seats_freed, totals.people);
    if totals.without_cost == totals.people {
        return vec![freed, "No price is known for these seats: set [[licence]] in boxseat.toml, run `boxseat publish`, and make a new plan".to_owned()];
    }
    let mut lines = vec![
        format!("Possible savings a month, after deletion and renewal: {}", sums(&totals.potential)),
        format!(
            "{freed} ({} a month); saved since a renewal: {}",
            sums(&totals.freed),
            sums(&totals.realised)
        ),
    ];
    if totals.without_cost > 0 {
        lines.push(format!("Without a price: {}", people(totals.without_cost)));
    }
    lines
}

/// Reasons by their number of users.
fn grouped(left_out: &[LeftOut]) -> Vec<(&Recorded<ReasonCode>, usize)> {
    let mut counts: BTreeMap<&str, (&Recorded<ReasonCode>, usize)> = BTreeMap::new();
    for person in left_out {
        counts.entry(person.reason.as_str()).or_insert((&person.reason, 0)).1 += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Text as one line, with control characters shown as codes.
pub(super) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\u{a}")
}

/// Text that Markdown shows literally.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in one_line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' => safe.push_str("&#124;"),
            // An address or a word with @ or :// would become a link or a mention.
            '@' => safe.push_str("&#64;"),
            ':' => safe.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '~' | '$' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Lines of at most this many columns, broken at spaces where possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let columns = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        while columns(&word) > width {
            let (mut taken, mut rest) = (String::new(), String::new());
            for c in word.chars() {
                let fits = rest.is_empty()
                    && columns(&taken) + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) <= width;
                if fits { taken.push(c) } else { rest.push(c) }
            }
            lines.push(taken);
            word = rest;
        }
        line.push_str(&word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use boxseat_reclaim::rules::evaluator::Evaluator;
    use boxseat_reclaim::rules::plan::{Making, make};
    use boxseat_reclaim::rules::snapshot::Person;
    use boxseat_reclaim::testing::{
        idler, inputs, intent, operator, outcome, past, policy, snapshot, snapshot_time,
    };
    use boxseat_schemas::reclaim::{Action, Stage};

    use super::*;

    fn plan(people: Vec<Person>) -> Plan {
        let (policy, inputs, past, snapshot) = (
            policy("evidence = \"activity\"\n[caps]\nseats_percent = 100.0\n"),
            inputs(),
            JournalState::default(),
            snapshot(people),
        );
        let judged =
            Evaluator::new(&policy, &snapshot, &past, &inputs, snapshot_time(), []).unwrap().everybody();
        make(
            Making {
                stage: Stage::Suspend,
                ticket: Some("CHG|7".to_owned()),
                by: operator("jo"),
                now: snapshot_time(),
                policy: &policy,
                approval: &ApprovalTerms::os_user(),
                snapshot: &snapshot,
                inputs: &inputs,
                past: &past,
            },
            &judged,
        )
    }

    fn standing(plan: &Plan) -> Standing<'static> {
        let totals = Totals::of(plan, &JournalState::default(), &[], snapshot_time());
        Standing { state: "open, not approved".to_owned(), totals, results: BTreeMap::new(), digest: "0123" }
    }

    const HOSTILE: &str = "<script>alert(1)</script> | [x](http://evil.test) \u{202e}gnp\u{1b}[2J\n# `rm` **a** @all 日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語";

    /// Why: users choose their names, and a name must not mislead the approver.
    #[test]
    fn a_hostile_name_stays_in_its_cell() {
        let plan = plan(vec![
            Person { name: Some(HOSTILE.to_owned()), ..idler("1") },
            Person { name: Some(HOSTILE.to_owned()), role: Some("admin".to_owned()), ..idler("2") },
        ]);
        let standing = standing(&plan);
        let table = table(&plan, &standing);
        assert!(table.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{table}");
        assert!(
            !table.contains('\u{1b}') && !table.contains('\u{202e}') && table.contains("\\u{202e}gnp"),
            "{table}"
        );
        let page = markdown(&plan, &standing);
        assert!(
            !page.contains("<script>")
                && !page.contains("](http")
                && !page.contains("@all")
                && !page.contains('\u{1b}'),
            "{page}"
        );
        for row in page.lines().filter(|line| line.starts_with("| 1 | u1")) {
            assert_eq!(row.matches('|').count(), 7, "{row}");
        }
        assert!(page.contains("ticket CHG&#124;7"), "{page}");
        let json = json(&plan, &standing);
        assert_eq!(json["plan"]["people"][0]["name"], HOSTILE, "programs get what was typed");
        assert_eq!(json["plan"]["left_out"][0]["name"], HOSTILE);
    }

    #[test]
    fn a_plan_shows_one_sentence_per_user_and_the_sums() {
        let groups =
            Person { group_ids: vec!["g1".to_owned()], space_used_bytes: Some(1_234_000_000), ..idler("1") };
        let plan = plan(vec![
            groups,
            Person { monthly_cost: None, ..idler("2") },
            Person { created_at: None, ..idler("3") },
        ]);
        let table = table(&plan, &standing(&plan));
        for told in [
            "suspend 2 users\n  open, not approved\n",
            "1. u1@acme.test, Person 1\n     Not used for 120 days",
            "owns 1.2 GB; groups: Board; 35.00 EUR a month",
            "Possible savings a month, after deletion and renewal: 35.00 EUR",
            "Without a price: 1 user",
            "Skipped: 1 user\n  1 young: new, or the creation or first-seen date is not known",
        ] {
            assert!(table.contains(told), "{told}\n{table}");
        }
    }

    /// Why: a plan that was applied was shown as if nothing had happened.
    #[test]
    fn an_applied_plan_shows_what_happened_to_each_user() {
        let plan = plan(vec![idler("1"), idler("2"), idler("3")]);
        let id = plan.plan_id.as_str();
        let skip = boxseat_schemas::reclaim::Record::Skipped {
            plan_id: id.to_owned(),
            user_id: "2".to_owned(),
            reason: ReasonCode::OwnsSharedContent.into(),
            detail: "owns 2 shared items".to_owned(),
            is_final: true,
            used_at: None,
        };
        let past = past(&[
            (90, intent(id, "1", Action::Suspend, 1)),
            (90, outcome(id, "1", 1, Outcome::Done)),
            (90, skip),
        ]);
        let standing = Standing { results: results(&plan, &past), ..standing(&plan) };
        let (table, page) = (table(&plan, &standing), markdown(&plan, &standing));
        for text in [&table, &page] {
            assert!(text.contains("Result: suspend done") && text.contains("owns 2 shared items"), "{text}");
            assert_eq!(text.matches("Result: ").count(), 2, "{text}");
        }
        assert_eq!(json(&plan, &standing)["results"].as_object().map(serde_json::Map::len), Some(2));
    }

    /// R20: potential savings, freed seats and realised savings are three sums.
    #[test]
    fn r20_money_is_kept_apart() {
        let plan = plan(vec![idler("1"), idler("2"), idler("3")]);
        let deleted =
            |id: &str| [(90, intent("d", id, Action::Delete, 1)), (90, outcome("d", id, 1, Outcome::Done))];
        let past = past(&[deleted("1"), deleted("2")].concat());
        let renewal = (snapshot_time() - chrono::TimeDelta::days(5)).date_naive();
        let of = |renewals: &[NaiveDate]| Totals::of(&plan, &past, renewals, snapshot_time());
        let sums = |totals: &Totals| {
            [&totals.potential, &totals.freed, &totals.realised]
                .map(|sum| sum.get("EUR").copied().unwrap_or(0) / 10_000)
        };
        assert_eq!(sums(&of(&[])), [105, 70, 0]);
        assert_eq!(sums(&of(&[renewal])), [105, 70, 70]);
        let before = (snapshot_time() - chrono::TimeDelta::days(20)).date_naive();
        assert_eq!(sums(&of(&[before])), [105, 70, 0], "they were still paid for at that renewal");
    }
}
