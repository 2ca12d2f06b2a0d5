//! Tables for people: a heading, a rule, aligned columns two blanks apart.
//!
//! The same text on a terminal and in a file, except that on a terminal words in the last column wrap if it is too narrow. Sentences wrap
//! in a file, too ([`TextTable::render_wrapped`]).

use std::fmt::Write;

use console::{Term, measure_text_width, style};

/// Blanks between columns.
const GAP: &str = "  ";
/// The last column is not made narrower than this.
const LAST_WIDTH_MIN: usize = 16;

/// Width of a table with long sentences where there is no terminal.
const WRAPPED_WIDTH: usize = 120;

/// Columns of the terminal on standard output, if it is one.
pub(crate) fn terminal_width() -> Option<usize> {
    Term::stdout().size_checked().map(|(_, columns)| columns.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Columns and rows of text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextTable {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// Appends a column of words. Its title may have several lines.
    pub(crate) fn left(mut self, title: impl Into<String>) -> Self {
        self.columns.push((title.into(), Align::Left));
        self
    }

    /// Appends a column of numbers.
    pub(crate) fn right(mut self, title: impl Into<String>) -> Self {
        self.columns.push((title.into(), Align::Right));
        self
    }

    /// Appends a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The columns alone.
    pub(crate) fn without_rows(self) -> Self {
        Self { rows: Vec::new(), ..self }
    }

    /// Width of every column: the widest of its title and its cells. In a room that is too narrow, a last column of words gives way.
    pub(crate) fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let cells = |k: usize| self.rows.iter().map(move |row| measure_text_width(&row[k]));
        let title = |title: &str| title.lines().map(measure_text_width).max().unwrap_or(0);
        let columns = self.columns.iter().enumerate();
        let mut widths: Vec<usize> =
            columns.map(|(k, (text, _))| cells(k).max().unwrap_or(0).max(title(text))).collect();
        let total = total_width(&widths);
        if let (Some(room), Some(last), Some((_, Align::Left))) =
            (room, widths.last_mut(), self.columns.last())
        {
            *last = last.saturating_sub(total.saturating_sub(room)).max(LAST_WIDTH_MIN.min(*last));
        }
        widths
    }

    /// Titles, the rule and all rows.
    pub(crate) fn render(&self) -> String {
        self.render_within(terminal_width())
    }

    /// The same with long sentences in the last column, which wrap in a file, too.
    pub(crate) fn render_wrapped(&self) -> String {
        self.render_within(Some(terminal_width().unwrap_or(WRAPPED_WIDTH)))
    }

    fn render_within(&self, room: Option<usize>) -> String {
        let widths = self.widths(room);
        let mut text = self.heading(&widths);
        self.rows.iter().for_each(|row| text.push_str(&self.line(row, &widths)));
        text
    }

    /// Titles and the rule. Titles of fewer lines stand at the bottom.
    pub(crate) fn heading(&self, widths: &[usize]) -> String {
        let height = self.columns.iter().map(|(title, _)| title.lines().count()).max().unwrap_or(0);
        let mut text = String::new();
        for level in 0..height {
            let cell = |(title, _): &(String, Align)| {
                let skip = height - title.lines().count();
                level.checked_sub(skip).and_then(|k| title.lines().nth(k)).unwrap_or_default().to_string()
            };
            let cells: Vec<String> = self.columns.iter().map(cell).collect();
            let line = self.line(&cells, widths);
            let _ = writeln!(text, "{}", style(line.trim_end()).bold());
        }
        // A column without a title holds remarks and needs no rule.
        let titles = self.columns.iter().map(|(title, _)| title);
        let rule: Vec<String> = titles
            .zip(widths)
            .map(|(title, &width)| if title.is_empty() { String::new() } else { "─".repeat(width) })
            .collect();
        let _ = writeln!(text, "{}", style(rule.join(GAP).trim_end()).dim());
        text
    }

    /// One row, with these widths. A wider cell pushes the rest to the right; words in the last column go on below.
    pub(crate) fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut rest = Vec::new();
        let mut text = String::new();
        for (k, ((cell, &width), (_, align))) in cells.iter().zip(widths).zip(&self.columns).enumerate() {
            let mut cell = cell.clone();
            if k + 1 == self.columns.len() && *align == Align::Left {
                let mut lines = wrapped(&cell, width).into_iter();
                cell = lines.next().unwrap_or_default();
                rest = lines.collect();
            }
            let blanks = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            match align {
                Align::Left => text.extend([&cell, blanks.as_str(), GAP]),
                Align::Right => text.extend([blanks.as_str(), &cell, GAP]),
            }
        }
        text.truncate(text.trim_end().len());
        let indent = total_width(widths) - widths.last().copied().unwrap_or(0);
        rest.into_iter().for_each(|line| text.extend(["\n", &" ".repeat(indent), &line]));
        text.push('\n');
        text
    }
}

/// Width of a whole line.
pub(crate) fn total_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Words in lines of at most `width`; a longer word has its own line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= width => {
                line.extend([" ", word]);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_whatever_the_characters() {
        let mut table = TextTable::default().left("line").right("two\nlevels").left("note");
        table.row(["a".into(), "1,000".into(), "±".into()]);
        table.row(["bcdefg".into(), "7 ± 1".into()]);
        let lines: Vec<String> =
            console::strip_ansi_codes(&table.render()).lines().map(str::to_string).collect();
        assert_eq!(
            lines,
            [
                "           two",
                "line    levels  note",
                "──────  ──────  ────",
                "a        1,000  ±",
                "bcdefg   7 ± 1",
            ]
        );
    }

    #[test]
    fn remarks_wrap_where_there_is_no_room() {
        let mut table = TextTable::default().left("field").left("");
        table.row(["met.pt".into(), "missing transverse energy of the event".into()]);
        table.row(["n".into(), "a-single-word-that-is-too-long".into()]);
        let text = table.render_within(Some(30));
        let lines: Vec<String> = console::strip_ansi_codes(&text).lines().map(str::to_string).collect();
        assert_eq!(
            lines,
            [
                "field",
                "──────",
                "met.pt  missing transverse",
                "        energy of the event",
                "n       a-single-word-that-is-too-long",
            ]
        );
        assert_eq!(table.render_within(None).lines().count(), 4);
    }
}
