//! Updates a second of a training of the full size, batch 128: `cargo bench --bench td3`, with RAYON_NUM_THREADS=2 to
//! compare with PyTorch on two threads.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/toy.rs"]
mod toy;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use toy::Toy;
use vlm_planner_tuner::td3::{Mlp, Random, TrainConfig, Training};

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

criterion_group!(benches, updates);
criterion_main!(benches);
