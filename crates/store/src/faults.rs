//! A disk in memory on which every operation can fail, and what must hold when it does.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tamis_event::{Schema, record};
use tamis_port::{Sink, SinkError, Stored};

use crate::{
    Bundle, Durable, McapSink, Provenance, Reader, RecoverError, StreamPlan,
    disk::{Disk, DiskFile},
    recover,
};

/// What happens at the operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It does nothing and reports an error.
    Error(i32),
    /// A write writes half and says so: no error at all.
    Short,
    /// A write writes half and reports an error.
    Torn,
    /// It is interrupted by a signal once: no error at all.
    Interrupted,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[derive(Clone, Default)]
struct Bytes {
    data: Vec<u8>,
    /// Bytes that survive a loss of power.
    synced: usize,
}

#[derive(Default)]
struct Platter {
    files: Vec<Bytes>,
    names: BTreeMap<String, usize>,
    /// Names that survive a loss of power.
    synced_names: BTreeMap<String, usize>,
    operations: usize,
    fault: Option<(usize, Fault)>,
    /// Operations after the one that failed.
    after_fault: usize,
    fired: bool,
}

impl Platter {
    /// Counts an operation; says what goes wrong with it.
    fn operation(&mut self) -> Option<Fault> {
        let number = self.operations;
        self.operations += 1;
        self.after_fault += usize::from(self.fired);
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        self.fired |= fault.is_some();
        fault
    }

    /// An operation that cannot be done by halves.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation() {
            Some(Fault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Torn) => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Platter>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// Writes out what is left: after a killed process everything that was written, after a loss of power what was synced.
    fn leave(&self, folder: &Path, power_is_lost: bool) {
        let platter = self.lock();
        let names = if power_is_lost { &platter.synced_names } else { &platter.names };
        for (name, &file) in names {
            let Bytes { data, synced } = &platter.files[file];
            let data = if power_is_lost { &data[..*synced] } else { data };
            std::fs::write(folder.join(name), data).unwrap();
        }
    }
}

struct MemoryFile {
    memory: Memory,
    number: usize,
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut platter = self.memory.lock();
        let fault = platter.operation();
        let part = match fault {
            None => bytes,
            Some(Fault::Error(code)) => return Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::Short | Fault::Torn) => &bytes[..bytes.len().div_ceil(2)],
        };
        platter.files[self.number].data.extend_from_slice(part);
        if fault == Some(Fault::Torn) { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(part.len()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.memory.lock();
        platter.whole_operation()?;
        let file = &mut platter.files[self.number];
        file.synced = file.data.len();
        Ok(())
    }
}

