//! Heads with a LoRA in front of them: the gradient of the original's second mode.

use std::sync::Arc;

use candle_core::Device;
use serde_json::Value;
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, StateDict, SupervisedCheckpoint};
use vlm_planner_tuner::frame::{BodyVelocity, Frame, Stamp};
use vlm_planner_tuner::identity::{ExtractorId, PolicyId};
use vlm_planner_tuner::learning::{LearningModelOptions, LoraLayers};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::td3::heads::{
    HeadTraining, HeadsOrigin, LearningHeads, LearningView, ObservationSource as _, ObservationTable,
};
use vlm_planner_tuner::td3::n_step::Observation;
use vlm_planner_tuner::td3::{Batch, Heads as _, LogGate, Mixing, ReplayBuffer, read_logs_with_frames};
use vlm_planner_tuner::transition::log::{FolderStore, Placement, Rotation};
use vlm_planner_tuner::transition::{EpisodeWriter, LogHead, RewardWeights, Session, Step};
use vlm_planner_tuner::vision_language::Precision;
use vlm_planner_tuner::vision_language::processor::PixelBudget;

use crate::support::toy::Toy;
use crate::support::{Report, fixture_set, flat};

/// Its gradient is zero in exact arithmetic: a softmax does not see a common offset.
const WITHOUT_GRADIENT: &str = "spatial_attention.2.bias";

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The golden frames are logged as a drive, and seen again: PyTorch's gradient of the actor's loss comes out.
#[test]
fn fixture_what_a_logged_drive_passes_on_is_pytorchs_gradient() {
    let (Some(vlm), Some(set)) = (fixture_set("tiny_vlm"), fixture_set("lora_training")) else { return };
    let json = |path: std::path::PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let (golden, expected) = (json(vlm.join("expected.json")), json(set.join("expected.json")));
    let checkpoint = SupervisedCheckpoint::open(vlm.join("checkpoint")).unwrap();
    let policy = PolicyCheckpoint::open(vlm.join("policy")).unwrap();
    let actor = StateDict::read(&policy.actor).unwrap();
    let planner = PlannerSpec::builtin("dwa").unwrap();
    let (weight, bias) = (actor.get("fc.weight").unwrap(), flat(actor.get("fc.bias").unwrap()));
    let (actions, width) = weight.dims2().unwrap();
    let weight = flat(weight);

    // A drive on which each golden frame was a step.
    let logs = tempfile::tempdir().unwrap();
    let toy = Toy::new("dwa", width, 1);
    let store = FolderStore::open(logs.path(), Placement::AtOnce).unwrap();
    let session = Session { feature_length: width, ..toy.session("golden") };
    let head = LogHead { session, weights: RewardWeights::default() };
    let mut log = EpisodeWriter::new(Arc::new(store), Arc::new(head), Rotation::default()).unwrap();
    let mut files: Vec<_> = std::fs::read_dir(vlm.join("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for (index, file) in files.iter().enumerate() {
        let frame = Frame::from_image_bytes(&std::fs::read(file).unwrap()).unwrap();
        let of_frame = golden["frames"].as_array().unwrap().iter().find(|frame| frame["frame_index"] == index);
        let velocity = |name: &str| of_frame.map_or(0.0, |frame| frame[name].as_f64().unwrap());
        let last = index + 1 == files.len();
        let feature = vec![index as f32; width];
        let step = toy.step(index as u64, &feature, &vec![0.0; actions], 0.0, last.then_some(&feature));
        let step = Step {
            velocity: BodyVelocity::new(velocity("linear_vel"), velocity("angular_vel")).unwrap(),
            stamp: Stamp::from_nanos(index as i64 * 500_000_000),
            ..step
        };
        log.write(&step, &frame).unwrap();
        log.flush().unwrap();
    }
    log.finish_part().unwrap();
    let mut buffer = ReplayBuffer::new(toy.space(), width, 100, 1000.0);
    let mut table = ObservationTable::new(&checkpoint.history_config.history_offsets).unwrap();
    let mut gate = LogGate::new(planner.clone(), width, Mixing::Refused);
    read_logs_with_frames(&[logs.path().to_owned()], &mut gate, &mut buffer, &mut table).unwrap();

    let options = LearningModelOptions {
        base: vlm.join("base"),
        wording: Some(vlm.join("checkpoint")),
        planner: planner.name().to_owned(),
        pixels: PixelBudget::default(),
        device: Device::Cpu,
        precision: Precision::F32,
    };
    let mut model = options.load(None).unwrap();
    let adapter = checkpoint.adapter.as_ref().unwrap();
    let lora = model.with_lora(|model| LoraLayers::saved(adapter, 0.0, model)).unwrap();
    let history = &checkpoint.history_config;
    let heads = LearningHeads::new(&actor, Some(history), model.config().text.hidden_size, &Device::Cpu).unwrap();
    let size = Some(history.history_image_size);
    let mut view = LearningView::new((model, lora), "base".into(), size, &table).unwrap();

    // loss = - mean over frames of sum(w * tanh(fc(feature)))
    let frames: Vec<usize> = numbers(&expected["frames"]).into_iter().map(|index| index as usize).collect();
    let w = numbers(&expected["actor"]["w"]);
    let (mut loss, mut of_features) = (0.0, Vec::new());
    for index in &frames {
        let seen = view.see(&[table.get(Observation::Of(*index)).unwrap()]).unwrap();
        let mut feature = Vec::new();
        heads.features(&seen, &mut feature).unwrap();
        let mut of_feature = vec![0f32; width];
        for (row, (bias, w)) in weight.chunks(width).zip(bias.iter().zip(&w)) {
            let sum: f32 = row.iter().zip(&feature).map(|(weight, value)| weight * value).sum();
            let action = f64::from(sum + bias).tanh();
            let share = w / frames.len() as f64;
            loss -= share * action;
            let of_sum = (-share * (1.0 - action * action)) as f32;
            of_feature.iter_mut().zip(row).for_each(|(gradient, weight)| *gradient += of_sum * weight);
        }
        of_features.extend(of_feature);
    }
    let mut report = Report::default();
    let expected = &expected["actor"];
    report.add("actor loss", (loss - expected["loss"].as_f64().unwrap()).abs() as f32, 1e-4);

    let origin =
        HeadsOrigin { model: "golden".into(), policy: PolicyId("a".into()), extractor: ExtractorId("b".into()) };
    let mut training = HeadTraining::with_lora(origin, heads, table, view);
    let batch = Batch {
        size: frames.len(),
        seen: frames.iter().map(|index| Observation::Of(*index)).collect(),
        ..Batch::default()
    };
    let square_sum = training.pass_on(&batch, &of_features).unwrap();

    let norms = expected["gradient_norms"].as_object().unwrap();
    let expected_sum: f64 = norms
        .iter()
        .filter(|(name, _)| !name.starts_with("fc.") && !name.ends_with(WITHOUT_GRADIENT))
        .filter_map(|(_, norm)| Some(norm.as_f64()?.powi(2)))
        .sum();
    let off = (square_sum.sqrt() - expected_sum.sqrt()).abs() / expected_sum.sqrt();
    report.add("length of the whole gradient, heads and LoRA", off as f32, 3e-4);
    let view = training.view().unwrap();
    let names = view.names();
    for (name, gradient) in names.iter().zip(view.gradients()) {
        let in_memory = ["lora_A", "lora_B"].iter().fold(name.clone(), |name, half| {
            name.replace(&format!(".{half}.weight"), &format!(".{half}.default.weight"))
        });
        let values = flat(gradient.as_ref().unwrap_or_else(|| panic!("{name} gets no gradient")));
        let norm = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let expected = norms[&in_memory].as_f64().unwrap();
        report.add("length of each LoRA tensor's gradient", ((norm - expected).abs() / expected) as f32, 3e-4);
    }
    assert_eq!(names.len(), norms.keys().filter(|name| name.contains("lora_")).count());
    report.finish("A logged drive seen through a LoRA, against PyTorch");
}
