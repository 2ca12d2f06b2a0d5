//! The synthetic detector keeps its promises: the same bytes from the same seed, plausible physics, and a truth about faults
//! that a scanner confirms.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{
    Address, Defect, FrameHeader, FrameMeta, Scanned, Scanner, Schema, Span, encode_events, encode_schema,
    flags,
};
use tamis_sim::{
    Arrivals, Fault, FaultPlan, FaultRates, GenError, GenOptions, Generator, Mixture, SIGNAL_CLASSES,
    Schedule,
};

const SCHEMA: &str = r#"
name = "toy"
[[field]]
name = "met.pt"
dtype = "f32"
unit = "GeV"
[[field]]
name = "jets.pt"
dtype = "i16"
len = 6
scale = 0.5
unit = "GeV"
[[field]]
name = "jets.eta"
dtype = "i8"
len = 6
scale = 0.0435
[[field]]
name = "jets.phi"
dtype = "u8"
len = 6
scale = 0.04363323129985824
unit = "rad"
[[field]]
name = "counts"
dtype = "u16"
[[field]]
name = "truth.label"
dtype = "u8"
role = "truth"
"#;

fn schema() -> Schema {
    Schema::parse(SCHEMA.as_bytes()).unwrap()
}

fn frames(options: GenOptions, events: u64) -> (Generator, Vec<Vec<u8>>) {
    let generator = Generator::new(&schema(), options).unwrap();
    let mut frames = Vec::new();
    let Ok(_) = generator.generate(events, |frame| {
        frames.push(frame.to_vec());
        Ok::<_, Infallible>(())
    });
    (generator, frames)
}

/// The same with a list in place of a number, and with payloads.
fn mixed_schema() -> Schema {
    let list = "name = \"hits\"\ndtype = \"u8\"\nlen = \"0..1\"";
    let text = SCHEMA.replace("name = \"counts\"\ndtype = \"u16\"", list) + "[payload]\n";
    Schema::parse(text.as_bytes()).unwrap()
}

/// The frames with columns, lists and payloads, behind a schema frame.
fn mixed(seed: u64, frames: &[Vec<u8>]) -> (Schema, Vec<u8>, Vec<Vec<u8>>) {
    let schema = mixed_schema();
    let mut begin = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut begin);
    let frames = Mixture { seed, payload_bytes_max: 100, long_payload_bytes: 0 }.mix(&schema, frames);
    (schema, begin, frames)
}

/// Every event record in order, by id.
fn records(frames: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    for frame in frames {
        let header = FrameHeader::read(frame).unwrap();
        let payload = &frame[64..64 + header.body_len as usize];
        records.extend(
            (header.first_event_id..).zip(payload.chunks(header.stride as usize).map(<[u8]>::to_vec)),
        );
    }
    records
}

const LISTS: &str = r#"
name = "lists"
field = [
    { name = "jets.x", dtype = "f32", len = "0..4" },
    { name = "jets.pt", dtype = "u16", len = "0..4", scale = 0.25, unit = "GeV" },
    { name = "jets.et", dtype = "f32", len = "0..4", offset = 1.0, unit = "GeV" },
    { name = "hits", dtype = "i32", len = "0..300", offset = 7.5 },
    { name = "truth.x", dtype = "u8", len = "0..3", role = "truth" },
]
"#;

