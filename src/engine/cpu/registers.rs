//! The registers of each machine, with their instructions.

/// A register with its instructions. They are only reached through `InstructionSet::call`, which is only reached on a
/// machine that has them.
macro_rules! register {
    (
        $register:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, $stream:ident, $add:ident, $sub:ident, $mul:ident,
        $div:ident, $max:ident, $min:ident, |$a:ident, $b:ident, $c:ident| $fused:expr,
        |$factor:ident, $i:ident, $integer:ident| $scaled:expr, |$p:ident| $parts:expr,
        |$value:ident, $x:ident, $bound:ident| $zero:expr, |$s:ident| $sum:expr, |$l:ident| $largest:expr
    ) => {
        #[allow(unsafe_code)]
        impl Vector for $register {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: the machine has the instruction, see above; so for all that follow.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the caller's promise.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut f32) {
                // SAFETY: the caller's promise.
                unsafe { $stream(to, self) }
            }

            #[inline(always)]
            fn mul_add($a: Self, $b: Self, $c: Self) -> Self {
                unsafe { $fused }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                unsafe { $sub(self, other) }
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                unsafe { $mul(self, other) }
            }

            #[inline(always)]
            fn div(self, other: Self) -> Self {
                unsafe { $div(self, other) }
            }

            #[inline(always)]
            fn at_least(self, bound: Self) -> Self {
                // The second operand is the result where one is not a number.
                unsafe { $max(bound, self) }
            }

            #[inline(always)]
            fn at_most(self, bound: Self) -> Self {
                unsafe { $min(bound, self) }
            }

            #[inline(always)]
            fn scaled(self, $i: Self, $integer: Self) -> Self {
                let $factor = self;
                unsafe { $scaled }
            }

            #[inline(always)]
            fn fraction_and_exponent(self) -> (Self, Self) {
                let $p = self;
                unsafe { $parts }
            }

            #[inline(always)]
            fn zero_where_less(self, $x: Self, $bound: Self) -> Self {
                let $value = self;
                unsafe { $zero }
            }

            #[inline(always)]
            fn sum(self) -> f32 {
                let $s = self;
                unsafe { $sum }
            }

            #[inline(always)]
            fn largest(self) -> f32 {
                let $l = self;
                unsafe { $largest }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::vector::Vector;
    use std::arch::x86_64::*;
    pub(in super::super) use std::arch::x86_64::{__m256, __m512};
    use std::f32::consts::FRAC_1_SQRT_2;

    const ONE: i32 = 1.0f32.to_bits() as i32;
    const LEAST_FRACTION: i32 = FRAC_1_SQRT_2.to_bits() as i32;

    register!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_stream_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        |a, b, c| _mm512_fmadd_ps(a, b, c),
        |factor, _i, integer| _mm512_scalef_ps(factor, integer),
        |number| {
            let bits = _mm512_castps_si512(number);
            let exponent = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(LEAST_FRACTION)));
            let fraction = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(exponent));
            (_mm512_castsi512_ps(fraction), _mm512_cvtepi32_ps(exponent))
        },
        |value, x, bound| _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, bound), _mm512_setzero_ps()),
        |s| _mm512_reduce_add_ps(s),
        |l| _mm512_reduce_max_ps(l)
    );

    register!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_stream_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        |a, b, c| _mm256_fmadd_ps(a, b, c),
        |factor, i, _integer| {
            let power = _mm256_add_epi32(_mm256_slli_epi32::<23>(_mm256_castps_si256(i)), _mm256_set1_epi32(ONE));
            _mm256_mul_ps(factor, _mm256_castsi256_ps(power))
        },
        |number| {
            let bits = _mm256_castps_si256(number);
            let exponent = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(LEAST_FRACTION)));
            let fraction = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(exponent));
            (_mm256_castsi256_ps(fraction), _mm256_cvtepi32_ps(exponent))
        },
        |value, x, bound| _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(x, bound), value),
        |s| {
            let half = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps::<1>(s));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
        },
        |l| {
            let half = _mm_max_ps(_mm256_castps256_ps128(l), _mm256_extractf128_ps::<1>(l));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
        }
    );

    /// Turns a block of 8 x 8 numbers in 24 shuffles.
    ///
    /// # Safety
    /// Both blocks lie within their buffers, and the machine has AVX.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(in super::super) unsafe fn transpose_in_registers(
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            for side in 0..2 {
                // Rows 0 to 3 in the low halves, rows 4 to 7 in the high ones.
                let mut rows = [_mm256_setzero_ps(); 4];
                for row in 0..4 {
                    let low = _mm_loadu_ps(from.add(row * from_stride + 4 * side));
                    let high = _mm_loadu_ps(from.add((row + 4) * from_stride + 4 * side));
                    rows[row] = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
                }
                let [a, b, c, d] = rows;
                let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                let columns = [
                    _mm256_shuffle_ps::<0x44>(ab_low, cd_low),
                    _mm256_shuffle_ps::<0xEE>(ab_low, cd_low),
                    _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
                ];
                for column in 0..4 {
                    _mm256_storeu_ps(to.add((4 * side + column) * to_stride), columns[column]);
                }
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{__m256, __m512, transpose_in_registers};

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::super::vector::Vector;
    pub(in super::super) use std::arch::aarch64::float32x4_t;
    use std::arch::aarch64::*;
    use std::f32::consts::FRAC_1_SQRT_2;

    register!(
        float32x4_t,
        4,
        vdupq_n_f32,
        vld1q_f32,
        vst1q_f32,
        vst1q_f32,
        vaddq_f32,
        vsubq_f32,
        vmulq_f32,
        vdivq_f32,
        vmaxq_f32,
        vminq_f32,
        |a, b, c| vfmaq_f32(c, a, b),
        |factor, i, _integer| {
            let power = vaddq_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(i)), vdupq_n_u32(1.0f32.to_bits()));
            vmulq_f32(factor, vreinterpretq_f32_u32(power))
        },
        |number| {
            let bits = vreinterpretq_s32_f32(number);
            let exponent = vshrq_n_s32::<23>(vsubq_s32(bits, vdupq_n_s32(FRAC_1_SQRT_2.to_bits() as i32)));
            let fraction = vsubq_s32(bits, vshlq_n_s32::<23>(exponent));
            (vreinterpretq_f32_s32(fraction), vcvtq_f32_s32(exponent))
        },
        |value, x, bound| vbslq_f32(vcltq_f32(x, bound), vdupq_n_f32(0.0), value),
        |s| vaddvq_f32(s),
        |l| vmaxvq_f32(l)
    );
}
#[cfg(target_arch = "aarch64")]
pub(super) use neon::float32x4_t;
