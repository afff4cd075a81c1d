//! The matrix product in all its variants, against plain loops: ragged sizes, and outputs that hold NaN before.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{assert_close, device, numbers, padded, rates};
use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::Device;
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::product::{Form, Layout, Outcome, SLICED, VARIANTS, Variant};
use gpu_mlp::engine::gpu::uniforms::Product;

const POISON: f32 = f32::NAN;

/// A matrix in rows that begin at multiples of 4 numbers; zeros fill them up.
fn padded_numbers(rows: usize, columns: usize, seed: usize) -> Vec<f32> {
    let mut matrix = numbers(rows * padded(columns), seed);
    matrix.chunks_exact_mut(padded(columns)).for_each(|row| row[columns..].fill(0.0));
    matrix
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
        self.run_to(device, variant, &expected, &expected_sums)
    }

    /// The same, which must be close to what is expected, and must not write where that is NaN.
    fn run_to(
        &self,
        device: &mut Device,
        variant: Variant,
        expected: &[f64],
        expected_sums: &[f64],
    ) -> (Vec<f32>, Vec<f32>) {
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
        compare(&what, &out, expected);
        if self.form.row_sums {
            compare(&format!("row sums of {what}"), &sums, expected_sums);
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
        Form { layout: Layout::LeftTransposed, ..written },
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
                // Its sums are added up in another order.
                if form.layout == Layout::LeftTransposed && part == size[2] {
                    multiplication.run(&mut device, SLICED);
                }
                let (_, out, sums) = results[0].clone();
                for (name, found, found_sums) in &mut results[1..] {
                    assert!((&out, &sums) == (found, found_sums), "{name} has other bits: {form:?} {size:?}");
                }
            }
        }
    }
}

#[test]
fn several_products_at_once_are_those_of_one_after_the_other() {
    let Some(mut device) = device() else { return };
    let written = Form { layout: Layout::Plain, outcome: Outcome::Written, bias: false, row_sums: false };
    let [rows, inner, count] = [13, 37, 3];
    let forms = [
        written,
        Form { layout: Layout::RightTransposed, outcome: Outcome::Added, ..written },
        Form { layout: Layout::LeftTransposed, outcome: Outcome::Stepped, row_sums: true, ..written },
        Form { layout: Layout::LeftTransposed, ..written },
    ];
    // What one product reads lies between what the others read, as do their results: columns of one matrix, which fill tiles
    // or leave room in them.
    for (form, columns) in forms.into_iter().flat_map(|form| [(form, 16), (form, 128)]) {
        let transposed = form.layout == Layout::RightTransposed;
        let wide = count * columns;
        let [left_rows, left_columns] =
            if form.layout == Layout::LeftTransposed { [inner, rows] } else { [rows, inner] };
        let left = padded_numbers(count * left_rows, left_columns, 1);
        // Columns of the right matrix, or where it lies transposed its rows.
        let right = padded_numbers(if transposed { wide } else { inner }, if transposed { inner } else { wide }, 2);
        let left_next = left_rows * padded(left_columns);
        let (right_stride, right_next) =
            if transposed { (padded(inner), columns * padded(inner)) } else { (wide, columns) };
        let alike = Product::new([rows, columns, inner], padded(left_columns), right_stride, wide);
        let left_of = |which: usize, row: usize, k: usize| {
            let at = if form.layout == Layout::LeftTransposed { [k, row] } else { [row, k] };
            f64::from(left[which * left_next + at[0] * padded(left_columns) + at[1]])
        };
        let right_of = |which: usize, k: usize, column: usize| {
            let at = if transposed { [column, k] } else { [k, column] };
            f64::from(right[which * right_next + at[0] * right_stride + at[1]])
        };
        for part in if form.row_sums { vec![inner] } else { vec![inner, 12] } {
            let parts = inner.div_ceil(part);
            // Results of parts stand below each other; with one part those of products beside each other.
            let next = if parts == 1 { columns } else { rows * wide };
            let product = alike.in_parts(padded(part), next).at_once(count, left_next, right_next);
            let multiplication =
                Multiplication { product, form, left: left.clone(), right: right.clone(), bias: vec![0.0; 4] };
            let mut expected = vec![f64::NAN; (count * parts - 1) * next + rows * wide];
            for (layer, row) in (0..count * parts).flat_map(|layer| (0..rows).map(move |row| (layer, row))) {
                let (which, first) = (layer / parts, layer % parts * padded(part));
                for column in 0..columns {
                    let term = |k| left_of(which, row, k) * right_of(which, k, column);
                    let sum = (first..inner.min(first + padded(part))).map(term).sum();
                    expected[layer * next + row * wide + column] = multiplication.after(sum);
                }
            }
            // The sums of the first product's rows.
            let sum = |row| (0..inner).map(|k| if row < rows { left_of(0, row, k) } else { 0.0 }).sum();
            let sums: Vec<f64> = (0..padded(rows)).map(|row| multiplication.after(sum(row))).collect();
            for variant in VARIANTS {
                multiplication.run_to(&mut device, variant, &expected, &sums);
            }
        }
    }
}
