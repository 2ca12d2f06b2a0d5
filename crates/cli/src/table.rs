//! Tables for people: a heading, a rule, aligned columns two blanks apart. The same text on a terminal and in a file.

use std::fmt::Write;

use console::{measure_text_width, style};

/// Blanks between columns.
const GAP: &str = "  ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Columns and rows of text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
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

    /// Width of every column: the widest of its title and its cells.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let cells = |k: usize| self.rows.iter().map(move |row| measure_text_width(&row[k]));
        let title = |title: &str| title.lines().map(measure_text_width).max().unwrap_or(0);
        self.columns
            .iter()
            .enumerate()
            .map(|(k, (text, _))| cells(k).max().unwrap_or(0).max(title(text)))
            .collect()
    }

    /// Titles, the rule and all rows.
    pub(crate) fn render(&self) -> String {
        let widths = self.widths();
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

    /// One row, with these widths; a wider cell pushes the rest to the right.
    pub(crate) fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut text = String::new();
        for ((cell, &width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let blanks = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            match align {
                Align::Left => text.extend([cell, blanks.as_str(), GAP]),
                Align::Right => text.extend([blanks.as_str(), cell, GAP]),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_whatever_the_characters() {
        let mut table = Table::default().left("line").right("two\nlevels").left("note");
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
}
