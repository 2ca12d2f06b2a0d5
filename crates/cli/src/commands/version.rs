//! `tamis version`: which program this is.

use tamis_app::{Exit, Failure};

use super::{Group, Run};
use crate::output::print;

/// Print the version
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Run for Args {
    const NAME: &'static str = "version";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[("version", "the same as --version")];

    fn run(self) -> Result<Exit, Failure> {
        print(concat!("tamis ", env!("CARGO_PKG_VERSION"), "\n"))?;
        Ok(Exit::Done)
    }
}
