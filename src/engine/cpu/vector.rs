//! Vector registers, for the products and the elementary functions.
//!
//! Loops over arrays become good code for simple functions of one number a lane, but not reliably: the compiler sometimes
//! put a tile's accumulators into memory, or a function of two arrays into code for one number at a time; both were
//! measured at a third of the speed.

use std::f32::consts::FRAC_1_SQRT_2;

use super::lanes::{LANES, Lanes};

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

    /// Stores what is not read again soon: where there is an instruction for it, past the cache, so that memory is not
    /// read before it is written. Such stores are seen by other threads after [`all_streamed`].
    ///
    /// # Safety
    /// `LANES` numbers can be written there, which begin at a multiple of their size.
    #[allow(unsafe_code)]
    unsafe fn stream(self, to: *mut f32);

    /// `a * b + c`.
    fn mul_add(a: Self, b: Self, c: Self) -> Self;

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;

    /// The larger of the two; `self` where it is not a number.
    fn at_least(self, bound: Self) -> Self;
    /// The smaller of the two; `self` where it is not a number.
    fn at_most(self, bound: Self) -> Self;

    /// `self * 2^integer` for integers from -126 to 127; the low bits of `bits` hold the integer as well.
    fn scaled(self, bits: Self, integer: Self) -> Self;

    /// The number as fraction * 2^exponent, with a fraction between the root of a half and that of two. For positive numbers
    /// of full precision.
    fn fraction_and_exponent(self) -> (Self, Self);

    /// Zero where `x < bound`, else `self`.
    fn zero_where_less(self, x: Self, bound: Self) -> Self;

    /// Sum of the lanes.
    fn sum(self) -> f32;
    /// The largest lane.
    fn largest(self) -> f32;
}

/// The numbers of a full vector.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn lanes<V: Vector>(vector: V) -> Lanes {
    assert_eq!(V::LANES, LANES);
    let mut lanes = Lanes::ZERO;
    // SAFETY: there is room for all lanes.
    unsafe { vector.store(lanes.0.as_mut_ptr()) };
    lanes
}

/// Several registers side by side.
macro_rules! each {
    (|$part:ident| $value:expr, $like:expr) => {{
        let mut result = $like;
        for $part in 0..N {
            result[$part] = $value;
        }
        result
    }};
}

#[allow(unsafe_code)]
impl<V: Vector, const N: usize> Vector for [V; N] {
    const LANES: usize = N * V::LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [V::splat(value); N]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise covers all parts.
        each!(|part| unsafe { V::load(from.add(part * V::LANES)) }, Self::splat(0.0))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for part in 0..N {
            // SAFETY: the caller's promise covers all parts.
            unsafe { self[part].store(to.add(part * V::LANES)) };
        }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        for part in 0..N {
            // SAFETY: the caller's promise covers all parts.
            unsafe { self[part].stream(to.add(part * V::LANES)) };
        }
    }

    #[inline(always)]
    fn mul_add(a: Self, b: Self, c: Self) -> Self {
        each!(|part| V::mul_add(a[part], b[part], c[part]), c)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each!(|part| self[part].add(other[part]), self)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each!(|part| self[part].sub(other[part]), self)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each!(|part| self[part].mul(other[part]), self)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        each!(|part| self[part].div(other[part]), self)
    }

    #[inline(always)]
    fn at_least(self, bound: Self) -> Self {
        each!(|part| self[part].at_least(bound[part]), self)
    }

    #[inline(always)]
    fn at_most(self, bound: Self) -> Self {
        each!(|part| self[part].at_most(bound[part]), self)
    }

    #[inline(always)]
    fn scaled(self, bits: Self, integer: Self) -> Self {
        each!(|part| self[part].scaled(bits[part], integer[part]), self)
    }

    #[inline(always)]
    fn fraction_and_exponent(self) -> (Self, Self) {
        let (mut fraction, mut exponent) = (self, self);
        for part in 0..N {
            (fraction[part], exponent[part]) = self[part].fraction_and_exponent();
        }
        (fraction, exponent)
    }

    #[inline(always)]
    fn zero_where_less(self, x: Self, bound: Self) -> Self {
        each!(|part| self[part].zero_where_less(x[part], bound[part]), self)
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let mut total = self[0];
        for part in 1..N {
            total = total.add(self[part]);
        }
        total.sum()
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        let mut largest = self[0];
        for part in 1..N {
            largest = self[part].at_least(largest);
        }
        largest.largest()
    }
}

/// A plain number: what a machine without a known instruction set has, and what the functions are on one number. Its
/// multiply-add is two instructions: a fused one would be a slow function there.
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
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to = self }
    }

    #[inline(always)]
    fn mul_add(a: Self, b: Self, c: Self) -> Self {
        a * b + c
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self / other
    }

    #[inline(always)]
    fn at_least(self, bound: Self) -> Self {
        if self < bound { bound } else { self }
    }

    #[inline(always)]
    fn at_most(self, bound: Self) -> Self {
        if self > bound { bound } else { self }
    }

    #[inline(always)]
    fn scaled(self, bits: Self, _integer: Self) -> Self {
        self * f32::from_bits((bits.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
    }

    #[inline(always)]
    fn fraction_and_exponent(self) -> (Self, Self) {
        let bits = self.to_bits().cast_signed();
        let exponent = bits.wrapping_sub(FRAC_1_SQRT_2.to_bits().cast_signed()) >> 23;
        (f32::from_bits(bits.wrapping_sub(exponent << 23).cast_unsigned()), exponent as f32)
    }

    #[inline(always)]
    fn zero_where_less(self, x: Self, bound: Self) -> Self {
        if x < bound { 0.0 } else { self }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        self
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        self
    }
}

/// Waits until what this thread streamed is in memory; a barrier of threads alone does not.
#[inline(always)]
pub(super) fn all_streamed() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every such machine has the instruction.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Asks memory for the cache line of a place, whatever is there: it comes into the second-level cache. Nothing where there
/// is no such instruction.
#[inline(always)]
pub(super) fn ask_for(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing that the program sees, and fails for no address.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Turns a block of 8 x 8 numbers, one after the other.
///
/// # Safety
/// Both blocks lie within their buffers.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn transpose_in_memory(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    for row in 0..8 {
        for column in 0..8 {
            // SAFETY: the caller's promise.
            unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
        }
    }
}
