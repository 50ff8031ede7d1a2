//! Two estimates of the return of an action, and how they change with the action and the weights.

use candle_core::Result;

use super::mlp::{Activations, Gradients, Mlp, NamedTensor};
use super::optimizer::{AdamStep, follow, square_sum};
use planner_tuner_core::random::Random;

/// Width of the encoded action.
const ENCODED: usize = 64;
/// Width of the action encoder's hidden layer.
const ENCODER_HIDDEN: usize = 128;
/// Widths of a head's hidden layers.
const HEAD_HIDDEN: [usize; 2] = [512, 256];

/// `q1_head` and `q2_head` on the feature beside the encoded action.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinCritic {
    encoder: Mlp,
    heads: [Mlp; 2],
    feature: usize,
}

/// What a critic computed for a batch, kept for the way back.
#[derive(Debug, Clone, Default)]
pub struct CriticPass {
    batch: usize,
    encoder: Activations,
    /// Feature and encoded action side by side.
    joined: Vec<f32>,
    heads: [Activations; 2],
    /// What comes back from each head to the encoded action.
    encoded: [Vec<f32>; 2],
}

/// A number for every weight of a critic, part by part.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticNumbers {
    encoder: Vec<f32>,
    heads: [Vec<f32>; 2],
}

/// Adam's averages for the weights of a critic.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticMoments {
    first: CriticNumbers,
    second: CriticNumbers,
}

/// The sizes of a critic's three parts.
fn sizes(feature: usize, actions: usize) -> ([usize; 3], [usize; 4]) {
    let [first, second] = HEAD_HIDDEN;
    ([actions, ENCODER_HIDDEN, ENCODED], [feature + ENCODED, first, second, 1])
}

impl TwinCritic {
    /// A critic that knows nothing yet.
    pub fn random(feature: usize, actions: usize, random: &mut Random) -> Self {
        let (encoder, head) = sizes(feature, actions);
        let encoder = Mlp::random(&encoder, random);
        Self { encoder, heads: [(); 2].map(|()| Mlp::random(&head, random)), feature }
    }

    /// A critic with the weights that `read` finds by name (`action_encoder.0.weight`, …) and shape.
    ///
    /// # Errors
    /// Those of `read`, and a tensor of another length.
    pub fn load<E: From<candle_core::Error>>(
        feature: usize,
        actions: usize,
        mut read: impl FnMut(&str, &[usize]) -> std::result::Result<Vec<f32>, E>,
    ) -> std::result::Result<Self, E> {
        let (encoder, head) = sizes(feature, actions);
        Ok(Self {
            encoder: Mlp::load(&encoder, "action_encoder", &mut read)?,
            heads: [Mlp::load(&head, "q1_head", &mut read)?, Mlp::load(&head, "q2_head", &mut read)?],
            feature,
        })
    }

