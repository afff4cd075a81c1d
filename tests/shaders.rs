//! The shaders without a GPU: every composed source is valid WGSL, binds what the kernel table says, and lays its structs
//! out as the Rust mirrors do.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::path::Path;

use gpu_mlp::engine::gpu::kernels::{Access, HIDDEN_GRADIENT_PARTS, INPUT_STEP, KERNELS, Kernel, OUTPUT_STEP};
use gpu_mlp::engine::gpu::product::{SLICED, Shared, VARIANTS, Variant};
use gpu_mlp::engine::gpu::uniforms::{
    Activations, Clip, Cursor, Dropout, Extent, Factors, Joined, Plan, Position, Product, Rule, Table,
};
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn parse(kernel: &Kernel) -> naga::Module {
    parse_with(kernel, &[])
}

/// A kernel whose lines are repeated for a tile of some size.
fn parse_with(kernel: &Kernel, tile: &[(&str, f64)]) -> naga::Module {
    let (source, _) = kernel.compose(tile);
    naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&source)))
}

fn validate(kernel: &Kernel, module: &naga::Module) {
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    if let Err(error) = validator.validate(module) {
        panic!("{}: {}", kernel.name, error.emit_to_string(kernel.source));
    }
    let entry_points: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(entry_points, [kernel.name]);
}

#[test]
fn every_kernel_is_valid_and_asks_for_no_capabilities() {
    for kernel in KERNELS {
        validate(kernel, &parse(kernel));
    }
    let joined = [&HIDDEN_GRADIENT_PARTS, &OUTPUT_STEP, &INPUT_STEP];
    for variant in VARIANTS.into_iter().chain([SLICED]) {
        let tile = [("ROWS", variant.rows.into()), ("QUADS", variant.quads.into())];
        validate(variant.kernel, &parse_with(variant.kernel, &tile));
        for kernel in joined.map(|joined| variant.of(joined)) {
            validate(kernel, &parse_with(kernel, &tile));
        }
    }
}

#[test]
fn tiles_of_products_fit_into_what_devices_have() {
    for variant in VARIANTS {
        let Variant { rows, quads, invocations, shared, .. } = variant;
        assert!(invocations <= 256 && rows % 4 == 0, "{variant:?}");
        if let Shared::Tiles { across, depth, slabs } = shared {
            // Rows and columns have room for multiples of 32.
            let room = [rows * (invocations / across), 4 * quads * across].map(|side| side.next_multiple_of(32));
            // Every device has 16 KiB; two ways are for those that have more than 32.
            let most =
                if ["tiled-128x128-deep", "tiled-128x128-turns"].contains(&variant.name) { 32 << 10 } else { 16 << 10 };
            assert!(4 * slabs * depth * (room[0] + room[1]) <= most && depth % 4 == 0, "{variant:?}");
        }
    }
}

#[test]
fn the_table_lists_the_files() {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")).unwrap();
    let files: BTreeSet<String> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let table: BTreeSet<String> = KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn bindings_and_constants_are_those_of_the_table() {
    for kernel in KERNELS {
        let module = parse(kernel);
        let mut bindings: Vec<(u32, Access)> = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            assert_eq!(binding.group, 0, "{}", kernel.name);
            let access = match variable.space {
                naga::AddressSpace::Uniform => Access::Uniform,
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => Access::Write,
                naga::AddressSpace::Storage { .. } => Access::Read,
                space => panic!("{}: {space:?}", kernel.name),
            };
            bindings.push((binding.binding, access));
        }
        bindings.sort_by_key(|&(binding, _)| binding);
        let expected: Vec<(u32, Access)> = (0..).zip(kernel.bindings.iter().copied()).collect();
        assert_eq!(bindings, expected, "{}", kernel.name);
        assert!(kernel.bindings.iter().filter(|&&access| access != Access::Uniform).count() <= 8, "{}", kernel.name);

        let declared: BTreeSet<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
        let given: BTreeSet<&str> = kernel.constants.iter().copied().collect();
        assert!(given.is_subset(&declared), "{}: {given:?} of {declared:?}", kernel.name);
    }
}

/// Names, offsets and size of a struct, as some kernel declares it.
fn layout_of(name: &str) -> (Vec<(String, usize)>, usize) {
    for kernel in KERNELS {
        let module = parse(kernel);
        for (_, ty) in module.types.iter() {
            if let naga::TypeInner::Struct { members, span } = &ty.inner
                && ty.name.as_deref() == Some(name)
            {
                let members = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize));
                return (members.collect(), *span as usize);
            }
        }
    }
    panic!("no kernel declares {name}");
}

macro_rules! assert_same_layout {
    ($type:ident { $($field:ident),+ }) => {
        let rust: Vec<(String, usize)> = vec![$((stringify!($field).to_owned(), offset_of!($type, $field))),+];
        assert_eq!(layout_of(stringify!($type)), (rust, size_of::<$type>()), stringify!($type));
    };
}

#[test]
fn structs_lie_in_memory_as_their_mirrors() {
    assert_same_layout!(Plan { seed, batch, examples, half_bits, context });
    assert_same_layout!(Position { step, epoch, offset, slot });
    assert_same_layout!(Cursor { current, next, rate });
    assert_same_layout!(Extent { rows, columns, stride, first });
    assert_same_layout!(Activations { rows, columns, stride, first, batch });
    assert_same_layout!(Table { first, rows, columns, stride });
    assert_same_layout!(Dropout { seed, purpose, threshold, kept });
    assert_same_layout!(Factors { rate, velocity, squares, keeps });
    assert_same_layout!(Joined {
        first_row,
        rows,
        first_layer,
        layers,
        others_first,
        others,
        batch,
        embedding,
        embedding_stride,
        units,
        hidden_stride,
        inputs,
        input_stride,
        hidden_weight,
        hidden_bias,
        hidden_parts,
        input_parts,
        d_input
    });
    assert_same_layout!(Clip { count, norm });
    assert_same_layout!(Rule { first, count, cleared, momentum, beta1, beta2, epsilon, decay, tensors });
    assert_same_layout!(Product {
        rows,
        columns,
        inner,
        left,
        right,
        out,
        part,
        out_part,
        parts,
        products,
        left_next,
        right_next,
        left_first,
        bias_first,
        out_first,
        sums_first
    });
}
