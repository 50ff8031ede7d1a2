//! The guard, the envelope and Nav2: which parameters are sent, and what became of them.

mod guard;
mod guard_inputs;
mod guard_properties;
mod nav2_bank;
mod nav2_mapping;
mod nav2_real;
mod nav2_respawn;
mod nav2_sight;
mod nav2_sink;
mod planner_files;
