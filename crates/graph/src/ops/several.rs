//! Elementwise functions of any number of values with broadcasting: Max, Min, Sum, Mean. Values are combined two at a time, in order.
//!
//! NaN wins against every number.

use burn::tensor::kind::Numeric;
use burn::tensor::{Bool, Int, Tensor};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::arithmetic::{Meeting, meeting};
use crate::source::Kind;
use crate::value::{Value, rows, spread};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reduction {
    Max,
    Min,
    Sum,
    Mean,
}

#[derive(Debug)]
struct Several {
    function: Reduction,
    /// How the result so far is broadcast with the next value.
    meetings: Vec<Meeting>,
}

/// Builds `Max`, `Min`, `Sum`, `Mean`.
pub(super) fn several(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, usize::MAX)?;
    site.outputs_at_most(1)?;
    let function = match site.operator() {
        "Max" => Reduction::Max,
        "Min" => Reduction::Min,
        "Sum" => Reduction::Sum,
        "Mean" => Reduction::Mean,
        other => refuse!("'{other}' is no function of several numbers"),
    };
    let mut output = site.anywhere(0)?.clone();
    let ordered = matches!(function, Reduction::Max | Reduction::Min);
    if output.labels.is_some() || output.kind == Kind::Bool || output.kind == Kind::Int && !ordered {
        refuse!("works on numbers of the kind {:?}, which it does not know", output.kind);
    }
    let mut meetings = Vec::new();
    for index in 1..site.inputs() {
        let (how, joint) = meeting(&output, site.anywhere_of(index, output.kind)?, output.kind)?;
        meetings.push(how);
        output = joint;
    }
    Built::one(Several { function, meetings }, output)
}

impl Operator for Several {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let mut so_far = inputs.take(0);
        for (index, meeting) in self.meetings.iter().enumerate() {
            so_far = match (so_far, inputs.take(index + 1)) {
                (Value::Float(a), Value::Float(b)) => Value::Float(match *meeting {
                    Meeting::Rows => self.floats(a, b),
                    Meeting::Spread([x, y]) => rows(self.floats(spread(a, x), spread(b, y))),
                }),
                (Value::Int(a), Value::Int(b)) => Value::Int(match *meeting {
                    Meeting::Rows => self.ints(a, b),
                    Meeting::Spread([x, y]) => rows(self.ints(spread(a, x), spread(b, y))),
                }),
                (a, b) => unreachable!("kinds were checked: {a:?}, {b:?}"),
            };
        }
        vec![match so_far {
            Value::Float(sum) if self.function == Reduction::Mean => {
                Value::Float(sum.div_scalar((self.meetings.len() + 1) as f32))
            }
            done => done,
        }]
    }
}

impl Several {
    fn floats<const D: usize>(&self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        if matches!(self.function, Reduction::Sum | Reduction::Mean) {
            return a + b;
        }
        let (a, b) = together(a, b);
        let second = self.is_second(a.clone(), b.clone()).bool_or(b.clone().is_nan());
        a.mask_where(second, b)
    }

    fn ints<const D: usize>(&self, a: Tensor<D, Int>, b: Tensor<D, Int>) -> Tensor<D, Int> {
        let (a, b) = together(a, b);
        let second = self.is_second(a.clone(), b.clone());
        a.mask_where(second, b)
    }

    /// Is the second of two numbers the result?
    fn is_second<const D: usize, K: Numeric + burn::tensor::kind::Ordered>(
        &self,
        a: Tensor<D, K>,
        b: Tensor<D, K>,
    ) -> Tensor<D, Bool> {
        if self.function == Reduction::Max { b.greater(a) } else { b.lower(a) }
    }
}

/// Expands two values to the same size.
fn together<const D: usize, K: Numeric>(a: Tensor<D, K>, b: Tensor<D, K>) -> (Tensor<D, K>, Tensor<D, K>) {
    let sizes: [[usize; D]; 2] = [a.dims(), b.dims()];
    let joint: [usize; D] = std::array::from_fn(|axis| sizes[0][axis].max(sizes[1][axis]));
    (a.expand(joint), b.expand(joint))
}
