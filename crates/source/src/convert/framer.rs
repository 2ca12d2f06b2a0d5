//! Groups events into frames, at most an orbit each.

use tamis_event::{FrameEvents, FrameMeta};

use crate::{TmfWriter, WriteError};

/// Most events per frame: the crossings of an LHC orbit.
const EVENTS_PER_FRAME: usize = 3564;

/// Collects records and writes a frame whenever the run changes or the frame is full. A frame whose ids do not follow one another has a column of
/// ids.
pub(super) struct Framer<'a> {
    writer: &'a mut TmfWriter,
    meta: FrameMeta,
    records: Vec<u8>,
    ids: Vec<u64>,
    times: Vec<u64>,
    most: usize,
    pub(super) events: u64,
    pub(super) frames: u64,
}

impl<'a> Framer<'a> {
    /// With `labelled`, ids come from the table and gaps between them are no losses.
    pub(super) fn new(writer: &'a mut TmfWriter, source_id: u16, labelled: bool) -> Self {
        Self {
            most: EVENTS_PER_FRAME.min(writer.schema().layout().frame_events_max(true, true, 0)),
            writer,
            meta: FrameMeta { source_id, sparse_ids: labelled, ..FrameMeta::default() },
            records: Vec::new(),
            ids: Vec::new(),
            times: Vec::new(),
            events: 0,
            frames: 0,
        }
    }

    /// Returns the buffer to which the record of this event must be appended. All events of a table have times, or none.
    pub(super) fn next(
        &mut self,
        run: u32,
        id: u64,
        time_ns: Option<u64>,
    ) -> Result<&mut Vec<u8>, WriteError> {
        let same_run = run == self.meta.run && self.events > 0;
        if self.ids.len() == self.most || !same_run {
            self.flush()?;
        }
        self.meta.run = run;
        self.ids.push(id);
        self.times.extend(time_ns);
        self.events += 1;
        Ok(&mut self.records)
    }

    /// Writes the collected records as a frame, if there are any.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        let Some(&first_event_id) = self.ids.first() else { return Ok(()) };
        let follows = self.ids.is_sorted_by(|before, after| before.checked_add(1) == Some(*after));
        let ids = if follows { &[] } else { &self.ids[..] };
        let (records, times) = (&self.records[..], &self.times[..]);
        let meta = FrameMeta { first_event_id, ..self.meta };
        self.writer.write_events(meta, FrameEvents { records, ids, times, ..FrameEvents::default() })?;
        self.frames += 1;
        self.records.clear();
        self.ids.clear();
        self.times.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tamis_event::{RECORD_BYTES_MAX, Schema};

    use super::*;

    /// Sixteen of the largest records fill a frame to the last byte, and leave no room for ids and times.
    #[test]
    fn frames_of_large_records_have_room_for_ids_and_times() {
        let text =
            format!("name = \"large\"\n[[field]]\nname = \"x\"\ndtype = \"u8\"\nlen = {RECORD_BYTES_MAX}\n");
        let schema = Schema::parse(text.as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TmfWriter::create(&folder.path().join("large.tmf"), &schema, false).unwrap();
        let mut framer = Framer::new(&mut writer, 0, true);
        for id in (0..40).step_by(2) {
            let records = framer.next(1, id, Some(id)).unwrap();
            records.resize(records.len() + RECORD_BYTES_MAX, 0);
        }
        framer.flush().unwrap();
        assert_eq!((framer.events, framer.frames), (20, 2));
    }
}
