//! The command line: built from the list of commands, parsed with flags > environment > file > default.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;

use clap::{ArgAction, Command};
use tamis_app::{Exit, Failure};

use crate::commands::{self, ALL, CommandEntry, Group};
use crate::origins::Origins;
use crate::{config, output};

/// A command that is ready to run.
pub(crate) type Ready = Box<dyn FnOnce() -> Result<Exit, Failure>>;

/// Command lines (without `tamis`) that show what the program is for.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    ("replay l1-mixed.tmf.zst --menu l1.toml --out out", "run a trigger"),
    ("cat out/l1-mixed-physics-0001.mcap --limit 10", "look at what it kept"),
];

/// Why no command runs.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help, version, or a command line that makes no sense; and the sources of the options that are not on it.
    Clap(clap::Error, Option<String>),
    /// A settings file or a variable cannot be used.
    Failure(Failure),
}

impl Stop {
    /// Tells the user and gives the exit code.
    pub(crate) fn tell(self) -> Exit {
        match self {
            Self::Clap(error, origins) => {
                // A closed pipe is no error here either.
                let _ = error.print();
                if !error.use_stderr() {
                    return Exit::Done;
                }
                origins.into_iter().for_each(output::say);
                Exit::Usage
            }
            Self::Failure(failure) => {
                output::say(&failure);
                failure.exit
            }
        }
    }
}

/// Parses a command line, program name first.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Ready, Stop> {
    let line: Vec<OsString> = line.into_iter().collect();
    let (mut command, file) = config::apply(command(), &line).map_err(Stop::Failure)?;
    let origins = Origins::of(&command, &line, file.as_ref());
    unknown_variables(&command).iter().for_each(output::say);
    let matches = command.try_get_matches_from_mut(line).map_err(|error| match origins.blame(&error) {
        Some(failure) => Stop::Failure(failure),
        None => Stop::Clap(error, origins.told()),
    })?;
    Ok(Box::new(move || commands::run(ALL, &matches).map_err(|failure| origins.named(failure))))
}

/// The whole command line interface.
pub(crate) fn command() -> Command {
    let mut root = Command::new("tamis")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "A software trigger: detector frames in, a menu of lines and models decides, accepted events out",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110);
    for entry in ALL {
        root = root.subcommand(subcommand(entry));
    }
    let groups = groups(&root);
    root.help_template(format!(
        "{{about}}\n\n{{usage-heading}} tamis COMMAND [OPTIONS]\n{groups}\n{{options}}{{after-help}}"
    ))
    .after_help(epilogue())
}

/// A command of the list, with those below it.
fn subcommand(entry: &CommandEntry) -> Command {
    let mut command = (entry.augment)(Command::new(entry.name)).mut_args(from_environment);
    for below in entry.below {
        command = command.subcommand(subcommand(below));
    }
    // A word with commands below it shows an example of each.
    let shown: Vec<(&str, &str)> = match entry.below {
        [] => entry.examples.to_vec(),
        below => below.iter().flat_map(|below| below.examples.first()).copied().collect(),
    };
    command.after_help(examples(&shown)).disable_help_subcommand(true)
}

/// What a variable says of an option without a value.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write 1 or 0".into()),
    }
}

/// Every long option can come from a variable: `--durable` from `TAMIS_DURABLE`. An empty or false-like value leaves a switch off.
fn from_environment(arg: clap::Arg) -> clap::Arg {
    let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else { return arg };
    let variable = format!("TAMIS_{}", long.replace('-', "_").to_uppercase());
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = arg.env(variable).hide_env(true);
    // Shells complete the words that an option takes; its help says more about them than a list could.
    if is_switch { arg.value_parser(switch) } else { arg.hide_possible_values(true) }
}

/// One sentence about each variable `TAMIS_...` that no option of any command reads.
fn unknown_variables(root: &Command) -> Vec<String> {
    let mut known = BTreeSet::new();
    variables(root, &mut known);
    let set = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let unknown = set.filter(|name| name.starts_with("TAMIS_") && !known.contains(name));
    let sentence = |name: String| {
        let near = tamis_form::suggestion(&name, known.iter().map(String::as_str));
        format!("no option reads the variable {name}{near}")
    };
    unknown.map(sentence).collect()
}

/// The variables of a command and of those below it.
fn variables(command: &Command, known: &mut BTreeSet<String>) {
    known.extend(
        command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned())),
    );
    command.get_subcommands().for_each(|below| variables(below, known));
}

/// The commands, by section.
fn groups(root: &Command) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}", heading(group.title()));
        for entry in ALL.iter().filter(|entry| entry.group == group) {
            let about = root.find_subcommand(entry.name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  \x1b[1m{:<12}\x1b[0m {about}", entry.name);
        }
    }
    let _ = write!(text, "\n{}", heading("Options"));
    text
}

fn epilogue() -> String {
    let mut text = format!("{}\n", heading("Exit codes"));
    for exit in Exit::ALL {
        let _ = writeln!(text, "  {:>2}  {}", exit.code(), exit.meaning());
    }
    let _ = write!(text, "\n{}", examples(EXAMPLES));
    text.push_str(
        "\n\nEvery option can come from a variable: --durable from TAMIS_DURABLE.\n`tamis help COMMAND` tells more.",
    );
    text
}

fn examples(examples: &[(&str, &str)]) -> String {
    let lines = examples.iter().map(|(line, what)| format!("  # {what}\n  tamis {line}"));
    format!("{}\n{}", heading("Examples"), lines.collect::<Vec<_>>().join("\n"))
}

/// Marks a heading as clap marks its own; the marks are removed where colours are not wanted.
fn heading(title: &str) -> String {
    format!("\x1b[1m\x1b[4m{title}:\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_text_and_an_example_that_parses() {
        check(ALL, &command());
    }

    fn check(entries: &[CommandEntry], above: &Command) {
        for entry in entries {
            let sub = above.find_subcommand(entry.name).unwrap();
            assert!(sub.get_about().is_some(), "{}", entry.name);
            assert_ne!(entry.below.is_empty(), entry.examples.is_empty(), "{}", entry.name);
            for (line, _) in entry.examples {
                // What a shell may read as a pattern is in quotes.
                let unquoted = |word: &'static str| match word.strip_prefix('\'') {
                    Some(word) => word.strip_suffix('\'').unwrap(),
                    None => {
                        assert!(!word.contains(['[', '*', '?']), "{line}");
                        word
                    }
                };
                let words = line.split_whitespace().take_while(|word| *word != ">").map(unquoted);
                let words = std::iter::once("tamis").chain(words);
                let result = command().try_get_matches_from(words);
                assert!(result.is_ok(), "{line}: {}", result.unwrap_err());
            }
            check(entry.below, sub);
        }
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = command().render_help().to_string();
        assert!(Exit::ALL.iter().all(|exit| help.contains(exit.meaning())));
        assert!(ALL.iter().all(|entry| help.contains(entry.name)));
    }
}
