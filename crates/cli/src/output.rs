//! The two channels: results on standard output, messages on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use tamis_app::{DOCUMENT_VERSION, Exit, Failure};
use tamis_source::Patient;

/// A JSON document with the keys that all documents have.
#[derive(Debug, Serialize)]
pub(crate) struct Document<T> {
    tamis: &'static str,
    schema: u32,
    #[serde(flatten)]
    body: T,
}

impl<T> Document<T> {
    pub(crate) fn new(body: T) -> Self {
        Self { tamis: env!("CARGO_PKG_VERSION"), schema: DOCUMENT_VERSION, body }
    }
}

/// The body of a document of a command whose exit code depends on what it found.
#[derive(Debug, Serialize)]
pub(crate) struct Ended<T> {
    #[serde(flatten)]
    body: T,
    /// The code that the process ends with.
    exit: u8,
}

impl<T> Ended<T> {
    pub(crate) fn new(body: T, exit: Exit) -> Self {
        Self { body, exit: exit.code() }
    }
}

/// One sentence for people.
pub(crate) fn say(sentence: impl Display) {
    // If standard error is closed, nobody listens.
    let _ = writeln!(Patient(io::stderr()), "tamis: {sentence}");
}

/// Writes a whole result.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = Patient(io::stdout().lock());
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(|_| ())
}

/// Writes a whole result as one JSON document.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document).expect("plain data serialises");
    text.push('\n');
    print(&text)
}

/// Is there still a reader?
pub(crate) fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Storage, format!("standard output cannot be written: {error}"))),
    }
}
