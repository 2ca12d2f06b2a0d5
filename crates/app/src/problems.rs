//! What went wrong in a run: one sentence each, and the exit code that follows.

use serde::Serialize;
use tamis_ledger::{Cause, Tally};
use tamis_menu::ModelRef;
use tamis_pipeline::{Outcome, Undecided};

use crate::Exit;
use crate::inspect::engine_name;

/// A device that was lost on the way.
#[derive(Clone, Debug, Serialize)]
pub struct LostDevice {
    /// Name of the model that noticed.
    pub model: String,
    /// The engine that was lost.
    pub engine: &'static str,
    /// The engine that took over; absent if none could.
    pub stand_in: Option<&'static str>,
    /// Run of the block that was being scored; the stand-in scored that block again.
    pub run: u32,
    /// Segment of that block.
    pub segment: u32,
    /// First event of that block.
    pub event: u64,
    /// What the engine said.
    pub message: String,
}

/// The devices that were lost, as a document.
pub(crate) fn device_losses(models: &[ModelRef], outcome: &Outcome) -> Vec<LostDevice> {
    let device_loss = |loss: &tamis_pipeline::DeviceLoss| LostDevice {
        model: models[loss.model].name.clone(),
        engine: engine_name(loss.engine),
        stand_in: loss.stand_in.map(engine_name),
        run: loss.run,
        segment: loss.segment,
        event: loss.event_id,
        message: loss.message.clone(),
    };
    outcome.losses.iter().map(device_loss).collect()
}

/// What went wrong, the most serious first, and the exit code that follows.
pub(crate) fn problems(
    outcome: &Outcome,
    models: &[ModelRef],
    device_losses: &[LostDevice],
) -> (Vec<String>, Exit) {
    let mut problems = Vec::new();
    let mut exit = Exit::Done;
    let mut add = |code: Exit, message: String| {
        if exit == Exit::Done {
            exit = code;
        }
        problems.push(message);
    };
    if let Some(refusal) = &outcome.refused {
        add(Exit::Resources, format!("{refusal}; use fewer --workers or raise the limit on threads"));
        return (problems, exit);
    }
    for panic in &outcome.panics {
        add(
            Exit::Internal,
            format!("a stage stopped because of a defect of tamis, please report it: {panic}"),
        );
    }
    if outcome.panics.is_empty()
        && let Err(imbalance) = &outcome.balance
    {
        add(Exit::Internal, format!("{imbalance}: a defect of tamis, please report it"));
    }
    for error in outcome.streams.iter().filter_map(|stream| stream.error.as_ref()) {
        add(Exit::Storage, error.to_string());
    }
    if let Some(error) = &outcome.source_error {
        add(Exit::Input, error.to_string());
    }
    if outcome.tally.has_losses() {
        add(Exit::Losses, losses(&outcome.tally));
    }
    for failure in &outcome.failures {
        // The events are among those above, or were kept by a later rung.
        add(Exit::Done, reason(failure, models));
    }
    if let Some(first) = device_losses.first() {
        // Every event still has its verdict, or is among those above.
        add(Exit::Done, degraded(first, outcome.tally.degraded));
    }
    (problems, exit)
}

/// Why the first event could not be decided, of a model at a rung.
fn reason(failure: &Undecided, models: &[ModelRef]) -> String {
    let Undecided { model, rung, cause, run, segment, event_id, message } = failure;
    let event = format!("event {event_id} of run {run}, segment {segment}");
    match model {
        Some(model) => {
            let name = &models[*model].name;
            format!("model '{name}' at rung {rung} first failed at {event} ({}): {message}", cause.name())
        }
        None => format!("the decision on the block from {event} was a {}: {message}", cause.name()),
    }
}

fn degraded(loss: &LostDevice, events: u64) -> String {
    let LostDevice { model, engine, stand_in, run, segment, event, message } = loss;
    let instead = match stand_in {
        Some(stand_in) => format!("{stand_in} took over with that block and scored {events} events"),
        None => "nothing could take over".into(),
    };
    format!(
        "the run is degraded: {engine} was lost ({message}) when model '{model}' scored the block from event {event} of run {run}, segment {segment}; {instead}"
    )
}

