//! The content of a chart, taken from its table.

use chrono::NaiveDate;

use crate::report::html::value;
use crate::report::{Chart, Table, Value, ValueKind};
use boxseat_schemas::text::visible_line;

use crate::{Error, Result};

/// The labels, and one value per label for each series.
pub(super) struct Plot {
    pub(super) labels: Labels,
    pub(super) series: Vec<Series>,
    pub(super) is_lines: bool,
    pub(super) is_lying: bool,
    left_out_count: usize,
}

/// The labels along the axis.
pub(super) enum Labels {
    Dates(Vec<NaiveDate>),
    Names(Vec<String>),
}

/// A column that is drawn; `None` is a gap.
pub(super) struct Series {
    pub(super) label: String,
    pub(super) kind: ValueKind,
    pub(super) values: Vec<Option<f64>>,
}

impl Plot {
    /// `None` when the table has no chart, or no values in the columns of the chart.
    pub(super) fn of(table: &Table) -> Result<Option<Self>> {
        let (label, columns, is_lines, is_lying) = match &table.chart {
            None => return Ok(None),
            Some(Chart::Lines { x, series }) => (*x, series.clone(), true, false),
            Some(Chart::Bars { label, series }) => (*label, series.clone(), false, false),
            Some(Chart::Ranking { label, series }) => (*label, vec![*series], false, true),
        };
        // A ranking is limited to this number of rows. The list below the chart has all rows.
        let limit = if is_lying { RANKED } else { usize::MAX };
        let rows = &table.rows[..table.rows.len().min(limit)];
        let label = position(table, label)?;
        let labels = if table.columns[label].kind == ValueKind::Date {
            let date = |row: &Vec<Value>| match row[label] {
                Value::Date(date) => Ok(date),
                _ => Err(Error::Bug(format!("a chart's date is not known in {}", table.columns[label].id))),
            };
            Labels::Dates(rows.iter().map(date).collect::<Result<_>>()?)
        } else if is_lines {
            return Err(Error::Bug(format!("lines need dates, and {} has none", table.columns[label].id)));
        } else {
            let name = |row: &Vec<Value>| visible_line(&value::cell(&row[label]));
            Labels::Names(rows.iter().map(name).collect())
        };
        let series = columns.into_iter().map(|column| {
            let index = position(table, column)?;
            let values = rows.iter().map(|row| value::point(&row[index])).collect();
            Ok(Series { label: table.columns[index].label.clone(), kind: table.columns[index].kind, values })
        });
        let series = series.collect::<Result<Vec<_>>>()?;
        let has_any = series.iter().any(|series| series.values.iter().any(Option::is_some));
        let left_out_count = table.rows.len() - rows.len();
        Ok(has_any.then_some(Self { labels, series, is_lines, is_lying, left_out_count }))
    }

    /// The chart in sentences, for users who cannot see it.
    pub(super) fn description(&self) -> String {
        let sentences: Vec<String> = self.series.iter().map(|series| self.sentence(series)).collect();
        sentences.join(" ")
    }

    /// Facts that the drawing does not show.
    pub(super) fn note(&self) -> Option<String> {
        if self.left_out_count > 0 {
            let whole = value::grouped(i64::try_from(self.left_out_count + RANKED).unwrap_or(i64::MAX));
            return Some(format!("The first {RANKED} of {whole} are drawn; the table has all."));
        }
        let (low, high) = bounds(&self.series);
        (self.is_lines && starts_above_zero(low, high)).then(|| "The axis does not start at zero.".to_owned())
    }

    fn sentence(&self, series: &Series) -> String {
        let known: Vec<(String, f64)> = (0..series.values.len())
            .filter_map(|index| series.values[index].map(|value| (self.label(index), value)))
            .collect();
        let shown = |value: f64| number(value, series.kind);
        match (known.first(), known.last()) {
            (Some((first, from)), Some((last, to))) if matches!(self.labels, Labels::Dates(_)) => {
                let low = known.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
                let high = known.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
                format!(
                    "{}: {} on {first}, {} on {last}, between {} and {}.",
                    series.label,
                    shown(*from),
                    shown(*to),
                    shown(low),
                    shown(high)
                )
            }
            (Some(_), _) => {
                let all: Vec<String> = known
                    .iter()
                    .take(SPOKEN)
                    .map(|(label, value)| format!("{label} {}", shown(*value)))
                    .collect();
                let more = if known.len() > SPOKEN { ", and more in the table" } else { "" };
                format!("{}: {}{more}.", series.label, all.join(", "))
            }
            _ => format!("{}: {}.", series.label, value::UNKNOWN),
        }
    }

    fn label(&self, index: usize) -> String {
        match &self.labels {
            Labels::Dates(dates) => value::day(dates[index]),
            Labels::Names(names) => names[index].clone(),
        }
    }
}

/// The lowest and highest of all values.
pub(super) fn bounds(series: &[Series]) -> (f64, f64) {
    let values = || series.iter().flat_map(|series| series.values.iter().flatten().copied());
    (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
}

/// Whether lines would be too close to the top of an axis that starts at zero.
pub(super) fn starts_above_zero(low: f64, high: f64) -> bool {
    low > high * 0.6
}

/// A value as text on the drawing: percentages with one decimal, bytes with a unit, and other numbers rounded to whole numbers.
pub(super) fn number(number: f64, kind: ValueKind) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "numbers beyond 2^63 are not drawn")]
    let whole = value::grouped(number.round() as i64);
    match kind {
        ValueKind::Percent => format!("{number:.1} %"),
        ValueKind::Bytes => value::cell(&Value::Bytes(whole.replace(',', "").parse().unwrap_or(0))),
        _ => whole,
    }
}

fn position(table: &Table, id: &str) -> Result<usize> {
    table
        .columns
        .iter()
        .position(|column| column.id == id)
        .ok_or_else(|| Error::Bug(format!("a chart names the column {id}, which its table has not")))
}

/// The maximum number of bars in a ranking.
const RANKED: usize = 15;
/// The maximum number of values in the spoken description. For more values it refers to the table.
const SPOKEN: usize = 12;
