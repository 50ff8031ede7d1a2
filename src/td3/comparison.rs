//! What a training changed: the old and the new actor on what was logged.

use candle_core::Result;

use super::learning_actor::act;
use super::{ActionSpace, Activations, Mlp};

/// Features that are looked at together.
const ROWS: usize = 1024;

/// How a parameter changed, in its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorChange {
    /// The parameter.
    pub name: String,
    /// Its unit; empty where there is none.
    pub unit: &'static str,
    /// Mean of what the old actor asks for.
    pub old: f64,
    /// Mean of what the new actor asks for.
    pub new: f64,
    /// Mean of the change's size.
    pub mean_change: f64,
    /// Largest change, with its sign.
    pub largest_change: f64,
}

/// An actor's layer with the features of some observations, row by row.
#[derive(Debug, Clone, Copy)]
pub struct ActorOn<'a> {
    /// The layer.
    pub actor: &'a Mlp,
    /// What it is asked about.
    pub features: &'a [f32],
}

/// Compares two actors on the same observations, parameter by parameter. Integers are not rounded.
///
/// # Errors
/// When the features have another length.
pub fn compare_actors(space: &ActionSpace, old: ActorOn<'_>, new: ActorOn<'_>) -> Result<Vec<ActorChange>> {
    let blank = |(name, unit): (&String, &&'static str)| ActorChange {
        name: name.clone(),
        unit,
        old: 0.0,
        new: 0.0,
        mean_change: 0.0,
        largest_change: 0.0,
    };
    let mut changes: Vec<ActorChange> = space.names().iter().zip(space.units()).map(blank).collect();
    let width = old.actor.inputs().max(1);
    let (mut activations, mut before, mut after) = (Activations::default(), Vec::new(), Vec::new());
    for (old_rows, new_rows) in old.features.chunks(width * ROWS).zip(new.features.chunks(width * ROWS)) {
        act(old.actor, old_rows, old_rows.len() / width, &mut activations, &mut before)?;
        act(new.actor, new_rows, new_rows.len() / width, &mut activations, &mut after)?;
        let count = space.len().max(1);
        for (before, after) in before.chunks_exact(count).zip(after.chunks_exact(count)) {
            for ((change, axis), (before, after)) in changes.iter_mut().zip(space.axes()).zip(before.iter().zip(after))
            {
                let (before, after) = (f64::from(axis.parameter(*before)), f64::from(axis.parameter(*after)));
                let difference = after - before;
                change.old += before;
                change.new += after;
                change.mean_change += difference.abs();
                if difference.abs() > change.largest_change.abs() {
                    change.largest_change = difference;
                }
            }
        }
    }
    let count = (old.features.len() / width).max(1) as f64;
    for change in &mut changes {
        change.old /= count;
        change.new /= count;
        change.mean_change /= count;
    }
    Ok(changes)
}
