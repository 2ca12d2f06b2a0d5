//! What follows a fused kernel for every event: the two scores of one number, the link, the label of the class.
//!
//! ```text
//!   numbers of the kernel --pair, link, norm--> scores --.
//!        `--- or of these -- rule --> class --> label ---+--> what the graph gives, in order
//! ```
//!
//! * I1: a class is that of ONNX Runtime, also where scores are equal: the first of the largest, or above a threshold.
//! * I2: an event whose scores are no numbers has no label.
//!
//! Cost: none where the graph gives the numbers of the kernel and nothing else; else some ten nanoseconds per event, on one number at a time.

use std::collections::HashMap;

use tamis_graph::{ClassRule, Constant, Data, Graph, KernelOp, Kind, Link, Pair, StepInfo};

use crate::fused::FloatRoom;

/// What is made of the numbers of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    /// Numbers per event that the kernel gives.
    numbers: usize,
    pair: Pair,
    /// A logistic function or a softmax that is still to be applied.
    link: Link,
    /// Are the scores brought to a sum of 1 in the end?
    normalise: bool,
    choice: Option<ClassChoice>,
    /// What the graph gives, in order.
    outputs: Vec<Given>,
}

/// How the class follows, and what stands for each class.
#[derive(Clone, Debug)]
pub(crate) struct ClassChoice {
    pub rule: ClassRule,
    /// Is the rule about the scores, and not about the numbers of the kernel?
    pub of_scores: bool,
    pub labels: Vec<f32>,
}

/// One output of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Label,
    Scores,
}

/// The steps behind a kernel, as far as they were read.
#[derive(Debug)]
pub(crate) struct TailSteps {
    finish: Finish,
    /// What is known of values.
    known: HashMap<usize, Known>,
    /// What makes a class of the scores: two of them may be made of one.
    rule: ClassRule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Scores,
    /// The index of a class, before a list of labels is asked.
    Class,
    Label,
}

impl Finish {
    /// Are the numbers of the kernel all that the graph gives?
    pub fn is_plain(&self) -> bool {
        let plain = (self.pair, self.link, self.normalise) == (Pair::None, Link::None, false);
        plain && self.outputs == [Given::Scores]
    }

    /// Does the graph give the label of a class?
    pub fn gives_label(&self) -> bool {
        self.outputs.contains(&Given::Label)
    }

    /// Kind and count of the numbers per event for each output of the graph.
    pub fn outputs(&self) -> Vec<(Kind, usize)> {
        let of = |given: &Given| match given {
            Given::Label => (Kind::Int, 1),
            Given::Scores => (Kind::Float, self.scores()),
        };
        self.outputs.iter().map(of).collect()
    }

    /// Numbers per event that the graph gives.
    fn width(&self) -> usize {
        self.outputs().iter().map(|&(_, count)| count).sum()
    }

    fn scores(&self) -> usize {
        if self.pair == Pair::None { self.numbers } else { 2 }
    }

    /// What the graph gives for whole rows of numbers of the kernel.
    pub fn run(&self, raw: &[f32], numbers: &mut [f32]) {
        let mut scores = Vec::with_capacity(self.scores());
        for (raw, numbers) in raw.chunks_exact(self.numbers).zip(numbers.chunks_exact_mut(self.width())) {
            self.numbers_of(raw, &mut scores, numbers);
        }
    }

    /// Room for one event.
    pub fn room(&self, tile: tamis_kernel::Tile) -> FloatRoom {
        FloatRoom {
            tile,
            raw: vec![0.0; self.numbers],
            scores: Vec::with_capacity(self.scores()),
            numbers: vec![0.0; self.width()],
        }
    }

    /// See [`crate::fused::Fused::read_scores`].
    pub fn read_scores(
        &self,
        room: &mut FloatRoom,
        picks: &[usize],
        at: usize,
        events: usize,
        columns: &mut [&mut [f32]],
    ) {
        let FloatRoom { tile, raw, scores, numbers } = room;
        for event in 0..events {
            for (raw, lanes) in raw.iter_mut().zip(tile.scores()) {
                *raw = lanes.0[event];
            }
            self.numbers_of(raw, scores, numbers);
            for (column, &pick) in columns.iter_mut().zip(picks) {
                column[at + event] = numbers[pick];
            }
        }
    }

    /// What the graph gives, in order, of what the kernel gave for one event.
    fn numbers_of(&self, raw: &[f32], scores: &mut Vec<f32>, mut numbers: &mut [f32]) {
        self.score(raw, scores);
        for given in &self.outputs {
            let count = if *given == Given::Label { 1 } else { scores.len() };
            let (mine, rest) = std::mem::take(&mut numbers).split_at_mut(count);
            match given {
                Given::Label => mine[0] = self.label(raw, scores),
                Given::Scores => mine.copy_from_slice(scores),
            }
            numbers = rest;
        }
    }

