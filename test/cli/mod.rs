//! The command line, as a process.

mod bench;
mod commands;
mod doctor;
mod inspect;
mod policies;
mod render;
