//! What stands before a fused kernel: numbers of the event that are moved and left out, and for trees also what is done to each by itself.
//!
//! ```text
//!   numbers of the event --columns--> numbers that the kernel looks at
//!   x --functions--> y,  y <= t       =>       x <= u      where u is the largest number whose y is at most t
//! ```
//!
//! * I1: nothing is done to the events: a layer gets its weights in the order of the event, and a tree gets thresholds for what stands in the event.
//! * I2: a tree decides as it would behind the functions, bit for bit: they are monotonic in `f32`, so `u` is found by halving.

use tamis_graph::{Constant, Data, KernelOp, StepInfo, Test};
use tamis_kernel::Layer;

/// The numbers that go into a kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Front(Vec<FrontColumn>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct FrontColumn {
    /// Which number of the event it is made of.
    input: usize,
    functions: Vec<Monotone>,
}

/// Monotonic functions, as ONNX Runtime computes them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Monotone {
    Minus(f32),
    Times(f32),
    Over(f32),
    Plus(f32),
    Clip(f32, f32),
}

/// `x test threshold`, its two ways perhaps exchanged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Question {
    pub input: usize,
    pub test: Test,
    pub threshold: f32,
    pub exchanged: bool,
}

impl Front {
    /// Numbers of the event, by their places.
    pub fn new(origin: &[i64]) -> Self {
        let column = |&at: &i64| FrontColumn { input: at as usize, functions: Vec::new() };
        Self(origin.iter().map(column).collect())
    }

    /// How many there are.
    pub fn numbers(&self) -> usize {
        self.0.len()
    }

    /// Are they the numbers of an event of `inputs` numbers, as they are?
    pub fn is_whole(&self, inputs: usize) -> bool {
        self.0.len() == inputs
            && self.0.iter().enumerate().all(|(at, column)| column.input == at && column.functions.is_empty())
    }

    /// Makes a layer that reads these columns read whole events of `inputs` numbers instead.
    ///
    /// # Panics
    /// If something is done to the numbers: layers have no thresholds to move.
    pub fn spread(&self, layer: &mut Layer, inputs: usize) {
        assert!(self.0.iter().all(|column| column.functions.is_empty()), "numbers are only moved");
        let mut weight = vec![0.0; layer.outputs * inputs];
        for (row, from) in weight.chunks_mut(inputs).zip(layer.weight.chunks(layer.inputs)) {
            self.0.iter().zip(from).for_each(|(column, weight)| row[column.input] += weight);
        }
        (layer.inputs, layer.weight) = (inputs, weight);
    }

    /// The numbers behind a step that does the same to all events; `None` if it is none of the functions.
    pub fn then(&self, step: &StepInfo<'_>) -> Option<Self> {
        let mut front = self.clone();
        match step.kernel? {
            KernelOp::Identity => {}
            KernelOp::Clip { low, high } if low <= high => {
                front.0.iter_mut().for_each(|column| column.functions.push(Monotone::Clip(low, high)));
            }
            KernelOp::Scale { means, factors, divisors, summands } => {
                front.each(step, means, f32::is_finite, Monotone::Minus)?;
                front.each(step, factors, f32::is_normal, Monotone::Times)?;
                front.each(step, divisors, f32::is_normal, Monotone::Over)?;
                front.each(step, summands, f32::is_finite, Monotone::Plus)?;
            }
            _ => return None,
        }
        Some(front)
    }

    /// Does something to every number, with one parameter for each or one for all.
    fn each(
        &mut self,
        step: &StepInfo<'_>,
        input: Option<usize>,
        fits: impl Fn(f32) -> bool,
        function: fn(f32) -> Monotone,
    ) -> Option<()> {
        let Some(input) = input else { return Some(()) };
        let (_, Some(Constant { data: Data::Floats(numbers), .. })) = (*step.inputs.get(input)?)? else {
            return None;
        };
        let many = numbers.len() == self.0.len();
        if !many && numbers.len() != 1 || !numbers.iter().all(|&number| fits(number)) {
            return None;
        }
        for (at, column) in self.0.iter_mut().enumerate() {
            column.functions.push(function(numbers[if many { at } else { 0 }]));
        }
        Some(())
    }

