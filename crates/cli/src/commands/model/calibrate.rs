//! `tamis model calibrate`: prepares a bundle for the engines of integers, and says what they change.

use std::fmt::Write;
use std::path::PathBuf;

use tamis_app::{CalibrateSettings, Calibrated, EngineLoss, Exit, Failure};

use super::{Group, Run};
use crate::figures::{counted, grouped, share, small};
use crate::output::{Document, print, print_json, say};
use crate::progress::Reading;
use crate::table::TextTable;

/// Prepare a model for integers (--device int16 or int8), and say what they change
///
/// Finds the largest numbers of its hidden layers over the first events of a recording, and writes a bundle that contains them: the same network,
/// a new hash. Give events like those of a run, the rarest included: a hidden number that exceeds the margin is cut, and in 8 bits any number that
/// exceeds those of the events. Prints, for each engine, by how much scores differ from those of flex, and how many events a cut that keeps 1 % or
/// 0.1 % of them would decide differently. An engine refuses the bundle if scores differ too much on it, or if it cannot run the model; the others
/// take it. For the lines of a menu, use tamis model compare --engines flex,int16,int8.
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
    /// In integers of 16 bits, leave room for hidden numbers this many times as large as those of the events
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
        (
            "model calibrate models/topo l1-mixed.tmf.zst --out models/topo-few",
            "then use --device int16 or int8",
        ),
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

/// So many events still have ten flips if one in a thousand flips.
const FEW_EVENTS: u64 = 10_000;

fn render(calibrated: &Calibrated) -> String {
    let section = &calibrated.calibration;
    let mut text = format!(
        "{}: {}, calibrated on {}\nhash {}\n\n{}",
        calibrated.bundle.display(),
        calibrated.model,
        counted(section.events, "event"),
        &calibrated.hash[..16],
        losses(&calibrated.engines),
    );
    let largest: Vec<String> = section.hidden.iter().map(|largest| format!("{largest:.3}")).collect();
    if !largest.is_empty() && (section.tolerance.int16.is_some() || section.tolerance.int8.is_some()) {
        let _ = writeln!(
            text,
            "\nlargest number in each hidden layer: {}; integers of 16 bits hold numbers up to {} times as large, those of 8 bits up to this size",
            largest.join(", "),
            section.margin,
        );
    }
    let _ = write!(
        text,
        "\n{}\na difference is absolute for scores up to 1 and relative for larger ones; the tolerance is {} times the largest one on events and\n\
         golden vectors. Noise does not count: it goes beyond the events, where integers saturate, and its scores may differ by 0.5\n",
        tolerances(&calibrated.engines),
        CalibrateSettings::TOLERANCE_FACTOR,
    );
    text.push_str("a flip is an event that one engine keeps and the other does not, so there can be more flips than kept events\n");
    if section.events < FEW_EVENTS {
        let few = grouped(section.events);
        let _ = writeln!(
            text,
            "{few} events are few: others may reach farther, and what flips rarely does not show"
        );
    }
    let scores = calibrated.engines.iter().flat_map(|loss| &loss.scores);
    if let Some(most) = scores.map(|score| score.left_out).max().filter(|&most| most > 0) {
        let _ = writeln!(
            text,
            "{} events have a score on flex that is not finite and are left out",
            grouped(most)
        );
    }
    for EngineLoss { engine, refused, .. } in &calibrated.engines {
        if let Some(why) = refused {
            let _ = writeln!(text, "--device {engine} refuses the new bundle: {why}");
        }
    }
    text
}

fn losses(engines: &[EngineLoss]) -> String {
    let mut table = TextTable::default()
        .left("Engine")
        .left("score against flex")
        .right("rms\ndifference")
        .right("largest\ndifference")
        .right("cut at")
        .right("keeps")
        .right("flips")
        .right("of kept");
    for EngineLoss { engine, scores, .. } in engines {
        let mut engine = engine.clone();
        for score in scores {
            let mut head =
                vec![std::mem::take(&mut engine), score.name.clone(), small(score.rms), small(score.max)];
            for cut in &score.cuts {
                // As many digits as tell it from any other: 0.99996 is not 1.
                let figures = [cut.threshold.to_string(), grouped(cut.kept), grouped(cut.flips)];
                let of_kept = share(cut.flips, cut.kept);
                table.row(
                    std::mem::replace(&mut head, vec![String::new(); 4])
                        .into_iter()
                        .chain(figures)
                        .chain([of_kept]),
                );
            }
            if score.cuts.is_empty() {
                table.row(head);
            }
        }
    }
    table.render()
}

fn tolerances(engines: &[EngineLoss]) -> String {
    let mut table = TextTable::default()
        .left("Largest difference")
        .right("these events")
        .right("golden vectors")
        .right("noise")
        .right("tolerance");
    for loss in engines {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".into(), small);
        let tolerance = loss.tolerance.map_or_else(|| "none".into(), |tolerance| tolerance.to_string());
        let figures = [loss.events(), loss.golden, loss.noise].map(figure);
        table.row([loss.engine.clone()].into_iter().chain(figures).chain([tolerance]));
    }
    table.render()
}
