//! Principal axes of vectors, for pictures of them.

/// Turns of the power iteration: enough for a picture where axes hold nearly the same.
const TURNS: usize = 500;

/// The two principal axes of rows of numbers: each row's place on them, and the share of the variance that each holds.
///
/// `rows` is [count, width], width at least two. By power iteration on the covariance in float64; the sign of an axis is such
/// that its largest component is positive.
pub fn principal_axes(rows: &[f32], width: usize) -> (Vec<[f64; 2]>, [f64; 2]) {
    let count = rows.len() / width;
    let mean: Vec<f64> = (0..width)
        .map(|column| rows.iter().skip(column).step_by(width).map(|&x| f64::from(x)).sum::<f64>() / count as f64)
        .collect();
    let centred: Vec<f64> = rows.iter().enumerate().map(|(place, &x)| f64::from(x) - mean[place % width]).collect();
    let mut covariance = vec![0.0; width * width];
    for row in centred.chunks_exact(width) {
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                covariance[i * width + j] += a * b;
            }
        }
    }
    let total: f64 = (0..width).map(|i| covariance[i * width + i]).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut axes = Vec::new();
    let mut shares = [0.0; 2];
    for share in &mut shares {
        let (axis, variance) = leading_axis(&covariance, width);
        for i in 0..width {
            for j in 0..width {
                covariance[i * width + j] -= variance * axis[i] * axis[j];
            }
        }
        *share = variance / total;
        axes.push(axis);
    }
    let on = |row: &[f64], axis: &[f64]| row.iter().zip(axis).map(|(x, a)| x * a).sum::<f64>();
    (centred.chunks_exact(width).map(|row| [on(row, &axes[0]), on(row, &axes[1])]).collect(), shares)
}

/// The axis of the largest variance, of length one, and the variance on it.
fn leading_axis(covariance: &[f64], width: usize) -> (Vec<f64>, f64) {
    // A start that no axis of a real covariance is at right angles to.
    let mut axis: Vec<f64> = (0..width).map(|i| 1.0 + (i as f64 * 0.7).sin()).collect();
    let mut variance = 0.0;
    for _ in 0..TURNS {
        let next: Vec<f64> =
            covariance.chunks_exact(width).map(|row| row.iter().zip(&axis).map(|(c, a)| c * a).sum()).collect();
        let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        let before = axis.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            return (vec![0.0; width], 0.0);
        }
        variance = length / before;
        axis = next.iter().map(|x| x / length).collect();
    }
    let largest = axis.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
    axis.iter_mut().for_each(|x| *x *= largest.signum());
    (axis, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_an_ellipse_lie_on_its_axes() {
        // Long along (3, 4, 0) / 5, short along (0, 0, 1), nothing along the third direction.
        let rows: Vec<f32> = (0..40)
            .flat_map(|place| {
                let angle = place as f32 / 40.0 * std::f32::consts::TAU;
                let (long, short) = (5.0 * angle.cos(), 2.0 * angle.sin());
                [1.0 + 0.6 * long, 2.0 + 0.8 * long, 3.0 + short]
            })
            .collect();
        let (places, shares) = principal_axes(&rows, 3);
        assert!((shares[0] - 25.0 / 29.0).abs() < 1e-5 && (shares[1] - 4.0 / 29.0).abs() < 1e-5, "{shares:?}");
        for (place, at) in places.iter().enumerate() {
            let angle = f64::from(place as u32) / 40.0 * std::f64::consts::TAU;
            assert!((at[0] - 5.0 * angle.cos()).abs() < 1e-4 && (at[1].abs() - 2.0 * angle.sin().abs()).abs() < 1e-4);
        }
    }

    #[test]
    fn equal_vectors_have_no_axes() {
        let (places, shares) = principal_axes(&[1.0, 2.0, 1.0, 2.0], 2);
        assert_eq!((places, shares), (vec![[0.0; 2]; 2], [0.0; 2]));
    }
}
