//! Matrix products: Gemm and MatMul.
//!
//! The usual case, rows of events times a constant matrix, is one matrix product. Everything else is a batched product.

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::forest::Link;
use crate::kernel_op::{KernelOp, Linear};
use crate::layout::EVENTS_AXIS;
use crate::operator::{Built, Inputs, Operator, Site, product};
use crate::source::{Constant, Data, Kind};
use crate::value::{AXES, Broadcast, Type, Value, rows, spread};

/// Rows times a constant matrix `[inputs, outputs]`, plus a constant row; `rows` of them per event.
#[derive(Debug)]
struct Dense {
    inputs: usize,
    outputs: usize,
    /// Rows of the product per event: 1, or the product of the axes between the events and the last.
    rows: usize,
    /// Index of the matrix among the inputs.
    weight: usize,
    bias: Option<usize>,
}

impl Operator for Dense {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let [events, _] = x.dims();
        let weight = inputs.float(self.weight).reshape([self.inputs, self.outputs]);
        let x = if self.rows == 1 { x } else { x.reshape([events * self.rows, self.inputs]) };
        let mut y = x.matmul(weight);
        if let Some(bias) = self.bias {
            y = y + inputs.float(bias);
        }
        let y = if self.rows == 1 { y } else { y.reshape([events, self.rows * self.outputs]) };
        vec![Value::Float(y)]
    }

    fn multiply_adds(&self) -> u64 {
        (self.rows as u64).saturating_mul((self.inputs * self.outputs) as u64)
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let Self { inputs, outputs, .. } = *self;
        let dense =
            KernelOp::Dense { inputs, outputs, weight: self.weight, bias: self.bias, link: Link::None };
        (self.rows == 1).then_some(dense)
    }

    fn as_linear(&mut self) -> Option<Linear<'_>> {
        let Self { outputs, rows, weight, ref mut bias, .. } = *self;
        (rows == 1).then_some(Linear { weight, bias, outputs, per_output: 1 })
    }
}

/// `alpha * A' * B' + beta * C`.
pub(super) fn gemm(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 3)?;
    let (alpha, beta) = (site.float("alpha", 1.0)?, site.float("beta", 1.0)?);
    let (a_turned, b_turned) = (site.flag("transA", false)?, site.flag("transB", false)?);
    site.ignore(&["broadcast"]);
    let a = site.input_of(0, Kind::Float)?.clone();
    let b = site.input_of(1, Kind::Float)?.clone();
    if a.rank() != 2 || b.rank() != 2 {
        refuse!("multiplies values with {} and {} axes; both must have 2", a.rank(), b.rank());
    }
    if a.events.is_some() && a_turned || b.events.is_some() {
        refuse!("{EVENTS_AXIS}");
    }
    if a.events.is_none() {
        return whole_gemm(site, alpha, beta, a_turned, b_turned);
    }
    let (weight, [inputs, outputs]) = weight(site, 1, b_turned, alpha)?;
    if a.dims != [inputs] {
        refuse!("multiplies rows of {} numbers by a matrix of {inputs} rows", a.numbers());
    }
    let output = a.with_dims([outputs]);
    let dense = |site: &mut Site<'_>, bias| {
        let weight = site.replace(1, weight);
        Dense { inputs, outputs, rows: 1, weight, bias }
    };
    if site.has(2) && !site.is_known(2) {
        let c = site.input_of(2, Kind::Float)?;
        if Broadcast::new(c, &output)?.dims != output.dims {
            refuse!("adds a value of shape {:?} to rows of {outputs} numbers", c.dims);
        }
        return Built::one(DenseAnd { dense: dense(site, None), summand: 2, factor: beta }, output);
    }
    let bias = site.has(2).then(|| bias(site.known(2, "C")?, outputs, beta)).transpose()?;
    let bias = bias.map(|bias| site.replace(2, bias));
    Built::one(dense(site, bias), output)
}

