//! tract as a rival of scripts/bench_peers.py: the same requests and answers as scripts/peers/workers.py.
//!
//! `bench-peers-tract MODEL.onnx OUTPUT ROWS.f32 WIDTH` reads requests from standard input, one per line, and answers each with one line:
//!
//! * `scores`: the scores of all rows, as hexadecimal f32 in the order of the file
//! * `time run BATCH`: nanoseconds per event of `RUNS` runs, one number each

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

use tract_onnx::prelude::*;

/// As `tamis model info` does it: runs that are measured, after one that is not, and the least time of a run.
const RUNS: usize = 7;
const RUN_SECONDS_MIN: f64 = 2e-3;
/// Batches that are no larger go over this many events in turn, so that all batches see the same events.
const EVENTS: usize = 4096;
const SCORES_BATCH: usize = 4096;

type Plan = Arc<TypedRunnableModel>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, output, rows, width] = arguments.as_slice() else {
        return Err("usage: bench-peers-tract MODEL.onnx OUTPUT ROWS.f32 WIDTH".into());
    };
    let (output, width): (usize, usize) = (output.parse()?, width.parse()?);
    let rows: Vec<f32> =
        std::fs::read(rows)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let plan = |batch: usize| -> TractResult<Plan> {
        tract_onnx::onnx()
            .model_for_path(model)?
            .with_input_fact(0, f32::fact([batch, width]).into())?
            .into_optimized()?
            .into_runnable()
    };
    let mut plans: HashMap<usize, Plan> = HashMap::new();
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready run")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["scores"] => scores(&plan(SCORES_BATCH)?, output, &rows, width)?,
            ["time", "run", batch] => {
                let batch = batch.parse()?;
                let plan = match plans.entry(batch) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(plan(batch)?),
                };
                time(plan, batch, &rows, width)?
            }
            _ => return Err(format!("unknown request: {line}").into()),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn scores(plan: &Plan, output: usize, rows: &[f32], width: usize) -> TractResult<String> {
    let mut text = String::new();
    for batch in rows.chunks(SCORES_BATCH * width) {
        let mut padded = batch.to_vec();
        padded.resize(SCORES_BATCH * width, 0.0);
        let answer = plan.run(tvec!(Tensor::from_shape(&[SCORES_BATCH, width], &padded)?.into()))?;
        let scores = answer[output].to_plain_array_view::<f32>()?;
        let per_event = scores.len() / SCORES_BATCH;
        for score in scores.iter().take(batch.len() / width * per_event) {
            text.push_str(&format!("{:08x}", score.to_bits()));
        }
    }
    Ok(text)
}

fn time(plan: &Plan, batch: usize, rows: &[f32], width: usize) -> TractResult<String> {
    let events = EVENTS.max(batch).min(rows.len() / width);
    let inputs: Vec<TValue> = rows[..events * width]
        .chunks_exact(batch * width)
        .map(|rows| Ok(Tensor::from_shape(&[batch, width], rows)?.into()))
        .collect::<TractResult<_>>()?;
    let mut state = plan.spawn()?;
    let mut pass = || -> TractResult<f64> {
        let begin = Instant::now();
        for input in &inputs {
            std::hint::black_box(state.run(tvec!(input.clone()))?);
        }
        Ok(begin.elapsed().as_secs_f64())
    };
    pass()?;
    let repeat = (RUN_SECONDS_MIN / pass()?).ceil().clamp(1.0, 1000.0) as usize;
    let mut answers = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let mut seconds = 0.0;
        for _ in 0..repeat {
            seconds += pass()?;
        }
        answers.push(format!("{:.3}", seconds / (repeat * inputs.len() * batch) as f64 * 1e9));
    }
    Ok(answers.join(" "))
}
