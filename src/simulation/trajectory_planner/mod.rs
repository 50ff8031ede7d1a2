//! The local planner, as `base_local_planner`'s `TrajectoryPlannerROS` is: velocities are sampled, their arcs scored, one is chosen.
