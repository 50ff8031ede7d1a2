//! Columns of a table that is to fit into a terminal.

/// Widths and header of the columns, right-aligned, a space apart.
pub struct Columns {
    widths: Vec<usize>,
    header: Vec<Vec<String>>,
}

/// A column before it is known how much room there is.
pub struct Column {
    /// Its name; words are apart by `_` or a space.
    pub name: String,
    /// Characters that its longest value takes.
    pub value: usize,
    /// Characters that it has where there is room enough.
    pub wide: usize,
}

impl Columns {
    /// Names in one line where nobody limits it, or where they fit. Otherwise their words stand below each other, and are
    /// cut where that is not enough; the last columns are left out where even the values do not fit.
    pub fn new(columns: &[Column], terminal: Option<usize>) -> Self {
        let wide: Vec<usize> = columns.iter().map(|column| column.wide.max(column.name.chars().count())).collect();
        let Some(limit) = terminal.filter(|limit| total(&wide) >= *limit) else {
            return Self { widths: wide, header: vec![columns.iter().map(|column| column.name.clone()).collect()] };
        };
        let mut columns = columns;
        let values = |columns: &[Column]| total(&columns.iter().map(|column| column.value).collect::<Vec<_>>());
        while values(columns) >= limit
            && let Some((_, others)) = columns.split_last().filter(|(_, others)| !others.is_empty())
        {
            columns = others;
        }
        let longest = |column: &Column| words(&column.name).map(|word| word.chars().count()).max().unwrap_or(0);
        let mut widths: Vec<usize> = columns.iter().map(|column| longest(column).max(column.value)).collect();
        while total(&widths) >= limit {
            // The one with most room to spare gives a character.
            let spare = widths.iter_mut().zip(columns).filter(|(width, column)| **width > column.value);
            let Some((width, _)) = spare.max_by_key(|(width, _)| **width) else { break };
            *width -= 1;
        }
        let stacked = |(column, width): (&Column, &usize)| words(&column.name).map(|word| cut(word, *width)).collect();
        let stacks: Vec<Vec<String>> = columns.iter().zip(&widths).map(stacked).collect();
        let lines = stacks.iter().map(Vec::len).max().unwrap_or_default();
        let line = |number: usize| {
            // The last words stand on one line.
            let word = |stack: &Vec<String>| {
                (number + stack.len()).checked_sub(lines).and_then(|at| stack.get(at)).cloned().unwrap_or_default()
            };
            stacks.iter().map(word).collect()
        };
        Self { header: (0..lines).map(line).collect(), widths }
    }

    /// The lines above the table.
    pub fn header(&self) -> String {
        self.header.iter().map(|line| self.row(line)).collect()
    }

    /// A line of the table; cells beyond its columns are left out.
    pub fn row(&self, cells: &[String]) -> String {
        let cells: Vec<String> =
            cells.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join(" ") + "\n"
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1)
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', ' ']).filter(|word| !word.is_empty())
}

fn cut(word: &str, width: usize) -> String {
    if word.chars().count() <= width {
        return word.to_owned();
    }
    word.chars().take(width.saturating_sub(1)).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(terminal: Option<usize>) -> Columns {
        let column = |name: &str, value| Column { name: name.to_owned(), value, wide: 8 };
        Columns::new(&[column("time s", 6), column("max_vel_x", 5), column("inflation_radius", 5)], terminal)
    }

    #[test]
    fn names_are_whole_where_there_is_room() {
        let whole = "  time s max_vel_x inflation_radius\n";
        assert_eq!(columns(None).header(), whole);
        assert_eq!(columns(Some(36)).header(), whole);
        assert_eq!(columns(None).row(&["1".into(), "2".into(), "3".into()]), "       1         2                3\n");
    }

    #[test]
    fn words_are_stacked_then_cut_then_columns_left_out() {
        assert_eq!(
            columns(Some(30)).header(),
            "         max          \n  time   vel inflation\n     s     x    radius\n"
        );
        assert_eq!(columns(Some(21)).header(), "         max        \n  time   vel inflat.\n     s     x  radius\n");
        assert_eq!(columns(Some(19)).header(), "         max      \n  time   vel infl.\n     s     x radi.\n");
        assert_eq!(columns(Some(18)).row(&["1".into(), "2".into(), "3".into()]), "     1     2\n");
        for limit in 13..60 {
            assert!(columns(Some(limit)).header().lines().all(|line| line.len() < limit), "{limit}");
        }
    }
}
