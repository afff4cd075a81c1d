// How occurrences of the same token hang together: for each, the next one, and a mark on all but the first.
// Expects nothing of its includer.

const NOT_FIRST = 0x80000000u;
const NO_MORE = 0x7fffffffu;
