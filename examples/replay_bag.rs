//! Decides twice a second along a recording: `cargo run --release --example replay_bag -- drive_bag/`.
#![allow(clippy::print_stdout)]

use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::recording::{DecisionSchedule, Recording, RecordingOptions};
use vlm_planner_tuner::tuner::{
    Compute, DecisionInput, DecisionStream, DeviceChoice, ModelSpec, QuantizeChoice, TunerOptions,
};
use vlm_planner_tuner::vision_language::hub::{HubEnvironment, ModelSource};
use vlm_planner_tuner::vision_language::processor::PixelBudget;

fn main() -> anyhow::Result<()> {
    let bag = std::env::args().nth(1).unwrap_or_else(|| "test/fixtures/demo_drive".to_owned());
    let model = ModelSpec {
        base: ModelSource::parse("./test/fixtures/tiny_vlm/base")?,
        checkpoint: "test/fixtures/tiny_vlm/checkpoint".into(),
        policy: Some("test/fixtures/tiny_vlm/policy".into()),
        head: None,
        planner: PlannerSpec::builtin("dwa")?,
        quantize: QuantizeChoice::None,
        pixels: PixelBudget { min_pixels: None, max_pixels: Some(28 * 28 * 12) },
    };
    let compute = Compute { device: DeviceChoice::Cpu, format: None };
    let mut tuner = TunerOptions::open(model, compute, &HubEnvironment::from_env())?.load(None)?;

    let mut recording = Recording::open(bag, &RecordingOptions::default())?;
    let mut schedule = DecisionSchedule::default();
    let mut stream = DecisionStream::new(tuner.history_offsets(), schedule.max_gap())?;
    for recorded in recording.by_ref().flatten().filter(|recorded| schedule.is_due(recorded.frame.stamp)) {
        let (stamp, frame) = (recorded.frame.stamp, &*recorded.frame.frame);
        let input = DecisionInput { stamp, frame, velocity: recorded.velocity, named_history: None };
        let decided = stream.step(&mut tuner, input)?;
        let speed = decided.decision.parameters().get("max_vel_x").unwrap_or_default();
        println!("{:8.3} s: max_vel_x {speed:.2} m/s", stamp.seconds());
    }
    println!("{}", recording.skips());
    Ok(())
}
