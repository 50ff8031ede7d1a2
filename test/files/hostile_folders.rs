//! Checkpoint folders with parts missing, empty or at odds: one message that names them all.

use crate::support::checkpoint_files::{safetensors, small_safetensors, small_torch_zip};
use std::path::Path;
use tempfile::TempDir;
use vlm_planner_tuner::checkpoint::{Adapter, AdapterRequirement, Normalization, SupervisedCheckpoint};

const ADAPTER_CONFIG: &str = r#"{"peft_type": "LORA", "r": 16, "lora_alpha": 8, "bias": "none", "use_dora": false,
    "target_modules": ["q_proj"], "modules_to_save": null, "alpha_pattern": {}, "rank_pattern": {}}"#;

fn npy(values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A supervised checkpoint without history whose files all open.
fn checkpoint() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "adapter_config.json", ADAPTER_CONFIG.as_bytes());
    write(folder.path(), "adapter_model.safetensors", &small_safetensors());
    write(folder.path(), "regression_head/pytorch_model.bin", &small_torch_zip());
    write(folder.path(), "history_config.json", br#"{"use_history": false}"#);
    write(folder.path(), "normalization/param_mean.npy", &npy(&[1.0, 2.0]));
    write(folder.path(), "normalization/param_std.npy", &npy(&[0.5, 0.25]));
    folder
}

fn refusal(folder: &TempDir) -> String {
    SupervisedCheckpoint::open(folder.path()).expect_err("the checkpoint is broken").to_string()
}

#[test]
fn a_checkpoint_without_history_opens() {
    let folder = checkpoint();
    let checkpoint = SupervisedCheckpoint::open(folder.path()).unwrap();
    assert!(checkpoint.history_encoder.is_none() && checkpoint.prompt_json.is_none());
    assert_eq!(checkpoint.adapter.unwrap().config.scale(), 0.5);
    assert_eq!(checkpoint.normalization.denormalise(&[1.0, 1.0]), [1.5, 2.25]);
}

