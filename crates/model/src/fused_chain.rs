//! Reads a graph as a chain of layers for the fused kernels: convolutions and poolings on images if there are any, then dense layers, each with an
//! activation, possibly ending in the error of an autoencoder.
//!
//! ```text
//!   Conv Relu MaxPool  Conv Relu MaxPool  Flatten  Gemm Relu  Gemm Softmax
//!   `---- images ----------------------'           `---- layers ---------'    Sub Mul ReduceMean: the error
//! ```

mod scaling;
#[cfg(test)]
mod tests;

use tamis_graph::{Axis, Constant, Data, Graph, Input, KernelOp, Kind, Link, StepInfo};
use tamis_kernel::{Activation, Conv, ImageLayer, Layer, Pool, Pooling, Readout};

use self::scaling::Scaling;

/// The parts of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub images: Vec<ImageLayer>,
    pub layers: Vec<Layer>,
    pub readout: Readout,
}

/// The part of a chain that was read so far.
#[derive(Default)]
struct Reader {
    images: Vec<ImageLayer>,
    layers: Vec<Layer>,
    /// A scaling still to be applied before the next layer.
    waiting: Option<Scaling>,
}

/// Reads a chain of dense layers, or names the first step that does not fit.
pub(crate) fn dense(graph: &Graph) -> Result<(Vec<Layer>, Readout), String> {
    let Network { images, layers, readout } = Network::read(graph)?;
    if images.is_empty() {
        return Ok((layers, readout));
    }
    let is_on_images = |step: &StepInfo<'_>| {
        use KernelOp::{AveragePool, Conv, MaxPool};
        matches!(step.kernel, Some(Conv { .. } | MaxPool { .. } | AveragePool { .. }))
    };
    let step = graph.steps().find(is_on_images);
    Err(step.map_or_else(String::new, |step| {
        format!("operator {} ('{}') works on images", step.operator, step.name)
    }))
}

impl Network {
    /// Reads a graph, or names the first step that the kernels do not support.
    pub fn read(graph: &Graph) -> Result<Self, String> {
        let (inputs, outputs) = (graph.inputs(), graph.outputs());
        let ([_], [output]) = (inputs, outputs) else {
            return Err(format!(
                "{} inputs and {} outputs; the fused kernels know one of each",
                inputs.len(),
                outputs.len()
            ));
        };
        if inputs[0].kind != Kind::Float {
            return Err(cut_to_integers(&inputs[0]));
        }
        let mut reader = Reader::default();
        // The value at the end of the chain so far, and how many numbers it has. The input of the graph is value 0.
        let mut at = 0;
        let mut numbers = graph.input_numbers();
        let mut steps = graph.steps().peekable();
        while let Some(step) = steps.peek() {
            let Some(operator) = step.kernel.filter(|_| reads(step, at)) else { break };
            let made = step.output.iter().product();
            if !fits(operator, numbers, made) || !reader.add(step, operator)? {
                break;
            }
            at = step.makes.ok_or_else(|| unknown(step))?;
            numbers = made;
            steps.next();
        }
        let rest: Vec<StepInfo<'_>> = steps.collect();
        let readout = match &rest[..] {
            [] if reader.waiting.is_some() => {
                return Err("it ends with a scaling behind an activation".into());
            }
            [] if at == output.value() => Readout::Outputs,
            [complement, pair]
                if reader.is_pair(complement, pair, at) && pair.makes == Some(output.value()) =>
            {
                reader.layers.last_mut().into_iter().for_each(mirror);
                Readout::Outputs
            }
            [difference, square, mean]
                if reader.waiting.is_none()
                    && is_error(difference, square, mean, at)
                    && mean.makes == Some(output.value()) =>
            {
                Readout::ReconstructionError
            }
            [step, ..] => return Err(unknown(step)),
            [] => return Err("its output is not the end of the chain".into()),
        };
        if reader.layers.is_empty() {
            let end = graph.steps().last().map_or_else(
                || "it computes nothing".into(),
                |step| format!("it ends with operator {} ('{}')", step.operator, step.name),
            );
            return Err(format!("{end}, and the fused kernels need a dense layer at the end"));
        }
        Ok(Self { images: reader.images, layers: reader.layers, readout })
    }
}

/// Why an integer input is refused by these kernels.
pub(crate) fn cut_to_integers(input: &Input) -> String {
    format!("its input '{}' is cut to integers, and the fused kernels know floats", input.name)
}

