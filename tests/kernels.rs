//! Every kernel of the general path by itself, against plain loops: ragged sizes, and outputs that hold NaN before.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{SIZE, activations, assert_close, device, for_each, linked, numbers, padded, table, trimmed};
use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::product::{Form, Layout, Outcome, VARIANTS, Variant};
use gpu_mlp::engine::gpu::uniforms::{Activations, Cursor, Dropout, Extent, Factors, Plan, Product};
use gpu_mlp::engine::gpu::{Device, kernels, workgroups_for_rows};
use gpu_mlp::text::{BatchPlan, Corpus, Order};

const POISON: f32 = f32::NAN;
/// Nothing is dropped.
const NO_DROPOUT: Dropout = Dropout { seed: 0, purpose: 0, threshold: 0, kept: 1.0 };
const PLAN: BatchPlan = BatchPlan { order: Order::Sampled, seed: 0, batch: 1, examples: 1 };

#[test]
fn batches_are_those_of_the_host_bit_for_bit() {
    let Some(mut device) = device() else { return };
    let contexts: Vec<u32> = (0..150).collect();
    let corpus = Corpus::from_examples(&contexts, &(200..250).collect::<Vec<u32>>(), 3);
    // A batch of 70 from 50 examples goes through more than an epoch; step 2^33 needs more than 32 bits.
    for order in [Order::Sampled, Order::Shuffled, Order::Sequential] {
        for (batch, examples) in [(1, 1), (13, 50), (70, 50), (64, 37), (5, 2)] {
            let batches = BatchPlan { order, seed: 0xDEAD_BEEF, batch, examples };
            let mut plan = Plan::new(&batches, 3);
            for first in [0, 3, 1000, (1 << 33) + 5] {
                let mut cursor = Cursor::at(batches.cursor(first));
                for step in first..first + 3 {
                    let (mut found, mut targets) = (vec![u32::MAX; batch as usize * 3], vec![u32::MAX; batch as usize]);
                    run_alone(
                        &mut device,
                        &kernels::DRAW_BATCH,
                        &SIZE,
                        for_each(batch as usize),
                        &mut [
                            bytes_of_mut(&mut plan),
                            cast_slice_mut(&mut corpus.tokens().to_vec()),
                            cast_slice_mut(&mut corpus.targets().to_vec()),
                            bytes_of_mut(&mut cursor),
                            cast_slice_mut(&mut found),
                            cast_slice_mut(&mut targets),
                        ],
                    )
                    .unwrap();
                    let expected = batches.batch(step);
                    for (lane, &example) in expected.iter().enumerate() {
                        let context = &found[lane * 3..lane * 3 + 3];
                        assert_eq!(context, corpus.context_of(example as usize), "{batches:?} step {step} lane {lane}");
                        assert_eq!(targets[lane], corpus.target_of(example as usize));
                    }
                    let mut losses = [POISON; 4];
                    let mut ones = vec![1.0f32; batch as usize];
                    cursor.next.slot = step as u32 % 4;
                    cursor.current = cursor.next;
                    run_alone(
                        &mut device,
                        &kernels::LOSS_MEAN,
                        &[],
                        [1, 1, 1],
                        &mut [
                            bytes_of_mut(&mut plan),
                            cast_slice_mut(&mut ones),
                            bytes_of_mut(&mut cursor),
                            cast_slice_mut(&mut losses),
                        ],
                    )
                    .unwrap();
                    assert_eq!(losses[step as usize % 4], 1.0);
                    let mut next = Cursor::at(batches.cursor(step + 1)).next;
                    next.slot = cursor.current.slot + 1;
                    // The epoch of the cursor counts modulo 2^32 on both sides.
                    assert_eq!(cursor.next, next, "{batches:?} after step {step}");
                }
            }
        }
    }
}

