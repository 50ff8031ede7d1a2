//! Decides on one picture: `cargo run --release --example decide`.
#![allow(clippy::print_stdout)]

use vlm_planner_tuner::frame::{BodyVelocity, Frame};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::tuner::{Compute, DeviceChoice, ModelSpec, QuantizeChoice, TunerOptions};
use vlm_planner_tuner::vision_language::hub::{HubEnvironment, ModelSource};
use vlm_planner_tuner::vision_language::processor::PixelBudget;

fn main() -> anyhow::Result<()> {
    let model = ModelSpec {
        base: ModelSource::parse("./test/fixtures/tiny_vlm/base")?, // or "Qwen/Qwen2.5-VL-3B-Instruct"
        checkpoint: "test/fixtures/tiny_vlm/checkpoint".into(),
        policy: Some("test/fixtures/tiny_vlm/policy".into()),
        head: None,
        planner: PlannerSpec::builtin("dwa")?,
        quantize: QuantizeChoice::None,
        pixels: PixelBudget::default(),
    };
    let compute = Compute { device: DeviceChoice::Cpu, format: None };
    let mut tuner = TunerOptions::open(model, compute, &HubEnvironment::from_env())?.load(None)?;

    let picture = std::fs::read("test/fixtures/demo_drive/frames/000.png")?;
    let frame = Frame::from_compressed("png", &picture)?;
    let decision = tuner.decide(&frame, BodyVelocity::new(0.5, 0.0)?, &[])?;
    for (parameter, value) in decision.parameters().iter() {
        println!("{:<24} {value:.3}", parameter.name());
    }
    Ok(())
}
