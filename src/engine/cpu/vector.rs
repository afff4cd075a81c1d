//! Vector registers, for the tiles of the two products.
//!
//! Loops over arrays become good code for functions of one number a lane, but not reliably for tiles: the compiler
//! sometimes put the accumulators into memory, which was measured at a third of the speed.

/// A fixed number of float32 lanes.
pub(super) trait Vector: Copy {
    /// How many.
    const LANES: usize;

    /// The same number in all lanes.
    fn splat(value: f32) -> Self;

    /// # Safety
    /// `LANES` numbers can be read there.
    #[allow(unsafe_code)]
    unsafe fn load(from: *const f32) -> Self;

    /// # Safety
    /// `LANES` numbers can be written there.
    #[allow(unsafe_code)]
    unsafe fn store(self, to: *mut f32);

    /// `a * b + c`.
    fn mul_add(a: Self, b: Self, c: Self) -> Self;
}

/// Several registers side by side.
#[allow(unsafe_code)]
impl<V: Vector, const N: usize> Vector for [V; N] {
    const LANES: usize = N * V::LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [V::splat(value); N]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        let mut vectors = Self::splat(0.0);
        for part in 0..N {
            // SAFETY: the caller's promise covers all parts.
            vectors[part] = unsafe { V::load(from.add(part * V::LANES)) };
        }
        vectors
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for part in 0..N {
            // SAFETY: the caller's promise covers all parts.
            unsafe { self[part].store(to.add(part * V::LANES)) };
        }
    }

    #[inline(always)]
    fn mul_add(a: Self, b: Self, c: Self) -> Self {
        let mut sums = c;
        for part in 0..N {
            sums[part] = V::mul_add(a[part], b[part], c[part]);
        }
        sums
    }
}

/// A plain number: what a machine without a known instruction set has.
#[cfg(not(target_arch = "aarch64"))]
#[allow(unsafe_code)]
impl Vector for f32 {
    const LANES: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to = self }
    }

    #[inline(always)]
    fn mul_add(a: Self, b: Self, c: Self) -> Self {
        a * b + c
    }
}

/// A register with its four instructions. They are only reached through `InstructionSet::call`, which is only reached
/// on a machine that has them.
macro_rules! register {
    ($register:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, |$a:ident, $b:ident, $c:ident| $fused:expr) => {
        #[allow(unsafe_code)]
        impl Vector for $register {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: the machine has the instruction, see above.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as above, and the caller's promise.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above, and the caller's promise.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            fn mul_add($a: Self, $b: Self, $c: Self) -> Self {
                // SAFETY: the machine has the instruction, see above.
                unsafe { $fused }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use std::arch::x86_64::{__m256, __m512};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_set1_ps, _mm512_storeu_ps,
};

#[cfg(target_arch = "x86_64")]
register!(__m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, |a, b, c| _mm512_fmadd_ps(a, b, c));
#[cfg(target_arch = "x86_64")]
register!(__m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, |a, b, c| _mm256_fmadd_ps(a, b, c));

#[cfg(target_arch = "aarch64")]
pub(super) use std::arch::aarch64::float32x4_t;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32, vld1q_f32, vst1q_f32};

#[cfg(target_arch = "aarch64")]
register!(float32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32, |a, b, c| vfmaq_f32(c, a, b));
