//! How vectors are compared, and how two orders become one. Pure.

/// How much the first places count more than those behind them; the usual number.
const SMOOTHING: f64 = 60.0;

/// A vector of length 1 in the same direction.
pub(super) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|it| it * it).sum::<f32>().sqrt();
    if length > 0.0 && length.is_finite() {
        for number in &mut vector {
            *number /= length;
        }
    }
    vector
}

/// How much two unit vectors look the same way; nothing where they are not of one kind.
pub(super) fn likeness(a: &[f32], b: &[f32]) -> Option<f32> {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    (a.len() == b.len() && sum.is_finite()).then_some(sum)
}

/// One order out of several, each the best first: a place in one list counts its reciprocal. Scores
/// are 1 for what is first in all lists.
pub(super) fn fused(lists: &[Vec<i64>]) -> Vec<(i64, f64)> {
    let mut scores: Vec<(i64, f64)> = Vec::new();
    let lists: Vec<_> = lists.iter().filter(|list| !list.is_empty()).collect();
    let count = f64::from(u32::try_from(lists.len()).unwrap_or(u32::MAX));
    for list in lists {
        for (id, place) in list.iter().zip(1u32..) {
            let score = (SMOOTHING + 1.0) / (SMOOTHING + f64::from(place)) / count;
            match scores.iter_mut().find(|(known, _)| known == id) {
                Some((_, sum)) => *sum += score,
                None => scores.push((*id, score)),
            }
        }
    }
    scores.sort_by(|(one, a), (other, b)| b.total_cmp(a).then(one.cmp(other)));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_lists_agree_on_is_first() {
        let fused = fused(&[vec![1, 2, 3], vec![2, 4]]);
        let ids: Vec<_> = fused.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [2, 1, 4, 3]);
        assert!(fused[0].1 < 1.0 && fused[0].1 > 0.9);
        assert_eq!(super::fused(&[vec![7], vec![]]), [(7, 1.0)]);
    }

    #[test]
    fn vectors_are_compared_by_direction() {
        let (a, b) = (unit(vec![3.0, 4.0]), unit(vec![30.0, 40.0]));
        assert!((likeness(&a, &b).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(likeness(&a, &[1.0]), None);
        assert_eq!(likeness(&[f32::NAN], &[1.0]), None);
        assert_eq!(unit(vec![0.0]), [0.0]);
    }
}
