//! Running a kernel allocates nothing.

#![allow(unsafe_code, reason = "an allocator that counts has no other form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tamis_kernel::{
    Activation, BranchTest, Chain, ChainRanges, Combine, Conv, Forest, ForestNode, ForestSpec, HiddenBits,
    ImageAxis, ImageLayer, IntChain, IntInput, Isa, Layer, Missing, Pool, Pooling, Readout, Tree,
};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of the thread.
struct Counting;

// SAFETY: every call is forwarded to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn running_allocates_nothing() {
    let layer = |outputs: usize, activation| Layer {
        inputs: 7,
        outputs,
        weight: vec![0.25; 7 * outputs],
        bias: vec![0.5; outputs],
        activation,
    };
    let layers = [layer(7, Activation::Tanh), layer(7, Activation::Sigmoid), layer(3, Activation::Softmax)];
    let chain = Chain::new(&layers, Readout::Outputs).unwrap();
    let [line, points] = [3, 1].map(|kernel| {
        let axis = ImageAxis { size: 7, kernel, before: kernel / 2, windows: 7, ..ImageAxis::FLAT };
        [ImageAxis::FLAT, axis]
    });
    let conv = Conv {
        channels: 1,
        axes: line,
        groups: 1,
        outputs: 1,
        weight: vec![0.5; 3],
        bias: vec![0.0],
        activation: Activation::Tanh,
    };
    let pool = Pool { channels: 1, axes: line, kind: Pooling::Max, activation: Activation::Relu };
    let joined = Pool { channels: 1, axes: points, kind: Pooling::Max, activation: Activation::None };
    let images = [ImageLayer::Pool(pool), ImageLayer::Conv(conv), ImageLayer::Pool(joined)];
    let on_images = Chain::on_images(&images, &layers, Readout::Outputs, Isa::best()).unwrap();
    let input = IntInput { low: -5, high: 5, scale: 0.1, offset: 0.0 };
    let calibration = ChainRanges { inputs: vec![input; 7], hidden: vec![1.0; 2] };
    let ints = IntChain::new(&layers, Readout::Outputs, &calibration, HiddenBits::Sixteen).unwrap();
    // One tree of each form: small, and too large for cuts.
    let staircase = |steps: usize| {
        let step = |i: usize| ForestNode::Branch {
            input: i % 7,
            comparison: [BranchTest::LessOrEqual, BranchTest::Equal][i % 2],
            threshold: i as f32,
            missing: Missing::Yes,
            yes: 2 * i + 1,
            no: 2 * i + 2,
        };
        let mut nodes: Vec<ForestNode> = (0..steps).map(step).collect();
        nodes.extend((0..=steps).map(|i| ForestNode::Leaf { weights: vec![(i % 3, 1.0)] }));
        Tree { nodes }
    };
    let spec = ForestSpec {
        inputs: 7,
        outputs: 3,
        trees: vec![staircase(15), staircase(1023)],
        aggregate: Combine::Sum,
        base: Vec::new(),
    };
    let forest = Forest::new(&spec).unwrap();
    let mut of_chain = chain.tile();
    let mut of_ints = ints.tile();
    let mut of_forest = forest.tile();
    let mut of_images = on_images.tile();
    let rows = vec![1.0; 7 * 1000];
    let int_rows = vec![1; 7 * 1000];
    let mut scores = vec![0.0; 3 * 1000];
    let count = allocations(|| {
        chain.run(&mut of_chain, &rows, &mut scores);
        on_images.run(&mut of_images, &rows, &mut scores);
        ints.run(&mut of_ints, &int_rows, &mut scores);
        forest.run(&mut of_forest, &rows, &mut scores);
    });
    assert_eq!(count, 0);
    assert_eq!(allocations(|| drop(chain.tile())), 4, "the counter counts");
}
