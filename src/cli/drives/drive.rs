//! `planner_tuner drive`: one world, driven once by each policy.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::drive_page::{DrivePage, against, in_words};
use super::field::{obstacles, seen_from_start};
use super::policies::{ComparedArgs, Policy, PolicyArg};
use super::robot::RobotArgs;
use super::shown::{show_field, show_moment};
use super::worlds::{ChosenWorld, WorldsArg, WorldsFrom};
use crate::cli::destination::check_file;
use crate::cli::stdout;
use crate::cli::viewers::ViewerArgs;
use crate::frame::render::Renderer;
use crate::frame::{BodyVelocity, Frame, Stamp};
use crate::picture::{ColourScale, DriveMap, MapPoint, MapTrack, PlottedDecision, plot_drive};
use crate::planner::PlannerSpec;
use crate::simulated::{SimulatedError, Watched, parameters_of, scene_of};
use crate::simulation::drive::{DriveReport, Moment, TrackPoint, TunedPoint, drive};
use crate::simulation::world::World;
use planner_tuner_core::durable::replace_file;

/// Let a simulated Jackal cross a field of obstacles, and draw how each policy drove it
#[derive(Debug, Args)]
#[command(after_help = "\
The robot, its planner and its costmaps are those of the original (ROS 1 move_base, navfn, TrajectoryPlannerROS), to the last
bit; see docs/simulation.md for what was measured against it. The last policy's track is coloured by max_vel_x, the others are
grey.

Examples:
  planner_tuner drive --demo
  planner_tuner drive --demo --live                     shows it in Foxglove or Lichtblick while it happens
  planner_tuner drive --world generated:6 --policy fixed:max_vel_x=1.2 --plot drive.png
  planner_tuner drive --world barn:97 --barn BARN/ --policy laser:policies/dwa --plot drive.png
  planner_tuner drive --world generated:6 --policy runs/policy_step_1000 --base model/ --checkpoint checkpoint/ --json")]
pub struct DriveArgs {
    /// Let the small model that comes with the source code drive, too; ends in a picture
    #[arg(long)]
    demo: bool,
    /// The world: generated:SEED, barn:ID or map:FILE.yaml
    #[arg(long, value_name = "WORLD", default_value = "generated:0")]
    world: WorldsArg,
    #[command(flatten)]
    from: WorldsFrom,
    /// Who tunes: fixed:NAME=VALUE,…, expert or expert:FILE (rules), random, laser:DIR (APPLR), demo (the model that comes with the source code), supervised, or a policy checkpoint. The default parameters drive first
    #[arg(long, value_name = "POLICY")]
    policy: Vec<PolicyArg>,
    #[command(flatten)]
    compared: ComparedArgs,
    #[command(flatten)]
    robot: RobotArgs,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw the drives to this PNG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write a page with map, curves and what was seen: one file that any browser opens, without a network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    viewers: ViewerArgs,
    /// Print JSON, with tracks and parameters
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A world or a policy that cannot be read, a policy that cannot go on, and a picture that cannot be written.
pub fn run(args: &DriveArgs) -> anyhow::Result<()> {
    let plot_file = args.plot.clone().or_else(|| args.demo.then(|| PathBuf::from("planner_tuner_drive.png")));
    if let Some(path) = &plot_file {
        check_file("--plot", path)?;
    }
    if let Some(path) = &args.html {
        check_file("--html", path)?;
    }
    args.viewers.check()?;
    let worlds = args.from.open(std::slice::from_ref(&args.world))?;
    let [ChosenWorld { world, .. }] = worlds.as_slice() else {
        anyhow::bail!("--world names {} worlds, expected one; evaluate drives through many", worlds.len());
    };
    let (mut drives, mut seen) = (Vec::new(), Vec::new());
    let mut policies = vec![PolicyArg::Default];
    let demo = args.demo.then_some(&PolicyArg::Demo);
    for arg in args.policy.iter().chain(demo) {
        if !policies.contains(arg) {
            policies.push(arg.clone());
        }
    }
    for (number, arg) in (1..).zip(&policies) {
        let policy = Policy::open(arg, &args.compared)?;
        let report = if number < policies.len() {
            policy.drive(world, &args.robot.settings(), args.robot.latency, args.seed)?
        } else {
            let (report, saw) = watched(args, &policy, world)?;
            seen = saw;
            report
        };
        if !args.json {
            stdout::write(&format!("{}\n", in_words(policy.name(), &report)))?;
        }
        drives.push((policy.name().to_owned(), report));
    }
    if let (false, [first, .., last]) = (args.json, drives.as_slice())
        && let Some(text) = against(first, last)
    {
        stdout::write(&format!("{text}\n"))?;
    }
    if args.json {
        let dwa = PlannerSpec::builtin("dwa")?;
        let drives: Vec<Value> = drives.iter().map(|(name, report)| json_of(name, report, &dwa)).collect();
        stdout::write(&format!("{}\n", json!({ "world": world.name(), "drives": drives })))?;
    }
    if let Some(path) = &plot_file {
        plot(path, world, &drives)?;
        log::info!("wrote {}", path.display());
    }
    if let Some(path) = &args.html {
        let planner = PlannerSpec::builtin("dwa")?;
        let page = DrivePage { world, drives: &drives, seen: &seen, planner: &planner };
        replace_file(path, page.to_html()?.as_bytes())
            .with_context(|| format!("--html {}: cannot be written", path.display()))?;
        log::info!("wrote {}", path.display());
    }
    Ok(())
}

/// The last drive, which viewers are shown, and what was seen on the way where a page will show it.
fn watched(args: &DriveArgs, policy: &Policy, world: &World) -> anyhow::Result<(DriveReport, Vec<(f64, Frame)>)> {
    let (planner, renderer) = (PlannerSpec::builtin("dwa")?, Renderer::new());
    let (mut viewers, mut seen) = (args.viewers.open()?, Vec::new());
    if viewers.is_there_one() {
        show_field(&mut viewers, world)?;
    }
    let watch = |moment: &Moment<'_>| {
        if !viewers.is_there_one() && args.html.is_none() {
            return Ok(());
        }
        let frame = renderer.draw(&scene_of(moment))?.0;
        if viewers.is_there_one() {
            let shown = show_moment(&mut viewers, moment, &frame, &planner);
            shown.map_err(|error| SimulatedError::Shown(error.into()))?;
        }
        if args.html.is_some() {
            seen.push((moment.time_s, frame));
        }
        Ok(())
    };
    let report = policy.with_tuner(world, args.robot.latency, args.seed, |driver| {
        drive(world, &args.robot.settings(), args.seed, &mut Watched::new(driver, watch))
    })?;
    viewers.finish()?;
    Ok((report, seen))
}

