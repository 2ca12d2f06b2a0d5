//! Tests of the sources, the frame writer and the converters.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod convert;
mod lists;
mod names;
mod sources;
mod tables;
mod wide;
mod writer;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tamis_event::Schema;
use tamis_sim::{GenOptions, Generator};
use tamis_source::TmfWriter;

/// Long enough for any machine; only a broken source takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn schema() -> Schema {
    let text = "name = \"toy\"\n[[field]]\nname = \"jets.pt\"\ndtype = \"i16\"\nlen = 7\nunit = \"GeV\"\n";
    Schema::parse(text.as_bytes()).unwrap()
}

/// A stream with its schema frame.
fn stream(events: u64) -> Vec<u8> {
    let generator =
        Generator::new(&schema(), GenOptions { frame_events: 1000, ..GenOptions::default() }).unwrap();
    let mut stream = generator.schema_frame();
    let Ok(_) = generator.generate(events, |frame| {
        stream.extend_from_slice(frame);
        Ok::<_, Infallible>(())
    });
    stream
}

/// Writes the same stream to a file with the writer.
fn write(path: &Path, events: u64) {
    let generator =
        Generator::new(&schema(), GenOptions { frame_events: 1000, ..GenOptions::default() }).unwrap();
    let mut writer = TmfWriter::create(path, &schema(), true).unwrap();
    generator.generate(events, |frame| writer.write_frame(frame)).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.frames, written.bytes), (events.div_ceil(1000), fs::metadata(path).unwrap().len()));
}