    /// The weights under their names.
    pub fn named(&self) -> Vec<NamedTensor<'_>> {
        let [first, second] = &self.heads;
        [self.encoder.named("action_encoder"), first.named("q1_head"), second.named("q2_head")].concat()
    }

    /// Numbers of the weights, such as their gradient, under the weights' names.
    pub fn split<'a>(&self, numbers: &'a CriticNumbers) -> Vec<NamedTensor<'a>> {
        let ([first, second], [q1, q2]) = (&self.heads, &numbers.heads);
        [
            self.encoder.split(&numbers.encoder, "action_encoder"),
            first.split(q1, "q1_head"),
            second.split(q2, "q2_head"),
        ]
        .concat()
    }

    /// A 0 for every weight.
    pub fn numbers(&self) -> CriticNumbers {
        let zeros = |mlp: &Mlp| vec![0.0; mlp.values().len()];
        CriticNumbers { encoder: zeros(&self.encoder), heads: self.heads.each_ref().map(zeros) }
    }

    /// The weights alone.
    pub fn into_numbers(self) -> CriticNumbers {
        CriticNumbers { encoder: self.encoder.into_values(), heads: self.heads.map(Mlp::into_values) }
    }

    /// Moves the weights against their gradient.
    pub fn descend(&mut self, adam: AdamStep, gradient: &CriticNumbers, moments: &mut CriticMoments) {
        let CriticMoments { first, second } = moments;
        let encoder = self.encoder.values_mut();
        adam.apply_with(encoder, &gradient.encoder, &mut first.encoder, &mut second.encoder);
        let ([q1, q2], [of_q1, of_q2]) = (&mut self.heads, &gradient.heads);
        let ([first1, first2], [second1, second2]) = (&mut first.heads, &mut second.heads);
        rayon::join(
            || adam.apply_with(q1.values_mut(), of_q1, first1, second1),
            || adam.apply_with(q2.values_mut(), of_q2, first2, second2),
        );
    }

    /// Moves the weights by the share `tau` towards those of another critic.
    pub fn follow(&mut self, other: &Self, tau: f32) {
        follow(self.encoder.values_mut(), other.encoder.values(), tau);
        let ([target1, target2], [q1, q2]) = (&mut self.heads, &other.heads);
        rayon::join(
            || follow(target1.values_mut(), q1.values(), tau),
            || follow(target2.values_mut(), q2.values(), tau),
        );
    }

    /// Both estimates for rows of features and normalised actions.
    ///
    /// # Errors
    /// When a width is not the critic's.
    pub fn evaluate(&self, feature: &[f32], action: &[f32], batch: usize, pass: &mut CriticPass) -> Result<()> {
        self.join(feature, action, batch, pass)?;
        let CriticPass { joined, heads: [first, second], .. } = pass;
        let [q1, q2] = &self.heads;
        // One head a core: no product is worth splitting, and the sums stay the same on any number of cores.
        let (one, two) = rayon::join(|| q1.forward(joined, batch, first), || q2.forward(joined, batch, second));
        one.and(two)
    }

    /// The first estimate alone.
    ///
    /// # Errors
    /// When a width is not the critic's.
    pub fn evaluate_first(&self, feature: &[f32], action: &[f32], batch: usize, pass: &mut CriticPass) -> Result<()> {
        self.join(feature, action, batch, pass)?;
        let CriticPass { joined, heads: [first, _], .. } = pass;
        let [q1, _] = &self.heads;
        q1.forward(joined, batch, first)
    }

    fn join(&self, feature: &[f32], action: &[f32], batch: usize, pass: &mut CriticPass) -> Result<()> {
        self.encoder.forward(action, batch, &mut pass.encoder)?;
        pass.batch = batch;
        pass.joined.clear();
        for (feature, encoded) in feature.chunks_exact(self.feature).zip(pass.encoder.output().chunks_exact(ENCODED)) {
            pass.joined.extend_from_slice(feature);
            pass.joined.extend_from_slice(encoded);
        }
        Ok(())
    }

    /// The gradient of the weights, from that of both estimates.
    ///
    /// # Errors
    /// When a length is not that of the pass.
    pub fn weight_gradient(
        &self,
        action: &[f32],
        estimates: [&[f32]; 2],
        pass: &mut CriticPass,
        gradient: &mut CriticNumbers,
    ) -> Result<()> {
        let CriticPass { batch, encoder, joined, heads: [first, second], encoded: [back, other] } = pass;
        let columns = self.feature..self.feature + ENCODED;
        back.resize(*batch * ENCODED, 0.0);
        other.resize(*batch * ENCODED, 0.0);
        let ([q1, q2], [of_q1, of_q2], [one, two]) = (&self.heads, estimates, &mut gradient.heads);
        let of_first = Gradients { weights: Some(one), inputs: Some((columns.clone(), back)) };
        let of_second = Gradients { weights: Some(two), inputs: Some((columns, other)) };
        let (first, second) = rayon::join(
            || q1.backward(joined, first, of_q1, of_first),
            || q2.backward(joined, second, of_q2, of_second),
        );
        first.and(second)?;
        back.iter_mut().zip(other.iter()).for_each(|(sum, value)| *sum += value);
        let wanted = Gradients { weights: Some(&mut gradient.encoder), inputs: None };
        self.encoder.backward(action, encoder, back, wanted)
    }

    /// The gradient of the normalised action, from that of the first estimate; written over `gradient`.
    ///
    /// # Errors
    /// When a length is not that of the pass.
    pub fn action_gradient(
        &self,
        action: &[f32],
        estimate: &[f32],
        pass: &mut CriticPass,
        gradient: &mut Vec<f32>,
    ) -> Result<()> {
        let CriticPass { batch, encoder, joined, heads: [first, _], encoded: [back, _] } = pass;
        back.resize(*batch * ENCODED, 0.0);
        gradient.resize(*batch * self.encoder.inputs(), 0.0);
        let [q1, _] = &self.heads;
        let encoded = Gradients { weights: None, inputs: Some((self.feature..self.feature + ENCODED, back)) };
        q1.backward(joined, first, estimate, encoded)?;
        let wanted = Gradients { weights: None, inputs: Some((0..self.encoder.inputs(), gradient)) };
        self.encoder.backward(action, encoder, back, wanted)
    }
}

impl CriticNumbers {
    /// The sum of squares over all parts.
    pub fn square_sum(&self) -> f64 {
        let [first, second] = &self.heads;
        let (first, second) = rayon::join(|| square_sum(first), || square_sum(second));
        square_sum(&self.encoder) + first + second
    }
}

impl CriticMoments {
    /// From the averages of the gradient and of its square: those of one critic.
    pub fn new(first: CriticNumbers, second: CriticNumbers) -> Self {
        Self { first, second }
    }

    /// Of the gradient.
    pub fn first(&self) -> &CriticNumbers {
        &self.first
    }

    /// Of its square.
    pub fn second(&self) -> &CriticNumbers {
        &self.second
    }
}

impl CriticPass {
    /// Both estimates, one a row.
    pub fn estimates(&self) -> [&[f32]; 2] {
        self.heads.each_ref().map(Activations::output)
    }
}
