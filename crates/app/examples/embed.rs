//! A trigger inside another program, fed from memory: `cargo run --release -p tamis-app --example embed`

use bytes::Bytes;
use tamis_app::{Failure, Plan, Settings};
use tamis_event::{FrameMeta, Schema, encode_events};
use tamis_source::PushError;

const SCHEMA: &str =
    "name = 'pair'\n[[field]]\nname = 'pt'\ndtype = 'u16'\nlen = 2\nscale = 0.5\nunit = 'GeV'\n";
const MENU: &str = "name = 'pair'\n[[stream]]\nname = 'physics'\n[[line]]\nname = 'both'\nwhen = 'min(pt) >= 20'\nstreams = ['physics']\n";

/// Runs a trigger in this process on frames that it makes itself.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::temp_dir().join(format!("tamis-embed-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("menu.toml"), MENU)?;
    // Everything is checked here, before the first frame: menu, models, schema, output folder.
    let schema = Schema::parse(SCHEMA.as_bytes())?;
    let (plan, pusher) = Plan::push(schema.clone(), 64, Settings::new(out.join("menu.toml"), &out))?;
    let run = std::thread::spawn(move || -> Result<_, Failure> { plan.run() });
    // The data-acquisition side: 100 frames of 1000 events. A full queue hands the frame back: wait, or count it as dead time.
    for number in 0..100u64 {
        let values = (0..2000u16).flat_map(|k| (k % 97).to_le_bytes());
        let meta = FrameMeta { run: 1, segment: 1, first_event_id: number * 1000, ..FrameMeta::default() };
        let mut bytes = Vec::new();
        encode_events(&schema, meta, &values.collect::<Vec<u8>>(), &mut bytes);
        let mut frame = Bytes::from(bytes);
        loop {
            match pusher.push(frame) {
                Ok(()) => break,
                Err(PushError::Full(back)) => frame = back,
                // The run has ended early, and its report says why: storage that failed, for example.
                Err(error @ PushError::Closed(_)) => return Err(error.into()),
            }
            std::thread::yield_now();
        }
    }
    drop(pusher); // the end of the input
    let report = run.join().expect("the run does not panic")?;
    let ledger = &report.ledger;
    println!("{} received, {} accepted, {} rejected", ledger.received, ledger.accepted, ledger.rejected);
    assert_eq!((ledger.received, ledger.in_flight), (100_000, 0));
    std::fs::remove_dir_all(&out)?;
    Ok(())
}
