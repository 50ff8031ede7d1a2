//! The model against PyTorch: hidden states, features, regressions and actions of the golden sets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support;
use crate::support::set_planner::planner_of_set;
use crate::support::{Expected, Report, flat, max_difference, max_relative_difference};
use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;
use vlm_planner_tuner::checkpoint::{LoraConfig, SupervisedCheckpoint, TensorTable};
use vlm_planner_tuner::feature::{
    BatchHeads, DptHead, DptSizes, FeatureExtractor, HeadInput, HeadParts, HistoryEncoder, HistorySizes,
};
use vlm_planner_tuner::frame::{BodyVelocity, Frame};
use vlm_planner_tuner::tuner::{Decision, Head, HeadOutput, ModelSpec, QuantizeChoice, Stage, Tuner, TunerOptions};
use vlm_planner_tuner::vision_language::processor::{
    ImageProcessor, PixelBudget, PreprocessorConfig, PromptTemplate, PromptTokenizer, TokenizedPrompt,
};
use vlm_planner_tuner::vision_language::{HiddenStates, ModelConfig, Precision, VisionLanguageModel};
use vlm_planner_tuner::weights::{LoadPlan, LoraAdapter, MergedWeights, load_strictly};

/// A golden set in the layout of `tiny_vlm`.
struct Golden {
    folder: PathBuf,
    frames: Vec<Value>,
    /// Ranges of the planner's parameters, and how many numbers its regression predicts; null where the set has neither.
    ranges: Value,
    outputs: Option<usize>,
    tensors: Expected,
}

impl Golden {
    fn open() -> Option<Self> {
        let folder = support::fixture_set("tiny_vlm")?;
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let frames = json["frames"].as_array().unwrap().clone();
        assert!(!frames.is_empty());
        let tensors = Expected::open(&folder.join("expected.safetensors"));
        let (ranges, outputs) = (json["action_ranges"].clone(), json["param_mean"].as_array().map(Vec::len));
        Some(Self { folder, frames, ranges, outputs, tensors })
    }

