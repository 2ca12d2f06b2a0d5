//! The whole pipeline at full pace: frames in memory to closed files, by topology, and by size of events and share of accepted ones.
//!
//! At full pace the source waits for the pipeline, so nothing is dropped and no backlog can grow: the events of a run over its time are the
//! rate that is sustained by construction. `latency.rs` looks for the same rate with arrivals on a timetable.

use tamis_store::CompressionProbe;

use super::machine::core_seconds;
use super::probes;
use super::rows::{Section, Turns, Unit};
use super::sample::{EventSize, L1_BYTES};
use super::workload::{Bed, Workload};
use crate::Failure;

/// Sizes of events: 57 numbers, an image of 18 x 14 towers, and ever larger detectors; then 57 numbers that are features of ever more raw data.
pub(crate) const SIZES: [EventSize; 10] = [
    EventSize::plain(L1_BYTES),
    EventSize::plain(504),
    EventSize::plain(4 << 10),
    EventSize::plain(64 << 10),
    EventSize::plain(1 << 20),
    EventSize { record: L1_BYTES, payload: 504 - L1_BYTES },
    EventSize { record: L1_BYTES, payload: 4 << 10 },
    EventSize { record: L1_BYTES, payload: 64 << 10 },
    EventSize { record: L1_BYTES, payload: 1 << 20 },
    EventSize { record: L1_BYTES, payload: 16 << 20 },
];
/// For events of any size, one in so many is accepted.
const EVERY: [u64; 3] = [1000, 10, 1];
/// For events of the smallest size, one in so many is accepted.
const EVERY_OF_SMALLEST: [u64; 6] = [100_000, 10_000, 1000, 100, 10, 1];

/// The acceptances that are measured for events of a size: one event in so many.
pub(crate) fn every(size: EventSize) -> &'static [u64] {
    if size == SIZES[0] { &EVERY_OF_SMALLEST } else { &EVERY }
}

/// One row of a table: a workload on a bed.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) section: Section,
    pub(crate) name: String,
    pub(crate) workload: Workload,
    pub(crate) bed: Bed,
    /// How often the events are played; 0 before it is known.
    passes: u64,
    /// Share of the events that was accepted.
    pub(crate) kept: f64,
    /// Bytes per second at which one thread compresses the events, in each turn of a row of sizes.
    compression: Vec<f64>,
    /// Bytes of files per event.
    pub(crate) file_bytes: f64,
    /// Had admission a thread of its own?
    pub(crate) admitted_apart: bool,
}

impl Trial {
    pub(crate) fn new(section: Section, name: String, workload: Workload, bed: Bed) -> Self {
        Self {
            section,
            name,
            workload,
            bed,
            passes: 0,
            kept: 0.0,
            compression: Vec::new(),
            file_bytes: 0.0,
            admitted_apart: true,
        }
    }

    /// Plays the events for a moment, to warm up, and finds how many a run of `seconds` needs. `events` bounds the number if it is given: from
    /// below for topologies, which were asked for, and from above for the others.
    pub(crate) fn warm_up(&mut self, seconds: f64, events: Option<u64>) -> Result<(), Failure> {
        let held = self.workload.stream.events;
        self.passes = 1;
        // The first time, much is done for the first time; the second shows the speed.
        for share in [WARM_UP_SHARE, 1.0] {
            let wanted = (self.run()?.events_per_s * seconds * share) as u64;
            let wanted = match (self.section, events) {
                (Section::Speed, Some(events)) => events,
                (_, Some(events)) => wanted.min(events),
                (_, None) => wanted,
            };
            self.passes = wanted.div_ceil(held).max(1);
        }
        Ok(())
    }

    /// Events of a run.
    pub(crate) fn events(&self) -> u64 {
        self.passes * self.workload.stream.events
    }

    /// One run.
    pub(crate) fn turn(&mut self, turns: &mut Turns) -> Result<(), Failure> {
        let run = self.run()?;
        turns.add(self.section, self.name.as_str(), Unit::EventsPerSecond, run.events_per_s);
        if self.section == Section::Sizes {
            let events = probes::some_chunks(&self.workload.stream);
            self.compression.push(probes::compression(&mut CompressionProbe::default(), events));
        }
        if self.section == Section::Speed {
            turns.add(self.section, core_time(&self.name), Unit::NsPerEvent, run.core_ns);
        }
        Ok(())
    }

    /// Bytes per second at which one thread compresses the events, once there was a turn.
    pub(crate) fn compression(&self) -> f64 {
        probes::median(self.compression.iter().copied())
    }

    /// What one run gave.
    pub(crate) fn run(&mut self) -> Result<Run, Failure> {
        let before = core_seconds();
        let report = self.workload.flat(&self.bed, self.passes)?;
        let used = core_seconds() - before;
        let events = report.ledger.received.max(1) as f64;
        self.kept = report.ledger.accepted as f64 / events;
        self.file_bytes = report.streams.iter().map(|stream| stream.bytes).sum::<u64>() as f64 / events;
        self.admitted_apart = report.admitted_apart;
        Ok(Run { events_per_s: report.throughput.events_per_s, core_ns: used * 1e9 / events })
    }
}

/// What one run gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) events_per_s: f64,
    /// Time of all cores per event: what a machine that others share cannot take away.
    pub(crate) core_ns: f64,
}

/// Time of the warm-up over that of a run.
const WARM_UP_SHARE: f64 = 0.2;

/// Name of the row of the core time.
pub(crate) fn core_time(name: &str) -> String {
    format!("{name}, core time")
}

/// Name of the row of a topology.
pub(crate) fn topology(sources: usize, workers: usize) -> String {
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!("{sources} source{}, {workers} worker{}", plural(sources), plural(workers))
}

/// Name of the row of a size.
pub(crate) fn size(size: EventSize, every: u64) -> String {
    let share = match every {
        1 => "all".into(),
        every => format!("1 in {every}"),
    };
    let bytes = |bytes: usize| match bytes {
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    };
    let payload = if size.payload > 0 { format!(" + {}", bytes(size.payload)) } else { String::new() };
    format!("{}{payload}, {share} accepted", bytes(size.record))
}
