//! What is wrong with a menu, and where.

use std::fmt;

use tamis_event::Schema;

use crate::menu::Menu;

/// Characters of a source line that an error shows.
const EXCERPT_CHARS: usize = 160;
/// Characters of a name from the file that a message repeats.
const QUOTED_CHARS: usize = 80;

/// The kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not TOML.
    Toml,
    /// A key that is missing or that a menu does not have.
    Key,
    /// A value of the wrong type, out of range, or a name that is not allowed or taken.
    Value,
    /// Larger than a limit of [`crate::limits`].
    Limit,
    /// Not an expression.
    Syntax,
    /// Operands that do not fit their operator or function.
    Type,
    /// A field, score, function, stream or kind that does not exist.
    Unknown,
    /// Simulation truth in a condition.
    Truth,
}

/// A mistake in a menu.
///
/// Prints as `place:line:column: message`, followed by the source line and a caret below the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}:{line}:{column}: {message}{excerpt}")]
pub struct MenuError {
    place: String,
    line: usize,
    column: usize,
    fault: Fault,
    message: String,
    excerpt: Excerpt,
}

impl MenuError {
    pub(crate) fn new(place: &str, text: &str, complaint: Complaint) -> Self {
        let mut at = complaint.at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        let column = text[start..at].chars().count();
        Self {
            place: place.into(),
            line: text[..at].matches('\n').count() + 1,
            column: column + 1,
            fault: complaint.fault,
            message: complaint.message,
            excerpt: Excerpt::new(&text[start..end], column),
        }
    }

    /// Line in the file, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in the line in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The kind of mistake.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What is wrong and what to do, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Every mistake that was found in a menu, in the order of the file: at least one, and at most [`ERRORS_MAX`].
#[derive(Debug)]
pub struct MenuErrors {
    errors: Vec<MenuError>,
    /// Those that are left out.
    more: usize,
    /// What could be read of the menu: its conditions can still be checked against a schema.
    readable: Option<Box<Menu>>,
}

/// Mistakes that are told at once.
const ERRORS_MAX: usize = 20;

impl MenuErrors {
    pub(crate) fn new(place: &str, text: &str, complaints: Vec<Complaint>, readable: Option<Menu>) -> Self {
        let errors = complaints.into_iter().map(|complaint| MenuError::new(place, text, complaint));
        Self { errors: errors.collect(), more: 0, readable: readable.map(Box::new) }.sorted()
    }

    /// Adds what is wrong with the conditions that could be read, if the menu could not. Scores are not checked: nobody knows yet which there are.
    #[must_use]
    pub fn with_schema(mut self, schema: &Schema) -> Self {
        if let Some(menu) = self.readable.take() {
            self.errors.extend(menu.errors_with(schema));
        }
        self.sorted()
    }

    /// The mistakes.
    pub fn all(&self) -> &[MenuError] {
        &self.errors
    }

    fn sorted(mut self) -> Self {
        self.errors.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        self.errors.dedup();
        self.more += self.errors.len().saturating_sub(ERRORS_MAX);
        self.errors.truncate(ERRORS_MAX);
        self
    }
}

impl fmt::Display for MenuErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for MenuErrors {}

/// Mistakes on the way: each one is kept, and reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Complaints(pub(crate) Vec<Complaint>);

impl Complaints {
    /// The value, or a complaint more.
    pub(crate) fn take<T>(&mut self, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.0.push(complaint)).ok()
    }
}

/// The line of the file with a caret below the mistake; empty for an empty line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    shown: String,
    caret: usize,
}

impl Excerpt {
    fn new(line: &str, column: usize) -> Self {
        let line = line.trim_end();
        let skip = column.saturating_sub(EXCERPT_CHARS / 2);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = line.chars().skip(skip).take(EXCERPT_CHARS).map(printable).collect();
        Self { caret: column - skip, shown }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shown.is_empty() {
            return Ok(());
        }
        write!(f, "\n  {}\n  {:caret$}^", self.shown, "", caret = self.caret)
    }
}

/// A mistake at a byte of the menu text, before it knows its line and column.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    pub(crate) at: usize,
    pub(crate) fault: Fault,
    pub(crate) message: String,
}

impl Complaint {
    pub(crate) fn new(at: usize, fault: Fault, message: impl Into<String>) -> Self {
        Self { at, fault, message: message.into() }
    }
}

/// `name` in quotation marks, cut to a sane length, without characters that would disturb a terminal.
pub(crate) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(QUOTED_CHARS).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("'{}{dots}'", short.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

/// `; did you mean 'x'?` with the nearest candidate, or nothing if none is near.
pub(crate) fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = candidates.into_iter().map(|c| (strsim::damerau_levenshtein(c, name), c)).min();
    match near {
        Some((distance, near)) if distance <= 1 + name.len() / 4 => format!("; did you mean '{near}'?"),
        _ => String::new(),
    }
}
