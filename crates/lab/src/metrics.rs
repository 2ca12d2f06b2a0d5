//! Measures how well a score separates signal from background.

/// Area under the ROC curve: the probability that a signal event scores above a background event, with ties counting half. Exact, by the Mann-Whitney
/// rank sum. `None` if either is empty.
pub(crate) fn auc(signal: &[f32], background: &[f32]) -> Option<f64> {
    if signal.is_empty() || background.is_empty() {
        return None;
    }
    let mut all: Vec<(f32, bool)> = signal.iter().map(|&score| (score, true)).collect();
    all.extend(background.iter().map(|&score| (score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0usize;
    // Twice the number of correctly ordered pairs: an integer, so the sum has no rounding.
    let mut pairs = 0u128;
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let signals = tied.iter().filter(|(_, is_signal)| *is_signal).count();
        let backgrounds = tied.len() - signals;
        pairs += signals as u128 * (2 * below + backgrounds) as u128;
        below += backgrounds;
    }
    Some(pairs as f64 / (2.0 * signal.len() as f64 * background.len() as f64))
}

/// The threshold of the cut `score > threshold` that at most this fraction of the background passes; `None` if there are too few events: fewer
/// than 10 would pass.
pub(crate) fn threshold(background: &[f32], fraction: f64) -> Option<f32> {
    let passing = (background.len() as f64 * fraction).floor() as usize;
    if passing < 10 {
        return None;
    }
    let mut falling = background.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    falling.get(passing).copied()
}

/// Fraction of events with `score > threshold`.
pub(crate) fn efficiency(scores: &[f32], threshold: f32) -> f64 {
    let passing = scores.iter().filter(|&&score| score > threshold).count();
    passing as f64 / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{auc, efficiency, threshold};

    #[test]
    fn auc_is_the_fraction_of_pairs_in_order() {
        let signal = [0.1, 0.4, 0.4, 0.8, 0.9, -1.0];
        let background = [0.4, 0.3, 0.8, -0.0, 0.0];
        let mut sum = 0.0;
        for s in signal {
            sum += background
                .iter()
                .map(|&b| {
                    if s > b {
                        1.0
                    } else if s == b {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum::<f64>();
        }
        assert_eq!(auc(&signal, &background), Some(sum / 30.0));
        assert_eq!(auc(&[1.0], &[0.0]), Some(1.0));
        assert_eq!(auc(&[], &[0.0]), None);
    }

    #[test]
    fn a_threshold_lets_the_stated_fraction_pass() {
        let scores: Vec<f32> = (0..10_000).map(|i| ((i * 7919) % 10_000) as f32).collect();
        for fraction in [0.5, 1e-2, 1e-3] {
            assert_eq!(efficiency(&scores, threshold(&scores, fraction).unwrap()), fraction);
        }
        assert_eq!(threshold(&scores, 1e-4), None);
    }
}
