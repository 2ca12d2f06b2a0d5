//! How fast a device runs dense networks: events per second, and where the time goes.
//!
//! `cargo run --release -p tamis-graph --features gpu --example device -- [ADAPTER]` prints a markdown table. Per batch: the transfer to the device,
//! the computation, the transfer back (each waited for, so together they are slower than the whole), and the whole with two batches under way, as
//! the trigger runs it. Medians of 15 runs after a warm-up; the CPU (`flex`, one thread) stands beside. `scripts/gpu_bench.sh` keeps the result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::{Device, DeviceType, Tensor, TensorData};
use tamis_graph::{Attribute, Constant, Graph, Program, Source};

const NETWORKS: [&[usize]; 5] = [
    &[57, 32, 16, 3],
    &[16, 64, 32, 32, 5],
    &[57, 64, 32, 1],
    &[252, 256, 128, 1],
    &[1024, 1024, 1024, 1024, 10],
];
const BATCHES: [usize; 2] = [4096, 32768];
const RUNS: usize = 15;
/// A batch that takes longer is not measured: a device of software.
const SLOW: Duration = Duration::from_secs(2);

fn main() {
    let wanted = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0usize);
    let kind = DeviceType::Wgpu;
    let mut adapters = Device::enumerate(kind).into_vec();
    if wanted >= adapters.len() {
        eprintln!("device: there is no adapter {wanted}; {} found", adapters.len());
        std::process::exit(69);
    }
    let device = adapters.swap_remove(wanted);
    let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
    println!("Adapter: {name}\n");
    println!(
        "| network | batch | to device, ns/event | compute | back | whole | events/s | flex on one thread, events/s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for widths in NETWORKS {
        let graph = Arc::new(Graph::new(&dense(widths)).expect("a chain is a graph"));
        for batch in BATCHES {
            let network = widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
            let program = Program::new(graph.clone(), &device);
            let Some([there, compute, back, whole]) = measure(&program, &device, widths[0], batch) else {
                eprintln!(
                    "device: {network} in batches of {batch} takes more than {SLOW:?} a batch; left out"
                );
                continue;
            };
            let flex = Device::flex();
            let [.., cpu] = measure(&Program::new(graph.clone(), &flex), &flex, widths[0], batch)
                .expect("the CPU is not that slow");
            println!(
                "| {network} | {batch} | {there:.1} | {compute:.1} | {back:.1} | {whole:.1} | {:.3e} | {:.3e} |",
                1e9 / whole,
                1e9 / cpu
            );
        }
    }
}

/// A chain with relu between the layers, and weights from a formula.
fn dense(widths: &[usize]) -> Source {
    let mut source = Source::new();
    let mut x = source.input("x", [widths[0]]);
    for (index, pair) in widths.windows(2).enumerate() {
        let weight = |at: usize| ((at * 37 + index) % 29) as f32 / 290.0 - 0.05;
        let name = format!("layer{index}");
        let numbers = (0..pair[0] * pair[1]).map(weight).collect();
        let weight =
            source.constant(&format!("{name}.weight"), Constant::floats([pair[1], pair[0]], numbers));
        let bias = source.constant(&format!("{name}.bias"), Constant::floats([pair[1]], vec![0.1; pair[1]]));
        x = source.node("Gemm", &name, &[&x, &weight, &bias], &[("transB", Attribute::Int(1))]);
        if index + 2 < widths.len() {
            x = source.node("Relu", &format!("{name}.relu"), &[&x], &[]);
        }
    }
    source.outputs.push(x);
    source
}

/// ns per event of the transfer there, the computation, the transfer back, and the whole with two batches under way; `None` if it is too slow.
fn measure(program: &Program, device: &Device, width: usize, batch: usize) -> Option<[f64; 4]> {
    let rows = || (0..batch * width).map(|at| (at % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
    let numbers = rows();
    let sync = || device.sync().expect("the device answers");
    // The first ones compile.
    for warm_up in 0..3 {
        let begun = Instant::now();
        program.start(rows(), batch).wait(batch).expect("the device computes");
        if warm_up > 0 && begun.elapsed() > SLOW {
            return None;
        }
    }
    let there = median(|| {
        let data = TensorData::new(numbers.clone(), [batch, width]);
        let begun = Instant::now();
        let tensor = Tensor::<2>::from_data(data, device);
        sync();
        (begun.elapsed(), drop(tensor)).0
    });
    let mut waits = Vec::new();
    let compute = median(|| {
        let input = rows();
        sync();
        let begun = Instant::now();
        let pending = program.start(input, batch);
        sync();
        let computed = begun.elapsed();
        let begun = Instant::now();
        pending.wait(batch).expect("the device computes");
        waits.push(begun.elapsed());
        computed
    });
    let mut waits = waits.into_iter();
    let back = median(|| waits.next().expect("as many as runs"));
    let whole = median(|| {
        let inputs: Vec<Vec<f32>> = (0..8).map(|_| rows()).collect();
        let begun = Instant::now();
        let mut under_way = std::collections::VecDeque::new();
        for input in inputs {
            under_way.push_back(program.start(input, batch));
            if under_way.len() == 2 {
                under_way.pop_front().map(|pending| pending.wait(batch).expect("the device computes"));
            }
        }
        under_way.into_iter().for_each(|pending| drop(pending.wait(batch).expect("the device computes")));
        begun.elapsed() / 8
    });
    // What was started includes the transfer there.
    Some([there, (compute - there).max(0.0), back, whole].map(|ns| ns / batch as f64))
}

/// Median in ns.
fn median(mut run: impl FnMut() -> Duration) -> f64 {
    let mut all: Vec<f64> = (0..RUNS).map(|_| run().as_nanos() as f64).collect();
    all.sort_by(f64::total_cmp);
    all[RUNS / 2]
}
