//! How chunks are compressed.

use std::{fmt, str::FromStr};

/// Levels of zstd that can be asked for. Those above need much more memory to write and to read.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// How the chunks of a file are compressed. All three are part of MCAP, so that other readers know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: for what cannot be compressed, and for file systems that do it themselves.
    None,
    /// Several times as fast as zstd, with larger files.
    Lz4,
    /// zstd with this level. High levels need tens of megabytes of memory on each thread that compresses.
    Zstd(i32),
}

impl Compression {
    /// What MCAP calls it.
    pub(crate) fn mcap_name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Lz4 => "lz4",
            Self::Zstd(_) => "zstd",
        }
    }
}

impl Default for Compression {
    /// The lowest level: a writer must keep up with a burst of accepted events on part of one core.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

/// A text that does not name a [`Compression`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no compression; write none, lz4, zstd or zstd=LEVEL with a level from {} to {}", LEVELS.start(), LEVELS.end())]
pub struct CompressionError {
    text: String,
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        match text {
            "none" => Ok(Self::None),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::default()),
            _ => text
                .strip_prefix("zstd=")
                // A number that is written as it is displayed, without a sign or zeros in front.
                .and_then(|level| level.parse().ok().filter(|number: &i32| number.to_string() == level))
                .filter(|level| LEVELS.contains(level))
                .map(Self::Zstd)
                .ok_or_else(|| CompressionError { text: text.into() }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => write!(f, "zstd={level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values_match() {
        for text in ["none", "lz4", "zstd=1", "zstd=3", "zstd=19"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        assert_eq!("zstd".parse(), Ok(Compression::default()));
        for text in
            ["", "None", "gzip", "zstd=", "zstd=0", "zstd=20", "zstd=-1", "zstd=+3", "zstd=3 ", "lz4=1"]
        {
            let error = text.parse::<Compression>().unwrap_err().to_string();
            assert!(error.contains("none, lz4, zstd or zstd=LEVEL with a level from 1 to 19"), "{error}");
        }
    }
}
