//! Tables that sort by a click on a column's head.

use maud::{Markup, Render, html};

use super::number::place;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: String,
    is_number: bool,
}

impl Column {
    /// Of words.
    pub fn words(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_number: false }
    }

    /// Of numbers, which are sorted as such; what is none comes last.
    pub fn numbers(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_number: true }
    }
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    target: Option<String>,
    stands_out: bool,
}

impl Cell {
    /// Of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), target: None, stands_out: false }
    }

    /// Drawn so that it is seen.
    pub fn standing_out(self, stands_out: bool) -> Self {
        Self { stands_out, ..self }
    }

    /// Leads to a moment of the page's timeline with which something begins.
    pub fn at_moment(self, moment: usize) -> Self {
        Self { target: Some(format!("m{moment}")), ..self }
    }

    /// Leads to the picture of a moment.
    pub(super) fn at_picture(self, moment: usize) -> Self {
        Self { target: Some(format!("f{moment}")), ..self }
    }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        html! {
            td class=[self.stands_out.then_some("out")] {
                @match &self.target {
                    Some(target) => a href={ "#" (target) } { (self.text) },
                    None => (self.text),
                }
            }
        }
    }
}

/// Where a row stands in a timeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowPlace {
    pub(super) moment: usize,
    /// From the left, 0 to 1.
    pub(super) share: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    cells: Vec<Cell>,
    place: Option<RowPlace>,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    heading: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    note: String,
}

impl Table {
    /// Most rows that a page has: beyond it, browsers and readers give up.
    pub const MOST_ROWS: usize = 2000;

    /// A table without rows.
    pub fn new(heading: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { heading: heading.into(), columns, rows: Vec::new(), note: String::new() }
    }

    /// Says something above the rows, such as which of them were left out.
    pub fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Adds a row.
    pub fn push(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { cells, place: None });
    }

    /// Adds a row that belongs to a moment of the page's timeline.
    pub(super) fn push_moment(&mut self, place: RowPlace, cells: Vec<Cell>) {
        self.rows.push(Row { cells, place: Some(place) });
    }

    fn row(&self, row: &Row) -> Markup {
        let cells = html! { @for cell in &row.cells { (cell) } };
        html! {
            @match &row.place {
                Some(RowPlace { moment, share }) => tr id={ "m" (moment) } data-m=(moment) data-x=(place(*share)) { (cells) },
                None => tr { (cells) },
            }
        }
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            section.table {
                h2 { (self.heading) }
                @if !self.note.is_empty() { p.note { (self.note) } }
                div.rows tabindex="0" aria-label=(self.heading) {
                    table {
                        thead {
                            tr {
                                @for column in &self.columns {
                                    th scope="col" aria-sort="none" data-number[column.is_number] {
                                        button type="button" { (column.name) }
                                    }
                                }
                            }
                        }
                        tbody { @for row in &self.rows { (self.row(row)) } }
                    }
                }
            }
        }
    }
}
