//! The golden sets `tiny_vlm` and `lora_training`, and networks made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use planner_tuner_core::frame::{BodyVelocity, Frame};
use planner_tuner_finetune::{Example, Learner, Learns, StepSettings, SupervisedHeads, View, past_pixels};
use planner_tuner_model::checkpoint::{SupervisedCheckpoint, TensorTable};
use planner_tuner_model::feature::HistoryImageProcessor;
use planner_tuner_model::learning::{AdamSettings, LearningModel, LearningModelOptions, LoraLayers, Sight};
use planner_tuner_model::vision_language::Precision;
use planner_tuner_model::vision_language::processor::PixelBudget;
use serde_json::Value;

/// Both sets, which belong together.
pub struct GoldenSet {
    pub vlm: PathBuf,
    pub training: PathBuf,
    pub frames: Value,
    pub expected: Value,
    pub tensors: TensorTable,
}

impl GoldenSet {
    /// From the folders in `PLANNER_TUNER_FIXTURES` (separated as in `PATH`); without it the project's own.
    pub fn open() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures");
        let roots: Vec<PathBuf> = match std::env::var_os("PLANNER_TUNER_FIXTURES") {
            Some(list) => std::env::split_paths(&list).chain([own]).collect(),
            None => vec![own],
        };
        // A path may name the set itself, beside which the other one lies.
        let beside = |root: &PathBuf| match root.ends_with("lora_training") || root.ends_with("tiny_vlm") {
            true => root.parent().map_or_else(|| root.clone(), Path::to_owned),
            false => root.clone(),
        };
        let roots: Vec<PathBuf> = roots.iter().map(beside).collect();
        let root = roots.iter().find(|root| root.join("lora_training").is_dir() && root.join("tiny_vlm").is_dir());
        let root = root.expect("the project brings lora_training and tiny_vlm");
        let (vlm, training) = (root.join("tiny_vlm"), root.join("lora_training"));
        let json = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let tensors = TensorTable::open(training.join("tensors.safetensors")).unwrap();
        Self {
            frames: json(vlm.join("expected.json")),
            expected: json(training.join("expected.json")),
            vlm,
            training,
            tensors,
        }
    }

    pub fn checkpoint(&self) -> SupervisedCheckpoint {
        SupervisedCheckpoint::open(self.vlm.join("checkpoint")).unwrap()
    }

    pub fn policy(&self) -> TensorTable {
        let folder = self.vlm.join("policy");
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut actors = files.filter(|path| path.to_string_lossy().ends_with("_actor.safetensors"));
        TensorTable::open(actors.next().unwrap()).unwrap()
    }

    pub fn model(&self) -> LearningModel {
        let planner = self.golden_frames()[0]["algorithm"].as_str().unwrap().to_lowercase();
        let options = LearningModelOptions {
            base: self.vlm.join("base"),
            wording: Some(self.vlm.join("checkpoint")),
            planner,
            pixels: PixelBudget::default(),
            device: Device::Cpu,
            precision: Precision::F32,
        };
        options.load(None).unwrap()
    }

    pub fn model_with_lora(&self) -> (LearningModel, LoraLayers) {
        let mut model = self.model();
        let adapter = self.checkpoint().adapter.unwrap();
        let lora = model.with_lora(|model| LoraLayers::saved(&adapter, 0.0, model)).unwrap();
        (model, lora)
    }

    pub fn heads(&self, hidden: usize) -> SupervisedHeads {
        let checkpoint = self.checkpoint();
        let history = checkpoint.history_encoder.as_ref().map(|table| (&checkpoint.history_config, table));
        SupervisedHeads::saved(&checkpoint.regression_head, history, hidden, &Device::Cpu).unwrap()
    }

    pub fn learner(&self, learns: Learns) -> Learner {
        let (model, lora) = self.model_with_lora();
        let heads = self.heads(model.config().text.hidden_size);
        let adamw = &self.expected["adamw"]["settings"];
        let number = |value: &Value| value.as_f64().unwrap();
        let adam = AdamSettings {
            betas: (number(&adamw["betas"][0]), number(&adamw["betas"][1])),
            epsilon: number(&adamw["eps"]),
            weight_decay: number(&adamw["weight_decay"]),
        };
        let settings = StepSettings { adam, max_gradient_norm: number(&adamw["clip"]) };
        Learner::new(model, lora, heads, learns, (floats(&self.expected["param_weights"]), settings)).unwrap()
    }

    /// Indices of the frames that are learned from.
    pub fn trained_frames(&self) -> Vec<usize> {
        self.expected["frames"].as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect()
    }

    fn golden_frames(&self) -> &Vec<Value> {
        self.frames["frames"].as_array().unwrap()
    }

    fn pictures(&self) -> Vec<Frame> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.vlm.join("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| Frame::from_image_bytes(&std::fs::read(file).unwrap()).unwrap()).collect()
    }

    /// The examples of `lora_training`, by the index of their frame.
    pub fn examples(&self, model: &mut LearningModel) -> BTreeMap<usize, Example> {
        let pictures = self.pictures();
        let side = self.checkpoint().history_config.history_image_size;
        let mut small = HistoryImageProcessor::new(side).unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        let golden =
            self.golden_frames().iter().map(|golden| (golden["frame_index"].as_u64().unwrap() as usize, golden));
        let mut golden: BTreeMap<usize, &Value> = golden.collect();
        self.trained_frames()
            .into_iter()
            .map(|index| {
                let golden = golden.remove(&index).unwrap();
                let velocity = BodyVelocity::new(number(&golden["linear_vel"]), number(&golden["angular_vel"]));
                let sight = model.see(&pictures[index], velocity.unwrap()).unwrap();
                let past = golden["history_frame_indices_newest_first"].as_array().unwrap().iter().map(|index| {
                    let picture = &pictures[index.as_u64().unwrap() as usize];
                    past_pixels(small.process(picture), side as usize, &Device::Cpu).unwrap()
                });
                let target = floats(&self.expected["targets_normalised"][&index.to_string()]);
                (index, Example { view: View::Sight(sight), newest_first: past.collect(), target })
            })
            .collect()
    }
}

pub fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

pub fn norm(tensor: &Tensor) -> f64 {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Length of the difference over the length of what was expected.
pub fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    norm(&(found - expected).unwrap()) / norm(expected)
}

/// A variable's name in the golden set, which has PEFT's adapter in memory.
pub fn golden_name(name: &str) -> String {
    ["lora_A", "lora_B"].iter().fold(name.to_owned(), |name, half| {
        name.replace(&format!(".{half}.weight"), &format!(".{half}.default.weight"))
    })
}

pub fn sight_of(example: &Example) -> &Sight {
    match &example.view {
        View::Sight(sight) => sight,
        View::States(_) => panic!("the golden set's examples are pictures"),
    }
}
