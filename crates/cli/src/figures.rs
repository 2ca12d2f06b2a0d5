//! Numbers as people read them: `1,234,567`, `246.8 ± 7.0 kHz`, `12.3 us`.
//!
//! A quantity with a statistical error is rounded to two digits of the error, any other one to three digits. What menus compare (fields and scores) is
//! never rounded.

use std::fmt::{Display, LowerExp};

/// `1,234,567`.
pub(crate) fn grouped(n: impl Into<u128>) -> String {
    let digits = n.into().to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `1,234 events`.
pub(crate) fn counted(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A number with a sign.
pub(crate) fn grouped_signed(n: impl Into<i128>) -> String {
    let n = n.into();
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(n.unsigned_abs()))
}

/// `0.62 %`; empty if there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    match percent {
        0.0 => "0 %".into(),
        p if p < 0.01 => "< 0.01 %".into(),
        p if part < whole && p > 99.99 => "> 99.99 %".into(),
        p if part == whole => format!("{p:.0} %"),
        p => format!("{p:.2} %"),
    }
}

/// Whole numbers as they are, others to five digits, but never rounded above the first decimal.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let rounded = if value.abs() < 1e4 { format!("{value:.4e}") } else { format!("{value:.1}") };
    rounded.parse::<f64>().map_or(rounded, |number| number.to_string())
}

/// A number as it is: the shortest decimal that reads back as the same number. `of` is an f32 or an f64.
pub(crate) fn exact<N: Copy + Into<f64> + Display + LowerExp>(of: N) -> String {
    let size: f64 = of.into().abs();
    let is_long = size.is_finite() && size != 0.0 && !(1e-7..1e17).contains(&size);
    if is_long { format!("{of:e}") } else { of.to_string() }
}

/// A difference that should be 0: `3.1e-7`, `0.25`.
pub(crate) fn small(value: f64) -> String {
    if (1e-3..1e6).contains(&value) || value == 0.0 || !value.is_finite() {
        return number(value);
    }
    format!("{value:.1e}")
}

const LARGE: [(&str, f64); 5] = [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
const SHORT: [(&str, f64); 4] = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];

/// `12.3 MB`.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { scaled(n as f64, &LARGE, "B") }
}

/// `40.0 MHz`.
pub(crate) fn rate(hz: f64) -> String {
    if hz == 0.0 { "0 Hz".into() } else { scaled(hz, &LARGE, "Hz") }
}

/// `4.21 M/s`, for any thing that is counted.
pub(crate) fn per_second(n: f64) -> String {
    scaled(n, &LARGE, "").trim_end().to_string()
}

/// `1.23 ms`.
pub(crate) fn time_ns(ns: u64) -> String {
    if ns < 1000 { format!("{ns} ns") } else { scaled(ns as f64, &SHORT, "") }
}

/// `246.8 ± 7.0 kHz`.
pub(crate) fn rate_with_error(hz: f64, error_hz: f64) -> String {
    if !(error_hz > 0.0 && error_hz.is_finite()) {
        return rate(hz);
    }
    let (prefix, scale) = prefix(hz.max(error_hz), &LARGE);
    let (value, error) = (hz / scale, error_hz / scale);
    let decimals = (1.0 - error.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$} ± {error:.decimals$} {prefix}Hz")
}

/// Three digits, a prefix and a unit.
fn scaled(value: f64, prefixes: &[(&str, f64)], unit: &str) -> String {
    let (prefix, scale) = prefix(value, prefixes);
    let value = value / scale;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {prefix}{unit}")
}

/// The largest prefix that leaves at least 1, after rounding to three digits.
fn prefix<'a>(value: f64, prefixes: &[(&'a str, f64)]) -> (&'a str, f64) {
    *prefixes.iter().rev().find(|(_, scale)| value / scale >= 0.9995).unwrap_or(&prefixes[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!([0_u64, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 1000].map(|n| counted(n, "event")), ["0 events", "1 event", "1,000 events"]);
        assert_eq!(grouped_signed(-1234), "-1,234");
        assert_eq!(
            [(0, 7), (1, 3), (7, 7), (1, 1_000_000), (999_999, 1_000_000)].map(|(n, of)| share(n, of)),
            ["0 %", "33.33 %", "100 %", "< 0.01 %", "> 99.99 %"]
        );
        assert_eq!([999, 1000, 123_456, 999_960].map(bytes), ["999 B", "1.00 kB", "123 kB", "1.00 MB"]);
        assert_eq!([7, 1000, 12_345, 59_000_000_000].map(time_ns), ["7 ns", "1.00 us", "12.3 us", "59.0 s"]);
        assert_eq!(rate_with_error(246_812.0, 7_034.0), "246.8 ± 7.0 kHz");
        assert_eq!(rate_with_error(246_812.0, 12_034.0), "247 ± 12 kHz");
        assert_eq!(rate_with_error(40e6, 0.0), "40.0 MHz");
        assert_eq!(
            [2.0, 0.1 + 0.2, 2.879_793, 123_456.78, 1.5e-7, f64::NAN].map(number),
            ["2", "0.3", "2.8798", "123456.8", "0.00000015", "NaN"]
        );
        assert_eq!([0.0, 3.14e-7, 0.25, f64::INFINITY].map(small), ["0", "3.1e-7", "0.25", "inf"]);
        assert_eq!(rate_with_error(200.0, 200.0), "200 ± 200 Hz");
        assert_eq!(
            [123.457, 54.7055, -4_294_967_295.5, 1.5e-7, 1e-38, f64::INFINITY, 0.0].map(exact),
            ["123.457", "54.7055", "-4294967295.5", "0.00000015", "1e-38", "inf", "0"]
        );
        assert_eq!([0.1_f32, 0.999_99, 16_777_216.0].map(exact), ["0.1", "0.99999", "16777216"]);
    }
}
