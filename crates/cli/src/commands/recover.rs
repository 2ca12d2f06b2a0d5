//! `tamis recover`: makes a whole file of what a killed process left.

use std::path::PathBuf;

use tamis_app::{Exit, Failure};

use super::{Group, Run};
use crate::figures;
use crate::output::{Document, Ended, print, print_json, say};

/// Make a whole file of one that was never closed
///
/// A process that is killed leaves its files named .part. Every chunk that reached the disk is brought back, with the menu and the models.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file that was not closed (.mcap.part)
    #[arg(value_name = "PART")]
    part: PathBuf,
    /// The file to write [default: PART without .part]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "recover";
    const GROUP: Group = Group::Files;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("recover out/l1-mixed-physics-0001.mcap.part", "writes out/l1-mixed-physics-0001.mcap"),
        ("recover out/l1-mixed-physics-0001.mcap.part --out saved.mcap --json", "elsewhere, for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let recovery = tamis_app::recover(&self.part, self.out.as_deref())?;
        if self.json {
            print_json(&Document::new(Ended::new(&recovery, recovery.exit())))?;
        } else {
            let events = figures::grouped(recovery.records);
            let size = figures::bytes(recovery.bytes);
            print(&format!("{}: {events} events, {size}\n", recovery.file.display()))?;
            if recovery.lost_bytes > 0 {
                say(format_args!(
                    "{} of {} could not be used",
                    figures::bytes(recovery.lost_bytes),
                    self.part.display()
                ));
            }
        }
        recovery.problems.iter().for_each(say);
        Ok(recovery.exit())
    }
}
