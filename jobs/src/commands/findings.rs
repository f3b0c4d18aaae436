//! Findings of `check` and `verify`, one line each.

use serde_json::{Value, json};

use crate::cli::Format;
use crate::error::CommandError;
use crate::printer::{Grid, Printer};

/// The result of one check.
#[derive(Debug)]
struct Finding {
    name: String,
    result: Outcome,
    detail: String,
    /// What to do.
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    Note,
    Skipped,
    Warning,
    Failed,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

/// The findings in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn pass(&mut self, name: &str, detail: String) {
        self.add(name, Outcome::Ok, detail, None);
    }

    pub(crate) fn note(&mut self, name: &str, detail: String) {
        self.add(name, Outcome::Note, detail, None);
    }

    pub(crate) fn skip(&mut self, name: &str, detail: String) {
        self.add(name, Outcome::Skipped, detail, None);
    }

    pub(crate) fn warn(&mut self, name: &str, detail: String, remedy: &str) {
        self.add(name, Outcome::Warning, detail, Some(remedy));
    }

    pub(crate) fn fail(&mut self, name: &str, detail: String, remedy: &str) {
        self.add(name, Outcome::Failed, detail, Some(remedy));
    }

    fn add(&mut self, name: &str, result: Outcome, detail: String, remedy: Option<&str>) {
        self.0.push(Finding { name: name.to_owned(), result, detail, remedy: remedy.map(str::to_owned) });
    }

    pub(crate) fn failures(&self) -> usize {
        self.0.iter().filter(|finding| finding.result == Outcome::Failed).count()
    }

    /// Prints a table with the verdict below it, or one JSON object.
    pub(crate) fn print(
        &self,
        printer: &Printer,
        name: &str,
        verdict: &[(&str, Value)],
    ) -> Result<(), CommandError> {
        if printer.format() == Format::Json {
            let findings: Vec<Value> = self
                .0
                .iter()
                .map(|f| json!({ "name": f.name, "result": f.result.word(), "detail": f.detail, "remedy": f.remedy }))
                .collect();
            let mut body = json!({ name: findings });
            for (key, value) in verdict {
                body[*key] = value.clone();
            }
            return printer.json(body);
        }
        let row = |f: &Finding| {
            [f.name.as_str(), f.result.word(), &f.detail, f.remedy.as_deref().unwrap_or_default()]
                .map(|text| Value::String(text.to_owned()))
                .to_vec()
        };
        let columns = ["looked at", "result", "detail", "what to do"].map(str::to_owned).to_vec();
        printer.grid(name, &Grid { columns, rows: self.0.iter().map(row).collect() })?;
        match verdict.last() {
            Some((_, Value::String(sentence))) if printer.format() == Format::Table => {
                printer.out(&format!("{sentence}\n"))
            }
            _ => Ok(()),
        }
    }
}
