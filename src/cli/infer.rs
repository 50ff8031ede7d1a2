//! `planner_tuner infer`: parameters for one image.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::destination::check_file;
use super::model_args::ModelArgs;
use super::{report, stdout};
use crate::feature::EncodedFrame;
use crate::frame::{BodyVelocity, Frame};
use crate::picture;
use crate::tuner::{Stage, StageTimes, Tuner};

/// Largest image file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Size of the pictures that the published checkpoints were trained on, pixels.
pub const TRAINED_SIZE: (u32, u32) = (600, 400);

/// Compute planner parameters for one costmap image
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner infer --base model/ --checkpoint checkpoint/ --image now.png --linear-vel 0.5 --angular-vel -0.1
  planner_tuner infer --base model/ --checkpoint checkpoint/ --policy policy/policy_step_1000 \\
      --image 000022.png --history 000021.png 000020.png --linear-vel 0.5 --angular-vel 0 --json
  planner_tuner infer … --attention overlay.png        where the model looks")]
pub struct InferArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The costmap image, PNG or JPEG
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The frames before it, newest first; missing ones repeat the oldest, none at all the image itself
    #[arg(long, value_name = "FILE", num_args = 1..)]
    history: Vec<PathBuf>,
    /// Forward velocity when the image was taken, m/s
    #[arg(long, value_name = "M/S", allow_negative_numbers = true)]
    linear_vel: f64,
    /// Yaw rate when the image was taken, rad/s, counter-clockwise positive
    #[arg(long, value_name = "RAD/S", allow_negative_numbers = true)]
    angular_vel: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write the image with the attention laid over it
    #[arg(long, value_name = "PNG")]
    attention: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What cannot be read, loaded or computed.
pub fn run(args: InferArgs) -> anyhow::Result<()> {
    args.model.required()?;
    if let Some(path) = &args.attention {
        check_file("--attention", path)?;
    }
    let velocity = BodyVelocity::new(args.linear_vel, args.angular_vel)?;
    let mut times = StageTimes::default();
    let frame = times.measure(Stage::Decode, || read_frame(&args.image))?;
    if (frame.width(), frame.height()) != TRAINED_SIZE {
        let (width, height) = TRAINED_SIZE;
        log::warn!(
            "{} is {}x{} pixels; the published checkpoints were trained on {width}x{height}",
            args.image.display(),
            frame.width(),
            frame.height()
        );
    }
    let history = args.history.iter().map(|path| read_frame(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut tuner = args.model.load()?;
    let encoded = times.measure(Stage::History, || encode_history(&mut tuner, &frame, &history))?;
    let mut decision = tuner.decide(&frame, velocity, &encoded)?;
    for stage in [Stage::Decode, Stage::History] {
        decision.times.add(stage, times.of(stage));
    }
    if let Some(path) = &args.attention {
        picture::save_png(path, &picture::attention_overlay(&frame, &decision.attention_map)?)?;
        log::info!("wrote {}", path.display());
    }
    let text = match args.json {
        true => report::decision_json(&decision).to_string() + "\n",
        false => report::decision_table(&decision),
    };
    stdout::write(&text)?;
    Ok(())
}

/// One encoded frame for each step the head looks back: as many as were given, the oldest repeated, or the image itself.
fn encode_history(tuner: &mut Tuner, image: &Frame, newest_first: &[Frame]) -> anyhow::Result<Vec<EncodedFrame>> {
    let wanted = tuner.history_offsets().len();
    anyhow::ensure!(
        newest_first.len() <= wanted,
        "--history has {} images, the checkpoint uses {wanted}; give the newest {wanted}",
        newest_first.len()
    );
    let frames: Vec<&Frame> = if newest_first.is_empty() { vec![image] } else { newest_first.iter().collect() };
    let mut encoded = Vec::with_capacity(wanted);
    for frame in frames.into_iter().take(wanted) {
        encoded.extend(tuner.encode_for_history(frame)?);
    }
    if let Some(oldest) = encoded.last().cloned() {
        encoded.resize(wanted, oldest);
    }
    Ok(encoded)
}

/// A PNG or JPEG from disk.
///
/// # Errors
/// When the file cannot be read or is no image, with its name.
pub fn read_frame(path: &Path) -> anyhow::Result<Frame> {
    let name = || format!("cannot read image {}", path.display());
    let size = std::fs::metadata(path).with_context(name)?.len();
    anyhow::ensure!(
        size <= MAX_FILE_BYTES,
        "image {} has {size} bytes, expected at most {MAX_FILE_BYTES}",
        path.display()
    );
    Frame::from_image_bytes(&std::fs::read(path).with_context(name)?).with_context(name)
}