    /// What a tree that asks about number `feature` asks of the event; `None` if that is no such question.
    pub fn question(&self, feature: usize, test: Test, threshold: f32) -> Option<Question> {
        let FrontColumn { input, functions } = &self.0[feature];
        let input = *input;
        if functions.is_empty() {
            return Some(Question { input, test, threshold, exchanged: false });
        }
        if test == Test::Equal {
            return None;
        }
        let turns = functions.iter().filter(|function| function.falls()).count();
        let holds = |x: f32| test.holds(functions.iter().fold(x, |x, function| function.of(x)), threshold);
        if turns % 2 == 0 {
            // Numbers up to the last that holds.
            let end = first(|x| !holds(x));
            let (test, threshold) = end.map_or((Test::AtMost, f32::INFINITY), |end| (Test::Below, end));
            return Some(Question { input, test, threshold, exchanged: false });
        }
        let begin = first(holds);
        let (test, threshold) = begin.map_or((Test::AtMost, f32::INFINITY), |begin| (Test::Below, begin));
        Some(Question { input, test, threshold, exchanged: true })
    }
}

impl Monotone {
    fn of(self, x: f32) -> f32 {
        match self {
            Self::Minus(mean) => x - mean,
            Self::Times(factor) => x * factor,
            Self::Over(divisor) => x / divisor,
            Self::Plus(summand) => x + summand,
            Self::Clip(low, high) => x.clamp(low, high),
        }
    }

    /// Is it larger where the number is smaller?
    fn falls(self) -> bool {
        matches!(self, Self::Times(by) | Self::Over(by) if by < 0.0)
    }
}

/// The smallest number, infinities included, from which on something holds; `None` if it never does. Zero has one sign here.
fn first(holds: impl Fn(f32) -> bool) -> Option<f32> {
    // The order of numbers is that of integers with a sign.
    let number = |key: i64| f32::from_bits(key.unsigned_abs() as u32).copysign(key as f32);
    let last = i64::from(f32::INFINITY.to_bits());
    let (mut low, mut high) = (-last, last);
    if !holds(number(high)) {
        return None;
    }
    while low < high {
        let middle = low + (high - low).div_euclid(2);
        if holds(number(middle)) { high = middle } else { low = middle + 1 }
    }
    Some(number(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_before_the_functions_has_the_answer_of_that_behind_them() {
        use Monotone::{Clip, Minus, Over, Plus, Times};
        let lists = [
            vec![Minus(0.3), Times(7.1)],
            vec![Minus(1e6), Over(-3.0), Plus(0.1)],
            vec![Times(-1e-30), Over(-1e-20)],
            vec![Clip(-1.0, 2.0), Minus(0.5), Times(-2.5)],
            vec![Times(1e30), Clip(f32::NEG_INFINITY, 1e35)],
        ];
        let ends =
            [f32::NEG_INFINITY, f32::MIN, -0.0, 0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, f32::INFINITY];
        let mut compared = 0;
        for functions in lists {
            let of = |x: f32| functions.iter().fold(x, |x, function| function.of(x));
            let front = Front(vec![FrontColumn { input: 3, functions: functions.clone() }]);
            let middles = (-400..400).map(|at| at as f32 * 0.01).chain(ends);
            let middles: Vec<f32> = middles.flat_map(|x| [x, x.next_up(), x.next_down()]).collect();
            let thresholds = middles.iter().step_by(7).map(|&x| of(x)).chain(ends);
            for threshold in thresholds.flat_map(|y| [y, y.next_up(), y.next_down()]) {
                for test in [Test::AtMost, Test::Below] {
                    let asked = front.question(0, test, threshold).expect("they are monotonic");
                    for &x in middles.iter().filter(|x| !x.is_nan()) {
                        let found = asked.test.holds(x, asked.threshold) != asked.exchanged;
                        let wanted = test.holds(of(x), threshold);
                        assert_eq!(found, wanted, "{functions:?}: {x:e} {test:?} {threshold:e}: {asked:?}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 100_000, "{compared}");
    }
}
