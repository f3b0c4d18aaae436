//! Texts in lists and structures of a row, such as tracking codes. They are fields of other users: a tracking code of a user can be the
//! address of the manager, who is erased.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::DataType;

use super::eraser::{About, Eraser};

/// The text columns of a batch, also those inside of lists and structures.
pub(super) fn all_texts(batch: &RecordBatch) -> Vec<&StringArray> {
    batch.columns().iter().flat_map(texts_in).collect()
}

fn texts_in(column: &ArrayRef) -> Vec<&StringArray> {
    match column.data_type() {
        DataType::Utf8 => vec![column.as_string()],
        DataType::List(_) => texts_in(column.as_list::<i32>().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().flat_map(texts_in).collect(),
        _ => Vec::new(),
    }
}

/// Whether a column has texts that [`Eraser::nested`] reads.
pub(super) fn is_nested(column: &ArrayRef) -> bool {
    column.data_type().is_nested()
}

impl Eraser<'_> {
    /// A list or structure without the id and the addresses of the user.
    pub(super) fn nested(&self, column: &ArrayRef) -> ArrayRef {
        match column.data_type() {
            DataType::Utf8 => {
                let texts = column.as_string::<i32>().iter().map(|text| {
                    let mut text = text?.to_owned();
                    self.sentence(&mut text, About::Others);
                    Some(text)
                });
                Arc::new(texts.collect::<StringArray>())
            }
            DataType::List(field) => {
                let list = column.as_list::<i32>();
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                Arc::new(ListArray::new(Arc::clone(field), offsets, self.nested(list.values()), nulls))
            }
            DataType::Struct(fields) => {
                let structure = column.as_struct();
                let columns = structure.columns().iter().map(|column| self.nested(column)).collect();
                Arc::new(StructArray::new(fields.clone(), columns, structure.nulls().cloned()))
            }
            _ => Arc::clone(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use boxseat_schemas::table::{Rows, USERS};

    use super::super::eraser::tests::ann;
    use super::*;

    /// Why: the address of an erased manager stayed in the tracking codes of the employees.
    #[test]
    fn tracking_codes_of_others_lose_the_address_and_nothing_else() {
        let field = |name: &str| USERS.lake_schema().field_with_name(name).unwrap().clone();
        let schema = Arc::new(Schema::new(vec![field("user_id"), field("tracking_codes")]));
        let batch = |manager: &str| {
            let mut rows = Rows::new(Arc::clone(&schema));
            let codes =
                [(Some("manager"), Some(manager)), (None, Some("joann@acme.test")), (Some("x"), None)];
            rows.text(Some("777")).name_values(Some(codes.into_iter())).end();
            rows.text(Some("778")).name_values(None::<std::iter::Empty<_>>).end();
            rows.take_batch()
        };
        let identity = ann();
        let erased = Eraser { identity: &identity }.rows(&USERS, &batch("Ann@acme.test"));
        assert_eq!(erased, Some(batch(&identity.address())));
        assert_eq!(Eraser { identity: &identity }.rows(&USERS, &batch("bob@acme.test")), None);
    }
}
