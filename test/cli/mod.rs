//! The command line, as a process.

mod bank;
mod bench;
mod commands;
mod doctor;
mod drives;
mod finetune;
mod inspect;
mod launch_files;
mod live;
mod outputs;
mod page;
mod policies;
mod render;
