//! `tamis gen`: synthetic recordings of any schema and size.

use std::path::PathBuf;

use serde::Serialize;
use tamis_app::{Exit, Failure, GenSettings};
use tamis_sim::GenOptions;

use super::{Group, Run};
use crate::output::{Document, print, print_json};
use crate::{figures, progress, units};

/// Generate a synthetic recording: noise and injected signals, from a seed
///
/// The same seed and schema give the same events, byte for byte, on every machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The schema of the events
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// How many events
    #[arg(long, value_name = "N", value_parser = units::count)]
    events: u64,
    /// The recording to write (.tmf or .tmf.zst)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Events per second of detector time
    #[arg(long, value_name = "RATE", default_value = "40MHz", value_parser = units::rate_hz)]
    rate: f64,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = GenOptions::default().seed)]
    seed: u64,
    /// Share of events that carry a signal, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = GenOptions::default().signal_fraction)]
    signal: f64,
    /// Events per frame [default: 3564, or as many as fit]
    #[arg(long, value_name = "N")]
    frame_events: Option<usize>,
    /// Events per segment
    #[arg(long, value_name = "N", default_value_t = GenOptions::default().segment_events)]
    segment_events: u64,
    /// Run number
    #[arg(long, value_name = "N", default_value_t = GenOptions::default().run)]
    run: u32,
    /// Give each event a time of its own, and not only each frame
    #[arg(long)]
    event_times: bool,
    /// Bytes of each payload, or of the shortest and the longest, as in 1KiB..1MiB; for a schema with payloads [default: 1KiB]
    #[arg(long, value_name = "SIZE", value_parser = payload)]
    payload: Option<(usize, usize)>,
    /// Replace the recording if it exists
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Made {
    path: String,
    events: u64,
    frames: u64,
    bytes: u64,
    seed: u64,
}

impl Run for Args {
    const NAME: &'static str = "gen";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("gen --schema l1.toml --events 20M --signal 0.01 --out noise.tmf", "20 million events, 1 % signal"),
        (
            "gen --schema l1.toml --events 1M --seed 7 --rate 1MHz --out slow.tmf.zst",
            "compressed, spaced by 1 us",
        ),
        (
            "gen --schema raw.toml --events 10000 --payload 1KiB..1MiB --out raw.tmf",
            "with raw data beside the features",
        ),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let options = GenOptions {
            seed: self.seed,
            rate_hz: self.rate,
            signal_fraction: self.signal,
            segment_events: self.segment_events,
            run: self.run,
            event_times: self.event_times,
            payload_bytes: self.payload,
            ..GenOptions::default()
        };
        let bar = progress::bar(Some(self.events), &progress::COUNT);
        bar.set_message("events");
        let schema = self.schema;
        let out = self.out;
        let events = self.events;
        let overwrite = self.overwrite;
        let frame_events = self.frame_events;
        let settings = GenSettings { schema, events, out, overwrite, frame_events, options };
        let (generated, written) = tamis_app::generate(&settings, |events| bar.set_position(events))?;
        bar.finish_and_clear();
        let made = Made {
            path: written.path.display().to_string(),
            events: generated.events,
            frames: generated.frames,
            bytes: written.bytes,
            seed: self.seed,
        };
        if self.json {
            print_json(&Document::new(&made))?;
        } else {
            let events = figures::counted(made.events, "event");
            let frames = figures::counted(made.frames, "frame");
            let size = figures::bytes(made.bytes);
            print(&format!("{}: {events} in {frames}, {size}, seed {}\n", made.path, made.seed))?;
        }
        Ok(Exit::Done)
    }
}

/// `64KiB`, or `1KiB..1MiB`.
fn payload(text: &str) -> Result<(usize, usize), String> {
    let size = |text: &str| {
        units::bytes_or_none(text).map(|bytes| bytes as usize).map_err(|error| error.to_string())
    };
    match text.split_once("..") {
        Some((shortest, longest)) => Ok((size(shortest)?, size(longest)?)),
        None => size(text).map(|bytes| (bytes, bytes)),
    }
}
