//! Whole trainings on the golden set's frames with made-up labels: they learn, stop, are saved and gone on with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use candle_core::Device;
use planner_tuner_core::planner::PlannerSpec;
use planner_tuner_core::random::Random;
use planner_tuner_finetune::{
    DataOptions, Dataset, EpisodeFilter, Event, FinetuneError, FinetuneSettings, Finetuning, Learner, Learns, Material,
    NewHeads, SavedFinetuning, StepSettings, Stop, SupervisedHeads, TargetScale, Validation,
};
use planner_tuner_log::recording::RowFilter;
use planner_tuner_model::checkpoint::{HistoryConfig, SupervisedCheckpoint, TensorTable};
use planner_tuner_model::learning::{
    AdamSettings, LearningError, LearningModelOptions, LoraLayers, LoraSettings, LoraTargets,
};
use planner_tuner_model::vision_language::Precision;
use planner_tuner_model::vision_language::processor::PixelBudget;

use crate::golden_set::GoldenSet;

/// Two runs of three frames each, with labels that follow from the velocity.
fn folder_of_frames(rows: impl Fn(usize, &str) -> String) -> tempfile::TempDir {
    let set = own();
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from(
        "file,linear_vel,angular_vel,run_id,max_vel_x,max_vel_theta,vx_samples,vtheta_samples,path_distance_bias,\
         goal_distance_bias,final_inflation,method\n",
    );
    for (number, file) in frames(&set).iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        std::fs::copy(file, folder.path().join(name)).unwrap();
        writeln!(table, "{}", rows(number, name)).unwrap();
    }
    std::fs::write(folder.path().join("frames.csv"), table).unwrap();
    folder
}

fn usual_row(number: usize, name: &str) -> String {
    let (run, speed) = (number / 3, 0.2 + 0.25 * number as f64);
    format!(
        "{name},{speed},{:.2},run{run},{:.2},1.5,6,{},0.7,1.0,9.0,HB",
        -0.1 * number as f64,
        speed + 0.1,
        20 + number
    )
}

/// The project's own golden set: trainings need no other.
fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/tiny_vlm")
}

