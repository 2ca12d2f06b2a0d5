//! The commands: one file and one word in the lists each. Help, manual pages and completions are made from the list.
//!
//! Commands that belong together (`tamis model info`) stand in a folder with a list of its own; [`Nest`] is the word above them.

mod bench;
mod cat;
mod completions;
mod convert;
mod doctor;
mod r#gen;
mod info;
mod man;
mod model;
mod recover;
mod replay;
mod score;
mod train;
mod verify;
mod version;

use clap::{ArgMatches, Command};
use tamis_app::{Exit, Failure};

use crate::signals::remove_unfinished_on_end;

/// A command, as its file describes it. Its first doc line is what the list of commands says.
pub(crate) trait Run: clap::Args {
    /// The word on the command line.
    const NAME: &'static str;
    /// Where it stands in the help.
    const GROUP: Group;
    /// Command lines (without `tamis`) and what they do.
    const EXAMPLES: &'static [(&'static str, &'static str)];
    /// Does it end in order by itself when a signal asks it to? Any other command ends at once, and leaves no unfinished file.
    const HEARS_SIGNALS: bool = false;

    /// Does it.
    fn run(self) -> Result<Exit, Failure>;
}

/// A word with commands below it.
pub(crate) trait Nest {
    /// The word on the command line.
    const NAME: &'static str;
    /// Where it stands in the help.
    const GROUP: Group;
    /// What the list of commands says.
    const ABOUT: &'static str;
    /// The commands.
    const BELOW: &'static [CommandEntry];
}

/// Sections of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Trigger,
    Data,
    Files,
    Program,
}

impl Group {
    pub(crate) const ALL: [Self; 4] = [Self::Trigger, Self::Data, Self::Files, Self::Program];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Trigger => "Trigger",
            Self::Data => "Data and models",
            Self::Files => "Files",
            Self::Program => "This program",
        }
    }
}

/// A command of the list.
pub(crate) struct CommandEntry {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// The commands of a [`Nest`].
    pub(crate) below: &'static [Self],
    /// Adds options and texts to a command.
    pub(crate) augment: fn(Command) -> Command,
    /// Runs with what was parsed.
    pub(crate) run: fn(&ArgMatches) -> Result<Exit, Failure>,
}

impl CommandEntry {
    const fn of<R: Run>() -> Self {
        Self {
            name: R::NAME,
            group: R::GROUP,
            examples: R::EXAMPLES,
            below: &[],
            augment: R::augment_args,
            run: |matches| match R::from_arg_matches(matches) {
                Ok(arguments) => {
                    if !R::HEARS_SIGNALS {
                        remove_unfinished_on_end();
                    }
                    arguments.run()
                }
                Err(error) => Err(Failure::new(Exit::Usage, error)),
            },
        }
    }

    const fn nest<N: Nest>() -> Self {
        Self {
            name: N::NAME,
            group: N::GROUP,
            examples: &[],
            below: N::BELOW,
            augment: |command| command.about(N::ABOUT).subcommand_required(true).arg_required_else_help(true),
            run: |matches| run(N::BELOW, matches),
        }
    }
}

/// Runs the command of a list that was asked for.
pub(crate) fn run(entries: &[CommandEntry], matches: &ArgMatches) -> Result<Exit, Failure> {
    let (name, matches) = matches.subcommand().expect("a command is required");
    let entry = entries.iter().find(|entry| entry.name == name).expect("commands come from the list");
    (entry.run)(matches)
}

/// `commands!(one, two; nest)`: modules with a command each, and modules with a list of their own. A macro may not make them: formatters look into no
/// macro for files.
macro_rules! commands {
    ($($command:ident),+ $(; $($nest:ident),+)?) => {
        /// Every command, in the order of the help.
        pub(crate) const ALL: &[$crate::commands::CommandEntry] = &[
            $($crate::commands::CommandEntry::of::<$command::Args>(),)+
            $($($crate::commands::CommandEntry::nest::<$nest::Below>(),)+)?
        ];
    };
}

pub(crate) use commands;

commands!(replay, bench, convert, r#gen, train, score, info, cat, verify, recover, doctor, completions, man, version; model);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_lists_are_the_folders() {
        compare(ALL, &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands"));
    }

    fn compare(entries: &[CommandEntry], folder: &Path) {
        let files = std::fs::read_dir(folder).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<String> = files.filter(|name| name != "mod.rs").collect();
        let file = |entry: &CommandEntry| {
            format!("{}{}", entry.name, if entry.below.is_empty() { ".rs" } else { "" })
        };
        assert_eq!(entries.iter().map(file).collect::<BTreeSet<String>>(), files);
        for nest in entries.iter().filter(|entry| !entry.below.is_empty()) {
            compare(nest.below, &folder.join(nest.name));
        }
    }
}