#[test]
fn missing_files_are_reported_together() {
    let folder = checkpoint();
    for name in ["adapter_config.json", "regression_head/pytorch_model.bin", "normalization/param_std.npy"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    write(
        folder.path(),
        "history_config.json",
        br#"{"use_history": true, "num_history_frames": 2, "history_dim": 32, "history_image_size": 224}"#,
    );
    let message = refusal(&folder);
    for name in [
        "adapter_config.json",
        "regression_head/pytorch_model.bin",
        "normalization/param_std.npy",
        "history_encoder/pytorch_model.bin",
    ] {
        assert!(message.contains(name), "{name}: {message}");
    }
    assert!(!message.contains("adapter_model"), "{message}");
    let message = SupervisedCheckpoint::open("/nowhere/at/all").unwrap_err().to_string();
    assert!(message.contains("no such folder"), "{message}");
}

#[test]
fn an_adapter_is_only_left_out_whole_and_on_request() {
    let folder = checkpoint();
    std::fs::remove_file(folder.path().join("adapter_model.safetensors")).unwrap();
    let half = SupervisedCheckpoint::open_with(folder.path(), AdapterRequirement::Optional).unwrap_err().to_string();
    assert!(half.contains("adapter_model.safetensors"), "{half}");
    std::fs::remove_file(folder.path().join("adapter_config.json")).unwrap();
    let none = SupervisedCheckpoint::open_with(folder.path(), AdapterRequirement::Optional).unwrap();
    assert!(none.adapter.is_none());
    assert!(refusal(&folder).contains("adapter_config.json"));
}

#[test]
fn an_empty_adapter_says_so() {
    let folder = checkpoint();
    let without_tensors = safetensors(r#"{"__metadata__":{"format":"pt"}}"#, &[]);
    assert_eq!(without_tensors.len(), 40);
    write(folder.path(), "adapter_model.safetensors", &without_tensors);
    let message = refusal(&folder);
    assert!(message.contains("adapter_model.safetensors is empty: its 40 bytes hold no tensors"), "{message}");

    let header = r#"{"x.lora_A.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    write(folder.path(), "adapter_model.safetensors", &safetensors(header, &[]));
    let message = refusal(&folder);
    assert!(message.contains("is empty") && message.contains("'x.lora_A.weight'"), "{message}");
}

#[test]
fn adapter_features_that_change_the_numbers_are_refused_by_name() {
    for (field, value) in [
        ("use_dora", "true"),
        ("fan_in_fan_out", "true"),
        ("bias", "\"all\""),
        ("modules_to_save", "[\"embed_tokens\"]"),
        ("alpha_pattern", "{\"q_proj\": 0}"),
        ("rank_pattern", "{\"q_proj\": -4}"),
        ("init_lora_weights", "\"pissa\""),
        ("init_lora_weights", "\"olora\""),
        ("init_lora_weights", "\"loftq\""),
        ("init_lora_weights", "\"corda\""),
        ("init_lora_weights", "\"pissa_niter_16\""),
        ("init_lora_weights", "\"lora_ga\""),
        ("init_lora_weights", "\"of the future\""),
        ("target_parameters", "[\"mlp.experts\"]"),
        ("lora_bias", "true"),
        ("use_qalora", "true"),
        ("use_bdlora", "{\"nblocks\":2}"),
        ("layer_replication", "[[0,4],[2,5]]"),
        ("trainable_token_indices", "[1,2]"),
        ("alora_invocation_tokens", "[3]"),
        ("arrow_config", "{\"top_k\":2}"),
        ("kasa_config", "{\"beta\":0.1}"),
        ("monteclora_config", "{\"num_samples\":8}"),
        ("megatron_config", "{\"hidden\":1}"),
        ("peft_type", "\"ADALORA\""),
        ("peft_type", "\"LOHA\""),
        ("a_field_of_the_future", "3"),
        ("r", "0"),
        ("lora_alpha", "\"eight\""),
        ("peft_type", "\"IA3\""),
        ("use_rslora", "1"),
    ] {
        let folder = checkpoint();
        let mut config: serde_json::Value = serde_json::from_str(ADAPTER_CONFIG).unwrap();
        config[field] = serde_json::from_str(value).unwrap();
        write(folder.path(), "adapter_config.json", config.to_string().as_bytes());
        let message = Adapter::open(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains(&format!("'{field}' is {value}").replace(": ", ":"))
                || message.contains(&format!("'{field}' is {value}")),
            "{field}: {message}"
        );
    }
}

/// What PEFT 0.7 to 0.21 write beside it: notes, training's own settings, and features that are off.
#[test]
fn adapter_fields_that_change_nothing_are_allowed() {
    for (field, value) in [
        ("init_lora_weights", "true"),
        ("init_lora_weights", "false"),
        ("init_lora_weights", "\"gaussian\""),
        ("init_lora_weights", "\"eva\""),
        ("init_lora_weights", "\"orthogonal\""),
        ("modules_to_save", "[\"lm_head\"]"),
        ("eva_config", "{\"rho\": 2.0}"),
        ("loftq_config", "{\"loftq_bits\": 4}"),
        ("task_type", "\"CAUSAL_LM\""),
        ("peft_version", "\"0.21.2\""),
        ("auto_mapping", "{\"base_model_class\": \"Qwen2_5_VLForConditionalGeneration\"}"),
        ("layers_to_transform", "[0, 1]"),
        ("layers_pattern", "\"layers\""),
        ("exclude_modules", "[\"lm_head\"]"),
        ("megatron_core", "\"megatron.core\""),
        ("qalora_group_size", "16"),
        ("ensure_weight_tying", "true"),
        ("lora_dropout", "0.1"),
        ("runtime_config", "{\"ephemeral_gpu_offload\": false}"),
        ("velora_config", "{\"rank\": 1}"),
        ("a_field_of_the_future", "false"),
        ("another_field_of_the_future", "{}"),
    ] {
        let folder = checkpoint();
        let mut config: serde_json::Value = serde_json::from_str(ADAPTER_CONFIG).unwrap();
        config[field] = serde_json::from_str(value).unwrap();
        write(folder.path(), "adapter_config.json", config.to_string().as_bytes());
        let adapter = Adapter::open(folder.path()).unwrap_or_else(|error| panic!("{field} {value}: {error}"));
        assert_eq!(adapter.config.scale(), 0.5);
    }
}

#[test]
fn rank_stabilised_scale_divides_by_the_root() {
    let folder = checkpoint();
    let config = ADAPTER_CONFIG.replace("\"bias\"", "\"use_rslora\": true, \"bias\"");
    write(folder.path(), "adapter_config.json", config.as_bytes());
    assert_eq!(Adapter::open(folder.path()).unwrap().config.scale(), 2.0);
}

#[test]
fn unusable_statistics_name_the_parameter() {
    for (mean, std, expected) in [
        (&[1.0, 2.0][..], &[0.5, 0.0][..], "standard deviation of parameter 1 is 0"),
        (&[1.0, 2.0], &[-0.5, 1.0], "standard deviation of parameter 0 is -0.5"),
        (&[1.0, 2.0], &[0.5, f32::NAN], "standard deviation of parameter 1 is NaN"),
        (&[1.0, f32::INFINITY], &[0.5, 1.0], "mean of parameter 1 is inf"),
        (&[1.0, 2.0], &[0.5], "holds 1 values, param_mean.npy holds 2"),
        (&[], &[], "no values"),
    ] {
        let folder = checkpoint();
        write(folder.path(), Normalization::MEAN, &npy(mean));
        write(folder.path(), Normalization::STD, &npy(std));
        let message = refusal(&folder);
        assert!(message.contains(expected) && message.contains("normalization/param_"), "{expected}: {message}");
    }
}
