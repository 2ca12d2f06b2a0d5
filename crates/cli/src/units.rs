//! Numbers with units, as people write them: `40MHz`, `2GiB`, `20M`.
//!
//! A unit's case matters (`mHz` is not `MHz`); underscores may group digits; without a unit a number of things is taken as it is, and a rate, a time or a
//! size is refused.

use std::time::Duration;

/// A text that is not such a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    #[error("{what} must be a number with one of the units {units}, as in {example}")]
    NoUnit { what: &'static str, units: String, example: &'static str },
    #[error("{what} must be a number, alone or with one of the units {units}, as in {example}")]
    NotANumber { what: &'static str, units: String, example: &'static str },
    #[error("'{unit}' is no unit of {what}{hint}; use {units}")]
    Unit { what: &'static str, unit: String, hint: String, units: String },
    #[error("{what} must be {range}")]
    Range { what: &'static str, range: &'static str },
}

struct Quantity {
    what: &'static str,
    units: &'static [(&'static str, f64)],
    example: &'static str,
    /// Where a number alone could mean several things.
    needs_unit: bool,
}

const RATE: Quantity = Quantity {
    what: "a rate",
    units: &[("Hz", 1.0), ("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9)],
    example: "40MHz",
    needs_unit: true,
};

const SIZE: Quantity = Quantity {
    what: "a size",
    units: &[
        ("B", 1.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ],
    example: "500MB",
    needs_unit: true,
};

const TIME: Quantity = Quantity {
    what: "a time",
    units: &[("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)],
    example: "2ms",
    needs_unit: true,
};

const COUNT: Quantity = Quantity {
    what: "a count",
    units: &[("k", 1e3), ("M", 1e6), ("G", 1e9)],
    example: "20M",
    needs_unit: false,
};

/// The number of a CPU.
pub(crate) fn cpu(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("'{text}' is no number of a CPU; write numbers with commas between, as in 2,3"))
}

/// A rate in Hz: positive and finite, and always with its unit: 1 may be meant as 1 MHz.
pub(crate) fn rate_hz(text: &str) -> Result<f64, UnitError> {
    let hz = RATE.parse(text)?;
    if hz > 0.0 && hz.is_finite() {
        return Ok(hz);
    }
    Err(UnitError::Range { what: RATE.what, range: "positive and finite" })
}

/// A size in bytes that may be 0: whole, and always with its unit.
pub(crate) fn bytes_or_none(text: &str) -> Result<u64, UnitError> {
    SIZE.whole(text)
}

/// A size in bytes: whole, at least 1, and always with its unit: 5 may be meant as 5 GB.
pub(crate) fn bytes(text: &str) -> Result<u64, UnitError> {
    let bytes = SIZE.whole(text)?;
    if bytes > 0 { Ok(bytes) } else { Err(UnitError::Range { what: SIZE.what, range: "at least 1B" }) }
}

/// A time: at least 1 ns, and always with its unit.
pub(crate) fn time(text: &str) -> Result<Duration, UnitError> {
    let ns = TIME.parse(text)?;
    if (1.0..1e18).contains(&ns) {
        return Ok(Duration::from_nanos(ns as u64));
    }
    Err(UnitError::Range { what: TIME.what, range: "at least 1ns and less than 1e9s" })
}

/// How long to look for something to do: a time, or always.
pub(crate) fn busy_poll(text: &str) -> Result<Duration, String> {
    if text.trim() == "always" {
        return Ok(Duration::MAX);
    }
    time(text).map_err(|error| format!("{error}; or write always"))
}

/// A number of things: whole.
pub(crate) fn count(text: &str) -> Result<u64, UnitError> {
    COUNT.whole(text)
}

/// A number of things that are held in memory: whole.
pub(crate) fn number(text: &str) -> Result<usize, UnitError> {
    let too_large = |_| UnitError::Range { what: COUNT.what, range: "smaller" };
    count(text).and_then(|number| number.try_into().map_err(too_large))
}

impl Quantity {
    fn parse(&self, text: &str) -> Result<f64, UnitError> {
        let (number, unit) = split(text.trim());
        let number: f64 = number.replace('_', "").parse().map_err(|_| {
            let Self { what, example, .. } = *self;
            let units = self.known();
            if self.needs_unit {
                UnitError::NoUnit { what, units, example }
            } else {
                UnitError::NotANumber { what, units, example }
            }
        })?;
        if unit.is_empty() && self.needs_unit {
            return Err(UnitError::NoUnit { what: self.what, units: self.known(), example: self.example });
        }
        if unit.is_empty() {
            return Ok(number);
        }
        let found = self.units.iter().find(|(name, _)| *name == unit);
        found.map(|(_, scale)| number * scale).ok_or_else(|| {
            let near = self.units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            let hint = near.map(|(name, _)| format!(" (did you mean '{name}'?)")).unwrap_or_default();
            UnitError::Unit { what: self.what, unit: unit.into(), hint, units: self.known() }
        })
    }

    fn whole(&self, text: &str) -> Result<u64, UnitError> {
        // Digits alone are exact beyond what a floating-point number holds.
        if !self.needs_unit
            && let Ok(whole) = text.trim().replace('_', "").parse()
        {
            return Ok(whole);
        }
        let number = self.parse(text)?;
        // 2^53: above it, a floating-point number is no longer exact.
        if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
            return Ok(number as u64);
        }
        Err(UnitError::Range { what: self.what, range: "a whole number that is not negative" })
    }

    fn known(&self) -> String {
        self.units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Number and unit. An `e` belongs to the number if digits follow.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_exponent = |at: usize| match bytes.get(at + 1) {
        Some(b'+' | b'-') => bytes.get(at + 2).is_some_and(u8::is_ascii_digit),
        next => next.is_some_and(u8::is_ascii_digit),
    };
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'0'..=b'9' | b'.' | b'_' => end += 1,
            b'+' | b'-' if end == 0 => end += 1,
            b'e' | b'E' if end > 0 && is_exponent(end) => end += 2,
            _ => break,
        }
    }
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        assert_eq!(rate_hz("40MHz"), Ok(40e6));
        assert_eq!(rate_hz("1.5 kHz"), Ok(1500.0));
        assert_eq!(rate_hz("4e7Hz"), Ok(4e7));
        assert_eq!(rate_hz("4e+1MHz"), Ok(4e7));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("1.5kB"), Ok(1500));
        assert_eq!(time("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(time("1.5 us"), Ok(Duration::from_nanos(1500)));
        assert_eq!(count("20M"), Ok(20_000_000));
        assert_eq!(count("1e6"), Ok(1_000_000));
        assert_eq!(count("20_000"), Ok(20_000));
    }

    #[test]
    fn refusals_say_what_would_do() {
        let message = |result: Result<f64, UnitError>| result.unwrap_err().to_string();
        assert_eq!(
            message(rate_hz("40mhz")),
            "'mhz' is no unit of a rate (did you mean 'MHz'?); use Hz, kHz, MHz, GHz"
        );
        assert!(message(rate_hz("fast")).contains("40MHz"));
        assert!(message(rate_hz("")).contains("must be a number"));
        assert_eq!(
            message(rate_hz("40")),
            "a rate must be a number with one of the units Hz, kHz, MHz, GHz, as in 40MHz"
        );
        for text in ["5", "0", "0MB", "-1kB", "0.5B", "MB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for text in ["0Hz", "-1Hz", "nan", "1e999Hz"] {
            assert!(rate_hz(text).is_err(), "{text}");
        }
        for text in ["2", "0ms", "-1ms", "0.5ns", "2MS", "1e300s", "ms"] {
            assert!(time(text).is_err(), "{text}");
        }
        for text in ["1.5", "-1", "1e300", "1.0001k", "2 GiB x"] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}
