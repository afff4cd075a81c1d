//! The kernels of dropout, clipping and the update rules by themselves, against their twins on the CPU.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{SIZE, activations, assert_close, device, for_each, linked, numbers, padded, table, trimmed};
use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::kernels;
use gpu_mlp::engine::gpu::uniforms::{Activations, Clip, Cursor, Dropout, Extent, Factors, Rule};
use gpu_mlp::engine::{Mask, Optimizer, Recipe};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Parameters, Shape};
use gpu_mlp::reference::{Carried, Network};
use gpu_mlp::text::{BatchPlan, Order};

const PLAN: BatchPlan = BatchPlan { order: Order::Sampled, seed: 0, batch: 1, examples: 1 };
/// A step whose number needs more than 32 bits: masks see its low half.
const STEP: u64 = (1 << 33) + 5;

fn recipe() -> Recipe {
    Recipe { dropout_embedding: 0.3, dropout_hidden: 0.45, ..Recipe::default() }
}

/// The multipliers of some examples of a batch from `first` on, [rows, columns].
fn mask_of(mask: Mask, first: usize, rows: usize, columns: usize) -> Vec<f32> {
    (first..first + rows).flat_map(|lane| mask.of_example(STEP, lane, columns)).collect()
}

#[test]
fn a_gather_drops_what_the_mask_drops_bit_for_bit() {
    let Some(mut device) = device() else { return };
    let mask = recipe().input_mask(0xDEAD_BEEF);
    for (batch, first, context, embedding) in [(1, 0, 1, 1), (13, 2, 5, 7), (70, 9, 4, 30)] {
        let (columns, rows) = (context * embedding, batch - first);
        let mut input = vec![f32::NAN; rows * padded(columns)];
        run_alone(
            &mut device,
            &kernels::EMBEDDING_GATHER,
            &SIZE,
            for_each(rows * columns),
            &mut [
                bytes_of_mut(&mut Activations {
                    first: first as u32,
                    rows: rows as u32,
                    ..activations(batch, columns)
                }),
                bytes_of_mut(&mut table(&(0..1), embedding, embedding)),
                bytes_of_mut(&mut Dropout::new(&mask)),
                cast_slice_mut(&mut vec![0u32; batch * context]),
                // A table of ones shows the mask itself.
                cast_slice_mut(&mut vec![1.0f32; embedding]),
                bytes_of_mut(&mut Cursor::at(PLAN.cursor(STEP))),
                cast_slice_mut(&mut input),
            ],
        )
        .unwrap();
        let expected = mask_of(mask, first, rows, columns);
        assert_eq!(trimmed(&input, rows, columns), expected);
    }
}

#[test]
fn hidden_units_drop_forward_and_backward() {
    let Some(mut device) = device() else { return };
    let mask = recipe().hidden_mask(7);
    for (batch, first, columns) in [(1, 0, 1), (13, 4, 33), (32, 1, 200)] {
        let rows = batch - first;
        let count = rows * padded(columns);
        let mut sizes = Activations { first: first as u32, rows: rows as u32, ..activations(batch, columns) };
        let (before, gradient_before) = (numbers(count, 1), numbers(count, 2));
        let (mut hidden, mut gradient) = (before.clone(), gradient_before.clone());
        let (mut dropout, mut cursor) = (Dropout::new(&mask), Cursor::at(PLAN.cursor(STEP)));
        for kernel in [&kernels::TANH_FORWARD, &kernels::TANH_BACKWARD] {
            let arrays = &mut [
                bytes_of_mut(&mut sizes),
                bytes_of_mut(&mut dropout),
                bytes_of_mut(&mut cursor),
                cast_slice_mut(&mut hidden),
                cast_slice_mut(&mut gradient),
            ];
            run_alone(&mut device, kernel, &SIZE, for_each(rows * columns), &mut arrays[..kernel.bindings.len()])
                .unwrap();
        }
        let kept = mask_of(mask, first, rows, columns);
        let before = trimmed(&before, rows, columns);
        let forward: Vec<f64> = before.iter().zip(&kept).map(|(&x, &m)| f64::from(m) * f64::from(x).tanh()).collect();
        assert_close("hidden", &trimmed(&hidden, rows, columns), &forward, 1e-6);
        let gradients = trimmed(&gradient_before, rows, columns);
        let slope = |&x: &f32| 1.0 - f64::from(x).tanh().powi(2);
        let backward = gradients.iter().zip(&kept).zip(&before);
        let backward: Vec<f64> = backward.map(|((&g, &m), x)| f64::from(g) * f64::from(m) * slope(x)).collect();
        assert_close("gradient", &trimmed(&gradient, rows, columns), &backward, 1e-6);
        assert!(columns == 1 || kept.contains(&0.0));
    }
}

