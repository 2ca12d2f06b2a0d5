//! The integer engines of 16 and 8 bits: the same bits wherever an event is, nothing guessed, and models that do not fit refused by name.

use tamis_event::{Block, Schema, Span};
use tamis_model::{Bundle, Calibration, Engine, Tolerance};
use tamis_port::conformance;

use crate::support::{self, Parts, scores};

/// Three integer types at odd offsets in the record, some of them scaled and shifted.
const SCHEMA: &str = r#"
name = "small"
field = [
    { name = "small", dtype = "u8" },
    { name = "jets.pt", dtype = "i16", len = 3, scale = 0.5 },
    { name = "unused", dtype = "i8" },
    { name = "energy", dtype = "i16", scale = 0.125 },
    { name = "time", dtype = "i16", scale = 0.25, offset = 10.0 },
    { name = "half", dtype = "i8", len = 2, scale = 0.25 },
]
"#;

fn schema() -> Schema {
    Schema::parse(SCHEMA.as_bytes()).unwrap()
}

fn load(parts: &Parts) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    parts.write(folder.path());
    Bundle::load(folder.path()).unwrap()
}

/// Records of the events of `support`, and some far outside of every clip.
fn records(schema: &Schema, count: i64) -> Vec<u8> {
    let fields =
        ["small", "jets.pt", "unused", "energy", "time", "half"].map(|name| schema.field(name).unwrap());
    let mut out = Vec::new();
    for e in 0..count {
        let v = support::values(e);
        let columns: [&[f64]; 6] = [&v[..1], &v[1..4], &[-77.0], &v[4..5], &v[5..6], &v[6..]];
        for (field, values) in fields.iter().zip(columns) {
            let far = if e % 5 == 4 { 40.0 } else { 1.0 };
            let (low, high) = field.dtype.integer_range().unwrap();
            let raw = |value: f64| {
                ((value * far - field.offset) / field.scale).round().clamp(low as f64, high as f64)
            };
            values.iter().for_each(|&value| field.dtype.write(raw(value), &mut out));
        }
    }
    assert_eq!(out.len(), count as usize * schema.record_len());
    out
}

fn block(schema: &Schema, records: &[u8], spans: &[usize]) -> Block {
    let mut block = Block::new(schema.record_len());
    let mut rest = records;
    let mut lengths = spans.iter().cycle();
    let mut id = 0;
    while !rest.is_empty() {
        let events = (*lengths.next().unwrap()).min(rest.len() / schema.record_len());
        let (bytes, more) = rest.split_at(events * schema.record_len());
        block.push(Span::of_records(0, id, 0, block.stride(), bytes.to_vec().into()));
        (rest, id) = (more, id + events as u64);
    }
    block
}

fn calibrated(parts: &Parts) -> (Bundle, Calibration) {
    let bundle = load(parts);
    let schema = schema();
    let mut calibrator = bundle.calibrator(&schema).unwrap();
    let records = records(&schema, 500);
    // In pieces, because the division does not matter.
    records.chunks(77 * schema.record_len()).for_each(|records| calibrator.add(records));
    let tolerance = Tolerance { int16: Some(0.01), int8: Some(0.4) };
    let section = Calibration { tolerance, ..calibrator.finish(2.0).unwrap() };
    (bundle.with_calibration(&section).unwrap(), section)
}

#[test]
fn scores_are_near_and_the_same_bits_in_any_batch() {
    let schema = schema();
    let block = block(&schema, &records(&schema, 1300), &[1, 700, 3, 64]);
    for (parts, outputs, near) in [
        (Parts::classifier(), &["background", "leptons", "taus"][..], [5e-3, 0.1]),
        (Parts::autoencoder(), &["score"], [5e-3, 0.2]),
    ] {
        let (bundle, _) = calibrated(&parts);
        let expected = scores(&mut bundle.bind(&schema, Engine::Flex).unwrap(), &block);
        let found = [(Engine::Int16, 4), (Engine::Int8, 5)].map(|(engine, code)| {
            let mut model = bundle.bind(&schema, engine).unwrap();
            assert_eq!((model.engine().code(), model.golden().vectors), (code, 6));
            conformance::classifier(&mut model, outputs, &block);
            scores(&mut model, &block)
        });
        let largest = found.each_ref().map(|found| {
            let pairs = expected.iter().flatten().zip(found.iter().flatten());
            pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max)
        });
        println!("{outputs:?} differ by {largest:?}");
        assert!(largest.iter().zip(near).all(|(&largest, near)| largest < near), "{outputs:?}: {largest:?}");
        // Fewer bits give another score.
        assert!(0.0 < largest[0] && largest[0] < largest[1], "{outputs:?}: {largest:?}");
    }
}

