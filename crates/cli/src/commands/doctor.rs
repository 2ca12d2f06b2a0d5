//! `tamis doctor`: what is here to run models with, and what could stand in the way.

use std::path::PathBuf;

use tamis_app::{Doctor, Exit, Failure};

use super::{Group, Run};
use crate::figures::{bytes, grouped};
use crate::output::{Document, print, print_json, say};
use crate::table::TextTable;

/// Show the engines that are here, and what the machine is like
///
/// Add this to a report of something that does not work.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder whose free space is shown: where runs would write
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "doctor";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] =
        &[("doctor", "which engines are there?"), ("doctor --out /data/run7 --json", "for a program")];

    fn run(self) -> Result<Exit, Failure> {
        let doctor = tamis_app::doctor(&self.out);
        if self.json {
            print_json(&Document::new(&doctor))?;
        } else {
            print(&render(&doctor))?;
        }
        doctor.advice.iter().for_each(say);
        Ok(Exit::Done)
    }
}

fn render(doctor: &Doctor) -> String {
    let mut engines = TextTable::default().left("Engine").left("compiled in").left("found").left("");
    let word = |is: bool| if is { "yes" } else { "no" }.to_string();
    for engine in &doctor.engines {
        engines.row([engine.name.clone(), word(engine.compiled), word(engine.found), engine.about.clone()]);
    }
    let mut machine = TextTable::default().left("Machine").left("");
    let mut row = |key: &str, value: String| machine.row([key.into(), value]);
    row("version", format!("tamis {}", env!("CARGO_PKG_VERSION")));
    let kernel = doctor.kernel.as_ref().map(|kernel| format!(", kernel {kernel}")).unwrap_or_default();
    row("system", format!("{}{kernel}", doctor.platform));
    row("processor", doctor.cpu.model.clone());
    row("cores", doctor.cpu.cores.to_string());
    row("vectors", doctor.cpu.features.join(" "));
    if let Some(memory) = doctor.memory {
        row("memory", format!("{}, {} available", bytes(memory.total), bytes(memory.available)));
    }
    let run = doctor.run;
    let [input, with_payloads, output, ids, compression] =
        [run.input_batches, run.input_batches_with_payloads, run.output_batches, run.ids, run.compression]
            .map(|most| bytes(most as u64));
    row(
        "a run takes",
        format!(
            "up to {input} for input ({with_payloads} with payloads), {output} for events that wait for storage, {compression} to compress them, {ids} for ids"
        ),
    );
    let limit = |value: Option<u64>, show: &dyn Fn(u64) -> String| value.map_or("no limit".into(), show);
    let limits = doctor.limits;
    row("open files", limit(limits.open_files, &grouped));
    row("largest file", limit(limits.file_bytes, &bytes));
    row("locked memory", limit(limits.locked_bytes, &bytes));
    let storage = &doctor.storage;
    if let (Some(free), Some(total)) = (storage.free, storage.total) {
        row("free space", format!("{} of {} at {}", bytes(free), bytes(total), storage.folder.display()));
    }
    format!("{}\n{}", engines.render(), machine.render())
}
