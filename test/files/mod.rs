//! Checkpoints, policies and what else comes from disk: strict, hostile and cut files.

mod as_users_have_them;
mod checkpoint;
mod hostile_folders;
mod hostile_pickle;
mod hostile_tensors;
mod hub;
mod policy_files;
mod policy_kills;
mod saved_again;
mod strict_loading;
