//! Models and policies as they lie on users' disks: saved again, wrapped, quantised, or not there at all. Each is read as
//! the fixture is, or refused in a sentence with the remedy. Tests are named after the reports they stand for.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};

use candle_core::{Device, Tensor};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use vlm_planner_tuner::checkpoint::TensorTable;

use crate::support::checkpoint_files::{op, torch_zip};
use crate::support::{expect, own_fixture_set};

/// A copy of the fixture that may be changed.
pub(super) struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = tempfile::tempdir().unwrap();
        for part in ["base", "checkpoint", "policy"] {
            copy_folder(&own_fixture_set("tiny_vlm").join(part), &copy.path().join(part));
        }
        Self(copy)
    }

    pub(super) fn with(change: impl FnOnce(&Path)) -> Self {
        let copy = Self::new();
        change(copy.0.path());
        copy
    }

    fn infer(&self) -> Output {
        let path = |part: &str| self.0.path().join(part).display().to_string();
        let frame = own_fixture_set("tiny_vlm").join("frames/DWA_000022.png").display().to_string();
        Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
            .args(["infer", "--json", "--linear-vel", "0.5", "--angular-vel", "0.1", "--image", &frame])
            .args(["--base", &path("base"), "--checkpoint", &path("checkpoint"), "--policy", &path("policy")])
            .output()
            .unwrap()
    }

    fn feature(&self) -> (Vec<f64>, String) {
        let output = self.infer();
        let talk = expect(0, &output);
        let decision: Value = serde_json::from_slice(&output.stdout).unwrap();
        (serde_json::from_value(decision["feature"].clone()).unwrap(), talk)
    }

    /// Reads it as the fixture itself is read, and returns what was said.
    #[track_caller]
    pub(super) fn is_as_the_fixture(&self) -> String {
        let (feature, talk) = self.feature();
        assert_eq!(feature, Self::new().feature().0);
        talk
    }

    /// Refuses it with exit code 1 and these words.
    #[track_caller]
    fn is_refused_with(&self, words: &[&str]) {
        let talk = expect(1, &self.infer());
        for words in words {
            assert!(talk.contains(words), "'{words}' is missing in: {talk}");
        }
        assert!(talk.lines().count() < 12, "{talk}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            drop(std::fs::copy(entry.path(), target))
        }
    }
}

fn edit_json(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut fields: Map<String, Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut fields);
    std::fs::write(path, Value::from(fields).to_string()).unwrap();
}

fn config(change: impl FnOnce(&mut Map<String, Value>)) -> Copy {
    Copy::with(|folder| edit_json(&folder.join("base/config.json"), change))
}

/// The regression head in torch's zip format, with other names, and whatever stands around it.
fn head(rename: impl Fn(&str) -> String, around: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Copy {
    Copy::with(|folder| {
        let path = folder.join("checkpoint/regression_head/pytorch_model.bin");
        let table = TensorTable::open(&path).unwrap();
        let (mut dict, mut storages) = (b"}".to_vec(), Vec::new());
        for (number, name) in table.names_in_file_order().into_iter().enumerate() {
            let tensor = table.read(name, &Device::Cpu).unwrap();
            let shape: Vec<i32> = tensor.dims().iter().map(|side| *side as i32).collect();
            let strides: Vec<i32> = tensor.stride().iter().map(|stride| *stride as i32).collect();
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            let storage = op::storage(&number.to_string(), values.len() as i32);
            dict.extend([op::text(&rename(name)), op::tensor(storage, 0, &shape, &strides), b"s".to_vec()].concat());
            storages.push((number.to_string(), values));
        }
        let storages: Vec<(&str, &[f32])> =
            storages.iter().map(|(key, values)| (key.as_str(), values.as_slice())).collect();
        std::fs::write(path, torch_zip(&op::pickle(&around(dict)), &storages, "little")).unwrap();
    })
}

fn policy_file(suffix: &str, pickle: &[u8]) -> Copy {
    Copy::with(|folder| std::fs::write(folder.join(format!("policy/policy_step_1000_{suffix}")), pickle).unwrap())
}

#[test]
fn config_in_channels_twice() {
    config(|fields| fields["vision_config"]["in_channels"] = json!(3)).is_as_the_fixture();
    config(|fields| fields["vision_config"]["in_channels"] = json!(4)).is_refused_with(&[
        "config.json",
        "in_chans",
        "in_channels",
    ]);
}

#[test]
fn config_defaults_left_out() {
    for (part, field) in [
        ("vision_config", "temporal_patch_size"),
        ("vision_config", "hidden_act"),
        ("vision_config", "spatial_patch_size"),
        ("", "hidden_act"),
        ("", "rope_theta"),
        ("", "use_sliding_window"),
    ] {
        let copy = config(|fields| match part {
            "" => drop(fields.remove(field)),
            part => drop(fields[part].as_object_mut().unwrap().remove(field)),
        });
        copy.is_as_the_fixture();
    }
}

#[test]
fn config_rope_under_both_names() {
    let both = |theta: f64| {
        config(|fields| {
            let section = fields["rope_scaling"]["mrope_section"].clone();
            let rope = json!({"rope_type": "default", "mrope_section": section, "rope_theta": theta});
            fields.insert("rope_parameters".to_owned(), rope);
        })
    };
    both(1e6).is_as_the_fixture();
    both(1e4).is_refused_with(&["rope_parameters.rope_theta", "rope_theta"]);
}

#[test]
fn rope_yarn_ignored() {
    let scaled = |rope: Value| {
        config(|fields| {
            let mut rope = rope;
            rope["mrope_section"] = fields["rope_scaling"]["mrope_section"].clone();
            fields["rope_scaling"] = rope;
        })
    };
    let plain = Copy::new().feature().0;
    for rope in [
        json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}),
        json!({"rope_type": "linear", "factor": 2.0}),
    ] {
        let feature = scaled(rope.clone()).feature().0;
        let moved = feature.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(moved > 1e-3, "{rope} changes nothing");
    }
    scaled(json!({"type": "longrope", "factor": 4.0})).is_refused_with(&["longrope", "rope_scaling"]);
    scaled(json!({"type": "yarn", "factor": 4.0, "a_new_field": 2.0})).is_refused_with(&["a_new_field"]);
}

