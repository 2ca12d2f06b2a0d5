//! What runs a network. One word per engine; a menu or an option names it.

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownEngine;

/// The engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// burn's `flex` backend: the CPU, on the calling thread.
    #[default]
    Flex,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 1] = [Self::Flex];

    /// Name in options, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
        }
    }

    /// Number in a decision record (`SPEC.md` section 5 of the event crate).
    pub fn code(self) -> u8 {
        match self {
            Self::Flex => 1,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        let found = Self::ALL.into_iter().find(|engine| engine.name() == name);
        found.ok_or_else(|| UnknownEngine { name: name.into(), known: Self::ALL.map(Self::name).join(", ") })
    }
}
