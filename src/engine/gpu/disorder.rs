//! Kernels whose workgroups and invocations run in another order than a device would take, and whose workgroup memory holds
//! nonsense before. A software device takes the invocations of a workgroup eight by eight, each eight as far as the next
//! barrier, and one workgroup after the other: a barrier that is missing, or a workgroup that needs what another one makes,
//! goes unseen there. A GPU promises no order.
//!
//! What is still not seen: llvmpipe waits once more when it leaves a loop in which it waits, so a barrier may be missing after one.

use bytemuck::{bytes_of_mut, cast_slice_mut};

use super::alone::run_alone;
use super::device::Device;
use super::kernels::{Kernel, SQUARE_SUM};
use super::uniforms::Extent;
use crate::testing;

/// The order in which invocations and workgroups run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disorder {
    /// Neighbours are far from each other.
    Scattered,
    /// The same from the last one to the first, and the workgroups as well.
    Backward,
}

/// Of two invocations that are not of the same eight, each is before the other in one of them.
pub(super) const DISORDERS: [Disorder; 2] = [Disorder::Scattered, Disorder::Backward];

/// A kernel's text in which invocation and workgroup do the work of other ones.
pub(super) fn disordered(source: &str, name: &str, disorder: Disorder) -> String {
    let entry = format!("fn {name}(");
    let (before, rest) = source.split_once(&entry).expect("an entry point of the kernel's name");
    let (parameters, body) = rest.split_once(") {").expect("a body");
    let (_, size) = before.rsplit_once("@workgroup_size(").expect("a size");
    let size = size.trim_end().strip_suffix(')').expect("a size");
    let (local, workgroup) = match disorder {
        Disorder::Scattered => ("given_local", "given_workgroup"),
        Disorder::Backward => ("(size - 1u - given_local)", "given_workgroups - 1u - given_workgroup"),
    };
    let names: String = parameters.split("@builtin(").skip(1).map(known_as).collect();
    let mut nonsense: String = before.split("var<workgroup> ").skip(1).map(filled).collect();
    if !nonsense.is_empty() {
        nonsense.push_str("workgroupBarrier();");
    }
    // Sizes are powers of two, so that each place is taken once. No two of the same eight are at a distance that is a power of two,
    // as in a sum in a tree.
    format!(
        "{before}{entry}
    @builtin(local_invocation_index) given_local: u32,
    @builtin(workgroup_id) given_workgroup: vec3<u32>,
    @builtin(num_workgroups) given_workgroups: vec3<u32>,
) {{
    let size = u32({size});
    var nonsense = 0xffc01234u;
    {nonsense}
    let local_invocation_index = {local} * 37u % size;
    let workgroup_id = {workgroup};
    let num_workgroups = given_workgroups;
    let global_invocation_id = vec3<u32>(workgroup_id.x * size + local_invocation_index, workgroup_id.yz);
    {names}{body}"
    )
}

/// Gives a number of the invocation the name that it has in the kernel.
fn known_as(parameter: &str) -> String {
    let (builtin, rest) = parameter.split_once(')').expect("a builtin");
    let (name, _) = rest.split_once(':').expect("a type");
    format!("let {name} = {builtin};\n")
}

/// Fills a variable of the workgroup's memory.
fn filled(declaration: &str) -> String {
    let (declared, _) = declaration.split_once(';').expect("a declaration");
    let (name, declared) = declared.split_once(": ").expect("a type");
    let array = declared.strip_prefix("array<").and_then(|array| array.strip_suffix('>'));
    let (number, count) = array.and_then(|array| array.split_once(", ")).unwrap_or((declared, ""));
    let value = match number {
        "u32" => "nonsense",
        "f32" => "bitcast<f32>(nonsense)",
        "vec4<f32>" => "vec4<f32>(bitcast<f32>(nonsense))",
        _ => panic!("{name}: nonsense of type {number} is not known"),
    };
    match array {
        None => format!("{name} = {value};\n"),
        Some(_) => {
            format!("for (var i = given_local; i < u32({count}); i += size) {{ {name}[i] = {value}; }}\n")
        }
    }
}

#[test]
fn the_order_changes_nothing_unless_a_barrier_is_missing() {
    let mut numbers: Vec<f32> = (0..5000u32).map(|i| (i as f32 * 0.618).sin()).collect();
    let mut sums = |kernel: &'static Kernel, disorder: Option<Disorder>| {
        let mut device = Device::open(testing::gpu()?, true).unwrap();
        if let Some(disorder) = disorder {
            device.disorder(disorder);
        }
        let mut sums = vec![f32::NAN; 3];
        let mut extent = Extent::new(1, numbers.len(), numbers.len());
        let arrays = &mut [bytes_of_mut(&mut extent), cast_slice_mut(&mut numbers), cast_slice_mut(&mut sums)];
        run_alone(&mut device, kernel, &[("WORKGROUP", 256.0)], [3, 1, 1], arrays).unwrap();
        Some(sums.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let Some(expected) = sums(&SQUARE_SUM, None) else { return };
    let source = SQUARE_SUM.source.replace("workgroupBarrier();", "");
    let broken = Box::leak(Box::new(Kernel { source: source.leak(), ..SQUARE_SUM }));
    for disorder in DISORDERS {
        assert_eq!(sums(&SQUARE_SUM, Some(disorder)).unwrap(), expected, "{disorder:?}");
        assert_ne!(sums(broken, Some(disorder)).unwrap(), expected, "{disorder:?} without a barrier");
    }
}