#[test]
fn a_scatter_drops_what_the_gather_dropped() {
    let Some(mut device) = device() else { return };
    let mask = recipe().input_mask(3);
    let (batch, context, embedding, vocabulary) = (31, 3, 7, 5);
    let columns = context * embedding;
    let mut contexts: Vec<u32> = (0..(batch * context) as u32).map(|i| i * i % vocabulary).collect();
    let mut d_input = numbers(batch * padded(columns), 1);
    let mut links = linked(&mut device, &contexts, activations(batch, columns), embedding);
    let mut gradient = vec![0.0f32; vocabulary as usize * embedding];
    run_alone(
        &mut device,
        &kernels::EMBEDDING_SCATTER,
        &[SIZE[0], ("INTO_GRADIENTS", 1.0)],
        for_each(batch * columns),
        &mut [
            bytes_of_mut(&mut activations(batch, columns)),
            bytes_of_mut(&mut table(&(0..vocabulary as usize), embedding, embedding)),
            bytes_of_mut(&mut Dropout::new(&mask)),
            cast_slice_mut(&mut contexts),
            cast_slice_mut(&mut links),
            cast_slice_mut(&mut d_input),
            cast_slice_mut(&mut [f32::NAN; 4]),
            bytes_of_mut(&mut Cursor::at(PLAN.cursor(STEP))),
            cast_slice_mut(&mut gradient),
        ],
    )
    .unwrap();
    let mut expected = vec![0.0; gradient.len()];
    let d_input = trimmed(&d_input, batch, columns);
    for (at, (d, kept)) in d_input.iter().zip(mask_of(mask, 0, batch, columns)).enumerate() {
        let token = contexts[at / embedding] as usize;
        expected[token * embedding + at % embedding] += f64::from(kept) * f64::from(*d);
    }
    assert_close("gradient", &gradient, &expected, 1e-6);
}

#[test]
fn a_norm_is_clipped_by_the_sums_of_squares() {
    let Some(mut device) = device() else { return };
    for (count, workgroups) in [(1, 1), (63, 1), (1000, 3), (100_000, 256)] {
        let mut gradients = numbers(count, 3);
        let mut sums = vec![f32::NAN; 5 + workgroups];
        sums[..5].copy_from_slice(&[0.5, 1.0, 0.0, 2.0, 4.0]);
        run_alone(
            &mut device,
            &kernels::SQUARE_SUM,
            &SIZE,
            [workgroups as u32, 1, 1],
            &mut [
                bytes_of_mut(&mut Extent { first: 5, ..Extent::new(1, count, count) }),
                cast_slice_mut(&mut gradients),
                cast_slice_mut(&mut sums),
            ],
        )
        .unwrap();
        let squares = 7.5 + gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
        assert_close("squares", &[sums.iter().sum()], &[squares], 1e-6);
        for norm in [0.1, 1e4] {
            let mut factor = [f32::NAN; 1];
            let mut clip = Clip { count: sums.len() as u32, norm };
            let arrays = &mut [bytes_of_mut(&mut clip), cast_slice_mut(&mut sums), cast_slice_mut(&mut factor)];
            run_alone(&mut device, &kernels::CLIP_FACTOR, &SIZE, [1, 1, 1], arrays).unwrap();
            let expected = if squares.sqrt() > f64::from(norm) { f64::from(norm) / squares.sqrt() } else { 1.0 };
            assert_close("factor", &factor, &[expected], 1e-6);
        }
    }
}

/// Embedding [11, 3] in rows 4 apart, bias `[11]`, direct [11, 3] in rows 4 apart, each beginning at a multiple of 64.
const SHAPE: Shape = Shape { vocabulary: 11, context: 1, embedding: 3, hidden: 0, direct: true, tied: false };
const TENSORS: [[u32; 4]; 3] = [[0, 3, 4, 1], [64, 11, 11, 0], [128, 3, 4, 1]];
const PLACES: usize = 172;

