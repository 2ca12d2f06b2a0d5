//! The ladder with real bundles on real threads: what decides where, the same for any batch, and checked again by `verify`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tamis_app::{
    Exit, Failure, ImportSettings, Plan, Report, Settings, ShownEvent, Verification, Verifier, cat, info,
};
use tamis_event::Schema;
use tamis_event::record::{self, Record, RecordHeader};
use tamis_model::{Engine, VectorUnit};
use tamis_port::{Sink, Stored};
use tamis_store::{Compression, Durable, McapSink, ModelArchive, Press, Provenance, Reader, StreamPlan};

const LAST_RUNG: &str = "\n[fallback]\npass_through = 10\nstreams = ['monitor']\n";

fn sample(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data-samples")).join(path).canonicalize().unwrap()
}

fn safetensors(tensors: &[(&str, &str, &[f32])]) -> Vec<u8> {
    let (mut data, mut entries) = (Vec::new(), Vec::new());
    for (name, shape, values) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let end = data.len();
        entries.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// A bundle whose score is `weight` times a number of the event: infinite above 3.4e38 / `weight`.
fn overflowing(folder: &Path, name: &str, field: &str, weight: f32) {
    let weights = safetensors(&[("layers.0.bias", "[1]", &[0.0]), ("layers.0.weight", "[1,1]", &[weight])]);
    let golden =
        safetensors(&[("inputs", "[2,1]", &[1.0, 2.0]), ("scores", "[2,1]", &[weight, 2.0 * weight])]);
    let sha =
        |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let manifest = format!(
        "format = 1\nname = \"{name}\"\nversion = \"1.0.0\"\narchitecture = \"dense\"\nlayers = [1, 1]\nactivation = \"relu\"\n\
         output_activation = \"none\"\noutputs = [\"score\"]\n[[input]]\nfield = \"{field}\"\n\
         [weights]\nfile = \"w\"\nsha256 = \"{}\"\n[golden]\nfile = \"g\"\nsha256 = \"{}\"\ntolerance = 1e-5\n",
        sha(&weights),
        sha(&golden)
    );
    fs::create_dir_all(folder.join(name)).unwrap();
    fs::write(folder.join(name).join("model.toml"), manifest).unwrap();
    fs::write(folder.join(name).join("w"), weights).unwrap();
    fs::write(folder.join(name).join("g"), golden).unwrap();
}

thread_local! {
    static OTHERS: RefCell<Verifier> = RefCell::default();
}

/// What a check finds: the same alone, and after the checks of other files, whose rules may be other ones.
fn verify(file: &Path) -> Result<Verification, Failure> {
    let alone = Verifier::default().verify(file);
    let after_others = OTHERS.with_borrow_mut(|verifier| verifier.verify(file));
    assert_eq!(format!("{alone:?}"), format!("{after_others:?}"));
    alone
}

/// The sample menu with a ladder for its second model: two bundles that overflow, and then those in `more`.
fn menu(folder: &Path, more: &str, last_rung: &str) -> PathBuf {
    // In units of the schema: above 34 GeV of missing energy, above 68 GeV of the first jet.
    overflowing(folder, "met", "met.pt", 1e37);
    overflowing(folder, "jet", "jets.pt[0]", 5e36);
    let text = fs::read_to_string(sample("menus/l1-anomaly.toml")).unwrap();
    let text = text.replace("\"../models/topo\"", &format!("{:?}", sample("models/topo")));
    let ladder = format!("\"met\"\nfallback = [\"jet\"{more}]");
    let text = text.replace("\"../models/anomaly\"", &ladder) + last_rung;
    let path = folder.join("menu.toml");
    fs::write(&path, text).unwrap();
    path
}

fn real_anomaly() -> String {
    format!(", {:?}", sample("models/anomaly"))
}

/// Runs a sample of 5,000 events; the report, and what the folder holds.
fn run(menu: &Path, out: &Path, change: impl FnOnce(&mut Settings)) -> (Report, BTreeMap<String, PathBuf>) {
    let mut settings = Settings { durable: Durable::Close, ..Settings::new(menu, out) };
    change(&mut settings);
    let report = Plan::new(&sample("l1-lqbtau.tmf.zst"), settings).unwrap().run().unwrap();
    let files = report.streams.iter().flat_map(|stream| stream.files.iter().map(|file| (&stream.name, file)));
    let files = files.map(|(name, file)| (name.clone(), PathBuf::from(file))).collect();
    (report, files)
}

fn contents(files: &BTreeMap<String, PathBuf>) -> BTreeMap<&str, Vec<u8>> {
    files.iter().map(|(stream, file)| (stream.as_str(), fs::read(file).unwrap())).collect()
}

fn events(file: &Path) -> BTreeMap<u64, ShownEvent> {
    let mut events = BTreeMap::new();
    cat(file, |event, _| {
        events.insert(event.event, event);
        true
    })
    .unwrap();
    events
}

fn check(files: &BTreeMap<String, PathBuf>) -> u64 {
    let checked = |file: &PathBuf| {
        let found = verify(file).unwrap();
        assert_eq!((found.exit(), found.reproduced), (Exit::Done, found.events), "{found:?}");
        found.events
    };
    files.values().map(checked).sum()
}

#[test]
fn each_rung_decides_its_events_whatever_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let menu = menu(folder.path(), &real_anomaly(), "");
    let (report, files) = run(&menu, &folder.path().join("a"), |_| ());
    let rungs: Vec<u64> = report.ledger.rungs.iter().map(|rung| rung.events).collect();
    assert!(rungs.len() == 3 && rungs.iter().all(|&events| events > 100), "{rungs:?}");
    assert_eq!((report.exit(), rungs.iter().sum::<u64>()), (Exit::Done, report.ledger.received));
    let stored: u64 = report.streams.iter().map(|stream| stream.events).sum();
    assert_eq!(check(&files), stored);

    let (_, plain) = run(&sample("menus/l1-anomaly.toml"), &folder.path().join("plain"), |_| ());
    let (ladder, plain) = (events(&files["physics"]), events(&plain["physics"]));
    let mut compared = 0;
    for (id, event) in &ladder {
        let verdict = event.verdict.as_ref().unwrap();
        let field = |name: &str| event.fields.iter().find(|(field, _)| field == name).unwrap().1[0].value();
        let overflows =
            [field("met.pt") * 1e37, field("jets.pt") * 5e36].map(|score| score > f32::MAX.into());
        let rung = overflows.iter().take_while(|&&overflows| overflows).count();
        assert_eq!(usize::from(verdict.rung), rung, "event {id}");
        if rung == 2
            && let Some(other) = plain.get(id)
        {
            assert_eq!(verdict.scores, other.verdict.as_ref().unwrap().scores, "event {id}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared} events to compare");

    let expected = contents(&files);
    for (workers, batch) in [(1, 1), (2, 7), (4, 4096)] {
        let out = folder.path().join(format!("{workers}-{batch}"));
        let settings =
            |settings: &mut Settings| (settings.workers, settings.batch) = (Some(workers), Some(batch));
        let (_, files) = run(&menu, &out, settings);
        assert!(contents(&files) == expected, "{workers} workers, batch {batch}: the files differ");
    }
}

/// The records of a file without their places in blocks.
fn without_places(file: &Path) -> Vec<(RecordHeader, Vec<u8>)> {
    let mut reader = Reader::open(file).unwrap();
    let mut records = Vec::new();
    while let Some(entry) = reader.next_record().unwrap() {
        let header = *Record::parse(entry.record).unwrap().header();
        let header = RecordHeader { block_index: 0, block_last: 0, crc: 0, ..header };
        records.push((header, entry.record[record::HEADER_LEN..].to_vec()));
    }
    records
}

#[test]
fn what_no_rung_can_score_is_in_the_error_stream_or_kept_by_hash() {
    let folder = tempfile::tempdir().unwrap();
    let menu_without = menu(folder.path(), "", "");
    let (report, files) =
        run(&menu_without, &folder.path().join("a"), |settings| settings.batch = Some(1000));
    let lost = report.ledger.errored.total();
    assert!(report.exit() == Exit::Losses && lost > 100, "{:?}", report.ledger);
    check(&files);
    let errors = events(&files["error"]);
    assert_eq!(errors.len() as u64, lost);
    for (id, event) in &errors {
        let verdict = event.verdict.as_ref().unwrap();
        assert_eq!(
            (verdict.fault, verdict.rung, verdict.guilty_model.as_deref()),
            (Some("not_finite"), 1, Some("anomaly"))
        );
        // One frame, one segment: the ids of a block follow each other.
        let place = verdict.block.unwrap();
        assert_eq!((place.index as u64, place.events), (id % 1000, 1000), "event {id}");
    }
    // What no line sees does not depend on batches, but for the places.
    // One fallback more is another set of models.
    let (_, longer) =
        run(&menu(&folder.path().join("m"), &real_anomaly(), ""), &folder.path().join("e"), |_| ());
    let model_hash = |files: &BTreeMap<String, PathBuf>| {
        Reader::open(&files["physics"]).unwrap().metadata()["model_hash"].clone()
    };
    assert_ne!(model_hash(&files), model_hash(&longer));
    let (_, again) = run(&menu_without, &folder.path().join("b"), |settings| settings.batch = Some(64));
    assert_eq!(model_hash(&files), model_hash(&again));
    assert!(without_places(&files["error"]) == without_places(&again["error"]));
    assert!(fs::read(&files["error"]).unwrap() != fs::read(&again["error"]).unwrap(), "the places differ");
    let (mut accepted, mut other) = (contents(&files), contents(&again));
    assert!(accepted.remove("error").is_some() && other.remove("error").is_some() && accepted == other);

    // With a last rung nothing is lost, and some of the same events are kept.
    let menu_with = menu(folder.path(), "", LAST_RUNG);
    let (report, files) = run(&menu_with, &folder.path().join("c"), |_| ());
    assert_eq!((report.exit(), report.ledger.rungs[2].events, &report.problems), (Exit::Done, lost, &vec![]));
    check(&files);
    let kept =
        events(&files["monitor"]).into_values().filter(|event| event.verdict.as_ref().unwrap().rung == 2);
    let kept: Vec<u64> = kept.map(|event| event.event).collect();
    assert!(
        !kept.is_empty() && (kept.len() as u64) < lost / 5 && kept.iter().all(|id| errors.contains_key(id))
    );
    let (_, again) = run(&menu_with, &folder.path().join("d"), |settings| settings.batch = Some(7));
    assert!(contents(&files) == contents(&again), "with a last rung no file depends on batches");
}

#[test]
fn late_events_are_kept_by_hash_and_verified_as_late() {
    let folder = tempfile::tempdir().unwrap();
    let menu = menu(folder.path(), &real_anomaly(), LAST_RUNG);
    let late = |settings: &mut Settings| settings.deadline = Some(Duration::from_nanos(1));
    let (report, files) = run(&menu, &folder.path().join("a"), late);
    let rungs: Vec<u64> = report.ledger.rungs.iter().map(|rung| rung.events).collect();
    assert_eq!((report.exit(), rungs), (Exit::Done, vec![0, 0, 0, report.ledger.received]));
    assert!(report.lines.iter().all(|line| line.seen == 0));
    assert_eq!(check(&files), report.ledger.accepted);
    assert_eq!(Reader::open(&files["monitor"]).unwrap().metadata()["deadline_ns"], "1");
    let monitor = events(&files["monitor"]);
    assert!(monitor.len() > 300 && monitor.len() < 700, "{} of 5,000 by one in ten", monitor.len());
    assert!(monitor.values().all(|event| event.verdict.as_ref().unwrap().fault == Some("deadline")));
    let zero = Settings { deadline: Some(Duration::ZERO), ..Settings::new(&menu, folder.path().join("b")) };
    assert_eq!(Plan::new(&sample("l1-lqbtau.tmf.zst"), zero).unwrap_err().exit, Exit::Settings);
}

/// Copies a file with other record headers and other words about the run.
fn forge(file: &Path, words: &[(&str, &str)], change: impl Fn(&mut RecordHeader)) -> PathBuf {
    forge_all(file, words, |header, _, _| change(header))
}

/// The same with other lines and other scores.
fn forge_all(
    file: &Path,
    words: &[(&str, &str)],
    change: impl Fn(&mut RecordHeader, &mut Vec<u64>, &mut Vec<f32>),
) -> PathBuf {
    let mut reader = Reader::open(file).unwrap();
    let models = reader.attachments().iter().filter_map(|attachment| {
        let name = attachment.name.strip_prefix("model-")?.strip_suffix(".tar")?;
        let (name, choice) = name.split_once('.').unwrap_or((name, "0"));
        Some(ModelArchive {
            name: name.into(),
            choice: choice.parse().unwrap(),
            tar: attachment.data.clone(),
        })
    });
    let mut metadata = reader.metadata().clone();
    metadata.extend(words.iter().map(|&(key, word)| (key.into(), word.into())));
    let provenance = Provenance {
        schema: Schema::parse(reader.schema_text().unwrap().as_bytes()).unwrap(),
        menu: reader.menu_text().unwrap().into(),
        models: models.collect(),
        metadata,
    };
    // Beside the file, so that it goes away with it.
    let out = tempfile::tempdir_in(file.parent().unwrap()).unwrap().keep();
    let run_name = "forged".to_string();
    let stream = reader.stream().unwrap().to_string();
    let durable = Durable::Close;
    let rotate_bytes = u64::MAX;
    let press = Press::new(Compression::default(), Some(1));
    let provenance = Arc::new(provenance);
    let plan = StreamPlan { folder: out, run_name, stream, durable, rotate_bytes, press, provenance };
    let mut sink = McapSink::new(plan).unwrap();
    while let Some(entry) = reader.next_record().unwrap() {
        let old = Record::parse(entry.record).unwrap();
        let mut header = *old.header();
        let mut passed: Vec<u64> = old.passed().collect();
        let kept: Vec<u64> = old.kept().collect();
        let mut scores: Vec<f32> = old.scores().collect();
        change(&mut header, &mut passed, &mut scores);
        let mut bytes = Vec::new();
        record::append(header, &passed, &kept, scores.into_iter(), old.event(), &mut bytes);
        let (event_id, time_ns) = (header.event_id, header.time_ns);
        sink.write(Stored { event_id, time_ns, record: &bytes }).unwrap();
    }
    sink.close().unwrap().files.remove(0)
}

#[test]
fn verify_repeats_what_the_record_says_and_admits_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let menu = menu(folder.path(), "", "");
    // On the reference: it can stand in.
    let (_, files) = run(&menu, &folder.path().join("a"), |settings| settings.engine = Engine::Flex);
    let (physics, error) = (&files["physics"], &files["error"]);
    let stored = verify(physics).unwrap().events;
    let outcome = |found: &Verification| (found.exit(), found.reproduced, found.unchecked, found.different);

    // On an engine that is not here.
    let elsewhere = forge(physics, &[("engine", "abacus")], |header| header.engine = 2);
    let found = verify(&elsewhere).unwrap();
    assert_eq!(outcome(&found), (Exit::Done, 0, stored, 0));
    assert!(found.notes.len() == 1 && found.notes[0].contains("made on abacus"), "{:?}", found.notes);
    assert!(info(&elsewhere).is_ok() && events(&elsewhere).len() as u64 == stored);
    // By a stand-in of such an engine, which is here.
    let degraded = forge(physics, &[("engine", "abacus")], |header| header.flags = record::DEGRADED);
    assert_eq!(outcome(&verify(&degraded).unwrap()), (Exit::Done, stored, 0, 0));
    assert!(events(&degraded).values().all(|event| event.verdict.as_ref().unwrap().degraded));
    // On an engine that is not the run's.
    let other = verify(&forge(physics, &[], |header| header.engine = 2)).unwrap();
    assert_eq!(outcome(&other), (Exit::Gate, 0, 0, stored));
    assert!(other.findings[0].contains("engine 2 stored, 1 now"), "{:?}", other.findings);
    // At another rung; as one of a block; as late although it was not.
    let rung = verify(&forge(physics, &[], |header| header.rung += 1)).unwrap();
    assert!(rung.different == stored && rung.findings[0].contains("rung"), "{:?}", rung.findings);
    assert_eq!(verify(&forge(physics, &[], |header| header.block_last = 9)).unwrap().different, stored);
    let late = Verifier::default()
        .verify(&forge(physics, &[], |header| header.fault = record::fault::DEADLINE))
        .unwrap();
    assert_eq!(outcome(&late), (Exit::Gate, 0, 0, stored));
    // In the error stream a place cannot be checked, and a lost device not be repeated.
    let errors = verify(error).unwrap().events;
    let moved = verify(&forge(error, &[], |header| header.block_index = 3)).unwrap();
    assert_eq!(outcome(&moved), (Exit::Done, errors, 0, 0));
    let device = Verifier::default()
        .verify(&forge(error, &[], |header| header.fault = record::fault::DEVICE))
        .unwrap();
    assert_eq!(outcome(&device), (Exit::Done, 0, errors, 0));
    let innocent = verify(&forge(error, &[], |header| header.guilty_model = 0)).unwrap();
    assert_eq!(outcome(&innocent), (Exit::Gate, 0, 0, errors));
    // Nor a decision that panicked: there is none. In another stream such a record is wrong.
    let panicked = |header: &mut RecordHeader| {
        (header.fault, header.guilty_model) = (record::fault::PANIC, record::NO_MODEL);
    };
    let nobody = verify(&forge(error, &[], panicked)).unwrap();
    assert_eq!(outcome(&nobody), (Exit::Done, 0, errors, 0));
    assert!(nobody.notes.len() == 1 && nobody.notes[0].contains("panicked"), "{:?}", nobody.notes);
    assert_eq!(outcome(&verify(&forge(physics, &[], panicked)).unwrap()), (Exit::Gate, 0, 0, stored));
}

#[test]
fn scores_with_other_last_bits_from_another_cpu_are_the_same_decision() {
    let folder = tempfile::tempdir().unwrap();
    let menu = sample("menus/l1-anomaly.toml");
    let on = |engine: Engine, out: &str| {
        run(&menu, &folder.path().join(out), |settings| settings.engine = engine).1["physics"].clone()
    };
    let outcome = |found: &Verification| {
        (found.exit(), found.reproduced, found.other_bits, found.flipped, found.different)
    };
    let (flex, fused) = (on(Engine::Flex, "flex"), on(Engine::Fused, "fused"));
    let stored = verify(&flex).unwrap().events;
    assert_eq!(outcome(&verify(&flex).unwrap()), (Exit::Done, stored, 0, 0, 0));
    let here = VectorUnit::of_this_cpu().code();
    let unit_of = |file: &Path| {
        *Record::parse(Reader::open(file).unwrap().next_record().unwrap().unwrap().record).unwrap().header()
    };
    assert_eq!((unit_of(&flex).unit, unit_of(&fused).unit), (here, 0));

    let elsewhere = if here == 1 { 2 } else { 1 };
    let nudge = |scores: &mut Vec<f32>| {
        scores.iter_mut().for_each(|score| *score = f32::from_bits(score.to_bits() + 1));
    };
    // As another CPU may have scored them.
    let found = Verifier::default()
        .verify(&forge_all(&flex, &[], |header, _, scores| {
            header.unit = elsewhere;
            nudge(scores);
        }))
        .unwrap();
    assert_eq!(outcome(&found), (Exit::Done, 0, stored, 0, 0));
    assert!(
        found.notes.len() == 1 && found.notes[0].contains("same decision, other bits"),
        "{:?}",
        found.notes
    );
    // Whose lines were others: a cut lies between the scores.
    let flipped = Verifier::default()
        .verify(&forge_all(&flex, &[], |header, passed, scores| {
            header.unit = elsewhere;
            passed[0] ^= 1;
            nudge(scores);
        }))
        .unwrap();
    assert_eq!(outcome(&flipped), (Exit::Gate, 0, 0, stored, 0));
    assert!(flipped.findings[0].contains("flips: the last bits of score 0"), "{:?}", flipped.findings);
    // Another CPU explains last bits, and nothing else.
    let farther = Verifier::default()
        .verify(&forge_all(&flex, &[], |header, _, scores| {
            header.unit = elsewhere;
            scores[1] += 0.01;
        }))
        .unwrap();
    assert_eq!(outcome(&farther), (Exit::Gate, 0, 0, 0, stored));
    let lines = Verifier::default()
        .verify(&forge_all(&flex, &[], |header, passed, _| {
            header.unit = elsewhere;
            passed[0] ^= 1;
        }))
        .unwrap();
    assert_eq!(outcome(&lines), (Exit::Gate, 0, 0, 0, stored));
    // This CPU explains none, and the fused kernels have the same bits everywhere.
    for file in [&flex, &fused] {
        let same_cpu = verify(&forge_all(file, &[], |_, _, scores| nudge(scores))).unwrap();
        assert_eq!(outcome(&same_cpu), (Exit::Gate, 0, 0, 0, stored));
    }
}

/// As a program without the engine sees what a GPU decided; where there is one, it makes the decision itself.
#[test]
fn what_a_gpu_decided_is_checked_on_the_cpu_within_the_tolerance() {
    let folder = tempfile::tempdir().unwrap();
    let menu = sample("menus/l1-anomaly.toml");
    let flex = |settings: &mut Settings| settings.engine = Engine::Flex;
    let flex = run(&menu, &folder.path().join("flex"), flex).1["physics"].clone();
    let stored = verify(&flex).unwrap().events;
    let outcome = |found: &Verification| {
        (found.exit(), found.reproduced + found.other_bits, found.unchecked, found.flipped, found.different)
    };
    let on_gpu = |change: &dyn Fn(&mut Vec<u64>, &mut Vec<f32>)| {
        let words = [("engine", "gpu")];
        let file = forge_all(&flex, &words, |header, passed, scores| {
            (header.engine, header.unit) = (Engine::Gpu(0).code(), 0);
            change(passed, scores);
        });
        verify(&file).unwrap()
    };
    let last_bit = |scores: &mut Vec<f32>| {
        scores.iter_mut().for_each(|score| *score = f32::from_bits(score.to_bits() + 1));
    };
    let found = on_gpu(&|_, scores| last_bit(scores));
    assert_eq!(outcome(&found), (Exit::Done, stored, 0, 0, 0), "{:?}", found.notes);
    assert!(found.notes[0].contains("other bits: they were scored on gpu"), "{:?}", found.notes);
    let flipped = on_gpu(&|passed, scores| {
        passed[0] ^= 1;
        last_bit(scores);
    });
    assert_eq!(outcome(&flipped), (Exit::Gate, 0, 0, stored, 0));
    let farther = on_gpu(&|_, scores| scores[1] += 0.01);
    assert_eq!(outcome(&farther), (Exit::Gate, 0, 0, 0, stored));
    let lines = on_gpu(&|passed, _| passed[0] ^= 1);
    assert_eq!((lines.exit(), lines.reproduced + lines.other_bits), (Exit::Gate, 0));
}

#[test]
fn each_model_runs_on_what_is_fast_and_right_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../graph/tests/models/torch_deepsets.onnx");
    let fields = ["jets.pt", "jets.eta", "jets.phi", "met.pt", "met.phi"].join(",");
    tamis_app::import(&ImportSettings {
        file: onnx,
        schema: sample("schemas/l1.toml"),
        manifest: None,
        inputs: Some(fields),
        outputs: Some(["a", "b", "c"].map(String::from).into()),
        name: None,
        golden: None,
        events: None,
        out: folder.path().join("sets"),
        overwrite: false,
    })
    .unwrap();
    let text = fs::read_to_string(sample("menus/l1.toml")).unwrap();
    let text = text.replace("\"../models/topo\"", &format!("{:?}", sample("models/topo")))
        + "\n[[model]]\nname = 'sets'\nbundle = 'sets'\n[[line]]\nname = 'sets'\nwhen = 'sets.a > sets.b'\nstreams = ['physics']\n";
    let menu = folder.path().join("menu.toml");
    fs::write(&menu, text).unwrap();
    let (report, files) = run(&menu, &folder.path().join("out"), |_| ());
    assert_eq!(report.device, "fused,flex");
    let [topo, sets] = &report.models[..] else { panic!("{:?}", report.models) };
    assert_eq!((topo.engine.as_str(), &topo.note()), ("fused", &None));
    let note = sets.note().unwrap();
    assert!(
        note.starts_with(
            "model 'sets' runs on flex, not on fused: the fused kernels do not support operator "
        ),
        "{note}"
    );
    assert!(check(&files) > 100);
    let header =
        *Record::parse(Reader::open(&files["physics"]).unwrap().next_record().unwrap().unwrap().record)
            .unwrap()
            .header();
    assert_eq!((header.engine, header.unit), (record::SEVERAL_ENGINES, VectorUnit::of_this_cpu().code()));
}