#[test]
fn lists_have_as_many_elements_as_there_are_objects() {
    let schema = Schema::parse(LISTS.as_bytes()).unwrap();
    let options = GenOptions { frame_events: 50, signal_fraction: 0.5, ..GenOptions::default() };
    let generator = Generator::new(&schema, options).unwrap();
    let mut frames = Vec::new();
    let Ok(_) = generator.generate(3000, |frame| {
        frames.push(frame.to_vec());
        Ok::<_, Infallible>(())
    });
    let clean = [generator.schema_frame(), frames.concat()].concat();
    let plan = FaultPlan::new(3, FaultRates::none().with(Fault::Poison, 1.0));
    let faulted = plan.apply(&schema, &generator.schema_frame(), &frames);
    assert!(faulted.truth.poison.len() > 30, "most frames have an event with a jet");
    // Counts in bounds and zeros behind the elements, also where an element became NaN.
    for stream in [&clean, &faulted.bytes] {
        let mut scanner = Scanner::new(&schema);
        let (mut at, mut events) = (0, 0);
        loop {
            at += match scanner.step(&stream[at..], true) {
                Scanned::Frame { header, consumed, .. } => {
                    events += header.n_events;
                    consumed
                }
                Scanned::Schema { consumed, .. } | Scanned::Skip { consumed } => consumed,
                Scanned::End => break,
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(events, 3000);
    }
    let counts = |name: &str| -> Vec<usize> {
        let list = schema.list(name).unwrap();
        records(&frames).iter().map(|(_, record)| list.count(record)).collect()
    };
    for (list, most) in [("jets", 4), ("truth", 3)] {
        let seen: HashSet<usize> = counts(list).into_iter().collect();
        assert_eq!(seen, (0..=most).collect(), "{list}");
    }
    assert!(counts("hits").iter().any(|&count| count > 255));
    // A jet is where both ordered fields are above their thresholds.
    let (pt, et) = (schema.field("jets.pt").unwrap(), schema.field("jets.et").unwrap());
    for ((_, record), count) in records(&frames).iter().zip(counts("jets")) {
        assert!((0..count).all(|k| pt.number(k, record).value() > 0.0 && et.number(k, record).value() > 0.0));
    }
}

#[test]
fn a_sample_depends_on_its_seed_alone() {
    let options = GenOptions {
        seed: 5,
        signal_fraction: 0.2,
        frame_events: 100,
        segment_events: 250,
        ..GenOptions::default()
    };
    let in_pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| frames(options.clone(), 1030).1)
    };
    let one = in_pool(1);
    assert_eq!(one, in_pool(3), "threads");
    assert_eq!(
        records(&one),
        records(&frames(GenOptions { frame_events: 7, ..options.clone() }, 1030).1),
        "frame size"
    );
    assert_ne!(one, frames(GenOptions { seed: 6, ..options.clone() }, 1030).1, "seed");

    let ids: Vec<u64> = records(&one).iter().map(|(id, _)| *id).collect();
    assert!(ids.into_iter().eq(0..1030));
    for frame in &one {
        let header = FrameHeader::read(frame).unwrap();
        assert_eq!(u64::from(header.segment), header.first_event_id / 250);
        assert_eq!(header.time_ns, header.first_event_id * 25);
    }
    let generator = Generator::new(&schema(), options).unwrap();
    let mut alone = Vec::new();
    assert_eq!(generator.frame(4, 1030, &mut alone), 100);
    assert_eq!(alone, one[4], "a frame by itself");
    assert_eq!(generator.frame(99, 1030, &mut alone), 0);
}

#[test]
fn events_look_like_events() {
    let options = GenOptions { signal_fraction: 0.3, ..GenOptions::default() };
    let (generator, frames) = frames(options, 20_000);
    let schema = schema();
    let element = |address: &str| schema.resolve(&address.parse::<Address>().unwrap()).unwrap();
    let pt = element("jets.pt");
    let eta = element("jets.eta");
    let phi = element("jets.phi");
    let (met, label) = (element("met.pt")[0], element("truth.label")[0]);
    let mut by_class = [0usize; 4];
    let mut hard_pairs = [0usize; 4];
    let mut full = [0usize; 4];
    let mut hard_met = [0usize; 4];
    let mut quadrants = [0usize; 4];
    for (id, record) in records(&frames) {
        let class = label.physical(&record) as usize;
        assert_eq!(class, usize::from(generator.class(id)));
        let pts: Vec<f64> = pt.iter().map(|e| e.physical(&record)).collect();
        assert!(pts.is_sorted_by(|a, b| a >= b), "objects fall in pt: {pts:?}");
        for k in 0..pts.len() {
            let angles = (eta[k].physical(&record), phi[k].physical(&record));
            assert!(pts[k] > 0.0 || angles == (0.0, 0.0), "an absent object is all zero");
            assert!((0.0..std::f64::consts::TAU).contains(&angles.1));
            if pts[k] > 0.0 {
                quadrants[(angles.1 / std::f64::consts::FRAC_PI_2) as usize] += 1;
            }
        }
        by_class[class] += 1;
        hard_pairs[class] += usize::from(pts[1] > 40.0);
        full[class] += usize::from(pts[5] > 5.0);
        hard_met[class] += usize::from(met.physical(&record) > 100.0);
    }
    let share = |counts: [usize; 4], class: usize| counts[class] as f64 / by_class[class] as f64;
    assert!((0.68..0.72).contains(&(by_class[0] as f64 / 20_000.0)), "{by_class:?}");
    assert!((1..=usize::from(SIGNAL_CLASSES)).all(|class| by_class[class] > 1800), "{by_class:?}");
    assert!(share(hard_pairs, 0) < 0.01 && share(hard_pairs, 1) > 0.99, "{hard_pairs:?}");
    assert!(share(full, 0) < 0.01 && share(full, 2) > 0.2, "{full:?}");
    assert!(share(hard_met, 0) < 0.01 && share(hard_met, 3) > 0.5, "{hard_met:?}");
    let mean = quadrants.iter().sum::<usize>() as f64 / 4.0;
    assert!(quadrants.iter().all(|&n| (n as f64 / mean - 1.0).abs() < 0.05), "phi is flat: {quadrants:?}");
}

