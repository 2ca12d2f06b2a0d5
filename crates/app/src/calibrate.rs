//! Calibrates a model for the engines of fewer bits. The same events show which numbers its hidden layers must hold, and which decisions that changes.
//!
//! ```text
//!   events --f32 kernel----> largest hidden numbers --> bundle with [calibration], widest tolerances
//!      `---flex and each engine---> differences of scores --> tolerances --> bundle that is written
//!                             `---> flips at cuts that keep 1 % and 0.1 %
//! ```
//!
//! For an engine that is too coarse for the model, or cannot run it, the bundle has no tolerance, and the engine refuses it. A model that is
//! left with no engine is refused here.

use std::path::PathBuf;

use serde::Serialize;
use tamis_event::{Block, Schema};
use tamis_ledger::{Corrupt, Counts};
use tamis_model::{Bundle, Calibration, Engine, Model, Tolerance};
use tamis_port::Classifier;

use crate::blocks::{Blocks, SoFar};
use crate::exit::OrFail;
use crate::frames::Frames;
use crate::models::load_bundle;
use crate::{Exit, Failure, bundle_folder};

/// A calibration that is asked for.
#[derive(Clone, Debug)]
pub struct CalibrateSettings {
    /// Folder or `.tar`.
    pub bundle: PathBuf,
    /// The recording, or `-` for standard input.
    pub input: PathBuf,
    /// Most events that are used; they are the first ones.
    pub events: u64,
    /// Integers of 16 bits reach this many times as far as the hidden numbers of the events.
    pub margin: f64,
    /// Folder for the calibrated bundle.
    pub out: PathBuf,
    /// Replace a bundle that is there.
    pub overwrite: bool,
}

impl CalibrateSettings {
    /// The usual number of events.
    pub const EVENTS: u64 = 100_000;
    /// The usual margin: twice as far as the events.
    pub const MARGIN: f64 = 2.0;
    /// The tolerance is this many times the largest difference of a score.
    pub const TOLERANCE_FACTOR: f64 = 4.0;
}

/// Shares of the events that are kept by the cuts whose flips are counted.
const KEPT: [f64; 2] = [1e-2, 1e-3];

/// A calibrated bundle, and what fewer bits cost. Serialises to the document that `model calibrate --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Calibrated {
    /// Where the new bundle is.
    pub bundle: PathBuf,
    /// Name and version of the model.
    pub model: String,
    /// SHA-256 of the new bundle.
    pub hash: String,
    /// The calibration that was found.
    pub calibration: Calibration,
    /// Each engine of fewer bits against flex.
    pub engines: Vec<EngineLoss>,
    /// Lost frames and stretches of bytes by cause, and under `dup` the events that came before.
    pub corrupt: Counts<Corrupt>,
    /// What went wrong, one sentence each.
    pub problems: Vec<String>,
    /// The code that the process ends with.
    pub exit: u8,
}

/// An engine of fewer bits, against flex.
#[derive(Clone, Debug, Serialize)]
pub struct EngineLoss {
    /// Its name.
    pub engine: String,
    /// By how much scores may differ on it; none if it will refuse the model.
    pub tolerance: Option<f64>,
    /// Why it will refuse the model.
    pub refused: Option<String>,
    /// Largest difference of a golden score, as the tolerance counts it; none if it could not be measured.
    pub golden: Option<f64>,
    /// Largest difference of a score for rows of noise, which are farther out than events: it does not count for the tolerance.
    pub noise: Option<f64>,
    /// The scores on the events; empty if they could not be measured.
    pub scores: Vec<ScoreLoss>,
}

/// One score of fewer bits, against that of flex.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreLoss {
    /// `MODEL.OUTPUT`.
    pub name: String,
    /// Root of the mean square difference.
    pub rms: f64,
    /// Largest absolute difference.
    pub max: f64,
    /// Largest difference divided by 1, or by the score if that is larger: the tolerance bounds it.
    pub difference: f64,
    /// Events whose score is not finite on flex; they are left out. One that is not finite on this engine alone is infinitely far off.
    pub left_out: u64,
    /// Cuts on this score.
    pub cuts: Vec<CutLoss>,
}

