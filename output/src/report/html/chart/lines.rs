//! One line per column over dates, with its last value at its end.

use chrono::{Days, NaiveDate};

use super::axes::Axes;
use super::canvas::{self, Anchor, At, Canvas, Drawing, Failure, Size, colour};
use super::plot::{Series, bounds, number, starts_above_zero};

pub(super) fn draw(dates: &[NaiveDate], series: &[Series], size: Size) -> Result<Drawing, Failure> {
    let (low, high) = bounds(series);
    let (first, last) =
        (dates.iter().min().copied().unwrap_or_default(), dates.iter().max().copied().unwrap_or_default());
    let days = (last - first).num_days();
    // A single snapshot is a dot in the middle.
    let across = if days == 0 { -1.0..1.0 } else { 0.0..whole(days) };
    let axes = Axes::new(series, across, up(low, high), size, room_right(series));
    canvas::drawing(size, |canvas| {
        axes.draw(canvas)?;
        for date in labelled(first, last, size) {
            let (x, _) = axes.at(whole((date - first).num_days()), low);
            let text = date.format(if days > 300 { "%b %Y" } else { "%-d %b" }).to_string();
            axes.label_below(canvas, &text, x)?;
        }
        // The first series is the main one. It is drawn last, so it is on top.
        for (index, series) in series.iter().enumerate().rev() {
            for piece in pieces(dates, first, series, &axes) {
                match piece.as_slice() {
                    [alone] => canvas.dot(*alone, colour(index))?,
                    points => canvas.line(points, colour(index), if index == 0 { 5 } else { 4 })?,
                }
            }
        }
        ends(canvas, dates, first, series, &axes)
    })
}

/// The pieces of a line: a snapshot without a value is a gap, never a slope.
fn pieces(dates: &[NaiveDate], first: NaiveDate, series: &Series, axes: &Axes) -> Vec<Vec<At>> {
    let mut pieces = vec![Vec::new()];
    for (date, value) in dates.iter().zip(&series.values) {
        match value {
            Some(value) => {
                let at = axes.at(whole((*date - first).num_days()), *value);
                pieces.last_mut().expect("there is one from the start").push(at);
            }
            None => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The last value of each line, at its end. Values that would overlap are moved apart.
fn ends(
    canvas: &Canvas<'_>,
    dates: &[NaiveDate],
    first: NaiveDate,
    series: &[Series],
    axes: &Axes,
) -> Result<(), Failure> {
    let mut ends: Vec<(At, usize, String)> = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let last = dates.iter().zip(&series.values).rev().find_map(|(date, value)| Some((*date, (*value)?)));
        if let Some((date, value)) = last {
            let at = axes.at(whole((date - first).num_days()), value);
            ends.push((at, index, number(value, series.kind)));
        }
    }
    ends.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    let mut free_from = f64::NEG_INFINITY;
    for ((x, y), index, text) in ends {
        let y = y.max(free_from);
        canvas.text(&text, (x + 6.0, y), Anchor::Left, colour(index))?;
        free_from = y + LINE_HEIGHT;
    }
    Ok(())
}

fn up(low: f64, high: f64) -> std::ops::Range<f64> {
    let high = high.max(4.0);
    if starts_above_zero(low, high) {
        // The lines get the upper two thirds, so that changes are visible and the lines do not seem to start at zero.
        let span = (high - low).max(high * 0.04);
        (low - span * 0.6).floor().max(0.0)..high + span * 0.08
    } else {
        low.min(0.0)..high * 1.04
    }
}

fn room_right(series: &[Series]) -> f64 {
    let widest = |series: &Series| {
        let last = series.values.iter().rev().find_map(|value| *value);
        last.map_or(0.0, |value| canvas::text_width(&number(value, series.kind)))
    };
    series.iter().map(widest).fold(0.0, f64::max) + 14.0
}

/// The days that are labelled, counted back from the last one, so that the last one is always labelled.
fn labelled(first: NaiveDate, last: NaiveDate, size: Size) -> Vec<NaiveDate> {
    let days = (last - first).num_days();
    let most = i64::from(size.width) / 88;
    let step = [1, 2, 7, 14, 28, 56, 91, 182, 364]
        .into_iter()
        .find(|step| days / step < most)
        .unwrap_or(days.max(1));
    let mut labelled = Vec::new();
    let mut date = Some(last);
    while let Some(day) = date.filter(|day| *day >= first) {
        labelled.push(day);
        date = day.checked_sub_days(Days::new(step.unsigned_abs()));
    }
    labelled
}

#[expect(clippy::cast_precision_loss, reason = "days of a few years")]
fn whole(days: i64) -> f64 {
    days as f64
}

const LINE_HEIGHT: f64 = 15.0;
