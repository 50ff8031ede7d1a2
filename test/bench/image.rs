//! What a frame costs before the model sees it, on one core: decode, resize, patches, and the history image.
//!
//! `cargo bench --bench image`. The frame is one of the fixture's costmaps, 600x400.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{hint::black_box, path::Path};

use criterion::{Criterion, criterion_group, criterion_main};
use vlm_planner_tuner::{
    feature::HistoryImageProcessor,
    frame::Frame,
    vision_language::processor::{ImageProcessor, PixelBudget, PreprocessorConfig},
};

fn decode(png: &[u8]) -> Frame {
    let image = image::load_from_memory(png).unwrap().into_rgb8();
    Frame::from_rgb8(image.width(), image.height(), image.into_raw()).unwrap()
}

fn image_to_patches(c: &mut Criterion) {
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/tiny_vlm");
    let png = std::fs::read(set.join("frames/DWA_000022.png")).unwrap();
    let config = PreprocessorConfig::load(&set.join("base"), None, PixelBudget::default()).unwrap();
    let frame = decode(&png);
    let mut processor = ImageProcessor::new(config);
    let resized = processor.resize(&frame).unwrap();
    let mut history = HistoryImageProcessor::new(224).unwrap();

    let mut group = c.benchmark_group("image");
    group.bench_function("decode_png", |b| b.iter(|| decode(black_box(&png))));
    group.bench_function("resize", |b| b.iter(|| processor.resize(black_box(&frame)).unwrap()));
    group.bench_function("patches", |b| b.iter(|| processor.cut(black_box(&resized)).unwrap()));
    group.bench_function("decode_resize_patches", |b| {
        b.iter(|| {
            let frame = decode(black_box(&png));
            processor.process(&frame).unwrap()
        })
    });
    group.bench_function("history_image", |b| b.iter(|| history.process(black_box(&frame))));
    group.finish();
}

criterion_group!(benches, image_to_patches);
criterion_main!(benches);
