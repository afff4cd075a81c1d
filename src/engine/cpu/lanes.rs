//! Sixteen numbers side by side, and the instruction sets that work on them: [`dispatch`] runs a job compiled for the
//! best one that the machine has.

use bytemuck::{Pod, Zeroable};

#[cfg(target_arch = "x86_64")]
use super::registers;
#[cfg(target_arch = "aarch64")]
use super::registers::float32x4_t;
#[cfg(target_arch = "x86_64")]
use super::registers::{__m256, __m512};
use super::vector::{self, Vector};

/// Numbers in a full vector: one AVX-512 register, two of AVX2, four of NEON.
pub(super) const LANES: usize = 16;

/// A cache line of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [f32; LANES]);

impl Lanes {
    pub(super) const ZERO: Lanes = Lanes([0.0; LANES]);
}

/// An instruction set that jobs are compiled for.
pub(super) trait InstructionSet: Copy {
    /// Rows of a register tile, and its columns in full vectors: as many accumulators as the registers hold beside the
    /// operands.
    const ROWS: usize;
    const COLUMNS: usize;
    /// [`LANES`] numbers in registers.
    type Full: Vector;
    /// Half as many.
    type Half: Vector;

    /// Runs a job in a function of its own that is compiled for this set: once, however many callers it has. (The
    /// products in line at each caller took two minutes to compile.)
    fn call<J: Job>(job: J) -> J::Output;

    /// Turns a block of 8 x 8 numbers: `to[column * to_stride + row] = from[row * from_stride + column]`.
    ///
    /// # Safety
    /// Both blocks lie within their buffers.
    #[allow(unsafe_code)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
}

macro_rules! instruction_set {
    (
        $name:ident, $full:ty, $half:ty, tile: $rows:literal x $columns:literal, transpose: $transpose:path
        $(, features: $features:literal)?
    ) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl InstructionSet for $name {
            const ROWS: usize = $rows;
            const COLUMNS: usize = $columns;
            type Full = $full;
            type Half = $half;

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

            #[inline(always)]
            #[allow(unsafe_code)]
            unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
                // SAFETY: the caller's promise.
                unsafe { $transpose(from, from_stride, to, to_stride) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instruction_set!(Avx512, __m512, __m256, tile: 12 x 2, transpose: registers::transpose_in_registers, features: "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
instruction_set!(Avx2, [__m256; 2], __m256, tile: 6 x 1, transpose: registers::transpose_in_registers, features: "avx2,fma");
#[cfg(target_arch = "aarch64")]
instruction_set!(Neon, [float32x4_t; 4], [float32x4_t; 2], tile: 6 x 1, transpose: vector::transpose_in_memory);
#[cfg(not(target_arch = "aarch64"))]
instruction_set!(Portable, [f32; 16], [f32; 8], tile: 2 x 1, transpose: vector::transpose_in_memory);

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
