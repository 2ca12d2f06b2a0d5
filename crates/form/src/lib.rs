//! Forms: TOML files that people write (menus, recipes), read so that all mistakes are reported at once, each with its place and a remedy.
//!
//! ```text
//!   text --Table--> keys and values with their places --the reader of the form--> what they mean
//!                                                   \\--> Complaints --Mistakes::new--> place:line:column: message, source line, caret
//! ```
//!
//! * I1: reading continues after a mistake; mistakes that only follow from another one are not reported.
//! * I2: messages use the words of the form, never those of the program.

mod error;
mod table;

pub use error::{Complaint, Complaints, Mistake, MistakeKind, Mistakes, quoted, suggestion};
pub use table::{Placed, PlacedStr, Table, one_of};
