//! Horizontal bars, one row each: for rankings, and for names that are too long for a vertical bar.

use super::bars::count;
use super::canvas::{self, AXIS, Anchor, Drawing, Failure, Size, TEXT, colour};
use super::plot::{Series, bounds, number};

pub(super) fn draw(names: &[String], series: &[Series], size: Size) -> Result<Drawing, Failure> {
    let (_, high) = bounds(series);
    let width = f64::from(size.width);
    // On a phone the name is above its bar, elsewhere in front of it.
    let widest = names.iter().map(|name| canvas::text_width(name)).fold(0.0, f64::max);
    let left = if size.is_narrow() { 1.0 } else { (widest + 10.0).min(width * 0.4) };
    let values =
        series.iter().flat_map(|series| series.values.iter().flatten().map(|v| number(*v, series.kind)));
    let right = width - values.map(|text| canvas::text_width(&text)).fold(0.0, f64::max) - 8.0;
    let above = if size.is_narrow() { LINE } else { 0.0 };
    let row_height = above + BAR * count(series.len()) + GAP;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a page")]
    let size = Size { height: (row_height * count(names.len()) + GAP).ceil() as u32, ..size };
    canvas::drawing(size, |canvas| {
        for (row, name) in names.iter().enumerate() {
            let top = GAP + row_height * count(row);
            if above > 0.0 {
                canvas.text(&canvas::cut(name, width), (left, top + LINE / 2.0 - 1.0), Anchor::Left, TEXT)?;
            } else {
                let middle = top + BAR * count(series.len()) / 2.0;
                canvas.text(&canvas::cut(name, left - 10.0), (left - 8.0, middle), Anchor::Right, TEXT)?;
            }
            for (index, series) in series.iter().enumerate() {
                let Some(value) = series.values[row] else { continue };
                let from = top + above + BAR * count(index);
                let share = if high > 0.0 { (value / high).clamp(0.0, 1.0) } else { 0.0 };
                let end = left + (right - left) * share;
                canvas.bar((left, from), (end, from + BAR - 1.0), colour(index))?;
                let text = number(value, series.kind);
                canvas.text(&text, (end + 6.0, from + BAR / 2.0), Anchor::Left, TEXT)?;
            }
        }
        let height = f64::from(size.height);
        canvas.line(&[(left, 0.0), (left, height)], AXIS, 2)
    })
}

const BAR: f64 = 17.0;
const GAP: f64 = 9.0;
const LINE: f64 = 17.0;
