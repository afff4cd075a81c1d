// The step's learning rate, asked for once and at the beginning. At each store it would come from memory anew, in two answers one
// after the other: for all that a compiler knows, what is stored may be what it is read from.
// Expects shared/random.wgsl and shared/batch.wgsl before it, and of its includer `factors` and `cursor`.

var<private> rate: f32;

fn bring_rate() {
    rate = factors[cursor.current.slot].rate;
}
