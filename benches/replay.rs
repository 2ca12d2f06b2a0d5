//! The whole replay of a compressed recording, from its first byte to closed files, by menu and number of workers. `tamis bench` leaves out
//! the decompression.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use tamis_app::{Exit, Plan, Settings};
use tamis_benches::{per_event, sample};

/// Passes over the 100,000 events of the sample.
const PASSES: u64 = 5;
const EVENTS: u64 = PASSES * 100_000;

fn replay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (menu, workers) in [("l1", 1), ("l1", 2), ("l1-anomaly", 2)] {
        per_event(&mut group, &format!("{menu} menu, workers"), workers, EVENTS, || {
            let out = tempfile::tempdir().expect("a temporary folder");
            let settings = Settings {
                workers: Some(workers),
                ..Settings::new(sample(&format!("menus/{menu}.toml")), out.path())
            };
            let recording =
                tamis_source::open(&sample("l1-mixed.tmf.zst"), PASSES).expect("the sample is there");
            let report = Plan::with(recording, "bench", settings).and_then(Plan::run).expect("runs");
            assert_eq!(report.exit(), Exit::Done);
        });
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
