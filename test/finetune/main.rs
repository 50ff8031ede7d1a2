//! Learning through the whole model against PyTorch and PEFT (`test/fixtures/lora_training`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod golden;
mod golden_set;
mod gradients;
mod memory;
mod training;