fn losses(tally: &Tally) -> String {
    let parts = [
        (tally.dropped.total().into(), "dropped"),
        (tally.corrupt.total().into(), "corrupt"),
        (tally.errored.total().into(), "not decided"),
        (tally.missing, "missing"),
        (tally.forgotten.into(), "no longer known if they come again"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _): &&(i128, _)| *n != 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("data was lost or left undecided: {}; the ledger has the causes", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use tamis_event::CloseReason;
    use tamis_ledger::{Errored, Storage};

    use super::*;

    fn outcome(losses: Vec<tamis_pipeline::DeviceLoss>, tally: Tally) -> Outcome {
        Outcome {
            tally,
            storage: Storage::default(),
            balance: Ok(()),
            streams: Vec::new(),
            closes: [0; CloseReason::ALL.len()],
            latencies: tamis_pipeline::Latencies::default(),
            lag_ns: None,
            first_pass: None,
            admitted_apart: true,
            losses,
            failures: Vec::new(),
            source_error: None,
            panics: Vec::new(),
            refused: None,
            elapsed_ns: 1,
        }
    }

    #[test]
    fn a_lost_device_is_a_problem_but_no_loss_of_data() {
        let models = ["topo", "anomaly"].map(|name| ModelRef {
            name: name.into(),
            bundle: String::new(),
            fallback: Vec::new(),
        });
        let loss = |stand_in: Option<u8>| tamis_pipeline::DeviceLoss {
            model: 1,
            engine: 2,
            stand_in,
            run: 7,
            segment: 3,
            event_id: 4096,
            message: "device removed".into(),
        };
        let judged = |losses: Vec<tamis_pipeline::DeviceLoss>, tally: Tally| {
            let outcome = outcome(losses, tally);
            problems(&outcome, &models, &device_losses(&models, &outcome))
        };
        let tally = Tally { degraded: 1234, ..Tally::new(1, 1) };
        let (problems, exit) = judged(vec![loss(Some(1)), loss(Some(1))], tally);
        let told = "the run is degraded: gpu was lost (device removed) when model 'anomaly' scored the block from event 4096 of run 7, segment 3; flex took over with that block and scored 1234 events";
        assert_eq!(
            (problems.as_slice(), exit),
            ([told.to_string()].as_slice(), Exit::Done),
            "once, not per worker"
        );

        let mut tally = Tally::new(1, 1);
        tally.errored.add(Errored::Device, 50);
        let (problems, exit) = judged(vec![loss(None)], tally);
        assert!(problems[0].contains("50 not decided") && problems[1].ends_with("nothing could take over"));
        assert_eq!((problems.len(), exit), (2, Exit::Losses));
    }

    #[test]
    fn why_a_model_failed_is_told() {
        let models = [ModelRef { name: "topo".into(), bundle: String::new(), fallback: Vec::new() }];
        let failure = |model, cause, message: &str| Undecided {
            model,
            rung: 1,
            cause,
            run: 7,
            segment: 3,
            event_id: 17,
            message: message.into(),
        };
        let mut tally = Tally::new(1, 1);
        tally.errored.add(Errored::Refused, 2);
        let mut outcome = outcome(Vec::new(), tally);
        outcome.failures =
            vec![failure(Some(0), Errored::Refused, "too warm"), failure(None, Errored::Panic, "a slip")];
        let (problems, exit) = problems(&outcome, &models, &[]);
        assert_eq!(exit, Exit::Losses);
        assert_eq!(
            problems[1..],
            [
                "model 'topo' at rung 1 first failed at event 17 of run 7, segment 3 (refused): too warm",
                "the decision on the block from event 17 of run 7, segment 3 was a panic: a slip",
            ]
        );
    }
}
