//! What the laser saw, as `costmap_2d` keeps it: obstacles marked and cleared, then inflated.
//!
//! | file | what it is | in ros-planning/navigation, noetic-devel |
//! | --- | --- | --- |
//! | `settings` | size, ranges and weights; the original's two costmaps | the original's yaml files |
//! | `observation` | a scan as points in the costmap's frame | laser_geometry, observation_buffer.cpp |
//! | `rolling` | a grid that moves with the robot | `Costmap2D::updateOrigin` |
//! | `obstacle_layer` | what rays clear and points mark | obstacle_layer.cpp |
//! | `inflation` | costs around obstacles | inflation_layer.cpp |
//! | `layered` | the cycle of an update | layered_costmap.cpp |
//!
//! Numbers are equal to the original's, bit for bit (`test/simulation`).

mod bounds;
mod inflation;
mod layered;
mod observation;
mod obstacle_layer;
mod rolling;
mod settings;

pub use inflation::{Inflation, InflationSettings};
pub use layered::Costmap;
pub use observation::{LaserMount, Observation};
pub use settings::{CostmapSettings, Unknown, Window};
