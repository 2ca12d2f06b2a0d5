//! The trigger as a library: settings -> validated plan -> run -> report.
//!
//! ```text
//!   Settings --Plan::new--> Plan --run--> Report        nothing is written before everything that can be checked was checked
//!      files      checks      \--Plan::push: a plan for frames that a Pusher hands over from memory
//! ```
//!
//! This crate is the only one that names every other. It decides nothing about events and knows neither argument syntax nor terminals.
//!
//! Every operation returns a value or a [`Failure`]: one sentence and an [`Exit`] code.

mod bench;
mod blocks;
mod bundle_folder;
mod calibrate;
mod compare;
mod complete;
mod convert;
mod doctor;
mod exit;
mod extent;
mod frames;
mod import;
mod inspect;
mod journal;
mod lineup;
mod model_info;
mod model_verify;
mod models;
mod plan;
mod problems;
mod report;
mod score;
mod sealed;
mod settings;
mod shown;
mod stored;
mod text_file;
mod train;
mod verify;
mod wrong_file;

pub use bench::{
    BENCH_VERSION, Bench, BenchSettings, BenchStep, Change, Conditions, EngineSpeed, EventSize, Limit, Load,
    Row, RowChanges, Section, Spread, Sustained, Tail, Unit, bench, compare_benches, may_replace, read_bench,
};
pub use blocks::SoFar;
pub use calibrate::{CalibrateSettings, Calibrated, CutLoss, EngineLoss, ScoreLoss, calibrate};
pub use compare::{
    Accepted, CompareSettings, Contrast, Flip, Gates, LineContrast, ModelComparison, ScoreContrast, Side,
    SideModel, compare_models,
};
pub use complete::is_ledger;
pub use convert::{ConvertSettings, GenSettings, convert, generate};
pub use doctor::{Cpu, Doctor, EngineHealth, FolderSpace, MemoryHealth, ProcessLimits, RunMemory, doctor};
pub use exit::{Exit, Failure};
pub use extent::{Extent, PayloadSizes};
pub use frames::place_of;
pub use import::{ImportSettings, import};
pub use inspect::{cat, info};
pub use lineup::NamedBundle;
pub use model_info::{ModelInfo, Speed, model_info};
pub use model_verify::{EngineVerification, ModelVerification, VerifyModelSettings, verify_model};
pub use models::ModelEngine;
pub use plan::Plan;
pub use problems::LostDevice;
pub use report::{DOCUMENT_VERSION, Ledger, Line, Report, Rung, RungKind, Stages, Stream, Throughput};
pub use score::{ScoreSettings, Scored, score};
pub use settings::Settings;
pub use shown::{BlockPosition, FieldInfo, Info, RecordingInfo, RecordsInfo, ShownEvent, Verdict};
pub use stored::{Recovery, recover};
pub use text_file::read_text;
pub use train::{TrainSettings, train};
pub use verify::{Verification, Verifier};
