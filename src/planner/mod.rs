//! Planner parameters: named values, in range by construction.
