// One step of the update rule for some of the parameters, number by number, and the average of the weights: the twin of
// src/engine/cpu/rule.rs.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/workgroup.wgsl before it. One invocation a number.

// The rule, one of the four below.
override RULE: u32 = 0u;
const SGD = 0u;
const MOMENTUM = 1u;
const ADAGRAD = 2u;
const ADAMW = 3u;
// Whether there is an average.
override AVERAGE: bool = false;

const TENSORS = 6u;

struct Rule {
    first: u32,   // the place among all parameters of the first number that is bound
    count: u32,   // numbers that are bound
    cleared: u32, // a gradient at a place before this one is zero afterwards: the next step adds to it
    momentum: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
    // For each tensor its first place, its columns, the distance of its rows, and 1 where it decays; then places beyond.
    tensors: array<vec4<u32>, TENSORS>,
}

@group(0) @binding(0) var<uniform> rule: Rule;
@group(0) @binding(1) var<storage, read> factors: array<Factors>;   // by slot
@group(0) @binding(2) var<storage, read> cursor: Cursor;
@group(0) @binding(3) var<storage, read> clip: array<f32>;          // [1], what gradients are multiplied with first
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(5) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(6) var<storage, read_write> velocity: array<f32>; // of MOMENTUM and ADAMW
@group(0) @binding(7) var<storage, read_write> squares: array<f32>;  // of ADAGRAD and ADAMW
@group(0) @binding(8) var<storage, read_write> average: array<f32>;  // where AVERAGE is true

@compute @workgroup_size(WORKGROUP)
fn update_rule(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let factor = factors[cursor.current.slot];
    for (var i = invocation.x; i < rule.count; i += workgroups.x * WORKGROUP) {
        let place = rule.first + i;
        var tensor = rule.tensors[0];
        for (var t = 1u; t < TENSORS; t++) {
            if place >= rule.tensors[t].x {
                tensor = rule.tensors[t];
            }
        }
        // What fills a row up is no parameter.
        if (place - tensor.x) % tensor.z >= tensor.y {
            continue;
        }
        let g = clip[0] * gradients[i];
        if place < rule.cleared {
            gradients[i] = 0.0;
        }
        var change = g;
        if RULE == MOMENTUM {
            change = rule.momentum * velocity[i] + g;
            velocity[i] = change;
        } else if RULE == ADAGRAD {
            let s = squares[i] + g * g;
            squares[i] = s;
            change = g / (sqrt(s) + rule.epsilon);
        } else if RULE == ADAMW {
            let m = rule.beta1 * velocity[i] + (1.0 - rule.beta1) * g;
            let s = rule.beta2 * squares[i] + (1.0 - rule.beta2) * (g * g);
            velocity[i] = m;
            squares[i] = s;
            change = factor.velocity * m / (sqrt(factor.squares * s) + rule.epsilon);
        }
        let decay = select(0.0, rule.decay, tensor.w == 1u);
        let before = parameters[i];
        let after = before - factor.rate * (change + decay * before);
        parameters[i] = after;
        if AVERAGE {
            average[i] = factor.keeps * average[i] + (1.0 - factor.keeps) * after;
        }
    }
}
