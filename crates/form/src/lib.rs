//! Forms: TOML files that people write (menus, recipes), read so that every mistake is told at once, with its place and a remedy.
//!
//! ```text
//!   text --Table--> keys and values with their places --the reader of the form--> what they mean
//!                                                   \\--> Complaints --Mistakes::new--> place:line:column: message, source line, caret
//! ```
//!
//! * I1: reading goes on behind a mistake; what follows from another mistake is not told.
//! * I2: a message is in the words of the form, never in those of a program.

mod error;
mod table;

pub use error::{Complaint, Complaints, Mistake, MistakeKind, Mistakes, quoted, suggestion};
pub use table::{Placed, PlacedStr, Table, one_of};
