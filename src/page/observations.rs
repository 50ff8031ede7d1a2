//! What the values of a timeline say by themselves.

use super::finding::{Finding, Weight};
use super::number::short;
use super::timeline::{Quantity, Timeline};

/// From this share of the moments on, a value at an end of its range is worth a word.
const OFTEN_AT_AN_END: f64 = 0.2;
/// A change by more than this share of the range at once is worth a word.
const LARGE_STEP: f64 = 0.5;

impl Timeline {
    /// The first moment with the largest value of a quantity, and the value; `None` where it has none.
    pub fn largest(&self, name: &str) -> Option<(usize, f64)> {
        let place = self.quantities().iter().position(|quantity| quantity.name() == name)?;
        let finite = self.values(place).enumerate().filter(|(_, value)| value.is_finite());
        finite.min_by(|a, b| b.1.total_cmp(&a.1))
    }

    /// What stands out in the quantities that were chosen: ends of ranges, values that never change, large steps; and
    /// what is no number in any.
    pub fn observations(&self) -> Vec<Finding> {
        let each = self.quantities().iter().enumerate();
        each.flat_map(|(place, quantity)| {
            let values: Vec<f64> = self.values(place).collect();
            let chosen = quantity.is_chosen().then(|| {
                [
                    self.saturated(quantity, &values),
                    self.unmoved(quantity, &values),
                    self.largest_step(quantity, &values),
                ]
            });
            chosen.into_iter().flatten().flatten().chain(self.without_number(quantity, &values))
        })
        .collect()
    }

    fn saturated(&self, quantity: &Quantity, values: &[f64]) -> Option<Finding> {
        let at_an_end = |value: &f64| quantity.is_at_an_end(*value);
        let count = values.iter().filter(|value| at_an_end(value)).count();
        let share = count as f64 / values.len() as f64;
        let first = values.iter().position(at_an_end)?;
        let (low, high) = quantity.range()?;
        let text = format!(
            "{} is at an end of its range ({} to {}) in {:.0} % of the {}s: it wants to go farther than it may.",
            quantity.name(),
            short(low),
            quantity.told(high),
            share * 100.0,
            self.noun()
        );
        (share >= OFTEN_AT_AN_END).then(|| Finding::new(Weight::Look, text).at(first))
    }

    fn unmoved(&self, quantity: &Quantity, values: &[f64]) -> Option<Finding> {
        let first = values.first()?;
        let is_unmoved = values.len() > 1 && values.iter().all(|value| value == first);
        let text = format!("{} is {} in every {}.", quantity.name(), quantity.told(*first), self.noun());
        is_unmoved.then(|| Finding::new(Weight::Look, text))
    }

    fn largest_step(&self, quantity: &Quantity, values: &[f64]) -> Option<Finding> {
        let (low, high) = quantity.range()?;
        let steps = values.iter().zip(values.iter().skip(1)).enumerate().filter_map(|(before, (from, to))| {
            let step = to - from;
            (step.is_finite() && !self.begins(before + 1)).then_some((before + 1, step))
        });
        let (moment, step) = steps.min_by(|a, b| b.1.abs().total_cmp(&a.1.abs()))?;
        let share = step.abs() / (high - low);
        let text = format!(
            "{} changes by {} at once, {:.0} % of its range.",
            quantity.name(),
            quantity.told(step),
            share * 100.0
        );
        (share > LARGE_STEP).then(|| Finding::new(Weight::Look, text).at(moment))
    }

    fn without_number(&self, quantity: &Quantity, values: &[f64]) -> Option<Finding> {
        let bad = |value: &f64| value.is_infinite() || (quantity.is_chosen() && value.is_nan());
        let first = values.iter().position(bad)?;
        let count = values.iter().filter(|value| bad(value)).count();
        let text = format!("{} has no number in {count} of {} {}s.", quantity.name(), values.len(), self.noun());
        Some(Finding::new(Weight::Lost, text).at(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(values: &[f64]) -> Vec<String> {
        let quantity = Quantity::chosen("max_vel_x", "m/s", Some((0.2, 2.0)));
        let mut timeline = Timeline::new("decision", "s", vec![quantity]);
        for (number, value) in values.iter().enumerate() {
            timeline.push(number as f64, vec![*value], "");
        }
        timeline.observations().iter().map(|finding| format!("{} {:?}", finding.text(), finding.moment())).collect()
    }

    #[test]
    fn an_even_drive_says_nothing() {
        assert!(observed(&[0.5, 0.6, 0.7, 0.6]).is_empty());
        assert!(observed(&[]).is_empty());
        assert!(observed(&[0.5]).is_empty());
    }

    #[test]
    fn ends_steps_and_standstill_are_said() {
        let found = observed(&[1.0, 2.0, 2.0, 1.5, 1.4]);
        assert_eq!(
            found,
            [
                "max_vel_x is at an end of its range (0.2 to 2 m/s) in 40 % of the decisions: it wants to go farther than it \
              may. Some(1)",
                "max_vel_x changes by 1 m/s at once, 56 % of its range. Some(1)"
            ]
        );
        assert_eq!(observed(&[0.5, 0.5]), ["max_vel_x is 0.5 m/s in every decision. None"]);
        assert_eq!(observed(&[0.5, f64::NAN, 0.6]), ["max_vel_x has no number in 1 of 3 decisions. Some(1)"]);
    }
}
