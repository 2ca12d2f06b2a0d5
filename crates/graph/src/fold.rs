//! Folds per-channel means, factors and summands (batch normalisation) into the weights of the layer before them.
//!
//! ```text
//!   x W + b  ->  (y - m) * f + s        =>        x (W * f) + ((b - m) * f + s)
//! ```
//!
//! This is done only if nothing else uses the value between the two or the weights, and every new weight is finite. The weights
//! are changed in place, so folding needs no memory.

use crate::graph::{Output, Slot, Step};
use crate::kernel_op::Scaling;
use crate::source::Data;

/// Folds every scaling that can be folded and removes its step.
pub(crate) fn scalings(steps: &mut Vec<Step>, values: &mut [Slot], outputs: &[Output]) {
    let mut uses = vec![0usize; values.len()];
    steps.iter().flat_map(|step| step.inputs.iter().flatten()).for_each(|&slot| uses[slot] += 1);
    outputs.iter().for_each(|output| uses[output.slot] += 1);
    // For each value, the kept step that makes it.
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

/// Folds `step` into `maker`; `None` if that is impossible.
fn fold(maker: &mut Step, step: &Step, scaling: Scaling, values: &mut [Slot], uses: &[usize]) -> Option<()> {
    let linear = maker.operator.as_linear().filter(|linear| linear.outputs == scaling.channels)?;
    let outputs = linear.outputs;
    let weight = maker.inputs[linear.weight].filter(|&slot| uses[slot] == 1)?;
    // Every operator adds constants of its own, so the summands can become the bias in place.
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
