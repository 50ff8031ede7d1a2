//! The policy of APPLR, which the original was compared with: laser ranges in, an action out, no vision-language model.
//!
//! Xu, Xiao, Warnell, Nair, Stone: Machine Learning Methods for Local Motion Planning (SSRR 2021); its network is
//! `head.mlp.0`, ReLU, `head.mlp.2`, ReLU, `fc`, tanh.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Module as _, Tensor};
use candle_nn::Linear;

use crate::checkpoint::{CheckpointError, TensorTable};
use planner_tuner_core::numbers::{Action, NumbersError};

/// Ranges beyond this are cut to it, m (`laser_clip`).
const CLIP_M: f32 = 2.0;
/// File of the network in a policy's folder.
const ACTOR: &str = "policy_actor";

/// Why a network cannot be read, or gives no action.
#[derive(Debug, thiserror::Error)]
pub enum LaserNetworkError {
    /// The file cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It holds another network.
    #[error("{}: {layer} is {found:?}, expected {expected}; this is not a policy of APPLR", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: &'static str,
        /// Its weight's shape; empty when it is not there.
        found: Vec<usize>,
        /// What would do.
        expected: String,
    },
    /// A scan of another size.
    #[error("the scan has {found} ranges, the network was trained with {expected}")]
    Ranges {
        /// Ranges in the scan.
        found: usize,
        /// Ranges that the network takes.
        expected: usize,
    },
    /// The output is no action.
    #[error(transparent)]
    Numbers(#[from] NumbersError),
    /// Candle failed.
    #[error("the network of laser ranges: {0}")]
    Candle(#[from] candle_core::Error),
}

/// The network.
#[derive(Debug)]
pub struct LaserNetwork {
    layers: [Linear; 3],
    ranges: usize,
}

impl LaserNetwork {
    /// Reads a policy: its folder, or its file `policy_actor`. `actions` is the number of the planner's parameters.
    ///
    /// # Errors
    /// [`LaserNetworkError::Checkpoint`], [`LaserNetworkError::Shape`].
    pub fn open(path: &Path, actions: usize) -> Result<Self, LaserNetworkError> {
        let file = if path.is_dir() { path.join(ACTOR) } else { path.to_owned() };
        let table = TensorTable::open_policy_pickle(&file)?;
        let layer = |name: &'static str, inputs: Option<usize>, outputs: Option<usize>| {
            let shape = |suffix: &str| {
                table.meta(&format!("{name}.{suffix}")).map(|meta| meta.shape.clone()).unwrap_or_default()
            };
            let found = shape("weight");
            let fits = matches!(found.as_slice(), [rows, columns]
                if outputs.is_none_or(|outputs| outputs == *rows)
                    && inputs.is_none_or(|inputs| inputs == *columns)
                    && shape("bias") == [*rows]);
            if !fits {
                let size = |size: Option<usize>| size.map_or("n".to_owned(), |size| size.to_string());
                let expected = format!("[{}, {}] with a bias", size(outputs), size(inputs));
                return Err(LaserNetworkError::Shape { path: file.clone(), layer: name, found, expected });
            }
            let read = |suffix: &str| -> Result<Tensor, LaserNetworkError> {
                Ok(table.read_weight(&format!("{name}.{suffix}"), &Device::Cpu)?.to_dtype(DType::F32)?)
            };
            Ok(Linear::new(read("weight")?, Some(read("bias")?)))
        };
        let width = |layer: &Linear, axis: usize| layer.weight().dims().get(axis).copied();
        let first = layer("head.mlp.0", None, None)?;
        let second = layer("head.mlp.2", width(&first, 0), None)?;
        let last = layer("fc", width(&second, 0), Some(actions))?;
        let ranges = width(&first, 1).unwrap_or_default().saturating_sub(1);
        Ok(Self { layers: [first, second, last], ranges })
    }

    /// The action for a scan and the bearing of the local goal, rad.
    ///
    /// # Errors
    /// [`LaserNetworkError::Ranges`], [`LaserNetworkError::Numbers`].
    pub fn act(&self, ranges: &[f32], goal_bearing: f64) -> Result<Action, LaserNetworkError> {
        if ranges.len() != self.ranges {
            return Err(LaserNetworkError::Ranges { found: ranges.len(), expected: self.ranges });
        }
        let half = CLIP_M / 2.0;
        let mut input: Vec<f32> = ranges.iter().map(|range| (range.min(CLIP_M) - half) / CLIP_M).collect();
        input.push((goal_bearing / std::f64::consts::TAU) as f32);
        let [first, second, last] = &self.layers;
        let row = Tensor::from_vec(input, (1, self.ranges + 1), &Device::Cpu)?; // [1, ranges + 1]
        let hidden = second.forward(&first.forward(&row)?.relu()?)?.relu()?; // [1, hidden]
        let action = last.forward(&hidden)?.tanh()?.flatten_all()?; // [actions]
        Ok(Action::clamped(action.to_vec1()?)?)
    }
}
