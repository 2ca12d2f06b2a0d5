//! `[int16]` of a manifest: what calibration found out.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::error::BundleFault;
use crate::manifest::{bad, is_sha256};

/// Largest tolerance: beyond it scores would have little to do with those of the network.
pub(crate) const TOLERANCE_MAX: f64 = 0.5;

/// What the engine `int16` must know of a network, from events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Int16 {
    /// The largest absolute value of each hidden layer over the events, after its activation.
    pub hidden: Vec<f32>,
    /// The integers reach this many times as far.
    pub margin: f64,
    /// By how much a score may differ from that of the network: of 1, or of the score if that is larger.
    pub tolerance: f64,
    /// Events that were looked at.
    pub events: u64,
    /// SHA-256 of their records, in order.
    pub records_sha256: String,
}

impl Int16 {
    /// Largest margin: beyond it few bits of the integers would be left.
    pub const MARGIN_MAX: f64 = 64.0;

    /// The largest absolute values that the integers of the hidden layers must reach.
    pub(crate) fn expected(&self) -> Vec<f32> {
        self.hidden.iter().map(|&largest| (f64::from(largest) * self.margin) as f32).collect()
    }

    pub(crate) fn check(&self) -> Result<(), BundleFault> {
        let reach = self.expected();
        if !self.hidden.iter().chain(&reach).all(|&largest| largest > 0.0 && largest.is_finite()) {
            return bad("int16.hidden", "give finite numbers above 0, one for each hidden layer");
        }
        if !(1.0..=Self::MARGIN_MAX).contains(&self.margin) {
            return bad("int16.margin", &format!("give a number between 1 and {}", Self::MARGIN_MAX));
        }
        if !(self.tolerance > 0.0 && self.tolerance <= TOLERANCE_MAX) {
            return bad("int16.tolerance", &format!("give a number above 0 and at most {TOLERANCE_MAX}"));
        }
        if self.events == 0 {
            return bad("int16.events", "a calibration needs events");
        }
        if !is_sha256(&self.records_sha256) {
            return bad("int16.records_sha256", "give 64 hexadecimal digits, lower case");
        }
        Ok(())
    }
}

/// The text of a manifest with this section in place of the one that it has, if it has one. Comments and order stay.
pub(crate) fn write(manifest: &str, section: &Int16) -> String {
    let text = toml::to_string(section).expect("numbers and words are TOML");
    let edited = format!("{}\n\n[int16]\n{text}", without_section(manifest).trim_end());
    let parse = |text: &str| toml::from_str::<Table>(text).ok();
    let wanted = parse(manifest).zip(parse(&text)).map(|(mut manifest, section)| {
        manifest.insert("int16".into(), section.into());
        manifest
    });
    // A section that is written in another way, such as `int16 = {`, is not found by its first line.
    match wanted {
        Some(wanted) if parse(&edited).as_ref() != Some(&wanted) => {
            toml::to_string(&wanted).expect("a table that was read can be written")
        }
        _ => edited,
    }
}

fn without_section(manifest: &str) -> String {
    let mut inside = false;
    let is_outside = |line: &&str| {
        if line.starts_with('[') {
            inside = line.trim_end() == "[int16]";
        }
        !inside
    };
    manifest.split_inclusive('\n').filter(is_outside).collect()
}
