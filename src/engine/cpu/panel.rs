//! Rows of weights turned into columns: what the product needs where a sum runs along a row.

use super::lanes::{InstructionSet, Job};
use super::threads::Numbers;

/// Writes `panel[column * stride + row] = rows[row * row_stride + column]`. Rows and columns are multiples of 8.
pub(super) struct Panel<'a> {
    pub(super) from: Numbers<'a>,
    pub(super) row_stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) panel: &'a mut [f32],
    pub(super) stride: usize,
}

/// Rows and columns of a block that is turned in registers.
const BLOCK: usize = 8;

impl Job for Panel<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Panel { from, row_stride, rows, columns, panel, stride } = self;
        assert!(rows.is_multiple_of(BLOCK) && columns.is_multiple_of(BLOCK) && rows > 0 && columns > 0);
        assert!(columns <= row_stride && (rows - 1) * row_stride + columns <= from.length);
        assert!(rows <= stride && (columns - 1) * stride + rows <= panel.len());
        for column in (0..columns).step_by(BLOCK) {
            for row in (0..rows).step_by(BLOCK) {
                // SAFETY: the block lies within both buffers, whose lengths were compared above.
                unsafe {
                    let from = from.start.add(row * row_stride + column);
                    I::transpose(from, row_stride, panel.as_mut_ptr().add(column * stride + row), stride);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::lanes::{Level, dispatch};

    #[test]
    fn columns_are_rows() {
        for (level, (rows, columns)) in
            Level::available().into_iter().flat_map(|level| [(level, (24, 16)), (level, (8, 40))])
        {
            let (row_stride, stride) = (columns + 3, rows + 5);
            let from: Vec<f32> = (0..rows * row_stride).map(|place| place as f32).collect();
            let mut panel = vec![-1.0; columns * stride];
            dispatch(level, Panel { from: from[..].into(), row_stride, rows, columns, panel: &mut panel, stride });
            for (place, &value) in panel.iter().enumerate() {
                let (column, row) = (place / stride, place % stride);
                assert_eq!(value, if row < rows { from[row * row_stride + column] } else { -1.0 });
            }
        }
    }
}
