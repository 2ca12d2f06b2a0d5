//! A chain of dense layers, run by burn one tile of rows at a time.
//!
//! burn owns the numbers while it computes: a tile is moved in and moved out again, so that nothing is copied on the way in and the tile's
//! memory is allocated once.
//!
//! Threads: tensors are shared by all clones (weights are never written); a tile belongs to one.
//!
//! Cost: two to three operations per layer, each of which allocates its result; nothing per event. In tiles of 512 rows 94 ns per event for
//! 57-32-16-3 with softmax (14 of them), 182 for 57-32-16-3-16-32-57 (Zen 4, one thread).

use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use crate::engine::Engine;
use crate::manifest::{Activation, Manifest, OutputActivation};
use crate::weights::Layer;

/// The weights on a device, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Weight `[in, out]` and bias `[1, out]` of every layer.
    layers: Vec<(Tensor<2>, Tensor<2>)>,
    activation: Activation,
    output_activation: OutputActivation,
    width: usize,
    device: Device,
}

impl Network {
    pub fn new(manifest: &Manifest, layers: &[Layer], engine: Engine) -> Self {
        keep_freed_memory();
        let device = match engine {
            Engine::Flex => Device::flex(),
        };
        let tensor = |values: &[f32], shape: [usize; 2]| {
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let layers = layers.iter().map(|layer| {
            (tensor(&layer.weight, [layer.inputs, layer.outputs]), tensor(&layer.bias, [1, layer.outputs]))
        });
        Self {
            layers: layers.collect(),
            activation: manifest.activation,
            output_activation: manifest.output_activation,
            width: manifest.layers[0],
            device,
        }
    }

    /// The last layer for every row of `tile` (row-major, as wide as the first layer). After an error the tile is empty.
    pub fn run(&self, tile: &mut Vec<f32>) -> Result<Vec<f32>, String> {
        let rows = tile.len() / self.width;
        let input =
            Tensor::from_data(TensorData::new(std::mem::take(tile), [rows, self.width]), &self.device);
        let output = numbers(self.forward(input.clone()))?;
        // The only handle now: the memory comes back without a copy.
        *tile = numbers(input)?;
        Ok(output)
    }

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let mut x = input;
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            x = x.matmul(weight.clone()) + bias.clone();
            if index + 1 < self.layers.len() {
                x = match self.activation {
                    Activation::Relu => relu(x),
                    Activation::Tanh => x.tanh(),
                    Activation::Sigmoid => sigmoid(x),
                };
            }
        }
        match self.output_activation {
            OutputActivation::Softmax => softmax(x, 1),
            OutputActivation::Sigmoid => sigmoid(x),
            OutputActivation::None => x,
        }
    }
}

fn numbers(tensor: Tensor<2>) -> Result<Vec<f32>, String> {
    let data = tensor.try_into_data().map_err(|error| error.to_string())?;
    data.try_into_vec().map_err(|error| error.to_string())
}

/// Tells the C library's allocator not to hand memory back to the system after every tile.
///
/// An engine allocates the result of every operation. Blocks of such a size at the end of the heap are returned when they are freed and must
/// be fetched, page by page, for the next tile: measured, that more than doubles the cost of an event. Freeing one large block raises the
/// allocator's limit (glibc's dynamic threshold) for the whole process; on other systems it does nothing. The block is never touched.
fn keep_freed_memory() {
    const LARGE: usize = 16 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}
