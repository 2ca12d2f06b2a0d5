//! Writes one stream of a run.
//!
//! ```text
//!  write: record --> chunk in memory --512 KiB--> compressed --> free space? --> operating system     ( `written` )
//!  tick:             what is compressed; every=T: end the chunk, wait for all chunks, sync            ( `durable` )
//!  close, rotation:  the same, summary, sync, rename .part away, sync the folder                      ( `durable` )
//! ```
//!
//! Chunks are compressed by a [`Press`], perhaps on other threads, and written by the sink, in order. Those that are under way belong to the open
//! file: it ends only after them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tamis_part::{Disk, Existing, Folder, PartFile, part_name};
use tamis_port::{Sink, SinkError, SinkReport, Stored};

use crate::{
    Durable, NameError, Press, Provenance, StreamProgress,
    file::OpenFile,
    limits::{CHUNK_BYTES, FREE_BYTES_RESERVE},
    name::{check_name, file_name},
    press::{Belt, Pressed},
    provenance::Head,
};

/// What a sink writes, and where.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Folder of the files; it must exist (see [`crate::claim_run_name`]).
    pub folder: PathBuf,
    /// Run name: first part of the file names.
    pub run_name: String,
    /// Name of the stream: second part of the file names, and the MCAP topic.
    pub stream: String,
    /// When records survive a loss of power.
    pub durable: Durable,
    /// Record bytes after which the stream continues in the next file; a single record may be longer. [`crate::ROTATE_BYTES`] is a good choice.
    pub rotate_bytes: u64,
    /// What compresses chunks; the sinks of a run share one.
    pub press: Arc<Press>,
    /// The contents of every file besides records.
    pub provenance: Arc<Provenance>,
}

/// Writes the files of one stream: `RUN-STREAM-0001.mcap` and so on, each called `.mcap.part` until it is complete.
///
/// A file is created when there is a record for it, so a stream without records leaves none. A sink that is dropped without a close leaves a
/// complete file under the name `.part`, and a failed sink leaves what reached the disk; [`crate::recover`] reads both.
pub struct McapSink {
    disk: Arc<dyn Disk>,
    plan: StreamPlan,
    head: Head,
    file: Option<OpenFile>,
    /// The chunks of the open file that are not written yet.
    belt: Belt,
    state: State,
    /// Number of files so far, including the open one.
    files: u32,
    /// Number of records that were accepted; the report counts those that the operating system has.
    taken: u64,
    synced_at_ns: Option<u64>,
    report: SinkReport,
    progress: Arc<StreamProgress>,
}

#[derive(Debug)]
enum State {
    Open,
    Closed,
    Failed(SinkError),
}

impl McapSink {
    /// Opens the folder and checks the names, but creates nothing.
    pub fn new(plan: StreamPlan) -> Result<Self, SinkError> {
        let place = |folder: &Path| folder.display().to_string();
        let folder = Folder::open(&plan.folder).map_err(|error| SinkError {
            place: place(&plan.folder),
            message: format!("cannot open the output folder: {error}; create it or choose another"),
        })?;
        Self::with_disk(plan, Arc::new(folder))
    }

    pub(crate) fn with_disk(plan: StreamPlan, disk: Arc<dyn Disk>) -> Result<Self, SinkError> {
        let refuse = |error: NameError| SinkError {
            place: format!("stream '{}' of run '{}'", plan.stream, plan.run_name),
            message: error.to_string(),
        };
        check_name(&plan.run_name).map_err(refuse)?;
        check_name(&plan.stream).map_err(refuse)?;
        let head = Head::new(&plan.provenance, &plan.run_name, &plan.stream, plan.press.compression());
        let head = head.map_err(refuse)?;
        Ok(Self {
            disk,
            belt: Belt::new(plan.press.clone()),
            plan,
            head,
            file: None,
            state: State::Open,
            files: 0,
            taken: 0,
            synced_at_ns: None,
            report: SinkReport::default(),
            progress: Arc::default(),
        })
    }

