//! The section `[calibration]` of a manifest.

use serde::{Deserialize, Serialize};
use tamis_kernel::{HiddenBits, Layer};
use toml::Table;
use toml::ser::ValueSerializer;

use crate::engine::Engine;
use crate::error::BundleFault;
use crate::manifest::{bad, is_sha256};

/// Largest tolerance: beyond it scores would bear little relation to those of the network.
pub(crate) const TOLERANCE_MAX: f64 = 0.5;

/// The ranges that the reduced-precision engines need, measured on events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The largest absolute value of each hidden layer over the events, after its activation.
    pub hidden: Vec<f32>,
    /// Factor by which the range of 16-bit integers is wider. 8-bit ones have no bit to spare for a margin.
    pub margin: f64,
    /// The tolerances of scores.
    pub tolerance: Tolerance,
    /// Number of events.
    pub events: u64,
    /// SHA-256 of their records, in order.
    pub records_sha256: String,
}

/// Largest allowed differences of scores, relative to 1 or to the score if that is larger; none for an engine that is too coarse for the network or
/// cannot run it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// On the engine `int16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int16: Option<f64>,
    /// On the engine `int8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<f64>,
}

impl Tolerance {
    /// The widest tolerances.
    pub const MAX: Self = Self { int16: Some(TOLERANCE_MAX), int8: Some(TOLERANCE_MAX) };

    /// The tolerance of an engine, if it has one.
    pub fn of(self, engine: Engine) -> Option<f64> {
        match engine {
            Engine::Int16 => self.int16,
            Engine::Int8 => self.int8,
            Engine::Flex | Engine::Gpu(_) | Engine::Fused | Engine::Auto => None,
        }
    }
}

impl Calibration {
    /// Largest margin: beyond it few bits of the integers would remain.
    pub const MARGIN_MAX: f64 = 64.0;

    /// The largest absolute values that the integers of the hidden layers (all of `layers` but the last) must be able to represent.
    pub(crate) fn expected(&self, layers: &[Layer], bits: HiddenBits) -> Vec<f32> {
        let expected = |(&largest, layer): (&f32, &Layer)| match bits.of(layer.activation) {
            HiddenBits::Sixteen => self.with_margin(largest),
            HiddenBits::Eight => largest,
        };
        self.hidden.iter().zip(layers).map(expected).collect()
    }

    fn with_margin(&self, largest: f32) -> f32 {
        (f64::from(largest) * self.margin) as f32
    }

    pub(crate) fn check(&self) -> Result<(), BundleFault> {
        if !(1.0..=Self::MARGIN_MAX).contains(&self.margin) {
            return bad("calibration.margin", &format!("give a number between 1 and {}", Self::MARGIN_MAX));
        }
        let is_sound = |&largest: &f32| largest > 0.0 && self.with_margin(largest).is_finite();
        if !self.hidden.iter().all(is_sound) {
            let wanted = "give numbers above 0, one for each hidden layer, that stay finite when the margin multiplies them";
            return bad("calibration.hidden", wanted);
        }
        let is_sound =
            |engine| self.tolerance.of(engine).is_none_or(|most| most > 0.0 && most <= TOLERANCE_MAX);
        if !Engine::REDUCED.into_iter().all(is_sound) {
            return bad(
                "calibration.tolerance",
                &format!("give numbers above 0 and at most {TOLERANCE_MAX}"),
            );
        }
        if self.events == 0 {
            return bad("calibration.events", "a calibration needs events");
        }
        if !is_sha256(&self.records_sha256) {
            return bad("calibration.records_sha256", "give 64 hexadecimal digits, lower case");
        }
        Ok(())
    }
}

/// The text of a manifest with this section, which replaces an existing one. Comments and order are kept.
pub(crate) fn write(manifest: &str, section: &Calibration) -> String {
    let Calibration { hidden, margin, tolerance, events, records_sha256 } = section;
    let lines = [
        ("hidden", value(hidden)),
        ("margin", value(margin)),
        ("tolerance", value(tolerance)),
        ("events", value(events)),
        ("records_sha256", value(records_sha256)),
    ];
    let text: String = lines.map(|(key, value)| format!("{key} = {value}\n")).concat();
    let edited = format!("{}\n\n[calibration]\n{text}", without_section(manifest).trim_end());
    let parse = |text: &str| toml::from_str::<Table>(text).ok();
    let wanted = parse(manifest).zip(parse(&text)).map(|(mut manifest, section)| {
        manifest.insert("calibration".into(), section.into());
        manifest
    });
    // A section in another notation, such as `calibration = {`, is not found by its first line.
    match wanted {
        Some(wanted) if parse(&edited).as_ref() != Some(&wanted) => {
            toml::to_string(&wanted).expect("a table that was read can be written")
        }
        _ => edited,
    }
}

/// A value as one line of TOML.
fn value(value: &impl Serialize) -> String {
    let mut text = String::new();
    value.serialize(ValueSerializer::new(&mut text)).expect("numbers and words are TOML");
    text
}

fn without_section(manifest: &str) -> String {
    let mut inside = false;
    let is_outside = |line: &&str| {
        if line.starts_with('[') {
            inside = matches!(line.trim_end(), "[calibration]" | "[calibration.tolerance]");
        }
        !inside
    };
    manifest.split_inclusive('\n').filter(is_outside).collect()
}
