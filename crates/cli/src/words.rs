//! Values that a shell can complete.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};

/// What runs models; a GPU may have a number, as in `gpu:1`.
pub(crate) const ENGINES: &[&str] = &["auto", "flex", "fused", "int16", "int8", "gpu"];

/// A parser of values, some of which are these words. It accepts what `parser` accepts, whatever the words are.
pub(crate) fn or_words<P: TypedValueParser>(parser: P, words: &'static [&'static str]) -> OrWords<P> {
    OrWords { parser, words }
}

#[derive(Clone, Debug)]
pub(crate) struct OrWords<P> {
    parser: P,
    words: &'static [&'static str],
}

impl<P: TypedValueParser> TypedValueParser for OrWords<P> {
    type Value = P::Value;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<P::Value, Error> {
        self.parser.parse_ref(cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(PossibleValue::new)))
    }
}
