//! What is wrong with a file, and where.

use std::fmt;

/// Most characters of a source line that an error shows.
const EXCERPT_CHARS: usize = 160;
/// Most characters of a name from the file that a message repeats.
const QUOTED_CHARS: usize = 80;

/// The kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MistakeKind {
    /// Not TOML.
    Toml,
    /// A missing or unknown key.
    Key,
    /// A value of the wrong type, out of range, or a name that is not allowed or taken.
    Value,
    /// Something beyond a limit.
    Limit,
    /// A syntax error in an expression.
    Syntax,
    /// Operands that do not fit their operator or function.
    Type,
    /// A name of something that does not exist.
    Unknown,
    /// Simulation truth where only data is allowed.
    Truth,
}

/// A mistake in a file.
///
/// Prints as `place:line:column: message`, followed by the source line and a caret below the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}:{line}:{column}: {message}{excerpt}")]
pub struct Mistake {
    place: String,
    line: usize,
    column: usize,
    fault: MistakeKind,
    message: String,
    excerpt: Excerpt,
}

impl Mistake {
    /// Turns a complaint about `text` into a mistake; `place` is the name of the file in messages.
    pub fn new(place: &str, text: &str, complaint: Complaint) -> Self {
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
    pub fn fault(&self) -> MistakeKind {
        self.fault
    }

    /// What is wrong and what to do, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The mistakes that were found in a file, in file order; the first 20 are kept and the others counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    told: Vec<Mistake>,
    /// The number of mistakes left out.
    more: usize,
}

/// Most mistakes that are reported at once.
const MISTAKES_MAX: usize = 20;

impl Mistakes {
    /// Turns complaints about `text` into mistakes; `place` is the name of the file in messages.
    pub fn new(place: &str, text: &str, complaints: Complaints) -> Self {
        let mistakes = complaints.0.into_iter().map(|complaint| Mistake::new(place, text, complaint));
        Self { told: mistakes.collect(), more: 0 }.sorted()
    }

    /// The mistakes, at most 20, in file order.
    pub fn all(&self) -> &[Mistake] {
        &self.told
    }

    /// Adds other mistakes about the same file.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = Mistake>) -> Self {
        self.told.extend(others);
        self.sorted()
    }

    fn sorted(mut self) -> Self {
        self.told.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        self.told.dedup();
        self.more += self.told.len().saturating_sub(MISTAKES_MAX);
        self.told.truncate(MISTAKES_MAX);
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.told.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects complaints while reading goes on.
#[derive(Debug, Default)]
pub struct Complaints(pub Vec<Complaint>);

impl Complaints {
    /// Returns the value, or keeps the complaint and returns `None`.
    pub fn take<T>(&mut self, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.0.push(complaint)).ok()
    }

    /// Adds a complaint.
    pub fn add(&mut self, at: usize, fault: MistakeKind, message: impl Into<String>) {
        self.0.push(Complaint::new(at, fault, message));
    }
}

/// The source line with a caret below the mistake; nothing for an empty line.
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

/// A mistake at a byte of the text, before line and column are known.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// Byte offset in the text.
    pub at: usize,
    /// The kind of mistake.
    pub fault: MistakeKind,
    /// What is wrong and what to do.
    pub message: String,
}

impl Complaint {
    /// A mistake at the byte `at`.
    pub fn new(at: usize, fault: MistakeKind, message: impl Into<String>) -> Self {
        Self { at, fault, message: message.into() }
    }
}

/// `name` in quotation marks, shortened to 80 characters, without characters that would disturb a terminal.
pub fn quoted(name: &str) -> String {
    let short: String = name.chars().take(QUOTED_CHARS).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("'{}{dots}'", short.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

/// `; did you mean 'x'?` with the nearest candidate ([`tamis_event::nearest_word`]), or nothing if none is near.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    tamis_event::nearest_word(name, candidates)
        .map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}
