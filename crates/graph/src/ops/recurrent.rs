//! Recurrent layers: LSTM, GRU, RNN. A state goes from step to step of a sequence; every event has its own.
//!
//! ```text
//!   X [steps, N, inputs]     the input, with the events in the middle (in front with layout = 1)
//!   Y [steps, directions, N, hidden]     the state after every step;  Y_h, Y_c [directions, N, hidden]  after the last one
//! ```
//!
//! The products of all steps with W are one product; only those of the state with R are computed step by step. Clipping, peepholes, sequences of
//! different lengths and activations other than the usual ones are refused.

use burn::tensor::{Tensor, activation};

use crate::error::{Fault, refuse};
use crate::layout::Layout;
use crate::operator::{Built, Inputs, Operator, Site, product};
use crate::source::{Constant, Data, Kind};
use crate::value::{Type, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecurrentCell {
    Lstm,
    /// Is the state multiplied by R before it is reset?
    Gru {
        linear_before_reset: bool,
    },
    Tanh,
    Relu,
}

impl RecurrentCell {
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
            Self::Tanh | Self::Relu => 1,
        }
    }
}

/// The layout of the sequences in a value.
#[derive(Clone, Copy, Debug)]
struct Sequences {
    /// Number of sequences in a row; `None` if every row is one sequence, with the events on the batch axis.
    batch: Option<usize>,
    steps: usize,
    inputs: usize,
}

#[derive(Debug)]
struct Recurrent {
    cell: RecurrentCell,
    sequences: Sequences,
    hidden: usize,
    /// For every direction: does it go from the last step to the first?
    backwards: Vec<bool>,
    /// Indices among the inputs: `[directions, inputs, gates * hidden]`, `[directions, hidden, gates * hidden]`, `[directions, gates * hidden]`
    /// twice, the second for the state.
    weights: [usize; 4],
    /// The initial states h and c, if they are not 0.
    initial: [Option<usize>; 2],
    /// Is the batch axis in front?
    batch_first: bool,
}

/// Builds `LSTM`, `GRU`, `RNN`.
pub(super) fn recurrent(site: &mut Site<'_>) -> Result<Built, Fault> {
    let (cell, inputs, outputs) = match site.operator() {
        "LSTM" => (RecurrentCell::Lstm, 7, 3),
        "GRU" => (RecurrentCell::Gru { linear_before_reset: site.flag("linear_before_reset", false)? }, 6, 2),
        "RNN" => (RecurrentCell::Tanh, 6, 2),
        other => refuse!("'{other}' is no recurrent layer"),
    };
    if site.inputs() > inputs {
        refuse!("has peepholes, which are not supported; train it without");
    }
    site.inputs_between(3, inputs)?;
    site.outputs_at_most(outputs)?;
    if site.has(4) {
        refuse!("has sequences of different lengths (sequence_lens), which is not supported; leave them out");
    }
    let backwards = match site.text("direction", "forward")? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => refuse!("its attribute 'direction' is '{other}', must be forward, reverse or bidirectional"),
    };
    let cell = usual(site, cell, backwards.len())?;
    let batch_first = site.flag("layout", false)?;
    let x = site.anywhere_of(0, Kind::Float)?.clone();
    let sequences = sequences(&x, batch_first)?;
    let weights = Weights::read(site, cell, sequences.inputs, backwards.len())?;
    let hidden = weights.hidden;
    let state = |index| initial(site, index, &x, batch_first, backwards.len() * hidden);
    let initial = [state(5)?, if cell == RecurrentCell::Lstm { state(6)? } else { None }];
    let outputs = outputs_of(&x, sequences, backwards.len(), hidden, batch_first, outputs);
    let weights = weights.add(site);
    let operator = Recurrent { cell, sequences, hidden, backwards, weights, initial, batch_first };
    Ok(Built { operator: Box::new(operator), outputs })
}

