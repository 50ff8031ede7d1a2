//! The planner, and where its parameters would go.

use super::super::model_args::{ModelArgs, planner_named};
use super::finding::Finding;
use crate::nav2::{Mapping, MappingKind, use_after_free};
use crate::planner::PlannerSpec;

/// The planner file, the mapping, and a line for each parameter that a mapping sets.
pub(super) fn check(args: &ModelArgs, mapping: &str) -> Vec<Finding> {
    let planner = match planner_named(&args.planner) {
        Ok(planner) => planner,
        Err(error) => return vec![Finding::error("planner", format!("{error:#}"), "correct --planner")],
    };
    let parameters = planner.parameters().len();
    let mut findings = vec![Finding::ok("planner", format!("{}: {parameters} parameters", planner.name()))];
    match Mapping::named(mapping, &planner) {
        Ok(mapping) => findings.extend(targets(&mapping, &planner)),
        Err(error) => findings.push(Finding::error("mapping", error.to_string(), "correct --mapping, or --planner")),
    }
    findings
}

fn targets(mapping: &Mapping, planner: &PlannerSpec) -> Vec<Finding> {
    let sets = match mapping.kind() {
        MappingKind::SetParameters => "sets ROS parameters",
        MappingKind::Topic => "publishes, and sets nothing",
        MappingKind::Shadow => "computes and publishes, and sets nothing",
    };
    let mut findings = vec![Finding::ok("mapping", format!("{} {sets}", mapping.name()))];
    if let Some(found) = use_after_free(mapping, std::env::var("ROS_DISTRO").ok().as_deref()) {
        let remedy =
            "use a bank, or MPPI; with this mapping leave Nav2's composition off, so that a crash takes one server";
        findings.push(Finding::warn("use after free", found, remedy));
    }
    for target in mapping.targets() {
        let place = format!("{} -> {} {}", target.parameter(), target.node().as_str(), target.ros_parameter());
        findings.push(match (target.is_live(), target.remedy()) {
            (true, _) => Finding::ok("parameter", format!("{place}: live")),
            (false, remedy) => {
                let remedy = remedy.unwrap_or("set it in the planner's own file, and restart the planner");
                Finding::warn("parameter", format!("{place}: stored, and not used while driving"), remedy)
            }
        });
    }
    let names = |name: &str| planner.parameters().iter().any(|parameter| parameter.name() == name);
    for (parameter, why) in mapping.without_twin().iter().filter(|(parameter, _)| names(parameter)) {
        findings.push(Finding::warn("parameter", format!("{parameter}: has no place on these nodes"), why.clone()));
    }
    findings
}
