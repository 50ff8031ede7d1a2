//! TD3: the trace of PyTorch, and training from logs.

mod heads;
mod trace;
mod train_command;
mod train_heads_command;
mod training;
