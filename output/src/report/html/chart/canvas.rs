//! The surface: `plotters` with its SVG backend, in pixels of the page.
//!
//! Every colour stands for a role. As an attribute it is what a program without style sheets shows; the style sheet replaces
//! it by a variable (`[fill="#1F5F99"]`), which is how one drawing serves light, dark and print.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A failure of the drawing library.
pub(super) type Failure = DrawingAreaErrorKind<std::io::Error>;

/// In pixels of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    /// Whether it is the one for phones.
    pub(super) fn is_narrow(self) -> bool {
        self.width < 400
    }
}

/// What was drawn.
pub(super) struct Drawing {
    pub(super) view_box: String,
    /// Elements without the `svg` around them.
    pub(super) shapes: String,
}

pub(super) const TEXT: RGBColor = RGBColor(0x4A, 0x52, 0x5E);
pub(super) const GRID: RGBColor = RGBColor(0xE3, 0xE6, 0xEA);
pub(super) const AXIS: RGBColor = RGBColor(0x9A, 0xA3, 0xAF);
/// Told apart by people who see fewer colours (after Okabe and Ito), and by dashes where they are lines.
pub(super) const SERIES: [RGBColor; 4] = [
    RGBColor(0x1F, 0x5F, 0x99),
    RGBColor(0xB8, 0x54, 0x0B),
    RGBColor(0x0B, 0x7A, 0x68),
    RGBColor(0x7A, 0x4B, 0x94),
];

/// The colour of a series; a fifth takes the first again, and its dashes tell.
pub(super) fn colour(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// plotters places everything on whole pixels: drawn twice as large, lines lie on halves.
const SCALE: i32 = 2;
const FONT: i32 = 12;
/// The backend writes sizes divided by this.
const FONT_FACTOR: f64 = 1.24;

/// Draws into a new surface.
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

/// Where a text stands to its point.
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

    /// A text whose middle height is at the point.
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

/// The point of the page that a point of the surface is.
pub(super) fn unscaled((x, y): (i32, i32)) -> At {
    (f64::from(x) / f64::from(SCALE), f64::from(y) / f64::from(SCALE))
}

/// About how wide a text is, in pixels: nobody knows the reader's font, so a little too wide.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(|c| if c < '\u{1100}' { 6.8 } else { 13.0 }).sum()
}

/// A text cut to a width, with the sign that it was.
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
