//! Heads that learn: their gradient, that they solve what frozen heads cannot, that they go on where they stopped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;
#[path = "support/toy_heads.rs"]
mod toy_heads;

use std::collections::BTreeMap;

use support::{Report, max_relative_difference, say};
use toy_heads::{HeadSizes, learning_heads, plain_extractor, random_policy, random_seen};
use vlm_planner_tuner::td3::Random;
use vlm_planner_tuner::td3::heads::{LearningHeads, Seen};

/// Those of the golden set's policy but for the side, which only decides how long the test takes.
const TINY: HeadSizes = HeadSizes { hidden: 64, feature: 32, history: Some(32), side: 64 };

/// Features with a gradient, and the robot's.
#[test]
fn heads_that_learn_see_what_the_robot_sees() {
    let mut random = Random::new(1);
    for sizes in [TINY, HeadSizes { history: None, ..TINY }] {
        let policy = random_policy(sizes, 7, &mut random);
        let (learning, robot) = (learning_heads(&policy, sizes), plain_extractor(&policy, sizes));
        for seq in [1, 2, 37] {
            let seen = random_seen(sizes, seq, &mut random);
            let past: Vec<_> =
                seen.newest_first.iter().filter_map(|frame| robot.encode_frame(frame).unwrap()).collect();
            let expected = robot.extract(&seen.hidden_states, &past).unwrap().feature;
            let mut found = Vec::new();
            learning.features(std::slice::from_ref(&seen), &mut found).unwrap();
            assert_eq!(found, expected.values(), "the same kernels give the same bits");
        }
    }
}

/// Minus what the gradient's surrogate sums: any function of the features will do, here a weighted sum, in double
/// precision.
fn loss(heads: &LearningHeads, seen: &[Seen], weights: &[f32]) -> f64 {
    let mut features = Vec::new();
    heads.features(seen, &mut features).unwrap();
    features.iter().zip(weights).map(|(value, weight)| f64::from(*value) * f64::from(*weight)).sum()
}

/// What a tensor belongs to: its name without layer numbers.
fn group(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').skip(1).collect();
    parts[..parts.len().min(if parts[1] == "temporal_transformer" { 5 } else { 3 })].join(".")
}

#[test]
fn the_gradient_is_that_of_finite_differences_in_every_group() {
    let mut random = Random::new(3);
    let policy = random_policy(TINY, 7, &mut random);
    let mut heads = learning_heads(&policy, TINY);
    let seen = [random_seen(TINY, 11, &mut random), random_seen(TINY, 14, &mut random)];
    let weights: Vec<f32> = (0..2 * TINY.feature).map(|_| random.normal()).collect();
    let mut gradient = vec![0.0; heads.values().len()];
    heads.add_gradient(&seen, &weights, &mut gradient).unwrap();

    // Along a random direction within each tensor: every number of it takes part, and the sum is large enough for f32.
    let mut places = Vec::new();
    let mut start = 0;
    for tensor in heads.named() {
        places.push((tensor.name, start..start + tensor.values.len()));
        start += places.last().unwrap().1.len();
    }
    let mut worst: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, range) in places {
        for _ in 0..3 {
            let direction: Vec<f32> = range.clone().map(|_| random.normal()).collect();
            let length = direction.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let along: f64 =
                gradient[range.clone()].iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum::<f64>()
                    / length;
            let mut at = |step: f64| {
                let shift = |values: &mut [f32]| {
                    for (value, d) in values[range.clone()].iter_mut().zip(&direction) {
                        *value += (f64::from(*d) * step / length) as f32;
                    }
                };
                let before = heads.values().to_vec();
                heads.change(shift).unwrap();
                let found = loss(&heads, &seen, &weights);
                heads.change(|values| values.copy_from_slice(&before)).unwrap();
                found
            };
            let step = 4e-3;
            let found = (at(step) - at(-step)) / (2.0 * step);
            let (error, scale) = worst.entry(group(&name)).or_default();
            *error = error.max((found - along).abs());
            *scale = scale.max(along.abs());
        }
    }
    let mut report = Report::default();
    for (group, (error, scale)) in worst {
        report.add(&group, (error / scale.max(1e-2)) as f32, 2e-2);
    }
    report.finish("gradient of the heads, relative to the largest of its group");
}

#[test]
fn the_sum_over_observations_does_not_depend_on_how_they_are_split() {
    let mut random = Random::new(5);
    let policy = random_policy(TINY, 7, &mut random);
    let heads = learning_heads(&policy, TINY);
    let seen: Vec<Seen> = (0..5).map(|index| random_seen(TINY, 5 + index, &mut random)).collect();
    let weights: Vec<f32> = (0..5 * TINY.feature).map(|_| random.normal()).collect();
    let sum = |few: usize| {
        let mut gradient = vec![0.0; heads.values().len()];
        for (seen, weights) in seen.chunks(few).zip(weights.chunks(few * TINY.feature)) {
            heads.add_gradient(seen, weights, &mut gradient).unwrap();
        }
        gradient.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(sum(1), sum(5));
    assert_eq!(sum(2), sum(5));
    assert!(heads.add_gradient(&seen, &weights[1..], &mut vec![0.0; heads.values().len()]).is_err());
}

#[test]
fn the_regression_stays_as_it_is() {
    let mut random = Random::new(6);
    let policy = random_policy(TINY, 7, &mut random);
    let heads = learning_heads(&policy, TINY);
    let learned: Vec<String> = heads.named().into_iter().map(|tensor| tensor.name).collect();
    let kept = policy.iter().map(|(name, _)| name).filter(|name| !learned.iter().any(|learned| learned == name));
    let kept: Vec<&str> = kept.collect();
    assert!(kept.iter().all(|name| name.contains(".mlp.") || name.starts_with("fc.")), "{kept:?}");
    assert_eq!(kept.len(), 8);
    say(&format!("{} tensors learn", learned.len()));
    let _ = max_relative_difference;
}