/// Integers of 64 bits have digits that no f64 holds, and none is pressed to the end of its type.
#[test]
fn numbers_of_64_bits_use_their_bits() {
    let text = "name = 'wide'\nfield = [{ name = 'id', dtype = 'u64' }, { name = 't', dtype = 'i64' }, { name = 'x', dtype = 'f64' }, { name = 'e.energy', dtype = 'u64' }]";
    let schema = Schema::parse(text.as_bytes()).unwrap();
    let generator = Generator::new(&schema, GenOptions::default()).unwrap();
    let mut bytes = Vec::new();
    let Ok(_) = generator.generate(1000, |frame| {
        let header = FrameHeader::read(frame).unwrap();
        bytes.extend_from_slice(&frame[64..][..header.body_len as usize]);
        Ok::<_, Infallible>(())
    });
    let column = |k: usize| -> Vec<u64> {
        bytes.chunks(32).map(|record| u64::from_le_bytes(*record[8 * k..].first_chunk().unwrap())).collect()
    };
    for ids in [column(0), column(1)] {
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(ids.iter().filter(|&&id| id % 2 == 1).count() > 300);
        assert!(!ids.contains(&u64::MAX) && !ids.contains(&0));
    }
    let floats: Vec<f64> = column(2).into_iter().map(f64::from_bits).collect();
    assert!(floats.iter().all(|x| x.abs() < 10.0) && floats.iter().any(|&x| f64::from(x as f32) != x));
    assert!(column(3).iter().all(|&energy| energy < 1000));
}

#[test]
fn impossible_options_are_refused() {
    let refused = |options| Generator::new(&schema(), options).unwrap_err();
    let good = GenOptions::default;
    assert!(matches!(refused(GenOptions { rate_hz: 0.0, ..good() }), GenError::Rate { .. }));
    assert!(matches!(refused(GenOptions { rate_hz: f64::NAN, ..good() }), GenError::Rate { .. }));
    assert!(matches!(refused(GenOptions { signal_fraction: 1.5, ..good() }), GenError::Fraction { .. }));
    assert!(matches!(refused(GenOptions { frame_events: 0, ..good() }), GenError::FrameEvents { .. }));
    assert!(matches!(
        refused(GenOptions { frame_events: 65_537, ..good() }),
        GenError::FrameEvents { most: 65_536, .. }
    ));
    assert!(matches!(refused(GenOptions { segment_events: 0, ..good() }), GenError::SegmentEvents));
}

/// What a plain reader finds with a scanner and a set of ids.
#[derive(Debug, Default, PartialEq)]
struct Found {
    defects: BTreeMap<String, (u64, u64)>,
    good: HashSet<u64>,
    frames: u64,
    duplicates: (u64, u64),
    reordered: u64,
    poison: Vec<u64>,
    dense: HashSet<u64>,
    /// Time, record, payload.
    sent: BTreeMap<u64, (u64, Vec<u8>, Vec<u8>)>,
}

