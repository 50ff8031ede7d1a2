//! The house itself: what its members may know of each other, and of the world.

mod walls;
