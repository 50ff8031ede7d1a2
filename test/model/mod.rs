//! From an image to an action, against the numbers of PyTorch.

mod golden_model;
mod laser_network;
mod live_policy;
mod nf4;
mod processor;
mod quantised_model;
mod tokenizer;
mod vector_paths;