#[test]
fn a_gather_takes_rows_of_the_table() {
    let Some(mut device) = device() else { return };
    for (batch, context, embedding, stride) in
        [(1, 1, 1, 1), (13, 5, 7, 7), (13, 5, 7, 8), (32, 3, 10, 10), (250, 4, 30, 32)]
    {
        let columns = context * embedding;
        let rows = numbers(31 * stride, 1);
        let mut contexts: Vec<u32> = (0..(batch * context) as u32).map(|i| i * i % 31).collect();
        let mut input = vec![POISON; batch * padded(columns)];
        // The rows in two parts, for all examples but the first.
        for part in [0..20, 20..31] {
            let first = usize::from(batch > 1);
            let mut sizes = Activations { first: first as u32, ..activations(batch - first, columns) };
            run_alone(
                &mut device,
                &kernels::EMBEDDING_GATHER,
                &SIZE,
                // Fewer workgroups than elements need: the walk has to go on.
                [for_each(batch * columns)[0].div_ceil(2), 1, 1],
                &mut [
                    bytes_of_mut(&mut sizes),
                    bytes_of_mut(&mut table(&part, embedding, stride)),
                    bytes_of_mut(&mut NO_DROPOUT.clone()),
                    cast_slice_mut(&mut contexts),
                    cast_slice_mut(&mut rows[part.start * stride..part.end * stride].to_vec()),
                    bytes_of_mut(&mut Cursor::at(PLAN.cursor(0))),
                    cast_slice_mut(&mut input[..(batch - first) * padded(columns)]),
                ],
            )
            .unwrap();
        }
        let (first, batch) = if batch > 1 { (context, batch - 1) } else { (0, batch) };
        let row = |&token: &u32| rows[token as usize * stride..][..embedding].to_vec();
        let expected: Vec<f32> = contexts[first..].iter().flat_map(row).collect();
        assert_eq!(trimmed(&input, batch, columns), expected);
    }
}

/// A matrix in rows that begin at multiples of 4 numbers; zeros fill them up.
fn padded_numbers(rows: usize, columns: usize, seed: usize) -> Vec<f32> {
    let mut matrix = numbers(rows * padded(columns), seed);
    matrix.chunks_exact_mut(padded(columns)).for_each(|row| row[columns..].fill(0.0));
    matrix
}

/// The slot of the current step, and its rate: other slots have other ones.
fn rates(rate: f32) -> ([Factors; 3], Cursor) {
    let mut cursor = Cursor::at(PLAN.cursor(0));
    cursor.current.slot = 2;
    ([9.0, 9.0, rate].map(|rate| Factors { rate, velocity: 7.0, squares: 7.0, keeps: 7.0 }), cursor)
}

/// A product with its matrices, each of which begins at some place of its binding.
struct Multiplication {
    product: Product,
    form: Form,
    left: Vec<f32>,
    right: Vec<f32>,
    bias: Vec<f32>,
}

const BEFORE: f32 = 0.5;
const RATE: f32 = 0.25;
/// Numbers before the result, and before the sums of rows.
const OUT_FIRST: usize = 12;
const SUMS_FIRST: usize = 4;

impl Multiplication {
    fn new([rows, columns, inner]: [usize; 3], form: Form, part: usize) -> Self {
        let left = match form.layout {
            Layout::LeftTransposed => [inner, rows],
            Layout::Plain | Layout::RightTransposed => [rows, inner],
        };
        let right = match form.layout {
            Layout::RightTransposed => [columns, inner],
            Layout::Plain | Layout::LeftTransposed => [inner, columns],
        };
        let out = padded(columns) + 4;
        let product = Product::new([rows, columns, inner], padded(left[1]), padded(right[1]), out)
            .in_parts(padded(part), rows * out)
            .left_from(8)
            .bias_from(4)
            .out_from(OUT_FIRST)
            .sums_from(SUMS_FIRST);
        Multiplication {
            product,
            form,
            left: [vec![POISON; 8], padded_numbers(left[0], left[1], 1)].concat(),
            right: padded_numbers(right[0], right[1], 2),
            bias: [vec![POISON; 4], numbers(columns, 3), vec![0.0; padded(columns) - columns]].concat(),
        }
    }

    fn left_of(&self, row: usize, k: usize) -> f64 {
        let (r, c) = if self.form.layout == Layout::LeftTransposed { (k, row) } else { (row, k) };
        self.left[8 + r * self.product.left as usize + c].into()
    }

    fn right_of(&self, k: usize, column: usize) -> f64 {
        let (r, c) = if self.form.layout == Layout::RightTransposed { (column, k) } else { (k, column) };
        self.right[r * self.product.right as usize + c].into()
    }

    fn after(&self, sum: f64) -> f64 {
        match self.form.outcome {
            Outcome::Written => sum,
            Outcome::Added => f64::from(BEFORE) + sum,
            Outcome::Stepped => f64::from(BEFORE) - f64::from(RATE) * sum,
        }
    }

