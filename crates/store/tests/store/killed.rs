//! A process that is killed while it writes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use tamis_port::Sink as _;
use tamis_store::{Durable, Ending, McapSink, recover};

use crate::sample::{ids, plan, record, stored};

const FOLDER: &str = "TAMIS_STORE_TEST_FOLDER";
const EVENT_LEN: &str = "TAMIS_STORE_TEST_EVENT_LEN";

/// Not a test itself, but the process that the next test kills.
#[test]
fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let event_len: usize = std::env::var(EVENT_LEN).unwrap().parse().unwrap();
    let durable: Durable = "every=1ms".parse().unwrap();
    let mut sink = McapSink::new(plan(Path::new(&folder), durable, u64::MAX)).unwrap();
    let start = Instant::now();
    let mut acknowledged = 0;
    for id in 0.. {
        sink.write(stored(id, &record(id, event_len))).unwrap();
        sink.tick(start.elapsed().as_nanos() as u64).unwrap();
        let durable = sink.progress().durable();
        if durable != acknowledged {
            acknowledged = durable;
            println!("durable {acknowledged}");
            std::io::stdout().flush().unwrap();
        }
    }
}

#[test]
fn what_was_acknowledged_survives() {
    // The last ones are long enough for chunks of their own.
    for (lines, event_len) in
        [(1, 116), (2, 116), (5, 116), (20, 116), (80, 116), (200, 116), (3, 700_000), (9, 2_000_000)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::writer", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(EVENT_LEN, event_len.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = 0;
        let reports = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.rsplit_once("durable ").map(|(_, count)| count.parse::<u64>().unwrap()));
        for (line, count) in reports.enumerate() {
            // Counts that are still in the pipe at the kill were acknowledged as well, so read to its end.
            acknowledged = count;
            if line + 1 == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let part = folder.path().join("l1-mixed-physics-0001.mcap.part");
        let report = recover(&part, None).unwrap();
        assert!(matches!(report.ending, Ending::Torn { .. }));
        assert!(report.records >= acknowledged, "{} of {acknowledged} acknowledged", report.records);
        assert!(ids(&report.file, event_len).into_iter().eq(0..report.records), "exactly once, in order");
    }
}
