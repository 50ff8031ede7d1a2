//! The walls between the workspace's members: what each may depend on, directly or through others, as ARCHITECTURE.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// A member, the members it may use, and what may not be in anything that it is built from.
struct Room {
    member: &'static str,
    may_use: &'static [&'static str],
    must_not_know: &'static [&'static str],
}

const ROOMS: [Room; 6] = [
    Room {
        member: "planner_tuner_core",
        may_use: &[],
        must_not_know: &["candle-core", "candle-nn", "r2r", "clap", "indicatif", "safetensors", "mcap", "hf-hub"],
    },
    Room {
        member: "planner_tuner_model",
        may_use: &["planner_tuner_core"],
        // Not indicatif: hf-hub brings it along.
        must_not_know: &["clap", "r2r", "mcap", "rusqlite"],
    },
    Room {
        member: "planner_tuner_log",
        may_use: &["planner_tuner_core"],
        must_not_know: &["candle-core", "candle-nn", "r2r", "clap", "indicatif"],
    },
    Room {
        member: "planner_tuner_td3",
        may_use: &["planner_tuner_core", "planner_tuner_log", "planner_tuner_model"],
        must_not_know: &["clap", "r2r"],
    },
    Room {
        member: "planner_tuner_finetune",
        may_use: &["planner_tuner_core", "planner_tuner_log", "planner_tuner_model"],
        must_not_know: &["clap", "r2r"],
    },
    Room {
        member: "planner_tuner_simulation",
        may_use: &["planner_tuner_core"],
        must_not_know: &["candle-core", "candle-nn", "r2r", "clap", "indicatif", "mcap"],
    },
];

/// Package name to the names of the packages that it is built from, itself left out; tests' own dependencies do not count.
/// Cargo downloads what a build without features has not needed.
fn closures() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name_of: BTreeMap<&str, &str> =
        packages.iter().map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap())).collect();
    let is_built_in =
        |dependency: &Value| dependency["dep_kinds"].as_array().unwrap().iter().any(|of| of["kind"] != "dev");
    let direct: BTreeMap<&str, Vec<&str>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let built_in = node["deps"].as_array().unwrap().iter().filter(|dependency| is_built_in(dependency));
            (node["id"].as_str().unwrap(), built_in.map(|dependency| dependency["pkg"].as_str().unwrap()).collect())
        })
        .collect();
    let members = metadata["workspace_members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    members
        .map(|member| {
            let mut seen = BTreeSet::new();
            let mut open = direct[member].clone();
            while let Some(package) = open.pop() {
                if seen.insert(package) {
                    open.extend(&direct[package]);
                }
            }
            (name_of[member].to_owned(), seen.into_iter().map(|package| name_of[package].to_owned()).collect())
        })
        .collect()
}

#[test]
fn no_member_knows_what_it_must_not() {
    let closures = closures();
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|room| room.member).chain(["vlm_planner_tuner"]).collect();
    let members: BTreeSet<&str> = closures.keys().map(String::as_str).collect();
    assert_eq!(members, rooms, "a new member needs a room in this test and in ARCHITECTURE.md");
    for Room { member, may_use, must_not_know } in ROOMS {
        let known = &closures[member];
        for stranger in must_not_know {
            assert!(!known.contains(*stranger), "{member} must not be built from {stranger}");
        }
        for other in rooms.iter().filter(|other| known.contains(**other)) {
            assert!(may_use.contains(other), "{member} must not use {other}");
        }
    }
    // The walls would hold nothing if nobody were behind them.
    assert!(closures["planner_tuner_model"].contains("candle-core") && closures["vlm_planner_tuner"].contains("clap"));
}
