//! Erases one user from rows of the lake: the rule of every text column. No row is removed: the user's rows get the pseudonym, so every
//! count stays correct.

use std::sync::Arc;

use boxseat_schemas::table::Table;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::nullif;

use super::eraser::{About, Eraser};
use super::nested::{all_texts, is_nested};

/// What a text column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A code, a hash, an operator, or an id that is not of a user.
    Kept,
    UserId,
    /// Has the user's id as a part.
    ActionId,
    Address,
    Name,
    /// A text without a fixed form.
    Sentence,
    /// JSON that Box sent.
    Json,
}

/// The rule of a text column of the lake. A name means the same in every table.
fn rule(column: &str) -> Option<Rule> {
    Some(match column {
        "user_id" | "actor_id" | "actor_user_id" | "receiver_user_id" | "source_id" => Rule::UserId,
        "action_id" => Rule::ActionId,
        "login" | "user_login" | "email" | "notification_email" => Rule::Address,
        // Of a user, or of a group, which has no row of its own user.
        "name" => Rule::Name,
        "job_title"
        | "phone"
        | "address"
        | "avatar_url"
        | "hostname"
        | "description"
        | "reason"
        | "ticket"
        | "old_value"
        | "new_value"
        | "ip_address"
        | "session_id"
        | "external_app_user_id"
        | "external_sync_identifier" => Rule::Sentence,
        "details" | "extra" | "raw" => Rule::Json,
        "listing" | "status" | "role" | "language" | "timezone" | "user_enterprise_id" | "enterprise_id"
        | "enterprise_name" | "deprovision_reason" => Rule::Kept,
        "group_id"
        | "group_type"
        | "provenance"
        | "invitability_level"
        | "member_viewability_level"
        | "membership_id"
        | "read_from"
        | "alias_id" => Rule::Kept,
        "event_id" | "event_type" | "source_type" | "change_id" | "change" | "attribute" | "object_id"
        | "source" | "file_digest" | "currency" | "policy_digest" => Rule::Kept,
        "run_id" | "kind" | "store_id" | "version" | "endpoint" | "table_name" | "stream" => Rule::Kept,
        "plan_id"
        | "plan_digest"
        | "action"
        | "stage"
        | "planned_by"
        | "approved_by"
        | "applied_by"
        | "outcome"
        | "request_id"
        | "status_before"
        | "status_after"
        | "destination_folder_id"
        | "evidence"
        | "prev_hash" => Rule::Kept,
        _ => return None,
    })
}

