//! Every kernel of the general path by itself, against plain loops: ragged sizes, and outputs that hold NaN before.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{
    NO_DROPOUT, PLAN, SIZE, activations, assert_close, device, for_each, linked, numbers, padded, rates, table, trimmed,
};
use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::product::Outcome;
use gpu_mlp::engine::gpu::uniforms::{Activations, Cursor, Extent, Plan};
use gpu_mlp::engine::gpu::{Device, kernels, workgroups_for_rows};
use gpu_mlp::text::{BatchPlan, Corpus, Order};

const POISON: f32 = f32::NAN;

/// The mean of some losses, which stands in the cursor's slot and nowhere else; then the cursor has moved on.
fn mean_of(device: &mut Device, plan: &mut Plan, cursor: &mut Cursor, losses: &[f32]) -> f32 {
    let slot = cursor.current.slot as usize;
    let mut example_losses = losses.to_vec();
    example_losses.resize(padded(losses.len()), POISON);
    let mut means = [POISON; 4];
    run_alone(
        device,
        &kernels::LOSS_MEAN,
        &SIZE,
        [1, 1, 1],
        &mut [
            bytes_of_mut(plan),
            cast_slice_mut(&mut example_losses),
            bytes_of_mut(cursor),
            cast_slice_mut(&mut means),
        ],
    )
    .unwrap();
    assert!(means.iter().enumerate().all(|(place, mean)| mean.is_nan() != (place == slot)), "{means:?}");
    means[slot]
}

#[test]
fn mean_losses_are_those_of_plain_loops() {
    let Some(mut device) = device() else { return };
    for batch in [1, 5, 64, 255, 257, 1000, 20_001] {
        let plan = BatchPlan { order: Order::Sampled, seed: 1, batch, examples: batch };
        let losses = numbers(batch as usize, 1);
        let found = mean_of(&mut device, &mut Plan::new(&plan, 3), &mut Cursor::at(plan.cursor(0)), &losses);
        let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        let largest = losses.iter().fold(0.0f32, |largest, loss| largest.max(loss.abs()));
        let difference = (f64::from(found) - sum / f64::from(batch)).abs();
        assert!(difference < 1e-6 * f64::from(largest), "B {batch}: {found}, {difference}");
    }
}

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
                        &[SIZE[0], ("ORDER", f64::from(order as u32))],
                        for_each(3 * batch as usize),
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
                    cursor.next.slot = step as u32 % 4;
                    cursor.current = cursor.next;
                    let mean = mean_of(&mut device, &mut plan, &mut cursor, &vec![1.0; batch as usize]);
                    assert_eq!(mean, 1.0);
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
    // Fours that an invocation holds: none, those of rows that end before, or within, or behind what all hold.
    let cases =
        [(1, 2, 1.0, 0), (13, 31, 5.0, 1), (3, 64, 1.0, 0), (70, 65, 30.0, 3), (2, 1000, 2000.0, 20), (4, 95, 9.0, 3)];
    for (rows, columns, scale, held) in cases {
        let logits: Vec<f32> = numbers(rows * columns, 4).iter().map(|x| x * scale).collect();
        // The rows are the batch's from the third on; the batch has four more after them.
        let (first, batch) = (2, rows + 6);
        let targets: Vec<u32> = (0..rows).map(|row| (row * 17 + columns - 1) as u32 % columns as u32).collect();
        let workgroup = if rows % 2 == 0 { 8.0 } else { SIZE[0].1 };
        for result in [0, 1, 2] {
            let mut losses = vec![POISON; batch];
            let mut found = vec![POISON; rows * padded(columns)];
            for (to, from) in found.chunks_exact_mut(padded(columns)).zip(logits.chunks_exact(columns)) {
                to[..columns].copy_from_slice(from);
            }
            run_alone(
                &mut device,
                &kernels::SOFTMAX_CROSS_ENTROPY,
                &[("WORKGROUP", workgroup), ("RESULT", result.into()), ("QUADS", f64::from(held))],
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
    let outcomes = [Outcome::Written, Outcome::Added, Outcome::Stepped];
    for ((rows, columns), outcome) in
        [(1, 1), (13, 33), (32, 200), (256, 3)].into_iter().zip(outcomes.into_iter().cycle())
    {
        let mut matrix = numbers(rows * padded(columns), 1);
        let mut sums = vec![if outcome == Outcome::Written { POISON } else { 0.5 }; 4 + padded(columns)];
        let (mut factors, mut cursor) = rates(0.25);
        run_alone(
            &mut device,
            &kernels::COLUMN_SUM,
            &[SIZE[0], ("RESULT", f64::from(outcome as u32))],
            for_each(columns.div_ceil(4)),
            &mut [
                bytes_of_mut(&mut Extent { first: 4, ..Extent::new(rows, columns, padded(columns)) }),
                cast_slice_mut(&mut matrix),
                cast_slice_mut(&mut factors),
                bytes_of_mut(&mut cursor),
                cast_slice_mut(&mut sums),
            ],
        )
        .unwrap();
        let mut expected = vec![0.0; columns];
        for row in matrix.chunks_exact(padded(columns)) {
            expected.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let (kept, factor) = match outcome {
            Outcome::Written => (0.0, 1.0),
            Outcome::Added => (0.5, 1.0),
            Outcome::Stepped => (0.5, -0.25),
        };
        expected.iter_mut().for_each(|sum| *sum = kept + factor * *sum);
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
