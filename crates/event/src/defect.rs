//! What can be wrong with a stretch of bytes.

/// What was wrong with a stretch of bytes; `SPEC.md` section 3 has the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// No frame starts here.
    Magic,
    /// A version or header length that this program does not know.
    Version,
    /// The header does not match its checksum.
    Header,
    /// A longer body than a frame may have.
    Oversize,
    /// No events.
    Zero,
    /// Lengths that contradict each other or the schema.
    Length,
    /// The frame was cut.
    Torn,
    /// The body does not match its checksum.
    Crc,
    /// Another schema than the one in use.
    Schema,
    /// A column of the body contradicts the header, itself, or the length of the body.
    Columns,
    /// A list has more elements than it may have, or something behind its last one.
    Count,
}

impl Defect {
    /// The name of this cause in `SPEC.md` section 3.
    pub fn name(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Header => "header",
            Self::Oversize => "oversize",
            Self::Zero => "zero",
            Self::Length => "length",
            Self::Torn => "torn",
            Self::Crc => "crc",
            Self::Schema => "schema",
            Self::Columns => "columns",
            Self::Count => "count",
        }
    }
}