/// The decisions of a cut on a score that change.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CutLoss {
    /// Events with at least this score on flex are kept.
    pub threshold: f32,
    /// Events that flex keeps.
    pub kept: u64,
    /// Events that only one of the two keeps.
    pub flips: u64,
}

/// Calibrates a bundle, writes it and loads it again. `progress` is called after every block.
pub fn calibrate(settings: &CalibrateSettings, progress: impl FnMut(SoFar)) -> Result<Calibrated, Failure> {
    check(settings)?;
    bundle_folder::may_write(&settings.out, settings.overwrite)?;
    let bundle = load_bundle(&settings.bundle)?;
    let mut blocks = Blocks::new(Frames::open(&settings.input)?)?;
    let mut calibrator = bundle.calibrator(blocks.schema()).or_fail(Exit::Input)?;
    let events = first_events(&mut blocks, settings.events, progress)?;
    if events.is_empty() {
        return Err(blocks.empty(&settings.input));
    }
    let place = settings.input.display();
    for (block, count) in &events {
        block.for_each_run(0..*count, |_, records| calibrator.add(records));
    }
    let mut section =
        calibrator.finish(settings.margin).map_err(|why| format!("{place}: {why}")).or_fail(Exit::Input)?;
    // With the widest tolerances, to measure which are right.
    let draft = bundle.with_calibration(&section).or_fail(Exit::Internal)?;
    let engines = measure(&draft, blocks.schema(), &events)?;
    section.tolerance = tolerances(&engines).or_fail(Exit::Input)?;
    let bundle = bundle.with_calibration(&section).or_fail(Exit::Internal)?;
    bundle_folder::write(&settings.out, &bundle.files(), settings.overwrite)?;
    // What was written must pass the same checks as any other bundle.
    let bundle = Bundle::load(&settings.out).or_fail(Exit::Internal)?;
    for engine in Engine::REDUCED.into_iter().filter(|&engine| section.tolerance.of(engine).is_some()) {
        bundle.bind(blocks.schema(), engine).or_fail(Exit::Internal)?;
    }
    let problems = blocks.problems();
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Losses };
    Ok(Calibrated {
        bundle: settings.out.clone(),
        model: format!("{} {}", bundle.name(), bundle.version()),
        hash: bundle.describe().hash,
        calibration: section,
        engines,
        corrupt: blocks.corrupt,
        problems,
        exit: exit.code(),
    })
}

impl Calibrated {
    /// [`Exit::Done`] if every frame was good, else [`Exit::Losses`].
    pub fn exit(&self) -> Exit {
        if self.problems.is_empty() { Exit::Done } else { Exit::Losses }
    }
}

fn check(settings: &CalibrateSettings) -> Result<(), Failure> {
    if settings.events == 0 {
        return Err(Failure::new(
            Exit::Settings,
            "a calibration needs events: give --events a number above 0",
        ));
    }
    if !(1.0..=Calibration::MARGIN_MAX).contains(&settings.margin) {
        let message = format!("the margin must be between 1 and {}", Calibration::MARGIN_MAX);
        return Err(Failure::new(Exit::Settings, message));
    }
    Ok(())
}

/// The first events, in blocks, each with how many of its events count. They refer to the bytes of the recording.
fn first_events(
    blocks: &mut Blocks,
    most: u64,
    mut progress: impl FnMut(SoFar),
) -> Result<Vec<(Block, usize)>, Failure> {
    let mut events = Vec::new();
    let mut left = most;
    while left > 0 {
        let mut block = blocks.block();
        if !blocks.next(&mut block)? {
            break;
        }
        let count = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        left -= count as u64;
        events.push((block, count));
        progress(blocks.so_far);
    }
    Ok(events)
}

