//! Checkpoint files against golden values: the public fixtures and the trained policies.

use crate::support;
use candle_core::{DType, Device, Tensor};
use std::path::Path;
use vlm_planner_tuner::checkpoint::{
    AdapterRequirement, PolicyCheckpoint, SupervisedCheckpoint, TensorMeta, TensorTable,
};

/// The numbers as bits, so that equality means equality.
fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn read(table: &TensorTable, name: &str) -> Tensor {
    table.read(name, &Device::Cpu).unwrap()
}

/// Every tensor of one table is bit for bit in the other, and there are no others.
fn assert_same_tensors(left: &TensorTable, right: &TensorTable) {
    let names: Vec<&str> = left.names().collect();
    assert_eq!(names, right.names().collect::<Vec<_>>());
    for name in names {
        assert_eq!(left.meta(name), right.meta(name), "{name}");
        assert_eq!(bits(&read(left, name)), bits(&read(right, name)), "{name}");
    }
}

#[test]
fn fixture_policy_pickle_equals_its_safetensors_bit_for_bit() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let policy = PolicyCheckpoint::open(set.join("policy")).unwrap();
    assert_eq!(policy.path.extension(), None, "the pickle wins over the safetensors file");
    let mut twin = policy.path.clone().into_os_string();
    twin.push(".safetensors");
    let twin = PolicyCheckpoint::open(Path::new(&twin)).unwrap();
    assert!(policy.actor.len() > 50);
    assert_same_tensors(&policy.actor, &twin.actor);
    assert_eq!((policy.step, policy.noise), (twin.step, twin.noise));
    assert_eq!(policy.vlm_info, twin.vlm_info);
}

#[test]
fn fixture_policy_opens_by_prefix_folder_and_file() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let by_folder = PolicyCheckpoint::open(set.join("policy")).unwrap();
    let by_file = PolicyCheckpoint::open(&by_folder.path).unwrap();
    let prefix = by_folder.path.to_str().unwrap().strip_suffix("_actor").unwrap();
    let by_prefix = PolicyCheckpoint::open(prefix).unwrap();
    assert_eq!(by_folder.path, by_file.path);
    assert_eq!(by_folder.path, by_prefix.path);
}

#[test]
fn fixture_policy_says_how_it_was_made() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let policy = PolicyCheckpoint::open(set.join("policy")).unwrap();
    let step = policy.path.file_name().unwrap().to_str().unwrap().trim_end_matches("_actor");
    assert_eq!(policy.step, step.strip_prefix("policy_step_").and_then(|step| step.parse().ok()));
    assert!(policy.step.is_some());
    assert!(policy.noise.is_some_and(|noise| noise > 0.0 && noise < 1.0));
    let info = policy.vlm_info.unwrap();
    let supervised = set.join("policy").join(&info.checkpoint_path).canonicalize().unwrap();
    assert_eq!(supervised, set.join("checkpoint").canonicalize().unwrap());
    assert_eq!(info.vlm_trainable, policy.lora_adapter.is_some());
}

#[test]
fn fixture_supervised_checkpoint_is_complete() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let checkpoint = SupervisedCheckpoint::open(set.join("checkpoint")).unwrap();
    let adapter = checkpoint.adapter.unwrap();
    let rank = adapter.config.rank;
    let a_shapes = adapter.tensors.names().filter(|name| name.ends_with("lora_A.weight"));
    assert!(a_shapes.map(|name| adapter.tensors.meta(name).unwrap().shape[0]).all(|found| found == rank));
    assert_eq!(adapter.config.scale(), adapter.config.alpha / rank as f64);

    // The head's last layer and the statistics agree on the number of parameters.
    let outputs =
        checkpoint.regression_head.names().filter(|name| name.starts_with("mlp.") && name.ends_with("weight"));
    let last = checkpoint.regression_head.meta(outputs.last().unwrap()).unwrap();
    assert_eq!(last.shape[0], checkpoint.normalization.len());
    let history = checkpoint.history_encoder.unwrap();
    let positions = history.meta("pos_embedding").unwrap();
    let config = &checkpoint.history_config;
    assert_eq!(positions.shape, [1, config.num_history_frames, config.history_dim]);
    assert!(checkpoint.prompt_json.is_some());
}

