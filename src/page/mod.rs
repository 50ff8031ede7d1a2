//! Pages that anyone can open: one HTML file that has its pictures, plots and tables in it and loads nothing from anywhere.
//!
//! Everything here goes from data to text. Nothing is read, written or drawn; what is written where is the command line's
//! business.

mod document;
mod finding;
mod interval_chart;
mod number;
mod observations;
mod picture_strip;
mod plot;
mod table;
mod timeline;
mod track_map;

pub use document::Page;
pub use finding::{Finding, Weight};
pub use interval_chart::{IntervalChart, IntervalRow};
pub use number::{counted, short};
pub use picture_strip::Picture;
pub use table::{Cell, Column, Table};
pub use timeline::{Quantity, Timeline};
pub use track_map::{Track, TrackMap, TrackMaps};