impl Reader {
    /// Adds a step. Returns false if it cannot follow the chain so far.
    fn add(&mut self, step: &StepInfo<'_>, operator: KernelOp) -> Result<bool, String> {
        let numbers = |input: usize| constant(step, input);
        let or_zeros = |bias: Option<usize>, outputs| {
            bias.map_or_else(|| Ok(vec![0.0; outputs]), |bias| numbers(bias).map(<[f32]>::to_vec))
        };
        let activation = Activation::None;
        match operator {
            KernelOp::Identity => {}
            KernelOp::Dense { inputs, outputs, weight, bias, link } => {
                let activation = match link {
                    Link::None => Activation::None,
                    Link::Logistic => Activation::Sigmoid,
                    Link::Softmax => Activation::Softmax,
                    Link::SoftmaxZero | Link::Probit => return Ok(false),
                };
                let weight = turned(numbers(weight)?, inputs, outputs);
                let bias = or_zeros(bias, outputs)?;
                let mut layer = Layer { inputs, outputs, weight, bias, activation };
                if let Some(scaling) = self.waiting.take() {
                    scaling.fold_into_next(&mut layer)?;
                }
                self.layers.push(layer);
            }
            KernelOp::Scale { means, factors, divisors, summands } => {
                let list = |input: Option<usize>| input.map(numbers).transpose();
                let [means, factors] = [list(means)?, list(factors)?];
                let scaling =
                    Scaling::new(step_numbers(step), means, factors, list(divisors)?, list(summands)?);
                return Ok(self.scale(scaling));
            }
            KernelOp::Normalize => return Ok(self.is_distribution()),
            _ if self.waiting.is_some() => return Ok(false),
            KernelOp::Conv { channels, axes, groups, outputs, weight, bias } if self.layers.is_empty() => {
                let weight = numbers(weight)?.to_vec();
                let bias = or_zeros(bias, outputs)?;
                let axes = axes.map(axis);
                let conv = Conv { channels, axes, groups, outputs, weight, bias, activation };
                self.images.push(ImageLayer::Conv(conv));
            }
            KernelOp::MaxPool { channels, axes } if self.layers.is_empty() => {
                let pool = Pool { channels, axes: axes.map(axis), kind: Pooling::Max, activation };
                self.images.push(ImageLayer::Pool(pool));
            }
            KernelOp::AveragePool { channels, axes, borders } if self.layers.is_empty() => {
                let counts = Axis::counts(&axes, borders).into_iter().map(|count| count as u32).collect();
                let axes = axes.map(axis);
                let kind = Pooling::Average(counts);
                self.images.push(ImageLayer::Pool(Pool { channels, axes, kind, activation }));
            }
            KernelOp::Relu => return Ok(self.activate(Activation::Relu)),
            KernelOp::LeakyRelu { alpha } => return Ok(self.activate(Activation::LeakyRelu(alpha))),
            KernelOp::Tanh => return Ok(self.activate(Activation::Tanh)),
            KernelOp::Sigmoid => return Ok(self.activate(Activation::Sigmoid)),
            KernelOp::Softmax => return Ok(self.activate(Activation::Softmax)),
            KernelOp::Conv { .. }
            | KernelOp::MaxPool { .. }
            | KernelOp::AveragePool { .. }
            | KernelOp::TreeEnsemble => return Ok(false),
        }
        Ok(true)
    }

    /// Folds a scaling into the layer before, or keeps it for the next one. Returns false if it is among layers on images.
    fn scale(&mut self, scaling: Scaling) -> bool {
        if self.layers.is_empty() && !self.images.is_empty() {
            return false;
        }
        match (self.layers.last_mut(), self.waiting.take()) {
            (Some(layer), None) if layer.activation == Activation::None => scaling.fold_into_last(layer),
            (_, Some(before)) => self.waiting = Some(before.then(&scaling)),
            (_, None) => self.waiting = Some(scaling),
        }
        true
    }

    /// Do these steps prepend 1 minus the last number, the probability of one class, to that number?
    fn is_pair(&self, complement: &StepInfo<'_>, pair: &StepInfo<'_>, last: usize) -> bool {
        let one = complement.inputs.first().copied().flatten().and_then(|(_, constant)| constant);
        let is_one = matches!(one.map(|one| &one.data), Some(Data::Floats(one)) if **one == [1.0]);
        let ends = self.waiting.is_none()
            && self
                .layers
                .last()
                .is_some_and(|layer| layer.outputs == 1 && layer.activation == Activation::Sigmoid);
        ends && complement.operator == "Sub"
            && is_one
            && read_by(complement) == [last]
            && pair.operator == "Concat"
            && complement.makes.is_some_and(|made| read_by(pair) == [made, last])
            && step_numbers(pair) == 2
    }

