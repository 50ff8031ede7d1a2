//! Heads that learn: their gradient, that they solve what frozen heads cannot, that they go on where they stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::support::toy_heads::{HeadSizes, ToyHeads, learning_heads, plain_extractor, random_policy, random_seen};
use crate::support::{Report, say};
use vlm_planner_tuner::td3::heads::{LearningHeads, Seen};
use vlm_planner_tuner::td3::{Random, SavedTraining, TrainConfig, Training, changes_of};
use vlm_planner_tuner::vision_language::{HiddenStates, Prefix};

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
            let far = found.iter().zip(expected.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(found.len() == sizes.feature && far < 1e-5, "{far}: a batch is only rounded otherwise");
        }
    }
}

/// Where the hidden states come straight from the model, their first rows are known from other frames.
#[test]
fn nothing_is_remembered_of_a_known_prefix_once_the_heads_have_changed() {
    let mut random = Random::new(2);
    let sizes = HeadSizes { history: None, ..TINY };
    let mut heads = learning_heads(&random_policy(sizes, 7, &mut random), sizes);
    let [prefix, later] = [9, 5].map(|seq| random_seen(sizes, seq, &mut random));
    let prefix = Arc::new(Prefix::new(prefix.hidden_states.whole().unwrap()));
    let hidden_states = HiddenStates::after(prefix, later.hidden_states.whole().unwrap());
    let afresh = Seen { hidden_states: HiddenStates::new(hidden_states.whole().unwrap()), newest_first: Vec::new() };
    let known = Seen { hidden_states, newest_first: Vec::new() };
    let features = |heads: &LearningHeads, seen: &Seen| {
        let mut features = Vec::new();
        heads.features(std::slice::from_ref(seen), &mut features).unwrap();
        features
    };
    let before = features(&heads, &known);
    heads.change(|values| values.iter_mut().for_each(|value| *value *= 1.1)).unwrap();
    let after = features(&heads, &known);
    assert_ne!(after, before);
    assert_eq!(after, features(&heads, &afresh));
}

/// Any function of the features will do, here a weighted sum, in double
/// precision.
fn loss(heads: &LearningHeads, seen: &[Seen], weights: &[f32]) -> f64 {
    let mut features = Vec::new();
    heads.features(seen, &mut features).unwrap();
    features.iter().zip(weights).map(|(value, weight)| f64::from(*value) * f64::from(*weight)).sum()
}

/// The gradient of [`loss`], added up from a few observations at a time.
fn gradient_of(heads: &LearningHeads, seen: &[Seen], weights: &[f32], few: usize) -> Vec<f32> {
    let (mut sum, mut gradient) = (heads.no_gradient(), Vec::new());
    for (seen, weights) in seen.chunks(few).zip(weights.chunks(few * TINY.feature)) {
        heads.add_gradient(seen, weights, &mut sum).unwrap();
    }
    heads.read_gradient(&sum, &mut gradient).unwrap();
    gradient
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
    let gradient = gradient_of(&heads, &seen, &weights, 2);

    // Along directions within each tensor, in which every number of it takes part: that of the gradient, which is to rise
    // as steeply as the gradient is long, and two between it and a random one.
    let length = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let mut places = Vec::new();
    let mut start = 0;
    for tensor in heads.named() {
        places.push((tensor.name, start..start + tensor.values.len()));
        start += places.last().unwrap().1.len();
    }
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for (name, range) in places {
        let own = gradient[range.clone()].to_vec();
        let steepness = length(&own);
        if name.ends_with("spatial_attention.2.bias") {
            assert!(steepness < 1e-5, "a softmax does not notice what is added to all of it: {steepness}");
            continue;
        }
        assert!(steepness > 0.0, "{name}");
        for mixed in [0.0, 1.0, 1.0] {
            let noise: Vec<f32> = own.iter().map(|_| random.normal()).collect();
            let scale = mixed * steepness / length(&noise);
            let direction: Vec<f32> =
                own.iter().zip(&noise).map(|(own, noise)| own + (f64::from(*noise) * scale) as f32).collect();
            let long = length(&direction);
            let along = own.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum::<f64>() / long;
            let mut at = |step: f64| {
                let before = heads.values().to_vec();
                let shift = |values: &mut [f32]| {
                    for (value, d) in values[range.clone()].iter_mut().zip(&direction) {
                        *value += (f64::from(*d) * step / long) as f32;
                    }
                };
                heads.change(shift).unwrap();
                let found = loss(&heads, &seen, &weights);
                heads.change(|values| values.copy_from_slice(&before)).unwrap();
                found
            };
            // Too short a step drowns in rounding, too long a one meets the next kink of a ReLU: the best of three.
            let errors = [2e-3, 8e-3, 3e-2].map(|step| ((at(step) - at(-step)) / (2.0 * step) - along).abs());
            let error = errors.into_iter().fold(f64::INFINITY, f64::min) / steepness;
            let known = worst.entry(group(&name)).or_default();
            *known = known.max(error);
        }
    }
    let mut report = Report::default();
    for (group, error) in worst {
        report.add(&group, error as f32, 1e-2);
    }
    report.finish("gradient of the heads against finite differences, relative to its length");
}

