//! Splits bytes into MCAP records: the outermost layer of reading.
//!
//! ```text
//!  magic | opcode u8, length u64, body | opcode, length, body | ... | footer | magic
//! ```
//!
//! One wrong length loses the places of all records after it. Then reading continues at the next place that can only be a record
//! (`landmark.rs`), after the last good record.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use crate::{
    Ending, Flaw, landmark,
    limits::READ_RECORD_BYTES_MAX,
    op::{self, MAGIC},
};

/// Opcode and length.
const FRONT_LEN: usize = 9;

/// Body of a footer: two places and the CRC of the summary.
const FOOTER_LEN: usize = 20;

/// The item at a place of a file.
#[derive(Debug)]
pub(crate) enum Walked {
    /// A whole record; its body is [`Walk::body`].
    Record { at: u64, opcode: u8 },
    /// A whole record that is invalid; reading continues after it.
    Flaw { at: u64, flaw: Flaw },
    /// The end; no items follow.
    End(Ending),
}

/// Are these the first bytes of an MCAP file, of which two may be damaged?
pub fn is_mcap(head: &[u8]) -> bool {
    head.len() >= MAGIC.len()
        && head.iter().zip(MAGIC).filter(|(byte, magic)| byte == magic).count() >= MAGIC.len() - 2
}

/// Reads record after record, and checks the CRCs of the data and summary sections.
pub(crate) struct Walk {
    input: BufReader<File>,
    size: u64,
    at: u64,
    /// Start of the first of the last records that are suspect: its length may be wrong.
    doubted: Option<u64>,
    /// The same before the last record.
    doubted_before: Option<u64>,
    /// Bytes that may still be read twice, so that a malicious file costs at most a few times its size.
    again: u64,
    body: Vec<u8>,
    crc: crc32fast::Hasher,
    /// A flaw that the next step gives.
    pending: Option<(u64, Flaw)>,
    ending: Option<Ending>,
}

