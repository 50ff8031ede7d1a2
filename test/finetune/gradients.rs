//! Blockwise gradients against one graph of the whole model, and against finite differences.

use candle_core::{Device, Tensor};
use planner_tuner_core::random::Random;
use planner_tuner_model::learning::GradientSums;
use planner_tuner_model::vision_language::HiddenStates;

use crate::golden_set::{GoldenSet, distance, norm, sight_of};

#[test]
fn fixture_going_back_block_by_block_is_going_back_through_one_graph() {
    let set = GoldenSet::open();
    let (mut model, lora) = set.model_with_lora();
    let example = set.examples(&mut model).into_values().next().unwrap();
    let variables: Vec<_> = lora.variables().map(|(_, variable)| variable.clone()).collect();
    let (states, passed) = model.forward(sight_of(&example)).unwrap();
    let weights = random_like(&states);

    let mut blockwise = GradientSums::new(variables.clone());
    model.backward(passed, &weights, &mut |found| blockwise.add(found)).unwrap();

    let whole = model.forward_as_one_graph(sight_of(&example)).unwrap().whole().unwrap();
    let sums = whole.iter().zip(&weights).map(|(state, weights)| (state * weights).unwrap().sum_all().unwrap());
    let loss = sums.reduce(|a, b| (a + b).unwrap()).unwrap();
    let mut in_one = GradientSums::new(variables);
    in_one.add(&loss.backward().unwrap()).unwrap();

    let (mut farthest, mut apart, mut length) = (0f64, 0f64, 0f64);
    for ((name, _), (found, expected)) in lora.variables().zip(blockwise.sums().iter().zip(in_one.sums())) {
        let (found, expected) = (found.as_ref().unwrap(), expected.as_ref().unwrap());
        assert!(norm(expected) > 0.0, "{name}");
        farthest = farthest.max(distance(found, expected));
        apart += norm(&(found - expected).unwrap()).powi(2);
        length += norm(expected).powi(2);
    }
    let apart = (apart / length).sqrt();
    println!("blockwise against one graph: {apart:.1e} of the gradient's length, {farthest:.1e} of a tensor's at most");
    // A tensor whose gradient is small beside the others is off by more of itself.
    assert!(apart <= 1e-5 && farthest <= 1e-4, "{apart} {farthest}");
}

/// Of the hidden states' random projection: the heads behind them have corners (ReLU) that a difference would step over.
#[test]
fn fixture_gradients_are_those_of_finite_differences() {
    let set = GoldenSet::open();
    let (mut model, lora) = set.model_with_lora();
    let example = set.examples(&mut model).into_values().next().unwrap();
    let variables: Vec<_> = lora.variables().map(|(name, variable)| (name, variable.clone())).collect();
    let (states, passed) = model.forward(sight_of(&example)).unwrap();
    let weights = random_like(&states);
    let mut gradients = GradientSums::new(variables.iter().map(|(_, variable)| variable.clone()).collect());
    model.backward(passed, &weights, &mut |found| gradients.add(found)).unwrap();

    let mut random = Random::new(7);
    let mut farthest = 0f64;
    for _ in 0..40 {
        let chosen = random.below(variables.len());
        let ((name, variable), gradient) = (&variables[chosen], gradients.sums()[chosen].as_ref().unwrap());
        let (start, slope) = (values(variable), values(gradient));
        let entry = random.below(start.len());
        // Along a random entry and the tensor's gradient: of the entry alone, rounding leaves too little.
        let length = norm(gradient);
        let mut direction: Vec<f64> = slope.iter().map(|value| f64::from(*value) / length).collect();
        direction[entry] += 1.0;
        let expected: f64 = slope.iter().zip(&direction).map(|(slope, along)| f64::from(*slope) * along).sum();
        let mut states_at = |offset: f64| {
            let moved = start.iter().zip(&direction).map(|(value, along)| (f64::from(*value) + offset * along) as f32);
            let moved = Tensor::from_vec(moved.collect::<Vec<_>>(), variable.shape(), &Device::Cpu).unwrap();
            variable.set(&moved).unwrap();
            model.forward(sight_of(&example)).unwrap().0.whole().unwrap()
        };
        let mut slope_over = |step: f64| {
            let (after, before) = (states_at(step), states_at(-step));
            let change = |((after, before), weights): ((&Tensor, &Tensor), &Tensor)| {
                let change = values(&(after - before).unwrap());
                change.iter().zip(values(weights)).map(|(change, weight)| f64::from(change * weight)).sum::<f64>()
            };
            after.iter().zip(&before).zip(&weights).map(change).sum::<f64>() / (2.0 * step)
        };
        // Richardson's extrapolation of two central differences.
        let found = (4.0 * slope_over(STEP) - slope_over(2.0 * STEP)) / 3.0;
        states_at(0.0);
        let off = (found - expected).abs() / expected.abs();
        farthest = farthest.max(off);
        assert!(off <= 1e-2, "{name}[{entry}]: {found} by differences, {expected} by the gradient");
    }
    println!("40 finite differences: {farthest:.1e} off at most");
}

/// Normal numbers, the same ones every time, in the shapes of hidden states.
fn random_like(states: &HiddenStates) -> [Tensor; 4] {
    let mut random = Random::new(11);
    states.whole().unwrap().map(|state| {
        let values: Vec<f32> = (0..state.elem_count()).map(|_| random.normal()).collect();
        Tensor::from_vec(values, state.shape(), &Device::Cpu).unwrap()
    })
}

/// How far a difference reaches.
const STEP: f64 = 2e-3;

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
