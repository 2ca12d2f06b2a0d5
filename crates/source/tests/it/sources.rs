//! Every source passes the conformance suite of its port, and failures to open give the reason.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tamis_event::FrameHeader;
use tamis_port::{Window, conformance};
use tamis_source::{OpenError, PushError, memory, open, push};
use tempfile::{TempDir, tempdir};

use crate::{PATIENCE, schema, stream, write};

/// About 6 MB: several buffers of the decompressor, several frames per buffer.
const EVENTS: u64 = 420_500;

fn file(name: &str, events: u64) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, events);
    (folder, path)
}

#[test]
fn files_and_memory_give_the_stream_once_per_pass() {
    let stream = stream(EVENTS);
    for (name, known) in [("a.tmf", true), ("a.tmf.zst", false)] {
        let (_folder, path) = file(name, EVENTS);
        // The content decides the kind, whatever the name.
        let renamed = path.with_file_name("recording.dat");
        fs::rename(&path, &renamed).unwrap();
        for passes in [1, 3] {
            let mut recording = open(&renamed, passes).unwrap();
            assert_eq!(recording.schema.id(), schema().id());
            assert_eq!(recording.bytes, known.then_some(stream.len() as u64 * passes));
            conformance::source(&mut *recording.source, &stream, passes, PATIENCE);
            conformance::source_stops(&mut *open(&renamed, passes).unwrap().source, &stream, true, PATIENCE);
        }
    }
    let mut recording = memory(Bytes::from(stream.clone()), "memory", 2).unwrap();
    conformance::source(&mut *recording.source, &stream, 2, PATIENCE);
}

/// A frame that is longer than a buffer lies whole in one window, once it is known how long it is. A length that is a lie changes nothing else.
#[test]
fn a_window_has_what_is_wanted_of_a_file() {
    let stream = stream(EVENTS);
    for name in ["a.tmf", "a.tmf.zst"] {
        let (_folder, path) = file(name, EVENTS);
        for wanted in [3 << 20, 5 << 20, usize::MAX] {
            let mut source = open(&path, 1).unwrap().source;
            let Window::Bytes(first) = source.poll().unwrap() else { panic!("no bytes") };
            let start = first.len() - 777;
            assert!(source.unread(&first[start..], wanted));
            let Window::Bytes(next) = source.poll().unwrap() else { panic!("no bytes") };
            assert!(next.len() >= wanted.min(stream.len() - start), "{wanted} wanted, {} there", next.len());
            assert!(next == stream[start..start + next.len()]);
        }
    }
}

#[test]
fn windows_may_be_kept_while_the_source_goes_on() {
    let (_folder, path) = file("a.tmf.zst", EVENTS);
    let mut recording = open(&path, 1).unwrap();
    let mut kept = Vec::new();
    while let Window::Bytes(bytes) = recording.source.poll().unwrap() {
        kept.push(bytes);
    }
    drop(recording);
    assert!(kept.len() > 2);
    assert!(
        kept.iter().all(|window| window.as_ptr().align_offset(64) == 0),
        "frames in windows stay aligned"
    );
    assert!(kept.concat() == stream(EVENTS), "no buffer is written again while somebody looks at it");
}

