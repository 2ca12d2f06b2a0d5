//! Reads a file from start to end and takes messages out of their chunks: the basis of every reading operation.

use std::{collections::BTreeMap, fs::File, io, ops::Range, path::Path};

use crate::{
    Attachment, Ending, Flaw,
    chunk::{Chunk, Inner},
    file::MESSAGE_ENCODING,
    limits::ATTACHMENT_BYTES_MAX,
    numbers::RecordNumbers,
    op,
    parse::{self, MessageFront, Statistics},
    provenance::{METADATA, key},
    walk::{Walk, Walked},
};

/// The next item of a file.
#[derive(Debug)]
pub(crate) enum Item {
    /// A chunk whose CRC is right begins at this byte; its messages follow.
    Chunk { at: u64 },
    /// A message; its record is [`Scan::record`] of the range.
    Message { front: MessageFront, record: Range<usize> },
    /// The summary refers to a chunk at byte `names`.
    ChunkIndex { at: u64, names: u64 },
    /// The counts of the summary.
    Statistics { at: u64, statistics: Statistics },
    /// Something is wrong at this byte; reading continues after it.
    Flaw { at: u64, flaw: Flaw },
    /// The end; no items follow.
    End(Ending),
}

/// The channel of decision records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordChannel {
    pub channel: u16,
    pub topic: String,
}

/// Reads a file. Its fields collect everything besides the messages.
#[derive(Debug)]
pub(crate) struct Scan {
    walk: Walk,
    chunk: Chunk,
    /// Start of the chunk that is being read.
    pub chunk_at: u64,
    /// The metadata record `tamis`.
    pub metadata: BTreeMap<String, String>,
    pub attachments: Vec<Attachment>,
    /// Name and text.
    pub schema: Option<(String, Vec<u8>)>,
    pub stream: Option<RecordChannel>,
    attached_bytes: u64,
    in_summary: bool,
}

impl Scan {
    /// How many records are missing among those that were read: the first file of a stream begins with number 0.
    pub(crate) fn missing(&self, numbers: &RecordNumbers) -> u64 {
        numbers.missing(self.metadata.get(key::FILE).is_some_and(|file| file == "1"))
    }

    /// Opens a file; `None` if it does not start with the MCAP magic.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(walk) = Walk::new(File::open(path)?)? else { return Ok(None) };
        Ok(Some(Self {
            walk,
            chunk: Chunk::new()?,
            chunk_at: 0,
            metadata: BTreeMap::new(),
            attachments: Vec::new(),
            schema: None,
            stream: None,
            attached_bytes: 0,
            in_summary: false,
        }))
    }

    /// The bytes of a message's record, valid until the next call of [`Self::next`].
    pub(crate) fn record(&self, range: Range<usize>) -> &[u8] {
        &self.chunk.bytes()[range]
    }

    /// Byte offset of the end of the last whole record outside chunks.
    pub(crate) fn position(&self) -> u64 {
        self.walk.position()
    }

    pub(crate) fn next(&mut self) -> io::Result<Item> {
        loop {
            let at = self.chunk_at;
            match self.chunk.next() {
                Some(Ok(Inner::Message { front, record })) => return Ok(Item::Message { front, record }),
                Some(Ok(Inner::Other { opcode, body })) => {
                    let body = &self.chunk.bytes()[body];
                    if let Err(flaw) = describe(opcode, body, &mut self.schema, &mut self.stream) {
                        return Ok(Item::Flaw { at, flaw });
                    }
                    continue;
                }
                Some(Err(flaw)) => return Ok(Item::Flaw { at, flaw }),
                None => {}
            }
            match self.walk.step()? {
                Walked::Record { at, opcode } => {
                    // Where this crate writes no such record, it may be the middle of one.
                    if !self.in_summary && !is_of_data(opcode) {
                        self.walk.doubt(at);
                    }
                    match self.outer(at, opcode) {
                        Ok(Some(item)) => return Ok(item),
                        Ok(None) => {}
                        Err(flaw) => {
                            self.walk.doubt(at);
                            return Ok(Item::Flaw { at, flaw });
                        }
                    }
                }
                Walked::Flaw { at, flaw } => return Ok(Item::Flaw { at, flaw }),
                Walked::End(ending) => return Ok(Item::End(ending)),
            }
        }
    }

    /// Processes a record outside chunks.
    fn outer(&mut self, at: u64, opcode: u8) -> Result<Option<Item>, Flaw> {
        let body = self.walk.body();
        match opcode {
            op::CHUNK => {
                self.chunk.open(body)?;
                self.chunk_at = at;
                return Ok(Some(Item::Chunk { at }));
            }
            op::ATTACHMENT => {
                self.attached_bytes += body.len() as u64;
                if self.attached_bytes > ATTACHMENT_BYTES_MAX {
                    return Err(Flaw::Attachments { limit: ATTACHMENT_BYTES_MAX });
                }
                self.attachments.push(parse::attachment(body)?);
            }
            op::METADATA => {
                let metadata = parse::metadata(body)?;
                if metadata.name == METADATA {
                    self.metadata = metadata.map;
                }
            }
            op::HEADER => parse::header(body)?,
            op::MESSAGE_INDEX => parse::message_index(body)?,
            op::CHUNK_INDEX => return Ok(Some(Item::ChunkIndex { at, names: parse::chunk_index(body)? })),
            op::STATISTICS => return Ok(Some(Item::Statistics { at, statistics: parse::statistics(body)? })),
            op::DATA_END => self.in_summary = true,
            op::MESSAGE => return Err(Flaw::Loose),
            // The summary repeats these records of the chunks.
            op::SCHEMA | op::CHANNEL if !self.in_summary => {
                describe(opcode, body, &mut self.schema, &mut self.stream)?;
            }
            _ => {}
        }
        Ok(None)
    }
}

/// Does this crate write such records outside chunks before the summary?
fn is_of_data(opcode: u8) -> bool {
    use op::{ATTACHMENT, CHUNK, DATA_END, HEADER, MESSAGE_INDEX, METADATA};
    matches!(opcode, HEADER | ATTACHMENT | METADATA | CHUNK | MESSAGE_INDEX | DATA_END)
}

/// Processes a schema or channel record.
fn describe(
    opcode: u8,
    body: &[u8],
    schema: &mut Option<(String, Vec<u8>)>,
    stream: &mut Option<RecordChannel>,
) -> Result<(), Flaw> {
    match opcode {
        op::SCHEMA => {
            let parsed = parse::schema(body)?;
            *schema = Some((parsed.name.into(), parsed.text.into()));
        }
        op::CHANNEL => {
            let parsed = parse::channel(body)?;
            let found = RecordChannel { channel: parsed.id, topic: parsed.topic.into() };
            let foreign = parsed.message_encoding != MESSAGE_ENCODING;
            if foreign || stream.as_ref().is_some_and(|known| *known != found) {
                return Err(Flaw::Channel { channel: parsed.id });
            }
            *stream = Some(found);
        }
        _ => {}
    }
    Ok(())
}
