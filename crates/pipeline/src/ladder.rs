//! The models of one worker as a ladder: which bundle scores at which rung, on what, and what stands in for a device that is lost.
//!
//! ```text
//!   rung       model 0    model 1    model 2
//!   0          choice 0   choice 0   choice 0
//!   1          choice 1   choice 0   choice 1        at rung k every model is its k-th choice, or its last
//!   2          choice 2   choice 0   choice 1
//! ```
//!
//! A device is lost once and for good. Whichever model notices, every choice that ran on the same engine and has a stand-in moves to it at the
//! same moment: the device is gone for all of them, and so the scores of one record still come from one engine.

use tamis_event::record::SEVERAL_ENGINES;
use tamis_port::Classifier;

use crate::guard::guarded;

/// One bundle that scores what a model of the menu stands for.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Choice {
    /// The bundle, ready to run.
    pub classifier: Box<dyn Classifier>,
    /// Code of the engine that runs it, for the decision record.
    pub engine: u8,
    /// This bundle on an engine that cannot be lost, and that engine's code. Without it, events have no scores once the device is lost.
    pub stand_in: Option<(Box<dyn Classifier>, u8)>,
}

/// The device that a worker lost, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLoss {
    /// Index in the menu of the model that noticed.
    pub model: usize,
    /// Code of the engine that was lost.
    pub engine: u8,
    /// Code of the engine that took over; `None` if there was none.
    pub stand_in: Option<u8>,
    /// Run of the block that was being scored. The stand-in scored that block again.
    pub run: u32,
    /// Segment of that block.
    pub segment: u32,
    /// First event of that block.
    pub event_id: u64,
    /// What the classifier said.
    pub message: String,
}

/// Tile size if there is no model.
const TILE_WITHOUT_MODELS: usize = 512;

/// See the module's doc.
pub(crate) struct Ladder {
    models: Vec<LadderModel>,
    /// What the record says of each rung.
    rungs: Vec<LadderRung>,
    /// The largest tile of all choices.
    tile: usize,
}

/// What computes the scores of a rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LadderRung {
    /// Engine code of the decision record.
    pub(crate) engine: u8,
    /// Does a stand-in take part?
    pub(crate) degraded: bool,
}

pub(crate) struct LadderModel {
    /// Its first score column.
    pub(crate) first: usize,
    /// Its score columns.
    pub(crate) outputs: usize,
    seats: Vec<Seat>,
}

/// A choice, and what became of it.
struct Seat {
    /// `None` when its device was lost and nothing stood in.
    classifier: Option<Box<dyn Classifier>>,
    engine: u8,
    stand_in: Option<(Box<dyn Classifier>, u8)>,
    degraded: bool,
}

impl Ladder {
    /// A ladder of the choices of each model, best first.
    ///
    /// # Panics
    /// If a model has no choice, or choices with different outputs: the caller's plan is wrong.
    pub(crate) fn new(models: Vec<Vec<Choice>>) -> Self {
        let mut columns = 0;
        let mut seated = Vec::with_capacity(models.len());
        for choices in models {
            let outputs = choices.first().expect("a model has a choice").classifier.outputs().to_vec();
            let same = choices.iter().all(|choice| choice.classifier.outputs() == outputs);
            assert!(same, "every choice of a model gives the same scores");
            let first = columns;
            let outputs = outputs.len();
            columns += outputs;
            seated.push(LadderModel { first, outputs, seats: choices.into_iter().map(Seat::new).collect() });
        }
        let rungs = seated.iter().map(|model| model.seats.len()).max().unwrap_or(1);
        let mut ladder = Self { models: seated, rungs: vec![LadderRung::default(); rungs], tile: 1 };
        ladder.label();
        ladder
    }

    /// The rungs with models; at least one, also if there is no model.
    pub(crate) fn rungs(&self) -> &[LadderRung] {
        &self.rungs
    }

    /// Score columns of all models.
    pub(crate) fn columns(&self) -> usize {
        self.models.iter().map(|model| model.outputs).sum()
    }

    pub(crate) fn models(&mut self) -> impl Iterator<Item = &mut LadderModel> {
        self.models.iter_mut()
    }

    /// The device of a model's choice at a rung is lost: the stand-ins take over. The code of the lost engine, and that of its stand-in.
    pub(crate) fn lose(&mut self, model: usize, rung: usize) -> (u8, Option<u8>) {
        let lost = self.models[model].seat_mut(rung);
        let engine = lost.engine;
        let stand_in = lost.stand_in.as_ref().map(|&(_, code)| code);
        if stand_in.is_none() {
            lost.give_up(None);
        }
        for seat in self.models.iter_mut().flat_map(|model| &mut model.seats) {
            if stand_in.is_some() && seat.engine == engine {
                seat.stand_in();
            }
        }
        self.label();
        (engine, stand_in)
    }

    /// Events that a model computes together.
    pub(crate) fn tile(&self) -> usize {
        self.tile
    }

    /// Says anew what computes the scores of each rung.
    fn label(&mut self) {
        let seats = self.models.iter().flat_map(|model| &model.seats);
        let tiles = seats.filter_map(|seat| seat.classifier.as_ref()).map(|classifier| classifier.tile());
        self.tile = tiles.max().unwrap_or(TILE_WITHOUT_MODELS).max(1);
        for (k, rung) in self.rungs.iter_mut().enumerate() {
            *rung = LadderRung::default();
            for model in &self.models {
                let seat = &model.seats[model.index(k)];
                rung.engine = match rung.engine {
                    0 => seat.engine,
                    engine if engine == seat.engine => engine,
                    _ => SEVERAL_ENGINES,
                };
                rung.degraded |= seat.degraded;
            }
        }
    }
}

impl LadderModel {
    /// What scores at a rung; `None` if it is lost.
    pub(crate) fn classifier(&mut self, rung: usize) -> Option<&mut (dyn Classifier + 'static)> {
        self.seat_mut(rung).classifier.as_deref_mut()
    }

    fn seat_mut(&mut self, rung: usize) -> &mut Seat {
        let index = self.index(rung);
        &mut self.seats[index]
    }

    fn index(&self, rung: usize) -> usize {
        rung.min(self.seats.len() - 1)
    }
}

impl Seat {
    fn new(choice: Choice) -> Self {
        let Choice { classifier, engine, stand_in } = choice;
        Self { classifier: Some(classifier), engine, stand_in, degraded: false }
    }

    fn stand_in(&mut self) {
        if let Some((classifier, engine)) = self.stand_in.take() {
            self.give_up(Some(classifier));
            (self.engine, self.degraded) = (engine, true);
        }
    }

    /// Lets the classifier go. On a lost device that may panic too, and must not end the worker.
    fn give_up(&mut self, successor: Option<Box<dyn Classifier>>) {
        let lost = std::mem::replace(&mut self.classifier, successor);
        let _ = guarded(|| drop(lost));
    }
}
