//! What it costs to widen stored weights to f32 in panels, on one core, and to quantise a matrix, on all of them.
//!
//! `cargo bench --bench widen`. The matrix is an MLP projection of the 3B model, `[11008, 2048]`; rates of widening
//! are of f32 written.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use vlm_planner_tuner::weights::nf4::{AbsmaxFormat, Nf4Matrix};
use vlm_planner_tuner::weights::{Bf16Matrix, F32Matrix, PanelSource};

const SHAPE: [usize; 2] = [11008, 2048];
/// Rows of a panel: 1 MiB of f32, which stays in the second-level cache.
const PANEL: usize = 128;

/// Bell-shaped values, as weights are: sums of uniform ones from a linear congruential generator.
fn weights() -> Vec<f32> {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..SHAPE[0] * SHAPE[1]).map(|_| 0.02 * (uniform() + uniform() + uniform() + uniform())).collect()
}

fn widen_all(matrix: &dyn PanelSource, panel: &mut [f32]) {
    for start in (0..matrix.rows()).step_by(PANEL) {
        matrix.widen_rows(start..start + PANEL, panel);
        black_box(&mut *panel);
    }
}

fn widen(c: &mut Criterion) {
    let values = weights();
    let narrow: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
    let nf4 = |format| Nf4Matrix::quantise(&narrow, SHAPE, format).unwrap();
    let down_proj = values.get(..1280 * 3420).unwrap();
    let ragged = Nf4Matrix::quantise(down_proj, [1280, 3420], AbsmaxFormat::Single).unwrap();

    let mut group = c.benchmark_group("widen");
    group.sample_size(20);
    let sources: [(&str, Box<dyn PanelSource>); 5] = [
        ("f32", Box::new(F32Matrix::new(values.clone(), SHAPE).unwrap())),
        ("bf16", Box::new(Bf16Matrix::new(narrow.clone(), SHAPE).unwrap())),
        ("nf4", Box::new(nf4(AbsmaxFormat::Single))),
        ("nf4_double", Box::new(nf4(AbsmaxFormat::Double))),
        ("nf4_3420_columns", Box::new(ragged)),
    ];
    for (name, matrix) in &sources {
        let mut panel = vec![0.0; PANEL * matrix.cols()];
        group.throughput(Throughput::Bytes((4 * matrix.rows() * matrix.cols()) as u64));
        group.bench_function(*name, |b| b.iter(|| widen_all(matrix.as_ref(), &mut panel)));
    }
    group.finish();

    let mut group = c.benchmark_group("quantise");
    group.sample_size(10).throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("f32", |b| b.iter(|| Nf4Matrix::quantise(&values, SHAPE, AbsmaxFormat::Double).unwrap()));
    group.bench_function("bf16", |b| b.iter(|| Nf4Matrix::quantise(&narrow, SHAPE, AbsmaxFormat::Double).unwrap()));
    group.finish();
}

criterion_group!(benches, widen);
criterion_main!(benches);
