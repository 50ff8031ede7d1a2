//! Size, ranges and weights of a costmap.

use super::inflation::InflationSettings;
use crate::grid::{FREE, GridGeometry, UNKNOWN};

/// Whether a costmap moves with the robot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Its centre follows the robot.
    Rolling,
    /// It stays where it is.
    Fixed,
}

/// What a cell is that nothing was seen of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Free.
    IsFree,
    /// Unknown (`track_unknown_space`).
    IsKept,
}

impl Unknown {
    pub(super) fn cost(self) -> u8 {
        match self {
            Self::IsFree => FREE,
            Self::IsKept => UNKNOWN,
        }
    }
}

/// What a costmap is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostmapSettings {
    /// Size, and where it lies at first.
    pub geometry: GridGeometry,
    /// Whether it moves.
    pub window: Window,
    /// What nothing was seen of.
    pub unknown: Unknown,
    /// Points as far as this or farther from the laser are no obstacles, m.
    pub obstacle_range: f64,
    /// Rays clear up to this distance, m.
    pub raytrace_range: f64,
    /// Whether a beam that hit nothing clears its ray.
    pub inf_is_valid: bool,
    /// Whether the robot's own place is cleared.
    pub clears_footprint: bool,
    /// Costs around obstacles.
    pub inflation: InflationSettings,
}

impl CostmapSettings {
    /// The original's local costmap: 8 x 8 m around the robot.
    pub fn local() -> Self {
        Self {
            geometry: GridGeometry { width: 80, height: 80, resolution: 0.1, origin_x: 0.0, origin_y: 0.0 },
            window: Window::Rolling,
            unknown: Unknown::IsFree,
            obstacle_range: 2.5,
            raytrace_range: 3.0,
            inf_is_valid: false,
            clears_footprint: true,
            inflation: InflationSettings { radius: 0.31, cost_scaling: 5.0, inflates_unknown: false },
        }
    }

    /// The original's global costmap: 10 x 32 m, mostly ahead of the start.
    pub fn global() -> Self {
        Self {
            geometry: GridGeometry { width: 100, height: 320, resolution: 0.1, origin_x: -4.0, origin_y: -4.0 },
            window: Window::Fixed,
            inflation: InflationSettings { radius: 0.31, cost_scaling: 15.0, inflates_unknown: false },
            ..Self::local()
        }
    }
}
