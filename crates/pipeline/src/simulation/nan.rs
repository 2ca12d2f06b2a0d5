//! A NaN in a field that a line reads: no verdict, whatever the models and the rest of the menu say.

use tamis_event::record::{NO_MODEL, fault};

use super::*;

/// No model reads anything, so nobody fails; `FALLBACK` must change nothing.
const MENU: &str = r#"
name = "nan"
[[stream]]
name = "all"
[[line]]
name = "all"
kind = "pass-through"
streams = ["all"]
[[line]]
name = "cut"
when = "energy > 20 || hits[0] >= 0"
streams = ["all"]
"#;
const FALLBACK: &str = "[fallback]\npass_through = 1\nstreams = ['all']\n";

#[test]
fn an_event_with_a_nan_that_a_line_reads_is_undecided() {
    let mut found = 0;
    for seed in 2_000..2_030 {
        let Faulted { bytes, truth } = faulted(seed, 0.02);
        let poison: Vec<u64> = truth.poison.clone();
        found += poison.len();
        for menu in [MENU.to_owned(), format!("{MENU}{FALLBACK}")] {
            let case = Case {
                workers: 1 + seed as usize % 4,
                batch: [1, 7, 100][seed as usize % 3],
                ..Case::default()
            };
            let (outcome, _, streams) = bench_of(&bytes, &case, &menu, &[], &Vec::new).seeded(seed);
            let tally = &outcome.tally;
            assert_eq!(outcome.balance, Ok(()), "seed {seed}");
            assert_eq!(tally.errored.get(Errored::NotANumber), poison.len() as u64, "seed {seed}");
            assert_eq!(tally.errored.total(), poison.len() as u64, "seed {seed}");
            assert_eq!(
                tally.accepted,
                truth.events - poison.len() as u64,
                "seed {seed}: a line keeps all others"
            );
            assert!(streams[1].iter().map(|(id, _)| *id).eq(poison.iter().copied()), "seed {seed}");
            for (id, bytes) in &streams[1] {
                let record = Record::parse(bytes).unwrap();
                let header = record.header();
                assert_eq!(
                    (header.fault, header.guilty_model, header.rung),
                    (fault::NOT_A_NUMBER, NO_MODEL, 0)
                );
                assert!(
                    record.passed().chain(record.kept()).all(|bits| bits == 0),
                    "seed {seed}: event {id}"
                );
                assert!(
                    f32::from_le_bytes(record.event().record[..4].try_into().unwrap()).is_nan(),
                    "event {id}"
                );
            }
        }
    }
    assert!(found > 20, "the test needs events with a NaN, and has {found}");
}