/// Refuses unusual cells.
fn usual(site: &Site<'_>, cell: RecurrentCell, directions: usize) -> Result<RecurrentCell, Fault> {
    if site.optional_float("clip")?.is_some_and(|clip| clip != 0.0) {
        refuse!("has an attribute 'clip', which is not supported; export the model without it");
    }
    if site.flag("input_forget", false)? {
        refuse!("couples the input and forget gates (input_forget), which is not supported");
    }
    let names = site.texts("activations")?.unwrap_or_default();
    let expected: &[&str] = match cell {
        RecurrentCell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        RecurrentCell::Gru { .. } => &["Sigmoid", "Tanh"],
        RecurrentCell::Tanh | RecurrentCell::Relu => &["Tanh"],
    };
    let all = |expected: &[&str]| {
        names.len() == expected.len() * directions
            && names.chunks(expected.len()).all(|of_one| of_one.iter().eq(expected))
    };
    site.ignore(&["activation_alpha", "activation_beta"]);
    match cell {
        _ if names.is_empty() || all(expected) => Ok(cell),
        RecurrentCell::Tanh if all(&["Relu"]) => Ok(RecurrentCell::Relu),
        _ => refuse!("has the activations {names:?}; only {expected:?} are supported (for RNN also Relu)"),
    }
}

fn sequences(x: &Type, batch_first: bool) -> Result<Sequences, Fault> {
    if x.numbers() == 0 {
        refuse!("works on sequences; its input 0 has shape {:?}, without a number", x.dims);
    }
    let batch_axis = usize::from(!batch_first);
    match (x.events, &x.dims[..]) {
        (Some(layout), &[steps, inputs]) if layout.at == batch_axis => {
            Ok(Sequences { batch: None, steps, inputs })
        }
        (Some(_), [_, _]) => refuse!(
            "goes along the axis of events (its layout is {}): the score of an event would depend on those before it; export the model with \
             batch_first=True, or with a Transpose before it",
            i32::from(batch_first)
        ),
        (None, &[steps, batch, inputs]) if !batch_first => {
            Ok(Sequences { batch: Some(batch), steps, inputs })
        }
        (None, &[batch, steps, inputs]) => Ok(Sequences { batch: Some(batch), steps, inputs }),
        _ => refuse!("works on sequences (three axes); its input has {}", x.rank()),
    }
}

/// The initial state, if there is one: `numbers` per event, or the same for all.
fn initial(
    site: &Site<'_>,
    index: usize,
    x: &Type,
    batch_first: bool,
    numbers: usize,
) -> Result<Option<usize>, Fault> {
    if !site.has(index) {
        return Ok(None);
    }
    let state = site.anywhere_of(index, Kind::Float)?;
    let at = usize::from(!batch_first);
    let fits = match (x.events, state.events) {
        (Some(of_x), Some(of_state)) => {
            of_state.at == at && of_state.matches(of_x) && state.dims.len() == 2 && state.numbers() == numbers
        }
        (Some(_), None) => state.dims.len() == 3 && state.numbers() == numbers,
        (None, None) => state.dims.len() == 3 && state.dims[at] * numbers == state.numbers(),
        (None, Some(_)) => false,
    };
    if !fits {
        refuse!("begins with a state (input {index}) of shape {:?}, which does not fit", state.dims);
    }
    Ok(Some(index))
}

fn outputs_of(
    x: &Type,
    of: Sequences,
    directions: usize,
    hidden: usize,
    batch_first: bool,
    count: usize,
) -> Vec<Type> {
    let place = |at: usize| x.events.map(|layout| Layout { at, ..layout });
    let with_batch = |dims: &[usize], at: usize| {
        let mut dims = dims.to_vec();
        of.batch.iter().for_each(|&batch| dims.insert(at, batch));
        Type::new(Kind::Float, place(at), dims)
    };
    let (of_all, of_last) = if batch_first { (0, 0) } else { (2, 1) };
    let all = with_batch(&[of.steps, directions, hidden], of_all);
    let last = with_batch(&[directions, hidden], of_last);
    [all, last.clone(), last].into_iter().take(count).collect()
}

/// The constants of a layer, for products from the left.
struct Weights {
    hidden: usize,
    directions: usize,
    gates: usize,
    inputs: usize,
    w: Vec<f32>,
    r: Vec<f32>,
    biases: [Vec<f32>; 2],
}

