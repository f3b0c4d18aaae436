//! What a report says, whatever draws it.

use boxseat_schemas::{Money, RunNumber};
use chrono::{DateTime, NaiveDate, Utc};

/// One report of one night.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its name on the command line, such as `licences`.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// The question it answers, as a person would ask it.
    pub question: String,
    /// The night it is about.
    pub night: ReportNight,
    /// What a reader must know before the first figure: a stale night, too much unknown, a night looked back on.
    pub notices: Vec<Notice>,
    /// What was asked for, such as `group = Sales`; empty when everything was.
    pub filters: Vec<(String, String)>,
    /// Its parts, in reading order.
    pub sections: Vec<Section>,
}

/// The night a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportNight {
    /// The Box enterprise.
    pub enterprise_id: String,
    /// Its UTC date.
    pub snapshot_date: NaiveDate,
    /// Its run.
    pub run_number: RunNumber,
    /// The moment all days count back from.
    pub now_at: DateTime<Utc>,
    /// Whether it was asked for by date and built aside, with today's thresholds, terms and policy.
    pub is_as_of: bool,
}

/// A sentence on top of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// The sentence.
    pub text: String,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Note,
    /// Figures below may mislead without it.
    Warning,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Stable name for programs, such as `seat_states`; unique within the report.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it says, what it leaves out, or the formula behind it.
    pub note: Option<String>,
    /// What is in it.
    pub body: Body,
}

/// Single figures, or rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Figures with a name each.
    Figures(Vec<Figure>),
    /// Rows under columns.
    Table(Table),
}

/// One number with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Stable name for programs, such as `seats_free`; unique within the report.
    pub id: &'static str,
    /// Its name for people.
    pub label: String,
    /// The number.
    pub value: Value,
    /// What it counts, or the formula; a sentence.
    pub meaning: String,
    /// Whether a reader in a hurry wants it first.
    pub is_headline: bool,
}

/// Rows under columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has a value per column.
    pub rows: Vec<Vec<Value>>,
    /// How a page may draw it; the rows remain the text alternative.
    pub chart: Option<Chart>,
    /// Whether rows name people: pages meant to be forwarded show it with `--people` alone.
    pub names_people: bool,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Stable name for programs; that of the warehouse's column where it is one.
    pub id: &'static str,
    /// Its heading.
    pub label: String,
    /// Type of all its values.
    pub kind: ValueKind,
}

/// How a [`Table`] may be drawn. Names are [`Column::id`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chart {
    /// One line per column over dates.
    Lines {
        /// The column of dates.
        x: &'static str,
        /// The columns drawn.
        series: Vec<&'static str>,
    },
    /// Bars side by side, one group per row.
    Bars {
        /// The column that names a row.
        label: &'static str,
        /// The columns drawn.
        series: Vec<&'static str>,
    },
    /// Bars that lie, one per row, for long names.
    Ranking {
        /// The column that names a row.
        label: &'static str,
        /// The column drawn.
        series: &'static str,
    },
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing is claimed: not known, not configured, not covered.
    Unknown,
    /// Text.
    Text(String),
    /// A count.
    Count(i64),
    /// Whole days of 24 hours.
    Days(i64),
    /// A share in percent.
    Percent(f64),
    /// An amount of money in a currency.
    Money(Money, String),
    /// Bytes.
    Bytes(i64),
    /// A UTC day.
    Date(NaiveDate),
    /// An instant.
    Time(DateTime<Utc>),
    /// Yes or no.
    Flag(bool),
}

/// Type of a column's values; [`Value::Unknown`] is in every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of `Value`, which says what they are")]
pub enum ValueKind {
    Text,
    Count,
    Days,
    Percent,
    Money,
    Bytes,
    Date,
    Time,
    Flag,
}

impl Value {
    /// A count, days or bytes as a number.
    pub fn whole(&self) -> Option<i64> {
        match self {
            Self::Count(number) | Self::Days(number) | Self::Bytes(number) => Some(*number),
            _ => None,
        }
    }

    /// Text.
    pub(super) fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// An amount and its currency.
    pub(super) fn money(self) -> Option<(Money, String)> {
        if let Self::Money(amount, currency) = self { Some((amount, currency)) } else { None }
    }

    /// A UTC day.
    pub(super) fn date(self) -> Option<NaiveDate> {
        if let Self::Date(date) = self { Some(date) } else { None }
    }

    /// An instant.
    pub(super) fn time(self) -> Option<DateTime<Utc>> {
        if let Self::Time(time) = self { Some(time) } else { None }
    }
}