#[test]
fn a_calibration_is_part_of_the_bundle() {
    let parts = Parts::classifier();
    let (bundle, section) = calibrated(&parts);
    assert_eq!((section.events, section.margin, section.hidden.len()), (500, 2.0, 1));
    assert_eq!(section.records_sha256, support::sha256(&records(&schema(), 500)));
    assert_ne!(bundle.hash(), load(&parts).hash());
    // As an archive and after replacing the section, everything around it is unchanged.
    let again = Bundle::from_tar(&bundle.to_tar(), "x.tar").unwrap();
    assert_eq!((again.hash(), again.calibration()), (bundle.hash(), Some(&section)));
    let other = Calibration { margin: 3.0, ..section.clone() };
    let rewritten = again.with_calibration(&other).unwrap();
    assert_eq!(rewritten.calibration(), Some(&other));
    assert_eq!(rewritten.with_calibration(&section).unwrap().hash(), bundle.hash());
    // A wider range is coarser: the scores differ in their bits, but are near.
    let block = block(&schema(), &records(&schema(), 64), &[64]);
    let [narrow, wide] = [&bundle, &rewritten]
        .map(|bundle| scores(&mut bundle.bind(&schema(), Engine::Int16).unwrap(), &block));
    assert_ne!(narrow, wide);
    let inline = parts.sealed_manifest().replace(
        "format = 1",
        "format = 1\ncalibration = { hidden = [1.0], margin = 1.0, tolerance = { int16 = 0.1 }, events = 1, records_sha256 = \"SUM\" }",
    );
    let inline = Parts { manifest: inline.replace("SUM", &"0".repeat(64)), ..parts };
    assert_eq!(load(&inline).with_calibration(&section).unwrap().calibration(), Some(&section));
    // Only the reduced-precision engines are affected.
    assert!(bundle.unfit_for(Engine::Int16).is_none());
    assert_eq!(bundle.bind(&schema(), Engine::Auto).unwrap().engine(), Engine::Fused);
    assert_eq!(Engine::REDUCED.map(|engine| bundle.tolerance(engine)), [0.01, 0.4]);
    assert_eq!(bundle.tolerance(Engine::Flex), 1e-5);
}

#[test]
fn a_damaged_calibration_is_refused() {
    let (bundle, _) = calibrated(&Parts::classifier());
    let manifest = bundle.manifest().to_owned();
    let line = |key: &str| manifest.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let section = &manifest[manifest.find("[calibration]").unwrap()..];
    let tolerance = section.lines().find(|line| line.starts_with("tolerance")).unwrap();
    let damage = |from: &str, to: &str| {
        let parts = Parts { manifest: manifest.replace(from, to), ..Parts::classifier() };
        let folder = tempfile::tempdir().unwrap();
        parts.write(folder.path());
        Bundle::load(folder.path())
            .map(|bundle| bundle.bind(&schema(), Engine::Int16).map(drop).map_err(|error| error.to_string()))
    };
    for (from, to, says) in [
        (line("hidden"), "hidden = [-1.0]", "calibration.hidden: give numbers above 0"),
        (line("hidden"), "hidden = [inf]", "calibration.hidden"),
        (line("margin"), "margin = 0.5", "calibration.margin: give a number between 1 and 64"),
        (line("margin"), "margin = nan", "calibration.margin"),
        (
            tolerance.into(),
            "tolerance = { int16 = 0.6 }",
            "calibration.tolerance: give numbers above 0 and at most 0.5",
        ),
        (
            tolerance.into(),
            "tolerance = { int16 = 0.1, int8 = 0.6 }",
            "calibration.tolerance: give numbers above 0",
        ),
        (tolerance.into(), "tolerance = { int8 = 0.0 }", "calibration.tolerance: give numbers above 0"),
        (tolerance.into(), "tolerance = { int4 = 0.1 }", "unknown field `int4`"),
        (line("records_sha256"), "records_sha256 = \"no\"", "calibration.records_sha256"),
        (line("margin"), "margin = 2.0\nmargins = 2.0", "unknown field `margins`"),
    ] {
        let refused = damage(&from, to).unwrap_err().to_string();
        assert!(refused.contains(says), "{to}: {refused}");
    }
    for (from, to, says) in [
        (
            line("hidden"),
            "hidden = [1.0, 2.0]",
            "is about 2 hidden layers, the network has 1; calibrate it again",
        ),
        // So small that every hidden number is clamped, which the golden vectors detect.
        (line("hidden"), "hidden = [1e-6]", "integers of 16 bits are too coarse for it as it is calibrated"),
    ] {
        let refused = damage(&from, to).unwrap().unwrap_err();
        assert!(refused.contains(says), "{to}: {refused}");
    }
}

