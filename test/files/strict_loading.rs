//! Models that do not fit their files: everything that is wrong is named at once, and nothing is loaded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support;
use candle_core::{DType, Device, Tensor};
use vlm_planner_tuner::checkpoint::{LoraConfig, TensorTable};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::tuner::{Head, ModelSpec, QuantizeChoice, TunerOptions};
use vlm_planner_tuner::vision_language::processor::PixelBudget;
use vlm_planner_tuner::vision_language::{ModelConfig, Precision, VisionLanguageModel, WeightFormat};
use vlm_planner_tuner::weights::{LoraAdapter, MemoryBudget, MergedWeights};

type Tensors = HashMap<String, Tensor>;

fn tiny() -> PathBuf {
    support::own_fixture_set("tiny_vlm")
}

fn base_tensors() -> Tensors {
    let table = TensorTable::open_sharded(tiny().join("base")).unwrap();
    table.names().map(|name| (name.to_string(), table.read(name, &Device::Cpu).unwrap())).collect()
}

/// Saves the tensors and loads the model from them.
fn load(tensors: &Tensors) -> Result<VisionLanguageModel, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    candle_core::safetensors::save(tensors, &file).unwrap();
    let config = ModelConfig::load(&tiny().join("base/config.json")).unwrap();
    let weights = MergedWeights::new(TensorTable::open(&file).unwrap(), None).map_err(|error| error.to_string())?;
    VisionLanguageModel::load(config, Arc::new(weights), Precision::F32, &Device::Cpu).map_err(|e| e.to_string())
}

#[test]
fn every_difference_is_in_one_message() {
    let mut tensors = base_tensors();
    let norm = tensors.remove("model.norm.weight").unwrap();
    tensors.remove("visual.blocks.2.attn.qkv.bias").unwrap();
    tensors.insert("model.layers.0.input_layernorm.weight".into(), norm.narrow(0, 0, 60).unwrap());
    tensors.insert("model.layers.99.mlp.up_proj.weight".into(), norm.clone());
    // What is never read may be there.
    tensors.insert("lm_head.weight".into(), norm);
    let message = load(&tensors).unwrap_err();
    for line in [
        "4 tensor(s) do not fit",
        "missing    model.norm.weight, expected shape [64]",
        "missing    visual.blocks.2.attn.qkv.bias, expected shape [144]",
        "mis-shaped model.layers.0.input_layernorm.weight, expected shape [64], found [60]",
        "extra      model.layers.99.mlp.up_proj.weight",
        "model.safetensors",
    ] {
        assert!(message.contains(line), "{line}\n{message}");
    }
    assert!(!message.contains("lm_head"), "{message}");
}

#[test]
fn the_newer_names_load_and_both_at_once_do_not() {
    let newer: Tensors = base_tensors()
        .into_iter()
        .map(|(name, tensor)| match name.strip_prefix("model.") {
            Some(rest) => (format!("model.language_model.{rest}"), tensor),
            None => (format!("model.{name}"), tensor),
        })
        .collect();
    load(&newer).unwrap();
    let mut both = newer;
    let norm = both["model.language_model.norm.weight"].clone();
    both.insert("model.norm.weight".into(), norm);
    let message = load(&both).unwrap_err();
    assert!(message.contains("'model.language_model.norm.weight' and 'model.norm.weight' are both"), "{message}");
}

