//! The sample models in integers: from calibration to decisions that can be made again.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use tamis_app::{
    CalibrateSettings, CompareSettings, Exit, Gates, NamedBundle, Plan, Settings, Verifier, calibrate,
    compare_models,
};
use tamis_model::Engine;
use tamis_store::Durable;

fn sample(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data-samples")).join(path).canonicalize().unwrap()
}

/// Both sample models, calibrated with a mixture in which signals are rare.
fn calibrated(folder: &Path) -> Vec<(String, PathBuf)> {
    let one = |name: &str| {
        let out = folder.join(name);
        let settings = CalibrateSettings {
            bundle: sample("models").join(name),
            input: sample("l1-mixed.tmf.zst"),
            events: 20_000,
            margin: CalibrateSettings::MARGIN,
            out: out.clone(),
            overwrite: false,
        };
        let found = calibrate(&settings, |_| ()).unwrap();
        assert_eq!((found.calibration.events, found.exit()), (20_000, Exit::Done));
        let [int16, int8] = &found.engines[..] else { panic!("{found:?}") };
        for (fine, coarse) in int16.scores.iter().zip(&int8.scores) {
            assert!(fine.rms > 0.0 && fine.rms < coarse.rms && coarse.cuts.len() == 2, "{fine:?} {coarse:?}");
        }
        let tolerance = found.calibration.tolerance;
        let measured = [int16, int8].map(|loss| loss.tolerance);
        assert_eq!([tolerance.int16, tolerance.int8], measured);
        assert!(measured[0].is_some(), "{found:?}");
        // An anomaly is so far out that 7 bits leave nothing for the other events.
        let fits = name == "topo";
        assert_eq!((int8.refused.is_none(), int8.scores.len()), (fits, if fits { 3 } else { 0 }), "{int8:?}");
        (name.into(), out)
    };
    ["topo", "anomaly"].map(one).into()
}

#[test]
fn sample_models_decide_nearly_the_same_on_events_that_they_were_not_calibrated_with() {
    let folder = tempfile::tempdir().unwrap();
    let models = calibrated(folder.path());
    let models = models.into_iter().map(|(name, path)| NamedBundle { name: Some(name), path }).collect();
    let settings = CompareSettings {
        input: sample("l1-ato4l.tmf.zst"),
        menu: Some(sample("menus/l1-anomaly.toml")),
        models,
        with: Vec::new(),
        engines: vec![Engine::Flex, Engine::Int16],
        gates: Gates { difference: Some(0.5), flips: 1e-3 },
    };
    let comparison = compare_models(&settings, |_| ()).unwrap();
    let contrast = &comparison.contrasts[0];
    for score in &contrast.scores {
        // Measured: topo 0.011 at most, 5e-4 rms; the scores of anomaly go up to 1e4, so only their relative difference counts.
        let (most, rms) = if score.name == "anomaly.score" { (0.1, f64::MAX) } else { (0.02, 1e-3) };
        assert!(score.difference > 0.0 && score.difference < most && score.rms < rms, "{score:?}");
    }
    let accepted = contrast.accepted.unwrap();
    assert!(accepted.reference > 1000 && accepted.flips * 200 < accepted.reference, "{accepted:?}");
    assert!(comparison.problems.is_empty(), "{:?}", comparison.problems);
}

#[test]
fn fewer_bits_flip_no_more_than_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let models = calibrated(folder.path());
    let models: Vec<_> = models[..1]
        .iter()
        .map(|(name, path)| NamedBundle { name: Some(name.clone()), path: path.clone() })
        .collect();
    let settings = CompareSettings {
        input: sample("l1-ato4l.tmf.zst"),
        menu: Some(sample("menus/l1.toml")),
        models,
        with: Vec::new(),
        engines: vec![Engine::Flex, Engine::Int16, Engine::Int8],
        gates: Gates { difference: Some(0.5), flips: 0.01 },
    };
    let comparison = compare_models(&settings, |_| ()).unwrap();
    let [int16, int8] = &comparison.contrasts[..] else { panic!("{comparison:?}") };
    let flips = [int16, int8].map(|contrast| contrast.accepted.unwrap().flips);
    println!("{flips:?} of {:?}", int8.accepted);
    let of = int8.accepted.unwrap().reference;
    assert!(flips[0] < flips[1] && flips[1] * 50 < of, "{flips:?}");
    for score in &int8.scores {
        assert!(score.rms < 0.02 && score.difference < 0.2, "{score:?}");
    }
}

#[test]
fn a_run_in_fewer_bits_does_not_depend_on_batches_and_can_be_verified() {
    let folder = tempfile::tempdir().unwrap();
    let both = calibrated(folder.path());
    reduced_run(folder.path(), Engine::Int16, "l1-anomaly", &both);
    reduced_run(folder.path(), Engine::Int8, "l1", &both[..1]);
}

fn reduced_run(folder: &Path, engine: Engine, menu: &str, replace: &[(String, PathBuf)]) {
    let out = |out: &str| folder.join(format!("{engine}-{out}"));
    let run = |name: &str, batch, workers| {
        let settings = Settings {
            models: replace.to_vec(),
            engine,
            batch: Some(batch),
            workers: Some(workers),
            durable: Durable::Close,
            ..Settings::new(sample(&format!("menus/{menu}.toml")), out(name))
        };
        let report = Plan::new(&sample("l1-lqbtau.tmf.zst"), settings).unwrap().run().unwrap();
        assert_eq!(report.exit(), Exit::Done, "{:?}", report.problems);
    };
    run("a", 4096, 1);
    run("b", 37, 2);
    let file = |name: &str| out(name).join("l1-lqbtau-physics-0001.mcap");
    let [a, b] = ["a", "b"].map(|out| std::fs::read(file(out)).unwrap());
    assert!(a == b, "the same file for any batches and workers");
    let verified = Verifier::default().verify(&file("a")).unwrap();
    assert!(
        verified.reproduced > 100 && verified.different + verified.unchecked + verified.damaged == 0,
        "{verified:?}"
    );
}
