//! From bytes to MCAP records: the outermost layer of reading.
//!
//! ```text
//!  magic | opcode u8, length u64, body | opcode, length, body | ... | footer | magic
//! ```

use std::io::{self, Read};

use mcap::{MAGIC, records::op};

use crate::{Defect, Ending, limits::READ_RECORD_BYTES_MAX};

/// Opcode and length.
const FRONT_LEN: usize = 9;

/// What stands at a place of a file.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole record; its body is [`Walk::body`].
    Record { at: u64, opcode: u8 },
    /// A whole record that is wrong in itself; reading goes on after it.
    Defect { at: u64, defect: Defect },
    /// Nothing more, ever.
    End(Ending),
}

/// Reads record after record, checking the CRCs of the data and summary sections on the way.
pub(crate) struct Walk {
    input: Box<dyn Read + Send>,
    at: u64,
    body: Vec<u8>,
    crc: crc32fast::Hasher,
    footer_crc: Option<(u64, Defect)>,
    ending: Option<Ending>,
}

impl Walk {
    /// Reads the magic; `None` if this is no MCAP file.
    pub(crate) fn new(mut input: Box<dyn Read + Send>) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        if read_up_to(&mut input, &mut magic)? < MAGIC.len() || magic != *MAGIC {
            return Ok(None);
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&magic);
        let at = MAGIC.len() as u64;
        Ok(Some(Self { input, at, body: Vec::new(), crc, footer_crc: None, ending: None }))
    }

    /// Body of the record that was read last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Byte offset behind the last whole record.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The next record. After an end or an error there is only [`Step::End`].
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if let Some((at, defect)) = self.footer_crc.take() {
            return Ok(Step::Defect { at, defect });
        }
        if let Some(ending) = &self.ending {
            return Ok(Step::End(ending.clone()));
        }
        let at = self.at;
        let torn = |defect| Ending::Torn { at, defect };
        // Holds if reading fails half-way.
        self.ending = Some(torn(Defect::NotClosed));
        let mut front = [0; FRONT_LEN];
        let found = read_up_to(&mut self.input, &mut front)?;
        if found < FRONT_LEN {
            let needed = FRONT_LEN as u64;
            let defect =
                if found == 0 { Defect::NotClosed } else { Defect::Cut { needed, found: found as u64 } };
            return Ok(self.end(torn(defect)));
        }
        let (opcode, length) = split_front(front);
        if length > READ_RECORD_BYTES_MAX {
            return Ok(self.end(torn(Defect::Oversize {
                opcode,
                bytes: length,
                limit: READ_RECORD_BYTES_MAX,
            })));
        }
        self.body.clear();
        // Grows with what is there, not with what the length says (I5).
        let found = (&mut self.input).take(length).read_to_end(&mut self.body)? as u64;
        if found < length {
            let front = FRONT_LEN as u64;
            return Ok(self.end(torn(Defect::Cut { needed: front + length, found: front + found })));
        }
        self.at += FRONT_LEN as u64 + length;
        self.ending = None;
        let crc_defect = self.update_crc(opcode, &front);
        if opcode == op::FOOTER {
            let ending = self.read_end(at)?;
            self.footer_crc = crc_defect.map(|defect| (at, defect));
            self.ending = Some(ending);
            return Ok(Step::Record { at, opcode });
        }
        Ok(match crc_defect {
            Some(defect) => Step::Defect { at, defect },
            None => Step::Record { at, opcode },
        })
    }

    fn end(&mut self, ending: Ending) -> Step {
        self.ending = Some(ending.clone());
        Step::End(ending)
    }

    /// The data section ends before its end record, which holds its CRC; the summary section ends inside the footer, likewise.
    fn update_crc(&mut self, opcode: u8, front: &[u8]) -> Option<Defect> {
        match (opcode, self.body.as_slice()) {
            (op::DATA_END, &[a, b, c, d]) => {
                let computed = std::mem::take(&mut self.crc).finalize();
                let stored = u32::from_le_bytes([a, b, c, d]);
                (stored != 0 && stored != computed).then_some(Defect::DataCrc { stored, computed })
            }
            (op::FOOTER, body @ &[.., a, b, c, d]) if body.len() == 20 => {
                self.crc.update(front);
                self.crc.update(&body[..16]);
                let computed = std::mem::take(&mut self.crc).finalize();
                let stored = u32::from_le_bytes([a, b, c, d]);
                (stored != 0 && stored != computed).then_some(Defect::SummaryCrc { stored, computed })
            }
            (op::DATA_END | op::FOOTER, _) => Some(Defect::Malformed { opcode }),
            _ => {
                self.crc.update(front);
                self.crc.update(&self.body);
                None
            }
        }
    }

    /// What follows the footer at byte `footer`.
    fn read_end(&mut self, footer: u64) -> io::Result<Ending> {
        let mut end = [0; MAGIC.len() + 1];
        let found = read_up_to(&mut self.input, &mut end)?;
        Ok(if !end.starts_with(MAGIC) {
            Ending::Torn { at: footer, defect: Defect::EndMagic }
        } else if found > MAGIC.len() {
            Ending::Torn { at: self.at + MAGIC.len() as u64, defect: Defect::Trailing }
        } else {
            Ending::Closed
        })
    }
}

/// Splits opcode and length.
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
