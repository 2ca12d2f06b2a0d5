//! `tamis completions`: what a shell needs to complete command lines.

use clap_complete::Shell;
use tamis_app::{Exit, Failure};

use super::{Group, Run};
use crate::arguments;
use crate::output::print;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Run for Args {
    const NAME: &'static str = "completions";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[(
        "completions bash > ~/.local/share/bash-completion/completions/tamis",
        "for bash, from the next shell on",
    )];

    fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut arguments::command(), "tamis", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
