//! The global plan, as `navfn` finds it: a potential that grows from the robot, and a path down its slope.
