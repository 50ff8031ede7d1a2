//! A planner that obeys.