impl Walk {
    /// Reads the magic; `None` if this is no MCAP file.
    pub(crate) fn new(file: File) -> io::Result<Option<Self>> {
        let size = file.metadata()?.len();
        let mut input = BufReader::with_capacity(256 * 1024, file);
        let mut magic = [0; MAGIC.len()];
        let found = read_up_to(&mut input, &mut magic)?;
        if !is_mcap(&magic[..found]) {
            return Ok(None);
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(MAGIC);
        let at = MAGIC.len() as u64;
        Ok(Some(Self {
            input,
            size,
            at,
            doubted: None,
            doubted_before: None,
            again: size,
            body: Vec::new(),
            crc,
            pending: (magic != *MAGIC).then_some((0, Flaw::StartMagic)),
            ending: None,
        }))
    }

    /// The body of the last record.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Byte offset of the end of the last whole record.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The next record. After an end or an error it is always [`Walked::End`].
    pub(crate) fn step(&mut self) -> io::Result<Walked> {
        if let Some((at, flaw)) = self.pending.take() {
            return Ok(Walked::Flaw { at, flaw });
        }
        if let Some(ending) = &self.ending {
            return Ok(Walked::End(ending.clone()));
        }
        let at = self.at;
        let doubted = self.doubted.take();
        self.doubted_before = doubted;
        let torn = |flaw| Ending::Torn { at, flaw };
        // This applies if reading fails half-way.
        self.ending = Some(torn(Flaw::NotClosed));
        let mut front = [0; FRONT_LEN];
        let found = read_up_to(&mut self.input, &mut front)?;
        if found < FRONT_LEN {
            let needed = FRONT_LEN as u64;
            let flaw = if found == 0 { Flaw::NotClosed } else { Flaw::Cut { needed, found: found as u64 } };
            return self.find_way(doubted, torn(flaw));
        }
        let (opcode, length) = split_front(front);
        if length > READ_RECORD_BYTES_MAX {
            let flaw = Flaw::Oversize { opcode, bytes: length, limit: READ_RECORD_BYTES_MAX };
            return self.find_way(doubted.or(Some(at)), torn(flaw));
        }
        self.body.clear();
        // As much memory as there are bytes, whatever length is claimed (I5), and no more because it grows in steps.
        let existing = length.min(self.size.saturating_sub(at)) as usize;
        self.body.try_reserve_exact(existing).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let found = (&mut self.input).take(length).read_to_end(&mut self.body)? as u64;
        if found < length {
            let front = FRONT_LEN as u64;
            let flaw = Flaw::Cut { needed: front + length, found: front + found };
            return self.find_way(doubted.or(Some(at)), torn(flaw));
        }
        self.at += FRONT_LEN as u64 + length;
        self.ending = None;
        if !(op::HEADER..=op::DATA_END).contains(&opcode) {
            // This crate writes no such record, so it may be the middle of one.
            self.doubt(at);
        }
        let crc_defect = self.update_crc(opcode, &front);
        if opcode == op::FOOTER && self.body.len() == FOOTER_LEN {
            let ending = self.read_end(at)?;
            self.pending = crc_defect.map(|flaw| (at, flaw));
            self.ending = Some(ending);
            return Ok(Walked::Record { at, opcode });
        }
        Ok(match crc_defect {
            Some(flaw @ Flaw::Malformed { .. }) => {
                self.doubt(at);
                Walked::Flaw { at, flaw }
            }
            Some(flaw) => Walked::Flaw { at, flaw },
            None => Walked::Record { at, opcode },
        })
    }

    /// Marks the record at byte `at`, the last one, as suspect.
    pub(crate) fn doubt(&mut self, at: u64) {
        self.doubted = self.doubted_before.or(Some(at));
    }

    /// Continues at the next landmark after byte `from`, if there is one; else the file ends here.
    fn find_way(&mut self, from: Option<u64>, ending: Ending) -> io::Result<Walked> {
        if let Some(from) = from
            && let Some(again) = self.again.checked_sub(self.at - from)
        {
            self.again = again;
            self.input.seek(SeekFrom::Start(from + 1))?;
            if let Some(found) = landmark::find(&mut self.input, from + 1, self.size)? {
                self.input.seek(SeekFrom::Start(found))?;
                self.at = found;
                self.ending = None;
                return Ok(Walked::Flaw { at: from, flaw: Flaw::Framing { bytes: found - from } });
            }
        }
        self.ending = Some(ending.clone());
        Ok(Walked::End(ending))
    }

    /// Updates and checks the CRCs. The data section ends before its end record, which holds its CRC; the summary section ends inside the footer,
    /// before its CRC.
    fn update_crc(&mut self, opcode: u8, front: &[u8]) -> Option<Flaw> {
        match (opcode, self.body.as_slice()) {
            (op::DATA_END, &[a, b, c, d]) => {
                let computed = std::mem::take(&mut self.crc).finalize();
                let stored = u32::from_le_bytes([a, b, c, d]);
                (stored != 0 && stored != computed).then_some(Flaw::DataCrc { stored, computed })
            }
            (op::FOOTER, body @ &[.., a, b, c, d]) if body.len() == FOOTER_LEN => {
                self.crc.update(front);
                self.crc.update(&body[..16]);
                let computed = std::mem::take(&mut self.crc).finalize();
                let stored = u32::from_le_bytes([a, b, c, d]);
                (stored != 0 && stored != computed).then_some(Flaw::SummaryCrc { stored, computed })
            }
            (op::DATA_END | op::FOOTER, _) => Some(Flaw::Malformed { opcode }),
            _ => {
                self.crc.update(front);
                self.crc.update(&self.body);
                None
            }
        }
    }

    /// Reads what follows the footer at byte `footer`.
    fn read_end(&mut self, footer: u64) -> io::Result<Ending> {
        let mut end = [0; MAGIC.len() + 1];
        let found = read_up_to(&mut self.input, &mut end)?;
        Ok(if !end.starts_with(MAGIC) {
            Ending::Torn { at: footer, flaw: Flaw::EndMagic }
        } else if found > MAGIC.len() {
            Ending::Torn { at: self.at + MAGIC.len() as u64, flaw: Flaw::Trailing }
        } else {
            Ending::Closed
        })
    }
}

/// Splits the front of a record into opcode and length.
pub(crate) fn split_front([opcode, length @ ..]: [u8; FRONT_LEN]) -> (u8, u64) {
    (opcode, u64::from_le_bytes(length))
}

fn read_up_to(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while found < bytes.len() {
        match input.read(&mut bytes[found..]) {
            Ok(0) => break,
            Ok(more) => found += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("at", &self.at).field("ending", &self.ending).finish_non_exhaustive()
    }
}
