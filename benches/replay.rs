//! The whole replay, from frames in memory to closed files, by number of workers. `tamis bench` measures the same with more events.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use tamis_app::{Exit, Plan, Settings};
use tamis_benches::{per_event, sample, stream};

const EVENTS: u64 = 500_000;

fn replay(criterion: &mut Criterion) {
    let stream = stream(EVENTS);
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (menu, workers) in [("l1", 1), ("l1", 2), ("l1-anomaly", 2)] {
        per_event(&mut group, &format!("{menu} menu, workers"), workers, EVENTS, || {
            let out = tempfile::tempdir().expect("a temporary folder");
            let settings = Settings {
                workers: Some(workers),
                ..Settings::new(sample(&format!("menus/{menu}.toml")), out.path())
            };
            let recording = tamis_source::memory(stream.clone(), "memory", 1).expect("a stream");
            let report = Plan::with(recording, "bench".into(), settings).and_then(Plan::run).expect("runs");
            assert_eq!(report.exit(), Exit::Done);
        });
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