    /// What the result and the sums of rows must hold; NaN where nothing may be written.
    fn expected(&self) -> (Vec<f64>, Vec<f64>) {
        let Product { rows, columns, inner, out, part, out_part, .. } = self.product;
        let [rows, columns, inner, out, part, out_part] =
            [rows, columns, inner, out, part, out_part].map(|size| size as usize);
        let mut expected = vec![f64::NAN; OUT_FIRST + inner.div_ceil(part) * out_part];
        for (first, place) in (0..inner).step_by(part).zip((OUT_FIRST..).step_by(out_part)) {
            let ks = first..inner.min(first + part);
            for row in 0..rows {
                for column in 0..columns {
                    let bias = if self.form.bias { self.bias[4 + column].into() } else { 0.0 };
                    let sum: f64 = ks.clone().map(|k| self.left_of(row, k) * self.right_of(k, column)).sum();
                    expected[place + row * out + column] = self.after(sum + bias);
                }
                // What fills a row up stays zero.
                expected[place + row * out + columns..][..padded(columns) - columns].fill(self.after(0.0));
            }
        }
        let sum = |row: usize| (0..inner).map(|k| self.left_of(row, k)).sum();
        let mut sums = vec![f64::NAN; SUMS_FIRST];
        sums.extend((0..padded(rows)).map(|row| self.after(if row < rows { sum(row) } else { 0.0 })));
        (expected, sums)
    }

    /// What a variant makes of it.
    fn run(&self, device: &mut Device, variant: Variant) -> (Vec<f32>, Vec<f32>) {
        let (expected, expected_sums) = self.expected();
        let before = if self.form.outcome == Outcome::Written { POISON } else { BEFORE };
        let mut out = vec![before; expected.len()];
        let mut sums = vec![before; expected_sums.len()];
        let (constants, workgroups) = variant.cut(&self.product, self.form);
        let (mut factors, mut cursor) = rates(RATE);
        run_alone(
            device,
            variant.kernel,
            &constants,
            workgroups,
            &mut [
                bytes_of_mut(&mut self.product.clone()),
                cast_slice_mut(&mut self.left.clone()),
                cast_slice_mut(&mut self.right.clone()),
                cast_slice_mut(&mut self.bias.clone()),
                cast_slice_mut(&mut factors),
                bytes_of_mut(&mut cursor),
                cast_slice_mut(&mut out),
                cast_slice_mut(&mut sums),
            ],
        )
        .unwrap();
        let what = format!("{} {:?} {:?}", variant.name, self.form, self.product);
        let compare = |what: &str, found: &[f32], expected: &[f64]| {
            let untouched = |x: f32| x.is_nan() || x.to_bits() == before.to_bits();
            assert!(found.iter().zip(expected).all(|(&x, y)| !y.is_nan() || untouched(x)), "{what}: wrote beyond");
            let (found, expected): (Vec<f32>, Vec<f64>) =
                found.iter().zip(expected).filter(|(_, y)| !y.is_nan()).unzip();
            assert_close(what, &found, &expected, 1e-6);
        };
        compare(&what, &out, &expected);
        if self.form.row_sums {
            compare(&format!("row sums of {what}"), &sums, &expected_sums);
        }
        (out, sums)
    }
}

#[test]
fn products_are_those_of_plain_loops_and_the_same_in_every_variant() {
    let Some(mut device) = device() else { return };
    let sizes =
        [[1, 1, 1], [13, 33, 31], [65, 129, 17], [32, 200, 30], [64, 64, 64], [7, 3, 513], [600, 1, 2], [1, 600, 5]];
    let written = Form { layout: Layout::Plain, outcome: Outcome::Written, bias: false, row_sums: false };
    let forms = [
        written,
        Form { layout: Layout::RightTransposed, bias: true, ..written },
        Form { layout: Layout::RightTransposed, outcome: Outcome::Added, ..written },
        Form { layout: Layout::LeftTransposed, row_sums: true, ..written },
        Form { layout: Layout::LeftTransposed, outcome: Outcome::Added, row_sums: true, ..written },
        Form { layout: Layout::LeftTransposed, outcome: Outcome::Stepped, row_sums: true, ..written },
    ];
    for form in forms {
        for size in sizes {
            // Sums of rows are those of whole columns.
            for part in if form.row_sums { vec![size[2]] } else { vec![size[2], 8] } {
                let multiplication = Multiplication::new(size, form, part);
                let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
                let mut results = VARIANTS.map(|variant| {
                    let (out, sums) = multiplication.run(&mut device, variant);
                    (variant.name, bits(out), bits(sums))
                });
                let (_, out, sums) = results[0].clone();
                for (name, found, found_sums) in &mut results[1..] {
                    assert!((&out, &sums) == (found, found_sums), "{name} has other bits: {form:?} {size:?}");
                }
            }
        }
    }
}

