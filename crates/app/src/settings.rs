//! What a user asks for, before any of it is checked.

use std::path::PathBuf;
use std::time::Duration;

use tamis_model::Engine;
use tamis_pipeline::Pace;
use tamis_store::{Compression, Durable, ROTATE_BYTES};

/// A run that is asked for. Build it with [`Settings::new`] and set what differs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The menu file. Models are found relative to it.
    pub menu: PathBuf,
    /// Folder for the accepted events; made if it is not there.
    pub out: PathBuf,
    /// Name that the files begin with; by default that of the input. A name that is taken gets a number.
    pub name: Option<String>,
    /// Model bundles that replace those of the menu, by the menu's name for the model. Its fallbacks stay.
    pub models: Vec<(String, PathBuf)>,
    /// What runs the models; by default it is chosen for each model by trial.
    pub engine: Engine,
    /// Number of deciding threads; by default one per core, or per CPU that they are kept on.
    pub workers: Option<usize>,
    /// CPUs that the workers are kept on, in turn; all other threads are kept off them, if that leaves any CPU. None: the system places all threads.
    pub pin: Vec<usize>,
    /// Most events per batch between stages; by default what suits the engine best.
    pub batch: Option<usize>,
    /// How often the recording is played; ids go on from pass to pass.
    pub passes: u64,
    /// How fast events are admitted.
    pub pace: Pace,
    /// Longest time from the admission of an event to its decision; an event that has no scores by then goes to the last rung of the ladder. Which
    /// events are late then differs from run to run, and nothing else does.
    pub deadline: Option<Duration>,
    /// How long admission and the deciding threads look for something to do before they sleep; with `Duration::MAX` they never sleep. This saves the
    /// time of a wake-up and keeps their cores busy.
    pub busy_poll: Duration,
    /// Input rate in Hz that line rates are quoted at; by default that of the menu.
    pub rate_hz: Option<f64>,
    /// When stored events reach the disk.
    pub durable: Durable,
    /// Bytes of records after which a stream continues in a new file.
    pub rotate_bytes: u64,
    /// How stored events are compressed.
    pub compression: Compression,
    /// Threads that compress what a stream stores, its own among them; by default one per CPU. Files do not depend on it.
    pub compression_threads: Option<usize>,
}

impl Settings {
    /// The defaults for a menu and an output folder.
    pub fn new(menu: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            menu: menu.into(),
            out: out.into(),
            name: None,
            models: Vec::new(),
            engine: Engine::Auto,
            workers: None,
            pin: Vec::new(),
            batch: None,
            passes: 1,
            pace: Pace::Flat,
            deadline: None,
            busy_poll: Duration::ZERO,
            rate_hz: None,
            durable: Durable::default(),
            rotate_bytes: ROTATE_BYTES,
            compression: Compression::default(),
            compression_threads: None,
        }
    }
}
