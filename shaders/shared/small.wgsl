// The sizes that fix a pipeline of the small path, where its parameters lie in their buffer, and the record of one
// example's activations. The twin is src/engine/gpu/layout.rs.
// Expects nothing of its includer.

override WORKGROUP: u32 = 64u;
override VOCABULARY: u32 = 27u; // V
override CONTEXT: u32 = 3u;     // n
override EMBEDDING: u32 = 10u;  // d
override HIDDEN: u32 = 200u;    // h
override DIRECT: bool = false;
// B once more: whoever waits for the plan first knows later where its numbers lie, and loops to a constant are compiled once
// (shared/batch.wgsl says where they are not).
override BATCH: u32 = 32u;

override INPUT: u32 = CONTEXT * EMBEDDING;

// Rows of weights begin at multiples of 4 numbers, tensors at multiples of 64.
override INPUT_STRIDE: u32 = (INPUT + 3u) / 4u * 4u;
override HIDDEN_STRIDE: u32 = (HIDDEN + 3u) / 4u * 4u;
override HIDDEN_WEIGHT: u32 = (VOCABULARY * EMBEDDING + 63u) / 64u * 64u;
override HIDDEN_BIAS: u32 = HIDDEN_WEIGHT + (HIDDEN * INPUT_STRIDE + 63u) / 64u * 64u;
override OUTPUT_WEIGHT: u32 = HIDDEN_BIAS + (HIDDEN + 63u) / 64u * 64u;
override OUTPUT_BIAS: u32 = OUTPUT_WEIGHT + (VOCABULARY * HIDDEN_STRIDE + 63u) / 64u * 64u;
override DIRECT_WEIGHT: u32 = OUTPUT_BIAS + (VOCABULARY + 63u) / 64u * 64u;

// An example's record begins with x; each part begins at a multiple of 4 numbers, and zeros fill it up. Logits, which no later
// dispatch looks at, come after all records: so more batches' records fit in a uniform buffer.
override VOCABULARY_STRIDE: u32 = (VOCABULARY + 3u) / 4u * 4u;
override RECORD_HIDDEN: u32 = INPUT_STRIDE;
override RECORD_D_LOGITS: u32 = RECORD_HIDDEN + HIDDEN_STRIDE;
override RECORD_D_SUM: u32 = RECORD_D_LOGITS + VOCABULARY_STRIDE; // of the hidden units, before tanh
override RECORD_D_INPUT: u32 = RECORD_D_SUM + HIDDEN_STRIDE;
override RECORD_LOSS: u32 = RECORD_D_INPUT + INPUT_STRIDE;
override RECORD: u32 = RECORD_LOSS + 4u;
override LOGITS: u32; // where those of the first example are: some kernels write more records than a batch has

// Where the tokens of an example begin that are drawn a step ahead: behind the contexts, those of even steps before those of odd ones.
// A step reads the ones and writes the others.
fn drawn_at(parity: u32, example: u32) -> u32 {
    return BATCH * CONTEXT + (parity * BATCH + example) * (CONTEXT + 1u);
}

// Long sums are made of so many parts: part l has the terms 4 l to 4 l + 3, 4 (l + LANES) to 4 (l + LANES) + 3, ...
const LANES = 8u;
// Rows and columns that the tiled kernels compute at once.
const TILE = 8u;