#[test]
fn tanh_goes_forward_and_backward() {
    let Some(mut device) = device() else { return };
    for (batch, columns) in [(1, 1), (13, 33), (32, 200)] {
        let count = batch * padded(columns);
        let before: Vec<f32> = numbers(count, 1).iter().enumerate().map(|(i, x)| x * [3.0, 1e30][i % 2]).collect();
        let mut hidden = before.clone();
        let mut sizes = activations(batch, columns);
        let mut cursor = Cursor::at(PLAN.cursor(0));
        let workgroups = for_each(batch * columns);
        let mut dropout = NO_DROPOUT;
        let arrays = &mut [
            bytes_of_mut(&mut sizes),
            bytes_of_mut(&mut dropout),
            bytes_of_mut(&mut cursor),
            cast_slice_mut(&mut hidden),
        ];
        run_alone(&mut device, &kernels::TANH_FORWARD, &SIZE, workgroups, arrays).unwrap();
        let after = trimmed(&hidden, batch, columns);
        let expected: Vec<f64> = trimmed(&before, batch, columns).iter().map(|&x| f64::from(x).tanh()).collect();
        assert_close("tanh", &after, &expected, 1e-6);

        let gradient_after = numbers(count, 2);
        let mut gradient = gradient_after.clone();
        let arrays = &mut [
            bytes_of_mut(&mut sizes),
            bytes_of_mut(&mut dropout),
            bytes_of_mut(&mut cursor),
            cast_slice_mut(&mut hidden),
            cast_slice_mut(&mut gradient),
        ];
        run_alone(&mut device, &kernels::TANH_BACKWARD, &SIZE, workgroups, arrays).unwrap();
        let back = |(&g, &y): (&f32, &f32)| f64::from(g) * (1.0 - f64::from(y) * f64::from(y));
        let expected: Vec<f64> = trimmed(&gradient_after, batch, columns).iter().zip(&after).map(back).collect();
        assert_close("gradient of tanh", &trimmed(&gradient, batch, columns), &expected, 1e-6);
    }
}

#[test]
fn softmax_gives_loss_gradient_and_probabilities() {
    let Some(mut device) = device() else { return };
    for (rows, columns, scale) in [(1, 2, 1.0), (13, 31, 5.0), (3, 64, 1.0), (70, 65, 30.0), (2, 1000, 2000.0)] {
        let logits: Vec<f32> = numbers(rows * columns, 4).iter().map(|x| x * scale).collect();
        // The rows are the batch's from the third on; the batch has four more after them.
        let (first, batch) = (2, rows + 6);
        let targets: Vec<u32> = (0..rows).map(|row| (row * 17 + columns - 1) as u32 % columns as u32).collect();
        for result in [0, 1, 2] {
            let mut losses = vec![POISON; batch];
            let mut found = vec![POISON; rows * padded(columns)];
            for (to, from) in found.chunks_exact_mut(padded(columns)).zip(logits.chunks_exact(columns)) {
                to[..columns].copy_from_slice(from);
            }
            run_alone(
                &mut device,
                &kernels::SOFTMAX_CROSS_ENTROPY,
                &[SIZE[0], ("RESULT", result.into())],
                workgroups_for_rows(rows as u32),
                &mut [
                    bytes_of_mut(&mut Activations { first, batch: batch as u32, ..activations(rows, columns) }),
                    cast_slice_mut(&mut [vec![0; 2], targets.clone()].concat()),
                    cast_slice_mut(&mut found),
                    cast_slice_mut(&mut losses),
                ],
            )
            .unwrap();
            assert!(losses[..2].iter().chain(&losses[rows + 2..]).all(|loss| loss.is_nan()), "losses of other chunks");
            let (mut expected, mut expected_losses) = (Vec::new(), Vec::new());
            for (row, &target) in logits.chunks_exact(columns).zip(&targets) {
                let largest = row.iter().fold(f64::MIN, |largest, &x| largest.max(x.into()));
                let sum: f64 = row.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
                expected_losses.push(largest + sum.ln() - f64::from(row[target as usize]));
                expected.extend(row.iter().enumerate().map(|(v, &x)| {
                    let probability = (f64::from(x) - largest).exp() / sum;
                    let is_target = f64::from(u8::from(v == target as usize));
                    match result {
                        0 => x.into(),
                        1 => (probability - is_target) / batch as f64,
                        _ => probability,
                    }
                }));
            }
            let found = trimmed(&found, rows, columns);
            assert_close("losses", &losses[2..rows + 2], &expected_losses, 2e-6);
            assert_close(["logits", "gradients", "probabilities"][result as usize], &found, &expected, 2e-6);
        }
    }
}

