//! `tamis man`: manual pages, made from the same list as the help.

use tamis_app::{Exit, Failure};

use super::{Group, Run};
use crate::output::print;
use crate::{arguments, config};

/// Print a manual page
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command that it is about [default: the page about tamis]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Run for Args {
    const NAME: &'static str = "man";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] =
        &[("man replay > tamis-replay.1", "read it with: man ./tamis-replay.1")];

    fn run(self) -> Result<Exit, Failure> {
        let mut root = arguments::command();
        root.build();
        let page = match &self.command {
            None => root,
            Some(name) => {
                let known: Vec<&str> = super::ALL.iter().map(|entry| entry.name).collect();
                let unknown = || format!("there is no command '{name}'{}", config::suggestion(name, &known));
                let found = root.find_subcommand(name).ok_or_else(|| Failure::new(Exit::Usage, unknown()))?;
                // The page's own name, and the words of its command line.
                found.clone().name(format!("tamis-{name}")).bin_name(format!("tamis {name}"))
            }
        };
        let mut text = Vec::new();
        let rendered = clap_mangen::Man::new(page).render(&mut text);
        rendered.map_err(|error| Failure::new(Exit::Internal, error))?;
        print(&console::strip_ansi_codes(&String::from_utf8_lossy(&text)))?;
        Ok(Exit::Done)
    }
}
