//! Updates a second at batch 128: `cargo bench --bench td3`, with RAYON_NUM_THREADS=2 to compare with PyTorch on two
//! threads.
//!
//! `update` learns from features of the full size (`--train actor`). `heads/tiny` and `heads/full` let heads with random
//! weights learn, too (`--train heads`), of the golden model's size and of the 3B model's; what they see is in memory, 565
//! tokens and two frames of 224 pixels each. Their update is what `heads_in_pytorch.py` gives PyTorch as well: features of 128
//! next observations, then features of 128 observations and the gradient of their sum, 16 at a time. A part of the batch is
//! computed and the time scaled. On a machine that does other things, run both in turns.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

#[path = "../support/toy.rs"]
mod toy;
#[path = "../support/toy_heads.rs"]
mod toy_heads;

use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group};
use toy::Toy;
use toy_heads::{HeadSizes, learning_heads, random_policy, random_seen};
use vlm_planner_tuner::td3::heads::Seen;
use vlm_planner_tuner::td3::{Mlp, Random, TrainConfig, Training};

/// Observations that are computed together, as `train` does it.
const TOGETHER: usize = 16;
/// Length of the 3B model's features.
const FEATURE: usize = 256;

fn updates(c: &mut Criterion) {
    let toy = Toy::new("dwa", FEATURE, 1);
    let actor = Mlp::random(&[FEATURE, 7], &mut Random::new(2));
    let mut training = Training::start(TrainConfig::default(), toy.space(), actor, toy.buffer(500, 3), 4).unwrap();
    let mut group = c.benchmark_group("td3");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function("update", |b| b.iter(|| training.step().unwrap()));
    group.finish();
}

/// Features of 128 next observations and gradients of 128 observations, a few at a time; `rows` of them are computed.
fn heads(name: &str, sizes: HeadSizes, seq: usize, rows: usize) {
    let mut random = Random::new(1);
    let heads = learning_heads(&random_policy(sizes, 7, &mut random), sizes);
    let seen: Vec<Seen> = (0..rows).map(|_| random_seen(sizes, seq, &mut random)).collect();
    let upstream = vec![1.0; TOGETHER * sizes.feature];
    let timed = |work: &mut dyn FnMut(&[Seen])| {
        work(&seen[..TOGETHER.min(rows)]);
        let start = Instant::now();
        seen.chunks(TOGETHER).for_each(work);
        start.elapsed().as_secs_f64() / rows as f64
    };
    let forward = timed(&mut |few| heads.features(few, &mut Vec::new()).unwrap());
    let mut sum = heads.no_gradient();
    let backward = timed(&mut |few| heads.add_gradient(few, &upstream[..few.len() * sizes.feature], &mut sum).unwrap());
    let work = 128.0 * (forward + backward);
    println!(
        "heads/{name}: {:.2} ms a feature, {:.2} ms a feature and its gradient; batch 128: {:.3} updates a second ({work:.2} s)",
        forward * 1e3,
        backward * 1e3,
        1.0 / work
    );
}

criterion_group!(benches, updates);

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let rows = if std::env::args().any(|argument| argument == "--bench") { 48 } else { 2 };
    let full = HeadSizes { hidden: 2048, feature: 256, history: Some(256), side: 224 };
    heads("tiny", HeadSizes { hidden: 64, feature: 32, history: Some(32), side: 224 }, 565, rows);
    heads("full", full, 565, rows);
    benches();
    Criterion::default().configure_from_args().final_summary();
}
