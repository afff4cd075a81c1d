// How occurrences of the same token hang together: for each, the next one, and a mark on all but the first; or, where they are
// SORTED by their tokens, all occurrences one after the other with the same mark, and behind them, at the
// place of the first of a token, how many there are.
// Expects nothing of its includer.

// Sorting looks at all occurrences for each of them, and searching a next one only at some; but then one leads to the next, and
// a GPU has to wait for each answer.
override SORTED: bool = false;
const NOT_FIRST = 0x80000000u;
const NO_MORE = 0x7fffffffu;