#[test]
fn processor_config_json() {
    let copy = Copy::with(|folder| {
        let (old, new) = (folder.join("base/preprocessor_config.json"), folder.join("base/processor_config.json"));
        let inner: Value = serde_json::from_slice(&std::fs::read(&old).unwrap()).unwrap();
        std::fs::write(new, json!({"image_processor": inner, "processor_class": "Qwen2_5_VLProcessor"}).to_string())
            .unwrap();
        std::fs::remove_file(old).unwrap();
    });
    copy.is_as_the_fixture();
}

#[test]
fn lora_pissa() {
    let copy = Copy::with(|folder| {
        edit_json(&folder.join("checkpoint/adapter_config.json"), |fields| {
            fields["init_lora_weights"] = json!("pissa")
        });
    });
    copy.is_refused_with(&["adapter_config.json", "init_lora_weights", "pissa", "merge"]);
}

/// Ranks and alphas by module, written so that every module keeps the pair and the scale that it has.
#[test]
fn lora_patterns_by_module() {
    let adapter = |change: &dyn Fn(&mut Map<String, Value>)| {
        Copy::with(|folder| edit_json(&folder.join("checkpoint/adapter_config.json"), |fields| change(fields)))
    };
    let same = adapter(&|fields| {
        fields["r"] = json!(16);
        fields["lora_alpha"] = json!(1);
        fields["rank_pattern"] = json!({"[a-z_]*proj": 4, r"attn\.(qkv|proj)": 4, r"mlp\.\d": 4});
        fields["alpha_pattern"] =
            json!({"visual.blocks": 3, r".*\.layers\.0\.mlp\.down_proj": 8, "q_proj": 8, ".*": 8});
    });
    same.is_as_the_fixture();
    // One module at another scale is another feature.
    let other = adapter(&|fields| fields["alpha_pattern"] = json!({r"layers\.0\.mlp\.down_proj": 80}));
    assert_ne!(other.feature().0, Copy::new().feature().0);
    let rank = adapter(&|fields| fields["rank_pattern"] = json!({"q_proj": 8}));
    rank.is_refused_with(&["adapter_model.safetensors", "q_proj", "expected lora_A [8, in]"]);
    let broken = adapter(&|fields| fields["alpha_pattern"] = json!({"q_proj(": 8}));
    broken.is_refused_with(&["adapter_config.json", "alpha_pattern", "q_proj("]);
}

/// The adapter under the names of the model that it was trained beside: the inner one, wrapped, under PEFT's own names.
#[test]
fn lora_names_of_the_inner_model() {
    let renamed = |rename: &dyn Fn(&str) -> String| {
        Copy::with(|folder| {
            let path = folder.join("checkpoint/adapter_model.safetensors");
            let tensors: HashMap<String, Tensor> = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
            let tensors: HashMap<String, Tensor> =
                tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
            candle_core::safetensors::save(&tensors, &path).unwrap();
        })
    };
    let inner = |name: &str| name.replacen("base_model.model.model.", "base_model.model.", 1);
    renamed(&inner).is_as_the_fixture();
    renamed(&|name| name.replace(".weight", ".default.weight")).is_as_the_fixture();
    renamed(&|name| format!("module.{name}")).is_as_the_fixture();
}

#[test]
fn lora_on_lm_head() {
    let copy = Copy::with(|folder| {
        let path = folder.join("checkpoint/adapter_model.safetensors");
        let mut tensors: HashMap<String, Tensor> = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let (name, a) = tensors.iter().find(|(name, _)| name.contains("q_proj.lora_A")).unwrap();
        let rank = a.dim(0).unwrap();
        let prefix = if name.contains("lora_A.weight") { "lora_A.weight" } else { "lora_A.default.weight" };
        let ones = |rows: usize, columns: usize| Tensor::ones((rows, columns), a.dtype(), &Device::Cpu).unwrap();
        let pair = [(prefix.to_owned(), ones(rank, 64)), (prefix.replace('A', "B"), ones(672, rank))];
        tensors.extend(pair.map(|(name, tensor)| (format!("base_model.model.lm_head.{name}"), tensor)));
        candle_core::safetensors::save(&tensors, &path).unwrap();
    });
    copy.is_as_the_fixture();
}