#[cfg(unix)]
#[test]
fn a_pipe_gives_the_stream_plain_or_compressed() {
    use std::os::fd::OwnedFd;
    for name in ["a.tmf", "a.tmf.zst"] {
        let (folder, path) = file(name, EVENTS);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let bytes = fs::read(&path).unwrap();
        let feeder = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
        // A path to an unnamed pipe, so that `open` sees no regular file.
        let place = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
        let mut recording = open(&place, 1).unwrap();
        conformance::source(&mut *recording.source, &stream(EVENTS), 1, PATIENCE);
        feeder.join().unwrap();
        assert!(matches!(open(&path, 0), Err(OpenError::NoPass { .. })));
        drop((OwnedFd::from(reader), folder));
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_pipe_ends_although_its_writer_does_not() {
    let stream = stream(5000);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&stream[..60_000]).unwrap();
    let place = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
    assert!(matches!(open(&place, 2), Err(OpenError::OnlyOnce { passes: 2, .. })));
    let mut recording = open(&place, 1).unwrap();
    conformance::source_stops(&mut *recording.source, &stream[..60_000], true, PATIENCE);
}

#[test]
fn pushed_frames_arrive_and_a_full_queue_hands_them_back() {
    let stream = stream(5000);
    let (pusher, mut recording) = push(schema(), 2);
    let windows: Vec<Bytes> = stream.chunks(10_000).map(Bytes::copy_from_slice).collect();
    assert!(matches!(recording.source.poll(), Ok(Window::Idle)));
    pusher.push(windows[0].clone()).unwrap();
    pusher.push(windows[1].clone()).unwrap();
    assert_eq!(pusher.push(windows[2].clone()), Err(PushError::Full(windows[2].clone())));

    let sent = windows.clone();
    let feeder = std::thread::spawn(move || {
        for mut window in sent.into_iter().skip(2) {
            while let Err(PushError::Full(back)) = pusher.push(window) {
                window = back;
                std::thread::yield_now();
            }
        }
    });
    conformance::source(&mut *recording.source, &stream, 1, PATIENCE);
    feeder.join().unwrap();
}

#[test]
fn a_stop_refuses_new_pushes_and_loses_none_that_was_taken() {
    for round in 0..200 {
        let (pusher, mut recording) = push(schema(), 1000);
        let taken = AtomicU64::new(0);
        let received = std::thread::scope(|scope| {
            for _ in 0..2 {
                let pusher = pusher.clone();
                let taken = &taken;
                scope.spawn(move || {
                    for _ in 0..10_000_000 {
                        match pusher.push(Bytes::from_static(&[7; 5])) {
                            Ok(()) => _ = taken.fetch_add(5, Ordering::Relaxed),
                            Err(PushError::Full(_)) => std::thread::yield_now(),
                            Err(PushError::Closed(_)) => return,
                        }
                    }
                    panic!("pushes are taken long after the stop");
                });
            }
            let mut received = 0;
            let mut polls = 0;
            loop {
                polls += 1;
                if polls == 20 + round {
                    recording.source.stop();
                }
                match recording.source.poll().unwrap() {
                    Window::Bytes(bytes) => received += bytes.len() as u64,
                    Window::Idle => std::thread::yield_now(),
                    Window::End => break received,
                    Window::Restart => panic!("pushed frames do not start over"),
                }
            }
        });
        assert_eq!(received, taken.into_inner(), "every push that was answered with Ok arrives");
        conformance::assert_ended(&mut *recording.source);
    }
}

#[test]
fn a_cut_compressed_file_gives_its_beginning_and_then_the_reason() {
    let (_folder, path) = file("a.tmf.zst", EVENTS);
    let whole = fs::read(&path).unwrap();
    for share in [0.1, 0.5, 0.99] {
        fs::write(&path, &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let mut recording = open(&path, 5).unwrap();
        let mut given = Vec::new();
        let error = loop {
            match recording.source.poll() {
                Ok(Window::Bytes(_)) => {}
                Ok(other) => panic!("{other:?} in a file that was cut"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().ends_with("the file was cut; get another copy"), "{error}");
        conformance::assert_ended(&mut *recording.source);
        let mut again = open(&path, 1).unwrap();
        while let Ok(Window::Bytes(bytes)) = again.source.poll() {
            given.extend_from_slice(&bytes);
        }
        assert!(!given.is_empty() && stream(EVENTS).starts_with(&given), "what was whole comes first");
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    fs::write(&path, &damaged).unwrap();
    let mut recording = open(&path, 1).unwrap();
    let error = std::iter::repeat_with(|| recording.source.poll()).find_map(Result::err);
    assert!(error.unwrap().to_string().contains("cannot be read any further"));
}

#[test]
fn a_file_that_changes_while_it_is_read_says_so_at_its_end_or_at_a_stop() {
    let changes: [fn(&fs::File); 3] = [
        |file| file.set_len(file.metadata().unwrap().len() / 2).unwrap(),
        |mut file| file.write_all(b"other bytes").unwrap(),
        |file| file.set_len(file.metadata().unwrap().len() + 64).unwrap(),
    ];
    for name in ["a.tmf", "a.tmf.zst"] {
        for (k, change) in changes.iter().enumerate() {
            for stops in [false, true] {
                let (_folder, path) = file(name, 100_500);
                let mut recording = open(&path, 3).unwrap();
                assert!(matches!(recording.source.poll(), Ok(Window::Bytes(_))));
                let other = fs::File::options().write(true).open(&path).unwrap();
                change(&other);
                // File system clocks are coarse.
                other.set_modified(std::time::SystemTime::now() + PATIENCE).unwrap();
                if stops {
                    recording.source.stop();
                }
                let error = std::iter::repeat_with(|| recording.source.poll())
                    .take(99)
                    .find_map(Result::err)
                    .unwrap();
                let damaged = name.ends_with("zst") && !stops;
                assert!(
                    damaged || error.message.starts_with("was changed while it was read"),
                    "{name}, {k}: {error}"
                );
                conformance::assert_ended(&mut *recording.source);
            }
        }
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let with = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        open(&path(name), 1).unwrap_err().to_string()
    };
    let good = stream(10);
    let frames_only = &good[FrameHeader::read(&good).unwrap().frame_len()..];
    let mut damaged = good.clone();
    damaged[70] ^= 1;
    // A window of 2^27 bytes, as declared by `zstd --long`, is more than the format allows.
    let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    std::io::copy(&mut &good[..], &mut wide).unwrap();
    let wide = wide.finish().unwrap();

    let missing = open(&path("none.tmf"), 1).unwrap_err().to_string();
    assert!(missing.ends_with("none.tmf: no such file"), "{missing}");
    let a_folder = open(folder.path(), 1).unwrap_err().to_string();
    assert!(a_folder.ends_with("is a folder; name a file in it"), "{a_folder}");
    for (name, bytes, wanted) in [
        ("empty", &b""[..], "is empty; a Tamis recording starts with a schema frame"),
        (
            "text",
            b"pt,eta\n1,2\n",
            "is no Tamis recording but a table; make a recording of it with `tamis convert`",
        ),
        (
            "short",
            b"TA",
            "is no Tamis recording but a text; if it is a table, `tamis convert` makes a recording of it",
        ),
        (
            "stored",
            b"\x89MCAP0\r\n\x01",
            "is no Tamis recording but an MCAP file, as stored events are; `tamis cat` shows stored events, `tamis verify` checks them",
        ),
        (
            "cut",
            &good[..70],
            "there is no good schema frame (its first frame is damaged: torn); get another copy of it",
        ),
        (
            "damaged",
            &damaged,
            "there is no good schema frame (its first frame is damaged: crc); get another copy of it",
        ),
        (
            "frames",
            frames_only,
            "there is no good schema frame (its first frame is damaged: schema); get another copy of it",
        ),
        (
            "text.zst",
            &zstd::encode_all(&b"pt,eta\n"[..], 1).unwrap(),
            "is no Tamis recording but a table; make a recording of it with `tamis convert`",
        ),
        (
            "empty.zst",
            &zstd::encode_all(&b""[..], 1).unwrap(),
            "is empty; a Tamis recording starts with a schema frame",
        ),
        ("wide.zst", &wide, "cannot be read: Frame requires too much memory for decoding"),
    ] {
        let error = with(name, bytes);
        assert!(error.ends_with(wanted), "{error}");
        assert!(error.contains(path(name).to_str().unwrap()), "{error} names the file");
    }
}

#[test]
fn a_stream_must_start_with_its_schema() {
    let good = stream(10);
    let schema_len = FrameHeader::read(&good).unwrap().frame_len();
    let error = memory(Bytes::copy_from_slice(&good[schema_len..]), "memory", 1).unwrap_err();
    assert!(
        error.to_string().contains("no good schema frame (its first frame is damaged: schema)"),
        "{error}"
    );
    // One bit anywhere in the first of two streams: the second one has the schema, too.
    let twice = [&stream(5000)[..], &good].concat();
    for at in 0..schema_len {
        let mut bytes = twice.clone();
        bytes[at] ^= 1 << (at % 8);
        let recording = memory(Bytes::from(bytes), "memory", 1).unwrap();
        assert_eq!(recording.schema.id(), schema().id(), "byte {at}");
    }
}
