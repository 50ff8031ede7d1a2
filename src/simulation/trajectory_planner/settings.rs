//! What the planner is told: seven parameters that are tuned, and those that are not.

/// The tuned parameters that the planner itself has. The seventh, the inflation radius, is the costmaps'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TunedParameters {
    /// Fastest sampled velocity ahead, m/s.
    pub max_vel_x: f64,
    /// Fastest sampled yaw rate to the left, rad/s. The fastest to the right is not tuned: see [`Settings::min_vel_theta`].
    pub max_vel_theta: f64,
    /// Velocities that are sampled, at least 2.
    pub vx_samples: u32,
    /// Yaw rates that are sampled, at least 2.
    pub vtheta_samples: u32,
    /// Weight of the distance to the path.
    pub path_distance_bias: f64,
    /// Weight of the distance to the end of the local plan.
    pub goal_distance_bias: f64,
}

impl Default for TunedParameters {
    /// As the original's robot starts.
    fn default() -> Self {
        Self {
            max_vel_x: 0.5,
            max_vel_theta: 1.57,
            vx_samples: 6,
            vtheta_samples: 20,
            path_distance_bias: 0.75,
            goal_distance_bias: 1.0,
        }
    }
}

/// How fast the robot may change its velocity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccelerationLimits {
    /// m/s².
    pub linear: f64,
    /// rad/s².
    pub angular: f64,
}

/// All settings. The default is what the original's parameter files and its code make of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The tuned ones.
    pub tuned: TunedParameters,
    /// Limits of acceleration.
    pub acceleration: AccelerationLimits,
    /// Slowest sampled velocity ahead, m/s.
    pub min_vel_x: f64,
    /// Fastest sampled yaw rate to the right, rad/s, negative. It does not follow `max_vel_theta`: the branch that would do
    /// that in the original compares the wrong name.
    pub min_vel_theta: f64,
    /// Slowest yaw rate in place, rad/s.
    pub min_in_place_vel_theta: f64,
    /// How far samples are driven forward, s.
    pub sim_time: f64,
    /// Way of a step of that, m.
    pub sim_granularity: f64,
    /// Turn of a step of that, rad.
    pub angular_sim_granularity: f64,
    /// Time in which a sampled velocity must be reachable, s.
    pub sim_period: f64,
    /// Weight of the highest cost on the way.
    pub occdist_scale: f64,
    /// How far ahead a turn in place looks, m.
    pub heading_lookahead: f64,
    /// The robot must move this far before it may turn the other way, m.
    pub oscillation_reset_dist: f64,
    /// An escape ends after this way, m.
    pub escape_reset_dist: f64,
    /// An escape ends after this turn, rad.
    pub escape_reset_theta: f64,
    /// Velocity of an escape, m/s, negative.
    pub escape_vel: f64,
    /// Whether distances are in metres: both biases are then multiplied by the resolution. The original leaves this to a
    /// byte that it never initialises; three of three runs found it true.
    pub meter_scoring: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tuned: TunedParameters::default(),
            acceleration: AccelerationLimits { linear: 10.0, angular: 20.0 },
            min_vel_x: 0.1,
            min_vel_theta: -1.57,
            min_in_place_vel_theta: 0.314,
            sim_time: 2.0,
            sim_granularity: 0.02,
            angular_sim_granularity: 0.02,
            sim_period: 0.05,
            occdist_scale: 0.1,
            heading_lookahead: 0.325,
            oscillation_reset_dist: 0.05,
            escape_reset_dist: 0.1,
            escape_reset_theta: 0.1,
            escape_vel: -0.5,
            meter_scoring: true,
        }
    }
}
