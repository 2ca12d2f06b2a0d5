//! A settings file for `replay`: its keys are the long options, with `-` or `_` between words. It sets what neither the command line nor a variable
//! sets.
//!
//! ```toml
//! menu = "menus/l1.toml"
//! out = "out"
//! workers = 4
//! model = ["topo=models/topo-2", "anomaly=models/anomaly-2"]
//! ```

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use tamis_app::{Exit, Failure};
use toml::Value;

use crate::origins::Applied;

/// The command whose options a file can set.
const COMMAND: &str = "replay";
/// The option that names the file.
const OPTION: &str = "config";

/// Turns the keys of the settings file that `line` names, if any, into defaults, and returns them.
pub(crate) fn apply(root: Command, line: &[OsString]) -> Result<(Command, Option<Applied>), Failure> {
    // Errors of the line itself are for the real parser.
    let Ok(matches) = root.clone().ignore_errors(true).try_get_matches_from(line) else {
        return Ok((root, None));
    };
    let path = matches
        .subcommand_matches(COMMAND)
        .and_then(|matches| matches.try_get_one::<std::path::PathBuf>(OPTION).ok()?);
    match path {
        Some(path) => defaults(root, path).map(|(root, applied)| (root, Some(applied))),
        None => Ok((root, None)),
    }
}

fn defaults(mut root: Command, path: &Path) -> Result<(Command, Applied), Failure> {
    let mut applied = Applied { file: path.into(), keys: Vec::new() };
    let bad = |message: String| Failure::new(Exit::Settings, format!("{}: {message}", path.display()));
    let text =
        tamis_app::read_text(path).map_err(|error| bad(format!("the settings cannot be read: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at].matches('\n').count() + 1;
        let remedy = tamis_event::unquoted(&text, at);
        bad(format!("line {line}: {}", remedy.as_deref().unwrap_or(error.message())))
    })?;
    let mut mistakes = Vec::new();
    for (key, value) in table {
        let Some(values) = words(&value) else {
            mistakes.push(format!("'{key}' must be a text, a number, a truth value or a list of texts"));
            continue;
        };
        let sub = root.find_subcommand(COMMAND).expect("the command is in the list");
        let option = key.replace('_', "-");
        let options = sub.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg.get_id().clone())));
        let options: Vec<(&str, clap::Id)> =
            options.filter(|(long, _)| !["help", OPTION].contains(long)).collect();
        let Some((_, id)) = options.iter().find(|(long, _)| *long == option) else {
            let known: Vec<&str> = options.iter().map(|(long, _)| *long).collect();
            mistakes.push(format!("unknown setting '{key}'{}", suggestion(&option, &known)));
            continue;
        };
        let id = id.clone();
        applied.keys.push((option, key, values.join(", ")));
        root = root
            .mut_subcommand(COMMAND, |sub| sub.mut_arg(id, |arg| arg.required(false).default_values(values)));
    }
    if mistakes.is_empty() { Ok((root, applied)) } else { Err(bad(mistakes.join("; and "))) }
}

/// The words that a value would be on the command line.
fn words(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Float(number) => vec![number.to_string()],
        Value::Boolean(truth) => vec![truth.to_string()],
        Value::Array(items) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_string));
            texts.collect::<Option<Vec<_>>>()?
        }
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// `; did you mean 'x'?`, or everything that is known.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match tamis_form::suggestion(word, known.iter().copied()) {
        none if none.is_empty() => format!("; known are {}", known.join(", ")),
        near => near,
    }
}
