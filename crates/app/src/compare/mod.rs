//! Runs the same events through several engines or models: by how much scores differ, and which decisions that changes.
//!
//! ```text
//!   block --> reference:  scores, lines ---.
//!         --> contestant: scores, lines ---+--> differences per score, flips per line, margins
//!         --> ...
//! ```
//!
//! A **flip** is an event that a line passes on one side only, before its prescale. Its **margin** is the distance of the reference score from
//! the number that the line compares it with: a flip far from the threshold is not due to rounding.

mod contrast;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tamis_event::{Block, Schema};
use tamis_ledger::{Corrupt, Counts};
use tamis_menu::{CompiledMenu, Decider};
use tamis_model::Engine;
use tamis_pipeline::Scorer;

use crate::blocks::{Blocks, SoFar};
use crate::exit::OrFail;
use crate::frames::Frames;
use crate::lineup::{Lineup, engines_found, lost_device};
use crate::{Exit, Failure, NamedBundle};
use contrast::ContrastSums;
pub use contrast::{Accepted, Contrast, Flip, LineContrast, ScoreContrast};

/// A comparison that is asked for.
#[derive(Clone, Debug)]
pub struct CompareSettings {
    /// The recording, or `-` for standard input.
    pub input: PathBuf,
    /// The menu whose models are compared, and whose lines decide.
    pub menu: Option<PathBuf>,
    /// The models to compare, if there is no menu; else bundles in place of those of the menu.
    pub models: Vec<NamedBundle>,
    /// Bundles in place of some of these models, as further sides.
    pub with: Vec<NamedBundle>,
    /// The engines, the reference first; by default all that are there and should give the same scores.
    pub engines: Vec<Engine>,
    /// What may differ.
    pub gates: Gates,
}

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gates {
    /// Largest difference of a score, divided by 1, or by the score if that is larger. By default [`Gates::DIFFERENCE`], and with an engine of integers
    /// what its calibration allows a model.
    pub difference: Option<f64>,
    /// Largest share of events that are decided differently.
    pub flips: f64,
}

impl Gates {
    /// Largest difference of a score between engines that compute with floating-point numbers: as close as golden vectors must be.
    pub const DIFFERENCE: f64 = 1e-4;

    /// Largest difference of every score between two sides.
    fn differences(self, a: &Player, b: &Player) -> Vec<f64> {
        let larger = |(&a, &b): (&f64, &f64)| self.difference.unwrap_or(a.max(b));
        a.allowed.iter().zip(&b.allowed).map(larger).collect()
    }
}

impl Default for Gates {
    /// One event in 10,000 may be decided differently.
    fn default() -> Self {
        Self { difference: None, flips: 1e-4 }
    }
}

/// What a comparison found. Serialises to the document that `model compare --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct ModelComparison {
    /// Events that every side has scored.
    pub events: u64,
    /// Lost frames and stretches of bytes by cause, and under `dup` the events that came before.
    pub corrupt: Counts<Corrupt>,
    /// The side that the others are compared with.
    pub reference: Side,
    /// The other sides.
    pub contrasts: Vec<Contrast>,
    /// What may differ.
    pub gates: Gates,
    /// Which gates were not met, and what else went wrong, one sentence each.
    pub problems: Vec<String>,
    /// The code that the process ends with.
    pub exit: u8,
}

/// One side of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Name by which it differs from the others.
    pub name: String,
    /// What ran the models.
    pub engine: String,
    /// The models.
    pub models: Vec<SideModel>,
    /// Events with a score that is missing or not finite.
    pub undecided: u64,
}

/// A model of one side.
#[derive(Clone, Debug, Serialize)]
pub struct SideModel {
    /// The word that the names of its scores begin with.
    pub name: String,
    /// Name and version of the bundle.
    pub bundle: String,
    /// First digits of its hash.
    pub hash: String,
}

/// A side at work.
pub(crate) struct Player {
    side: Side,
    engine: Engine,
    scorer: Scorer,
    decider: Option<Decider>,
    /// How far each of its scores may be off by itself.
    allowed: Vec<f64>,
}

impl Player {
    fn play(&mut self, block: &Block) -> Result<(), Failure> {
        self.scorer.score(block).map_err(|message| lost_device(self.engine, &message))?;
        self.side.undecided += self.scorer.faults().count() as u64;
        if let Some(decider) = &mut self.decider {
            decider.decide(block, self.scorer.scores(), self.scorer.faulty());
            let undecided = decider.undecided().iter().map(|word| u64::from(word.count_ones()));
            self.side.undecided += undecided.sum::<u64>();
        }
        Ok(())
    }
}