#[test]
fn adapters_for_another_model_are_refused_with_every_layer() {
    let adapt = |change: &dyn Fn(&mut Tensors)| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("adapter_model.safetensors");
        let table = TensorTable::open(tiny().join("checkpoint/adapter_model.safetensors")).unwrap();
        let mut tensors: Tensors =
            table.names().map(|name| (name.to_string(), table.read(name, &Device::Cpu).unwrap())).collect();
        change(&mut tensors);
        candle_core::safetensors::save(&tensors, &file).unwrap();
        let config = LoraConfig::open(tiny().join("checkpoint/adapter_config.json")).unwrap();
        let adapter = LoraAdapter::new(&config, TensorTable::open(&file).unwrap()).map_err(|e| e.to_string())?;
        let base = TensorTable::open_sharded(tiny().join("base")).unwrap();
        MergedWeights::new(base, Some(adapter)).map(drop).map_err(|error| error.to_string())
    };
    adapt(&|_| {}).unwrap();

    let q_proj = "base_model.model.model.language_model.layers.0.self_attn.q_proj";
    let half = adapt(&|tensors| drop(tensors.remove(&format!("{q_proj}.lora_B.weight")))).unwrap_err();
    assert!(half.contains("model.layers.0.self_attn.q_proj.weight has only one of lora_A and lora_B"), "{half}");

    let zeros = |shape: (usize, usize)| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let rank = adapt(&|tensors| {
        tensors.insert(format!("{q_proj}.lora_A.weight"), zeros((8, 64)));
    });
    assert!(rank.as_ref().unwrap_err().contains("found Some([8, 64])"), "{rank:?}");

    let elsewhere = adapt(&|tensors| {
        for half in ["lora_A", "lora_B"] {
            let tensor = tensors.remove(&format!("{q_proj}.{half}.weight")).unwrap();
            tensors.insert(format!("{}.{half}.weight", q_proj.replace("layers.0", "layers.77")), tensor);
        }
    })
    .unwrap_err();
    assert!(elsewhere.contains("model.layers.77.self_attn.q_proj.weight: the base model has no such tensor"));

    let stray = adapt(&|tensors| drop(tensors.insert("something.else".into(), zeros((1, 1))))).unwrap_err();
    assert!(stray.contains("something.else is neither lora_A.weight nor lora_B.weight"), "{stray}");
}

fn options(checkpoint: &Path) -> TunerOptions {
    TunerOptions {
        model: ModelSpec {
            base: tiny().join("base"),
            checkpoint: checkpoint.to_owned(),
            policy: None,
            head: Some(Head::Regression),
            planner: PlannerSpec::builtin("dwa").unwrap(),
            quantize: QuantizeChoice::None,
            pixels: PixelBudget::default(),
        },
        device: Device::Cpu,
        format: None,
        memory: None,
    }
}

#[test]
fn too_little_memory_is_said_before_anything_is_read() {
    let mut options = options(&tiny().join("checkpoint"));
    options.memory = Some(MemoryBudget::of_bytes(100 << 20));
    let message = options.load(Some(Box::new(|_, _| panic!("a tensor was read")))).unwrap_err().to_string();
    assert!(message.contains("MiB of memory, 100 MiB are available"), "{message}");
}

#[test]
fn the_number_of_history_frames_must_be_the_encoders() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&tiny().join("checkpoint"), folder.path());
    let file = folder.path().join("history_config.json");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("\"num_history_frames\": 2", "\"num_history_frames\": 3")).unwrap();
    let message = options(folder.path()).load(None).unwrap_err().to_string();
    assert!(message.contains("mis-shaped pos_embedding, expected shape [1, 3, 32], found [1, 2, 32]"), "{message}");
}

#[test]
fn weights_stored_as_bf16_are_those_of_the_file() {
    // The file is bf16, so nothing is lost by keeping it so: the CPU computes in f32 either way.
    let load = |format| {
        let config = ModelConfig::load(&tiny().join("base/config.json")).unwrap();
        let weights = MergedWeights::new(TensorTable::open_sharded(tiny().join("base")).unwrap(), None).unwrap();
        let precision = Precision::new(&Device::Cpu, Some(format));
        let bytes = VisionLanguageModel::plan(&config, precision).unwrap().bytes();
        (VisionLanguageModel::load(config, Arc::new(weights), precision, &Device::Cpu).unwrap(), bytes)
    };
    let ((mut wide, wide_bytes), (mut narrow, narrow_bytes)) = (load(WeightFormat::F32), load(WeightFormat::Bf16));
    assert!(narrow_bytes * 100 < wide_bytes * 60, "{narrow_bytes} bytes instead of {wide_bytes}");
    let processor_config = vlm_planner_tuner::vision_language::processor::PreprocessorConfig::load(
        &tiny().join("base"),
        None,
        PixelBudget::default(),
    );
    let mut processor = vlm_planner_tuner::vision_language::processor::ImageProcessor::new(processor_config.unwrap());
    let frame = vlm_planner_tuner::frame::Frame::from_rgb8(112, 84, [90, 30, 200].repeat(112 * 84)).unwrap();
    let image = processor.process(&frame).unwrap();
    let tokens = |model: &mut VisionLanguageModel| support::flat(&model.image_tokens(&image).unwrap());
    let difference = support::max_difference(&tokens(&mut wide), &tokens(&mut narrow));
    // The folded patch embedding is the one matrix whose sum is rounded to bf16.
    assert!(difference < 2e-2, "{difference}");
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
