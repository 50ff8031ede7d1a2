//! The kernels that a frame's time is made of, at the shapes of the 3B model.
//!
//! `cargo bench --bench kernels`. Products count operations, two for each multiply-add: `Gelem/s` are GF/s, to be held
//! against `peak`, a large square product by candle. Widening counts f32 values written, on one core.
//! `PLANNER_TUNER_VECTORS` chooses the instructions, but not those of `peak` and of attention's products.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use candle_core::{Device, Tensor};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use vlm_planner_tuner::vectors::Vectors;
use vlm_planner_tuner::vision_language::kernels::{AttentionSpan, GatedMlp, LinearWeights, PanelMatmul, attention};
use vlm_planner_tuner::weights::nf4::{AbsmaxFormat, Nf4Matrix, Nf4Panels};
use vlm_planner_tuner::weights::{Bf16Matrix, F32Matrix, PANEL, PanelSource};

/// Tokens after the prefix, and patches.
const TEXT_ROWS: usize = 360;
const VISION_ROWS: usize = 1176;

/// Bell-shaped values, as weights are: sums of uniform ones from a linear congruential generator.
fn weights(values: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..values).map(|_| 0.02 * (uniform() + uniform() + uniform() + uniform())).collect()
}

fn narrow(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|&value| bf16::from_f32(value)).collect()
}

fn bf16_matrix([out, inputs]: [usize; 2]) -> Bf16Matrix {
    Bf16Matrix::new(&narrow(&weights(out * inputs)), [out, inputs]).unwrap()
}

/// The forms that a matrix is stored in.
fn forms(shape: [usize; 2]) -> [(&'static str, Box<dyn PanelSource>); 3] {
    let values = weights(shape[0] * shape[1]);
    let nf4 = Nf4Matrix::quantise(&values, shape, AbsmaxFormat::Double).unwrap();
    [
        ("f32", Box::new(F32Matrix::new(&values, shape).unwrap())),
        ("bf16", Box::new(Bf16Matrix::new(&narrow(&values), shape).unwrap())),
        ("nf4", Box::new(Nf4Panels::new(&nf4))),
    ]
}

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap()
}

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group
}

fn products(c: &mut Criterion) {
    let mut group = group(c, "product");
    let square = random(&[2048, 2048]);
    group.throughput(Throughput::Elements(2 * 2048_u64.pow(3)));
    group.bench_function("peak", |b| b.iter(|| square.matmul(&square).unwrap()));
    for (name, rows, shape) in [
        ("text_up_proj", TEXT_ROWS, [11008, 2048]),
        ("text_o_proj", TEXT_ROWS, [2048, 2048]),
        ("text_down_proj", TEXT_ROWS, [2048, 11008]),
        ("vision_qkv", VISION_ROWS, [3840, 1280]),
        ("vision_down_proj", VISION_ROWS, [1280, 3420]),
    ] {
        let [out, inputs] = shape;
        let xs = random(&[rows, inputs]);
        group.throughput(Throughput::Elements((2 * rows * out * inputs) as u64));
        for (form, weights) in forms(shape) {
            let layer = LinearWeights { weights: weights.as_ref(), bias: None };
            group.bench_function(format!("{name}/{form}"), |b| {
                b.iter(|| xs.apply_op1_no_bwd(&PanelMatmul { layer, vectors: Vectors::in_use() }).unwrap());
            });
        }
    }
    group.finish();
}

fn mlps(c: &mut Criterion) {
    let mut group = group(c, "gated_mlp");
    for (name, rows, width, inner) in [("text", TEXT_ROWS, 2048, 11008), ("vision", VISION_ROWS, 1280, 3420)] {
        let [gate, up, down] = [[inner, width], [inner, width], [width, inner]].map(bf16_matrix);
        let layer = |weights| LinearWeights { weights, bias: None };
        let mlp = GatedMlp { gate: layer(&gate), up: layer(&up), down: layer(&down), vectors: Vectors::in_use() };
        let (xs, residual) = (random(&[rows, width]), random(&[rows, width]));
        group.throughput(Throughput::Elements((6 * rows * width * inner) as u64));
        group.bench_function(name, |b| b.iter(|| xs.apply_op2_no_bwd(&residual, &mlp).unwrap()));
    }
    group.finish();
}

fn attentions(c: &mut Criterion) {
    let mut group = group(c, "attention");
    let windows: Vec<_> = (0..VISION_ROWS)
        .step_by(64)
        .flat_map(|start| AttentionSpan::full(start..VISION_ROWS.min(start + 64)))
        .collect();
    let whole: Vec<_> = AttentionSpan::full(0..VISION_ROWS).collect();
    for (name, heads, kv_heads, rows, seq, dim, spans) in [
        ("text_causal", 16, 2, TEXT_ROWS, 565, 128, AttentionSpan::causal(TEXT_ROWS, 565)),
        ("vision_windows", 16, 16, VISION_ROWS, VISION_ROWS, 80, windows),
        ("vision_whole", 16, 16, VISION_ROWS, VISION_ROWS, 80, whole),
    ] {
        let query = random(&[heads, rows, dim]);
        let (key, value) = (random(&[kv_heads, seq, dim]), random(&[kv_heads, seq, dim]));
        let pairs: usize = spans.iter().map(|span| span.queries.len() * span.keys.len()).sum();
        group.throughput(Throughput::Elements((4 * heads * dim * pairs) as u64));
        group.bench_function(name, |b| b.iter(|| attention(&query, &key, &value, 0.1, &spans).unwrap()));
    }
    group.finish();
}

fn widening(c: &mut Criterion) {
    let mut group = group(c, "widen");
    let ragged = Nf4Matrix::quantise(&weights(1280 * 3420), [1280, 3420], AbsmaxFormat::Double).unwrap();
    let ragged: (_, Box<dyn PanelSource>) = ("nf4_3420_columns", Box::new(Nf4Panels::new(&ragged)));
    for (name, matrix) in forms([11008, 2048]).into_iter().skip(1).chain([ragged]) {
        let vectors = Vectors::in_use();
        let mut room = vec![[0.0; PANEL]; 512];
        group.throughput(Throughput::Elements((matrix.rows() * matrix.cols()) as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for panel in 0..matrix.rows() / PANEL {
                    for start in (0..matrix.cols()).step_by(512) {
                        black_box(matrix.panel(panel, start..matrix.cols().min(start + 512), vectors, &mut room));
                    }
                }
            });
        });
    }
    group.finish();
}

fn quantising(c: &mut Criterion) {
    let mut group = group(c, "quantise");
    let values = weights(11008 * 2048);
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("nf4", |b| {
        b.iter(|| Nf4Matrix::quantise(&values, [11008, 2048], AbsmaxFormat::Double).unwrap());
    });
    group.finish();
}

criterion_group!(benches, products, mlps, attentions, widening, quantising);
criterion_main!(benches);
