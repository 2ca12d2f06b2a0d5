//! Describes this program and this machine: for choosing an engine, and for a report of something that does not work.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use tamis_event::EventLayout;
use tamis_model::engines;
use tamis_pipeline::{IDS_BYTES_MAX, Limits, OUTPUT_BYTES_MAX, WORKERS_MAX};

/// Least number of open files for a run with many streams: each has its part and its final name, and the program some of its own.
const OPEN_FILES_MIN: u64 = 256;

/// A machine, as a run will find it. Serialises to the document that `doctor --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// The platform: `linux x86_64`.
    pub platform: String,
    /// Version of the kernel, if the system says.
    pub kernel: Option<String>,
    /// The engines that can run models, and those that could.
    pub engines: Vec<EngineHealth>,
    /// The processor.
    pub cpu: Cpu,
    /// Main memory, if the system says.
    pub memory: Option<MemoryHealth>,
    /// The most memory that the parts of a run take that grow with its input.
    pub run: RunMemory,
    /// Limits of this process.
    pub limits: ProcessLimits,
    /// The folder that runs would write to.
    pub storage: FolderSpace,
    /// What should be better, one sentence each with what to do.
    pub advice: Vec<String>,
}

/// An engine.
#[derive(Clone, Debug, Serialize)]
pub struct EngineHealth {
    /// Its name, as `--device` takes it.
    pub name: String,
    /// Is it part of this program?
    pub compiled: bool,
    /// Can it be used here?
    pub found: bool,
    /// What it computes with; or why it cannot be used, and how to get it.
    pub about: String,
}

/// The processor.
#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    /// The name that it gives itself.
    pub model: String,
    /// Number of cores that this process may use.
    pub cores: usize,
    /// Its vector instructions, among those that matter here.
    pub features: Vec<&'static str>,
}

/// Main memory in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryHealth {
    /// All memory of the machine.
    pub total: u64,
    /// Memory that a new process can have without swapping.
    pub available: u64,
}

/// Bounds of the memory of a run, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RunMemory {
    /// Output batches: events that are kept and wait for storage. When this is full, the pipeline waits.
    pub output_batches: usize,
    /// Input batches: input whose events are not decided yet, with as many workers as there are cores.
    pub input_batches: usize,
    /// The same for a schema with payloads: each batch may keep a frame of the longest kind.
    pub input_batches_with_payloads: usize,
    /// Ids that are remembered, so that repeated events are found. When this is full, those of the sources and runs that were silent longest are
    /// forgotten and counted.
    pub ids: usize,
    /// Chunks of stored events that are being compressed. When this is full, a stream compresses what it stores by itself.
    pub compression: usize,
}

/// Limits of this process; `None` is no limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProcessLimits {
    /// Most open files.
    pub open_files: Option<u64>,
    /// Most bytes of one file.
    pub file_bytes: Option<u64>,
    /// Most bytes of locked memory.
    pub locked_bytes: Option<u64>,
}

/// A folder.
#[derive(Clone, Debug, Serialize)]
pub struct FolderSpace {
    /// Its path.
    pub folder: PathBuf,
    /// Bytes that are free for this user; absent if the folder cannot be examined.
    pub free: Option<u64>,
    /// Size of its file system in bytes.
    pub total: Option<u64>,
}

/// Examines the machine; `folder` is where runs would write.
pub fn doctor(folder: &Path) -> Doctor {
    let limit = |resource| getrlimit(resource).current;
    let engines = engines().into_iter().map(|engine| EngineHealth {
        name: engine.name,
        compiled: engine.compiled,
        found: engine.found.is_ok(),
        about: engine.found.unwrap_or_else(|why| why),
    });
    let limits = ProcessLimits {
        open_files: limit(Resource::Nofile),
        file_bytes: limit(Resource::Fsize),
        locked_bytes: limit(Resource::Memlock),
    };
    let space = rustix::fs::statvfs(folder).ok();
    let storage = FolderSpace {
        folder: folder.into(),
        free: space.as_ref().map(|space| space.f_bavail * space.f_frsize),
        total: space.as_ref().map(|space| space.f_blocks * space.f_frsize),
    };
    let cpu = cpu();
    let input_bytes = |has_payloads| {
        let limits = Limits::new(cpu.cores.clamp(1, WORKERS_MAX), 1, EventLayout { stride: 1, has_payloads });
        limits.map_or(0, Limits::input_bytes_max)
    };
    let [input_batches, input_batches_with_payloads] = [false, true].map(input_bytes);
    let mut doctor = Doctor {
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().into()),
        engines: engines.collect(),
        cpu,
        memory: memory(),
        run: RunMemory {
            output_batches: OUTPUT_BYTES_MAX,
            input_batches,
            input_batches_with_payloads,
            ids: IDS_BYTES_MAX,
            compression: tamis_store::PRESS_BYTES_MAX,
        },
        limits,
        storage,
        advice: Vec::new(),
    };
    doctor.advice = advice(&doctor);
    doctor
}

fn advice(doctor: &Doctor) -> Vec<String> {
    let mut advice = Vec::new();
    let features = &doctor.cpu.features;
    if cfg!(target_arch = "x86_64") && !features.contains(&"avx2") {
        advice.push("the processor has no AVX2: models run several times slower than they could".into());
    }
    if doctor.limits.open_files.is_some_and(|limit| limit < OPEN_FILES_MIN) {
        advice.push(format!("few files may be open: raise the limit to {OPEN_FILES_MIN} with ulimit -n"));
    }
    if let Some(bytes) = doctor.limits.file_bytes {
        advice
            .push(format!("no file may be longer than {bytes} bytes: use --rotate below that, or ulimit -f"));
    }
    match doctor.storage.free {
        None => {
            advice.push(format!("{}: cannot be looked at; name a folder", doctor.storage.folder.display()));
        }
        Some(free) if free < tamis_store::FREE_BYTES_MIN => {
            let folder = doctor.storage.folder.display();
            let least = tamis_store::FREE_BYTES_MIN;
            advice.push(format!("{folder}: {free} bytes free, a run needs {least}; free some space"));
        }
        Some(_) => {}
    }
    advice
}

fn cpu() -> Cpu {
    Cpu {
        model: crate::bench::machine::processor().unwrap_or_else(|| "unknown".into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        features: features(),
    }
}

/// Vector instructions of this processor, among those that the models or the checksums use.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),+) => { $(if is_x86_feature_detected!($name) { found.push($name); })+ };
        }
        look!("sse4.2", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! look {
            ($($name:tt),+) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })+ };
        }
        look!("neon", "fp16", "dotprod", "sve", "crc");
    }
    found
}

/// From `/proc/meminfo`, which counts in KiB.
fn memory() -> Option<MemoryHealth> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(MemoryHealth { total: bytes("MemTotal")?, available: bytes("MemAvailable")? })
}