#[test]
fn the_sum_over_observations_does_not_depend_on_how_they_are_split() {
    let mut random = Random::new(5);
    let policy = random_policy(TINY, 7, &mut random);
    let heads = learning_heads(&policy, TINY);
    let seen: Vec<Seen> = (0..5).map(|index| random_seen(TINY, 5 + index, &mut random)).collect();
    let weights: Vec<f32> = (0..5 * TINY.feature).map(|_| random.normal()).collect();
    let whole = gradient_of(&heads, &seen, &weights, 5);
    let length = whole.iter().map(|value| value * value).sum::<f32>().sqrt();
    for few in [1, 2] {
        let parts = gradient_of(&heads, &seen, &weights, few);
        let far = parts.iter().zip(&whole).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        assert!(far < 1e-5 * length, "{far} of {length}");
    }
    assert!(heads.add_gradient(&seen, &weights[1..], &mut heads.no_gradient()).is_err());
}

#[test]
fn the_regression_stays_as_it_is() {
    let mut random = Random::new(6);
    let policy = random_policy(TINY, 7, &mut random);
    let heads = learning_heads(&policy, TINY);
    let learned: Vec<String> = heads.named().into_iter().map(|tensor| tensor.name).collect();
    let kept: Vec<&str> =
        policy.iter().map(|(name, _)| name).filter(|name| !learned.contains(&(*name).to_owned())).collect();
    assert!(kept.iter().all(|name| name.contains(".mlp.") || name.starts_with("fc.")), "{kept:?}");
    assert_eq!(kept.len(), 8);
    assert_eq!(learned.len() + kept.len(), policy.len());
}

fn quick() -> TrainConfig {
    let (actor_lr, critic_lr) = (5e-4, 2e-3);
    TrainConfig { gamma: 0.1, n_step: 1, actor_lr, critic_lr, tau: 0.02, batch_size: 32, ..TrainConfig::default() }
}

