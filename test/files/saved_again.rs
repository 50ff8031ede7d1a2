//! The demo's base model as four releases of transformers save it: the same model, whatever the files look like.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use vlm_planner_tuner::checkpoint::TensorTable;

use super::as_users_have_them::Copy;
use crate::support::own_fixture_set;

/// Under which names the weights are saved again, all in one file.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// As published.
    Published,
    /// `model.visual.*` and `model.language_model.*`.
    Nested,
    /// Without the head around it: `visual.*` and `language_model.*`.
    Inner,
}

impl Names {
    fn of(self, published: &str) -> String {
        match (self, published.strip_prefix("model.")) {
            (Self::Published, _) | (Self::Inner, None) => published.to_owned(),
            (Self::Nested, Some(rest)) => format!("model.language_model.{rest}"),
            (Self::Nested, None) => format!("model.{published}"),
            (Self::Inner, Some(rest)) => format!("language_model.{rest}"),
        }
    }
}

fn save_weights_again(base: &Path, names: Names) {
    let table = TensorTable::open_sharded(base).unwrap();
    let read = |name: &str| (names.of(name), table.read(name, &Device::Cpu).unwrap());
    let mut tensors: HashMap<String, Tensor> = table.names().map(read).collect();
    // A base whose embeddings are not tied to its head has one; it is never read.
    let head = Tensor::ones((672, 64), DType::BF16, &Device::Cpu).unwrap();
    tensors.insert("lm_head.weight".to_owned(), head);
    for entry in std::fs::read_dir(base).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("model") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    candle_core::safetensors::save(&tensors, base.join("model.safetensors")).unwrap();
}

#[test]
fn a_base_that_transformers_saved_again_is_the_same_model() {
    for (release, names) in
        [("4.49.0", Names::Published), ("4.52.4", Names::Nested), ("4.57.1", Names::Inner), ("5.24.0", Names::Nested)]
    {
        let copy = Copy::with(|folder| {
            let base = folder.join("base");
            for gone in ["config.json", "preprocessor_config.json", "chat_template.json"] {
                std::fs::remove_file(base.join(gone)).unwrap();
            }
            let files = std::fs::read_dir(own_fixture_set("saved_again").join(release)).unwrap();
            for file in files.map(|file| file.unwrap().path()) {
                std::fs::copy(&file, base.join(file.file_name().unwrap())).unwrap();
            }
            save_weights_again(&base, names);
            assert!(base.join("preprocessor_config.json").exists() != base.join("processor_config.json").exists());
        });
        copy.is_as_the_fixture();
    }
}
