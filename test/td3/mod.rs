//! TD3: the trace of PyTorch, and training from logs.

mod heads;
mod logged_drive;
mod lora;
mod trace;
mod train_command;
mod train_heads_command;
mod train_lora_command;
mod training;
