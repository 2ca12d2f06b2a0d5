//! A chain of layers in the language of the fused kernels: convolutions and poolings on images if there are any, then dense layers, each with an
//! activation, perhaps ending in the error of an autoencoder, or in the label of a class.
//!
//! ```text
//!   Conv Relu MaxPool  Conv Relu MaxPool  Flatten  Gemm Relu  Gemm Softmax
//!   `---- images ----------------------'           `---- layers ---------'    Sub Mul ReduceMean: the error
//!                                                                              ArgMax and a list: the label
//! ```

mod scaling;
#[cfg(test)]
mod tests;

use tamis_graph::{Axis, ClassRule, Constant, Data, Graph, Input, KernelOp, Kind, Link, Pair, StepInfo};
use tamis_kernel::{Activation, Conv, ImageLayer, Layer, Pool, Pooling, Readout};

use self::scaling::Scaling;
use crate::finish::{ClassChoice, Finish, TailSteps};
use crate::front::Front;

/// The parts of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub images: Vec<ImageLayer>,
    pub layers: Vec<Layer>,
    pub readout: Readout,
    pub finish: Finish,
}

/// The part of a chain that was read so far.
#[derive(Default)]
struct ChainReader {
    images: Vec<ImageLayer>,
    layers: Vec<Layer>,
    /// A scaling still to be applied before the next layer.
    waiting: Option<Scaling>,
}

/// Reads a chain of dense layers that gives scores only, or names the first step that is none of it.
pub(crate) fn dense(graph: &Graph) -> Result<(Vec<Layer>, Readout), String> {
    if graph.steps().any(|step| step.forest.is_some()) {
        return Err("it is made of trees".into());
    }
    let Network { images, layers, readout, finish } = Network::read(graph)?;
    if !images.is_empty() {
        let is_on_images = |step: &StepInfo<'_>| {
            use KernelOp::{AveragePool, Conv, MaxPool};
            matches!(step.kernel, Some(Conv { .. } | MaxPool { .. } | AveragePool { .. }))
        };
        let step = graph.steps().find(is_on_images);
        return Err(step.map_or_else(String::new, |step| {
            format!("operator {} ('{}') works on images", step.operator, step.name)
        }));
    }
    if finish.gives_label() {
        return Err(
            "it gives the label of a class; leave that out (tamis model import --outputs=-,p0,p1)".into()
        );
    }
    if !finish.is_plain() {
        return Err("it makes its scores of other numbers".into());
    }
    Ok((layers, readout))
}

impl Network {
    /// Reads a graph, or names the first step that the kernels do not support.
    pub fn read(graph: &Graph) -> Result<Self, String> {
        refuse_integers(graph)?;
        let origins = graph.origins();
        let is_moved = |step: &StepInfo<'_>| step.makes.is_some_and(|made| origins[made].is_some());
        let mut steps = graph.steps().filter(|step| !is_moved(step)).peekable();
        // The value that the chain has come to, and how many numbers it has.
        let mut at = steps.peek().and_then(|step| read_by(step).first().copied()).unwrap_or(0);
        let front = Front::new(origins[at].as_deref().unwrap_or_default());
        let whole = front.is_whole(graph.input_numbers());
        let mut numbers = front.numbers();
        let mut reader = ChainReader::default();
        let mut classifier = None;
        while let Some(step) = steps.peek() {
            let Some(operator) = step.kernel.filter(|_| reads(step, at)) else { break };
            if let KernelOp::Classifier { .. } = operator {
                classifier = reader.classify(step, operator, numbers)?;
                steps.next();
                break;
            }
            let made = step.output.iter().product();
            if !fits(operator, numbers, made) || !reader.add(step, operator)? {
                break;
            }
            at = step.makes.ok_or_else(|| unknown(step))?;
            numbers = made;
            steps.next();
        }
        let rest: Vec<StepInfo<'_>> = steps.collect();
        let (readout, tail) = match classifier {
            Some(tail) => (Readout::Outputs, tail_of(graph, tail, &rest)?),
            None => reader.end(graph, at, numbers, &rest, whole)?,
        };
        if reader.layers.is_empty() {
            let end = graph.steps().last().map_or_else(
                || "it computes nothing".into(),
                |step| format!("it ends with operator {} ('{}')", step.operator, step.name),
            );
            return Err(format!("{end}, and the fused kernels need a dense layer at the end"));
        }
        if !whole {
            if !reader.images.is_empty() {
                return Err("its images are put together of the numbers that go in".into());
            }
            reader.layers.iter_mut().take(1).for_each(|layer| front.spread(layer, graph.input_numbers()));
        }
        Ok(Self { images: reader.images, layers: reader.layers, readout, finish: tail })
    }
}

