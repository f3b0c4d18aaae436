//! The contract of tables and columns as text, one line each. It is kept in `schemas/contract/`, so that no column is removed by accident.

use crate::table::{Column, LAKE, Table, WAREHOUSE};

/// The current contract: a line per column, of the DuckDB file and of the lake, in their order.
pub fn lines() -> Vec<String> {
    let warehouse = WAREHOUSE.iter().flat_map(|table| {
        table.columns.iter().map(move |column| line("warehouse", table, column.name, column))
    });
    let lake = LAKE
        .iter()
        .flat_map(|table| table.kept().map(move |column| line("lake", table, column.lake_name, column)));
    warehouse.chain(lake).collect()
}

fn line(place: &str, table: &Table, name: &str, column: &Column) -> String {
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!("{place} {}.{name} {} {null}", table.name, column.kind.sql())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::table::CONTRACT_VERSION;

    /// The columns that this version of the contract promises.
    const PROMISED: &str = include_str!("../contract/v1.txt");
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contract/v1.txt");

    /// The table and name of a column, separate from its type.
    fn by_name<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
        lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let name = line.match_indices(' ').nth(1)?.0;
                Some((&line[..name], &line[name + 1..]))
            })
            .collect()
    }

    /// The lines of `promised` that `now` does not keep.
    fn broken(promised: &str, now: &[String]) -> Vec<String> {
        let kept = by_name(now.iter().map(String::as_str));
        let mut broken = Vec::new();
        for (name, what) in by_name(promised.lines()) {
            match kept.get(name) {
                None => broken.push(format!("{name} is gone")),
                Some(is) if *is != what => broken.push(format!("{name} was {what} and is {is}")),
                Some(_) => {}
            }
        }
        broken
    }

    /// Why: a query that worked with an earlier build must still work. Removing, renaming or retyping a column breaks it.
    #[test]
    fn no_promised_column_is_removed_or_changed() {
        assert_eq!(CONTRACT_VERSION, 1, "a new version has a file of its own, and this test names it");
        let now = lines();
        let broken = broken(PROMISED, &now);
        assert!(
            broken.is_empty(),
            "{broken:#?}\nkeep the column, or start version 2 of the contract and add it to CHANGELOG.md"
        );
    }

    /// Why: a column that is not in the contract file can be removed unnoticed.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "`make contract` selects the mode of this test with a variable"
    )]
    fn every_new_column_is_in_the_contract_file() {
        let now = lines();
        let promised = by_name(PROMISED.lines());
        let new: Vec<&str> = by_name(now.iter().map(String::as_str))
            .into_keys()
            .filter(|name| !promised.contains_key(name))
            .collect();
        if !new.is_empty() && std::env::var_os("BOXSEAT_CONTRACT").is_some_and(|word| word == "record") {
            assert!(broken(PROMISED, &now).is_empty(), "only additions are recorded");
            let head: String = PROMISED
                .lines()
                .filter(|line| line.starts_with('#'))
                .map(|line| format!("{line}\n"))
                .collect();
            std::fs::write(FILE, head + &now.join("\n") + "\n").unwrap();
            return;
        }
        assert!(new.is_empty(), "run `make contract` to add these columns: {new:#?}");
    }

    #[test]
    fn removing_renaming_and_retyping_are_refused_and_adding_is_not() {
        let line = |text: &str| text.to_owned();
        let promised = "# a comment\nwarehouse t.a VARCHAR NOT NULL\nwarehouse t.b BIGINT NULL\n";
        let (a, b) = (line("warehouse t.a VARCHAR NOT NULL"), line("warehouse t.b BIGINT NULL"));
        assert_eq!(broken(promised, &[a.clone(), b.clone(), line("warehouse t.c DATE NULL")]), [""; 0]);
        assert_eq!(broken(promised, std::slice::from_ref(&a)), ["warehouse t.b is gone"]);
        assert_eq!(
            broken(promised, &[a.clone(), line("warehouse t.c BIGINT NULL")]),
            ["warehouse t.b is gone"]
        );
        assert_eq!(
            broken(promised, &[line("warehouse t.a VARCHAR NULL"), line("warehouse t.b INTEGER NULL")]),
            [
                "warehouse t.a was VARCHAR NOT NULL and is VARCHAR NULL",
                "warehouse t.b was BIGINT NULL and is INTEGER NULL"
            ]
        );
        // A type may contain blanks.
        let list = "warehouse t.l STRUCT(name VARCHAR, \"value\" VARCHAR)[] NULL\n";
        assert_eq!(broken(list, &[line("warehouse t.l VARCHAR NULL")]).len(), 1);
    }
}
