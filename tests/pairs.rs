//! The kernels of pairs of place and token by themselves, against plain loops: ragged sizes, and outputs that hold NaN before.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{NO_DROPOUT, PLAN, activations, assert_close, device, for_each, numbers, padded};
use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::kernels;
use gpu_mlp::engine::gpu::uniforms::{Activations, Cursor};

const POISON: f32 = f32::NAN;
/// Examples, context, vocabulary, hidden units; and examples before those of the chunk.
const SIZES: [[usize; 5]; 4] = [[1, 1, 1, 1, 0], [13, 3, 5, 33, 2], [70, 2, 3, 130, 7], [300, 5, 11, 8, 0]];

/// Contexts in which the last token never occurs, and one token is at the first place of most examples.
fn contexts(examples: usize, context: usize, vocabulary: usize) -> Vec<u32> {
    let token = |i: usize| (i * i + i / 3) % (vocabulary - 1).max(1);
    let at = |i: usize| if i.is_multiple_of(context) && i % 7 < 5 { 0 } else { token(i) };
    (0..examples * context).map(|i| at(i) as u32).collect()
}

/// The constants of the kernels, in workgroups of so many invocations.
fn constants(workgroup: usize, context: usize, vocabulary: usize) -> [(&'static str, f64); 3] {
    [("WORKGROUP", workgroup as f64), ("CONTEXT", context as f64), ("VOCABULARY", vocabulary as f64)]
}

#[test]
fn hidden_units_are_tanh_of_the_terms_of_their_pairs() {
    let Some(mut device) = device() else { return };
    for [rows, context, vocabulary, hidden, first] in SIZES {
        let stride = padded(hidden);
        let mut contexts = contexts(first + rows, context, vocabulary);
        let matrix = |rows: usize, seed| {
            let mut numbers = numbers(rows * stride, seed);
            numbers.chunks_exact_mut(stride).for_each(|row| row[hidden..].fill(0.0));
            numbers
        };
        let (mut terms, mut bias) = (matrix(context * vocabulary, 1), matrix(1, 2));
        // Far beyond the range of tanh.
        terms[0] = 1e30;
        let mut found = vec![POISON; rows * stride];
        run_alone(
            &mut device,
            &kernels::PAIR_HIDDEN,
            &constants(64, context, vocabulary),
            // Fewer workgroups than numbers need: the walk has to go on.
            [for_each(rows * stride / 4)[0].div_ceil(2), 1, 1],
            &mut [
                bytes_of_mut(&mut Activations { first: first as u32, ..activations(rows, hidden) }),
                bytes_of_mut(&mut NO_DROPOUT.clone()),
                cast_slice_mut(&mut contexts),
                cast_slice_mut(&mut terms),
                cast_slice_mut(&mut bias),
                bytes_of_mut(&mut Cursor::at(PLAN.cursor(0))),
                cast_slice_mut(&mut found),
            ],
        )
        .unwrap();
        let mut expected = Vec::new();
        for tokens in contexts[first * context..].chunks_exact(context) {
            for unit in 0..stride {
                let term =
                    |(place, &token): (usize, &u32)| terms[(place * vocabulary + token as usize) * stride + unit];
                let sum: f64 = tokens.iter().enumerate().map(|pair| f64::from(term(pair))).sum();
                expected.push((f64::from(bias[unit]) + sum).tanh());
            }
        }
        assert_close(&format!("hidden, {hidden} units"), &found, &expected, 1e-6);
    }
}

#[test]
fn gradients_are_summed_over_the_examples_of_each_pair() {
    let Some(mut device) = device() else { return };
    // One invocation looks through several examples, or one; all of them are in one slab, or in several; and so many are added at
    // once.
    let ways = [(8, 1000, 4), (64, 1000, 8), (64, 50, 4), (64, 16, 8), (8, 13, 1)];
    for ([rows, context, vocabulary, hidden, first], (workgroup, slab, at_once)) in
        SIZES.into_iter().flat_map(|size| ways.map(|way| (size, way)))
    {
        let stride = padded(hidden);
        let slab = rows.min(slab);
        let slabs = rows.div_ceil(slab);
        let mut contexts = contexts(first + rows, context, vocabulary);
        let mut d_hidden = numbers(rows * stride, 1);
        let mut found = vec![POISON; slabs * context * vocabulary * stride];
        let own = [("SLAB", slab as f64), ("ROWS", f64::from(at_once))];
        run_alone(
            &mut device,
            &kernels::PAIR_SUMS,
            &[&constants(workgroup, context, vocabulary)[..], &own].concat(),
            [vocabulary as u32, context as u32, slabs as u32],
            &mut [
                bytes_of_mut(&mut Activations { first: first as u32, ..activations(rows, hidden) }),
                cast_slice_mut(&mut contexts),
                cast_slice_mut(&mut d_hidden),
                cast_slice_mut(&mut found),
            ],
        )
        .unwrap();
        let mut expected = vec![0.0; found.len()];
        for (example, tokens) in contexts[first * context..].chunks_exact(context).enumerate() {
            for (place, &token) in tokens.iter().enumerate() {
                let pair = (example / slab * context + place) * vocabulary + token as usize;
                let sums = &mut expected[pair * stride..][..stride];
                let gradients = &d_hidden[example * stride..][..stride];
                sums.iter_mut().zip(gradients).for_each(|(sum, &x)| *sum += f64::from(x));
            }
        }
        let what = format!("sums, {rows} examples in workgroups of {workgroup} and slabs of {slab}");
        assert_close(&what, &found, &expected, 1e-6);
    }
}
