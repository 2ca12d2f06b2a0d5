//! `tamis man`: manual pages, made from the same list as the help.

use clap::Command;
use tamis_app::{Exit, Failure};

use super::{Group, Run};
use crate::output::print;
use crate::{arguments, config};

/// Print a manual page
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command that it is about [default: the page about tamis]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run for Args {
    const NAME: &'static str = "man";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("man replay > tamis-replay.1", "read it with: man ./tamis-replay.1"),
        ("man model info > tamis-model-info.1", "a command below another"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let mut root = arguments::command();
        root.build();
        let mut page = &root;
        for name in &self.command {
            page = below(page, name)?;
        }
        // The page's own name, and the words of its command line.
        let words = [&["tamis".to_string()], &self.command[..]].concat();
        let page = page.clone().name(words.join("-")).bin_name(words.join(" "));
        let mut text = Vec::new();
        let rendered = clap_mangen::Man::new(page).render(&mut text);
        rendered.map_err(|error| Failure::new(Exit::Internal, error))?;
        print(&console::strip_ansi_codes(&String::from_utf8_lossy(&text)))?;
        Ok(Exit::Done)
    }
}

/// The command of this name below another.
fn below<'a>(command: &'a Command, name: &str) -> Result<&'a Command, Failure> {
    let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    command.find_subcommand(name).ok_or_else(|| {
        let hint = if known.is_empty() { String::new() } else { config::suggestion(name, &known) };
        Failure::new(Exit::Usage, format!("there is no command '{name}'{hint}"))
    })
}
