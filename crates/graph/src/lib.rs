//! Models as graphs of operators: read from ONNX or built by hand, checked once, run by burn on any device.
//!
//! ```text
//!   ONNX bytes --from_onnx--> UncheckedGraph --Graph::new--> Graph --Program::new(device)--> Program --start--> Pending --wait--> numbers
//!   an architecture --node--'                types, order,        constants on                       per batch
//!                                            constants folded     the device
//! ```
//!
//! * I1: [`Graph::new`] refuses, by name, what this crate cannot compute exactly as ONNX defines it; nothing is refused at run time.
//! * I2: no operation mixes events: the first axis of every input and output is that of events, and its position in between is tracked
//!   (`layout.rs`).
//! * I3: untrusted bytes never cause a panic, and no length in them decides an allocation.
//!
//! An operator family is one file in `ops/`; an operator is one entry in its list.
//!
//! burn is part of this interface: [`Program::new`] takes its device.

mod contain;
mod error;
mod external;
mod fold;
mod forest;
mod functions;
mod graph;
mod kernel_op;
mod layout;
mod onnx;
mod operator;
mod ops;
mod packed;
mod program;
mod proto;
mod source;
mod used;
mod value;

pub use contain::{contained, in_contained};
pub use error::Refusal;
pub use external::{Elsewhere, with_external_data};
pub use forest::{
    Aggregate, ClassRule, DEPTH_MAX, FOREST_OUTPUTS_MAX, Link, NODES_MAX, Pair, TREES_MAX, Test,
    TreeEnsemble, TreeNode, Weight,
};
pub use graph::{Graph, Output, StepInfo};
pub use kernel_op::KernelOp;
pub use onnx::{ONNX_BYTES_MAX, ONNX_FILE};
pub use ops::{Axis, OPERATORS};
pub use packed::{Affine, Unpack};
pub use program::{Pending, Program};
pub use source::{Attribute, Constant, Data, Input, Kind, Narrow, Node, OPSET, UncheckedGraph};
pub use value::Type;