/// Runs a test in a process that knows its number of threads: without RAYON_NUM_THREADS candle reads /proc/cpuinfo before
/// each product, which takes longer than these small ones. Whether this is that process.
fn with_known_threads(test: &str) -> bool {
    if std::env::var_os("RAYON_NUM_THREADS").is_some() {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([test, "--exact"]).env("RAYON_NUM_THREADS", "2");
    assert!(again.status().unwrap().success());
    false
}

fn train(training: &mut Training, updates: usize) {
    for _ in 0..updates {
        training.step().unwrap();
    }
}

#[test]
fn heads_solve_what_frozen_ones_cannot() {
    if !with_known_threads("td3::heads::heads_solve_what_frozen_ones_cannot") {
        return;
    }
    let toy = ToyHeads::new(1, 60, None);
    let start = Instant::now();
    let before = toy.error(&toy.policy);
    // The layer alone gets twice as long: it has reached what it can.
    let mut frozen = toy.training(quick(), None);
    train(&mut frozen, 2 * UPDATES);
    let mut learning = toy.training(quick(), Some(toy.heads()));
    train(&mut learning, UPDATES);
    let [alone, together] = [&frozen, &learning].map(|training| toy.error(&toy.trained(training)));
    say(&format!(
        "toy problem of the heads: the actor's error falls from {before:.4} to {alone:.4} with frozen heads ({} updates), \
         to {together:.4} with heads that learn ({UPDATES} updates), {:.1} s",
        2 * UPDATES,
        start.elapsed().as_secs_f64()
    ));
    assert!(together < 0.5 * alone, "{together} {alone}");

    let changes = changes_of(&mut learning).unwrap();
    assert_eq!(changes.steps, 512);
    assert!(changes.parameters.iter().all(|change| change.mean_change > 0.0), "{changes:?}");
}

const UPDATES: usize = 1000;

#[test]
fn features_are_computed_again_and_those_of_the_log_are_never_learned_from() {
    let toy = ToyHeads::new(2, 4, Some(16));
    let (buffer, table, summary) = toy.read();
    assert_eq!((summary.episodes, summary.steps), (4, 80));
    // The last episode's end has no successor; the others' is the first observation of the next.
    assert_eq!(table.iter().count(), 80 + 3);
    let mut heads = toy.heads();
    assert!(heads.distance_from_logged(&buffer).unwrap() < 1e-6);

    // A log whose features are another's: the numbers that learn do not notice.
    let numbers = |training: &Training| {
        let heads = training.heads().unwrap().values().iter();
        heads.chain(training.learner().actor().values()).map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let mut honest = toy.training(quick(), Some(toy.heads()));
    train(&mut honest, 3);
    let stale = toy.with_other_features();
    let mut stale_heads = stale.heads();
    assert!(stale_heads.distance_from_logged(&stale.read().0).unwrap() > 0.1);
    let mut lied_to = stale.training(quick(), Some(stale_heads));
    train(&mut lied_to, 3);
    assert_eq!(numbers(&honest), numbers(&lied_to));
    train(&mut honest, 1);
    assert_ne!(numbers(&honest), numbers(&lied_to));
}

#[test]
fn interrupted_heads_go_on_to_the_last_bit() {
    let toy = ToyHeads::new(3, 4, Some(16));
    let config = TrainConfig { batch_size: 6, ..quick() };
    let mut whole = toy.training(config.clone(), Some(toy.heads()));
    train(&mut whole, 9);

    let folder = tempfile::tempdir().unwrap();
    let mut part = toy.training(config.clone(), Some(toy.heads()));
    for stop in [3, 4, 9] {
        let updates = stop - part.iteration() as usize;
        train(&mut part, updates);
        part.save(folder.path(), "logs").unwrap();
        let saved = SavedTraining::open(folder.path()).unwrap();
        assert_eq!(saved.heads(), Some(toy.heads().origin()));
        part = toy.resume(saved, config.clone(), Some(toy.heads())).unwrap();
    }
    assert!(toy.trained(&part).same_bits(&toy.trained(&whole)).unwrap());
    assert_eq!(changes_of(&mut part).unwrap(), changes_of(&mut whole).unwrap());
    train(&mut part, 2);
    train(&mut whole, 2);
    assert!(toy.trained(&part).same_bits(&toy.trained(&whole)).unwrap());

    // Neither without its heads nor on another model.
    let open = || SavedTraining::open(folder.path()).unwrap();
    let refused = |heads| toy.resume(open(), config.clone(), heads).unwrap_err().to_string();
    assert!(refused(None).starts_with("the training was begun with --train heads"), "{}", refused(None));
    let other = refused(Some(toy.heads_on("another model")));
    assert!(other.contains("hidden states of model toy") && other.contains("another model"), "{other}");
    toy.training(config.clone(), None).save(folder.path(), "logs").unwrap();
    assert!(refused(Some(toy.heads())).starts_with("the training was begun with --train actor"));
}

#[test]
fn a_gradient_that_is_no_number_moves_neither_heads_nor_actor() {
    let toy = ToyHeads::new(4, 2, Some(16));
    let mut training = toy.training(TrainConfig { batch_size: 4, ..quick() }, Some(toy.blind_heads()));
    let before = training.heads().unwrap().values().to_vec();
    let error = (0..40).find_map(|_| training.step().err()).unwrap().to_string();
    assert!(error.contains("the last 10 updates gave NaN"), "{error}");
    assert_eq!(training.heads().unwrap().values(), before);
    assert_eq!(training.learner().actor(), training.start_actor());
}
