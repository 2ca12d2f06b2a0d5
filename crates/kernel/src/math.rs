//! `exp`, `sigmoid`, `tanh` and softmax: the same fused operations in the same order on every instruction set.
//!
//! | function | error | where |
//! |---|---|---|
//! | [`exp`] | 1.1 ulp | everywhere, results below `f32::MIN_POSITIVE` included |
//! | [`sigmoid`] | 2.5 ulp | results of at least `f32::MIN_POSITIVE`; else below 1.2e-38 |
//! | [`tanh`] | 2.5 ulp | everywhere |
//!
//! An ulp is the distance between the floats around the exact result. The bounds were checked for all 2^32 floats (worst: 1.081, 2.481, 2.457), and
//! are tested on a dense sweep of them.
//!
//! * I1: NaN gives NaN; infinities give the limits.

use crate::simd::Simd;

/// Adding this rounds a float below 2^22 to an integer, which is then in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts.
const LN_2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_2e-9];
/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`, interpolated at Chebyshev nodes; its error in `e^r` is 1.1e-8.
const POLYNOMIAL: [f32; 5] = [0.5, 0.166_665_76, 0.041_666_552, 0.008_363_247, 0.001_392_626_8];

/// From here up `exp` is infinite; from `EXP_MIN` down it is zero. The range between includes subnormal results.
const EXP_MAX: f32 = 89.0;
const EXP_MIN: f32 = -104.0;
/// At this and above, `tanh(x / 2)` is 1.
const TANH_MAX: f32 = 20.0;

/// `x = k ln 2 + r`: `k` as an integer and `e^r - 1`.
#[inline(always)]
fn reduced<S: Simd>(simd: S, x: S::V) -> (S::V, S::V) {
    let round = simd.splat(ROUND);
    let sum = simd.fma(x, simd.splat(std::f32::consts::LOG2_E), round);
    let minus_k = simd.sub(round, sum);
    let r = simd.fma(minus_k, simd.splat(LN_2[0]), x);
    let r = simd.fma(minus_k, simd.splat(LN_2[1]), r);
    let [c2, c3, c4, c5, c6] = POLYNOMIAL;
    let p = simd.fma(simd.splat(c6), r, simd.splat(c5));
    let p = simd.fma(p, r, simd.splat(c4));
    let p = simd.fma(p, r, simd.splat(c3));
    let p = simd.fma(p, r, simd.splat(c2));
    (simd.sub_int(sum, round), simd.fma(simd.mul(r, r), p, r))
}

/// `2^k` of an integer in `-126..=127`.
#[inline(always)]
fn power_of_two<S: Simd>(simd: S, k: S::V) -> S::V {
    simd.shift_left(simd.add_int(k, simd.splat(f32::from_bits(127))), 23)
}

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.splat(EXP_MAX), simd.max(simd.splat(EXP_MIN), x));
    let (k, rest) = reduced(simd, x);
    // In two steps, as 2^128 and subnormal numbers have no exponent of their own.
    let half = simd.shift_right(k, 1);
    let first = power_of_two(simd, half);
    let second = power_of_two(simd, simd.sub_int(k, half));
    simd.mul(simd.mul(simd.add(rest, simd.splat(1.0)), first), second)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::V) -> S::V {
    let one = simd.splat(1.0);
    let e = exp(simd, simd.sub(simd.splat(0.0), x));
    simd.div(one, simd.add(one, e))
}

/// `tanh x`, from `e^2|x| - 1`, which is accurate to the last bits even for small `x`.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::V) -> S::V {
    let sign = simd.and(x, simd.splat(-0.0));
    let twice = simd.and(simd.add(x, x), simd.splat(f32::from_bits(u32::MAX >> 1)));
    let (k, rest) = reduced(simd, simd.min(simd.splat(TANH_MAX), twice));
    let power = power_of_two(simd, k);
    let e = simd.fma(power, rest, simd.sub(power, simd.splat(1.0)));
    simd.or(simd.div(e, simd.add(e, simd.splat(2.0))), sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Level, Work};
    use crate::lanes::{EVENTS, Lanes};

    #[derive(Clone, Copy)]
    enum Curve {
        Exp,
        Sigmoid,
        Tanh,
    }

    struct Apply<'a>(Curve, &'a mut Lanes);

    impl Work for Apply<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for register in 0..EVENTS / S::LANES {
                let x = simd.load(self.1, register);
                let y = match self.0 {
                    Curve::Exp => exp(simd, x),
                    Curve::Sigmoid => sigmoid(simd, x),
                    Curve::Tanh => tanh(simd, x),
                };
                simd.store(self.1, register, y);
            }
        }
    }

    fn apply(level: Level, function: Curve, x: &Lanes) -> Lanes {
        let mut lanes = *x;
        level.run(Apply(function, &mut lanes));
        lanes
    }

    fn exact(function: Curve, x: f64) -> f64 {
        match function {
            Curve::Exp => x.exp(),
            Curve::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Curve::Tanh => x.tanh(),
        }
    }

    /// Distance of the floats around `exact`.
    fn ulp(exact: f64) -> f64 {
        let low = (exact.abs() as f32).min(f32::MAX);
        let low = if f64::from(low) > exact.abs() { low.next_down() } else { low };
        f64::from(low.next_up().min(f32::MAX)) - f64::from(low.min(f32::MAX.next_down()))
    }

    /// Floats `stride` apart over all bit patterns, NaNs and infinities included.
    fn sweep(stride: u32, mut check: impl FnMut(&Lanes)) {
        let mut bits = 0u32;
        loop {
            let mut lanes = Lanes::ZERO;
            for lane in &mut lanes.0 {
                *lane = f32::from_bits(bits);
                bits = bits.saturating_add(stride);
            }
            check(&lanes);
            if bits == u32::MAX {
                return;
            }
        }
    }

    /// The largest error in ulp over the sweep, and over every float whose result is not trivial.
    fn error(function: Curve, floor: f64) -> f64 {
        let level = Level::new(Isa::best()).unwrap();
        let mut worst = (0.0, 0.0);
        sweep(1009, |x| {
            let y = apply(level, function, x);
            for (&x, &y) in x.0.iter().zip(&y.0) {
                let want = exact(function, x.into());
                if x.is_nan() {
                    assert!(y.is_nan(), "a NaN became {y}");
                } else if want as f32 == f32::INFINITY {
                    assert_eq!(y, f32::INFINITY, "{x}");
                } else if want.abs() < floor {
                    assert!((f64::from(y) - want).abs() < floor, "{x}: {y}");
                } else {
                    let error = (f64::from(y) - want).abs() / ulp(want);
                    if error > worst.0 {
                        worst = (error, x);
                    }
                }
            }
        });
        println!("worst: {} ulp at {}", worst.0, worst.1);
        worst.0
    }

    #[test]
    fn exp_is_within_its_bound() {
        assert!(error(Curve::Exp, 0.0) <= 1.1);
    }

    #[test]
    fn sigmoid_is_within_its_bound() {
        assert!(error(Curve::Sigmoid, f32::MIN_POSITIVE.into()) <= 2.5);
    }

    #[test]
    fn tanh_is_within_its_bound() {
        assert!(error(Curve::Tanh, 0.0) <= 2.5);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for function in [Curve::Exp, Curve::Sigmoid, Curve::Tanh] {
            sweep(20_011, |x| {
                let want = apply(Level::new(Isa::Portable).unwrap(), function, x);
                for level in Isa::ALL.into_iter().filter_map(Level::new) {
                    let got = apply(level, function, x);
                    for ((x, want), got) in x.0.iter().zip(&want.0).zip(&got.0) {
                        let same = want.to_bits() == got.to_bits() || want.is_nan() && got.is_nan();
                        assert!(same, "{x}: {want} and on {level:?} {got}");
                    }
                }
            });
        }
    }
}