fn frames(set: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(set.join("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn all() -> DataOptions {
    DataOptions { only: None, episodes: EpisodeFilter::default() }
}

fn dataset(folder: &Path) -> Dataset {
    Dataset::read(&[folder.to_owned()], &PlannerSpec::builtin("dwa").unwrap(), &all()).unwrap()
}

fn material(folder: &Path) -> Material {
    let data = dataset(folder);
    let split = data.split(Validation::Fold { index: 0, of: 2 }, 3).unwrap();
    let scale = TargetScale::of(&data, &split.train).unwrap();
    Material { data, split, scale }
}

fn learner(data: &Dataset, learns: Learns) -> Learner {
    let options = LearningModelOptions {
        base: own().join("base"),
        wording: None,
        planner: "DWA".into(),
        pixels: PixelBudget { min_pixels: None, max_pixels: Some(40_000) },
        device: Device::Cpu,
        precision: Precision::F32,
    };
    let mut model = options.load(None).unwrap();
    let settings = LoraSettings { rank: 2, alpha: 4.0, dropout: 0.1, targets: LoraTargets::ALL };
    let lora = model.with_lora(|model| LoraLayers::fresh(settings, model, &mut Random::new(1))).unwrap();
    let history = HistoryConfig {
        use_history: true,
        num_history_frames: 2,
        history_dim: 16,
        history_image_size: 32,
        history_offsets: vec![1, 2],
    };
    let hidden = model.config().text.hidden_size;
    let sizes = NewHeads { hidden, feature: 16, outputs: data.outputs().len(), history: Some(history) };
    let heads = SupervisedHeads::fresh(&sizes, &Device::Cpu, &mut Random::new(2)).unwrap();
    let weights = data.outputs().iter().map(|output| output.loss_weight).collect();
    let steps = StepSettings { adam: AdamSettings::default(), max_gradient_norm: 1.0 };
    Learner::new(model, lora, heads, learns, (weights, steps)).unwrap()
}

fn settings(epochs: u64) -> FinetuneSettings {
    FinetuneSettings { epochs, batch: 2, rate: 1e-3, warm_up: 0.1, cosine: false, patience: None, seed: 5 }
}

fn training(folder: &Path, epochs: u64) -> Finetuning {
    let material = material(folder);
    let learner = learner(&material.data, Learns::ALL);
    Finetuning::new(settings(epochs), material, learner, Default::default()).unwrap()
}

fn run_to_the_end(training: &mut Finetuning) -> Stop {
    loop {
        if let Event::Done(stop) = training.advance().unwrap() {
            return stop;
        }
    }
}

/// All numbers that learn, as bits.
fn bits(training: &Finetuning) -> Vec<u32> {
    let values = training.learner().variables();
    values
        .flat_map(|(_, variable)| variable.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .map(f32::to_bits)
        .collect()
}

#[test]
fn a_training_learns_and_its_checkpoint_opens() {
    let folder = folder_of_frames(usual_row);
    let base_before = std::fs::read(own().join("base/model-00001-of-00002.safetensors")).unwrap();
    let mut training = training(folder.path(), 16);
    assert_eq!(run_to_the_end(&mut training), Stop::Epochs);
    let curve = &training.progress().curve;
    assert!(curve[15].train_loss < 0.3 * curve[0].train_loss, "{curve:?}");

    let data = &training.material().data;
    assert_eq!(data.counts().clamped["inflation_radius"], 6, "9 m is cut to 0.6 m");
    assert_eq!(data.values(0)[6], 0.6);
    // next_linear_vel is the velocity of the frame after; the last one of a run keeps its own.
    assert!((data.values(0)[7] - 0.45).abs() < 1e-9 && (data.values(2)[7] - 0.7).abs() < 1e-9);
    let constant = ["max_vel_theta", "vx_samples", "path_distance_bias", "goal_distance_bias", "inflation_radius"];
    assert_eq!(training.material().scale.constant(), constant);

    let dwa = PlannerSpec::builtin("dwa").unwrap();
    let policy = training.first_policy(&dwa).unwrap();
    let of_policy = |name: &str| policy.get(name).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (weight, bias) = (of_policy("fc.weight"), of_policy("fc.bias"));
    for item in training.material().split.train.clone() {
        let feature = training.feature(item).unwrap();
        let speed = weight.iter().zip(&feature).map(|(weight, value)| weight * value).sum::<f32>() + bias[0];
        let speed = 1.1 + 0.9 * f64::from(speed.tanh());
        let label = training.material().data.values(item)[0];
        assert!((speed - label).abs() < 0.1, "max_vel_x of frame {item}: {speed}, labelled {label}");
    }
    assert!(policy.get("feature_extractor.dpt_head.projections.0.0.weight").is_some());

    let out = folder.path().join("checkpoint");
    training.checkpoint("tiny", "{\"system\": \"\", \"user\": \"{planner}\"}".into()).unwrap().save(&out).unwrap();
    let checkpoint = SupervisedCheckpoint::open(&out).unwrap();
    let adapter = checkpoint.adapter.unwrap();
    assert_eq!((adapter.config.rank, adapter.config.alpha, adapter.tensors.len()), (2, 4.0, 128));
    assert_eq!(checkpoint.normalization.len(), 9);
    assert_eq!(checkpoint.history_config.history_offsets, [1, 2]);
    let bias = checkpoint.regression_head.read("mlp.6.bias", &Device::Cpu).unwrap();
    let learned = training.learner().heads().state_dicts().unwrap().0;
    assert_eq!(
        bias.to_vec1::<f32>().unwrap(),
        learned.get("mlp.6.bias").unwrap().to_vec1::<f32>().unwrap(),
        "the file holds what was learned"
    );
    assert_eq!(std::fs::read(own().join("base/model-00001-of-00002.safetensors")).unwrap(), base_before);
    let report = training.report().unwrap();
    assert_eq!((report.outputs.len(), report.frames), (9, [3, 3]));
}

#[test]
fn what_is_interrupted_and_gone_on_with_ends_in_the_same_bits() {
    let folder = folder_of_frames(usual_row);
    let mut whole = training(folder.path(), 3);
    run_to_the_end(&mut whole);

    let state = folder.path().join("state");
    let mut interrupted = training(folder.path(), 3);
    // In the middle of the second epoch.
    for _ in 0..3 {
        interrupted.advance().unwrap();
    }
    interrupted.save(&state, "the same").unwrap();
    drop(interrupted);
    let material = material(folder.path());
    let fresh = learner(&material.data, Learns::ALL);
    let saved = SavedFinetuning::open(&state).unwrap().unwrap();
    assert_eq!(saved.done(), (1, 3));
    let mut resumed = saved.resume((settings(3), "the same"), material, fresh).unwrap();
    run_to_the_end(&mut resumed);
    assert_eq!(bits(&resumed), bits(&whole));
    assert_eq!(resumed.progress(), whole.progress());

    let other = SavedFinetuning::open(&state).unwrap().unwrap();
    let material = self::material(folder.path());
    let fresh = learner(&material.data, Learns::ALL);
    let refused = other.resume((settings(3), "another"), material, fresh).unwrap_err();
    assert!(matches!(refused, FinetuneError::OtherTraining { .. }), "{refused}");
}

#[test]
fn what_does_not_learn_stays() {
    let folder = folder_of_frames(usual_row);
    let material = material(folder.path());
    let learner = learner(&material.data, Learns { lora: false, head: true, history: false });
    let before = learner.lora().state_dict().unwrap();
    let mut training = Finetuning::new(settings(1), material, learner, Default::default()).unwrap();
    assert!(training.learner().variables().all(|(name, _)| name.starts_with("regression_head.")));
    run_to_the_end(&mut training);
    assert!(training.learner().lora().state_dict().unwrap().same_bits(&before).unwrap());
    // What was looked at once is not looked at again, and says the same.
    assert_eq!(training.feature(1).unwrap(), training.feature(1).unwrap());
}

#[test]
fn patience_ends_a_training_that_gets_no_better() {
    let folder = folder_of_frames(usual_row);
    let material = material(folder.path());
    let learner = learner(&material.data, Learns { lora: false, head: true, history: false });
    let settings = FinetuneSettings { rate: 1e-30, patience: Some(2), ..settings(50) };
    let mut training = Finetuning::new(settings, material, learner, Default::default()).unwrap();
    assert_eq!(run_to_the_end(&mut training), Stop::Patience);
    assert_eq!((training.progress().epoch, training.progress().best), (3, Some(0)));
}

#[test]
fn bad_data_is_named_and_counted() {
    let row = |number: usize, name: &str| match number {
        1 => usual_row(number, name).replacen(",6,", ",nan,", 1),
        4 => usual_row(number, "nowhere.png"),
        _ => usual_row(number, name),
    };
    let folder = folder_of_frames(row);
    let data = dataset(folder.path());
    assert_eq!(data.len(), 4);
    let skipped: Vec<(&str, u64)> = data.counts().skipped.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(skipped, [("missing_file", 1), ("unreadable_row", 1)]);
    // The frame before the missing one is the history of the one after it.
    let size = |frames: Vec<std::sync::Arc<planner_tuner_core::frame::Frame>>| frames.len();
    assert_eq!(size(data.history(3, &[1, 2]).unwrap()), 2);

    let dwa = PlannerSpec::builtin("dwa").unwrap();
    let none = DataOptions { only: Some(RowFilter { column: "method".into(), value: "RL".into() }), ..all() };
    let refused = Dataset::read(&[folder.path().to_owned()], &dwa, &none).unwrap_err();
    assert!(refused.to_string().contains("no frame with labels"), "{refused}");
    let teb = PlannerSpec::builtin("teb").unwrap();
    let refused = Dataset::read(&[folder.path().to_owned()], &teb, &all()).unwrap_err();
    assert!(refused.to_string().contains("labels are those of another planner"), "{refused}");
}

#[test]
fn a_rank_that_no_layer_has_and_an_adapter_of_another_base_are_refused() {
    let set = GoldenSet::open();
    let mut model = set.model();
    let settings = LoraSettings { rank: 4096, alpha: 1.0, dropout: 0.0, targets: LoraTargets::ALL };
    let refused = model.with_lora(|model| LoraLayers::fresh(settings, model, &mut Random::new(1))).unwrap_err();
    assert!(matches!(refused, LearningError::Rank { rank: 4096, .. }), "{refused}");

    let mut adapter = set.checkpoint().adapter.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (name, wide) = (adapter.tensors.names().next().unwrap().to_owned(), folder.path().join("a.safetensors"));
    let tensors: Vec<_> = adapter
        .tensors
        .names()
        .map(|known| {
            let tensor = adapter.tensors.read(known, &Device::Cpu).unwrap();
            (known.to_owned(), if known == name { tensor.pad_with_zeros(1, 0, 1).unwrap() } else { tensor })
        })
        .collect();
    let tensors = planner_tuner_model::checkpoint::StateDict::new(tensors).unwrap();
    std::fs::write(&wide, tensors.to_safetensors().unwrap()).unwrap();
    adapter.tensors = TensorTable::open(&wide).unwrap();
    let refused = model.with_lora(|model| LoraLayers::saved(&adapter, 0.0, model)).unwrap_err();
    assert!(refused.to_string().contains("adapter is for"), "{refused}");
}
