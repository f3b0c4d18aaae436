//! Runs the checks of [`boxseat_schemas::check`]. A snapshot that contradicts itself is not published. A snapshot with odd values is
//! published with warnings.

use boxseat_schemas::RunNumber;
use boxseat_schemas::check::{Check, Severity, all};
use boxseat_schemas::table::DATA_CHECKS;
use duckdb::{Connection, params};

use super::ddl::identifier;
use crate::error::FailedCheck;
use crate::{Error, Result};

/// Runs every check whose severity is at least `least`, and writes the findings into `data_checks`. Returns the warnings. The first check
/// of severity error with a finding is returned as the error.
pub(super) fn run(
    connection: &Connection,
    pending: Option<RunNumber>,
    least: Severity,
) -> Result<Vec<FailedCheck>> {
    let mut warnings = Vec::new();
    let failed = || Error::duckdb("fill data_checks");
    let insert = format!("INSERT INTO {} VALUES (?, ?, ?, ?, ?)", identifier(DATA_CHECKS.name));
    let mut insert = connection.prepare(&insert).map_err(failed())?;
    for check in all() {
        if (check.severity == Severity::Warn && least == Severity::Error)
            || (check.is_of_pending && pending.is_none())
        {
            continue;
        }
        let found = find(connection, &check, pending)?;
        let (count, example) =
            found.as_ref().map_or((0, None), |found| (found.failing_rows, Some(&found.example)));
        insert
            .execute(params![check.name, check.table, check.severity.as_str(), count, example])
            .map_err(failed())?;
        match (found, check.severity) {
            (None, _) => {}
            (Some(found), Severity::Error) => return Err(Error::CheckFailed(Box::new(found))),
            (Some(found), Severity::Warn) => warnings.push(found),
        }
    }
    Ok(warnings)
}

fn find(connection: &Connection, check: &Check, pending: Option<RunNumber>) -> Result<Option<FailedCheck>> {
    let failed = || Error::duckdb(format!("check {} on {}", check.name, check.table));
    if let Some(shortcut) = &check.shortcut {
        let is_proved: bool = connection.query_row(shortcut, [], |row| row.get(0)).map_err(failed())?;
        if is_proved {
            return Ok(None);
        }
    }
    let run = pending.map(|run| run.to_string()).unwrap_or_default();
    let summary = format!(
        "SELECT CAST(coalesce(sum({}), 0) AS UBIGINT), coalesce(CAST({} AS VARCHAR), '') FROM ({}) AS row",
        check.weight,
        check.example,
        check.sql.replace("$run", &run)
    );
    let (failing_rows, example): (u64, String) =
        connection.query_row(&summary, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed())?;
    let found =
        FailedCheck { check: check.name.clone(), table: check.table.to_owned(), failing_rows, example };
    Ok((found.failing_rows > 0).then_some(found))
}