impl Weights {
    fn read(site: &Site<'_>, cell: RecurrentCell, inputs: usize, directions: usize) -> Result<Self, Fault> {
        let stated = site.int("hidden_size")?;
        let floats = |index: usize, what: &str| -> Result<(&[usize], &[f32]), Fault> {
            match site.known(index, what)? {
                Constant { dims, data: Data::Floats(numbers), .. } => Ok((dims, numbers)),
                _ => refuse!("its input {index} ({what}) must be numbers"),
            }
        };
        let ((w_dims, w), (r_dims, r)) = (floats(1, "W")?, floats(2, "R")?);
        let hidden = r_dims.last().copied().unwrap_or(0);
        let gates = cell.gates();
        let wide = gates * hidden;
        if hidden == 0 || w_dims != [directions, wide, inputs] || r_dims != [directions, wide, hidden] {
            refuse!(
                "has weights of shapes {w_dims:?} and {r_dims:?} for {inputs} inputs, {directions} directions and {gates} gates"
            );
        }
        if stated.is_some_and(|stated| stated != hidden as i64) {
            refuse!("its attribute 'hidden_size' is {stated:?}, its weights are for {hidden}");
        }
        let mut biases = [vec![0.0; directions * wide], vec![0.0; directions * wide]];
        if site.has(3) {
            let (dims, numbers) = floats(3, "B")?;
            if dims != [directions, 2 * wide] {
                refuse!("has biases of shape {dims:?}; [{directions}, {}] is expected", 2 * wide);
            }
            let half = |second: usize| {
                let halves = numbers.chunks(wide).skip(second).step_by(2);
                halves.flatten().copied().collect()
            };
            biases = [half(0), half(1)];
        }
        let (w, r) = (turned(w, wide, inputs), turned(r, wide, hidden));
        Ok(Self { hidden, directions, gates, inputs, w, r, biases })
    }

    fn add(self, site: &mut Site<'_>) -> [usize; 4] {
        let Self { directions, hidden, inputs, .. } = self;
        let wide = self.gates * hidden;
        let [of_input, of_state] = self.biases;
        let w = site.replace(1, Constant::floats([directions, inputs, wide], self.w));
        let r = site.replace(2, Constant::floats([directions, hidden, wide], self.r));
        let of_input = site.replace(3, Constant::floats([directions, wide], of_input));
        [w, r, of_input, site.add_constant(Constant::floats([directions, wide], of_state))]
    }
}

/// Transposes contiguous matrices `[rows, columns]`.
fn turned(matrices: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let size = rows * columns;
    let turn = |at: usize| matrices[at / size * size + at % rows * columns + at % size / rows];
    (0..matrices.len()).map(turn).collect()
}

impl Operator for Recurrent {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let Sequences { batch, steps, inputs: width } = self.sequences;
        let hidden = self.hidden;
        let directions = self.backwards.len();
        let x = self.in_rows(inputs.float(0), [steps, width]);
        let [count, _] = x.dims();
        let state = |inputs: &mut Inputs<'_>, index: Option<usize>| {
            let given = index.map(|index| self.in_rows(inputs.float(index), [directions, hidden]));
            let given = given.unwrap_or_else(|| Tensor::zeros([1, directions * hidden], inputs.device));
            given.expand([count, directions * hidden])
        };
        let [h, c] = self.initial.map(|index| state(inputs, index));
        let wide = self.cell.gates() * hidden;
        let [w, r, of_input, of_state] = self.weights.map(|index| inputs.float(index));
        let (mut all, mut last_h, mut last_c) = (Vec::new(), Vec::new(), Vec::new());
        for (direction, &backwards) in self.backwards.iter().enumerate() {
            let part = |all: &Tensor<2>, rows: usize| {
                all.clone().narrow(1, direction * rows * wide, rows * wide).reshape([rows, wide])
            };
            let of_steps = x.clone().reshape([count * steps, width]).matmul(part(&w, width));
            let of_steps = (of_steps + part(&of_input, 1)).reshape([count, steps * wide]);
            let own = |state: &Tensor<2>| state.clone().narrow(1, direction * hidden, hidden);
            let mut state = [own(&h), own(&c)];
            let mut made = Vec::with_capacity(steps);
            for step in 0..steps {
                let at = if backwards { steps - 1 - step } else { step };
                let of_step = of_steps.clone().narrow(1, at * wide, wide);
                state = self.step(of_step, state, part(&r, hidden), part(&of_state, 1));
                made.push(state[0].clone());
            }
            if backwards {
                made.reverse();
            }
            all.push(made);
            let [h, c] = state;
            last_h.push(h);
            last_c.push(c);
        }
        // By step, then by direction.
        let all = (0..steps).flat_map(|step| all.iter().map(move |made| made[step].clone())).collect();
        let outputs = [(all, steps), (last_h, 1), (last_c, 1)];
        let outputs = outputs.map(|(parts, steps)| {
            let rows = Tensor::cat(parts, 1);
            Value::Float(match batch {
                Some(batch) => self.in_one_row(rows, batch, steps),
                None => rows,
            })
        });
        outputs.into()
    }

    fn multiply_adds(&self) -> u64 {
        let Sequences { batch, steps, inputs } = self.sequences;
        let width = inputs + self.hidden;
        product(&[batch.unwrap_or(1), steps, self.backwards.len(), self.cell.gates(), self.hidden, width])
    }
}

