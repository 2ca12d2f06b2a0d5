//! What bounds what: the probes give the roofline of each stage, and the stages give that of the whole pipeline.

use super::machine::cores;
use super::probes::{CHECK, COPY, FILE, PEAK, READ, ZSTD};
use super::rows::{Section, Turns};
use super::speed::{Trial, core_time};
use super::stages::{PASS_ON, PASS_ON_CORES, RECORD, SCAN, STORE, VERDICT, model_row};

/// What is known of a workload besides its measured times.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) turns: &'a Turns,
    /// Bytes of an event.
    pub(crate) event_bytes: f64,
    /// Bytes of the record of a kept event.
    pub(crate) record_bytes: f64,
    /// Names of the models and their multiply-adds per event, where the units of the CPU do them.
    pub(crate) models: Vec<(String, u64)>,
    pub(crate) cells: &'a [Trial],
}

/// The parts of a pipeline that run at the same time, each with the least time that it needs for an event, in ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) admission: f64,
    /// Time of one worker for an event of its own; workers share the events.
    pub(crate) worker: f64,
    pub(crate) writer: f64,
}

impl Bounds<'_> {
    /// What bounds a row, and the best value that allows.
    pub(crate) fn of(&self, section: Section, name: &str) -> Option<(String, f64)> {
        match section {
            Section::Stages => self.stage(name),
            Section::Speed => self.topology(name),
            Section::Sizes => self.size(name),
            Section::Probes | Section::Latency | Section::Engines => None,
        }
    }

    fn probe(&self, name: &str) -> Option<f64> {
        self.turns.median(Section::Probes, name)
    }

    fn stage_ns(&self, name: &str) -> Option<f64> {
        self.turns.median(Section::Stages, name)
    }

    fn stage(&self, name: &str) -> Option<(String, f64)> {
        let over = |amount: f64, probe: &str| {
            self.probe(probe).map(|per_second| (probe.to_owned(), amount / per_second * 1e9))
        };
        match name {
            SCAN | PASS_ON | PASS_ON_CORES => over(self.event_bytes, CHECK),
            VERDICT => over(self.event_bytes, READ),
            RECORD => over(self.record_bytes, COPY),
            STORE => over(self.record_bytes, ZSTD),
            _ => {
                let model = self.models.iter().find(|(model, _)| model_row(model) == name);
                let multiply_adds = model.map(|(_, count)| *count).filter(|&count| count > 0)?;
                over(multiply_adds as f64, PEAK)
            }
        }
    }

    /// The parts of a run with this share of kept events, if its stages were measured.
    pub(crate) fn parts(&self, kept: f64) -> Option<Parts> {
        let models = self.models.iter().map(|(name, _)| self.stage_ns(&model_row(name)));
        let models = models.sum::<Option<f64>>()?;
        let worker = models + self.stage_ns(VERDICT)? + kept * self.stage_ns(RECORD)?;
        Some(Parts { admission: self.stage_ns(SCAN)?, worker, writer: kept * self.stage_ns(STORE)? })
    }

    fn cell(&self, section: Section, name: &str) -> Option<&Trial> {
        self.cells.iter().find(|cell| cell.section == section && cell.name == name)
    }

    fn topology(&self, name: &str) -> Option<(String, f64)> {
        if let Some(cell) = self.cells.iter().find(|cell| core_time(&cell.name) == name) {
            let Parts { admission, worker, writer } = self.parts(cell.kept)?;
            return Some(("the sum of stages".into(), admission + worker + writer));
        }
        let cell = self.cell(Section::Speed, name)?;
        let (by, ns) = self.parts(cell.kept)?.slowest(cell.bed.workers, cell.admitted_apart);
        Some((by.into(), 1e9 / ns))
    }

    /// Reading and checking on one thread, the disk, or the cores: each compresses chunks of the stream when it does not read.
    fn size(&self, name: &str) -> Option<(String, f64)> {
        let cell = self.cell(Section::Sizes, name)?;
        let bytes = cell.workload.stream.event_bytes();
        let seconds = |probe, bytes: f64| Some(bytes / self.probe(probe)?);
        let (read, pressed) = (seconds(CHECK, bytes)?, bytes * cell.kept / cell.compression());
        let on_cores = if pressed > read { ZSTD } else { CHECK };
        let parts = [
            (CHECK.to_owned(), read),
            (FILE.to_owned(), seconds(FILE, cell.file_bytes)?),
            (format!("{on_cores}, all cores"), (read + pressed) / cores() as f64),
        ];
        let (by, seconds) = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are three");
        Some((by, 1.0 / seconds))
    }
}

impl Parts {
    /// What needs most of the time of a run with `workers` workers, and ns per event that it takes. Admission that is not apart takes its time from
    /// one of them, and the others decide more.
    pub(crate) fn slowest(&self, workers: usize, admitted_apart: bool) -> (&'static str, f64) {
        let all_cores = (self.admission + self.worker + self.writer) / cores() as f64;
        let of_workers = self.worker + if admitted_apart { 0.0 } else { self.admission };
        let parts = [
            ("admission", self.admission),
            ("workers", of_workers / workers as f64),
            ("writer", self.writer),
            ("all cores", all_cores),
        ];
        parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are four")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_part_depends_on_the_number_of_workers() {
        let parts = Parts { admission: 100.0, worker: 1000.0, writer: 1.0 };
        assert_eq!(parts.slowest(1, true), ("workers", 1000.0));
        assert_eq!(parts.slowest(1, false), ("workers", 1100.0));
        let (by, ns) = parts.slowest(100, true);
        let wanted = if cores() > 11 { ("admission", 100.0) } else { ("all cores", 1101.0 / cores() as f64) };
        assert_eq!((by, ns), wanted);
    }
}