    fn base(&self) -> PathBuf {
        self.folder.join("base")
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    fn policy(&self) -> PathBuf {
        self.folder.join("policy")
    }

    fn frame(&self, golden: &Value) -> Frame {
        read_png(&self.folder.join(golden["file"].as_str().unwrap()))
    }

    /// All frames of the set, in the order of their index.
    fn all_frames(&self) -> Vec<Frame> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.folder.join("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| read_png(file)).collect()
    }

    fn model(&self, adapter: Option<&str>) -> VisionLanguageModel {
        let table = TensorTable::open_sharded(self.base()).unwrap();
        let adapter = adapter.map(|file| {
            let config = LoraConfig::open(self.checkpoint().join("adapter_config.json")).unwrap();
            LoraAdapter::new(&config, TensorTable::open(self.checkpoint().join(file)).unwrap()).unwrap()
        });
        let config = ModelConfig::load(&self.base().join("config.json")).unwrap();
        let weights = Arc::new(MergedWeights::new(table, adapter).unwrap());
        VisionLanguageModel::load(config, weights, Precision::F32, &Device::Cpu).unwrap()
    }

    fn processor(&self) -> ImageProcessor {
        let checkpoint = self.checkpoint();
        let config =
            PreprocessorConfig::load(&self.base(), Some(checkpoint.as_path()), PixelBudget::default()).unwrap();
        ImageProcessor::new(config)
    }

    fn tokenize(&self, golden: &Value, model: &ModelConfig, image_tokens: usize) -> TokenizedPrompt {
        let tokenizer = PromptTokenizer::load(&self.base(), model.image_token_id).unwrap();
        let template = PromptTemplate::load(Some(&self.checkpoint())).unwrap();
        let prompt = template.render(velocity(golden), planner(golden));
        tokenizer.encode(&prompt, image_tokens).unwrap()
    }

    fn tuner(&self, head: Head, planner: &str) -> Tuner {
        let policy = (head == Head::Actor).then(|| self.policy());
        let options = TunerOptions {
            model: ModelSpec {
                base: self.base(),
                checkpoint: self.checkpoint(),
                policy,
                head: Some(head),
                planner: planner_of_set(planner, &self.ranges, self.outputs),
                quantize: QuantizeChoice::None,
                pixels: PixelBudget::default(),
            },
            device: Device::Cpu,
            format: None,
            memory: None,
        };
        options.load(None).unwrap()
    }

    /// A decision from the PNG, with the history that the set lists.
    fn decide(&self, tuner: &mut Tuner, golden: &Value, all_frames: &[Frame]) -> Decision {
        let history: Vec<_> = golden["history_frame_indices_newest_first"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|index| tuner.encode_for_history(&all_frames[index.as_u64().unwrap() as usize]).unwrap())
            .collect();
        tuner.decide(&self.frame(golden), velocity(golden), &history).unwrap()
    }
}

fn read_png(path: &Path) -> Frame {
    let image = image::open(path).unwrap().to_rgb8();
    Frame::from_rgb8(image.width(), image.height(), image.into_raw()).unwrap()
}

fn velocity(golden: &Value) -> BodyVelocity {
    BodyVelocity::new(golden["linear_vel"].as_f64().unwrap(), golden["angular_vel"].as_f64().unwrap()).unwrap()
}

fn planner(golden: &Value) -> &str {
    golden["algorithm"].as_str().unwrap()
}

/// `frame2`, the prefix of a frame's tensors.
fn prefix(golden: &Value) -> String {
    format!("frame{}", golden["frame_index"])
}

fn add_hidden_states(report: &mut Report, expected: &Expected, prefix: &str, found: &HiddenStates) {
    for (index, state) in found.whole().unwrap().iter().enumerate() {
        let name = format!("{prefix}.hidden_states.{index}");
        if expected.has(&name) {
            let quantity = format!("hidden_states.{index}");
            report.add(&quantity, max_difference(&flat(state), &expected.values(&name)), 1e-3);
        }
    }
}

/// The image as the image processor resized it, where the set holds it; else resized here.
fn resized(golden: &Golden, processor: &mut ImageProcessor, frame: &Value) -> Frame {
    let name = format!("{}.resized_u8_fast", prefix(frame));
    if !golden.tensors.has(&name) {
        return processor.resize(&golden.frame(frame)).unwrap();
    }
    let planar = golden.tensors.tensor(&name); // [3, height, width]
    let (_, height, width) = planar.dims3().unwrap();
    let interleaved = planar.permute((1, 2, 0)).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
    Frame::from_rgb8(width as u32, height as u32, interleaved).unwrap()
}

#[test]
fn fixture_vision_tower_and_hidden_states() {
    let Some(golden) = Golden::open() else { return };
    let (mut model, mut processor, mut report) =
        (golden.model(Some("adapter_model.safetensors")), golden.processor(), Report::default());
    for frame in &golden.frames {
        let picture = resized(&golden, &mut processor, frame);
        let image = processor.cut(&picture).unwrap();
        let tokens = model.image_tokens(&image).unwrap();
        if let Some(expected) = golden.tensors.get(&format!("{}.vision_tower", prefix(frame))) {
            report.add("vision_tower", max_difference(&flat(&tokens), &expected), 1e-4);
        }

        let prompt = golden.tokenize(frame, model.config(), tokens.dim(0).unwrap());
        let states = model.hidden_states(&prompt, &tokens, image.grid()).unwrap();
        add_hidden_states(&mut report, &golden.tensors, &prefix(frame), &states);
        // From the second frame on, the prefix is remembered from the first.
        let afresh = model.hidden_states_afresh(&prompt, &tokens, image.grid()).unwrap();
        for (cached, afresh) in states.whole().unwrap().iter().zip(&afresh.whole().unwrap()) {
            let difference = max_relative_difference(&flat(cached), &flat(afresh));
            report.add("prefix remembered against computed afresh (relative)", difference, 1e-5);
        }
    }
    report.finish("tiny_vlm: vision tower and hidden states (LoRA merged), largest difference");
}

#[test]
fn fixture_hidden_states_without_adapter() {
    let Some(golden) = Golden::open() else { return };
    let (mut model, mut processor, mut report) = (golden.model(None), golden.processor(), Report::default());
    for frame in &golden.frames {
        let prefix = format!("{}.base_no_lora", prefix(frame));
        if !golden.tensors.has(&format!("{prefix}.hidden_states.0")) {
            continue;
        }
        let image = processor.process(&golden.frame(frame)).unwrap();
        let tokens = model.image_tokens(&image).unwrap();
        let prompt = golden.tokenize(frame, model.config(), tokens.dim(0).unwrap());
        let states = model.hidden_states(&prompt, &tokens, image.grid()).unwrap();
        add_hidden_states(&mut report, &golden.tensors, &prefix, &states);
    }
    report.finish("tiny_vlm: hidden states of the base model, largest difference");
}

/// Hidden states of the project's own model under YaRN, as transformers 5.24 computed them for the case of that name. The
/// frequencies alone are compared in the configuration's own tests.
#[test]
fn rope_yarn_ignored() {
    let Some(case) = support::shared_case("rope-yarn-ignored") else { return };
    let read = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let expected = read(&case.join("expected.json"));
    let folder = support::own_fixture_set("tiny_vlm");
    let frames = read(&folder.join("expected.json"))["frames"].as_array().unwrap().clone();
    let frame = frames.iter().find(|frame| frame["file"].as_str().unwrap().contains("DWA_000022")).unwrap();
    let base = folder.join("base");
    let weights = Arc::new(MergedWeights::new(TensorTable::open_sharded(&base).unwrap(), None).unwrap());
    let config = ModelConfig::load(&case.join("config.json")).unwrap();
    let mut model = VisionLanguageModel::load(config, weights, Precision::F32, &Device::Cpu).unwrap();
    let preprocessor = PreprocessorConfig::load(&base, None, PixelBudget::default()).unwrap();
    let image =
        ImageProcessor::new(preprocessor).process(&read_png(&folder.join(frame["file"].as_str().unwrap()))).unwrap();
    let tokens = model.image_tokens(&image).unwrap();
    let template = PromptTemplate::load(Some(&folder.join("checkpoint"))).unwrap();
    let tokenizer = PromptTokenizer::load(&base, model.config().image_token_id).unwrap();
    let prompt = tokenizer.encode(&template.render(velocity(frame), planner(frame)), tokens.dim(0).unwrap()).unwrap();
    let states = model.hidden_states(&prompt, &tokens, image.grid()).unwrap();
    let last = states.whole().unwrap().last().unwrap().clone();
    let mut report = Report::default();
    let rows = expected["positions"].as_array().unwrap().iter().zip(expected["last_hidden"].as_array().unwrap());
    for (position, values) in rows {
        let expected: Vec<f32> = serde_json::from_value(values.clone()).unwrap();
        let found = flat(&last.get(position.as_u64().unwrap() as usize).unwrap());
        report.add("last hidden state under YaRN", max_difference(&found, &expected), 1e-4);
    }
    report.finish("rope-yarn-ignored: largest difference");
}

#[test]
fn fixture_both_adapter_namings_are_the_same_adapter() {
    let Some(golden) = Golden::open() else { return };
    if !golden.checkpoint().join("adapter_model.legacy.safetensors").exists() {
        return support::say("skipped: the set has no adapter under the older names");
    }
    let mut processor = golden.processor();
    let frame = &golden.frames[0];
    let image = processor.process(&golden.frame(frame)).unwrap();
    let states = |adapter: &str| {
        let mut model = golden.model(Some(adapter));
        let tokens = model.image_tokens(&image).unwrap();
        let prompt = golden.tokenize(frame, model.config(), tokens.dim(0).unwrap());
        model.hidden_states(&prompt, &tokens, image.grid()).unwrap()
    };
    let newer = states("adapter_model.safetensors");
    let older = states("adapter_model.legacy.safetensors");
    for (a, b) in newer.whole().unwrap().iter().zip(&older.whole().unwrap()) {
        assert_eq!(flat(a), flat(b));
    }
}

#[test]
fn fixture_features_regressions_and_actions() {
    let Some(golden) = Golden::open() else { return };
    let all_frames = golden.all_frames();
    let mut report = Report::default();
    for (head, name) in [(Head::Regression, "supervised"), (Head::Actor, "policy")] {
        for frame in &golden.frames {
            let mut tuner = golden.tuner(head, planner(frame));
            let decision = golden.decide(&mut tuner, frame, &all_frames);
            // Not every set has every quantity; what it has is compared.
            let expected = |quantity: &str| golden.tensors.get(&format!("{}.{name}.{quantity}", prefix(frame)));
            if let Some(pooled) = expected("pooled") {
                let difference = max_relative_difference(&decision.extracted.pooled, &pooled);
                report.add(&format!("{name} pooled (relative)"), difference, 1e-4);
            }
            let mut compare = |quantity: &str, found: &[f32]| {
                if let Some(expected) = expected(quantity) {
                    report.add(&format!("{name} {quantity}"), max_difference(found, &expected), 1e-4);
                }
            };
            if let Some(history) = &decision.extracted.history {
                compare("newest_first.history_feat", history);
            }
            compare("newest_first.feature", decision.extracted.feature.values());
            match &decision.output {
                HeadOutput::Regression { normalised, denormalised, .. } => {
                    compare("attention_weights", &decision.extracted.attention);
                    compare("newest_first.regression", normalised);
                    // In units of the parameters, tens of samples among them.
                    if let Some(expected) = expected("newest_first.regression_denormalised") {
                        let difference = max_relative_difference(denormalised, &expected);
                        report.add("supervised regression_denormalised (relative)", difference, 1e-4);
                    }
                }
                HeadOutput::Actor { action, parameters } => {
                    compare("newest_first.action", action.values());
                    let scaled = expected("newest_first.action_scaled").unwrap_or_default();
                    for ((spec, value), expected) in parameters.iter().zip(scaled) {
                        let expected = if spec.is_integer() { expected.round() } else { expected };
                        let scaled = (value as f32 - expected).abs() / (spec.max() - spec.min()) as f32;
                        report.add("policy parameters (of their range)", scaled, 1e-4);
                    }
                }
            }
            assert_eq!(decision.sequence_length, frame["sequence_length"].as_u64().unwrap() as usize);
        }
    }
    report.finish("tiny_vlm: from the PNG to features, regressions and actions, largest difference");
}

#[test]
fn fixture_oldest_first_history_is_another_feature() {
    let Some(golden) = Golden::open() else { return };
    let all_frames = golden.all_frames();
    let mut tuner = golden.tuner(Head::Regression, planner(&golden.frames[0]));
    let mut report = Report::default();
    for frame in &golden.frames {
        let newest_first = frame["history_frame_indices_newest_first"].as_array().unwrap();
        if newest_first.iter().all(|index| index == &newest_first[0]) {
            continue;
        }
        let mut reversed = frame.clone();
        reversed["history_frame_indices_newest_first"].as_array_mut().unwrap().reverse();
        let decision = golden.decide(&mut tuner, &reversed, &all_frames);
        let expected = golden.tensors.get(&format!("{}.supervised.oldest_first.feature", prefix(frame)));
        let Some(expected) = expected else { continue };
        report.add(
            "supervised oldest_first.feature",
            max_difference(decision.extracted.feature.values(), &expected),
            1e-4,
        );
        let other = golden.decide(&mut tuner, frame, &all_frames);
        assert!(max_difference(other.extracted.feature.values(), &expected) > 1e-3, "the order must matter");
    }
    report.finish("tiny_vlm: history in the legacy order, largest difference");
}

#[test]
fn fixture_same_input_twice_gives_identical_bytes() {
    let Some(golden) = Golden::open() else { return };
    let all_frames = golden.all_frames();
    let frame = &golden.frames[golden.frames.len() - 1];
    let bits = |decision: Decision| decision.extracted.feature.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let mut tuner = golden.tuner(Head::Actor, planner(frame));
    let first = bits(golden.decide(&mut tuner, frame, &all_frames));
    tuner.forget_last_frame();
    assert_eq!(first, bits(golden.decide(&mut tuner, frame, &all_frames)));
    assert_eq!(first, bits(golden.decide(&mut golden.tuner(Head::Actor, planner(frame)), frame, &all_frames)));
}

#[test]
fn fixture_full_size_heads() {
    let Some(folder) = support::fixture_set("heads_full") else { return };
    // The set's README names these pictures as its history.
    let images = support::own_fixture_set("tiny_vlm");
    let device = Device::Cpu;
    let head = Arc::new(TensorTable::open(folder.join("regression_head/pytorch_model.bin")).unwrap());
    let encoder = Arc::new(TensorTable::open(folder.join("history_encoder/pytorch_model.bin")).unwrap());

    let inputs = Expected::open(&folder.join("inputs.safetensors"));
    let states = [0, 1, 2, 3].map(|index| {
        let state = inputs.tensor(&format!("hidden_states.{index}"));
        state.squeeze(0).unwrap().to_dtype(DType::F32).unwrap()
    });
    let hidden = states[0].dim(1).unwrap();
    let history = vlm_planner_tuner::checkpoint::HistoryConfig::open(folder.join("history_config.json")).unwrap();
    let dpt_sizes = DptSizes::of(head.as_ref(), "", hidden, Some(history.history_dim)).unwrap();
    let sizes = HistorySizes::of(encoder.as_ref(), "", history.history_dim, history.num_history_frames);
    let plan = LoadPlan::survey(DType::F32, |vb| DptHead::new(dpt_sizes, vb)).unwrap();
    assert_eq!(plan.parameter_count(), head.parameter_count());
    if (dpt_sizes.hidden, dpt_sizes.feature, sizes.dim, dpt_sizes.num_params) == (2048, 256, 256, 8) {
        assert_eq!((head.parameter_count(), encoder.parameter_count()), (3_891_337, 1_676_352));
    }
    let variables = [("dpt_head", &head), ("history_encoder", &encoder)].into_iter().flat_map(|(part, table)| {
        let variable = |name| Var::from_tensor(&table.read(name, &device).unwrap()).unwrap();
        table.names().map(move |name| (format!("feature_extractor.{part}.{name}"), variable(name)))
    });
    let parts = HeadParts { dpt: dpt_sizes, history: Some((sizes, history.history_image_size as usize)) };
    let batch_heads = BatchHeads::new(parts, variables.collect(), Vec::new(), &device).unwrap();
    let dpt_head = load_strictly(head.clone(), DType::F32, &device, |vb| DptHead::new(dpt_sizes, vb)).unwrap();
    let encoder = load_strictly(encoder, DType::F32, &device, |vb| HistoryEncoder::new(sizes, vb)).unwrap();
    let extractor = FeatureExtractor::new(dpt_head, Some((encoder, sizes.frames)));

    let pictures = Expected::open(&images.join("expected.safetensors"));
    let newest_first = [1, 4].map(|index| {
        let bytes = pictures.tensor(&format!("history_resized_u8.{index}")).to_dtype(DType::F32).unwrap();
        let per_channel = |values: [f32; 3]| Tensor::new(&values, &device).unwrap().reshape((3, 1, 1)).unwrap();
        let mean = per_channel([0.485, 0.456, 0.406]);
        let std = per_channel([0.229, 0.224, 0.225]);
        (bytes / 255.0).unwrap().broadcast_sub(&mean).unwrap().broadcast_div(&std).unwrap()
    });
    let frames: Vec<_> = newest_first.iter().map(|frame| extractor.encode_frame(frame).unwrap().unwrap()).collect();
    let hidden_states = HiddenStates::new(states);
    let extracted = extractor.extract(&hidden_states, &frames).unwrap();
    // As training sees it, twice: by hand and by plain operations.
    let twice = [HeadInput { hidden_states: &hidden_states, newest_first: &newest_first }; 2];
    let batch = |features: Tensor| flat(&features.narrow(0, 1, 1).unwrap());
    let in_a_batch = batch(batch_heads.features(&twice).unwrap());
    let by_operations = batch(extractor.forward_batch(&twice).unwrap());
    let regression = extractor.regress(&extracted.feature, &device).unwrap();

    let expected = Expected::open(&folder.join("expected.safetensors"));
    let mut report = Report::default();
    let cnn: Vec<f32> = frames.iter().flat_map(|frame| flat(frame.tensor())).collect();
    for (name, found) in [
        ("cnn_features", cnn.as_slice()),
        ("history_feat", extracted.history.as_ref().unwrap()),
        ("attention_weights", &extracted.attention),
        ("pooled", &extracted.pooled),
        ("feature", extracted.feature.values()),
        ("regression", &regression),
    ] {
        report.add(name, max_relative_difference(found, &expected.values(name)), 1e-4);
    }
    for (name, found) in [("feature, in a batch", in_a_batch), ("feature, by plain operations", by_operations)] {
        report.add(name, max_relative_difference(&found, &expected.values("feature")), 1e-4);
    }
    report.finish("heads_full: largest difference relative to the largest value");
}

#[test]
fn fixture_a_head_for_another_hidden_size_is_refused_with_every_tensor() {
    let Some(golden) = Golden::open() else { return };
    let checkpoint = SupervisedCheckpoint::open(golden.checkpoint()).unwrap();
    let hidden = ModelConfig::load(&golden.base().join("config.json")).unwrap().text.hidden_size;
    let table = Arc::new(checkpoint.regression_head);
    let sizes = DptSizes::of(table.as_ref(), "", hidden + 2, None).unwrap();
    let error = load_strictly(table, DType::F32, &Device::Cpu, |vb| DptHead::new(sizes, vb)).unwrap_err().to_string();
    for index in 0..4 {
        let line =
            format!("mis-shaped projections.{index}.0.weight, expected shape [{}, {}]", sizes.feature, hidden + 2);
        assert!(error.contains(&line), "{error}");
    }
    // Without history, the head's history fusion is more than is asked for.
    assert!(error.contains("extra      history_fusion.0.weight"), "{error}");
}

#[test]
fn the_same_frame_again_costs_no_forward_pass_and_changes_nothing() {
    let Some(golden) = Golden::open() else { return };
    let frames = golden.all_frames();
    let mut tuner = golden.tuner(Head::Actor, planner(&golden.frames[0]));
    let (frame, other) = (golden.frame(&golden.frames[0]), &frames[1]);
    assert_ne!(&frame, other);
    let past = |tuner: &mut Tuner| {
        let encoded = tuner.encode_for_history(other).unwrap();
        tuner.history_offsets().iter().filter_map(|_| encoded.clone()).collect::<Vec<_>>()
    };
    let past = past(&mut tuner);
    let (slow, fast) = (BodyVelocity::new(0.25, 0.0).unwrap(), BodyVelocity::new(1.5, -0.5).unwrap());
    let computed = |decision: &Decision| [Stage::Vision, Stage::Text].map(|stage| !decision.times.of(stage).is_zero());
    let numbers = |decision: &Decision| {
        (decision.extracted.feature.clone(), decision.extracted.attention.clone(), decision.parameters().clone())
    };
    let first = tuner.decide(&frame, slow, &past).unwrap();
    assert_eq!(computed(&first), [true, true]);
    let again = tuner.decide(&frame, slow, &past).unwrap();
    assert_eq!(computed(&again), [false, false]);
    assert_eq!(numbers(&again), numbers(&first));

    // Another velocity is another prompt; the image is the same.
    let faster = tuner.decide(&frame, fast, &past).unwrap();
    assert_eq!(computed(&faster), [false, true]);
    assert_ne!(numbers(&faster), numbers(&first));
    let elsewhere = tuner.decide(other, fast, &past).unwrap();
    assert_eq!(computed(&elsewhere), [true, true]);
    tuner.forget_last_frame();
    let afresh = tuner.decide(&frame, fast, &past).unwrap();
    assert_eq!((computed(&afresh), numbers(&afresh)), ([true, true], numbers(&faster)));

    // Other heads pool something else.
    tuner.reload_policy(&golden.policy()).unwrap();
    let reloaded = tuner.decide(&frame, fast, &past).unwrap();
    assert_eq!((computed(&reloaded), numbers(&reloaded)), ([false, true], numbers(&faster)));
}
