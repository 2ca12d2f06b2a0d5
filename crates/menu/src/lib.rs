//! Menus: which events to keep.
//!
//! A menu is a TOML file of lines. A line is a condition on the fields of an event and on model scores, a prescale, and the streams that get
//! its events. A menu is parsed without a schema, compiled against one, and then decides blocks of events:
//!
//! ```text
//!   text --Menu::parse--> Menu --compile(schema, scores)--> CompiledMenu --Decider::decide(block, scores)--> bits per line and event
//!          syntax, names         fields, types                              column operations over tiles
//! ```
//!
//! Promises:
//!
//! * I1: a decision is a pure function of the event's bytes, its id, its scores, its run and the menu: the same bits for any size of block
//!   and any place in it.
//! * I2: nothing here knows where scores come from, what time it is, or what a file is.
//! * I3: a menu that cannot be used is refused with the place (`menus/l1.toml:14:9`), the reason and a remedy; nothing panics on a text.
//! * I4: deciding allocates nothing.
//!
//! Numbers are f64: a field's physical value (raw * scale + offset), or a score. All comparisons are those of IEEE 754: with a NaN, only
//! `!=` holds. `min` and `max` ignore a NaN beside a number. Division by zero gives an infinity or a NaN, as in IEEE 754.
//!
//! A model may name fallbacks, cheaper bundles with the same outputs, and a menu may have a table `[fallback]`. Together they are a **ladder**:
//!
//! ```text
//!   rung 0        every model is its `bundle`                  an event on which a model fails at one rung (panic, error, a score
//!   rung 1, ...   every model is its next `fallback`,          that is not finite) is scored by the next; one that is late
//!                 or its last one                              goes to the last rung at once
//!   last rung     `[fallback]`: one event in `pass_through`, by hash; without the table, the error stream
//! ```
//!
//! The menu says what the rungs are; whoever scores climbs them.
//!
//! Threads: a [`CompiledMenu`] is immutable and shared; a [`Decider`] belongs to one worker.

mod compile;
mod decider;
mod error;
mod expression;
mod graph;
mod kernels;
mod kind;
pub mod limits;
mod lottery;
mod lowering;
mod menu;
mod pass_through;
mod pieces;
mod program;
mod table;
mod threshold;
mod window;

pub use compile::CompiledMenu;
pub use decider::Decider;
pub use error::{Fault, MenuError};
pub use menu::{ERROR_STREAM, LineInfo, Menu, ModelRef, StreamInfo};
pub use pass_through::PassThrough;
pub use threshold::Threshold;
