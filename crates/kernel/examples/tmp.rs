use std::hint::black_box;
use std::time::Instant;
use tamis_kernel::*;
fn number(i: usize) -> f32 {
    f32::from((i.wrapping_mul(2_654_435_761) >> 7) as u16) / 65_536.0 - 0.5
}
fn layers(widths: &[usize], last: Activation) -> Vec<Layer> {
    let count = widths.len() - 1;
    widths
        .windows(2)
        .enumerate()
        .map(|(i, pair)| Layer {
            inputs: pair[0],
            outputs: pair[1],
            weight: (0..pair[0] * pair[1]).map(|i| number(i) / (pair[0] as f32).sqrt()).collect(),
            bias: (0..pair[1]).map(number).collect(),
            activation: if i + 1 == count { last } else { Activation::Relu },
        })
        .collect()
}
fn main() {
    let isa = if std::env::args().nth(1).is_some() { Isa::Avx2 } else { Isa::Avx512 };
    let nets: [(&[usize], Activation, Readout); 7] = [
        (&[57, 32, 16, 3], Activation::Softmax, Readout::Outputs),
        (&[57, 32, 16, 3], Activation::None, Readout::Outputs),
        (&[57, 32], Activation::None, Readout::Outputs),
        (&[57, 64, 32, 1], Activation::Sigmoid, Readout::Outputs),
        (&[16, 64, 32, 32, 5], Activation::Softmax, Readout::Outputs),
        (&[252, 256, 128, 1], Activation::Sigmoid, Readout::Outputs),
        (&[57, 32, 16, 3, 16, 32, 57], Activation::None, Readout::ReconstructionError),
    ];
    for (w, last, readout) in nets {
        let l = layers(w, last);
        let mut out = format!("{w:?} {last:?}: ");
        let chain = Chain::with_isa(&l, readout, isa).unwrap();
        let mut t = chain.tile();
        let mut best = f64::MAX;
        let n = (300_000 / chain.multiply_adds()).max(20);
        for _ in 0..2000 {
            let s = Instant::now();
            for _ in 0..n {
                black_box(t.inputs_mut());
                chain.run_tile(&mut t, EVENTS);
            }
            best = best.min(s.elapsed().as_secs_f64() / (n * EVENTS) as f64 * 1e9);
        }
        let f = best;
        out += &format!("f32 {best:.2}");
        for low in [i16::MIN, -4095] {
            let cal = Calibration {
                inputs: vec![
                    IntInput {
                        low,
                        high: if low == i16::MIN { i16::MAX } else { 4095 },
                        scale: 1e-3,
                        offset: 0.0
                    };
                    w[0]
                ],
                hidden: vec![3.0; w.len() - 2],
            };
            let chain = IntChain::with_isa(&l, readout, &cal, isa).unwrap();
            let mut t = chain.tile();
            let mut best = f64::MAX;
            for _ in 0..2000 {
                let s = Instant::now();
                for _ in 0..n {
                    black_box(t.inputs_mut());
                    chain.run_tile(&mut t, EVENTS);
                }
                best = best.min(s.elapsed().as_secs_f64() / (n * EVENTS) as f64 * 1e9);
            }
            out += &format!(" int {best:.2} ({:.2})", f / best);
        }
        println!("{out}");
    }
}
