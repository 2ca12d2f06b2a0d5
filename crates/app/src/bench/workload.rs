//! What is measured: events, the menu and its models, and one run of them through the whole pipeline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tamis_event::{Role, Schema};
use tamis_lab::{Dataset, Recipe};
use tamis_menu::Menu;
use tamis_model::{Bundle, Engine};
use tamis_pipeline::{Clock, MonotonicClock};
use tamis_sim::{Arrivals, Schedule};
use tamis_source::Recording;

use super::open_loop::{Backlog, OpenLoop};
use super::sample::{EventSize, FrameStream, L1_BYTES, Sample};
use crate::exit::OrFail;
use crate::models::Rules;
use crate::{Exit, Failure, Plan, Report, Settings};

/// Number of events to learn from. How well the model learns does not matter.
const TAUGHT_EVENTS: u64 = 256;

/// A menu with its models, and the events for it.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) stream: FrameStream,
    pub(crate) rules: Arc<Rules>,
}

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Bed {
    pub(crate) workers: usize,
    /// CPUs of the workers, in turn.
    pub(crate) pin: Vec<usize>,
    /// How long threads look for something to do before they sleep.
    pub(crate) busy_poll: Duration,
    pub(crate) batch: usize,
    /// Where temporary folders are made.
    pub(crate) folder: PathBuf,
}

impl Workload {
    /// A menu of our own for made events of [`L1_BYTES`]: a network, a cut, and one event in 1000 by hash.
    pub(crate) fn own_rules(schema: &Schema, engine: Engine) -> Result<Arc<Rules>, Failure> {
        let text = r#"
name = "bench"
[[model]]
name = "net"
bundle = "made for the measurement"
[[stream]]
name = "physics"
[[line]]
name = "network"
when = "net.a > 2"
streams = ["physics"]
[[line]]
name = "cut"
when = "x[0] > 30000 && x[1] > 30000"
streams = ["physics"]
[[line]]
name = "random"
kind = "random"
every = 1000
streams = ["physics"]
"#;
        let menu = Menu::parse(text, "bench").or_fail(Exit::Internal)?;
        let bundles = vec![("net".to_owned(), vec![network(&ROOFLINE)?])];
        Ok(Arc::new(Rules::bind(menu, bundles, schema, engine)?))
    }

    /// A menu without models that keeps one event in `every`, by hash.
    pub(crate) fn random_rules(schema: &Schema, every: u64) -> Result<Arc<Rules>, Failure> {
        Self::plain_rules(schema, &format!("kind = \"random\"\nevery = {every}"))
    }

    /// A menu without models that keeps nothing.
    pub(crate) fn idle_rules(schema: &Schema) -> Result<Arc<Rules>, Failure> {
        let fields = schema.fields();
        let field = fields.iter().find(|field| field.role != Role::Truth).unwrap_or(&fields[0]);
        let index = if field.len.is_some() { "[0]" } else { "" };
        Self::plain_rules(schema, &format!("when = \"{}{index} > 1e300\"", field.name))
    }

    fn plain_rules(schema: &Schema, condition: &str) -> Result<Arc<Rules>, Failure> {
        let text = format!(
            "name = \"bench\"\n[[stream]]\nname = \"physics\"\n[[line]]\nname = \"line\"\n{condition}\nstreams = [\"physics\"]\n"
        );
        let menu = Menu::parse(&text, "bench").or_fail(Exit::Internal)?;
        Ok(Arc::new(Rules::bind(menu, Vec::new(), schema, Engine::Flex)?))
    }

    /// Plays the events as fast as they are decided.
    pub(crate) fn flat(&self, bed: &Bed, passes: u64) -> Result<Report, Failure> {
        self.run(bed, self.stream.recording(passes)?, Arc::new(MonotonicClock::default()))
    }

