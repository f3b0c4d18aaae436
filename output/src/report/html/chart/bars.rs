//! Vertical bars, in one group per row.

use super::axes::Axes;
use super::canvas::{self, Anchor, Drawing, Failure, Size, TEXT, colour};
use super::plot::{Labels, Plot, bounds, number};

/// Whether every name has enough room below its bars. Otherwise the bars are horizontal.
pub(super) fn fits(plot: &Plot, size: Size) -> bool {
    let Labels::Names(names) = &plot.labels else { return true };
    let room = (f64::from(size.width) - SIDES) / count(names.len());
    names.iter().all(|name| canvas::text_width(name) + 6.0 <= room)
}

pub(super) fn draw(plot: &Plot, size: Size) -> Result<Drawing, Failure> {
    let texts: Vec<String> = match &plot.labels {
        Labels::Dates(dates) => dates.iter().map(|date| date.format("%-d %b").to_string()).collect(),
        Labels::Names(names) => names.clone(),
    };
    let (low, high) = bounds(&plot.series);
    let up = low.min(0.0)..high.max(4.0) * 1.04;
    let axes = Axes::new(&plot.series, 0.0..count(texts.len()), up, size, 6.0);
    let group = (axes.right - axes.left) / count(texts.len());
    // Bars take 72 % of the width of a group. Bars of one group touch.
    let width = group * 0.72 / count(plot.series.len());
    let is_written = is_written(plot, width);
    let every = every(&texts, group);
    canvas::drawing(size, |canvas| {
        axes.draw(canvas)?;
        for (row, text) in texts.iter().enumerate() {
            let (middle, _) = axes.at(count(row) + 0.5, 0.0);
            for (index, series) in plot.series.iter().enumerate() {
                let Some(value) = series.values[row] else { continue };
                let x = middle - group * 0.36 + width * count(index);
                let ((_, ground), (_, top)) = (axes.at(0.0, 0.0), axes.at(0.0, value));
                canvas.bar((x, top.min(ground)), (x + width - 0.5, top.max(ground)), colour(index))?;
                if is_written {
                    let text = number(value, series.kind);
                    canvas.text(&text, (x + width / 2.0, top - 8.0), Anchor::Centre, TEXT)?;
                }
            }
            // Counted from the last label, so that the last one is always written.
            if (texts.len() - 1 - row).is_multiple_of(every) {
                axes.label_below(canvas, text, middle)?;
            }
        }
        Ok(())
    })
}

/// Whether each bar is wide enough for its value above it.
fn is_written(plot: &Plot, width: f64) -> bool {
    let room = if plot.series.len() == 1 { width * 1.35 } else { width };
    plot.series.iter().all(|series| {
        series.values.iter().flatten().all(|value| canvas::text_width(&number(*value, series.kind)) <= room)
    })
}

/// Each, every second or every third label, so that labels do not touch.
fn every(texts: &[String], group: f64) -> usize {
    let widest = texts.iter().map(|text| canvas::text_width(text)).fold(0.0, f64::max) + 10.0;
    (1..texts.len().max(2)).find(|every| group * count(*every) >= widest).unwrap_or(texts.len().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "rows of a drawing")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// Approximate width of the axis and its margin.
const SIDES: f64 = 50.0;
