//! What an update did: the critic's step, and every other time the actor's.

/// Length of a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientNorm {
    /// As computed.
    pub before: f64,
    /// As used.
    pub after: f64,
}

/// What an update did.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Sum of both heads' mean squared errors.
    pub critic_loss: f64,
    /// Mean of the first head's estimates.
    pub q: f64,
    /// Mean of what they should have been.
    pub target: f64,
    /// Of the critic's step.
    pub critic_norm: GradientNorm,
    /// The actor's step, where it was its turn.
    pub actor: Option<ActorUpdate>,
    /// The step that was left out because it is not finite.
    pub skipped: Option<Skipped>,
}

/// What the actor's step did.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorUpdate {
    /// Minus the mean estimate of the actor's own actions.
    pub loss: f64,
    /// Of the actor's step.
    pub norm: GradientNorm,
    /// For each parameter the share of the batch whose action is stuck at an end of its range.
    pub saturation: Vec<f64>,
}

/// A quantity that is NaN or infinite; the weights stay as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// Loss or gradient of the critic; neither network moved.
    Critic,
    /// Loss or gradient of the actor; the critic moved.
    Actor,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Critic => "critic",
            Self::Actor => "actor",
        })
    }
}