    /// How far the stream is stored, to watch from another thread.
    pub fn progress(&self) -> Arc<StreamProgress> {
        self.progress.clone()
    }

    fn tell(&self) {
        self.progress.set(self.report.events, self.report.durable);
    }

    fn check_open(&self) -> Result<(), SinkError> {
        match &self.state {
            State::Open => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Closed => Err(SinkError {
                place: self.plan.folder.join(&self.plan.run_name).display().to_string(),
                message: format!("stream '{}' is closed", self.plan.stream),
            }),
        }
    }

    /// Makes an error final: the open file is left as it is.
    fn fail(&mut self, error: &io::Error) -> SinkError {
        if let Some(file) = self.file.take() {
            self.book_loss(file.is_lost());
        }
        self.belt.clear();
        let has_its_name = self.files > 0 && self.report.files.len() == self.files as usize;
        let (place, remedy) = match self.report.files.last() {
            Some(file) if has_its_name => {
                (file.clone(), "the file is whole, but check where it is and the disk".into())
            }
            _ => {
                let name = file_name(&self.plan.run_name, &self.plan.stream, self.files.max(1));
                (self.plan.folder.join(part_name(name)), remedy(error.kind()))
            }
        };
        let error = SinkError { place: place.display().to_string(), message: format!("{error}; {remedy}") };
        self.state = State::Failed(error.clone());
        error
    }

    /// Stops counting the records of the open file if another program removed or changed it.
    fn book_loss(&mut self, is_lost: bool) {
        if is_lost {
            self.report.events = self.report.closed;
            self.report.durable = self.report.durable.min(self.report.closed);
            self.tell();
        }
    }

    fn guarded(&mut self, action: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), SinkError> {
        self.check_open()?;
        action(self).map_err(|error| self.fail(&error))
    }

    /// Checks, before `bytes` more are written, for free space of twice that and the reserve. The factor covers incompressible data and the other
    /// streams.
    fn check_free(&self, bytes: u64) -> io::Result<()> {
        let needed = 2 * bytes + FREE_BYTES_RESERVE;
        let free = self.disk.free()?;
        if free >= needed {
            return Ok(());
        }
        let folder = self.plan.folder.display();
        let message = format!("disk full: {free} bytes free in {folder}, {needed} needed to go on");
        Err(io::Error::new(io::ErrorKind::StorageFull, message))
    }

    fn open_file(&mut self) -> io::Result<OpenFile> {
        self.files += 1;
        self.check_free(self.head.bytes() + CHUNK_BYTES as u64)?;
        let name = file_name(&self.plan.run_name, &self.plan.stream, self.files);
        let part = PartFile::begin(self.disk.clone(), &name)?;
        OpenFile::begin(part, name, &self.head, Some(self.files), self.belt.packer())
    }

    fn store(&mut self, stored: Stored<'_>) -> io::Result<()> {
        let length = stored.record.len() as u64;
        let full =
            |file: &OpenFile| file.records() > 0 && file.record_bytes() + length > self.plan.rotate_bytes;
        if self.file.as_ref().is_some_and(full) {
            self.close_file()?;
        }
        if self.file.is_none() {
            self.file = Some(self.open_file()?);
        }
        if self.file.as_ref().is_some_and(|file| file.must_end_before(stored.record.len())) {
            self.end_chunk()?;
        }
        // The number wraps after 2^32 records; readers only compare adjacent ones.
        let sequence = self.taken as u32;
        let file = self.file.as_mut().expect("opened above");
        let chunk_is_full = file.append(sequence, stored.time_ns, stored.record);
        self.taken += 1;
        if chunk_is_full { self.end_chunk() } else { Ok(()) }
    }

    /// Sends the chunk on its way, and writes those that are compressed.
    fn end_chunk(&mut self) -> io::Result<()> {
        if let Some(mut chunk) = self.file.as_mut().and_then(OpenFile::take_chunk) {
            while let Err(refused) = self.belt.push(chunk) {
                chunk = refused;
                self.write_next()?;
            }
        }
        self.write_ready()
    }

