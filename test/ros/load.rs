//! The node under load: a flood of images, its own share of the latency, and a long run. Figures are printed.

use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Process, Ros, SECOND};
use crate::support::say;
use serde_json::{Value, json};

fn number(decision: &Value, key: &str) -> f64 {
    decision["values"][key].as_str().unwrap().parse().unwrap()
}

/// MiB a minute, by least squares over (seconds, MiB).
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let (mean_t, mean_m) =
        (samples.iter().map(|s| s.0).sum::<f64>() / count, samples.iter().map(|s| s.1).sum::<f64>() / count);
    let covariance: f64 = samples.iter().map(|(t, m)| (t - mean_t) * (m - mean_m)).sum();
    let variance: f64 = samples.iter().map(|(t, _)| (t - mean_t).powi(2)).sum();
    covariance / variance * 60.0
}

#[test]
fn fault_02_a_flood_of_images_is_decided_on_newest_first() {
    let Some(ros) = Ros::find() else { return };
    let node = ros.stub_node(r#"{"seconds": 0.4}"#, &["mapping:=topic", "mode:=active", "decision_rate:=10.0"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 200.0, "count": 7000, "still": true}));
    peer.state("Nominal", PATIENCE);
    peer.0.listen(3 * SECOND);
    peer.0.heard.clear();
    let (start, cpu) = (Instant::now(), node.cpu_seconds());
    let mut memory = Vec::new();
    while start.elapsed() < 30 * SECOND {
        peer.0.listen(SECOND / 2);
        memory.push((start.elapsed().as_secs_f64(), node.memory_mib()));
    }
    let share = (node.cpu_seconds() - cpu) / start.elapsed().as_secs_f64();
    let decisions = peer.0.heard("decision");
    let diagnostics = peer.0.heard("diagnostics");
    let images = &diagnostics.last().unwrap()["lines"][1]["values"];
    let oldest = decisions.iter().map(|decision| number(decision, "age_ms")).fold(0.0, f64::max);
    say(&format!(
        "flood: {} images a second arrive, {} of {} dropped; {} decisions in 30 s, oldest image at its start {oldest:.1} ms",
        images["rate_hz"],
        images["dropped"],
        images["received"],
        decisions.len()
    ));
    let settled = &memory[memory.len() / 3..];
    say(&format!(
        "flood: {:.0} % of a core beside inference (bar 60 %), memory {:+.2} MiB a minute (bar 1)",
        share * 100.0,
        slope(settled)
    ));
    assert!(decisions.len() > 60, "0.4 s each");
    let stamps: Vec<i64> = decisions.iter().map(|decision| decision["stamp"].as_i64().unwrap()).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "stamps go on");
    // The queue between DDS and the node holds ten; whoever read from its front would be 50 ms late and more.
    assert!(oldest < 100.0);
    assert!(images["dropped"].as_str().unwrap().parse::<u64>().unwrap() > 1000, "counted");
    assert!(slope(settled) < 5.0, "{memory:?}");
}

#[test]
fn latency_without_the_model_is_small() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.stub_node("{}", &["mapping:=topic", "mode:=active", "decision_rate:=20.0"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 20.0, "count": 300}));
    peer.0.event("played", PATIENCE);
    peer.0.listen(SECOND / 2);
    let mut overheads: Vec<f64> = peer.0.heard("decision").iter().map(|line| number(line, "overhead_ms")).collect();
    overheads.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| overheads[((overheads.len() - 1) as f64 * share) as usize];
    say(&format!(
        "image received to parameters published, without the model: median {:.2} ms, p99 {:.2} ms (bar 5 ms), {} decisions",
        quantile(0.5),
        quantile(0.99),
        overheads.len()
    ));
    assert!(overheads.len() > 100, "{}", overheads.len());
}

/// Decisions over DDS at `rate`, with a planner that takes them, and the node's memory meanwhile.
fn soak(ros: &Ros, node: &Process, decisions: usize, rate: f64) {
    let mut nav2 = ros.nav2(&[]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": rate, "count": 100_000_000, "transport": "compressed"}));
    peer.state("Nominal", PATIENCE);
    let (start, mut memory, mut seen, mut sets) = (Instant::now(), Vec::new(), 0, 0);
    while seen < decisions {
        // A lost wake-up or a deadlock ends the decisions.
        peer.decision(PATIENCE);
        peer.0.listen(SECOND);
        nav2.listen(Duration::ZERO);
        seen += peer.0.heard("decision").len();
        sets += nav2.heard("set").len();
        peer.0.heard.clear();
        nav2.heard.clear();
        memory.push((start.elapsed().as_secs_f64(), node.memory_mib()));
    }
    let settled = &memory[memory.len() / 3..];
    let (first, end) = (settled[0].1, settled.last().unwrap().1);
    say(&format!(
        "soak: {seen} decisions and {sets} sets in {:.0} s; memory {first:.1} MiB after a third, {end:.1} MiB at the end, \
         {:+.3} MiB a minute",
        start.elapsed().as_secs_f64(),
        slope(settled)
    ));
    assert!(sets > 0);
    assert!(end - first < 8.0, "it grows: {memory:?}");
}

fn soak_with_a_stub(decisions: usize) {
    let Some(ros) = Ros::find() else { return };
    soak(&ros, &ros.stub_node("{}", &[&SOAKED[..], &["decision_rate:=50.0"]].concat()), decisions, 50.0);
}

fn soak_with_the_tiny_model(decisions: usize) {
    let Some(ros) = Ros::find() else { return };
    soak(&ros, &ros.node(&[&SOAKED[..], &["decision_rate:=20.0"]].concat()), decisions, 20.0);
}

const SOAKED: [&str; 4] = ["mapping:=nav2_dwb", "mode:=active", "image_transport:=compressed", "max_frame_age:=2.0"];

#[test]
fn a_run_with_a_stub_does_not_grow() {
    soak_with_a_stub(1000);
}

#[test]
fn a_run_with_the_tiny_model_does_not_grow() {
    soak_with_the_tiny_model(150);
}

/// A quarter of an hour:
/// `bash .ci/with-ros cargo test --release --features ros --test ros_load -- --ignored --nocapture stub`
#[test]
#[ignore = "takes a quarter of an hour"]
fn fifty_thousand_decisions_with_a_stub_do_not_grow() {
    soak_with_a_stub(50_000);
}

/// Some minutes: as above, with `tiny`.
#[test]
#[ignore = "takes some minutes"]
fn two_thousand_decisions_with_the_tiny_model_do_not_grow() {
    soak_with_the_tiny_model(2_000);
}
