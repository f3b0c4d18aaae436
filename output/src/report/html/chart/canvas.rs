//! The drawing surface: `plotters` with its SVG backend, in pixels of the page.
//!
//! Every colour has a role. A program without style sheets shows the colour of the attribute. The style sheet replaces it with a variable
//! (`[fill="#1F5F99"]`), so one drawing works for light, dark and print.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A failure of the drawing library.
pub(super) type Failure = DrawingAreaErrorKind<std::io::Error>;

/// Size in pixels of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    /// Whether it is the size for phones.
    pub(super) fn is_narrow(self) -> bool {
        self.width < 400
    }
}

/// A finished drawing.
pub(super) struct Drawing {
    pub(super) view_box: String,
    /// Elements without the enclosing `svg` element.
    pub(super) shapes: String,
}

pub(super) const TEXT: RGBColor = RGBColor(0x4A, 0x52, 0x5E);
pub(super) const GRID: RGBColor = RGBColor(0xE3, 0xE6, 0xEA);
pub(super) const AXIS: RGBColor = RGBColor(0x9A, 0xA3, 0xAF);
/// Colours that users with limited colour vision can distinguish (after Okabe and Ito). Lines also differ by their dashes.
pub(super) const SERIES: [RGBColor; 4] = [
    RGBColor(0x1F, 0x5F, 0x99),
    RGBColor(0xB8, 0x54, 0x0B),
    RGBColor(0x0B, 0x7A, 0x68),
    RGBColor(0x7A, 0x4B, 0x94),
];

/// The colour of a series. A fifth series has the first colour again and differs by its dashes.
pub(super) fn colour(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// plotters places everything on whole pixels. With a drawing of twice the size, lines can be on half pixels.
const SCALE: i32 = 2;
const FONT: i32 = 12;
/// The backend divides font sizes by this factor.
const FONT_FACTOR: f64 = 1.24;

/// Draws on a new surface.
pub(super) fn drawing(
    size: Size,
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), Failure>,
) -> Result<Drawing, Failure> {
    let (width, height) = (size.width * SCALE as u32, size.height * SCALE as u32);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let canvas = Canvas { area };
        draw(&canvas)?;
        canvas.area.present()?;
    }
    // The page writes its own `svg` element, with a role and a name.
    let shapes = svg.split_once('>').map_or("", |(_, inner)| inner).trim().trim_end_matches("</svg>");
    Ok(Drawing { view_box: format!("0 0 {width} {height}"), shapes: shapes.replace(">\n", ">") })
}

pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// A point in pixels of the page.
pub(super) type At = (f64, f64);

/// The position of a text relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Right,
    Centre,
}

impl Canvas<'_> {
    pub(super) fn line(&self, points: &[At], colour: RGBColor, width: u32) -> Result<(), Failure> {
        let points: Vec<(i32, i32)> = points.iter().map(|at| scaled(*at)).collect();
        self.area.draw(&PathElement::new(points, colour.stroke_width(width)))
    }

    pub(super) fn bar(&self, from: At, to: At, colour: RGBColor) -> Result<(), Failure> {
        self.area.draw(&Rectangle::new([scaled(from), scaled(to)], colour.filled()))
    }

    pub(super) fn dot(&self, at: At, colour: RGBColor) -> Result<(), Failure> {
        self.area.draw(&Circle::new(scaled(at), 3 * SCALE, colour.filled()))
    }

    /// A text whose vertical centre is at the point.
    pub(super) fn text(&self, text: &str, at: At, anchor: Anchor, colour: RGBColor) -> Result<(), Failure> {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Right => HPos::Right,
            Anchor::Centre => HPos::Center,
        };
        let style = TextStyle::from(("sans-serif", f64::from(FONT * SCALE) * FONT_FACTOR).into_font())
            .color(&colour)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), scaled(at), style))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a pixel of a page")]
pub(super) fn scaled((x, y): At) -> (i32, i32) {
    ((x * f64::from(SCALE)).round() as i32, (y * f64::from(SCALE)).round() as i32)
}

/// Converts a point of the surface to a point of the page.
pub(super) fn unscaled((x, y): (i32, i32)) -> At {
    (f64::from(x) / f64::from(SCALE), f64::from(y) / f64::from(SCALE))
}

/// Approximate width of a text in pixels. The reader's font is not known, so the result is slightly too large.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(|c| if c < '\u{1100}' { 6.8 } else { 13.0 }).sum()
}

/// A text cut to a width, with an ellipsis if it was cut.
pub(super) fn cut(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if text_width(&kept) + text_width(c.encode_utf8(&mut [0; 4])) + 7.0 > width {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}
