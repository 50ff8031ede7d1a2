//! Which controllers a bank should have: k-means over what a policy really chose.
//!
//! The first controller has the safe defaults and stays where it is; the others go where the decisions are. Distances are in
//! shares of the parameters' ranges, as when the node picks. The same decisions, size and seed give the same bank.

use crate::planner::{ParameterSpec, Unit};

/// Starts of the iteration; the best end counts.
const STARTS: u64 = 8;
/// Iterations, at most; they end when nothing moves.
const ITERATIONS: usize = 200;

/// Values of a controller, in the order of the parameters and in their units.
pub type ControllerValues = Vec<f64>;

/// What is lost when the nearest controller stands for a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisationLoss {
    /// The planner parameter.
    pub parameter: String,
    /// Its unit.
    pub unit: Unit,
    /// Mean difference, in the unit.
    pub mean: f64,
    /// Mean difference, as a share of the range.
    pub mean_share: f64,
    /// Largest difference, in the unit.
    pub largest: f64,
}

/// The controllers for these decisions (values in the order of `parameters`): the safe defaults, and up to `size - 1` more.
/// There are fewer where the decisions are fewer, or fall on each other when they are rounded to what can be set.
pub fn design(
    parameters: &[&ParameterSpec],
    decisions: &[ControllerValues],
    size: usize,
    seed: u64,
) -> Vec<ControllerValues> {
    let points: Vec<Vec<f64>> = decisions.iter().map(|values| normalised(parameters, values)).collect();
    let safe: Vec<f64> = parameters.iter().map(|parameter| parameter.safe_default()).collect();
    let fixed = normalised(parameters, &safe);
    let ends = (0..STARTS).map(|start| {
        let mut random = SplitMix(seed.wrapping_mul(STARTS).wrapping_add(start));
        let mut centres = spread(&points, &fixed, size.max(1), &mut random);
        settle(&points, &mut centres);
        let loss: f64 = points.iter().map(|point| nearest(&centres, point).1).sum();
        (loss, centres)
    });
    let best = ends.min_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(|| vec![fixed], |(_, centres)| centres);
    let mut controllers: Vec<ControllerValues> = vec![safe];
    for centre in best.iter().skip(1) {
        let values = parameters.iter().zip(centre).map(|(parameter, share)| {
            parameter.settable(parameter.min() + share * (parameter.max() - parameter.min()))
        });
        let values: ControllerValues = values.collect();
        if !controllers.contains(&values) {
            controllers.push(values);
        }
    }
    controllers
}

/// What is lost, for each parameter, when the nearest controller stands for each decision.
pub fn quantisation_loss(
    parameters: &[&ParameterSpec],
    decisions: &[ControllerValues],
    controllers: &[ControllerValues],
) -> Vec<QuantisationLoss> {
    let centres: Vec<Vec<f64>> = controllers.iter().map(|values| normalised(parameters, values)).collect();
    let chosen: Vec<Option<&ControllerValues>> =
        decisions.iter().map(|values| controllers.get(nearest(&centres, &normalised(parameters, values)).0)).collect();
    let loss = |(index, parameter): (usize, &&ParameterSpec)| {
        let differences = decisions
            .iter()
            .zip(&chosen)
            .filter_map(|(values, chosen)| Some((values.get(index)? - chosen.as_ref()?.get(index)?).abs()));
        let (sum, largest) = differences.fold((0.0, 0.0_f64), |(sum, largest), d| (sum + d, largest.max(d)));
        let mean = sum / decisions.len().max(1) as f64;
        QuantisationLoss {
            parameter: parameter.name().to_owned(),
            unit: parameter.unit(),
            mean,
            mean_share: mean / (parameter.max() - parameter.min()),
            largest,
        }
    };
    parameters.iter().enumerate().map(loss).collect()
}

fn normalised(parameters: &[&ParameterSpec], values: &[f64]) -> Vec<f64> {
    let share =
        |(parameter, value): (&&ParameterSpec, &f64)| (value - parameter.min()) / (parameter.max() - parameter.min());
    parameters.iter().zip(values).map(share).collect()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Index of the nearest centre, and the squared distance to it.
fn nearest(centres: &[Vec<f64>], point: &[f64]) -> (usize, f64) {
    let distances = centres.iter().map(|centre| squared_distance(centre, point)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

/// k-means++: each further centre is a decision, the likelier the farther it is from the ones before.
fn spread(points: &[Vec<f64>], fixed: &[f64], size: usize, random: &mut SplitMix) -> Vec<Vec<f64>> {
    let mut centres = vec![fixed.to_vec()];
    while centres.len() < size {
        let weights: Vec<f64> = points.iter().map(|point| nearest(&centres, point).1).collect();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = random.unit() * total;
        let position = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let Some(point) = points.get(position.unwrap_or(points.len() - 1)) else { break };
        centres.push(point.clone());
    }
    centres
}

/// Moves every centre but the first into the middle of its decisions, until none moves.
fn settle(points: &[Vec<f64>], centres: &mut [Vec<f64>]) {
    for _ in 0..ITERATIONS {
        let mut sums: Vec<(Vec<f64>, usize)> = centres.iter().map(|centre| (vec![0.0; centre.len()], 0)).collect();
        for point in points {
            if let Some((sum, count)) = sums.get_mut(nearest(centres, point).0) {
                sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
                *count += 1;
            }
        }
        let mut moved = false;
        for (centre, (sum, count)) in centres.iter_mut().zip(sums).skip(1).filter(|(_, (_, count))| *count > 0) {
            let middle: Vec<f64> = sum.into_iter().map(|sum| sum / count as f64).collect();
            moved |= *centre != middle;
            *centre = middle;
        }
        if !moved {
            break;
        }
    }
}

/// Sebastiano Vigna's SplitMix64: the same numbers on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