    /// Do the numbers of the last layer sum to 1? Then normalising them changes nothing.
    fn is_distribution(&self) -> bool {
        let Some(last) = self.layers.last().filter(|_| self.waiting.is_none()) else { return false };
        let minus = |pair: (&f32, &f32)| *pair.0 == -*pair.1;
        match last.activation {
            Activation::Softmax => true,
            // The logistic functions of x and -x.
            Activation::Sigmoid if last.outputs == 2 => {
                let (first, second) = last.weight.split_at(last.inputs);
                first.iter().zip(second).all(minus) && last.bias[0] == -last.bias[1]
            }
            _ => false,
        }
    }

    /// Sets the activation of the last layer. Returns false if it has one already or there is no layer.
    fn activate(&mut self, activation: Activation) -> bool {
        let last = match (self.layers.last_mut(), self.images.last_mut()) {
            (Some(layer), _) => &mut layer.activation,
            (None, Some(ImageLayer::Conv(conv))) => &mut conv.activation,
            (None, Some(ImageLayer::Pool(pool))) => &mut pool.activation,
            (None, None) => return false,
        };
        let is_free = *last == Activation::None;
        if is_free {
            *last = activation;
        }
        is_free
    }
}

fn axis(axis: Axis) -> tamis_kernel::ImageAxis {
    let Axis { size, kernel, stride, dilation, begin, windows, .. } = axis;
    tamis_kernel::ImageAxis { size, kernel, stride, dilation, before: begin, windows }
}

/// Can an operator map `from` numbers per event to `to` numbers? No layer broadcasts a value to more numbers.
fn fits(operator: KernelOp, from: usize, to: usize) -> bool {
    match operator {
        KernelOp::Dense { inputs, outputs, .. } => (inputs, outputs) == (from, to),
        KernelOp::Identity
        | KernelOp::Scale { .. }
        | KernelOp::Normalize
        | KernelOp::Relu
        | KernelOp::Tanh
        | KernelOp::Sigmoid
        | KernelOp::LeakyRelu { .. }
        | KernelOp::Softmax => from == to,
        // Layers on images are checked against each other when the chain is made.
        KernelOp::Conv { .. }
        | KernelOp::MaxPool { .. }
        | KernelOp::AveragePool { .. }
        | KernelOp::TreeEnsemble => true,
    }
}

/// The message for a step that the kernels do not support.
fn unknown(step: &StepInfo<'_>) -> String {
    format!("operator {} ('{}') is none that the fused kernels know", step.operator, step.name)
}

/// Is `value` the only value that a step reads?
fn reads(step: &StepInfo<'_>, value: usize) -> bool {
    let mut values = step.inputs.iter().flatten().filter(|(_, constant)| constant.is_none());
    values.next().is_some_and(|&(slot, _)| slot == value) && values.next().is_none()
}

/// Number of output numbers of a step per event.
fn step_numbers(step: &StepInfo<'_>) -> usize {
    step.output.iter().product()
}

/// The indices of the values that a step reads, without constants.
fn read_by(step: &StepInfo<'_>) -> Vec<usize> {
    step.inputs.iter().flatten().filter(|(_, constant)| constant.is_none()).map(|&(slot, _)| slot).collect()
}

/// Turns a layer of one output into one of two: the logistic function of -x is 1 minus that of x.
fn mirror(layer: &mut Layer) {
    let minus = |numbers: &[f32]| -> Vec<f32> { numbers.iter().map(|number| -number).collect() };
    layer.weight = [minus(&layer.weight), layer.weight.clone()].concat();
    layer.bias = [minus(&layer.bias), layer.bias.clone()].concat();
    layer.outputs = 2;
}

/// Do these steps compute the mean squared difference of the input and the last layer?
fn is_error(difference: &StepInfo<'_>, square: &StepInfo<'_>, mean: &StepInfo<'_>, last: usize) -> bool {
    let slots = read_by;
    let mut ends = slots(difference);
    ends.sort_unstable();
    let one_number = mean.output.iter().product::<usize>() == 1;
    difference.operator == "Sub"
        && ends == [0, last]
        && square.operator == "Mul"
        && difference.makes.is_some_and(|made| slots(square) == [made, made])
        && mean.operator == "ReduceMean"
        && square.makes.is_some_and(|made| slots(mean) == [made])
        && one_number
}

/// The numbers of a constant input.
fn constant<'a>(step: &StepInfo<'a>, input: usize) -> Result<&'a [f32], String> {
    match step.inputs.get(input) {
        Some(Some((_, Some(Constant { data: Data::Floats(values), .. })))) => Ok(values),
        _ => Err(unknown(step)),
    }
}

/// Transposes `[inputs, outputs]` to `[outputs, inputs]`.
fn turned(weight: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    (0..inputs * outputs).map(|at| weight[at % inputs * outputs + at / inputs]).collect()
}