impl Disk for Memory {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        let number = platter.files.len();
        platter.files.push(Bytes::default());
        if platter.names.insert(name.into(), number).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Arc::new(MemoryFile { memory: self.clone(), number }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        let number = platter.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        match platter.names.insert(to.into(), number) {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        platter.synced_names = platter.names.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        self.lock().whole_operation().map(|()| u64::MAX)
    }
}

const EVENTS: u64 = 60;
const TICK_NS: u64 = 10_000_000;

fn record_of(id: u64) -> Vec<u8> {
    // Records of 60 kB that do not compress: chunks fill up between the ticks too.
    let event: Vec<u8> = (0..15_000_u32)
        .flat_map(|at| {
            (u64::from(at) + (id << 20)).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[4..].to_vec()
        })
        .collect();
    let header = record::RecordHeader { event_id: id, time_ns: id * 25, ..record::RecordHeader::blank() };
    let mut bytes = Vec::new();
    record::append(header, &[1], &[1], [].into_iter(), &event, &mut bytes);
    bytes
}

fn sink_on(memory: &Memory, durable: Durable) -> McapSink {
    let schema =
        Schema::parse(b"name = \"t\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\nlen = 60000\n").unwrap();
    let models = vec![Bundle { name: "m".into(), choice: 0, tar: vec![7; 5000] }];
    let provenance =
        Arc::new(Provenance { schema, menu: "# menu".into(), models, metadata: BTreeMap::new() });
    let plan = StreamPlan {
        folder: "memory".into(),
        run_name: "r".into(),
        stream: "s".into(),
        durable,
        rotate_bytes: 1_300_000,
        provenance,
    };
    McapSink::with_disk(plan, Box::new(memory.clone())).unwrap()
}

/// A run of three files. Returns how it ended and how many records were acknowledged as written and as durable.
fn run(memory: &Memory, durable: Durable, records: &[Vec<u8>]) -> (Result<(), SinkError>, u64, u64) {
    let mut sink = sink_on(memory, durable);
    let mut result = Ok(());
    for (id, record) in (0..).zip(records) {
        let stored = Stored { event_id: id, time_ns: id * 25, record };
        result = sink.write(stored).and_then(|()| if id % 7 == 3 { sink.tick(id * TICK_NS) } else { Ok(()) });
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| sink.close().map(|_| ()));
    if let Err(error) = &result {
        assert_eq!(sink.close().as_ref(), Err(error), "the error is final");
        assert_eq!(sink.tick(u64::MAX), Err(error.clone()));
    }
    let acknowledged = (sink.written(), sink.durable());
    drop(sink);
    (result, acknowledged.0, acknowledged.1)
}

/// Event ids of everything that can be read in a folder, unfinished files recovered first.
fn ids_in(folder: &Path, records: &[Vec<u8>]) -> Vec<u64> {
    let list = || {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    for part in list().iter().filter(|path| path.extension().is_some_and(|extension| extension == "part")) {
        match recover(part, None) {
            Ok(_) | Err(RecoverError::Nothing { .. } | RecoverError::Read(_)) => {}
            Err(error) => panic!("{}: {error}", part.display()),
        }
    }
    let mut ids = Vec::new();
    for path in list().iter().filter(|path| path.extension().is_some_and(|extension| extension == "mcap")) {
        let mut reader = Reader::open(path).unwrap();
        while let Some(entry) = reader.next_record().unwrap() {
            let id = u64::from(entry.sequence);
            assert_eq!(entry.record, records[id as usize], "record {id} came back as another");
            ids.push(id);
        }
    }
    ids
}

#[test]
fn every_operation_fails_once() {
    let records: Vec<_> = (0..EVENTS).map(record_of).collect();
    let durable = Durable::Every(Duration::from_millis(1));
    let calm = Memory::default();
    let (result, written, synced) = run(&calm, durable, &records);
    assert_eq!((result, written, synced), (Ok(()), EVENTS, EVENTS));
    let calm = calm.lock();
    assert_eq!(calm.names.keys().collect::<Vec<_>>(), ["r-s-0001.mcap", "r-s-0002.mcap", "r-s-0003.mcap"]);

    let faults = [Fault::Error(EIO), Fault::Error(ENOSPC), Fault::Torn, Fault::Short, Fault::Interrupted];
    for (k, fault) in (0..calm.operations).flat_map(|k| faults.map(|fault| (k, fault))) {
        let memory = Memory::default();
        memory.lock().fault = Some((k, fault));
        let (result, written, synced) = run(&memory, durable, &records);
        if matches!(fault, Fault::Short | Fault::Interrupted) {
            assert_eq!(result, Ok(()), "{fault:?} at operation {k}");
            let same = calm.files.iter().zip(&memory.lock().files).all(|(a, b)| a.data == b.data);
            assert!(same, "{fault:?} at operation {k} changed the files");
            continue;
        }
        let error = result.expect_err("a failed operation is reported");
        assert!(error.place.starts_with("memory/r-s-000"), "{error}");
        assert_eq!(memory.lock().after_fault, 0, "the disk is left alone after operation {k} failed");
        for (power_is_lost, promised) in [(false, written), (true, synced)] {
            let folder = tempfile::tempdir().unwrap();
            memory.leave(folder.path(), power_is_lost);
            let ids = ids_in(folder.path(), &records);
            let context = format!("{fault:?} at operation {k}, power lost: {power_is_lost}");
            assert!(ids.iter().copied().eq(0..ids.len() as u64), "{context}: {ids:?}");
            assert!(ids.len() as u64 >= promised, "{context}: {} of {promised} promised", ids.len());
        }
    }
}

#[test]
fn never_means_no_sync_and_close_means_one_per_file() {
    let records: Vec<_> = (0..EVENTS).map(record_of).collect();
    for (durable, promised) in [(Durable::Never, 0), (Durable::Close, EVENTS)] {
        let memory = Memory::default();
        let (result, written, synced) = run(&memory, durable, &records);
        assert_eq!((result, written, synced), (Ok(()), EVENTS, promised), "{durable}");
        let platter = memory.lock();
        assert_eq!(platter.synced_names.len(), if promised == 0 { 0 } else { 3 }, "{durable}");
        assert!(
            platter.files.iter().all(|file| file.synced == if promised == 0 { 0 } else { file.data.len() })
        );
    }
}
