//! Refusals of models: one sentence that names the place.

/// A model that cannot be used, reported at import or loading and never later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Refusal {
    /// A node with operator, domain and opset; an input, output or tensor by name; or the file.
    pub place: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// What an operator finds wrong with its node; the caller adds the place.
pub(crate) type Fault = String;

/// Returns a fault from a function.
macro_rules! refuse {
    ($($text:tt)*) => { return Err(format!($($text)*)) };
}
pub(crate) use refuse;