/// What the supervised checkpoint and the policy have in common, byte for byte: the MLP, which RL does not train.
#[test]
fn fixture_torch_zip_holds_the_same_mlp_as_the_policy() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let supervised = SupervisedCheckpoint::open(set.join("checkpoint")).unwrap();
    let policy = PolicyCheckpoint::open(set.join("policy")).unwrap();
    let trained = policy.actor.strip_prefix("feature_extractor.dpt_head.");
    assert_same_tensors(&supervised.regression_head.strip_prefix("mlp."), &trained.strip_prefix("mlp."));
    let names = |table: &TensorTable| table.names().map(str::to_string).collect::<Vec<_>>();
    assert_eq!(names(&supervised.regression_head), names(&trained));
    let encoder = policy.actor.strip_prefix("feature_extractor.history_encoder.");
    assert_eq!(names(&supervised.history_encoder.unwrap()), names(&encoder));
}

#[test]
fn fixture_base_shards_agree_with_their_index() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let base = TensorTable::open_sharded(set.join("base")).unwrap();
    assert!(base.meta("model.embed_tokens.weight").is_some());
    for name in base.names() {
        let meta = base.meta(name).unwrap();
        let tensor = read(&base, name);
        assert_eq!(&TensorMeta { dtype: tensor.dtype(), shape: tensor.dims().to_vec() }, meta, "{name}");
    }
    // candle's own reader as the reference for the bytes.
    let file = base.file_of("model.embed_tokens.weight").unwrap();
    let reference = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    for (name, expected) in reference {
        let to_f32 = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
        assert_eq!(bits(&to_f32(&read(&base, &name))), bits(&to_f32(&expected)), "{name}");
    }
}

#[test]
fn fixture_full_size_heads_have_the_published_parameter_counts() {
    let Some(set) = support::fixture_set("heads_full") else { return };
    let head = TensorTable::open(set.join("regression_head/pytorch_model.bin")).unwrap();
    let history = TensorTable::open(set.join("history_encoder/pytorch_model.bin")).unwrap();
    assert_eq!(head.parameter_count(), 3_891_337);
    assert_eq!(history.parameter_count(), 1_676_352);
    for table in [&head, &history] {
        for name in table.names() {
            let sum = read(table, name).sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(sum.is_finite() && sum != 0.0, "{name} sums to {sum}");
        }
    }
}

#[test]
fn fixture_heads_without_adapter_need_the_callers_word() {
    let Some(set) = support::fixture_set("heads_full") else { return };
    let error = SupervisedCheckpoint::open(&set).unwrap_err().to_string();
    for file in ["adapter_config.json", "adapter_model.safetensors", "param_mean.npy", "param_std.npy"] {
        assert!(error.contains(file), "{error}");
    }
    let error = SupervisedCheckpoint::open_with(&set, AdapterRequirement::Optional).unwrap_err().to_string();
    assert!(!error.contains("adapter") && error.contains("param_std.npy"), "{error}");
}

/// Statistics, first and last values of trained policies as numpy found them.
#[test]
fn fixture_trained_policies_match_their_statistics() {
    let Some(policies) = support::shared_data("policies") else { return };
    for planner in ["dwa", "ddp"] {
        let folder = policies.join(planner);
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("tensors.json")).unwrap()).unwrap();
        let policy = PolicyCheckpoint::open(&folder).unwrap();
        assert!((policy.noise.unwrap() - expected["policy_noise"].as_f64().unwrap()).abs() < 1e-9);
        let tensors = expected["tensors"].as_array().unwrap();
        assert_eq!(policy.actor.len(), tensors.len());
        for expected in tensors {
            let name = expected["name"].as_str().unwrap();
            let meta = policy.actor.meta(name).unwrap();
            assert_eq!(serde_json::json!(meta.shape), expected["shape"], "{name}");
            assert_eq!((meta.dtype, expected["dtype"].as_str()), (DType::F32, Some("float32")), "{name}");
            let values: Vec<f64> =
                read(&policy.actor, name).flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            let close = |key: &str, found: f64, tolerance: f64| {
                let expected = expected[key].as_f64().unwrap();
                assert!((found - expected).abs() <= tolerance, "{planner} {name} {key}: {found}, expected {expected}");
            };
            close("mean", mean, 1e-7);
            close("std", std, 1e-7);
            // serde_json may miss the last bit of an f64; the stored values are f32, which it cannot miss.
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            let single = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
            assert_eq!(values.iter().copied().fold(f32::INFINITY, f32::min), single(&expected["min"]), "{name}");
            assert_eq!(values.iter().copied().fold(f32::NEG_INFINITY, f32::max), single(&expected["max"]), "{name}");
            let list = |key: &str| -> Vec<f32> { expected[key].as_array().unwrap().iter().map(single).collect() };
            assert!(values.starts_with(&list("first5")), "{planner} {name}");
            assert!(values.ends_with(&list("last5")), "{planner} {name}");
        }
    }
}
