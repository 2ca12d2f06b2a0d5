//! Questions and answers: comparisons, And, Or, Xor, Not, Where.
//!
//! A comparison with NaN is false, and so is lost what it was about. So a graph says what becomes of a missing value only if it asks: by `IsNaN`, or by
//! comparing a value with itself, which only NaN does not equal.

use burn::tensor::kind::{Basic, Ordered};
use burn::tensor::{Bool, Tensor};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::arithmetic::{Meeting, meet};
use crate::ops::sizes;
use crate::source::Kind;
use crate::value::{AXES, Broadcast, Type, Value, rows, spread};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Compares two numbers.
#[derive(Debug)]
struct Compare {
    relation: Relation,
    meeting: Meeting,
    /// Is a value compared with itself? Whoever does so asks which of its numbers are NaN.
    with_itself: bool,
}

/// Refuses the alignment by attributes of opset 6.
fn broadcast_as_numpy(site: &Site<'_>) -> Result<(), Fault> {
    site.inputs_between(2, 2)?;
    if site.opset < 7 && (site.int("axis")?.is_some() || site.flag("broadcast", false)?) {
        refuse!("aligns its inputs by 'axis' and 'broadcast' (opset 6); export with opset 7 or newer");
    }
    site.ignore(&["broadcast"]);
    Ok(())
}

/// Builds Equal, Greater, `GreaterOrEqual`, Less, `LessOrEqual`. NaN is neither equal to, above nor below anything.
pub(super) fn compare(site: &mut Site<'_>) -> Result<Built, Fault> {
    broadcast_as_numpy(site)?;
    let relation = match site.operator() {
        "Equal" => Relation::Equal,
        "Greater" => Relation::Greater,
        "GreaterOrEqual" => Relation::GreaterOrEqual,
        "Less" => Relation::Less,
        "LessOrEqual" => Relation::LessOrEqual,
        other => refuse!("'{other}' is no comparison"),
    };
    if sizes::are_in(site) {
        return sizes::of(site);
    }
    let first = site.anywhere(0)?.clone();
    let second = site.anywhere_of(1, first.kind)?;
    if first.labels.is_some() || second.labels.is_some() {
        refuse!("compares text; export the model with integer labels");
    }
    if first.kind == Kind::Bool && relation != Relation::Equal {
        refuse!("orders truth values; only numbers have an order");
    }
    let (meeting, output) = meet(site, Kind::Bool)?;
    let with_itself = first.kind == Kind::Float && site.is_twice();
    Built::one(Compare { relation, meeting, with_itself }, output)
}

impl Operator for Compare {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![Value::Bool(match (inputs.take(0), inputs.take(1)) {
            (Value::Float(a), Value::Float(b)) => self.rows(a, b),
            (Value::Int(a), Value::Int(b)) => self.rows(a, b),
            (Value::Bool(a), Value::Bool(b)) => match self.meeting {
                Meeting::Rows => a.equal(b),
                Meeting::Spread([x, y]) => rows(spread(a, x).equal(spread(b, y))),
            },
            (a, b) => unreachable!("kinds were checked: {a:?}, {b:?}"),
        })]
    }

    fn takes_missing(&self) -> bool {
        self.with_itself
    }
}

impl Compare {
    fn rows<K: Ordered>(&self, a: Tensor<2, K>, b: Tensor<2, K>) -> Tensor<2, Bool> {
        match self.meeting {
            Meeting::Rows => self.relation.holds(a, b),
            Meeting::Spread([x, y]) => rows(self.relation.holds(spread(a, x), spread(b, y))),
        }
    }
}

