//! The learning rate, step by step.

/// A rate that rises to its full size over the first steps and falls along a cosine over the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The full rate.
    pub rate: f64,
    /// Steps until it is reached.
    pub warm_up: u64,
    /// All steps.
    pub steps: u64,
    /// Whether it falls afterwards, down to 0 at the end.
    pub falls: bool,
}

impl Schedule {
    /// The rate of a step, from 0 on.
    pub fn rate_at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.rate * (step + 1) as f64 / self.warm_up as f64;
        }
        if !self.falls || self.steps <= self.warm_up {
            return self.rate;
        }
        let done = (step - self.warm_up) as f64 / (self.steps - self.warm_up) as f64;
        self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls() {
        let schedule = Schedule { rate: 1.0, warm_up: 4, steps: 14, falls: true };
        let rates: Vec<f64> = (0..15).map(|step| schedule.rate_at(step)).collect();
        assert!(rates.starts_with(&[0.25, 0.5, 0.75, 1.0, 1.0]), "{rates:?}");
        assert!((rates.get(9).copied().unwrap_or_default() - 0.5).abs() < 1e-12, "{rates:?}");
        assert!(rates.last().is_some_and(|rate| rate.abs() < 1e-12), "{rates:?}");
        assert_eq!(Schedule { falls: false, ..schedule }.rate_at(13), 1.0);
    }
}
