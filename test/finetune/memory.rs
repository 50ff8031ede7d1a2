//! One step of learning at the 3B model's shape: what it takes. By hand: it needs 16 GB and some minutes.
//!
//! ```sh
//! cargo test --release -p planner_tuner_finetune -- --ignored --nocapture a_step_of_the_3b_shape
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Var};
use planner_tuner_core::frame::Frame;
use planner_tuner_core::random::Random;
use planner_tuner_finetune::{NewHeads, SupervisedHeads, past_pixels};
use planner_tuner_model::checkpoint::HistoryConfig;
use planner_tuner_model::learning::{
    AdamSettings, AdamW, GradientSums, LearningNeeds, LoraLayers, LoraSettings, LoraSize, LoraTargets, WhatLearns,
};
use planner_tuner_model::vision_language::processor::{ImageProcessor, PreprocessorConfig, TokenizedPrompt};
use planner_tuner_model::vision_language::{ModelConfig, Precision, StateVariables, VisionLanguageModel, WeightFormat};
use planner_tuner_model::weights::RandomWeights;

/// What may come on top of weights, adapters and optimiser, bytes.
const ALLOWED: u64 = 2_500_000_000;

#[test]
#[ignore = "needs 16 GB and some minutes"]
fn a_step_of_the_3b_shape_takes_little_more_than_what_it_holds() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/bench/3b.json");
    let config = ModelConfig::load(&config).unwrap();
    let precision = Precision::new(&Device::Cpu, Some(WeightFormat::Bf16));
    let plan = VisionLanguageModel::plan(&config, precision).unwrap();
    let weights = plan.bytes();
    let lora_size = LoraSize::Fresh { rank: 128, targets: LoraTargets::ALL };
    let learns = WhatLearns { lora: lora_size, lora_learns: true, heads: 0, copies: 0 };
    let said = LearningNeeds::of(&config, &plan, learns, 42 * 28);
    let hidden = config.text.hidden_size;
    let mut model =
        VisionLanguageModel::load(config, Arc::new(RandomWeights::new(plan)), precision, &Device::Cpu).unwrap();
    println!("weights {:.2} GB, resident {:.2} GB", gigabytes(weights), gigabytes(status("VmRSS")));

    let settings = LoraSettings { rank: 128, alpha: 256.0, dropout: 0.05, targets: LoraTargets::ALL };
    let lora = LoraLayers::fresh(settings, &mut model, &mut Random::new(1)).unwrap();
    lora.set_dropout(Some(7));
    let history = HistoryConfig {
        use_history: true,
        num_history_frames: 2,
        history_dim: 256,
        history_image_size: 224,
        history_offsets: vec![1, 2],
    };
    let sizes = NewHeads { hidden, feature: 256, outputs: 9, history: Some(history) };
    let heads = SupervisedHeads::fresh(&sizes, &Device::Cpu, &mut Random::new(2)).unwrap();
    let of_lora = lora.variables().map(|(_, variable)| variable.clone());
    let variables: Vec<Var> = of_lora.chain(heads.variables().map(|(_, variable)| variable.clone())).collect();
    let learned: u64 = variables.iter().map(|variable| 4 * variable.elem_count() as u64).sum();
    let mut adam = AdamW::new(AdamSettings::default(), &variables).unwrap();
    // Memory that is only promised does not count: the averages are written to, as a step before this one would have.
    let nothing: Vec<_> = variables.iter().map(|variable| Some(variable.zeros_like().unwrap())).collect();
    adam.step(&variables, &nothing, 0.0, 1.0).unwrap();
    drop(nothing);
    let mut gradients = GradientSums::new(variables.clone());

    let bytes = (0..600 * 400 * 3).map(|byte| (byte % 251) as u8).collect();
    let mut processor = ImageProcessor::new(PreprocessorConfig::from_json("built-in", b"{}").unwrap());
    let resized = processor.resize(&Frame::from_rgb8(600, 400, bytes).unwrap()).unwrap();
    let image = processor.cut(&resized).unwrap();
    let image_tokens = image.grid().image_tokens(2);
    let input_ids = (0..205 + image_tokens + 66).map(|id| id as u32 % 1000).collect();
    let prompt = TokenizedPrompt { input_ids, image_start: 205, image_tokens };

    let start = Instant::now();
    let (states, passed) = model.forward_for_learning(&prompt, &image).unwrap();
    let forward = start.elapsed();
    let mut peaks = vec![("forward", status("VmHWM"))];
    let states = StateVariables::of(&states).unwrap();
    let past = [(); 2].map(|()| past_pixels(vec![0.1; 3 * 224 * 224], 224, &Device::Cpu).unwrap());
    let (_, outputs) = heads.forward(&states.hidden_states(), &past).unwrap();
    let found = outputs.sqr().unwrap().mean_all().unwrap().backward().unwrap();
    gradients.add(&found).unwrap();
    let of_states = states.gradients(&found).unwrap();
    drop((found, outputs, states));
    peaks.push(("heads", status("VmHWM")));
    model.backward(passed, &of_states, &mut |found| gradients.add(found)).unwrap();
    let back = start.elapsed() - forward;
    peaks.push(("back", status("VmHWM")));
    assert!(gradients.norm().unwrap().is_finite());
    adam.step(&variables, gradients.sums(), 1e-4, 1.0).unwrap();
    let step = start.elapsed() - forward - back;

    for (stage, peak) in peaks {
        println!("up to {stage}: {:.2} GB", gigabytes(peak));
    }
    let (held, peak) = (weights + 3 * learned, status("VmHWM"));
    println!(
        "forward {forward:.1?}, back {back:.1?}, AdamW {step:.1?}; weights {:.2}, what learns {:.2}, its optimiser {:.2}; at \
         most {:.2} GB resident, {:.2} GB more than these (bar {:.1})",
        gigabytes(weights),
        gigabytes(learned),
        gigabytes(2 * learned),
        gigabytes(peak),
        gigabytes(peak.saturating_sub(held)),
        gigabytes(ALLOWED),
    );
    println!("said before: {said}");
    assert!(peak <= held + ALLOWED, "{peak} bytes resident, {held} held");
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// A figure of /proc/self/status, bytes.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    1024 * line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
}
