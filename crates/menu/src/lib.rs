//! Menus: which events to keep.
//!
//! A menu is a TOML file of lines. A line has a condition on the fields of an event and on model scores, a prescale, and the streams that get
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
//! * I3: a menu that cannot be used is refused with the place (`menus/l1.toml:14:9`), the reason and a remedy; no input text causes a panic.
//! * I4: deciding allocates nothing.
//!
//! Numbers behave as people read them. An integer field with scale 0.1 holds 0.3, not 0.30000000000000004: sums, differences, products, `abs`,
//! `min`, `max`, `count` and comparisons of integer fields and literals are exact decimals, as long as an f64 can hold them; a quotient is
//! rounded once. An f32 field or a score is compared in f32, so `x >= 0.3` keeps a value stored as 0.3; arithmetic on it is done in f64 first.
//! A 64-bit integer is compared exactly, and sums, differences and products of such are exact, too: they are computed in 128 bits.
//! The rules are in [`number.rs`](../src/tamis_menu/number.rs.html) and [`large.rs`](../src/tamis_menu/large.rs.html).
//!
//! A comparison with a NaN is neither true nor false. If any line reads a float field that is NaN in an event, no line decides that event: it
//! is [undecided](Decider::undecided). The same holds if a line depends on a number that became NaN: 0 / 0, or infinities that cancel.
//! `b > 0 && a / b > 2` does not depend on the quotient where `b` is 0. Infinities compare like any other number, and `1 / 0` is infinite.
//!
//! A list has as many elements as the event has: `count(jets)`, and everything else that is computed of `jets.pt`, leaves the others out. The
//! maximum of no elements does not exist, and a comparison with it is false. The rules are in
//! [`list.rs`](../src/tamis_menu/number/list.rs.html).
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
//! The menu only defines the rungs; the caller that scores events climbs them.
//!
//! Threads: a [`CompiledMenu`] is immutable and shared; a [`Decider`] belongs to one worker.

mod compile;
mod decider;
mod error;
mod expression;
mod flag;
mod graph;
mod integers;
mod interval;
mod kernels;
mod kind;
mod large;
pub mod limits;
mod lottery;
mod lowering;
mod menu;
mod names;
mod number;
mod pass_through;
mod pieces;
mod program;
mod reason;
mod threshold;
mod value;

pub use compile::CompiledMenu;
pub use decider::Decider;
pub use error::MenuErrors;
pub use menu::{ERROR_STREAM, LineInfo, Menu, ModelRef, StreamInfo};
pub use pass_through::PassThrough;
pub use tamis_form::{Mistake, MistakeKind};
pub use threshold::Threshold;
