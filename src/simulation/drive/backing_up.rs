//! Whether the robot has been backing up lately: a sign that it is stuck on obstacles that are no longer there.

use std::collections::VecDeque;

use crate::robot::Robot;

/// Faster backwards than this counts, m/s.
const BACKWARDS: f64 = -0.05;
/// Looked at, s.
const WINDOW_S: f64 = 5.0;

/// The last seconds of a drive.
#[derive(Debug, Clone, Default)]
pub(super) struct BackingUp {
    backwards: VecDeque<bool>,
    count: usize,
}

impl BackingUp {
    /// Notes the velocity after a step, m/s.
    pub(super) fn note(&mut self, velocity: f64) {
        if self.backwards.len() as f64 >= WINDOW_S / Robot::STEP_S {
            let left = self.backwards.pop_front();
            self.count -= usize::from(left == Some(true));
        }
        let is_backwards = velocity < BACKWARDS;
        self.backwards.push_back(is_backwards);
        self.count += usize::from(is_backwards);
    }

    /// Whether it backed up for at least half of the time.
    pub(super) fn is_most_of_the_time(&self) -> bool {
        self.count > 0 && 2 * self.count >= self.backwards.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_last_five_seconds() {
        let mut backing_up = BackingUp::default();
        assert!(!backing_up.is_most_of_the_time());
        (0..500).for_each(|_| backing_up.note(0.5));
        (0..249).for_each(|_| backing_up.note(-0.5));
        assert!(!backing_up.is_most_of_the_time());
        backing_up.note(-0.5);
        assert!(backing_up.is_most_of_the_time());
        (0..251).for_each(|_| backing_up.note(0.0));
        assert!(!backing_up.is_most_of_the_time());
    }
}
