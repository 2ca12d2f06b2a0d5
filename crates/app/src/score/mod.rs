//! Scores of every event of a recording, as a table: the quick way to compare with another framework.

mod rows;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use tamis_ledger::{Corrupt, Counts, Errored};
use tamis_model::{Engine, Model};

use crate::blocks::{self, Blocks, SoFar};
use crate::frames::Frames;
use crate::lineup::{Lineup, lost_device, scorer};
use crate::models::{ModelEngine, words};
use crate::{Exit, Failure, NamedBundle};
use rows::Rows;

/// A table of scores that is asked for.
#[derive(Clone, Debug)]
pub struct ScoreSettings {
    /// The recording, or `-` for standard input.
    pub input: PathBuf,
    /// The models; their scores stand side by side.
    pub models: Vec<NamedBundle>,
    /// What runs them.
    pub engine: Engine,
    /// The table: `.npy`, `.csv`, or `-` for CSV on standard output.
    pub out: PathBuf,
    /// Replace `out` if it exists.
    pub overwrite: bool,
}

/// A table of scores. Serialises to the document that `score --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// Where the table is.
    pub path: String,
    /// Number of rows: good events of the recording that did not come before.
    pub events: u64,
    /// Names of the columns, `MODEL.OUTPUT`.
    pub scores: Vec<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Events with a score that is missing (NaN) or not finite, by cause.
    pub errored: Counts<Errored>,
    /// Lost frames and stretches of bytes by cause, and under `dup` the events that came before.
    pub corrupt: Counts<Corrupt>,
    /// What ran the models: one word if it was the same for all, else one for each of `models`.
    pub device: String,
    /// What ran each model, and why.
    pub models: Vec<ModelEngine>,
    /// Seconds that reading, scoring and writing took.
    pub seconds: f64,
    /// What went wrong, one sentence each.
    pub problems: Vec<String>,
    /// The code that the process ends with.
    pub exit: u8,
}

/// Writes a row of scores for every event of a recording, in order. `progress` is called after every block.
pub fn score(settings: &ScoreSettings, mut progress: impl FnMut(SoFar)) -> Result<Scored, Failure> {
    rows::may_write(&settings.out, settings.overwrite)?;
    let lineup = Lineup::load(&settings.models)?;
    let mut blocks = Blocks::new(Frames::open(&settings.input)?)?;
    let bound = lineup.bind(blocks.schema(), settings.engine)?;
    let models = lineup.model_engines(&bound);
    let device = words(bound.iter().map(Model::engine));
    let mut scorer = scorer(bound, blocks.block_events());
    let scores = lineup.score_names();
    let begin = Instant::now();
    let mut block = blocks.block();
    let mut errored = Counts::<Errored>::default();
    if !blocks.next(&mut block)? {
        return Err(blocks.empty(&settings.input));
    }
    let mut rows = Rows::create(&settings.out, &scores, settings.overwrite)?;
    loop {
        scorer.score(&block).map_err(|message| lost_device(settings.engine, &message))?;
        scorer.faults().for_each(|(_, cause)| errored.add(cause, 1));
        if !rows.append(&block, scorer.scores())? {
            break;
        }
        progress(blocks.so_far);
        if !blocks.next(&mut block)? {
            break;
        }
    }
    let bytes = rows.finish()?;
    let mut problems = Vec::new();
    if errored.total() > 0 {
        let events = errored.total();
        let causes = blocks::causes(&errored);
        problems.push(format!("{events} events have a score that is missing or not finite: {causes}"));
    }
    problems.extend(blocks.problems());
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Losses };
    Ok(Scored {
        path: settings.out.display().to_string(),
        events: blocks.so_far.events,
        scores,
        bytes,
        errored,
        corrupt: blocks.corrupt,
        device,
        models,
        seconds: begin.elapsed().as_secs_f64(),
        problems,
        exit: exit.code(),
    })
}

impl Scored {
    /// [`Exit::Done`] if every event has its scores, else [`Exit::Losses`].
    pub fn exit(&self) -> Exit {
        if self.problems.is_empty() { Exit::Done } else { Exit::Losses }
    }
}
