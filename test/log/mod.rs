//! Transition logs: written, killed, read back, exported.

mod background;
mod episodes;
mod export;
mod kill;
mod reading;
mod replay;
mod runs;
