//! `planner_tuner doctor`: whether a robot would have all that a tuner needs, before it is started.

mod environment;
mod finding;
mod graph;
mod model;
mod planner;
mod vectors;

use clap::Args;

use super::model_args::ModelArgs;
use super::stdout;

/// Check model files, memory, device, vector instructions, planner, mapping and the ROS graph, and say what to do about what is wrong
#[derive(Debug, Args)]
#[command(after_help = "\
Of the base model headers only are read; nothing is downloaded, nothing is set. Where planner_tuner_node lies beside this
program, it looks at the ROS graph for 6 s: are the topics there and can they be heard, how fast, large and old is what comes, does
the planner have the parameters. What it offers begins with -r or -p: paste it behind --, or behind --ros-args of the node. What stands after -- is what the node would be started with.

Exit code 1 means that there is an error among the findings.

Examples:
  planner_tuner doctor --base model/ --checkpoint checkpoint/ --policy policy/policy_step_1000
  planner_tuner doctor --base Qwen/Qwen2.5-VL-3B-Instruct --checkpoint checkpoint/ --planner mppi --mapping nav2_mppi
  planner_tuner doctor --mapping nav2_dwb -- -r __ns:=/robot -r odometry:=/robot/platform/odom/filtered
  planner_tuner doctor --no-graph --json | jq '.findings[] | select(.verdict != \"ok\")'")]
pub struct DoctorArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Where the parameters are to go: nav2_dwb, nav2_mppi, topic, shadow, or a YAML file
    #[arg(long, value_name = "NAME|FILE", default_value = "shadow")]
    mapping: String,
    /// Leave the ROS graph alone
    #[arg(long)]
    no_graph: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// ROS arguments of the node, as after --ros-args
    #[arg(last = true, value_name = "ROS_ARGS")]
    ros_args: Vec<String>,
}

/// Looks, and prints what was found.
///
/// # Errors
/// When there is an error among the findings.
pub fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let mut findings = model::check(&args.model);
    findings.push(vectors::check());
    findings.extend(planner::check(&args.model, &args.mapping));
    findings.extend(environment::check(|name| std::env::var(name).ok()));
    if !args.no_graph {
        findings.extend(graph::check(&args.model.planner, &args.mapping, &args.ros_args));
    }
    stdout::write(&if args.json { finding::as_json(&findings) } else { finding::as_table(&findings) })?;
    let errors = finding::errors(&findings);
    anyhow::ensure!(errors == 0, "{errors} of {} checks found an error", findings.len());
    Ok(())
}
