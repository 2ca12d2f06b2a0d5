//! The commands: one file and one word in the list each. Help, manual pages and completions are made from the list.

use clap::{ArgMatches, Command};
use tamis_app::{Exit, Failure};

/// A command, as its file describes it. Its first doc line is what the list of commands says.
pub(crate) trait Run: clap::Args {
    /// The word on the command line.
    const NAME: &'static str;
    /// Where it stands in the help.
    const GROUP: Group;
    /// Command lines (without `tamis`) and what they do.
    const EXAMPLES: &'static [(&'static str, &'static str)];

    /// Does it.
    fn run(self) -> Result<Exit, Failure>;
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
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Adds options and texts to a command.
    pub(crate) augment: fn(Command) -> Command,
    /// Runs with what was parsed.
    pub(crate) run: fn(&ArgMatches) -> Result<Exit, Failure>,
}

impl Entry {
    const fn of<R: Run>() -> Self {
        Self {
            name: R::NAME,
            group: R::GROUP,
            examples: R::EXAMPLES,
            augment: R::augment_args,
            run: |matches| match R::from_arg_matches(matches) {
                Ok(arguments) => arguments.run(),
                Err(error) => Err(Failure::new(Exit::Usage, error)),
            },
        }
    }
}

macro_rules! commands {
    ($($command:ident),+ $(,)?) => {
        $(mod $command;)+
        /// Every command, in the order of the help.
        pub(crate) const ALL: &[Entry] = &[$(Entry::of::<$command::Args>()),+];
    };
}

commands!(replay, bench, convert, r#gen, train, info, cat, verify, recover, completions, man);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands")).unwrap();
        let files = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<String> = files.filter(|name| name != "mod.rs").collect();
        let names: BTreeSet<String> = ALL.iter().map(|entry| format!("{}.rs", entry.name)).collect();
        assert_eq!(names, files);
    }
}
