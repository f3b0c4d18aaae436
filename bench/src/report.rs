//! The results and their report.

use std::fmt::Write as _;
use std::time::Duration;

use crate::machine::Machine;

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) measure: &'static str,
    pub(crate) target: String,
    pub(crate) measured: String,
    /// Ratio to the target or to dlt; empty if there is none.
    pub(crate) ratio: String,
    pub(crate) verdict: Verdict,
}

/// Whether the target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Hit,
    Miss,
    /// The measure itself failed.
    NotMeasured,
}

/// The result of one measure: rows for the table and notes below it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
}

/// Findings with the name of their measure and the load of the machine.
pub(crate) struct Chapter {
    pub(crate) name: &'static str,
    pub(crate) findings: Findings,
    pub(crate) took: Duration,
    /// Load averages before and after, if the machine reports them.
    pub(crate) load: Option<(f64, f64)>,
}

impl Verdict {
    pub(crate) fn of(met: bool) -> Self {
        if met { Verdict::Hit } else { Verdict::Miss }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Hit => "hit",
            Verdict::Miss => "**MISS**",
            Verdict::NotMeasured => "**not measured**",
        }
    }
}

impl Row {
    pub(crate) fn new(
        measure: &'static str,
        target: impl Into<String>,
        measured: impl Into<String>,
        ratio: impl Into<String>,
        met: bool,
    ) -> Self {
        Self {
            measure,
            target: target.into(),
            measured: measured.into(),
            ratio: ratio.into(),
            verdict: Verdict::of(met),
        }
    }
}

/// Several measurements of the same value.
#[derive(Debug, Clone)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Takes at least one measurement.
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "a sample has at least one measurement");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn median(&self) -> f64 {
        let (low, high) = (self.0[(self.0.len() - 1) / 2], self.0[self.0.len() / 2]);
        f64::midpoint(low, high)
    }

    /// The median with the smallest and the largest value and the number of measurements.
    pub(crate) fn show(&self, form: impl Fn(f64) -> String) -> String {
        match self.0[..] {
            [only] => format!("{} (once)", form(only)),
            _ => format!(
                "{} ({} to {}, {} times)",
                form(self.median()),
                form(self.0[0]),
                form(self.0[self.0.len() - 1]),
                self.0.len()
            ),
        }
    }
}

/// The report of all measures.
pub(crate) fn page(machine: &Machine, chapters: &[Chapter], quick: bool) -> String {
    let mut page = String::from("# Measured\n\n");
    page.push_str(
        "Written by `make bench`; nothing in it is typed by hand. Medians of one run; in brackets smallest, largest and how\n\
         often. What is compared was measured in turns, on the same machine, within the same minutes.\n\n",
    );
    if quick {
        page.push_str("**A quick run with small sizes, for development: the targets do not apply.**\n\n");
    }
    page.push_str("| measure | target | measured | ratio | |\n| --- | --- | --- | --- | --- |\n");
    for row in chapters.iter().flat_map(|chapter| &chapter.findings.rows) {
        let Row { measure, target, measured, ratio, verdict } = row;
        _ = writeln!(page, "| {measure} | {target} | {measured} | {ratio} | {} |", verdict.word());
    }
    page.push_str("\n## How\n\n");
    for Chapter { name, findings, took, load } in chapters {
        let load = load.map_or(String::new(), |(before, after)| {
            format!(", load average of the machine {before:.1} before and {after:.1} after")
        });
        _ = writeln!(page, "**{name}** ({:.0} s{load})\n", took.as_secs_f64());
        for note in &findings.notes {
            _ = writeln!(page, "- {note}");
        }
        page.push('\n');
    }
    _ = writeln!(page, "## Where\n\n{machine}");
    page
}

/// `1234567` as `1,234,567`.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 && digits != "0" { format!("-{text}") } else { text }
}

pub(crate) fn seconds(value: f64) -> String {
    format!("{value:.2} s")
}

pub(crate) fn mib(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