/// Binds the engines of fewer bits and compares their scores with those of flex.
fn measure(bundle: &Bundle, schema: &Schema, events: &[(Block, usize)]) -> Result<Vec<EngineLoss>, Failure> {
    let mut flex = bundle.bind(schema, Engine::Flex).or_fail(Exit::Input)?;
    let expected = scores(&mut flex, events)?;
    let mut losses = Vec::new();
    for engine in Engine::REDUCED {
        let mut model = match bundle.bind(schema, engine) {
            Ok(model) => model,
            Err(why) => {
                losses.push(EngineLoss::refused(engine, why.to_string()));
                continue;
            }
        };
        let found = scores(&mut model, events)?;
        let names = bundle.outputs().iter().map(|output| format!("{}.{output}", bundle.name()));
        let of_scores = names.zip(expected.iter().zip(&found));
        let of_scores: Vec<ScoreLoss> =
            of_scores.map(|(name, (expected, found))| ScoreLoss::new(name, expected, found)).collect();
        let golden = model.golden();
        let largest = of_scores.iter().map(|score| score.difference).fold(0.0, f64::max);
        // Not of noise: it is farther out than the events, and integers saturate there.
        let differences = [("these events", largest), ("its golden vectors", golden.difference)];
        let most = Tolerance::MAX.of(engine).expect("the widest is there for all");
        let tolerance = tolerance(engine, differences, most);
        losses.push(EngineLoss {
            engine: engine.to_string(),
            tolerance: tolerance.as_ref().ok().copied(),
            refused: tolerance.err(),
            golden: Some(golden.difference),
            noise: Some(golden.noise),
            scores: of_scores,
        });
    }
    Ok(losses)
}

/// What the bundle states, or why no engine is of use.
fn tolerances(losses: &[EngineLoss]) -> Result<Tolerance, String> {
    let [int16, int8] = losses else { unreachable!("both engines were measured") };
    let found = Tolerance { int16: int16.tolerance, int8: int8.tolerance };
    if losses.iter().all(|loss| loss.tolerance.is_none()) {
        let why = |loss: &EngineLoss| Some(format!("{}: {}", loss.engine, loss.refused.as_ref()?));
        return Err(losses.iter().filter_map(why).collect::<Vec<_>>().join("\n"));
    }
    Ok(found)
}

/// A column for each score.
fn scores(model: &mut Model, events: &[(Block, usize)]) -> Result<Vec<Vec<f32>>, Failure> {
    let mut columns = vec![Vec::new(); model.outputs().len()];
    for (block, count) in events {
        let at = columns[0].len();
        columns.iter_mut().for_each(|column| column.resize(at + count, f32::NAN));
        let mut slices: Vec<&mut [f32]> = columns.iter_mut().map(|column| &mut column[at..]).collect();
        model.score(block, 0..*count, &mut slices).or_fail(Exit::Input)?;
    }
    Ok(columns)
}

impl EngineLoss {
    fn refused(engine: Engine, why: String) -> Self {
        let engine = engine.to_string();
        Self { engine, tolerance: None, refused: Some(why), golden: None, noise: None, scores: Vec::new() }
    }

    /// Largest difference of a score on the events, as the tolerance counts it.
    pub fn events(&self) -> Option<f64> {
        self.scores.iter().map(|score| score.difference).reduce(f64::max)
    }
}

impl ScoreLoss {
    fn new(name: String, expected: &[f32], found: &[f32]) -> Self {
        let mut squares = 0.0;
        let mut max = 0.0f64;
        let mut largest = 0.0f64;
        let pairs = || expected.iter().zip(found).filter(|(expected, _)| expected.is_finite());
        for (&expected, &found) in pairs() {
            let difference = (f64::from(expected) - f64::from(found)).abs();
            let difference = if difference.is_nan() { f64::INFINITY } else { difference };
            squares += difference * difference;
            max = max.max(difference);
            largest = largest.max(difference / f64::from(expected).abs().max(1.0));
        }
        let mut sorted: Vec<f32> = pairs().map(|(&expected, _)| expected).collect();
        let rms = (squares / sorted.len().max(1) as f64).sqrt();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let cut = |share: f64| {
            let kept = (share * sorted.len() as f64) as usize;
            let threshold = *sorted.get(kept.checked_sub(1)?)?;
            let keeps = |score: &&f32| **score >= threshold;
            let flips = pairs().filter(|(a, b)| keeps(a) != keeps(b)).count();
            Some(CutLoss {
                threshold,
                // Equal scores are kept together.
                kept: sorted.iter().filter(keeps).count() as u64,
                flips: flips as u64,
            })
        };
        let cuts = KEPT.into_iter().filter_map(cut).collect();
        let left_out = (expected.len() - sorted.len()) as u64;
        Self { name, rms, max, difference: largest, left_out, cuts }
    }
}

