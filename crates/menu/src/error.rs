//! What is wrong with a menu, and where.

use std::fmt;

use tamis_event::Schema;
use tamis_form::{Complaints, Mistake, Mistakes};

use crate::menu::Menu;

/// Every mistake that was found in a menu.
#[derive(Debug)]
pub struct MenuErrors {
    mistakes: Mistakes,
    /// The part of the menu that could be read: its conditions can still be checked against a schema.
    readable: Option<Box<Menu>>,
}

impl MenuErrors {
    pub(crate) fn new(place: &str, text: &str, complaints: Complaints, readable: Option<Menu>) -> Self {
        Self { mistakes: Mistakes::new(place, text, complaints), readable: readable.map(Box::new) }
    }

    /// If the menu could not be read completely, adds the mistakes in the conditions that could. Scores are not checked: which exist is not known
    /// yet.
    #[must_use]
    pub fn with_schema(self, schema: &Schema) -> Self {
        let Self { mistakes, readable } = self;
        let others = readable.map(|menu| menu.errors_with(schema)).unwrap_or_default();
        Self { mistakes: mistakes.and(others), readable: None }
    }

    /// The mistakes.
    pub fn all(&self) -> &[Mistake] {
        self.mistakes.all()
    }
}

impl fmt::Display for MenuErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistakes.fmt(f)
    }
}

impl std::error::Error for MenuErrors {}
