//! The elementary functions, on vectors.

use super::vector::Vector;

/// `e^x` for x of at most 88, with at most 1.3e-7 relative error; 0 below -87. Range reduction and polynomial of Cephes'
/// `expf` (Moshier, public domain).
#[inline(always)]
pub(super) fn exp<V: Vector>(x: V) -> V {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    let rounder = V::splat(12_582_912.0);
    let shifted = V::mul_add(x, V::splat(std::f32::consts::LOG2_E), rounder);
    let integer = shifted.sub(rounder);
    let r = V::mul_add(integer, V::splat(-0.693_359_4), x);
    let r = V::mul_add(integer, V::splat(2.121_944_4e-4), r);
    let mut p = V::splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = V::mul_add(p, r, V::splat(coefficient));
    }
    let fraction = V::mul_add(p.mul(r), r, r).add(V::splat(1.0));
    // Far below, what is computed so far is of no use, and is not used.
    fraction.scaled(shifted, integer).zero_where_less(x, V::splat(-87.0))
}

/// `ln x` of a positive number of full precision, at most 6e-8 of 1 + |ln x| wrong; not a number where x is none or
/// infinite. Polynomial of Cephes' `logf` (Moshier, public domain).
#[inline(always)]
pub(super) fn ln<V: Vector>(x: V) -> V {
    let (fraction, exponent) = x.fraction_and_exponent();
    let r = fraction.sub(V::splat(1.0));
    let mut p = V::splat(7.037_683_6e-2);
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = V::mul_add(p, r, V::splat(coefficient));
    }
    let square = r.mul(r);
    let rest =
        V::mul_add(p.mul(r), square, V::mul_add(exponent, V::splat(-2.121_944_4e-4), square.mul(V::splat(-0.5))));
    // Bits alone would make a finite number of what is none.
    V::mul_add(exponent, V::splat(0.693_359_4), r.add(rest)).add(x.sub(x))
}

/// `tanh x`, at most 4e-7 absolute error. The odd rational function of Eigen's `ptanh` (coefficients from its source,
/// MPL 2.0), exact to float32 beyond its clamp.
#[inline(always)]
pub(super) fn tanh<V: Vector>(x: V) -> V {
    let x = x.at_least(V::splat(-7.905_311)).at_most(V::splat(7.905_311));
    let square = x.mul(x);
    let mut numerator = V::splat(-2.760_768_5e-16);
    for coefficient in [2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619e-4, 4.893_524_6e-3] {
        numerator = V::mul_add(numerator, square, V::splat(coefficient));
    }
    let mut denominator = V::splat(1.198_258_4e-6);
    for coefficient in [1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3] {
        denominator = V::mul_add(denominator, square, V::splat(coefficient));
    }
    x.mul(numerator).div(denominator)
}

/// The slope of tanh where its value was multiplied with a mask that is 0 or 1 / `share_kept`: 1 - tanh^2.
#[inline(always)]
pub(super) fn tanh_slope<V: Vector>(hidden: V, share_kept: V) -> V {
    let tanh = hidden.mul(share_kept);
    V::splat(1.0).sub(tanh.mul(tanh))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::lanes::{InstructionSet, Job, Level, dispatch};

    struct Errors;

    #[inline(always)]
    #[allow(unsafe_code)]
    fn first<V: Vector>(x: V) -> f32 {
        let mut values = [0.0; 16];
        assert!(V::LANES <= values.len());
        // SAFETY: there is room for all lanes.
        unsafe { x.store(values.as_mut_ptr()) };
        assert!(values[..V::LANES].iter().all(|value| value.to_bits() == values[0].to_bits()));
        values[0]
    }

    impl Job for Errors {
        type Output = [f64; 3];

        #[inline(always)]
        fn run<I: InstructionSet>(self) -> [f64; 3] {
            let exp = |x: f32| first(exp(I::Full::splat(x)));
            let tanh = |x: f32| first(tanh(I::Full::splat(x)));
            let ln = |x: f32| first(ln(I::Full::splat(x)));
            let [mut of_exp, mut of_tanh, mut of_ln] = [0f64; 3];
            for step in -87_000..=88_000 {
                let x = step as f32 / 1000.0;
                let right = f64::from(x).exp();
                of_exp = of_exp.max((f64::from(exp(x)) / right - 1.0).abs());
                let of = f64::from(right as f32).ln();
                of_ln = of_ln.max((f64::from(ln(right as f32)) - of).abs() / (1.0 + of.abs()));
                let x = x / 8.0;
                of_tanh = of_tanh.max((f64::from(tanh(x)) - f64::from(x).tanh()).abs());
            }
            assert_eq!([-88.0, -104.0, -2000.0, f32::MIN, f32::NEG_INFINITY].map(exp), [0.0; 5]);
            assert_eq!(exp(0.0), 1.0);
            assert!(tanh(1e30) <= 1.0 && tanh(f32::NAN).is_nan() && exp(f32::NAN).is_nan());
            assert_eq!([ln(1.0), ln(f32::MIN_POSITIVE), ln(f32::MAX)], [0.0, f32::MIN_POSITIVE.ln(), f32::MAX.ln()]);
            assert!(ln(f32::NAN).is_nan() && ln(f32::INFINITY).is_nan());
            [of_exp, of_tanh, of_ln]
        }
    }

    #[test]
    fn they_are_as_exact_as_they_say() {
        for level in Level::available() {
            let [of_exp, of_tanh, of_ln] = dispatch(level, Errors);
            let name = level.name();
            assert!(of_exp < 1.3e-7, "{name}: exp {of_exp:e}");
            assert!(of_tanh < 4e-7, "{name}: tanh {of_tanh:e}");
            assert!(of_ln < 6e-8, "{name}: ln {of_ln:e}");
        }
    }
}
