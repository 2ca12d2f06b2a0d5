//! Instruction sets: detection, and the single entry point to code that was compiled for one.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Vnni};
use crate::simd::{IntSimd, Portable, Simd};

/// An instruction set that kernels are compiled for. All give the same bits; they differ in speed only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F: 16 events per register. Integer kernels also need BW and VNNI, and use AVX2 where these are missing.
    Avx512,
    /// AVX2 and FMA: 8 events per register.
    Avx2,
    /// Nothing beyond what the target guarantees. On x86-64 each fused multiply-add is a call, and a chain takes about a hundred
    /// times as long as with AVX2; in integers it takes 25 times as long, and forests take twice as long.
    Portable,
}

impl Isa {
    /// Every instruction set, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Does this CPU have the instruction set?
    pub fn is_available(self) -> bool {
        Level::new(self).is_some()
    }

    /// The fastest instruction set of this CPU.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// The name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// An instruction set that this CPU has; the value is the proof.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// AVX-512F, and its integer extensions if the CPU has them.
    #[cfg(target_arch = "x86_64")]
    Avx512 {
        floats: Avx512,
        integers: Option<Avx512<Vnni>>,
    },
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

/// Work that is compiled once for each instruction set.
pub(crate) trait Work {
    /// Does the work. Implementations and everything they call are `#[inline(always)]`: only code inlined into [`Level::run`] is compiled for the
    /// instruction set.
    fn run<S: Simd>(self, simd: S);
}

/// [`Work`] on integers.
pub(crate) trait IntWork {
    /// Like [`Work::run`], but inlined into [`Level::run_int`].
    fn run<S: IntSimd>(self, simd: S);
}

/// Plain loops for the compiler to vectorise, compiled once for each instruction set.
pub trait Loops {
    /// Runs the loops. Implementations and everything they call are `#[inline(always)]`: only code inlined into [`Vectors::run`] is compiled for
    /// the instruction set. The results do not depend on it: Rust neither reorders nor fuses operations on floats.
    fn run(self);
}

/// Runs [`Loops`] with the best instruction set of this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Vectors(Level);

impl Vectors {
    /// The best instruction set of this CPU.
    pub fn best() -> Self {
        Self(Level::new(Isa::best()).expect("the best is available"))
    }

    /// Runs `loops` with this instruction set.
    #[inline]
    pub fn run(self, loops: impl Loops) {
        self.0.run_int(Plain(loops));
    }
}

/// Loops as work that uses no operation of the instruction set directly.
struct Plain<L>(L);

impl<L: Loops> IntWork for Plain<L> {
    #[inline(always)]
    fn run<S: IntSimd>(self, _: S) {
        self.0.run();
    }
}

/// Parameters that suit an instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// [`Simd::NEURONS`].
    pub neurons: usize,
    /// [`Simd::CUTS_PER_STEP`].
    pub cuts_per_step: usize,
}

impl Tuning {
    fn of<S: Simd>() -> Self {
        Self { neurons: S::NEURONS, cuts_per_step: S::CUTS_PER_STEP }
    }
}

impl Level {
    /// The level of `isa`, if this CPU has it.
    pub fn new(isa: Isa) -> Option<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::detect().map(|floats| Self::Avx512 { floats, integers: floats.vnni() }),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::detect().map(Self::Avx2),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => None,
            Isa::Portable => Some(Self::Portable(Portable)),
        }
    }

    /// Every level that this CPU has, including inferior ones.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        let levels = Isa::ALL.into_iter().filter_map(Self::new);
        #[cfg(target_arch = "x86_64")]
        let levels = levels.chain(Avx512::detect().map(|floats| {
            // As on a CPU without the integer extensions.
            Self::Avx512 { floats, integers: None }
        }));
        levels.collect()
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { .. } => Isa::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Isa::Avx2,
            Self::Portable(_) => Isa::Portable,
        }
    }

    /// The parameters for compiling models.
    pub fn tuning(self) -> Tuning {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { .. } => Tuning::of::<Avx512>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Tuning::of::<Avx2>(),
            Self::Portable(_) => Tuning::of::<Portable>(),
        }
    }

    /// The level for integer kernels: this one, or AVX2 where AVX-512 lacks the integer extensions.
    pub fn for_integers(self) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { floats, integers: None } => Self::Avx2(floats.avx2()),
            level => level,
        }
    }

    /// Runs `work` with this instruction set.
    #[inline]
    #[cfg_attr(
        target_arch = "x86_64",
        allow(unsafe_code, reason = "the one call into code for an instruction set")
    )]
    pub fn run(self, work: impl Work) {
        match self {
            // SAFETY: a value of `Avx512` exists only where `Avx512::detect` has seen the feature.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { floats, .. } => unsafe { with_avx512(floats, work) },
            // SAFETY: a value of `Avx2` exists only where `Avx2::detect` has seen both features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { with_avx2(simd, work) },
            Self::Portable(simd) => work.run(simd),
        }
    }

    /// Runs integer `work` with this instruction set, or with AVX2 where AVX-512 lacks the integer extensions.
    #[inline]
    #[cfg_attr(
        target_arch = "x86_64",
        allow(unsafe_code, reason = "the one call into code for an instruction set")
    )]
    pub fn run_int(self, work: impl IntWork) {
        match self {
            // SAFETY: a value of `Avx512<Vnni>` exists only where `Avx512::vnni` has seen the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { integers: Some(simd), .. } => unsafe { with_avx512_vnni(simd, work) },
            // SAFETY: a value of `Avx512` holds one of `Avx2`, which exists only where `Avx2::detect` has seen both features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { floats, integers: None } => unsafe { with_avx2_int(floats.avx2(), work) },
            // SAFETY: a value of `Avx2` exists only where `Avx2::detect` has seen both features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { with_avx2_int(simd, work) },
            Self::Portable(simd) => work.run(simd),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_avx512(simd: Avx512, work: impl Work) {
    work.run(simd);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(simd: Avx2, work: impl Work) {
    work.run(simd);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn with_avx512_vnni(simd: Avx512<Vnni>, work: impl IntWork) {
    work.run(simd);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2_int(simd: Avx2, work: impl IntWork) {
    work.run(simd);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn integers_do_without_avx512_where_it_has_too_little() {
        for level in Level::all() {
            let has = !matches!(level, Level::Avx512 { integers: None, .. });
            assert_eq!(level.for_integers().isa(), if has { level.isa() } else { Isa::Avx2 });
        }
    }

    #[test]
    fn the_best_is_there_and_the_portable_always_is() {
        assert!(Isa::Portable.is_available());
        assert!(Isa::best().is_available());
        for isa in Isa::ALL {
            assert_eq!(Level::new(isa).map(Level::isa), isa.is_available().then_some(isa));
        }
    }
}
