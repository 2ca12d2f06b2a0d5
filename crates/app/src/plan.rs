//! A validated plan, and its run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tamis_event::Schema;
use tamis_menu::ERROR_STREAM;
use tamis_pipeline::{Clock, Control, Cpus, Limits, LimitsError, MonotonicClock, Outcome, Pipeline, Setup};
use tamis_port::Sink;
use tamis_source::{Pusher, Recording};
use tamis_store::{Claim, ClaimError, McapSink, ModelArchive, Press, Provenance, StreamPlan};

use crate::exit::OrFail;
use crate::frames::open;
use crate::journal::Journal;
use crate::lineup::check_engine;
use crate::models::Rules;
use crate::{Exit, Failure, Report, Settings};

/// Most threads that compress.
const COMPRESSION_THREADS_MAX: usize = 64;

/// A run that was checked as far as it can be without reading the data: menu, models, schema, limits, output folder.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    recording: Recording,
    rules: Arc<Rules>,
    limits: Limits,
    /// The name that was wanted for the files; the claim has the one that was free.
    wanted: String,
    claim: Claim,
    control: Arc<Control>,
    clock: Arc<dyn Clock>,
}

impl Plan {
    /// Checks a replay of a recording (a file, or `-` for standard input).
    pub fn new(input: &Path, settings: Settings) -> Result<Self, Failure> {
        if settings.passes == 0 {
            return Err(Failure::new(Exit::Settings, "0 passes would replay nothing; ask for at least 1"));
        }
        let recording = open(input, settings.passes)?;
        let stem = if input == Path::new("-") { "stdin".into() } else { stem(input) };
        Self::with(recording, &stem, settings)
    }

    /// Checks a run that is fed from memory: the caller pushes frames of `schema`, and the run ends when the pusher is dropped. At most
    /// `waiting` pushes wait.
    pub fn push(schema: Schema, waiting: usize, settings: Settings) -> Result<(Self, Pusher), Failure> {
        if waiting == 0 {
            return Err(Failure::new(Exit::Settings, "room for 0 waiting pushes: use at least 1"));
        }
        let (pusher, recording) = tamis_source::push(schema, waiting);
        Ok((Self::with(recording, "pushed", settings)?, pusher))
    }

    /// Checks a run over a recording that is already open.
    pub fn with(recording: Recording, name: &str, settings: Settings) -> Result<Self, Failure> {
        check(&settings)?;
        // Also where no model asks for it.
        check_engine(settings.engine)?;
        let rules = Rules::load(&settings.menu, &settings.models, &recording.schema, settings.engine)?;
        Self::ruled(recording, name, settings, Arc::new(rules), Arc::new(MonotonicClock::default()))
    }

    /// Checks a run with rules that were loaded before, and a clock that the source may share. It ignores the menu, models and engine of the
    /// settings.
    pub(crate) fn ruled(
        recording: Recording,
        name: &str,
        settings: Settings,
        rules: Arc<Rules>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let workers = settings.workers.unwrap_or_else(|| Cpus::of_process(&settings.pin).for_workers());
        let batch = settings.batch.unwrap_or(rules.batch_events());
        let limits = Limits::new(workers, batch, recording.schema.layout());
        let limits = limits.map_err(|error| match error {
            LimitsError::Workers(_) => Failure::new(Exit::Settings, format!("--workers: {error}")),
            LimitsError::Batch(_) => Failure::new(Exit::Settings, format!("--batch: {error}")),
        })?;
        let wanted = settings.name.clone().unwrap_or_else(|| tamis_store::run_name_of(name));
        let claim = tamis_store::claim_run_name(&settings.out, &wanted).map_err(|refusal| match refusal {
            ClaimError::Name(error) => Failure::new(Exit::Settings, format!("--name: {error}")),
            ClaimError::Folder { ref error, .. } => Failure::new(Exit::of_output(error), &refusal),
            ClaimError::ReadOnly { .. } | ClaimError::Full { .. } => Failure::new(Exit::Storage, &refusal),
        })?;
        Ok(Self { settings, recording, rules, limits, wanted, claim, control: Arc::default(), clock })
    }

    /// What the user probably does not mean: a sentence each, with its place.
    pub fn warnings(&self) -> Vec<String> {
        let of_menu = self.rules.compiled.warnings().iter().map(|warning| format!("warning: {warning}"));
        let Self { wanted, claim, .. } = self;
        let renamed = (claim.name != *wanted).then(|| {
            let out = self.settings.out.display();
            format!("{out} has files of a run '{wanted}'; those of this run begin with '{}'", claim.name)
        });
        of_menu.chain(renamed).collect()
    }

    /// Watches and stops the run, from any thread.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Name that the run's files begin with.
    pub fn run_name(&self) -> &str {
        &self.claim.name
    }

    /// Do events come by themselves, from a pipe or pushed?
    pub fn is_live(&self) -> bool {
        self.recording.source.is_live()
    }

    /// Bytes that will be read, if that is known.
    pub fn input_bytes(&self) -> Option<u64> {
        self.recording.bytes
    }