/// Rows times a constant matrix, plus a row that depends on the event, times a factor.
#[derive(Debug)]
struct DenseAnd {
    dense: Dense,
    summand: usize,
    factor: f32,
}

impl Operator for DenseAnd {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let summand = inputs.float(self.summand).mul_scalar(self.factor);
        let product = self.dense.run(inputs).swap_remove(0);
        vec![match product {
            Value::Float(product) => Value::Float(product + summand),
            other => other,
        }]
    }

    fn multiply_adds(&self) -> u64 {
        self.dense.multiply_adds()
    }
}

/// Constant input `index` as `[rows, columns]`, transposed if `turned`, times `factor`; a vector is a single column.
fn weight(site: &Site<'_>, index: usize, turned: bool, factor: f32) -> Result<(Constant, [usize; 2]), Fault> {
    let constant = site.known(index, "B")?;
    let (rows, columns, values) = match (&constant.data, &constant.dims[..]) {
        (Data::Floats(values), &[rows, columns]) => (rows, columns, values),
        (Data::Floats(values), &[rows]) => (rows, 1, values),
        _ => refuse!("its input {index} must be a matrix of numbers"),
    };
    let (rows, columns, values) = if turned {
        let turn = |at: usize| values[at % rows * columns + at / rows];
        (columns, rows, (0..rows * columns).map(turn).collect())
    } else {
        (rows, columns, values.clone())
    };
    let values = if factor == 1.0 { values } else { values.iter().map(|value| value * factor).collect() };
    Ok((Constant::floats([rows, columns], values), [rows, columns]))
}

/// The constant to add to every row of `outputs` numbers, times `factor`.
fn bias(constant: &Constant, outputs: usize, factor: f32) -> Result<Constant, Fault> {
    let Data::Floats(values) = &constant.data else { refuse!("its input C must be numbers") };
    let fits = constant.dims.iter().rev().skip(1).all(|&dim| dim == 1)
        && [1, outputs].contains(constant.dims.last().unwrap_or(&1));
    if !fits {
        refuse!("adds a value of shape {:?} to rows of {outputs} numbers", constant.dims);
    }
    let number = |column: usize| values[if values.len() == 1 { 0 } else { column }] * factor;
    Ok(Constant::floats([outputs], (0..outputs).map(number).collect()))
}

/// Gemm of two whole matrices, without events.
#[derive(Debug)]
struct WholeGemm {
    a: [usize; 2],
    b: [usize; 2],
    turned: [bool; 2],
    alpha: f32,
    /// `beta` and the shape of C.
    c: Option<(f32, [usize; 2])>,
}

impl Operator for WholeGemm {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let turn = |x: Tensor<2>, turned| if turned { x.transpose() } else { x };
        let a = turn(inputs.float(0).reshape(self.a), self.turned[0]);
        let b = turn(inputs.float(1).reshape(self.b), self.turned[1]);
        let mut y = a.matmul(b).mul_scalar(self.alpha);
        if let Some((beta, shape)) = self.c {
            y = y + inputs.float(2).reshape(shape).mul_scalar(beta);
        }
        let numbers = y.dims().iter().product();
        vec![Value::Float(y.reshape([1, numbers]))]
    }

    fn multiply_adds(&self) -> u64 {
        let [a, b] = [self.a, self.b].map(|[rows, columns]| (rows * columns) as u64);
        let inner = self.a[usize::from(!self.turned[0])] as u64;
        // Rows times columns of the product times the length of the sum.
        (a / inner.max(1)).saturating_mul(b / inner.max(1)).saturating_mul(inner)
    }
}

