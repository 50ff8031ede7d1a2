//! `planner_tuner render`: the costmap pictures of a scene or of a recording.

mod comparison;
mod recording;
mod scene;

use std::path::PathBuf;

use super::Outcome;
use super::drawing_args::DrawingArgs;
use super::replay::{Rate, parse_rate};
use super::stamps_arg::StampsArg;

/// Draw the 600x400 costmap picture of a scene, or those of a recording: laser scan, pose and path in, PNG out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recording is a rosbag2 folder (MCAP or SQLite), or a single .mcap or .db3 file, with laser scans, odometry, and usually
a plan. It gives a folder of pictures, one a decision, named by their stamps, and a line for each.

A scene is a JSON file:
  {\"scan\": {\"angle_min\": -2.36, \"angle_increment\": 0.0066, \"range_min\": 0.1, \"range_max\": 30.0,
            \"ranges\": [5.72, 5.77, \"inf\"]},
   \"pose\": {\"x\": 0.0, \"y\": 0.0, \"yaw\": 0.0},
   \"path\": [[0.0, 0.0], [1.0, 0.5]]}
Angles in rad, distances in m; pose and path are in the same frame; path may be null.

Exit code 3 means that pictures were drawn, but something of the input could not be used.

Examples:
  planner_tuner render scene.json -o scene.png
  planner_tuner render bag/ -o pictures/
  planner_tuner render bag/ -o pictures/ --rate every --scan-topic /front/scan --json | jq .plan
  planner_tuner render bag/ -o pictures/ --compare                 where the bag has costmap images, too")]
pub struct RenderArgs {
    /// The scene, a JSON file, or the recording
    #[arg(value_name = "SCENE|RECORDING")]
    input: PathBuf,
    /// Where to write: a picture, or a folder for those of a recording
    #[arg(short, long, value_name = "PNG|FOLDER")]
    output: PathBuf,
    /// Pictures a second, by the stamps of the scans; `every` draws every scan
    #[arg(long, value_name = "HZ|every", default_value = "2", value_parser = parse_rate, help_heading = "Recording")]
    rate: Rate,
    /// Odometry topic [default: the only one there is]
    #[arg(long, value_name = "TOPIC", help_heading = "Recording")]
    odometry_topic: Option<String>,
    #[command(flatten)]
    stamps: StampsArg,
    /// Count the pixels that differ from the images in the recording
    #[arg(long, help_heading = "Recording")]
    compare: bool,
    /// Image topic to compare with [default: the only one there is]
    #[arg(long, value_name = "TOPIC", help_heading = "Recording", requires = "compare")]
    image_topic: Option<String>,
    /// One JSON object a picture
    #[arg(long, help_heading = "Recording")]
    json: bool,
    #[command(flatten)]
    drawing: DrawingArgs,
}

/// Draws, and says what was left out.
///
/// # Errors
/// When the input cannot be read or drawn, or a picture cannot be written.
pub fn run(args: &RenderArgs) -> anyhow::Result<Outcome> {
    let is_bag = args
        .input
        .extension()
        .is_some_and(|extension| ["mcap", "db3", "zstd", "zst", "bag"].iter().any(|bag| extension == *bag));
    if is_bag || args.input.is_dir() { recording::run(args) } else { scene::run(&args.input, &args.output) }
}