impl Recurrent {
    /// A value `[.., batch, ..]` without events as rows, one per sequence; a value with events unchanged.
    fn in_rows(&self, x: Tensor<2>, [slow, fast]: [usize; 2]) -> Tensor<2> {
        match self.sequences.batch {
            None => x,
            Some(batch) if self.batch_first => x.reshape([batch, slow * fast]),
            Some(batch) => x.reshape([slow, batch, fast]).swap_dims(0, 1).reshape([batch, slow * fast]),
        }
    }

    /// The inverse of [`Self::in_rows`], for rows of steps of directions.
    fn in_one_row(&self, rows: Tensor<2>, batch: usize, steps: usize) -> Tensor<2> {
        let [_, numbers] = rows.dims();
        if self.batch_first {
            return rows.reshape([1, batch * numbers]);
        }
        let slow = steps * self.backwards.len();
        rows.reshape([batch, slow, numbers / slow]).swap_dims(0, 1).reshape([1, batch * numbers])
    }

    /// The states h and c after a step, from the input's share of the gates and the previous states.
    fn step(&self, x: Tensor<2>, [h, c]: [Tensor<2>; 2], r: Tensor<2>, bias: Tensor<2>) -> [Tensor<2>; 2] {
        let hidden = self.hidden;
        let gate = |all: &Tensor<2>, number: usize| all.clone().narrow(1, number * hidden, hidden);
        match self.cell {
            RecurrentCell::Tanh => [(x + h.matmul(r) + bias).tanh(), c],
            RecurrentCell::Relu => {
                let sum = x + h.matmul(r) + bias;
                let below = sum.clone().lower_scalar(0.0);
                [sum.mask_fill(below, 0.0), c]
            }
            RecurrentCell::Lstm => {
                let sums = x + h.matmul(r) + bias;
                let [input, output, forget] =
                    [0, 1, 2].map(|number| activation::sigmoid(gate(&sums, number)));
                let c = forget * c + input * gate(&sums, 3).tanh();
                [output * c.clone().tanh(), c]
            }
            RecurrentCell::Gru { linear_before_reset } => {
                let of_state = |h: Tensor<2>, from: usize, gates: usize| {
                    let (r, bias) = (r.clone(), bias.clone());
                    let (from, wide) = (from * hidden, gates * hidden);
                    h.matmul(r.narrow(1, from, wide)) + bias.narrow(1, from, wide)
                };
                let first = of_state(h.clone(), 0, 2);
                let [update, reset] =
                    [0, 1].map(|number| activation::sigmoid(gate(&x, number) + gate(&first, number)));
                let new = if linear_before_reset {
                    reset * of_state(h.clone(), 2, 1)
                } else {
                    of_state(reset * h.clone(), 2, 1)
                };
                let new = (gate(&x, 2) + new).tanh();
                [new.clone() + update * (h - new), c]
            }
        }
    }
}