fn to_device(parameters: &Parameters) -> Vec<f32> {
    let mut values = vec![7.0; PLACES];
    for ((tensor, from), [first, columns, stride, _]) in parameters.tensors().zip(TENSORS) {
        for (i, &value) in from.iter().enumerate() {
            let (row, column) = (i / columns as usize, i % columns as usize);
            values[first as usize + row * stride as usize + column] = value;
        }
        assert_eq!(tensor.is_bias(), columns == stride);
    }
    values
}

fn of_device(values: &[f32]) -> Vec<f32> {
    let places = |[first, columns, stride, decays]: [u32; 4]| {
        let rows = if decays == 1 { 11 } else { 1 };
        (0..rows * stride).filter(move |i| i % stride < columns).map(move |i| first + i)
    };
    TENSORS.into_iter().flat_map(places).map(|place| values[place as usize]).collect()
}

#[test]
fn every_rule_is_that_of_the_reference() {
    let Some(mut device) = device() else { return };
    for optimizer in [Optimizer::Sgd, Optimizer::Momentum, Optimizer::Adagrad, Optimizer::Adamw] {
        for (weight_decay, average, clip) in [(0.0, 0.0, 1.0), (0.1, 0.9, 0.25)] {
            let recipe = Recipe { optimizer, weight_decay, average, epsilon: 1e-3, ..Recipe::default() };
            let start = initial(SHAPE, Init::Lecture, 3, &[]);
            let mut network = Network::from_parameters(&start);
            let mut carried = Carried::new(&network, &recipe);
            let zeros = to_device(&Parameters::zeros(SHAPE));
            let (mut parameters, mut average_now) = (to_device(&start), to_device(&start));
            let (mut velocity, mut squares) = (zeros.clone(), zeros);
            for step in 0..3 {
                let mut gradients = Parameters::zeros(SHAPE);
                gradients.values = numbers(gradients.values.len(), step as usize);
                let mut bound = to_device(&gradients);
                let mut cursor = Cursor::at(PLAN.cursor(step));
                cursor.current.slot = 1;
                let unused = Factors { rate: f32::NAN, velocity: f32::NAN, squares: f32::NAN, keeps: f32::NAN };
                // In two pieces, as where one binding is too small.
                for piece in [0..128, 128..PLACES] {
                    run_alone(
                        &mut device,
                        &kernels::UPDATE_RULE,
                        &[
                            SIZE[0],
                            ("RULE", f64::from(optimizer as u32)),
                            ("AVERAGE", f64::from(u8::from(average > 0.0))),
                        ],
                        for_each(piece.len()),
                        &mut [
                            bytes_of_mut(&mut Rule::new(&recipe, piece.clone(), 44, &TENSORS)),
                            cast_slice_mut(&mut [unused, Factors::new(&recipe, step, 0.1), unused]),
                            bytes_of_mut(&mut cursor),
                            cast_slice_mut(&mut [clip]),
                            cast_slice_mut(&mut bound[piece.clone()]),
                            cast_slice_mut(&mut parameters[piece.clone()]),
                            cast_slice_mut(&mut velocity[piece.clone()]),
                            cast_slice_mut(&mut squares[piece.clone()]),
                            cast_slice_mut(&mut average_now[piece]),
                        ],
                    )
                    .unwrap();
                }
                let after = of_device(&bound);
                assert!(after[..33].iter().all(|&g| g == 0.0), "the embedding's gradient is cleared");
                assert_eq!(after[33..], gradients.values[33..], "and no other");
                gradients.values.iter_mut().for_each(|g| *g *= clip);
                network.update(Network::from_parameters(&gradients), &mut carried, &recipe, step, 0.1f32.into());

                let pairs = [
                    ("parameters", &parameters, Some(&network)),
                    ("velocity", &velocity, carried.velocity.as_ref()),
                    ("squares", &squares, carried.squares.as_ref()),
                    ("average", &average_now, carried.average.as_ref()),
                ];
                for (name, found, expected) in pairs {
                    let Some(expected) = expected else { continue };
                    let expected: Vec<f64> = expected.to_parameters().values.into_iter().map(f64::from).collect();
                    assert_close(&format!("{name} of {recipe:?}, step {step}"), &of_device(found), &expected, 1e-6);
                    let filling = found.iter().enumerate().filter(|(place, _)| place % 4 == 3 && *place < 44);
                    assert!(filling.into_iter().all(|(_, &x)| x == 7.0), "{name}: what fills rows up stays");
                }
            }
        }
    }
}
