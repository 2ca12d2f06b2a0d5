//! A learner: dense layers in a chain with relu between them; uses burn's automatic differentiation and `AdamW`.
//!
//! One thread and a fixed order of operations: the same seed gives the same weights, bit for bit, on the same kind of machine.

use burn::optim::{AdamW, AdamWConfig, AdamWState, Optimizer};
use burn::tensor::activation::{log_softmax, relu, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::TrainError;
use crate::random::Random;
use crate::recipe::{Architecture, Recipe};
use crate::samples::Rows;

/// Rows per forward pass in evaluation.
const EVALUATION_BATCH: usize = 4096;

/// One trained tensor and its optimiser state.
struct Parameter {
    value: Tensor<2>,
    state: Option<AdamWState<2>>,
}

/// The weights and biases of a trained layer.
pub(crate) struct LayerWeights {
    /// `[in, out]`, row-major.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// The network in training.
pub(crate) struct Learner {
    architecture: Architecture,
    /// Weight `[in, out]` and bias `[1, out]` of every layer, alternating.
    parameters: Vec<Parameter>,
    adam: AdamW,
    device: Device,
}

/// The rows of one training step.
pub(crate) struct MiniBatch {
    pub rows: usize,
    /// Row-major inputs.
    pub inputs: Vec<f32>,
    /// Row-major, classifiers only: the weight of the event at its class, 0 elsewhere.
    pub targets: Vec<f32>,
}

impl Learner {
    /// Random weights after He (uniform, variance 2 / inputs), biases 0.
    pub fn new(recipe: &Recipe, random: &mut Random) -> Self {
        let device = Device::flex();
        let mut parameters = Vec::new();
        for pair in recipe.layers.windows(2) {
            let bound = (6.0 / pair[0] as f32).sqrt();
            let weight: Vec<f32> = (0..pair[0] * pair[1]).map(|_| random.symmetric() * bound).collect();
            let values = [(weight, [pair[0], pair[1]]), (vec![0.0; pair[1]], [1, pair[1]])];
            parameters.extend(values.map(|(values, shape)| Parameter {
                value: Tensor::from_data(TensorData::new(values, shape), &device),
                state: None,
            }));
        }
        let adam =
            AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(recipe.weight_decay as f32).build();
        Self { architecture: recipe.architecture, parameters, adam, device }
    }

    /// One step of `AdamW`. Returns the mean loss of the batch.
    pub fn learn(&mut self, batch: MiniBatch, learning_rate: f64) -> Result<f64, TrainError> {
        let width = batch.inputs.len() / batch.rows;
        let inputs = Tensor::from_data(TensorData::new(batch.inputs, [batch.rows, width]), &self.device);
        let leaves: Vec<Tensor<2>> = self
            .parameters
            .iter()
            .map(|parameter| parameter.value.clone().autodiff().require_grad())
            .collect();
        let last = forward(&leaves, inputs.clone());
        let loss = match self.architecture {
            Architecture::Dense => {
                let classes = batch.targets.len() / batch.rows;
                let targets = TensorData::new(batch.targets, [batch.rows, classes]);
                let targets = Tensor::<2>::from_data(targets, &self.device);
                -(log_softmax(last, 1) * targets).sum() / batch.rows as f32
            }
            Architecture::Autoencoder => {
                let difference = last - inputs;
                (difference.clone() * difference).mean()
            }
        };
        let mut gradients = loss.backward();
        for (parameter, leaf) in self.parameters.iter_mut().zip(&leaves) {
            let gradient = leaf.grad_remove(&mut gradients).expect("every parameter takes part in the loss");
            let state = parameter.state.take();
            (parameter.value, parameter.state) =
                self.adam.step(learning_rate, parameter.value.clone(), gradient, state);
        }
        Ok(f64::from(numbers(loss.inner())?[0]))
    }

    /// The scores of preprocessed rows, one list per output.
    pub fn scores(&self, rows: &Rows, outputs: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut scores = vec![Vec::with_capacity(rows.len()); outputs];
        let parameters: Vec<Tensor<2>> =
            self.parameters.iter().map(|parameter| parameter.value.clone()).collect();
        for chunk in rows.values.chunks(EVALUATION_BATCH * rows.width) {
            let shape = [chunk.len() / rows.width, rows.width];
            let last =
                forward(&parameters, Tensor::from_data(TensorData::new(chunk.to_vec(), shape), &self.device));
            match self.architecture {
                Architecture::Dense => {
                    for row in numbers(softmax(last, 1))?.chunks_exact(outputs) {
                        scores.iter_mut().zip(row).for_each(|(column, &score)| column.push(score));
                    }
                }
                Architecture::Autoencoder => {
                    let last = numbers(last)?;
                    let pairs = chunk.chunks_exact(rows.width).zip(last.chunks_exact(rows.width));
                    scores[0].extend(pairs.map(|(x, y)| mean_squared_error(x, y)));
                }
            }
        }
        Ok(scores)
    }

    /// The weights and biases of every layer.
    pub fn layers(&self) -> Result<Vec<LayerWeights>, TrainError> {
        let layer = |pair: &[Parameter]| {
            Ok(LayerWeights {
                weight: numbers(pair[0].value.clone())?,
                bias: numbers(pair[1].value.clone())?,
            })
        };
        self.parameters.chunks_exact(2).map(layer).collect()
    }
}

fn forward(parameters: &[Tensor<2>], inputs: Tensor<2>) -> Tensor<2> {
    let mut x = inputs;
    let layers = parameters.len() / 2;
    for (index, pair) in parameters.chunks_exact(2).enumerate() {
        x = x.matmul(pair[0].clone()) + pair[1].clone();
        if index + 1 < layers {
            x = relu(x);
        }
    }
    x
}

fn mean_squared_error(x: &[f32], y: &[f32]) -> f32 {
    let sum: f64 = x.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2)).sum();
    (sum / x.len() as f64) as f32
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let fault = |message: String| TrainError::Engine { message };
    let data = tensor.try_into_data().map_err(|error| fault(error.to_string()))?;
    data.try_into_vec().map_err(|error| fault(error.to_string()))
}
