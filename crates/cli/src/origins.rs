//! Options that the command line does not give: they come from variables, or from a settings file. A message about one of them names its place.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use tamis_app::{Exit, Failure};

/// A settings file and what it says.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) file: PathBuf,
    /// Long option, key, value.
    pub(crate) keys: Vec<(String, String, String)>,
}

/// An option from elsewhere.
#[derive(Debug)]
struct Origin {
    long: String,
    value: String,
    /// `TAMIS_WORKERS`, or `run.toml: 'workers'`.
    place: String,
}

/// All of them, for the command that a line asks for.
#[derive(Debug)]
pub(crate) struct Origins(Vec<Origin>);

impl Origins {
    /// The options of a command that `line` does not set.
    pub(crate) fn of(root: &Command, line: &[OsString], file: Option<&Applied>) -> Self {
        let words: Vec<&str> = line.iter().skip(1).filter_map(|word| word.to_str()).collect();
        let mut command = root;
        for word in &words {
            command = command.find_subcommand(word).unwrap_or(command);
        }
        let is_given = |long: &str| {
            words
                .iter()
                .any(|word| word.strip_prefix("--").and_then(|word| word.split('=').next()) == Some(long))
        };
        let options = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg.get_env()?)));
        let origin = |(long, variable): (&str, &std::ffi::OsStr)| {
            let key = || {
                let file = file?;
                let (_, key, value) = file.keys.iter().find(|(name, _, _)| name == long)?;
                let place = format!("{}: '{key}'", file.file.display());
                Some(Origin { long: long.into(), value: value.clone(), place })
            };
            let from_variable = std::env::var_os(variable).map(|value| Origin {
                long: long.into(),
                value: value.to_string_lossy().into_owned(),
                place: variable.to_string_lossy().into_owned(),
            });
            from_variable.or_else(key)
        };
        Self(options.filter(|(long, _)| !is_given(long)).filter_map(origin).collect())
    }

    /// The failure for an error of the parser, if a value from elsewhere caused it.
    pub(crate) fn blame(&self, error: &Error) -> Option<Failure> {
        let text = |kind: ContextKind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        // `--workers <N>`
        let long = text(ContextKind::InvalidArg)?.strip_prefix("--")?.split([' ', '=']).next()?;
        let Origin { value, place, .. } = self.0.iter().find(|origin| origin.long == long)?;
        if value.is_empty() {
            let message = format!("{place} is empty: give --{long} a value there, or leave it out");
            return Some(Failure::new(Exit::Settings, message));
        }
        let why = match error.kind() {
            ErrorKind::ValueValidation => std::error::Error::source(error)?.to_string(),
            ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) => format!("use {}", words.join(", ")),
                _ => return None,
            },
            _ => return None,
        };
        Some(Failure::new(Exit::Settings, format!("{place} is '{value}': {why}")))
    }

    /// One sentence that names every option from elsewhere, for an error that any of them may have caused.
    pub(crate) fn told(&self) -> Option<String> {
        let told = self.0.iter().map(Origin::told).collect::<Vec<_>>();
        (!told.is_empty()).then(|| format!("not from the command line: {}", told.join(", ")))
    }

    /// The failure of a command, with the places of the options that it mentions.
    pub(crate) fn named(&self, mut failure: Failure) -> Failure {
        if !matches!(failure.exit, Exit::Usage | Exit::Settings | Exit::Input | Exit::Storage) {
            return failure;
        }
        let message = &failure.message;
        let spoken_of = |origin: &&Origin| {
            message.contains(&origin.value) && origin.value.len() > 1
                || message.contains(origin.long.trim_end_matches('s'))
        };
        let told: Vec<String> = self.0.iter().filter(spoken_of).map(Origin::told).collect();
        if !told.is_empty() {
            failure.message = format!("{message} (not from the command line: {})", told.join(", "));
        }
        failure
    }
}

impl Origin {
    fn told(&self) -> String {
        format!("--{} {} ({})", self.long, self.value, self.place)
    }
}