fn whole_gemm(
    site: &Site<'_>,
    alpha: f32,
    beta: f32,
    a_turned: bool,
    b_turned: bool,
) -> Result<Built, Fault> {
    let shape = |index: usize| -> Result<[usize; 2], Fault> {
        let dims = &site.input(index)?.dims;
        dims[..].try_into().map_err(|_| format!("its input {index} must be a matrix"))
    };
    let (a, b) = (shape(0)?, shape(1)?);
    let turn = |[rows, columns]: [usize; 2], turned| if turned { [columns, rows] } else { [rows, columns] };
    let ([m, k], [k_b, n]) = (turn(a, a_turned), turn(b, b_turned));
    if k != k_b {
        refuse!("multiplies matrices of shape {a:?} and {b:?}, which do not fit");
    }
    let c = match site.has(2) {
        false => None,
        true => {
            let c = site.input_of(2, Kind::Float)?;
            let product = Type::new(Kind::Float, None, [m, n]);
            if c.events.is_some() || Broadcast::new(c, &product)?.dims != [m, n] {
                refuse!("adds a value of shape {:?} to a matrix of {m} times {n}", c.dims);
            }
            let axes = c.axes();
            Some((beta, [axes[AXES - 2], axes[AXES - 1]]))
        }
    };
    let output = Type::new(Kind::Float, None, [m, n]);
    Built::one(WholeGemm { a, b, turned: [a_turned, b_turned], alpha, c }, output)
}

/// Any product of two values, by the rules of `numpy.matmul`.
#[derive(Debug)]
struct Product {
    operands: [[usize; AXES]; 2],
    multiply_adds: u64,
}

impl Operator for Product {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let [a, b] = self.operands;
        let product = spread(inputs.float(0), a).matmul(spread(inputs.float(1), b));
        vec![Value::Float(rows(product))]
    }

    fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }
}

/// Builds MatMul: the product of the last two axes, for every index of the others.
pub(super) fn matmul(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let a = site.anywhere_of(0, Kind::Float)?.clone();
    let b = site.anywhere_of(1, Kind::Float)?.clone();
    if a.dims.is_empty() || b.rank() == 0 {
        refuse!("multiplies a value with {} axes by one with {}", a.rank(), b.rank());
    }
    // Rows times a matrix, unless the sum is over the events.
    let in_rows = a.events.is_some_and(|layout| layout.at < a.dims.len());
    if in_rows && b.dims.len() <= 2 && site.constant(1).is_some() {
        return dense_rows(site, &a, b.dims.len() == 1);
    }
    // A vector counts as a matrix of one row or column, which the result drops.
    let (a_vector, b_vector) = (a.rank() == 1, b.rank() == 1);
    let row = if a_vector { a.with_dims([1, a.dims[0]]) } else { a.clone() };
    let column = if b_vector { b.with_dims([b.numbers(), 1]) } else { b.clone() };
    let (&[.., m, k], &[.., k_b, n]) = (&row.dims[..], &column.dims[..]) else {
        refuse!("{EVENTS_AXIS}");
    };
    if k != k_b {
        refuse!("multiplies shapes {:?} and {:?}, which do not fit", a.dims, b.dims);
    }
    let joint = Broadcast::but_last(&row, &column, 2)?;
    let batches: usize = joint.dims.iter().product();
    let mut dims = joint.dims;
    dims.extend([m, n].into_iter().zip([a_vector, b_vector]).filter(|&(_, gone)| !gone).map(|(dim, _)| dim));
    let output = Type::new(Kind::Float, joint.events, dims);
    Built::one(Product { operands: joint.operands, multiply_adds: product(&[batches, m, k, n]) }, output)
}

/// Rows times a constant matrix, or a vector: then the result drops the last axis.
fn dense_rows(site: &mut Site<'_>, a: &Type, vector: bool) -> Result<Built, Fault> {
    let (weight, [inputs, outputs]) = weight(site, 1, false, 1.0)?;
    if a.dims.last() != Some(&inputs) {
        refuse!("multiplies rows of {:?} numbers by a matrix of {inputs} rows", a.dims.last());
    }
    let weight = site.replace(1, weight);
    let mut dims = a.dims.clone();
    dims.pop();
    let rows = dims.iter().product();
    dims.extend((!vector).then_some(outputs));
    Built::one(Dense { inputs, outputs, rows, weight, bias: None }, a.with_dims(dims))
}
