//! `boxseat reclaim adopt`: continue a journal at another place, or one that is older than the lake (R9).
//!
//! Order: the anchor in the lake gets the head that the journal has; the adoption is an entry; each action that only the lake knows
//! follows as an entry of its own; then anchor and witness get the new head. *Killed* before the adoption's entry: nothing has
//! changed that another command accepts. After it: every command but this one is refused until all actions are in.

use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::place;
use boxseat_reclaim::journal::seat_actions::LostAction;
use boxseat_schemas::reclaim::{Adoption, Record};
use boxseat_schemas::table::SEAT_ACTIONS;
use serde_json::json;

use super::head;
use crate::cli::{AdoptArgs, Global};
use crate::error::{CommandError, Error};
use crate::failpoint::reach;
use crate::lake_witness::{self, LakeLine};
use crate::printer::{Grid, Printer};
use crate::reclaim_context::context::ReclaimContext;
use crate::reclaim_context::seat_actions::{self, compare};

pub(crate) fn run(global: &Global, args: &AdoptArgs, printer: &Printer) -> Result<u8, CommandError> {
    let context = ReclaimContext::open_to_adopt(global)?;
    // A policy that cannot be read does not keep a store from being adopted.
    if let Ok(Some(policy)) = context.policy_if_any(None) {
        policy.approval.os_user_counts().check_namespace()?;
    }
    let mut journal = context.journal_to_adopt()?;
    let found = Found::of(&context, &journal)?;
    found.show(&context, &journal, printer)?;
    if !found.is_needed {
        printer.note(
            "The journal belongs to this place and has every action of the lake. There is nothing to adopt.",
        );
        if args.yes {
            context.anchor(&journal)?;
        }
        return Ok(0);
    }
    if !args.yes {
        printer.note(
            "Nothing was changed. With --yes the journal takes in the actions of the lake and continues here. Open plans must be \
                approved again.",
        );
        return Ok(0);
    }
    adopt(&context, &mut journal, found)?;
    printer.note(format!("The journal continues here. {}", head(&journal)));
    for (plan_id, _) in journal.past().open_plans() {
        printer.note(format!(
            "Plan {plan_id} is open, and approvals from before do not count: boxseat reclaim approve {plan_id}"
        ));
    }
    printer.note("Use only this store: remove the other one, or its jobs. Actions of the other store that are not in the lake \
        are not known here.");
    Ok(0)
}

/// The reasons against continuing without an adoption.
struct Found {
    /// How this place differs from the journal's.
    difference: Option<String>,
    /// Up to which entry the lake has taken in the journal.
    lake_entries: u64,
    lost: Vec<LostAction>,
    /// Why the witness does not know this journal.
    witness: Option<String>,
    /// Whether the witness has later heads of the lake.
    is_lake_older: bool,
    is_needed: bool,
}

impl Found {
    fn of(context: &ReclaimContext, journal: &Journal) -> Result<Self, CommandError> {
        let past = journal.past();
        let difference = place::difference(past, &context.place()?);
        let lake_entries = context.store.lake().actions_sequence(&SEAT_ACTIONS)?;
        let (_, lost) = compare(context.store.lake(), journal)?;
        let said = |e: &Error| e.lines().join(": ");
        let older_lake =
            context.witness().and_then(|witness| lake_witness::check(&witness, context.store.lake()).err());
        let witness = context.witness().and_then(|witness| witness.check(journal).err());
        let witness = witness.as_ref().map(said);
        let is_lake_older = older_lake.is_some();
        let witness = witness.or(older_lake.as_deref().map(said));
        let is_older = lake_entries > past.lake_number(journal.sequence())
            || journal.anchored_entries() > journal.sequence()
            || past.actions_to_take_in > 0;
        let is_needed = difference.is_some() || is_older || !lost.is_empty() || witness.is_some();
        Ok(Self { difference, lake_entries, lost, witness, is_lake_older, is_needed })
    }

    fn show(
        &self,
        context: &ReclaimContext,
        journal: &Journal,
        printer: &Printer,
    ) -> Result<(), CommandError> {
        let past = journal.past();
        let plans: Vec<&str> = past.open_plans().map(|(plan_id, _)| plan_id).collect();
        printer.facts(
            "adopt",
            &[
                ("store", json!(context.store.root())),
                ("store_id", json!(context.store.id())),
                ("journal_entries", json!(journal.sequence())),
                ("last_entry_at", json!(journal.entries().last().map(|entry| entry.at))),
                ("kept_on", json!(past.bound.as_ref().map(|bound| &bound.by.host))),
                ("place", json!(self.difference.as_deref().unwrap_or("the same"))),
                ("lake_knows_entries", json!(self.lake_entries.max(journal.anchored_entries()))),
                ("actions_only_in_the_lake", json!(self.lost.len())),
                ("witness", json!(self.witness)),
                ("open_plans", json!(plans.join(", "))),
            ],
        )?;
        if !self.lost.is_empty() && printer.format() != crate::cli::Format::Json {
            printer.note("The lake has these actions, and the journal does not:");
            let columns = ["user_id", "login", "action", "outcome", "requested_at", "plan_id"]
                .map(str::to_owned)
                .to_vec();
            let rows = self.lost.iter().map(LostAction::columns).collect();
            printer.grid("lost_actions", &Grid { columns, rows })?;
        }
        Ok(())
    }
}

fn adopt(context: &ReclaimContext, journal: &mut Journal, found: Found) -> Result<(), CommandError> {
    journal.anchor()?;
    let adoption = Adoption {
        kept_entries: journal.sequence(),
        lake_entries: found.lake_entries,
        actions: found.lost.len() as u64,
    };
    let bound = Record::Bound { place: context.place()?, by: operator(), adoption: Some(adoption) };
    journal.append(context.now, bound)?;
    reach("adopt: bound");
    for lost in found.lost {
        journal.append(context.now, lost.record())?;
    }
    context.anchor(journal)?;
    let enterprise_id = context.store.enterprise_id().unwrap_or_default();
    seat_actions::commit(context.store.root(), context.store.lake(), journal, enterprise_id)?;
    // Killed before: the lake is refused as before, and this command continues.
    let line = if found.is_lake_older { LakeLine::Begun } else { LakeLine::Reached };
    context.store.anchor_record_as(line, &context.settings)
}
