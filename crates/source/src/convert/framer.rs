//! Groups events into frames of consecutive ids, at most an orbit each.

use tamis_event::{BODY_BYTES_USUAL, FrameMeta};

use crate::{TmfWriter, WriteError};

/// Most events per frame: the crossings of an LHC orbit.
const EVENTS_PER_FRAME: usize = 3564;

/// Collects records and writes a frame whenever the next id does not follow or the frame is full.
pub(super) struct Framer<'a> {
    writer: &'a mut TmfWriter,
    payload: Vec<u8>,
    meta: FrameMeta,
    in_frame: usize,
    most: usize,
    pub(super) events: u64,
    pub(super) frames: u64,
    /// Number of stretches of events of one run.
    pub(super) run_stretches: u64,
}

impl<'a> Framer<'a> {
    /// With `labelled`, ids come from the table and gaps between them are no losses.
    pub(super) fn new(writer: &'a mut TmfWriter, source_id: u16, labelled: bool) -> Self {
        let most = EVENTS_PER_FRAME.min(BODY_BYTES_USUAL / writer.schema().record_len());
        let meta = FrameMeta { source_id, sparse_ids: labelled, ..FrameMeta::default() };
        Self { writer, payload: Vec::new(), meta, in_frame: 0, most, events: 0, frames: 0, run_stretches: 0 }
    }

    /// Returns the buffer to which the record of this event must be appended.
    pub(super) fn next(&mut self, run: u32, id: u64) -> Result<&mut Vec<u8>, WriteError> {
        let same_run = run == self.meta.run && self.events > 0;
        self.run_stretches += u64::from(!same_run);
        let follows = same_run && self.meta.first_event_id.checked_add(self.in_frame as u64) == Some(id);
        if self.in_frame == self.most || !follows {
            self.flush()?;
        }
        if self.in_frame == 0 {
            self.meta = FrameMeta { run, first_event_id: id, ..self.meta };
        }
        self.in_frame += 1;
        self.events += 1;
        Ok(&mut self.payload)
    }

    /// Writes the collected records as a frame, if there are any.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        if self.in_frame > 0 {
            self.writer.write_events(self.meta, &self.payload)?;
            self.frames += 1;
            self.in_frame = 0;
            self.payload.clear();
        }
        Ok(())
    }
}