fn read(schema: &Schema, bytes: &[u8]) -> Found {
    let met = schema.resolve(&"met.pt".parse().unwrap()).ok().map(|elements| elements[0]);
    let mut segment = 0;
    let mut scanner = Scanner::new(schema);
    let mut at = 0;
    let mut found = Found::default();
    let mut newest = 0;
    loop {
        at += match scanner.step(&bytes[at..], true) {
            Scanned::Frame { header, body: payload, consumed } => {
                assert!(header.segment >= segment, "a late or repeated frame stays in its segment");
                segment = header.segment;
                let span = Span::of_frame(&header, &Bytes::copy_from_slice(&bytes[at..][payload]));
                let events = || (0..span.len()).map(|event| span.event(event));
                let fresh: Vec<_> = events().filter(|event| found.good.insert(event.id)).collect();
                found.duplicates.0 += u64::from(fresh.is_empty());
                found.duplicates.1 += (span.len() - fresh.len()) as u64;
                if !fresh.is_empty() {
                    found.frames += 1;
                    found.reordered += u64::from(header.first_event_id < newest);
                    newest = newest.max(header.first_event_id);
                }
                let is_poison = |record: &[u8]| met.is_some_and(|met| met.physical(record).is_nan());
                found
                    .poison
                    .extend(fresh.iter().filter(|event| is_poison(event.record)).map(|event| event.id));
                for event in fresh {
                    let sent = (event.time_ns, event.record.to_vec(), event.payload.to_vec());
                    found.sent.insert(event.id, sent);
                    if header.flags & flags::SPARSE_IDS == 0 {
                        found.dense.insert(event.id);
                    }
                }
                consumed
            }
            Scanned::Defect { defect, events, consumed, .. } => {
                let entry = found.defects.entry(format!("{defect:?}")).or_default();
                *entry = (entry.0 + 1, entry.1 + events);
                consumed
            }
            Scanned::Schema { consumed, .. } | Scanned::Skip { consumed } => consumed,
            Scanned::End => break,
            Scanned::NeedMore { .. } => panic!("the whole stream is here"),
        };
    }
    found.poison.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_scanner_finds_exactly_the_truth(seed in any::<u64>(), rate in 0.0..0.25f64, frame_events in 1usize..9, events in 1u64..400, mix in any::<bool>()) {
        let options = GenOptions { seed, frame_events, segment_events: 50, ..GenOptions::default() };
        let (generator, frames) = frames(options, events);
        let plain = (schema(), generator.schema_frame(), frames);
        let (schema, begin, frames) = if mix { mixed(seed, &plain.2) } else { plain };
        let faulted = FaultPlan::new(seed, FaultRates::all(rate)).apply(&schema, &begin, &frames);
        let truth = faulted.truth;
        let found = read(&schema, &faulted.bytes);

        let defects: BTreeMap<_, _> = truth.defects.iter().map(|(d, l)| (format!("{d:?}"), (l.frames, l.events))).collect();
        prop_assert_eq!(&found.defects, &defects);
        prop_assert_eq!((found.frames, found.reordered), (truth.frames, truth.reordered));
        prop_assert_eq!(found.duplicates, (truth.duplicates.frames, truth.duplicates.events));
        prop_assert_eq!(&found.poison, &truth.poison);
        let survivors: HashSet<u64> = truth.survivors.iter().cloned().flatten().collect();
        prop_assert_eq!(&found.good, &survivors);
        prop_assert_eq!(truth.events, survivors.len() as u64);
        let sent: BTreeMap<_, _> = truth.sent.iter().map(|(id, s)| (*id, (s.time_ns, s.record.clone(), s.payload.clone()))).collect();
        prop_assert_eq!(&found.sent, &sent);
        let span = found.dense.iter().min().copied().unwrap_or(0)..found.dense.iter().max().map_or(0, |last| last + 1);
        let missing: HashSet<u64> = span.filter(|id| !survivors.contains(id)).collect();
        prop_assert_eq!(truth.missing.iter().cloned().flatten().collect::<HashSet<u64>>(), missing);
    }
}

