//! Where labels go so that none covers another.

use std::ops::Range;

/// A rectangle of pixels: left, top, right, bottom; the last two are outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Rect {
    /// Whether two have a pixel in common.
    pub(super) fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether it lies wholly in another.
    fn lies_in(&self, other: &Rect) -> bool {
        self.left >= other.left && self.top >= other.top && self.right <= other.right && self.bottom <= other.bottom
    }
}

/// For each label in turn the number of the first of its candidates that lies in `page` and overlaps none that were chosen
/// already nor any of the obstacles; nothing where there is no such one.
pub(super) fn placed(labels: &[Vec<Rect>], obstacles: &[Rect], page: Rect) -> Vec<Option<usize>> {
    let mut taken = obstacles.to_vec();
    let free = |candidates: &Vec<Rect>| {
        let is_free = |one: &Rect| one.lies_in(&page) && !taken.iter().any(|other| other.overlaps(one));
        let found = candidates.iter().position(is_free)?;
        taken.push(candidates[found]);
        Some(found)
    };
    labels.iter().map(free).collect()
}

/// Places at least `height` apart for what would like to stand at `wanted`, in rising order, and as near to it as can be
/// (least squares), within a range where they fit into it.
pub(super) fn spread(wanted: &[i32], height: i32, range: Range<i32>) -> Vec<i32> {
    // Without the heights the places need only rise: the means of blocks that would fall are pooled.
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for (place, &want) in wanted.iter().enumerate() {
        let mut block = (f64::from(want - place as i32 * height), 1.0);
        while let Some(&(sum, count)) = blocks.last()
            && sum / count > block.0 / block.1
        {
            block = (block.0 + sum, block.1 + count);
            blocks.pop();
        }
        blocks.push(block);
    }
    let most = (range.end - height * wanted.len() as i32).max(range.start);
    let means = blocks.iter().flat_map(|&(sum, count)| std::iter::repeat_n(sum / count, count as usize));
    means
        .enumerate()
        .map(|(place, mean)| (mean.round() as i32).clamp(range.start, most) + place as i32 * height)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_spread_does_not_overlap(mut wanted in prop::collection::vec(-50_i32..450, 0..12), height in 1_i32..40) {
            wanted.sort_unstable();
            let places = spread(&wanted, height, 0..480);
            prop_assert_eq!(places.len(), wanted.len());
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= height));
            prop_assert!(places.iter().all(|&place| place >= 0 && place + height <= 480));
            let fits = wanted.windows(2).all(|pair| pair[1] - pair[0] >= height);
            if fits && wanted.iter().all(|&want| want >= 0 && want + height <= 480) {
                prop_assert_eq!(places, wanted);
            }
        }

        #[test]
        fn placed_labels_do_not_overlap(
            labels in prop::collection::vec(((0_i32..200, 0_i32..200), 1_i32..60), 1..60),
            obstacles in prop::collection::vec((0_i32..200, 0_i32..200), 0..20),
        ) {
            let page = Rect { left: 0, top: 0, right: 200, bottom: 200 };
            let around = |&((x, y), width): &((i32, i32), i32)| {
                let at = |left, top| Rect { left, top, right: left + width, bottom: top + 10 };
                vec![at(x, y), at(x - width, y), at(x, y - 10)]
            };
            let labels: Vec<Vec<Rect>> = labels.iter().map(around).collect();
            let dots = obstacles.iter().map(|&(left, top)| Rect { left, top, right: left + 3, bottom: top + 3 });
            let obstacles: Vec<Rect> = dots.collect();
            let found = placed(&labels, &obstacles, page);
            let mut taken = obstacles;
            for (candidates, found) in labels.iter().zip(found) {
                let is_free = |one: &Rect| one.lies_in(&page) && !taken.iter().any(|other| other.overlaps(one));
                prop_assert_eq!(found, candidates.iter().position(is_free));
                taken.extend(found.map(|number| candidates[number]));
            }
        }
    }

    #[test]
    fn neighbours_move_apart_from_their_middle() {
        assert_eq!(spread(&[100, 100, 100], 15, 0..400), [85, 100, 115]);
        assert_eq!(spread(&[395, 398], 15, 0..400), [370, 385]);
    }
}
