//! The passes of the general path as dispatches: which kernel, how many workgroups.

use std::borrow::Cow;
use std::cell::RefCell;

use super::choice::{self, Products};
use super::device::{Buffer, Device, Dispatch, MOST_WORKGROUPS, Part};
use super::feed::Feed;
use super::general::{EXAMPLES, WIDE_EXAMPLES, WIDE_INVOCATIONS};
use super::kernels::{self, Kernel, SoftmaxResult};
use super::product::{Form, Layout, Outcome, Variant};
use super::uniforms::{Activations, Clip, Dropout, Extent, Joined, Product, Rule, Table};
use crate::Result;
use crate::engine::{Mask, Optimizer};
use crate::model::Shape;

/// Workgroups for a pass with an invocation for each of `count` things; what is beyond them is walked to.
pub fn workgroups_for_each(count: usize, workgroup: u32) -> [u32; 3] {
    let workgroups = count.div_ceil(workgroup as usize).clamp(1, MOST_WORKGROUPS as usize);
    [workgroups as u32, 1, 1]
}

/// Workgroups for a pass with a workgroup for each of `rows` rows.
pub fn workgroups_for_rows(rows: u32) -> [u32; 3] {
    let x = rows.clamp(1, MOST_WORKGROUPS);
    [x, rows.div_ceil(x), 1]
}

/// Makes dispatches on a device.
pub(super) struct Passes<'a> {
    device: &'a Device,
    /// How products are made.
    products: Products,
    /// The ways that this came to, each once.
    made: RefCell<Vec<&'static str>>,
    /// For what a step takes from the rings.
    feed: &'a Feed,
    /// Something to bind where a kernel does not look.
    nothing: Buffer,
}

/// A step has several products, which their sizes and the layout of their matrices tell apart.
fn name_of(kernel: &Kernel, product: Product, layout: Layout) -> Cow<'static, str> {
    let Product { rows, columns, inner, products, .. } = product;
    let times = if products > 1 { format!(" times {products}") } else { String::new() };
    format!("{} {} {rows}x{columns}x{inner}{times}", kernel.name, layout.formula()).into()
}

/// Whether a mask drops anything, as a constant of the pipelines of passes with dropout.
pub(super) fn drops(mask: &Mask) -> (&'static str, f64) {
    ("DROPS", f64::from(u8::from(Dropout::new(mask).threshold > 0)))
}

/// Places and tokens, as constants of the pipelines of passes by pairs of both.
fn pairs_of(shape: Shape) -> [(&'static str, f64); 2] {
    [("CONTEXT", shape.context as f64), ("VOCABULARY", shape.vocabulary as f64)]
}

/// The matrices of a product.
pub(super) struct Matrices<'a> {
    pub(super) left: Part<'a>,
    pub(super) right: Part<'a>,
    /// Of each column.
    pub(super) bias: Option<Part<'a>>,
    pub(super) out: Part<'a>,
    /// Where the sums of the left matrix's rows go.
    pub(super) row_sums: Option<Part<'a>>,
}

/// What passes beside a product need.
pub(super) enum Work {
    /// So many workgroups of any size.
    Workgroups(usize),
    /// Workgroups for so many invocations.
    Invocations(usize),
    /// Workgroups for `count` examples, `each` by so many invocations, or by all of a smaller workgroup. How many it has at once is
    /// the constant AT_ONCE.
    Examples { count: usize, each: usize },
}

/// Passes that share the dispatch of a product.
pub(super) struct Beside {
    pub(super) kernel: &'static kernels::Joined,
    /// Their sizes.
    pub(super) sizes: Joined,
    /// What they need beside the workgroups of the product.
    pub(super) work: Work,
    /// What they read of the kind.
    pub(super) uniforms: Vec<Buffer>,
    /// Constants of theirs.
    pub(super) constants: Vec<(&'static str, f64)>,
    /// Whether their invocations share sums.
    pub(super) shares: bool,
}

impl<'a> Passes<'a> {
    pub(super) fn new(device: &'a Device, products: Products, feed: &'a Feed) -> Result<Self> {
        Ok(Passes { device, products, made: RefCell::default(), feed, nothing: device.tensor("nothing", 0)? })
    }

    /// The way to make a product.
    fn variant(&self, product: &Product, layout: Layout) -> Result<Variant> {
        let variant = choice::for_product(self.device, self.products, product, layout)?;
        let mut made = self.made.borrow_mut();
        if !made.contains(&variant.name) {
            made.push(variant.name);
        }
        Ok(variant)
    }

    /// The ways in which products were made so far.
    pub(super) fn products_made(&self) -> Vec<&'static str> {
        self.made.borrow().clone()
    }