#[test]
fn every_fault_happens_and_alone_has_one_cause() {
    let (_, plain) =
        frames(GenOptions { frame_events: 5, segment_events: 100, ..GenOptions::default() }, 2000);
    let (schema, begin, frames) = mixed(1, &plain);
    let whole = FaultPlan::new(3, FaultRates::none()).apply(&schema, &begin, &frames).truth;
    assert!(
        whole.defects.is_empty() && whole.events < 2000 && whole.missing_events() > 0,
        "some ids stand twice"
    );
    let causes = [
        (Fault::HeaderBit, Defect::Header),
        (Fault::BodyBit, Defect::Crc),
        (Fault::Cut, Defect::Torn),
        (Fault::Magic, Defect::Magic),
        (Fault::Version, Defect::Version),
        (Fault::Length, Defect::Length),
        (Fault::Oversize, Defect::Oversize),
        (Fault::UnknownSchema, Defect::Schema),
        (Fault::Columns, Defect::Columns),
        (Fault::Count, Defect::Count),
        (Fault::Empty, Defect::Zero),
        (Fault::Garbage, Defect::Magic),
    ];
    for fault in Fault::ALL {
        let plan = FaultPlan::new(3, FaultRates::none().with(fault, 0.2));
        let truth = plan.apply(&schema, &begin, &frames).truth;
        let found: Vec<Defect> = truth.defects.iter().map(|&(defect, _)| defect).collect();
        let wanted: Vec<Defect> =
            causes.iter().filter(|(f, _)| *f == fault).map(|&(_, defect)| defect).collect();
        assert_eq!(found, wanted, "{fault:?}");
        let other = (truth.duplicates.frames, truth.reordered, truth.poison.len());
        match fault {
            Fault::Duplicate => assert!(other.0 > 40 && truth.events == whole.events),
            Fault::Delay => assert!(other.1 > 40 && truth.events == whole.events),
            Fault::Poison => assert!(other.2 > 40 && truth.events == whole.events),
            Fault::Drop => assert!(truth.missing_events() > 200),
            _ => assert!(truth.defect(wanted[0]).frames > 40 && other == (0, 0, 0)),
        }
    }
}

/// The byte that takes the place of a lost one is the `T` of the next magic word: a cut must not go unnoticed because of it.
#[test]
fn a_cut_is_never_made_good_by_the_next_frame() {
    let schema =
        Schema::parse(b"name = \"bytes\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\nlen = 200\n").unwrap();
    let mixed = std::array::from_fn(|at| if at % 2 == 0 { b'x' } else { b'T' });
    for (payload, can_be_cut) in [(mixed, true), ([b'T'; 200], false)] {
        let frame = |first_event_id| {
            let mut out = Vec::new();
            let meta = FrameMeta { first_event_id, ..FrameMeta::default() };
            encode_events(&schema, meta, &payload, &mut out);
            out
        };
        let frames: Vec<Vec<u8>> = (0..200).map(frame).collect();
        let faulted =
            FaultPlan::new(1, FaultRates::none().with(Fault::Cut, 0.5)).apply(&schema, &[], &frames);
        let truth = faulted.truth;
        let found = read(&schema, &faulted.bytes);
        let torn = truth.defect(Defect::Torn);
        assert_eq!(torn.frames > 30, can_be_cut, "{torn:?}");
        assert_eq!(found.defects.values().map(|(frames, _)| frames).sum::<u64>(), torn.frames);
        assert_eq!((found.frames, found.duplicates), (200 - torn.frames, (0, 0)));
    }
}

#[test]
fn arrivals_keep_the_mean_rate() {
    for schedule in [Schedule::Uniform, Schedule::Poisson, Schedule::Bursts { length: 64, factor: 8.0 }] {
        let times: Vec<u64> = Arrivals::new(9, 1e6, schedule).take(64_001).collect();
        assert!(times.is_sorted());
        let mean = (times[64_000] - times[0]) as f64 / 64_000.0;
        assert!((mean / 1000.0 - 1.0).abs() < 0.02, "{schedule:?}: one every {mean} ns");
        assert!(Arrivals::new(9, 1e6, schedule).take(64_001).eq(times.iter().copied()), "the same seed");
        let long_waits = times.windows(2).filter(|pair| pair[1] - pair[0] > 3000).count() as f64 / 64_000.0;
        let wanted = match schedule {
            Schedule::Uniform => 0.0..1e-9,
            Schedule::Poisson => 0.045..0.055,
            Schedule::Bursts { .. } => 0.015..0.016,
        };
        assert!(wanted.contains(&long_waits), "{schedule:?}: {long_waits} of the waits are long");
    }
}
