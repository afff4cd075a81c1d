// The second phase of a step in tiles, an invocation a tile of 8 by 8 numbers of a weight, four numbers of a bias, or four of
// the embedding: what is read of an example serves a whole tile.
// Expects shared/small.wgsl and shared/batch.wgsl before it, and of its includer `plan`, `contexts`, `activations`,
// `factors`, `cursor`, `parameters` and `losses`, the floats of activations and parameters in vectors of four.

override INPUT_TILES: u32 = (INPUT + TILE - 1u) / TILE;
override HIDDEN_TILES: u32 = (HIDDEN + TILE - 1u) / TILE;
override VOCABULARY_TILES: u32 = (VOCABULARY + TILE - 1u) / TILE;

// The first invocation of each tensor: matrices first, then biases, then quads of the embedding.
override FIRST_OUTPUT: u32 = HIDDEN_TILES * INPUT_TILES;
override FIRST_DIRECT: u32 = FIRST_OUTPUT + VOCABULARY_TILES * HIDDEN_TILES;
override FIRST_HIDDEN_BIAS: u32 = FIRST_DIRECT + select(0u, VOCABULARY_TILES * INPUT_TILES, DIRECT);
override FIRST_OUTPUT_BIAS: u32 = FIRST_HIDDEN_BIAS + HIDDEN_STRIDE / 4u;
override FIRST_EMBEDDING: u32 = FIRST_OUTPUT_BIAS + VOCABULARY_STRIDE / 4u;
// One more at the end has the loss and the cursor.
override TILES: u32 = FIRST_EMBEDDING + (VOCABULARY * EMBEDDING + 3u) / 4u + 1u;

// A tile of a weight with so many rows: `gradient` and `activation` are the places of its numbers in a record.
fn update_tile(weight: u32, rows: u32, stride: u32, row: u32, column: u32, gradient: u32, activation: u32, rate: f32) {
    // A tile may end after half its rows or columns.
    let second_row = select(0u, 1u, row + 4u < rows);
    let second_column = select(0u, 1u, column + 4u < stride);
    var left: array<vec4<f32>, TILE>;
    var right: array<vec4<f32>, TILE>;
    var g = (gradient + row) / 4u;
    var a = (activation + column) / 4u;
    for (var example = 0u; example < BATCH; example++) {
        let g_first = activations[g];
        let g_second = activations[g + second_row];
        let a_first = activations[a];
        let a_second = activations[a + second_column];
        for (var t = 0u; t < 4u; t++) {
            left[t] += g_first[t] * a_first;
            right[t] += g_first[t] * a_second;
            left[t + 4u] += g_second[t] * a_first;
            right[t + 4u] += g_second[t] * a_second;
        }
        g += RECORD / 4u;
        a += RECORD / 4u;
    }
    for (var t = 0u; t < TILE; t++) {
        if row + t < rows {
            let place = (weight + (row + t) * stride + column) / 4u;
            // Numbers that fill a row up have gradients of 0.
            parameters[place] -= rate * left[t];
            if second_column == 1u {
                parameters[place + 1u] -= rate * right[t];
            }
        }
    }
}

fn update_bias(bias: u32, gradient: u32, rate: f32) {
    var sum: vec4<f32>;
    for (var example = 0u; example < BATCH; example++) {
        sum += activations[(example * RECORD + gradient) / 4u];
    }
    parameters[bias / 4u] -= rate * sum;
}

// Four numbers of the embedding's gradient from `number` on: each the sum over its token's occurrences in the batch.
fn gradients_of_embedding(number: u32) -> vec4<f32> {
    let numbers = vec4<u32>(number) + vec4<u32>(0u, 1u, 2u, 3u);
    let sought = numbers / EMBEDDING;
    let k = numbers % EMBEDDING;
    let occurrences = BATCH * CONTEXT;
    var sums: vec4<f32>;
    for (var first = 0u; first < occurrences; first += 32u) {
        // First which of 32 occurrences are the tokens': a loop over these few is shorter than one over all.
        var found: vec4<u32>;
        for (var bit = 0u; bit < 32u && first + bit < occurrences; bit++) {
            let is_sought = vec4<u32>(contexts[first + bit]) == sought;
            found |= select(vec4<u32>(), vec4<u32>(1u << bit), is_sought);
        }
        for (var t = 0u; t < 4u; t++) {
            var left = found[t];
            while left != 0u {
                let occurrence = first + firstTrailingBit(left);
                left &= left - 1u;
                let at = occurrence / CONTEXT * RECORD + RECORD_D_INPUT + occurrence % CONTEXT * EMBEDDING + k[t];
                sums[t] += activations[at / 4u][at % 4u];
            }
        }
    }
    return sums;
}

// Tile `index` of what the step at a position changes.
fn update(position: Position, index: u32) {
    let rate = factors[position.slot].rate;
    if index < FIRST_OUTPUT {
        let row = index / INPUT_TILES * TILE;
        let column = index % INPUT_TILES * TILE;
        update_tile(HIDDEN_WEIGHT, HIDDEN, INPUT_STRIDE, row, column, RECORD_D_SUM, 0u, rate);
    } else if index < FIRST_DIRECT {
        let row = (index - FIRST_OUTPUT) / HIDDEN_TILES * TILE;
        let column = (index - FIRST_OUTPUT) % HIDDEN_TILES * TILE;
        update_tile(OUTPUT_WEIGHT, VOCABULARY, HIDDEN_STRIDE, row, column, RECORD_D_LOGITS, RECORD_HIDDEN, rate);
    } else if index < FIRST_HIDDEN_BIAS {
        let row = (index - FIRST_DIRECT) / INPUT_TILES * TILE;
        let column = (index - FIRST_DIRECT) % INPUT_TILES * TILE;
        update_tile(DIRECT_WEIGHT, VOCABULARY, INPUT_STRIDE, row, column, RECORD_D_LOGITS, 0u, rate);
    } else if index < FIRST_OUTPUT_BIAS {
        let first = (index - FIRST_HIDDEN_BIAS) * 4u;
        update_bias(HIDDEN_BIAS + first, RECORD_D_SUM + first, rate);
    } else if index < FIRST_EMBEDDING {
        let first = (index - FIRST_OUTPUT_BIAS) * 4u;
        update_bias(OUTPUT_BIAS + first, RECORD_D_LOGITS + first, rate);
    } else {
        let quad = index - FIRST_EMBEDDING;
        if 4u * quad < VOCABULARY * EMBEDDING {
            // Numbers beyond the last are of a token that never occurs.
            parameters[quad] -= rate * gradients_of_embedding(4u * quad);
        } else if 4u * quad < VOCABULARY * EMBEDDING + 4u {
            // The one invocation after the last quad.
            var sum = 0.0;
            for (var example = 0u; example < BATCH; example++) {
                sum += activations[(example * RECORD + RECORD_LOSS) / 4u].x;
            }
            losses[position.slot] = sum / f32(plan.batch);
            cursor.next = position_after(plan, position);
        }
    }
}
