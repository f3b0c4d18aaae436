//! Draws a table as a chart: SVG by `plotters`, once wide and once for a phone. The style sheet shows the one that fits. The table below it
//! is the text alternative.

mod axes;
mod bars;
mod canvas;
mod lines;
mod lying;
mod plot;

use maud::{Markup, PreEscaped, html};

use crate::report::Table;
use crate::report::html::escaped::Escaped;
use crate::{Error, Result};

use canvas::Size;
use plot::{Labels, Plot};

/// The width that a chart needs on a wide page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// The whole line.
    Full,
    /// Half of the line, next to another chart.
    Half,
}

/// A table's chart for the page; `None` when the table has no chart, or the chart has no values.
pub(super) fn figure(id: &str, title: &str, table: &Table, width: Width) -> Result<Option<Markup>> {
    let Some(plot) = Plot::of(table)? else { return Ok(None) };
    let wide = match width {
        Width::Full => Size { width: 1060, height: 300 },
        Width::Half => Size { width: 510, height: 290 },
    };
    let narrow = Size { width: 340, height: 250 };
    let description = plot.description();
    let drawn = |class: &str, size: Size| -> Result<Markup> {
        let drawing = plot.draw(size)?;
        let (title_id, text_id) = (format!("{id}-{class}-title"), format!("{id}-{class}-text"));
        Ok(html! {
            svg class=(class) role="img" viewBox=(drawing.view_box) aria-labelledby={ (title_id) " " (text_id) } {
                title id=(title_id) { (Escaped::of(title)) }
                desc id=(text_id) { (Escaped::of(&description)) }
                // Every text in it is escaped by `visible` and by plotters.
                (PreEscaped(drawing.shapes))
            }
        })
    };
    Ok(Some(html! {
        figure {
            @if plot.series.len() > 1 {
                ul.legend aria-hidden="true" {
                    @for (index, series) in plot.series.iter().enumerate() {
                        li class={ "series-" (index + 1) @if plot.is_lines { " line" } } { (Escaped::of(&series.label)) }
                    }
                }
            }
            (drawn("wide", wide)?)
            (drawn("narrow", narrow)?)
            @if let Some(note) = plot.note() { figcaption { (Escaped::of(&note)) } }
        }
    }))
}

impl Plot {
    fn draw(&self, size: Size) -> Result<canvas::Drawing> {
        let drawing = match &self.labels {
            Labels::Dates(dates) if self.is_lines => lines::draw(dates, &self.series, size),
            Labels::Dates(_) => bars::draw(self, size),
            Labels::Names(_) if !self.is_lying && bars::fits(self, size) => bars::draw(self, size),
            Labels::Names(names) => lying::draw(names, &self.series, size),
        };
        drawing.map_err(|e| Error::Bug(format!("a chart could not be drawn: {e}")))
    }
}