#[test]
fn each_engine_has_its_own_tolerance() {
    let (bundle, section) = calibrated(&Parts::classifier());
    let with = |int8| {
        let tolerance = Tolerance { int8, ..section.tolerance };
        bundle.with_calibration(&Calibration { tolerance, ..section.clone() }).unwrap()
    };
    // Too coarse at calibration: the 8-bit engine is refused before anything is computed, the 16-bit engine is not.
    let without = with(None);
    assert!(!without.manifest().contains("int8") && without.unfit_for(Engine::Int16).is_none());
    for refused in [
        without.unfit_for(Engine::Int8).unwrap(),
        without.bind(&schema(), Engine::Int8).unwrap_err().to_string(),
    ] {
        assert!(
            refused.contains("has no tolerance for int8, which was too coarse for it or could not run it"),
            "{refused}"
        );
    }
    assert!(without.bind(&schema(), Engine::Int16).is_ok());
    // The golden vectors detect it as well.
    let narrow = with(Some(1e-6));
    let refused = narrow.bind(&schema(), Engine::Int8).unwrap_err().to_string();
    let says = "integers of 8 bits are too coarse for it as it is calibrated";
    assert!(refused.contains(says) && refused.ends_with("use --device int16"), "{refused}");
    // The margin applies only to 16 bits.
    let wide = bundle.with_calibration(&Calibration { margin: 8.0, ..section.clone() }).unwrap();
    let block = block(&schema(), &records(&schema(), 64), &[64]);
    let on = |bundle: &Bundle, engine| scores(&mut bundle.bind(&schema(), engine).unwrap(), &block);
    assert_eq!(on(&bundle, Engine::Int8), on(&wide, Engine::Int8));
    assert_ne!(on(&bundle, Engine::Int16), on(&wide, Engine::Int16));
}

#[test]
fn what_integers_cannot_run_is_refused_by_name() {
    let schema = schema();
    let refused =
        |parts: &Parts, schema: &Schema| load(parts).bind(schema, Engine::Int16).unwrap_err().to_string();
    let sound = Parts::classifier();
    let bare = refused(&sound, &schema);
    assert!(
        bare.contains("engine int16 cannot run it: it is not calibrated; do that with tamis model calibrate"),
        "{bare}"
    );
    let with =
        |from: &str, to: &str| Parts { manifest: sound.manifest.replacen(from, to, 1), ..sound.clone() };
    for (parts, says) in [
        (with("shift = 100", "log1p = true\nshift = 100"), "input 'small' has log1p"),
        (with("clip = [0.5, 6]", "mask = \"half\""), "input 'half' has mask"),
    ] {
        let refused = refused(&parts, &schema);
        assert!(refused.contains(says) && refused.ends_with("use --device fused, or flex"), "{refused}");
    }
    // Calibrated, but with events of another schema.
    let (bundle, _) = calibrated(&sound);
    for dtype in ["f32", "i32", "u16"] {
        let other =
            SCHEMA.replace("\"energy\", dtype = \"i16\"", &format!("\"energy\", dtype = \"{dtype}\""));
        let other = Schema::parse(other.as_bytes()).unwrap();
        let refused = bundle.bind(&other, Engine::Int16).unwrap_err().to_string();
        assert!(
            refused.contains(&format!(
                "input 'energy' is {dtype} in the schema, and 16 bits hold i8, u8 and i16"
            ))
        );
        assert!(
            bundle.unfit_with(Engine::Int16, &other).is_some() && bundle.bind(&other, Engine::Flex).is_ok()
        );
    }
    assert!(bundle.unfit_with(Engine::Int16, &schema).is_none());
}

#[test]
fn events_that_say_nothing_do_not_calibrate() {
    let bundle = load(&Parts::classifier());
    let schema = schema();
    let nothing = bundle.calibrator(&schema).unwrap().finish(2.0).unwrap_err();
    assert!(nothing.contains("hidden layer 0 over 0 events is 0; calibrate with events"), "{nothing}");
}