/// Reads what follows the scores, up to the outputs of the graph.
fn tail_of(graph: &Graph, mut tail: TailSteps, rest: &[StepInfo<'_>]) -> Result<Finish, String> {
    if let Some(step) = rest.iter().find(|step| !tail.add(step)) {
        return Err(unknown(step));
    }
    tail.finish(graph).ok_or_else(|| {
        "an output is neither the numbers at the end of the chain nor the label that follows from them; leave it out if no line needs it \
         (tamis model import --outputs=-,p0,p1)"
            .into()
    })
}

/// Refuses a graph with an input that is none for these kernels.
pub(crate) fn refuse_integers(graph: &Graph) -> Result<(), String> {
    match graph.inputs().iter().find(|input| input.kind != Kind::Float) {
        Some(input) => Err(cut_to_integers(input)),
        None => Ok(()),
    }
}

/// Why an input is none for these kernels.
fn cut_to_integers(input: &Input) -> String {
    format!("its input '{}' is cut to integers, and the fused kernels support only floats", input.name)
}

impl ChainReader {
    /// Adds the layer of a classifier, whose numbers choose the class; what follows them is done one event at a time.
    fn classify(
        &mut self,
        step: &StepInfo<'_>,
        operator: KernelOp,
        numbers: usize,
    ) -> Result<Option<TailSteps>, String> {
        let KernelOp::Classifier { inputs, outputs, weight, bias, pair, link, labels } = operator else {
            return Ok(None);
        };
        let dense = KernelOp::Dense { inputs, outputs, weight, bias: Some(bias), link: Link::None };
        if !fits(dense, numbers, outputs) || !self.add(step, dense)? {
            return Err(unknown(step));
        }
        let rule = match outputs {
            1 => ClassRule::Above { output: 0, threshold: 0.0 },
            _ => ClassRule::Largest,
        };
        let classes = if pair == Pair::None { outputs } else { 2 };
        let labels = match labels.map(|labels| step.inputs.get(labels)) {
            Some(Some(&Some((_, Some(Constant { data: Data::Ints(labels), .. }))))) => {
                labels.iter().map(|&label| label as f32).collect()
            }
            _ => (0..classes).map(|class| class as f32).collect(),
        };
        let choice = Some(ClassChoice { rule, of_scores: false, labels });
        TailSteps::of_classifier(step, outputs, pair, link, choice).map(Some)
    }

    /// Reads what follows the last layer: the error of an autoencoder, the other probability of two, the label.
    fn end(
        &mut self,
        graph: &Graph,
        at: usize,
        numbers: usize,
        rest: &[StepInfo<'_>],
        whole: bool,
    ) -> Result<(Readout, Finish), String> {
        if self.waiting.is_some() {
            return Err(rest.first().map_or("it ends with a scaling behind an activation".into(), unknown));
        }
        let (readout, tail, rest) = match rest {
            [complement, pair, rest @ ..] if self.is_pair(complement, pair, at) => {
                self.layers.last_mut().into_iter().for_each(mirror);
                let made = pair.makes.ok_or_else(|| unknown(pair))?;
                // The first of two equal ones: the second class needs more than one half.
                let rule = ClassRule::Above { output: 1, threshold: 0.5 };
                (Readout::Outputs, TailSteps::of_numbers(made, 2, rule), rest)
            }
            [difference, square, mean, rest @ ..] if whole && is_error(difference, square, mean, at) => {
                let made = mean.makes.ok_or_else(|| unknown(mean))?;
                (Readout::ReconstructionError, TailSteps::of_numbers(made, 1, ClassRule::Largest), rest)
            }
            rest => (Readout::Outputs, TailSteps::of_numbers(at, numbers, ClassRule::Largest), rest),
        };
        Ok((readout, tail_of(graph, tail, rest)?))
    }

    /// Adds a step. False, if it does not belong behind what is there.
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
            | KernelOp::Classifier { .. }
            | KernelOp::FirstLargest
            | KernelOp::LookUp
            | KernelOp::Clip { .. }
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
        // What follows a chain, or stands before trees.
        KernelOp::Classifier { .. } | KernelOp::FirstLargest | KernelOp::LookUp | KernelOp::Clip { .. } => {
            false
        }
    }
}

/// The message for a step that the kernels do not support.
fn unknown(step: &StepInfo<'_>) -> String {
    format!("the fused kernels do not support operator {} ('{}')", step.operator, step.name)
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