/// A tolerance for differences that were found, rounded up to one digit, if it is within `most`.
fn tolerance(engine: Engine, found: [(&str, f64); 2], most: f64) -> Result<f64, String> {
    let (place, largest) = found.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let wanted = (largest * CalibrateSettings::TOLERANCE_FACTOR).max(1e-6);
    let digit = 10f64.powi(wanted.log10().floor() as i32);
    // Written and read again, so that it is the number that people see.
    let rounded: f64 = format!("{:.0e}", (wanted / digit).ceil() * digit).parse().expect("a number is one");
    // No number, if the largest is infinite.
    if rounded.is_nan() || rounded > most {
        let (what, remedy) = match engine {
            Engine::Int8 => ("integers of 8 bits", "use --device int16"),
            _ => ("integers of 16 bits", "try another --margin, or use --device fused"),
        };
        return Err(format!(
            "on {place} scores differ by up to {largest:.2e} from those of flex: {what} are too coarse for this model; {remedy}"
        ));
    }
    Ok(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_four_times_the_difference_in_one_digit() {
        let found =
            |engine, golden| tolerance(engine, [("these events", 1e-7), ("its golden vectors", golden)], 0.5);
        assert_eq!(found(Engine::Int16, 0.0021), Ok(0.009));
        assert_eq!(found(Engine::Int8, 0.0026), Ok(0.02));
        assert_eq!(found(Engine::Int16, 0.0), Ok(1e-6));
        assert!(found(Engine::Int8, f64::INFINITY).unwrap_err().contains("differ by up to inf from"));
        for (engine, bits, other) in [(Engine::Int16, "16 bits", "fused"), (Engine::Int8, "8 bits", "int16")]
        {
            let refused = found(engine, 0.13).unwrap_err();
            let what = "on its golden vectors scores differ by up to 1.30e-1";
            assert!(
                refused.starts_with(what) && refused.contains(bits) && refused.ends_with(other),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_model_that_is_left_with_no_engine_is_refused() {
        let [int16, int8] = Engine::REDUCED;
        let refused = |engine: Engine| EngineLoss::refused(engine, format!("no {engine}"));
        let measured = EngineLoss { tolerance: Some(0.25), refused: None, ..refused(int8) };
        let found = tolerances(&[refused(int16), measured]);
        assert_eq!(found, Ok(Tolerance { int16: None, int8: Some(0.25) }));
        let none = tolerances(&[refused(int16), refused(int8)]);
        assert_eq!(none, Err("int16: no int16\nint8: no int8".into()));
    }

    #[test]
    fn flips_are_counted_at_the_score_that_keeps_a_share() {
        let expected: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let mut found = expected.clone();
        // One falls out, two come in.
        (found[995], found[3], found[989]) = (1.0, 999.0, 990.0);
        let ScoreLoss { rms, max, difference, cuts, .. } = ScoreLoss::new("a.b".into(), &expected, &found);
        let kept: Vec<_> = cuts.iter().map(|cut| (cut.threshold, cut.kept, cut.flips)).collect();
        assert_eq!(kept, [(990.0, 10, 3), (999.0, 1, 1)]);
        let squares = 994.0f64 * 994.0 + 996.0 * 996.0 + 1.0;
        assert_eq!((rms, max, difference), ((squares / 1000.0).sqrt(), 996.0, 996.0 / 3.0));
    }

    #[test]
    fn scores_that_are_no_numbers_hide_nothing() {
        let expected: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let loss = |change: fn(&mut [f32], &mut [f32])| {
            let (mut expected, mut found) = (expected.clone(), expected.clone());
            change(&mut expected, &mut found);
            let ScoreLoss { rms, max, left_out, cuts, .. } = ScoreLoss::new("a.b".into(), &expected, &found);
            (rms, max, left_out, cuts.iter().map(|cut| (cut.kept, cut.flips)).collect::<Vec<_>>())
        };
        // On flex: such events are no candidates for a cut.
        let on_flex = loss(|expected, _| (expected[7], expected[999]) = (f32::NAN, f32::INFINITY));
        assert_eq!(on_flex, (0.0, 0.0, 2, vec![(9, 0)]));
        // On the engine alone.
        let on_engine = loss(|_, found| found[999] = f32::NAN);
        assert_eq!(on_engine, (f64::INFINITY, f64::INFINITY, 0, vec![(10, 1), (1, 1)]));
    }
}
