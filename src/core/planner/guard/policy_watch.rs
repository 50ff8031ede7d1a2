//! Whether the policy still says something.

use super::Reason;

/// Decisions in a row that make a suspicion.
const STEPS: u32 = 20;

/// Beyond this, tanh is as good as at its limit.
const AT_LIMIT: f32 = 0.999;

/// Follows the policy's actions.
#[derive(Debug, Clone, Default)]
pub(super) struct SaturationWatch {
    last: Vec<f32>,
    last_image: Option<u64>,
    saturated: u32,
    constant: u32,
}

impl SaturationWatch {
    /// Takes an action and the hash of the newest image.
    pub(super) fn take(&mut self, action: &[f32], image: Option<u64>) {
        let at_limit = action.iter().filter(|value| value.abs() > AT_LIMIT).count();
        self.saturated = if at_limit * 2 > action.len() { self.saturated.saturating_add(1) } else { 0 };
        // The same image rightly gives the same action.
        if image != self.last_image {
            self.constant = if action == self.last { self.constant.saturating_add(1) } else { 1 };
        } else if action != self.last {
            self.constant = 0;
        }
        self.last_image = image;
        self.last.clear();
        self.last.extend_from_slice(action);
    }

    /// Suspicions, if any.
    pub(super) fn warnings(&self) -> impl Iterator<Item = Reason> {
        let saturated = (self.saturated >= STEPS).then_some(Reason::PolicySaturated(self.saturated));
        let constant = (self.constant >= STEPS).then_some(Reason::PolicyConstant(self.constant));
        saturated.into_iter().chain(constant)
    }
}
