// The mean loss of a batch: piece by piece, always in the same order.
// Expects nothing of its includer but `example_losses`, filled up to a multiple of 4.

// Examples of a piece that a batch of up to 16,384 has.
const PIECE = 256u;

// The sum of some examples' losses; where they begin is a multiple of 4.
fn loss_of_piece(first: u32, end: u32) -> f32 {
    var sum_of_four = vec4<f32>();
    for (var lane = first; lane < end; lane += 4u) {
        let within = vec4<u32>(lane) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(end);
        sum_of_four += select(vec4<f32>(), example_losses[lane / 4u], within);
    }
    let sum_of_two = sum_of_four.xy + sum_of_four.zw;
    return sum_of_two.x + sum_of_two.y;
}