    /// Lets `frames` frames arrive by a timetable with a mean of `rate_hz` events per second.
    pub(crate) fn timed(
        &self,
        bed: &Bed,
        frames: u64,
        rate_hz: f64,
        schedule: Schedule,
    ) -> Result<(Report, Arc<Backlog>), Failure> {
        let stream = &self.stream;
        let frame_rate_hz = rate_hz * stream.frames() as f64 / stream.events as f64;
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::default());
        let source = OpenLoop::new(stream, frames, Arrivals::new(1, frame_rate_hz, schedule), clock.clone());
        let backlog = source.backlog();
        let recording = Recording {
            schema: stream.schema.clone(),
            source: Box::new(source),
            place: "timetable".into(),
            bytes: None,
        };
        Ok((self.run(bed, recording, clock)?, backlog))
    }

    fn run(&self, bed: &Bed, recording: Recording, clock: Arc<dyn Clock>) -> Result<Report, Failure> {
        let folder = tempfile::Builder::new().prefix("tamis-bench-").tempdir_in(&bed.folder);
        let folder =
            folder.map_err(|error| format!("{}: {error}", bed.folder.display())).or_fail(Exit::Storage)?;
        let settings = Settings {
            workers: Some(bed.workers),
            pin: bed.pin.clone(),
            busy_poll: bed.busy_poll,
            batch: Some(bed.batch),
            ..Settings::new("", folder.path())
        };
        let report = Plan::ruled(recording, "bench", settings, self.rules.clone(), clock)?.run()?;
        let ledger = &report.ledger;
        let lost = ledger.dropped.total() + ledger.corrupt.total() + ledger.errored.total();
        // A recording may lack some ids; that costs nothing. Half a run on another engine is no measurement.
        let is_sound = matches!(report.exit(), Exit::Done | Exit::Losses)
            && lost == 0
            && report.device_losses.is_empty();
        if is_sound { Ok(report) } else { Err(Failure::new(report.exit(), report.problems.join("; "))) }
    }
}

/// The network for which the limit of the machine is computed.
const ROOFLINE: [usize; 4] = [L1_BYTES / 2, 32, 16, 3];

/// A network of three outputs for made events of [`L1_BYTES`], trained for a moment on noise: its speed does not depend on what it knows.
pub(crate) fn network(layers: &[usize]) -> Result<Bundle, Failure> {
    let classes = ["a", "b", "c"];
    let mut recipe = format!(
        r#"
name = "net"
version = "1.0.0"
architecture = "dense"
layers = {layers:?}
outputs = ["a", "b", "c"]
background = "a"
seed = 1
epochs = 1
batch = 64
learning_rate = 1e-3
held_out = 0.25
input = [{{ field = "x", standardize = true, clip = [-8.0, 8.0] }}]
"#,
    );
    let mut datasets = Vec::new();
    for class in classes {
        recipe += &format!("[[data]]\nfile = \"{class}\"\nclass = \"{class}\"\n");
        let stream =
            Sample::made(EventSize::plain(L1_BYTES), TAUGHT_EVENTS as usize, TAUGHT_EVENTS)?.stream(1, None);
        let from = stream.ends[0] + tamis_event::HEADER_LEN;
        let events = stream.bytes[from..from + TAUGHT_EVENTS as usize * L1_BYTES].to_vec();
        datasets.push(Dataset { schema: stream.schema, events });
    }
    let recipe = Recipe::parse(&recipe, "bench").or_fail(Exit::Internal)?;
    let outcome = tamis_lab::train(&recipe, &datasets, &mut |_| ()).or_fail(Exit::Internal)?;
    let bundle = Bundle::from_files(&outcome.bundle.files()).or_fail(Exit::Internal)?;
    // For fewer bits too, whose speed does not depend on how near they come.
    let Dataset { schema, events } = &datasets[0];
    let mut calibrator = bundle.calibrator(schema).or_fail(Exit::Internal)?;
    calibrator.add(events);
    bundle.with_calibration(&calibrator.finish(1.0).or_fail(Exit::Internal)?).or_fail(Exit::Internal)
}