impl Relation {
    fn holds<const D: usize, K: Ordered>(self, a: Tensor<D, K>, b: Tensor<D, K>) -> Tensor<D, Bool> {
        match self {
            Self::Equal => a.equal(b),
            Self::Greater => a.greater(b),
            Self::GreaterOrEqual => a.greater_equal(b),
            Self::Less => a.lower(b),
            Self::LessOrEqual => a.lower_equal(b),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Junction {
    And,
    Or,
    Xor,
}

/// Combines two truth values.
#[derive(Debug)]
struct Join {
    junction: Junction,
    meeting: Meeting,
}

/// Builds `And`, `Or`, `Xor`.
pub(super) fn join(site: &mut Site<'_>) -> Result<Built, Fault> {
    broadcast_as_numpy(site)?;
    let junction = match site.operator() {
        "And" => Junction::And,
        "Or" => Junction::Or,
        "Xor" => Junction::Xor,
        other => refuse!("'{other}' joins no truth values"),
    };
    site.anywhere_of(0, Kind::Bool)?;
    site.anywhere_of(1, Kind::Bool)?;
    let (meeting, output) = meet(site, Kind::Bool)?;
    Built::one(Join { junction, meeting }, output)
}

impl Operator for Join {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let (a, b) = (inputs.bool(0), inputs.bool(1));
        vec![Value::Bool(match self.meeting {
            Meeting::Rows => self.junction.of(a, b),
            Meeting::Spread([x, y]) => rows(self.junction.of(spread(a, x), spread(b, y))),
        })]
    }
}

impl Junction {
    fn of<const D: usize>(self, a: Tensor<D, Bool>, b: Tensor<D, Bool>) -> Tensor<D, Bool> {
        match self {
            Self::And => a.bool_and(b),
            Self::Or => a.bool_or(b),
            Self::Xor => a.bool_xor(b),
        }
    }
}

#[derive(Debug)]
struct Not;

/// Builds `Not`.
pub(super) fn not(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    Built::one(Not, site.anywhere_of(0, Kind::Bool)?.clone())
}

impl Operator for Not {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![Value::Bool(inputs.bool(0).bool_not())]
    }
}

/// A class of special floating-point numbers.
#[derive(Clone, Copy, Debug)]
enum Special {
    Nan,
    Infinity { negative: bool, positive: bool },
}

/// Builds `IsNaN`, `IsInf`.
pub(super) fn special(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let question = match site.operator() {
        "IsNaN" => Special::Nan,
        "IsInf" => Special::Infinity {
            negative: site.flag("detect_negative", true)?,
            positive: site.flag("detect_positive", true)?,
        },
        other => refuse!("'{other}' asks nothing of a number"),
    };
    let x = site.stored(0)?;
    if x.kind != Kind::Float {
        refuse!("asks about a value of kind {:?}; only Float is supported", x.kind);
    }
    Built::one(question, Type { kind: Kind::Bool, double: false, ..x.clone() })
}

impl Operator for Special {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        vec![Value::Bool(match *self {
            Self::Nan => x.is_nan(),
            Self::Infinity { negative: true, positive: true } => x.is_inf(),
            Self::Infinity { negative: true, positive: false } => x.equal_scalar(f32::NEG_INFINITY),
            Self::Infinity { negative: false, positive: true } => x.equal_scalar(f32::INFINITY),
            Self::Infinity { negative: false, positive: false } => x.equal_scalar(f32::NAN),
        })]
    }

    fn takes_missing(&self) -> bool {
        true
    }
}

/// The second input where the first is true, else the third.
#[derive(Debug)]
struct Where {
    /// Axes of the three inputs.
    inputs: [[usize; AXES]; 3],
    output: [usize; AXES],
}

/// Builds `Where`.
pub(super) fn choose(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(3, 3)?;
    if sizes::are_in(site) {
        return sizes::of(site);
    }
    let question = site.anywhere_of(0, Kind::Bool)?;
    let yes = site.anywhere(1)?;
    let no = site.anywhere_of(2, yes.kind)?;
    if yes.labels != no.labels {
        refuse!("chooses between values of different kinds");
    }
    let joint = |a: &Type, b: &Type| -> Result<Type, Fault> {
        let joint = Broadcast::new(a, b)?;
        Ok(Type { events: joint.events, ..yes.with_dims(joint.dims) })
    };
    let output = joint(&joint(yes, no)?, question)?;
    let axes = |operand| Ok::<_, Fault>(Broadcast::new(operand, &output)?.operands[0]);
    let inputs = [axes(question)?, axes(yes)?, axes(no)?];
    Built::one(Where { inputs, output: output.axes() }, output)
}

impl Operator for Where {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let question = inputs.bool(0);
        vec![match (inputs.take(1), inputs.take(2)) {
            (Value::Float(yes), Value::Float(no)) => Value::Float(self.choose(question, yes, no)),
            (Value::Int(yes), Value::Int(no)) => Value::Int(self.choose(question, yes, no)),
            (Value::Bool(yes), Value::Bool(no)) => Value::Bool(self.choose(question, yes, no)),
            (yes, no) => unreachable!("kinds were checked: {yes:?}, {no:?}"),
        }]
    }
}

impl Where {
    fn choose<K: Basic>(
        &self,
        question: Tensor<2, Bool>,
        yes: Tensor<2, K>,
        no: Tensor<2, K>,
    ) -> Tensor<2, K> {
        let events = [question.dims()[0], yes.dims()[0], no.dims()[0]].into_iter().max().unwrap_or(1);
        let mut whole = self.output;
        whole[0] = events;
        let [question_axes, yes_axes, no_axes] = self.inputs;
        let question: Tensor<AXES, Bool> = spread(question, question_axes).expand(whole);
        let yes: Tensor<AXES, K> = spread(yes, yes_axes).expand(whole);
        let no: Tensor<AXES, K> = spread(no, no_axes).expand(whole);
        rows(no.mask_where(question, yes))
    }
}