    /// Runs to the end of the input, or until the control stops it. The report says how it ended ([`Report::exit`]); a failure means that the
    /// run did not begin.
    pub fn run(self) -> Result<Report, Failure> {
        let names: Vec<String> =
            self.rules.compiled.streams().iter().map(|stream| stream.name.clone()).collect();
        let names: Vec<String> = names.into_iter().chain([ERROR_STREAM.into()]).collect();
        let provenance = Arc::new(self.provenance());
        let press = Press::new(self.settings.compression, self.settings.compression_threads);
        let sink = |name: &String| self.sink(name, press.clone(), provenance.clone());
        let sinks = names.iter().map(sink).collect::<Result<Vec<_>, _>>()?;
        // The threads of the press end with the last sink.
        drop(press);
        let progress = names.iter().cloned().zip(sinks.iter().map(McapSink::progress)).collect();
        let run_name = self.claim.name.clone();
        let mut journal = Journal::new(&self.settings.out, self.claim, self.rules.compiled.clone(), progress);
        let pipeline = Pipeline::new(Setup {
            source: self.recording.source,
            schema: &self.recording.schema,
            menu: self.rules.compiled.clone(),
            models: (0..self.limits.workers()).map(|_| self.rules.choices()).collect(),
            sinks: sinks.into_iter().map(|sink| Box::new(sink) as Box<dyn Sink>).collect(),
            stamp: self.rules.stamp,
            limits: self.limits,
            pace: self.settings.pace,
            deadline: self.settings.deadline,
            busy_poll: self.settings.busy_poll,
            cpus: Cpus::of_process(&self.settings.pin),
            clock: self.clock.clone(),
            control: self.control.clone(),
        });
        let outcome: Outcome = pipeline.run_threads(|books| journal.news(books));
        // A sink that fails drains the run too.
        let stopped =
            self.control.is_draining() && outcome.streams.iter().all(|stream| stream.error.is_none());
        let report =
            Report::new(&self.settings, &self.rules, self.limits, &run_name, &names, stopped, &outcome);
        Ok(journal.finish(report))
    }

    fn sink(&self, name: &str, press: Arc<Press>, provenance: Arc<Provenance>) -> Result<McapSink, Failure> {
        let sink = McapSink::new(StreamPlan {
            folder: self.settings.out.clone(),
            run_name: self.claim.name.clone(),
            stream: name.into(),
            durable: self.settings.durable,
            rotate_bytes: self.settings.rotate_bytes,
            press,
            provenance,
        });
        sink.or_fail(Exit::Storage)
    }

    /// What every file carries, so that its decisions can be checked years later. Nothing in it depends on time or machine.
    fn provenance(&self) -> Provenance {
        let word = |key: &str, value: String| (key.to_owned(), value);
        let choices = |(name, choices): &(String, Vec<tamis_model::Bundle>)| -> Vec<ModelArchive> {
            let attached = |(choice, bundle): (usize, &tamis_model::Bundle)| ModelArchive {
                name: name.clone(),
                choice,
                tar: bundle.to_tar(),
            };
            choices.iter().enumerate().map(attached).collect()
        };
        let deadline = self.settings.deadline.map(|time| word("deadline_ns", time.as_nanos().to_string()));
        Provenance {
            schema: self.recording.schema.clone(),
            menu: self.rules.menu.text().into(),
            models: self.rules.bundles.iter().flat_map(choices).collect(),
            metadata: BTreeMap::from_iter(
                [
                    word("tamis", env!("CARGO_PKG_VERSION").into()),
                    word("menu", self.rules.menu.name().into()),
                    word("menu_hash", format!("{:016x}", self.rules.compiled.hash_prefix())),
                    word("model_hash", format!("{:016x}", self.rules.stamp.model_hash)),
                    word("engine", self.rules.device()),
                ]
                .into_iter()
                .chain(deadline),
            ),
        }
    }
}

/// Refuses CPUs that workers cannot be kept on.
pub(crate) fn check_pins(cpus: &[usize]) -> Result<(), Failure> {
    if cpus.is_empty() {
        return Ok(());
    }
    let refuse = |message: String| Failure::new(Exit::Settings, message);
    let allowed =
        tamis_pipeline::allowed_cpus().map_err(|error| refuse(format!("no CPU to pin to: {error}")))?;
    // The system would let a thread leave the set that was given to this process.
    let listed = || allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    cpus.iter().find(|cpu| !allowed.contains(cpu)).map_or(Ok(()), |cpu| {
        let message = format!("a worker cannot be kept on CPU {cpu}; this process may use CPU {}", listed());
        Err(refuse(message))
    })
}

/// Refuses settings that make no sense for any input.
fn check(settings: &Settings) -> Result<(), Failure> {
    if settings.out == Path::new("-") {
        let message = "accepted events go to files in a folder, and - is standard output; name a folder";
        return Err(Failure::new(Exit::Settings, message));
    }
    if settings.compression_threads.is_some_and(|threads| !(1..=COMPRESSION_THREADS_MAX).contains(&threads)) {
        let message = format!("--compression-threads: use 1 to {COMPRESSION_THREADS_MAX}");
        return Err(Failure::new(Exit::Settings, message));
    }
    if settings.rate_hz.is_some_and(|hz| !(hz > 0.0 && hz.is_finite())) {
        return Err(Failure::new(Exit::Settings, "the input rate must be a positive number of Hz"));
    }
    if settings.deadline.is_some_and(|deadline| deadline.is_zero()) {
        let message = "a deadline of 0 leaves no time for any event; use one of some ms, or none";
        return Err(Failure::new(Exit::Settings, message));
    }
    check_pins(&settings.pin)
}

/// The name of a file without its folder and extensions.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_end_matches(".zst").trim_end_matches(".tmf").into()
}
