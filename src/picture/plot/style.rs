//! Fonts, colours and the finer pixels that plots are drawn in.

use std::sync::OnceLock;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::Page;

/// What plotters says when it gives up.
pub(super) type DrawError = Box<dyn std::error::Error>;

/// Fine pixels in a pixel of the finished picture.
pub(super) const FINE: i32 = 2;

pub(super) const TEXT: RGBColor = RGBColor(32, 38, 46);
pub(super) const MUTED: RGBColor = RGBColor(88, 96, 107);
pub(super) const GROUND: RGBColor = RGBColor(246, 247, 250);
pub(super) const GRID: RGBColor = RGBColor(218, 222, 228);
pub(super) const DEFAULT: RGBColor = RGBColor(136, 144, 156);
pub(super) const PARAMETER: RGBColor = RGBColor(29, 95, 168);
pub(super) const FIRST_VELOCITY: RGBColor = RGBColor(18, 133, 113);
pub(super) const SECOND_VELOCITY: RGBColor = RGBColor(214, 98, 28);

/// Text starts, is centred or ends at its place; vertically it is always centred on it.
pub(super) const LEFT: HPos = HPos::Left;
pub(super) const CENTRE: HPos = HPos::Center;
pub(super) const RIGHT: HPos = HPos::Right;

const FONT: &str = "planner_tuner";

/// Makes the built-in font known to plotters, once. System fonts are never used, so plots look the same everywhere.
pub(super) fn register_fonts() -> Result<(), DrawError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered =
        REGISTERED.get_or_init(|| register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok());
    if *registered { Ok(()) } else { Err("the built-in font cannot be read".into()) }
}

/// A pixel coordinate of the finished picture in fine pixels.
pub(super) fn place(pixel: i32) -> i32 {
    pixel.saturating_mul(FINE)
}

/// How letters look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    size: i32,
    colour: RGBColor,
}

/// Letters of this size, pixels of the finished picture.
pub(super) const fn letters(size: i32, colour: RGBColor) -> Letters {
    Letters { size, colour }
}

/// Writes a line of text; the place in pixels of the finished picture.
pub(super) fn text(
    page: &Page<'_>,
    text: &str,
    (x, y): (i32, i32),
    letters: Letters,
    horizontal: HPos,
) -> Result<(), DrawError> {
    let style = TextStyle::from((FONT, place(letters.size)).into_font())
        .color(&letters.colour)
        .pos(Pos::new(horizontal, VPos::Center));
    Ok(page.draw(&Text::new(text, (place(x), place(y)), style))?)
}

/// Fills a rectangle; corners in fine pixels.
pub(super) fn fill(page: &Page<'_>, corners: [(i32, i32); 2], colour: impl Into<ShapeStyle>) -> Result<(), DrawError> {
    let [from, to] = corners;
    Ok(page.draw(&Rectangle::new([from, to], colour.into()))?)
}
