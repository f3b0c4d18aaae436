//! The frame in which values are drawn: a vertical axis with its grid, and a position for each value.

use std::ops::Range;

use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;

use crate::report::ValueKind;

use super::canvas::{self, AXIS, Anchor, At, Canvas, Failure, GRID, Size, TEXT};
use super::plot::{Series, number};

pub(super) struct Axes {
    plane: Cartesian2d<RangedCoordf64, RangedCoordf64>,
    ticks: Vec<(f64, String)>,
    size: Size,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Axes {
    /// Axes for `across` and `up`. `room_right` is reserved for the text after the last point.
    pub(super) fn new(
        series: &[Series],
        across: Range<f64>,
        up: Range<f64>,
        size: Size,
        room_right: f64,
    ) -> Self {
        let kind = series.first().map_or(ValueKind::Count, |series| series.kind);
        let is_whole = matches!(kind, ValueKind::Count | ValueKind::Days);
        let ticks: Vec<(f64, String)> = RangedCoordf64::from(up.clone())
            .key_points(if size.is_narrow() { 5 } else { 6 })
            .into_iter()
            .filter(|tick| !is_whole || tick.fract() == 0.0)
            .map(|tick| (tick, number(tick, kind)))
            .collect();
        let left = ticks.iter().map(|(_, label)| canvas::text_width(label)).fold(0.0, f64::max) + 10.0;
        let right = f64::from(size.width) - room_right;
        let bottom = f64::from(size.height) - BELOW;
        let (from, to) = (canvas::scaled((left, ABOVE)), canvas::scaled((right, bottom)));
        let plane = Cartesian2d::new(across, up, (from.0..to.0, to.1..from.1));
        Self { plane, ticks, size, left, right, bottom }
    }

    /// The position of a value on the page.
    pub(super) fn at(&self, across: f64, up: f64) -> At {
        canvas::unscaled(self.plane.translate(&(across, up)))
    }

    /// Draws the grid, its labels and the base line.
    pub(super) fn draw(&self, canvas: &Canvas<'_>) -> Result<(), Failure> {
        let ground = self.plane.get_y_range().start;
        for (tick, label) in &self.ticks {
            let (_, y) = self.at(0.0, *tick);
            canvas.line(&[(self.left, y), (self.right, y)], GRID, 2)?;
            canvas.text(label, (self.left - 8.0, y), Anchor::Right, TEXT)?;
        }
        let (_, y) = self.at(0.0, ground);
        canvas.line(&[(self.left, y), (self.right, y)], AXIS, 2)
    }

    /// Draws a label below the base line, inside the drawing.
    pub(super) fn label_below(&self, canvas: &Canvas<'_>, text: &str, x: f64) -> Result<(), Failure> {
        let half = canvas::text_width(text) / 2.0;
        let x = x.clamp(half, (f64::from(self.size.width) - half).max(half));
        canvas.text(text, (x, self.bottom + 15.0), Anchor::Centre, TEXT)
    }
}

/// Room above, so that a label on the highest value is not cut.
const ABOVE: f64 = 18.0;
/// Room below for one line of labels.
const BELOW: f64 = 26.0;