#[test]
fn column_sums_are_those_of_plain_loops() {
    let Some(mut device) = device() else { return };
    for (rows, columns, accumulate) in [(1, 1, 0), (13, 33, 1), (32, 200, 0), (256, 3, 1)] {
        let mut matrix = numbers(rows * padded(columns), 1);
        let mut sums = vec![if accumulate == 1 { 0.5 } else { POISON }; 4 + padded(columns)];
        run_alone(
            &mut device,
            &kernels::COLUMN_SUM,
            &SIZE,
            for_each(columns.div_ceil(4)),
            &mut [
                bytes_of_mut(&mut Extent { first: 4, accumulate, ..Extent::new(rows, columns, padded(columns)) }),
                cast_slice_mut(&mut matrix),
                cast_slice_mut(&mut sums),
            ],
        )
        .unwrap();
        let mut expected = vec![0.5 * f64::from(accumulate); columns];
        for row in matrix.chunks_exact(padded(columns)) {
            expected.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        assert_close("sums", &sums[4..4 + columns], &expected, 1e-6);
    }
}

#[test]
fn a_scatter_adds_all_occurrences_of_a_token() {
    let Some(mut device) = device() else { return };
    // Many duplicates; all the same; all different.
    let contexts: [Vec<u32>; 3] = [(0..300).map(|i| i * i % 11).collect(), vec![5; 70], (0..97).collect()];
    for ((contexts, embedding), context) in contexts.into_iter().zip([7, 65, 30]).zip([3, 1, 97]) {
        for into_gradients in [false, true] {
            let (vocabulary, stride) = (97, padded(embedding));
            let occurrences = contexts.len();
            let batch = occurrences / context;
            let mut sizes = activations(batch, context * embedding);
            let links = linked(&mut device, &contexts, sizes, embedding);
            let d_input = numbers(batch * padded(context * embedding), 1);
            let before = numbers(vocabulary * stride, 2);
            let mut rows = before.clone();
            let (mut factors, mut cursor) = rates(0.25);
            for part in [0..48, 48..vocabulary] {
                run_alone(
                    &mut device,
                    &kernels::EMBEDDING_SCATTER,
                    &[SIZE[0], ("INTO_GRADIENTS", f64::from(u8::from(into_gradients)))],
                    // Fewer workgroups than numbers need: the walk has to go on.
                    [for_each(occurrences * embedding)[0].div_ceil(2), 1, 1],
                    &mut [
                        bytes_of_mut(&mut sizes),
                        bytes_of_mut(&mut table(&part, embedding, stride)),
                        bytes_of_mut(&mut NO_DROPOUT.clone()),
                        cast_slice_mut(&mut contexts.clone()),
                        cast_slice_mut(&mut links.clone()),
                        cast_slice_mut(&mut d_input.clone()),
                        cast_slice_mut(&mut factors),
                        bytes_of_mut(&mut cursor),
                        cast_slice_mut(&mut rows[part.start * stride..part.end * stride]),
                    ],
                )
                .unwrap();
            }
            let mut expected: Vec<f64> = before.iter().map(|&x| x.into()).collect();
            let d_input = trimmed(&d_input, batch, context * embedding);
            for (&token, row) in contexts.iter().zip(d_input.chunks_exact(embedding)) {
                for (k, &x) in row.iter().enumerate() {
                    let change = if into_gradients { 1.0 } else { -0.25 };
                    expected[token as usize * stride + k] += change * f64::from(x);
                }
            }
            assert_close("embedding", &rows, &expected, 1e-6);
        }
    }
}

#[test]
fn links_lead_from_each_occurrence_to_the_next() {
    let Some(mut device) = device() else { return };
    // The numbers that fill the contexts up are tokens, too; the first and the last occurrence of one are far apart.
    let far: Vec<u32> = (0..501).map(|i| if i % 500 == 0 { 0 } else { i }).collect();
    let contexts = [vec![0], vec![0; 7], (0..300).map(|i| i * i % 11).collect(), (0..97).collect(), far];
    for (contexts, context) in contexts.into_iter().zip([1, 7, 3, 1, 3]) {
        let sizes = activations(contexts.len() / context, context * 2);
        let links = linked(&mut device, &contexts, sizes, 2);
        for (place, &token) in contexts.iter().enumerate() {
            let next = contexts[place + 1..].iter().position(|&other| other == token);
            let next = next.map_or(0x7fff_ffff, |distance| (place + 1 + distance) as u32);
            let mark = if contexts[..place].contains(&token) { 1 << 31 } else { 0 };
            assert_eq!(links[place], next | mark, "occurrence {place} of {contexts:?}");
        }
    }
}
