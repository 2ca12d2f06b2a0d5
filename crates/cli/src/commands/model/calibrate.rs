//! `tamis model calibrate`: prepares a bundle for integers of 16 bits, and says what they change.

use std::fmt::Write;
use std::path::PathBuf;

use tamis_app::{CalibrateSettings, Calibrated, Exit, Failure};

use super::{Group, Run};
use crate::figures::{grouped, share, small};
use crate::output::{Document, print, print_json, say};
use crate::progress::Reading;
use crate::table::Table;

/// Prepare a model for integers of 16 bits (--device int16), and say what they change
///
/// Finds the largest numbers of its hidden layers over the first events of a recording, and writes a bundle that knows them: the same network,
/// a new hash. Give events like those of a run, the rarest included: a hidden number that is larger than the margin allows is cut. Prints by how
/// much scores differ from those of flex, and how many events a cut that keeps 1 % or 0.1 % of them would decide otherwise. For the lines of a
/// menu there is tamis model compare --engines flex,int16.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle: a folder or a .tar
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The recording (.tmf or .tmf.zst), or - for standard input
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// Look at the first N events
    #[arg(long, value_name = "N", value_parser = crate::units::count, default_value_t = CalibrateSettings::EVENTS)]
    events: u64,
    /// Leave room for hidden numbers this many times as large as those of the events
    #[arg(long, value_name = "M", default_value_t = CalibrateSettings::MARGIN)]
    margin: f64,
    /// Folder for the calibrated bundle
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a bundle that is there
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "calibrate";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("model calibrate models/topo l1-mixed.tmf.zst --out models/topo-int16", "then use --device int16"),
        (
            "model calibrate models/topo l1-mixed.tmf.zst --events 1M --margin 4 --out models/topo --overwrite",
            "in place, with more room",
        ),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let settings = CalibrateSettings {
            bundle: self.bundle,
            input: self.input,
            events: self.events,
            margin: self.margin,
            out: self.out,
            overwrite: self.overwrite,
        };
        let mut reading = Reading::default();
        let calibrated = tamis_app::calibrate(&settings, |so_far| reading.show(so_far))?;
        drop(reading);
        if self.json {
            print_json(&Document::new(&calibrated))?;
        } else {
            print(&render(&calibrated))?;
        }
        calibrated.problems.iter().for_each(say);
        Ok(calibrated.exit())
    }
}

fn render(calibrated: &Calibrated) -> String {
    let section = &calibrated.int16;
    let mut text = format!(
        "{}: {}, calibrated for int16 on {} events\nhash {}\n\n",
        calibrated.bundle.display(),
        calibrated.model,
        grouped(section.events),
        &calibrated.hash[..16],
    );
    text.push_str(&losses(calibrated));
    let largest: Vec<String> = section.hidden.iter().map(|largest| format!("{largest:.3}")).collect();
    if !largest.is_empty() {
        let _ = writeln!(
            text,
            "\nlargest number of each hidden layer {}; integers reach {} times as far",
            largest.join(", "),
            section.margin,
        );
    }
    let events = calibrated.scores.iter().map(|score| score.difference).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "tolerance {}: {} times the largest difference, of 1 or of the score, that these events ({}) and golden vectors ({}) have\nnoise differs by up to {}",
        section.tolerance,
        CalibrateSettings::TOLERANCE_FACTOR,
        small(events),
        small(calibrated.golden),
        small(calibrated.noise),
    );
    text
}

fn losses(calibrated: &Calibrated) -> String {
    let mut table = Table::default()
        .left("Score against flex")
        .right("rms\ndifference")
        .right("largest\ndifference")
        .right("cut at")
        .right("keeps")
        .right("flips")
        .right("of kept");
    for score in &calibrated.scores {
        let mut head = vec![score.name.clone(), small(score.rms), small(score.max)];
        for cut in &score.cuts {
            let figures = [format!("{:.4}", cut.threshold), grouped(cut.kept), grouped(cut.flips)];
            let of_kept = share(cut.flips, cut.kept);
            table.row(std::mem::replace(&mut head, vec![String::new(); 3]).into_iter().chain(figures).chain([of_kept]));
        }
        if score.cuts.is_empty() {
            table.row(head);
        }
    }
    table.render()
}