/// Runs a recording through all sides. `progress` is called after every block.
pub fn compare_models(
    settings: &CompareSettings,
    mut progress: impl FnMut(SoFar),
) -> Result<ModelComparison, Failure> {
    check_gates(settings.gates)?;
    let (menu, lineup) = match &settings.menu {
        Some(path) => {
            let (menu, lineup) = Lineup::of_menu(path)?;
            (Some(menu), lineup.replaced(&settings.models)?)
        }
        None => (None, Lineup::load(&settings.models)?),
    };
    if lineup.models.is_empty() {
        return Err(Failure::new(Exit::Input, "there is nothing to compare: the menu has no model"));
    }
    let mut blocks = Blocks::new(Frames::open(&settings.input)?)?;
    let scores = lineup.score_names();
    let compile = |menu: &tamis_menu::Menu| menu.compile(blocks.schema(), &scores).or_fail(Exit::Input);
    let menu = menu.as_ref().map(compile).transpose()?.map(Arc::new);
    let mut players = players(settings, &lineup, menu.as_ref(), blocks.schema(), blocks.block_events())?;
    let tally = |other| {
        let allowed = settings.gates.differences(&players[0], other);
        ContrastSums::new(&scores, &allowed, menu.as_deref())
    };
    let mut tallies: Vec<ContrastSums> = players[1..].iter().map(tally).collect();
    let mut block = blocks.block();
    while blocks.next(&mut block)? {
        players.iter_mut().try_for_each(|player| player.play(&block))?;
        let (reference, others) = players.split_first().expect("there are at least two");
        for (tally, other) in tallies.iter_mut().zip(others) {
            tally.add(&block, reference, other, menu.as_deref());
        }
        progress(blocks.so_far);
    }
    let events = blocks.so_far.events;
    if events == 0 {
        return Err(blocks.empty(&settings.input));
    }
    let mut sides = players.into_iter().map(|player| player.side);
    let reference = sides.next().expect("there are at least two");
    let contrasts: Vec<Contrast> =
        sides.zip(tallies).map(|(side, tally)| tally.finish(side, events)).collect();
    let mut problems: Vec<String> =
        contrasts.iter().flat_map(|contrast| contrast.misses(&reference.name, settings.gates)).collect();
    let mut exit = if problems.is_empty() { Exit::Done } else { Exit::Gate };
    let lost = blocks.problems();
    if !lost.is_empty() && exit == Exit::Done {
        exit = Exit::Losses;
    }
    problems.extend(lost);
    let corrupt = blocks.corrupt;
    let gates = settings.gates;
    let exit = exit.code();
    Ok(ModelComparison { events, corrupt, reference, contrasts, gates, problems, exit })
}

impl ModelComparison {
    /// [`Exit::Done`] if every gate was met and no frame lost, [`Exit::Gate`] if one was not, else [`Exit::Losses`].
    pub fn exit(&self) -> Exit {
        Exit::ALL.into_iter().find(|exit| exit.code() == self.exit).unwrap_or(Exit::Internal)
    }
}

fn check_gates(gates: Gates) -> Result<(), Failure> {
    let refuse =
        |what: &str, range: &str| Err(Failure::new(Exit::Settings, format!("{what} must be {range}")));
    if gates.difference.is_some_and(|most| most.is_nan() || most < 0.0) {
        return refuse("the largest difference", "a number that is not negative");
    }
    if !(0.0..=1.0).contains(&gates.flips) {
        return refuse("the largest share of flips", "between 0 and 1");
    }
    Ok(())
}

/// Every engine with the models themselves, then every engine with the others.
fn players(
    settings: &CompareSettings,
    lineup: &Lineup,
    menu: Option<&Arc<CompiledMenu>>,
    schema: &Schema,
    batch: usize,
) -> Result<Vec<Player>, Failure> {
    // Engines of fewer bits do not claim the scores of the others: whoever wants to know what they change asks for them.
    let fits = |engine: &Engine| {
        let fits = |(_, bundle): &(String, tamis_model::Bundle)| bundle.unfit_for(*engine).is_none();
        !engine.is_reduced() && lineup.models.iter().all(fits)
    };
    let engines = match &settings.engines[..] {
        [] => engines_found().into_iter().filter(fits).collect(),
        asked => asked.to_vec(),
    };
    let mut lineups = vec![(lineup.clone(), String::new())];
    if !settings.with.is_empty() {
        let paths: Vec<String> = settings.with.iter().map(|with| with.path.display().to_string()).collect();
        let other = lineup.replaced(&settings.with)?;
        lineup.check_comparable(&other)?;
        lineups.push((other, format!(" with {}", paths.join(", "))));
    }
    if engines.len() * lineups.len() < 2 {
        let why = if settings.engines.is_empty() { "runs these models here" } else { "was named" };
        let message = format!(
            "there is nothing to compare: no engine but {} {why}; give another bundle (--with), or two engines (tamis doctor lists them)",
            engines[0]
        );
        return Err(Failure::new(Exit::Settings, message));
    }
    let mut players = Vec::new();
    for (lineup, with) in &lineups {
        for &engine in &engines {
            let side = Side {
                name: format!("{engine}{with}"),
                engine: engine.to_string(),
                models: lineup.models.iter().map(SideModel::new).collect(),
                undecided: 0,
            };
            let scorer = lineup.scorer(schema, engine, batch)?;
            let decider = menu.map(|menu| Decider::new(menu.clone(), batch));
            players.push(Player { side, engine, scorer, decider, allowed: allowed(lineup, engine) });
        }
    }
    Ok(players)
}

/// How far each score of a lineup may be off on an engine.
fn allowed(lineup: &Lineup, engine: Engine) -> Vec<f64> {
    let of_model = |(_, bundle): &(String, tamis_model::Bundle)| {
        let most = if engine.is_reduced() { bundle.tolerance(engine) } else { Gates::DIFFERENCE };
        std::iter::repeat_n(most, bundle.outputs().len())
    };
    lineup.models.iter().flat_map(of_model).collect()
}

impl SideModel {
    fn new((name, bundle): &(String, tamis_model::Bundle)) -> Self {
        let hash = bundle.hash()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name: name.clone(), bundle: format!("{} {}", bundle.name(), bundle.version()), hash }
    }
}