impl Eraser<'_> {
    /// The rows without the user; `None` if nothing changes.
    pub(super) fn rows(&self, table: &Table, batch: &RecordBatch) -> Option<RecordBatch> {
        let own = self.own_rows(batch, "user_id");
        let acted = self.own_rows(batch, "actor_id");
        let named = self.rows_about(batch, &own);
        let is_named = |texts: &&StringArray| {
            self.may_be_in(texts) && texts.iter().flatten().any(|text| self.is_named_in(text))
        };
        if !named.contains(&true) && !all_texts(batch).iter().any(is_named) {
            return None;
        }
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let is_personal =
                table.columns.iter().any(|known| known.lake_name == field.name() && known.personal);
            let column = match (column.as_string_opt::<i32>(), rule(field.name())) {
                (Some(texts), Some(rule)) if rule != Rule::Kept => self.texts(rule, texts, &own, &named),
                (None, _) if is_nested(column) => self.nested(column),
                _ => Arc::clone(column),
            };
            if !is_personal {
                return column;
            }
            let emptied: BooleanArray =
                own.iter().zip(&acted).map(|(own, acted)| Some(*own || *acted)).collect();
            nullif(&column, &emptied).expect("one flag for each row of a column that may be NULL")
        });
        let columns = columns.collect();
        let new = RecordBatch::try_new(schema, columns).expect("the columns are those of the schema");
        (new != *batch).then_some(new)
    }

    fn own_rows(&self, batch: &RecordBatch, column: &str) -> Vec<bool> {
        let ids = batch.column_by_name(column).and_then(|ids| ids.as_string_opt::<i32>());
        match ids {
            Some(ids) => ids.iter().map(|id| id == Some(self.identity.user_id.as_str())).collect(),
            None => vec![false; batch.num_rows()],
        }
    }

    /// Marks the rows of the user, and rows that name the user in any column.
    fn rows_about(&self, batch: &RecordBatch, own: &[bool]) -> Vec<bool> {
        let mut about = own.to_vec();
        for texts in batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>()) {
            // Most columns do not name the user. One search in all bytes of a column finds that out faster than one per row.
            if !self.may_be_in(texts) {
                continue;
            }
            for (row, text) in texts.iter().enumerate() {
                about[row] = about[row] || text.is_some_and(|text| self.is_named_in_json(text));
            }
        }
        about
    }

    /// Whether the bytes of a column may name the user.
    pub(super) fn may_be_in(&self, texts: &StringArray) -> bool {
        let bytes = texts.values().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&bytes);
        let mut tokens = self.identity.addresses.iter().chain([&self.identity.user_id]);
        text.contains('\\') || tokens.any(|token| text.contains(token.as_str()))
    }

    fn texts(&self, rule: Rule, texts: &StringArray, own: &[bool], named: &[bool]) -> ArrayRef {
        let rows = texts.iter().zip(own.iter().zip(named));
        let erased: StringArray = rows
            .map(|(text, (is_own, is_named))| {
                let mut text = text?.to_owned();
                let about = if *is_own { About::User } else { About::Others };
                match rule {
                    _ if !is_named => {}
                    Rule::Kept => {}
                    Rule::UserId => self.id(&mut text),
                    Rule::ActionId => self.action_id(&mut text),
                    Rule::Address => self.address(&mut text, about),
                    Rule::Name if *is_own => self.name(&mut text, about),
                    Rule::Name | Rule::Sentence => self.sentence(&mut text, about),
                    Rule::Json if *is_own => self.cell(&mut text, about),
                    Rule::Json => self.cell(&mut text, About::Mention),
                }
                Some(text)
            })
            .collect();
        Arc::new(erased)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use boxseat_schemas::table::{LAKE, Rows, SEAT_ACTIONS};
    use chrono::{DateTime, NaiveDate};

    use super::super::eraser::tests::named;
    use super::*;

    #[test]
    fn every_text_column_of_the_lake_has_a_rule() {
        for table in LAKE {
            let schema = table.lake_schema();
            let texts = schema.fields().iter().filter(|field| *field.data_type() == DataType::Utf8);
            let without: Vec<&String> =
                texts.map(|field| field.name()).filter(|name| rule(name).is_none()).collect();
            assert!(without.is_empty(), "{}: {without:?} have no rule", table.name);
        }
    }

    /// Why: a user named `done` made the outcome of actions unreadable, and an erasure could never be finished.
    #[test]
    fn a_name_that_equals_a_code_changes_only_the_user_s_rows_and_no_code() {
        let identity = named(&["done", "root", "777", "suspend"]);
        let mut rows = Rows::new(SEAT_ACTIONS.lake_schema());
        for user_id in ["12345", "777"] {
            for field in SEAT_ACTIONS.lake_schema().fields() {
                match (field.name().as_str(), field.data_type()) {
                    ("user_id", _) => rows.text(Some(user_id)),
                    ("action_id", _) => rows.text(Some(&format!("777/{user_id}/1"))),
                    ("login", _) => rows.text(Some("desk@acme.test")),
                    ("receiver_user_id", _) => rows.text(Some("777")),
                    (_, DataType::Utf8) => rows.text(Some("done")),
                    (_, DataType::Date32) => rows.date(Some(NaiveDate::default())),
                    (_, DataType::Int32) => rows.integer(None),
                    (_, DataType::Int64) => rows.big(Some(1)),
                    _ => rows.time(Some(DateTime::UNIX_EPOCH)),
                };
            }
            rows.end();
        }
        let before = rows.take_batch();
        let after = Eraser { identity: &identity }.rows(&SEAT_ACTIONS, &before).unwrap();
        let text = |name: &str, row: usize| {
            after.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned()
        };
        assert_eq!(text("user_id", 0), identity.pseudonym);
        assert_eq!(text("action_id", 0), format!("777/{}/1", identity.pseudonym));
        assert_eq!(text("login", 0), identity.address());
        for column in ["outcome", "action", "planned_by", "approved_by", "plan_id", "prev_hash"] {
            assert_eq!(text(column, 0), "done", "{column}");
        }
        assert_eq!(text("receiver_user_id", 0), "777");
        assert_eq!(before.slice(1, 1), after.slice(1, 1), "the row of the other user stays");
        assert!(Eraser { identity: &identity }.rows(&SEAT_ACTIONS, &after).is_none());
    }
}
