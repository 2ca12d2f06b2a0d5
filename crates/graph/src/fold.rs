//! Folds means, factors and summands per channel (batch normalisation) into the weights of the layer that makes the channels.
//!
//! ```text
//!   x W + b  ->  (y - m) * f + s        =>        x (W * f) + ((b - m) * f + s)
//! ```
//!
//! Only if nobody else wants what stands between the two, nobody else uses the weights, and every new weight is a finite number. The weights
//! are changed where they are, so folding needs no memory.

use crate::graph::{Output, Slot, Step};
use crate::kernel_op::Scaling;
use crate::source::Data;

/// Folds whatever can be folded; the folded steps are gone.
pub(crate) fn scalings(steps: &mut Vec<Step>, values: &mut [Slot], outputs: &[Output]) {
    let mut uses = vec![0usize; values.len()];
    steps.iter().flat_map(|step| step.inputs.iter().flatten()).for_each(|&slot| uses[slot] += 1);
    outputs.iter().for_each(|output| uses[output.slot] += 1);
    // Which of the steps that are kept makes a value.
    let mut makers: Vec<Option<usize>> = vec![None; values.len()];
    let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps.drain(..) {
        let maker = step.inputs.first().copied().flatten().filter(|&slot| uses[slot] == 1);
        let maker = maker.and_then(|slot| makers[slot]);
        let folded = match (maker, step.operator.as_scaling()) {
            (Some(maker), Some(scaling)) => {
                fold(&mut kept[maker], &step, scaling, values, &uses).map(|()| maker)
            }
            _ => None,
        };
        let maker = folded.unwrap_or(kept.len());
        step.outputs.iter().flatten().for_each(|&slot| makers[slot] = Some(maker));
        if folded.is_none() {
            kept.push(step);
        }
    }
    *steps = kept;
}

/// Folds `step` into `maker`; `None` if that cannot be.
fn fold(maker: &mut Step, step: &Step, scaling: Scaling, values: &mut [Slot], uses: &[usize]) -> Option<()> {
    let linear = maker.operator.as_linear().filter(|linear| linear.outputs == scaling.channels)?;
    let outputs = linear.outputs;
    let weight = maker.inputs[linear.weight].filter(|&slot| uses[slot] == 1)?;
    // An operator adds its constants for itself, so the summands can become the bias where they are.
    let summand = step.inputs[scaling.summands]?;
    let factors = floats(values, step.inputs[scaling.factors])?;
    let summands = floats(values, Some(summand))?;
    let means = match scaling.means {
        Some(means) => floats(values, step.inputs[means])?.to_vec(),
        None => vec![0.0; outputs],
    };
    let scaled = |(at, number): (usize, &f32)| number * factors[at / linear.per_output % outputs];
    let weights: Vec<f32> = floats(values, Some(weight))?.iter().enumerate().map(scaled).collect();
    let bias = match linear.bias {
        None => None,
        &mut Some(bias) => Some(floats(values, maker.inputs[bias])?),
    };
    let folded = |at: usize| {
        let bias = bias.map_or(0.0, |bias| f64::from(bias[at]));
        let centred = bias - f64::from(means[at]);
        centred.mul_add(f64::from(factors[at]), f64::from(summands[at])) as f32
    };
    let bias: Vec<f32> = (0..outputs).map(folded).collect();
    if !weights.iter().chain(&bias).all(|number| number.is_finite()) {
        return None;
    }
    replace(values, weight, weights);
    replace(values, summand, bias);
    match linear.bias {
        Some(index) => maker.inputs[*index] = Some(summand),
        bias => {
            *bias = Some(maker.inputs.len());
            maker.inputs.push(Some(summand));
        }
    }
    maker.outputs.clone_from(&step.outputs);
    Some(())
}

fn floats(values: &[Slot], slot: Option<usize>) -> Option<&[f32]> {
    match &values[slot?].constant.as_ref()?.data {
        Data::Floats(numbers) => Some(numbers),
        _ => None,
    }
}

fn replace(values: &mut [Slot], slot: usize, numbers: Vec<f32>) {
    if let Some(constant) = &mut values[slot].constant {
        constant.data = Data::Floats(numbers);
    }
}
