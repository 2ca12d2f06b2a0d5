//! When stored bytes are forced to the disk.

use std::{fmt, str::FromStr, time::Duration};

/// When records survive a loss of power. A killed process loses at most the chunk that is being filled and the few that are
/// being compressed (two for each thread that compresses), with any choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Whenever this time has passed since the last sync and something was written.
    Every(Duration),
    /// When a file is closed.
    Close,
    /// Whenever the operating system decides.
    Never,
}

impl Default for Durable {
    /// A loss of power costs at most the last fifth of a second.
    fn default() -> Self {
        Self::Every(Duration::from_millis(200))
    }
}

/// A text that does not name a [`Durable`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no durability; write every=200ms (ns, us, ms, s), close or never")]
pub struct DurableError {
    text: String,
}

const UNITS: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

impl FromStr for Durable {
    type Err = DurableError;

    fn from_str(text: &str) -> Result<Self, DurableError> {
        match text {
            "close" => Ok(Self::Close),
            "never" => Ok(Self::Never),
            _ => text
                .strip_prefix("every=")
                .and_then(nanoseconds)
                .map(|ns| Self::Every(Duration::from_nanos(ns)))
                .ok_or_else(|| DurableError { text: text.into() }),
        }
    }
}

/// Parses a time in ns. Whole numbers only; zero is refused, because it would mean a sync per tick by accident.
fn nanoseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale).filter(|&ns| ns > 0)
}

impl fmt::Display for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("close"),
            Self::Never => f.write_str("never"),
            Self::Every(time) => {
                let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let (unit, scale) =
                    UNITS.iter().rev().find(|(_, scale)| ns.is_multiple_of(*scale)).unwrap_or(&UNITS[0]);
                write!(f, "every={}{unit}", ns / scale)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values_match() {
        for text in ["every=200ms", "every=1ns", "every=7us", "every=3s", "every=1500ms", "close", "never"] {
            assert_eq!(text.parse::<Durable>().unwrap().to_string(), text);
        }
        assert_eq!("every=2000ms".parse::<Durable>().unwrap().to_string(), "every=2s");
        for text in
            ["", "Close", "every=", "every=0ms", "every=5", "every=-1s", "every=1.5s", "every=99999999999s"]
        {
            assert!(text.parse::<Durable>().is_err(), "{text}");
        }
    }
}