    /// Writes the chunks that are compressed, up to the first that is not.
    fn write_ready(&mut self) -> io::Result<()> {
        while let Some(chunk) = self.belt.try_next() {
            self.write_chunk(chunk?)?;
        }
        Ok(())
    }

    /// Waits for the next chunk, if there is one, and writes it.
    fn write_next(&mut self) -> io::Result<bool> {
        match self.belt.next() {
            Some(chunk) => self.write_chunk(chunk?).map(|()| true),
            None => Ok(false),
        }
    }

    fn write_chunk(&mut self, Pressed { chunk, room }: Pressed) -> io::Result<()> {
        self.check_free(chunk.bytes.len() as u64)?;
        let messages = chunk.messages;
        self.file.as_mut().expect("chunks under way belong to it").add(chunk)?;
        drop(room);
        self.report.events += messages;
        self.tell();
        Ok(())
    }

    /// Hands everything that was taken to the operating system.
    fn flush(&mut self) -> io::Result<()> {
        self.end_chunk()?;
        while self.write_next()? {}
        Ok(())
    }

    fn flush_and_sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if let Some(file) = &mut self.file {
            file.sync()?;
            self.report.durable = self.report.events;
            self.tell();
        }
        Ok(())
    }

    fn close_file(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(file) = self.file.take() else { return Ok(()) };
        let name = file.name().to_string();
        let mut part = file.finish()?;
        let is_durable = self.plan.durable != Durable::Never;
        let published = part.publish(Existing::Refuse, is_durable);
        self.book_loss(part.is_lost());
        if part.is_published() {
            self.report.closed = self.report.events;
            self.report.bytes += part.size();
            self.report.files.push(self.plan.folder.join(name));
        }
        if published.is_ok() && is_durable {
            self.report.durable = self.report.events;
            self.tell();
        }
        if let (Err(_), Ok(Some(folder))) = (&published, self.disk.place()) {
            // If the folder was moved, the earlier files moved with it.
            let moved =
                |file: &PathBuf| file.file_name().map_or_else(|| file.clone(), |name| folder.join(name));
            self.report.files = self.report.files.iter().map(moved).collect();
        }
        published
    }
}

/// The advice in the message about a file that cannot be written.
fn remedy(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::AlreadyExists => {
            "another run writes here or a file is in the way; choose another folder or run name".into()
        }
        io::ErrorKind::NotFound => "leave a run's files alone until it has ended".into(),
        _ => {
            let remedy = tamis_part::remedy(kind);
            format!("{remedy}; `tamis recover` brings back what reached the .part file")
        }
    }
}

impl Drop for McapSink {
    /// Writes what was taken and the summary. Nobody hears of an error; the file then is as after a failure.
    fn drop(&mut self) {
        if matches!(self.state, State::Open) && self.flush().is_ok() {
            let _ = self.file.take().map(OpenFile::finish);
        }
    }
}

impl Sink for McapSink {
    fn write(&mut self, stored: Stored<'_>) -> Result<(), SinkError> {
        self.guarded(|sink| sink.store(stored))
    }

    fn tick(&mut self, now_ns: u64) -> Result<(), SinkError> {
        self.guarded(|sink| {
            sink.write_ready()?;
            let Durable::Every(period) = sink.plan.durable else { return Ok(()) };
            let last = *sink.synced_at_ns.get_or_insert(now_ns);
            let due = u128::from(now_ns.saturating_sub(last)) >= period.as_nanos();
            if due && sink.report.durable < sink.taken {
                sink.flush_and_sync()?;
                sink.synced_at_ns = Some(now_ns);
            }
            Ok(())
        })
    }

    fn report(&self) -> &SinkReport {
        &self.report
    }

    fn close(&mut self) -> Result<SinkReport, SinkError> {
        self.guarded(Self::close_file)?;
        self.state = State::Closed;
        Ok(self.report.clone())
    }
}

impl std::fmt::Debug for McapSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McapSink")
            .field("plan", &self.plan)
            .field("state", &self.state)
            .field("file", &self.file)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