    /// The batch of a step.
    pub(super) fn draw(&self, batch: usize, buffers: [&Buffer; 6]) -> Result<Dispatch> {
        let parts = buffers.map(Buffer::all);
        self.pass(&kernels::DRAW_BATCH, &[], &parts, &[self.feed.order()], self.for_each(batch * self.feed.context()))
    }

    /// The rows that a part of the table has of a chunk's contexts.
    pub(super) fn gather(
        &self,
        sizes: Activations,
        table: Table,
        mask: &Mask,
        parts: [Part<'_>; 4],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&table)?, self.uniform(&Dropout::new(mask))?];
        self.pass(&kernels::EMBEDDING_GATHER, &uniforms, &parts, &[drops(mask)], self.for_each_four(sizes))
    }

    /// tanh forward, of one buffer, or backward, with the gradient in another.
    pub(super) fn tanh(
        &self,
        kernel: &'static Kernel,
        sizes: Activations,
        mask: &Mask,
        buffers: &[&Buffer],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&Dropout::new(mask))?];
        let parts: Vec<Part<'_>> = [&self.feed.cursor].iter().chain(buffers).map(|buffer| buffer.all()).collect();
        self.pass(kernel, &uniforms, &parts, &[drops(mask)], self.for_each_four(sizes))
    }

    /// Softmax, loss and what `result` says.
    pub(super) fn softmax(&self, result: SoftmaxResult, sizes: Activations, buffers: [&Buffer; 3]) -> Result<Dispatch> {
        let invocations = self.device.row_workgroup(sizes.columns);
        let held = self.device.held(sizes.columns.div_ceil(4 * invocations));
        let constants = [("RESULT", f64::from(result as u32)), ("QUADS", held.into())];
        let workgroups = workgroups_for_rows(sizes.rows);
        let parts = buffers.map(Buffer::all);
        let kernel = &kernels::SOFTMAX_CROSS_ENTROPY;
        self.pass_in(invocations, kernel, &[self.uniform(&sizes)?], &parts, &constants, workgroups)
    }

    /// The sum of each column, and what becomes of it.
    pub(super) fn column_sum(
        &self,
        extent: Extent,
        outcome: Outcome,
        matrix: Part<'_>,
        sums: Part<'_>,
    ) -> Result<Dispatch> {
        let workgroups = self.for_each(extent.columns.div_ceil(4) as usize);
        let parts = [matrix, self.feed.factors.all(), self.feed.cursor.all(), sums];
        let constants = [("RESULT", f64::from(outcome as u32))];
        self.pass(&kernels::COLUMN_SUM, &[self.uniform(&extent)?], &parts, &constants, workgroups)
    }

    /// The hidden units of a chunk from what pairs of place and token add to them.
    pub(super) fn pair_hidden(
        &self,
        sizes: Activations,
        mask: &Mask,
        shape: Shape,
        parts: [Part<'_>; 5],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&Dropout::new(mask))?];
        let constants = [&[drops(mask)][..], &pairs_of(shape)].concat();
        self.pass(&kernels::PAIR_HIDDEN, &uniforms, &parts, &constants, self.for_each_four(sizes))
    }

    /// The sums of a chunk's gradients over the examples that have each pair, in slabs of so many examples.
    pub(super) fn pair_sums(
        &self,
        sizes: Activations,
        slab: usize,
        shape: Shape,
        buffers: [&Buffer; 3],
    ) -> Result<Dispatch> {
        let invocations = self.device.row_workgroup(sizes.columns);
        // A GPU has the registers to wait for more of them at once.
        let at_once = if self.device.is_software() { 4.0 } else { 8.0 };
        let constants = [&[("SLAB", slab as f64), ("ROWS", at_once)][..], &pairs_of(shape)].concat();
        let workgroups = [shape.vocabulary as u32, shape.context as u32, sizes.rows.div_ceil(slab as u32)];
        let (uniforms, parts) = ([self.uniform(&sizes)?], buffers.map(Buffer::all));
        self.pass_in(invocations, &kernels::PAIR_SUMS, &uniforms, &parts, &constants, workgroups)
    }

    /// Which occurrences in a chunk are of the same token.
    pub(super) fn links(&self, sizes: Activations, table: Table, buffers: [&Buffer; 2]) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&table)?];
        let workgroups = self.for_each((sizes.rows * sizes.columns / table.columns) as usize);
        self.pass(&kernels::EMBEDDING_LINKS, &uniforms, &buffers.map(Buffer::all), &[self.sorted()], workgroups)
    }

    /// What a chunk does to a part of the embedding or of its gradient.
    pub(super) fn scatter(
        &self,
        sizes: Activations,
        table: Table,
        mask: &Mask,
        into_gradients: bool,
        parts: [Part<'_>; 6],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&table)?, self.uniform(&Dropout::new(mask))?];
        let into_gradients = ("INTO_GRADIENTS", f64::from(u8::from(into_gradients)));
        let shares = self.shares(self.device.workgroup());
        let constants = [into_gradients, drops(mask), self.sorted(), self.spread(), shares];
        let fours = (sizes.rows * sizes.columns / table.columns) as usize * table.columns.div_ceil(4) as usize;
        let workgroups = self.for_each(fours * self.device.spread() as usize);
        self.pass(&kernels::EMBEDDING_SCATTER, &uniforms, &parts, &constants, workgroups)
    }

    /// Links of so many occurrences.
    pub(super) fn links_of(&self, occurrences: usize) -> Result<Buffer> {
        self.device.tensor("links", if self.device.sorts() { 2 * occurrences } else { occurrences })
    }

    /// Invocations that share the occurrences of a token, as a constant of the passes that sum them.
    pub(super) fn spread(&self) -> (&'static str, f64) {
        ("SPREAD", f64::from(self.device.spread()))
    }

    /// The sums that they share in a workgroup of so many.
    fn shares(&self, invocations: u32) -> (&'static str, f64) {
        ("SHARES", f64::from(if self.device.spread() > 1 { invocations } else { 1 }))
    }

    /// Whether occurrences are sorted by their tokens, as a constant of the passes that link them and follow their links.
    pub(super) fn sorted(&self) -> (&'static str, f64) {
        ("SORTED", f64::from(u8::from(self.device.sorts())))
    }

    /// Sums of squares of some numbers, from place `first` of the sums on: one for each of so many workgroups.
    pub(super) fn square_sum(
        &self,
        workgroups: usize,
        first: usize,
        numbers: Part<'_>,
        sums: &Buffer,
    ) -> Result<Dispatch> {
        let extent = Extent { first: first as u32, ..Extent::new(1, numbers.len(), numbers.len()) };
        let parts = [numbers, sums.all()];
        self.pass(&kernels::SQUARE_SUM, &[self.uniform(&extent)?], &parts, &[], [workgroups as u32, 1, 1])
    }

    /// What the gradient is multiplied with.
    pub(super) fn clip_factor(&self, clip: Clip, buffers: [&Buffer; 2]) -> Result<Dispatch> {
        self.pass(&kernels::CLIP_FACTOR, &[self.uniform(&clip)?], &buffers.map(Buffer::all), &[], [1, 1, 1])
    }

    /// One step of an update rule, perhaps with an average.
    pub(super) fn update_rule(
        &self,
        optimizer: Optimizer,
        average: bool,
        rule: Rule,
        parts: [Part<'_>; 8],
    ) -> Result<Dispatch> {
        let constants = [("RULE", f64::from(optimizer as u32)), ("AVERAGE", f64::from(u8::from(average)))];
        let workgroups = self.for_each(rule.count as usize);
        self.pass(&kernels::UPDATE_RULE, &[self.uniform(&rule)?], &parts, &constants, workgroups)
    }

    /// The mean loss of the batch, and the cursor's step forward.
    pub(super) fn loss_mean(&self, buffers: [&Buffer; 4]) -> Result<Dispatch> {
        self.pass(&kernels::LOSS_MEAN, &[], &buffers.map(Buffer::all), &[], [1, 1, 1])
    }

    /// A matrix product.
    pub(super) fn product(
        &self,
        product: Product,
        layout: Layout,
        outcome: Outcome,
        matrices: Matrices<'_>,
    ) -> Result<Dispatch> {
        let Matrices { left, right, bias, out, row_sums } = matrices;
        let form = Form { layout, outcome, bias: bias.is_some(), row_sums: row_sums.is_some() };
        let variant = self.variant(&product, layout)?;
        let (constants, workgroups) = variant.cut(&product, form);
        let pipeline = self.device.pipeline(variant.kernel, &constants)?;
        let uniform = self.uniform(&product)?;
        let parts = [
            uniform.all(),
            left.clone(),
            right,
            bias.unwrap_or(left),
            self.feed.factors.all(),
            self.feed.cursor.all(),
            out,
            row_sums.unwrap_or(self.nothing.all()),
        ];
        let mut dispatch = self.device.dispatch(&pipeline, &parts, workgroups)?;
        dispatch.name = name_of(variant.kernel, product, layout);
        Ok(dispatch)
    }

    /// A matrix product with other passes beside it; the sums of its rows are those of a transposed left matrix.
    pub(super) fn product_beside(
        &self,
        product: Product,
        layout: Layout,
        beside: Beside,
        parts: &[Part<'_>],
    ) -> Result<Dispatch> {
        let row_sums = layout == Layout::LeftTransposed;
        let variant = self.variant(&product, layout)?;
        let (mut constants, [x, y, z]) =
            variant.cut(&product, Form { layout, outcome: Outcome::Stepped, bias: false, row_sums });
        // What becomes of the sums is the kernel's own.
        constants.retain(|(name, _)| !["RESULT", "BIAS"].contains(name));
        constants.extend(beside.constants);
        if beside.shares {
            constants.push(self.shares(variant.invocations));
        }
        let mut at_once = 1;
        if let Work::Examples { each, .. } = beside.work {
            at_once = (variant.invocations as usize / each).max(1);
            constants.push(("AT_ONCE", at_once as f64));
        }
        let kernel = variant.of(beside.kernel);
        let pipeline = self.device.pipeline(kernel, &constants)?;
        // What is beyond these workgroups is walked to.
        let needed = match beside.work {
            Work::Workgroups(count) => count,
            Work::Invocations(count) => count.div_ceil(variant.invocations as usize),
            Work::Examples { count, .. } => count.div_ceil(at_once),
        };
        let others = self.device.workgroups_beside(needed) as u32;
        let (rows, layers) = match z {
            1 => (others.div_ceil(x).min(MOST_WORKGROUPS - y), 0),
            _ => (0, others.div_ceil(x * y).min(MOST_WORKGROUPS - z)),
        };
        let first = self.device.is_software();
        let sizes = Joined {
            first_row: if first { rows } else { 0 },
            rows: y,
            first_layer: if first { layers } else { 0 },
            layers: z,
            others_first: if first { 0 } else { x * y * z },
            others: x * (rows + y * layers),
            ..beside.sizes
        };
        let mut uniforms = vec![self.uniform(&product)?, self.uniform(&sizes)?];
        uniforms.extend(beside.uniforms);
        let parts: Vec<Part<'_>> = uniforms.iter().map(Buffer::all).chain(parts.iter().cloned()).collect();
        let mut dispatch = self.device.dispatch(&pipeline, &parts, [x, y + rows, z + layers])?;
        dispatch.name = name_of(kernel, product, layout);
        Ok(dispatch)
    }

    /// From the draw of a batch to its hidden units.
    pub(super) fn hidden_forward(&self, sizes: Joined, masks: &[Mask; 2], parts: [Part<'_>; 8]) -> Result<Dispatch> {
        let dropouts = [self.dropout(&masks[0])?, self.dropout(&masks[1])?];
        let uniforms = [[self.feed.plan.clone(), self.uniform(&sizes)?], dropouts].concat();
        let dropping = if drops(&masks[0]).1 > 0.0 { drops(&masks[0]) } else { drops(&masks[1]) };
        let workgroups = |examples: usize| [(sizes.batch as usize).div_ceil(examples) as u32, 1, 1];
        let mut constants = vec![self.feed.order(), dropping];
        if self.device.is_software() {
            return self.pass(&kernels::HIDDEN_FORWARD, &uniforms, &parts, &constants, workgroups(EXAMPLES));
        }
        constants.push(("INPUT_QUADS", f64::from(sizes.input_stride / 4)));
        let kernel = &kernels::HIDDEN_FORWARD_WIDE;
        self.pass_in(WIDE_INVOCATIONS, kernel, &uniforms, &parts, &constants, workgroups(WIDE_EXAMPLES))
    }

    /// A mask as kernels read it.
    pub(super) fn dropout(&self, mask: &Mask) -> Result<Buffer> {
        self.uniform(&Dropout::new(mask))
    }

    pub(super) fn uniform<T: bytemuck::Pod>(&self, value: &T) -> Result<Buffer> {
        self.device.uniform("sizes", value)
    }

    fn for_each(&self, count: usize) -> [u32; 3] {
        workgroups_for_each(count, self.device.workgroup())
    }

    /// Four numbers of a row each.
    fn for_each_four(&self, sizes: Activations) -> [u32; 3] {
        self.for_each(sizes.rows as usize * sizes.stride as usize / 4)
    }

    fn pass(
        &self,
        kernel: &'static Kernel,
        uniforms: &[Buffer],
        parts: &[Part<'_>],
        constants: &[(&str, f64)],
        workgroups: [u32; 3],
    ) -> Result<Dispatch> {
        self.pass_in(self.device.workgroup(), kernel, uniforms, parts, constants, workgroups)
    }

    /// A pass in workgroups of so many invocations.
    fn pass_in(
        &self,
        invocations: u32,
        kernel: &'static Kernel,
        uniforms: &[Buffer],
        parts: &[Part<'_>],
        constants: &[(&str, f64)],
        workgroups: [u32; 3],
    ) -> Result<Dispatch> {
        let constants = [&[("WORKGROUP", f64::from(invocations))], constants].concat();
        let pipeline = self.device.pipeline(kernel, &constants)?;
        let parts: Vec<Part<'_>> = uniforms.iter().map(Buffer::all).chain(parts.iter().cloned()).collect();
        self.device.dispatch(&pipeline, &parts, workgroups)
    }
}