#[test]
fn lfs_pointer_weights() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 3983525\n";
    for file in [
        "base/model-00002-of-00002.safetensors",
        "base/config.json",
        "checkpoint/regression_head/pytorch_model.bin",
        "checkpoint/adapter_model.safetensors",
        "policy/policy_step_1000_noise",
    ] {
        let copy = Copy::with(|folder| std::fs::write(folder.join(file), pointer).unwrap());
        copy.is_refused_with(&[file, "git lfs pull"]);
    }
}

#[test]
fn awq_base_blames_adapter() {
    for method in ["awq", "gptq"] {
        let quantised = json!({"quant_method": method, "bits": 4});
        config(|fields| drop(fields.insert("quantization_config".to_owned(), quantised))).is_refused_with(&[
            "config.json",
            "quantization_config",
            method,
        ]);
    }
}

#[test]
fn head_of_a_compiled_module() {
    for wrapper in ["_orig_mod.", "module.", "module._orig_mod."] {
        let talk = head(|name| format!("{wrapper}{name}"), |dict| dict).is_as_the_fixture();
        assert!(
            talk.contains("pytorch_model.bin") && wrapper.split_inclusive('.').all(|part| talk.contains(part)),
            "{talk}"
        );
    }
}

#[test]
fn head_inside_a_training_checkpoint() {
    let wrapped = |dict: Vec<u8>| {
        let entries = [op::text("model_state_dict"), dict, b"s".to_vec(), op::text("epoch"), op::int(3), b"s".to_vec()];
        [b"}".to_vec(), entries.concat()].concat()
    };
    head(str::to_owned, wrapped).is_refused_with(&["pytorch_model.bin", "model_state_dict", "torch.save"]);
}

#[test]
fn noise_as_numpy_number() {
    for module in ["numpy.core.multiarray", "numpy._core.multiarray"] {
        let kind = op::call("numpy", "dtype", &[op::text("f8"), b"\x89".to_vec(), b"\x88".to_vec()]);
        let state = [op::int(3), op::text("<"), b"NNN".to_vec(), op::int(-1), op::int(-1), op::int(0)];
        let kind = [kind, op::tuple(&state), b"b".to_vec()].concat();
        let number = op::call(module, "scalar", &[kind, op::bytes(&0.05_f64.to_le_bytes())]);
        policy_file("noise", &op::pickle(&number)).is_as_the_fixture();
    }
    // An array of one number, and the bytes as protocol 2 spells them.
    let kind = || {
        let kind = op::call("numpy", "dtype", &[op::text("f8"), b"\x89".to_vec(), b"\x88".to_vec()]);
        let state = [op::int(3), op::text(">"), b"NNN".to_vec(), op::int(-1), op::int(-1), op::int(0)];
        [kind, op::tuple(&state), b"b".to_vec()].concat()
    };
    let text: String = 0.05_f64.to_be_bytes().iter().map(|byte| char::from(*byte)).collect();
    let bytes = || op::call("_codecs", "encode", &[op::text(&text), op::text("latin1")]);
    let array = |shape: &[Vec<u8>]| {
        let empty = [op::global("numpy", "ndarray"), op::tuple(&[op::int(0)]), op::bytes(b"b")];
        let state = [op::int(1), op::tuple(shape), kind(), b"\x89".to_vec(), bytes()];
        [op::call("numpy.core.multiarray", "_reconstruct", &empty), op::tuple(&state), b"b".to_vec()].concat()
    };
    let scalar = op::call("numpy.core.multiarray", "scalar", &[kind(), bytes()]);
    for number in [scalar, array(&[op::int(1)]), array(&[])] {
        policy_file("noise", &op::pickle(&number)).is_as_the_fixture();
    }
    let several = op::pickle(&array(&[op::int(2)]));
    policy_file("noise", &several).is_refused_with(&["policy_step_1000_noise", "numpy array", "float(x)"]);
    let other = op::call("numpy.random", "RandomState", &[]);
    policy_file("noise", &op::pickle(&other)).is_refused_with(&["policy_step_1000_noise", "numpy.random.RandomState"]);
}

#[test]
fn vlm_info_with_a_path() {
    let path = op::call("pathlib", "PosixPath", &[op::text("/"), op::text("data"), op::text("dwa")]);
    let flags = ["use_4bit", "use_history", "vlm_trainable"].map(|name| {
        let value: &[u8] = if name == "use_history" { b"\x88" } else { b"\x89" };
        [op::text(name), value.to_vec(), b"s".to_vec()].concat()
    });
    let dict = [op::dict("checkpoint_path", &path), flags.concat()].concat();
    policy_file("vlm_info", &op::pickle(&dict)).is_as_the_fixture();
    let other = op::dict("checkpoint_path", &op::call("os", "system", &[op::text("true")]));
    policy_file("vlm_info", &op::pickle(&other)).is_refused_with(&["policy_step_1000_vlm_info", "os.system"]);
}
