//! Sixteen examples side by side, and the elementary functions on them.
//!
//! Loops over arrays of a fixed length become vector instructions when they are compiled for an instruction set, and
//! [`dispatch`] runs a job compiled for the best one that the machine has.

use bytemuck::{Pod, Zeroable};

use super::vector::Vector;
#[cfg(target_arch = "aarch64")]
use super::vector::float32x4_t;
#[cfg(target_arch = "x86_64")]
use super::vector::{__m256, __m512};

/// How many examples a group has: one AVX-512 register, two of AVX2, four of NEON.
pub(super) const LANES: usize = 16;

/// One number of each example in a group; a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [f32; LANES]);

impl Lanes {
    pub(super) const ZERO: Lanes = Lanes([0.0; LANES]);
    pub(super) const ONE: Lanes = Lanes([1.0; LANES]);

    #[inline(always)]
    pub(super) fn map(self, mut function: impl FnMut(f32) -> f32) -> Lanes {
        let mut result = Lanes::ZERO;
        for lane in 0..LANES {
            result.0[lane] = function(self.0[lane]);
        }
        result
    }

    #[inline(always)]
    pub(super) fn zip(self, other: Lanes, mut function: impl FnMut(f32, f32) -> f32) -> Lanes {
        let mut result = Lanes::ZERO;
        for lane in 0..LANES {
            result.0[lane] = function(self.0[lane], other.0[lane]);
        }
        result
    }
}

/// An instruction set that jobs are compiled for.
pub(super) trait InstructionSet: Copy {
    /// Rows of a register tile: as many accumulators of [`LANES`] as the registers hold beside the operands.
    const ROWS: usize;
    /// [`LANES`] numbers in registers.
    type Full: Vector;
    /// Half as many.
    type Half: Vector;

    /// `a * b + c`, in one instruction where the set has one (without it, `f32::mul_add` calls a slow function).
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Runs a job in a function of its own that is compiled for this set: once, however many callers it has. (The
    /// products in line at each caller took two minutes to compile.)
    fn call<J: Job>(job: J) -> J::Output;
}

macro_rules! instruction_set {
    ($name:ident, $full:ty, $half:ty, rows: $rows:literal, fused: $fused:literal $(, features: $features:literal)?) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl InstructionSet for $name {
            const ROWS: usize = $rows;
            type Full = $full;
            type Half = $half;

            #[inline(always)]
            fn mul_add(a: f32, b: f32, c: f32) -> f32 {
                if $fused { a.mul_add(b, c) } else { a * b + c }
            }

            #[allow(unsafe_code)]
            fn call<J: Job>(job: J) -> J::Output {
                $(#[target_feature(enable = $features)])?
                #[inline(never)]
                fn compiled<J: Job>(job: J) -> J::Output {
                    job.run::<$name>()
                }
                // SAFETY: `dispatch` comes here first, with a level that was only made where the machine has it.
                #[allow(unused_unsafe)]
                unsafe {
                    compiled(job)
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instruction_set!(Avx512, __m512, __m256, rows: 12, fused: true, features: "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
instruction_set!(Avx2, [__m256; 2], __m256, rows: 6, fused: true, features: "avx2,fma");
#[cfg(target_arch = "aarch64")]
instruction_set!(Neon, [float32x4_t; 4], [float32x4_t; 2], rows: 6, fused: true);
#[cfg(not(target_arch = "aarch64"))]
instruction_set!(Portable, [f32; 16], [f32; 8], rows: 2, fused: false);

/// The instruction sets by name, as results state them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(not(target_arch = "aarch64"))]
    Portable,
}

impl Level {
    /// The best that this machine has.
    pub(super) fn detect() -> Level {
        Self::available()[0]
    }

    /// All that this machine has, the best first.
    pub(super) fn available() -> Vec<Level> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
        #[cfg(not(target_arch = "aarch64"))]
        levels.push(Level::Portable);
        levels
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "AVX2 + FMA",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "NEON",
            #[cfg(not(target_arch = "aarch64"))]
            Level::Portable => "portable",
        }
    }
}

/// Work that is compiled once for each instruction set. Everything below `run`, closures included, must be
/// `#[inline(always)]`: what is not inlined is compiled for the baseline, where a fused multiply-add is a slow function.
pub(super) trait Job {
    type Output;
    fn run<I: InstructionSet>(self) -> Self::Output;
}

/// Runs a job compiled for an instruction set that [`Level::available`] has listed.
pub(super) fn dispatch<J: Job>(level: Level, job: J) -> J::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Avx512::call(job),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Avx2::call(job),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => Neon::call(job),
        #[cfg(not(target_arch = "aarch64"))]
        Level::Portable => Portable::call(job),
    }
}

/// `e^x`, at most 1.3e-7 relative error between -87 and 88; 0 below. Range reduction and polynomial of Cephes' `expf`
/// (Moshier, public domain).
#[inline(always)]
pub(super) fn exp<I: InstructionSet>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = I::mul_add(clamped, std::f32::consts::LOG2_E, ROUNDER);
    let integer = shifted - ROUNDER;
    let r = I::mul_add(integer, -0.693_359_4, clamped);
    let r = I::mul_add(integer, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = I::mul_add(p, r, coefficient);
    }
    let fraction = I::mul_add(p * r, r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < -87.0 { 0.0 } else { fraction * power }
}

/// `tanh x`, at most 4e-7 absolute error. The odd rational function of Eigen's `ptanh` (coefficients from its source,
/// MPL 2.0), exact to float32 beyond its clamp.
#[inline(always)]
pub(super) fn tanh<I: InstructionSet>(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let square = x * x;
    let mut numerator = -2.760_768_5e-16;
    for coefficient in [2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619e-4, 4.893_524_6e-3] {
        numerator = I::mul_add(numerator, square, coefficient);
    }
    let mut denominator = 1.198_258_4e-6;
    for coefficient in [1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3] {
        denominator = I::mul_add(denominator, square, coefficient);
    }
    x * numerator / denominator
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Errors;

    impl Job for Errors {
        type Output = (f64, f64);

        #[inline(always)]
        fn run<I: InstructionSet>(self) -> (f64, f64) {
            let (mut of_exp, mut of_tanh) = (0f64, 0f64);
            for step in -86_900..=86_900 {
                let x = step as f32 / 1000.0;
                let right = f64::from(x).exp();
                of_exp = of_exp.max((f64::from(exp::<I>(x)) / right - 1.0).abs());
                let x = x / 8.0;
                of_tanh = of_tanh.max((f64::from(tanh::<I>(x)) - f64::from(x).tanh()).abs());
            }
            assert_eq!(exp::<I>(-2000.0), 0.0);
            assert_eq!(exp::<I>(0.0), 1.0);
            assert!(tanh::<I>(1e30) <= 1.0 && tanh::<I>(f32::NAN).is_nan());
            (of_exp, of_tanh)
        }
    }

    #[test]
    fn exp_and_tanh_are_as_exact_as_they_say() {
        for level in Level::available() {
            let (of_exp, of_tanh) = dispatch(level, Errors);
            assert!(of_exp < 1.3e-7 && of_tanh < 4e-7, "{}: exp {of_exp:e}, tanh {of_tanh:e}", level.name());
        }
    }
}
