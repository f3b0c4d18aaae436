//! Erases one user from rows of the lake. No row is removed: the user's rows get the pseudonym, so every count stays correct.

use std::sync::Arc;

use boxseat_schemas::table::Table;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::nullif;

use super::eraser::{Context, Eraser, NAME};

/// Columns whose value is always replaced in rows of the user.
const ADDRESSES: &[&str] = &["login", "user_login", "email"];

impl Eraser<'_> {
    /// The rows without the user; `None` if no row names the user.
    pub(super) fn rows(&self, table: &Table, batch: &RecordBatch) -> Option<RecordBatch> {
        let own = self.own_rows(batch, "user_id");
        let acted = self.own_rows(batch, "actor_id");
        let about = self.rows_about(batch, &own);
        if !about.contains(&true) {
            return None;
        }
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let is_personal =
                table.columns.iter().any(|known| known.lake_name == field.name() && known.personal);
            let column = match column.as_string_opt::<i32>() {
                Some(texts) => self.texts(field.name(), texts, &own, &about),
                None => Arc::clone(column),
            };
            if !is_personal {
                return column;
            }
            let emptied: BooleanArray =
                own.iter().zip(&acted).map(|(own, acted)| Some(*own || *acted)).collect();
            nullif(&column, &emptied).expect("one flag for each row of a column that may be NULL")
        });
        let columns = columns.collect();
        Some(RecordBatch::try_new(schema, columns).expect("the columns are those of the schema"))
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

    fn may_be_in(&self, texts: &StringArray) -> bool {
        let bytes = texts.values().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&bytes);
        let mut tokens = self.identity.addresses.iter().chain([&self.identity.user_id]);
        text.contains('\\') || tokens.any(|token| text.contains(token.as_str()))
    }

    fn texts(&self, name: &str, texts: &StringArray, own: &[bool], about: &[bool]) -> ArrayRef {
        let rows = texts.iter().zip(own.iter().zip(about));
        let erased: StringArray = rows
            .map(|(text, (is_own, is_about))| {
                let text = text?;
                let context = Context { is_about: true, is_own: *is_own };
                Some(match name {
                    _ if !is_about => text.to_owned(),
                    _ if *is_own && ADDRESSES.contains(&name) => self.identity.address(),
                    "name" if *is_own => NAME.to_owned(),
                    _ => self.cell(text, context).unwrap_or_else(|| text.to_owned()),
                })
            })
            .collect();
        Arc::new(erased)
    }
}
