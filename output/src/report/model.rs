//! The content of a report, independent of its format.

use boxseat_schemas::{Money, RunNumber};
use chrono::{DateTime, NaiveDate, Utc};

/// One report of one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its name on the command line, such as `licences`.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// The question that it answers, in the words of a user.
    pub question: String,
    /// The snapshot it is about.
    pub snapshot: ReportSnapshot,
    /// Facts that a reader must know before the first figure: an old snapshot, too many unknown values, a snapshot of a past date.
    pub notices: Vec<Notice>,
    /// The requested filters, such as `group = Sales`; empty without filters.
    pub filters: Vec<(String, String)>,
    /// Its parts, in reading order.
    pub sections: Vec<Section>,
}

/// The snapshot a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSnapshot {
    /// The Box enterprise.
    pub enterprise_id: String,
    /// Its UTC date.
    pub snapshot_date: NaiveDate,
    /// Its run.
    pub run_number: RunNumber,
    /// The time from which all days are counted back.
    pub now_at: DateTime<Utc>,
    /// Whether the snapshot was requested by date. It is then built separately, with the current thresholds, terms and policy.
    pub is_as_of: bool,
}

/// A sentence at the top of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its importance.
    pub level: Level,
    /// The sentence.
    pub text: String,
}

/// The importance of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Useful information.
    Note,
    /// Without this notice, the figures below may mislead.
    Warning,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Stable name for programs, such as `seat_states`; unique within the report.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// An explanation: what the section contains or excludes, or its formula.
    pub note: Option<String>,
    /// Its content.
    pub body: Body,
}

/// Single figures, or rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Figures, each with a name.
    Figures(Vec<Figure>),
    /// Rows under columns.
    Table(Table),
}

/// One number with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Stable name for programs, such as `seats_free`; unique within the report.
    pub id: &'static str,
    /// Its name for users.
    pub label: String,
    /// The number.
    pub value: Value,
    /// What it counts, or the formula; a sentence.
    pub meaning: String,
    /// Whether it is one of the most important figures.
    pub is_headline: bool,
}

/// Rows under columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has a value per column.
    pub rows: Vec<Vec<Value>>,
    /// How a page may draw it. The rows remain the text alternative.
    pub chart: Option<Chart>,
    /// Whether rows name users. Pages that are meant to be forwarded show the table only with `--people`.
    pub names_people: bool,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Stable name for programs. It is the name of the warehouse's column if there is one.
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
    /// Bars next to each other, one group per row.
    Bars {
        /// The column that names a row.
        label: &'static str,
        /// The columns drawn.
        series: Vec<&'static str>,
    },
    /// Horizontal bars, one per row, for long names.
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
    /// An unknown value: not known, not configured, or not covered.
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

/// Type of a column's values. Every column may contain [`Value::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants of `Value` have the same names and are described there")]
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