    fn score(&self, raw: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        match (self.pair, raw) {
            (Pair::Complement, &[s]) => scores.extend([1.0 - s, s]),
            (Pair::Mirror, &[s]) => scores.extend([-s, s]),
            _ => scores.extend_from_slice(raw),
        }
        match self.link {
            Link::Logistic => scores.iter_mut().for_each(|x| *x = 1.0 / (1.0 + libm::expf(-*x))),
            Link::Softmax => {
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                scores.iter_mut().for_each(|x| *x = libm::expf(*x - largest));
                let sum: f32 = scores.iter().sum();
                scores.iter_mut().for_each(|x| *x /= sum);
            }
            Link::None | Link::SoftmaxZero | Link::Probit => {}
        }
        if self.normalise {
            let sum: f32 = scores.iter().map(|x| x.abs()).sum();
            let sum = if sum == 0.0 { 1.0 } else { sum };
            scores.iter_mut().for_each(|x| *x /= sum);
        }
    }

    fn label(&self, raw: &[f32], scores: &[f32]) -> f32 {
        let Some(choice) = &self.choice else { return f32::NAN };
        let numbers = if choice.of_scores { scores } else { raw };
        if numbers.iter().any(|number| number.is_nan()) {
            return f32::NAN;
        }
        let index = match choice.rule {
            ClassRule::Above { output, threshold } => usize::from(numbers[output as usize] > threshold),
            ClassRule::Largest => {
                let larger = |best, index| if numbers[index] > numbers[best] { index } else { best };
                (1..numbers.len()).fold(0, larger)
            }
        };
        choice.labels[index]
    }
}

impl TailSteps {
    /// Behind a kernel whose numbers are value `at` of the graph. `rule` makes a class of them.
    pub fn of_numbers(at: usize, numbers: usize, rule: ClassRule) -> Self {
        let finish = Finish {
            numbers,
            pair: Pair::None,
            link: Link::None,
            normalise: false,
            choice: None,
            outputs: Vec::new(),
        };
        Self { finish, known: [(at, Known::Scores)].into(), rule }
    }

    /// Behind a step that makes the label of a class first, if there is a choice, and then scores of the `numbers` of a kernel.
    pub fn of_classifier(
        step: &StepInfo<'_>,
        numbers: usize,
        pair: Pair,
        link: Link,
        choice: Option<ClassChoice>,
    ) -> Result<Self, String> {
        if matches!(link, Link::SoftmaxZero | Link::Probit) {
            return Err(format!("the fused kernels do not support the link {link:?}"));
        }
        let roles: &[Known] =
            if choice.is_some() { &[Known::Label, Known::Scores] } else { &[Known::Scores] };
        let made = step.outputs.iter().zip(roles).filter_map(|(slot, &role)| Some(((*slot)?, role)));
        let known = made.collect();
        let finish = Finish { numbers, pair, link, normalise: false, choice, outputs: Vec::new() };
        Ok(Self { finish, known, rule: ClassRule::Largest })
    }

    /// Reads a step. False, if it is none of a tail.
    pub fn add(&mut self, step: &StepInfo<'_>) -> bool {
        let list = step.inputs.first().copied().flatten().and_then(|(_, constant)| constant);
        let values: Vec<usize> =
            step.inputs.iter().flatten().filter(|(_, list)| list.is_none()).map(|&(slot, _)| slot).collect();
        let [from] = values[..] else { return false };
        let (Some(&known), Some(operator), Some(made)) = (self.known.get(&from), step.kernel, step.makes)
        else {
            return false;
        };
        let made_is = match (operator, known) {
            (KernelOp::Identity, known) => known,
            (KernelOp::Normalize, Known::Scores) if !self.finish.normalise => {
                // Who wants the scores before that is not served any more.
                self.known.retain(|_, known| *known != Known::Scores);
                self.finish.normalise = true;
                Known::Scores
            }
            (KernelOp::FirstLargest, Known::Scores) if self.finish.choice.is_none() => {
                let labels = (0..self.finish.scores()).map(|class| class as f32).collect();
                self.finish.choice = Some(ClassChoice { rule: self.rule, of_scores: true, labels });
                Known::Class
            }
            (KernelOp::LookUp, Known::Class) => match (list, &mut self.finish.choice) {
                (Some(list), Some(choice)) if list.len() == choice.labels.len() => {
                    let Some(labels) = numbers(list) else { return false };
                    choice.labels = labels;
                    self.known.retain(|_, known| *known != Known::Class);
                    Known::Label
                }
                _ => return false,
            },
            _ => return false,
        };
        self.known.insert(made, made_is);
        true
    }

    /// What the outputs of the graph are; `None` if one is nothing that was read.
    pub fn finish(mut self, graph: &Graph) -> Option<Finish> {
        for output in graph.outputs() {
            self.finish.outputs.push(match self.known.get(&output.value())? {
                Known::Scores => Given::Scores,
                Known::Class | Known::Label => Given::Label,
            });
        }
        Some(self.finish)
    }
}

/// The numbers of a constant, or the places of its words.
fn numbers(list: &Constant) -> Option<Vec<f32>> {
    match &list.data {
        Data::Ints(labels) => Some(labels.iter().map(|&label| label as f32).collect()),
        Data::Floats(_) | Data::Bools(_) => None,
    }
}
