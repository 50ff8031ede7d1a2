//! What the laser saw, as `costmap_2d` keeps it: obstacles marked and cleared, then inflated.