fn json_of(name: &str, report: &DriveReport, planner: &PlannerSpec) -> Value {
    let track: Vec<Value> = report
        .track()
        .iter()
        .map(|TrackPoint { time_s, pose, velocity }| {
            json!({
                "time_s": time_s,
                "x": pose.position.x,
                "y": pose.position.y,
                "yaw": pose.yaw,
                "linear": velocity.linear,
                "angular": velocity.angular,
            })
        })
        .collect();
    let parameters = |point: &TunedPoint| {
        let values = parameters_of(&point.tuning, planner).unwrap_or_default();
        let named = planner.parameters().iter().map(|parameter| parameter.name().to_owned());
        let time = std::iter::once(("time_s".to_owned(), json!(point.time_s)));
        time.chain(named.zip(values.into_iter().map(Value::from))).collect::<serde_json::Map<_, _>>()
    };
    let tunings: Vec<Value> = report.tunings().iter().map(|point| Value::Object(parameters(point))).collect();
    json!({
        "policy": name,
        "ending": report.ending().name(),
        "time_s": report.time_s(),
        "way_m": report.way_m(),
        "contacts": report.contacts(),
        "hesitating": report.hesitating(),
        "nav_metric": report.nav_metric(),
        "track": track,
        "parameters": tunings,
    })
}

fn plot(path: &Path, world: &World, drives: &[(String, DriveReport)]) -> anyhow::Result<()> {
    let dwa = PlannerSpec::builtin("dwa")?;
    let range = dwa.parameters().iter().find(|parameter| parameter.name() == "max_vel_x");
    let (low, high) = range.map_or((0.0, 1.0), |parameter| (parameter.min(), parameter.max()));
    let map = DriveMap {
        title: format!("{} driven by {}", world.name(), drives.last().map_or("", |(name, _)| name)),
        subtitle: format!("simulated Jackal, reference path {:.1} m", world.reference_length()),
        obstacles: obstacles(world),
        goal: seen_from_start(world.goal().position),
        tracks: drives.iter().map(|(name, report)| track(name, report)).collect(),
        scale: ColourScale { name: "max_vel_x, m/s".to_owned(), low, high },
    };
    let decisions = drives.last().map_or(Ok(Vec::new()), |(_, report)| decisions(report, &dwa))?;
    Ok(plot_drive(path, &map, &decisions)?)
}

/// The robot's way; its colour is the parameter in use.
fn track(name: &str, report: &DriveReport) -> MapTrack {
    let mut points = Vec::new();
    let mut decided_at = Vec::new();
    let mut tunings = report.tunings().iter().peekable();
    let mut value = 0.0;
    for point in report.track() {
        let is_new = tunings.next_if(|tuned| tuned.time_s <= point.time_s);
        if let Some(tuned) = is_new {
            value = tuned.tuning.planner.max_vel_x;
        }
        let [ahead, left] = seen_from_start(point.pose.position);
        let on_map = MapPoint { ahead, left, value };
        points.push(on_map);
        if is_new.is_some() {
            decided_at.push(on_map);
        }
    }
    MapTrack { name: in_words(name, report), points, decided_at }
}

/// The parameters over time, for the panels.
fn decisions(report: &DriveReport, planner: &PlannerSpec) -> anyhow::Result<Vec<PlottedDecision>> {
    let velocity = BodyVelocity::new(0.0, 0.0)?;
    let plotted = |point: &TunedPoint| {
        let values = parameters_of(&point.tuning, planner).unwrap_or_default();
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        let parameters = planner.from_regression(&values)?.parameters;
        Ok(PlottedDecision { stamp: Stamp::from_nanos((point.time_s * 1e9) as i64), velocity, parameters })
    };
    report.tunings().iter().map(plotted).collect()
}
