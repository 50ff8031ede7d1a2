//! The image processor against HF's, number by number.
//!
//! Sizes come from the fixture's files: any set of the layout of `tiny_vlm` can be put in its place through
//! `PLANNER_TUNER_FIXTURES`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::support;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use vlm_planner_tuner::{
    feature::HistoryImageProcessor,
    frame::{BodyVelocity, Frame},
    vision_language::processor::{
        ImageProcessor, MropePositions, PixelBudget, PreprocessorConfig, PromptTemplate, PromptTokenizer,
    },
};

/// A set of the layout of `tiny_vlm`.
struct Set {
    root: PathBuf,
    json: Value,
    tensors: HashMap<String, Tensor>,
}

impl Set {
    fn open() -> Option<Self> {
        let root = support::fixture_set("tiny_vlm")?;
        let json = read_json(&root.join("expected.json"));
        let tensors = candle_core::safetensors::load(root.join("expected.safetensors"), &Device::Cpu).unwrap();
        Some(Self { root, json, tensors })
    }

    fn processor(&self) -> ImageProcessor {
        let (base, checkpoint) = (self.root.join("base"), self.root.join("checkpoint"));
        let config = PreprocessorConfig::load(&base, Some(&checkpoint), PixelBudget::default()).unwrap();
        ImageProcessor::new(config)
    }

    /// The k-th of the frames.
    fn frame(&self, k: usize) -> Frame {
        let mut paths: Vec<_> =
            std::fs::read_dir(self.root.join("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let image = image::open(&paths[k]).unwrap().to_rgb8();
        Frame::from_rgb8(image.width(), image.height(), image.into_raw()).unwrap()
    }

    /// Tensors called `{head}{number}{tail}`, by number. Not every set has every kind.
    fn numbered(&self, head: &str, tail: &str) -> Vec<(usize, &Tensor)> {
        let number = |name: &str| name.strip_prefix(head)?.strip_suffix(tail)?.parse().ok();
        let mut found: Vec<_> = self.tensors.iter().filter_map(|(name, t)| Some((number(name)?, t))).collect();
        found.sort_by_key(|(k, _)| *k);
        if found.is_empty() {
            support::say(&format!("skipped: no tensor {head}N{tail} in {}", self.root.display()));
        }
        found
    }

    /// The frames of expected.json, with their index.
    fn expected_frames(&self) -> Vec<(usize, &Value)> {
        let frames = self.json["frames"].as_array().unwrap();
        assert!(!frames.is_empty());
        frames.iter().map(|frame| (frame["frame_index"].as_u64().unwrap() as usize, frame)).collect()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

/// A `[3, h, w]` image as a frame.
fn frame_of_planes(planes: &Tensor) -> Frame {
    let (_, height, width) = planes.dims3().unwrap();
    let rgb = planes.permute((1, 2, 0)).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    Frame::from_rgb8(width as u32, height as u32, rgb).unwrap()
}

#[test]
fn fixture_resized_image_is_equal_in_every_byte() {
    let Some(set) = Set::open() else { return };
    let mut processor = set.processor();
    for (k, expected) in set.numbered("frame", ".resized_u8_fast") {
        let (resized, expected) = (processor.resize(&set.frame(k)).unwrap(), frame_of_planes(expected));
        assert_eq!((resized.width(), resized.height()), (expected.width(), expected.height()), "frame {k}");
        let off = resized.rgb().iter().zip(expected.rgb()).filter(|(a, b)| a != b).count();
        support::say(&format!("frame {k}: {off} of {} bytes differ from the fast processor", expected.rgb().len()));
        assert_eq!(off, 0);
    }
}

#[test]
fn fixture_pixel_values_from_the_stored_image() {
    let Some(set) = Set::open() else { return };
    let processor = set.processor();
    for (kind, k) in ["fast", "slow"]
        .into_iter()
        .flat_map(|kind| set.numbered("frame", &format!(".resized_u8_{kind}")).into_iter().map(move |(k, _)| (kind, k)))
    {
        let tensor = |name: &str| set.tensors.get(&format!("frame{k}.{name}_{kind}"));
        let image = processor.cut(&frame_of_planes(tensor("resized_u8").unwrap())).unwrap();
        let Some(expected) = tensor("pixel_values") else {
            support::say(&format!("skipped: no tensor frame{k}.pixel_values_{kind} in {}", set.root.display()));
            continue;
        };
        let expected = expected.to_vec2::<f32>().unwrap();
        // A set may hold some of the rows, and then says which.
        let rows: Vec<i64> = match set.tensors.get(&format!("frame{k}.pixel_values_{kind}.rows")) {
            Some(rows) => rows.to_vec1().unwrap(),
            None => (0..image.grid().patches() as i64).collect(),
        };
        assert!(!rows.is_empty() && rows.len() == expected.len());

        let row_len = expected[0].len();
        let pixel_values = image.pixel_values();
        assert_eq!(pixel_values.len(), row_len * image.grid().patches());
        let mut largest = 0f32;
        for (row, expected) in rows.iter().zip(&expected) {
            let actual = &pixel_values[*row as usize * row_len..][..row_len];
            largest = actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
        }
        support::say(&format!(
            "frame {k}, {kind}: {} rows of pixel values, largest difference {largest:e}",
            rows.len()
        ));
        assert!(largest <= 1e-6);
    }
}

#[test]
fn fixture_folded_patches_are_the_pixel_values_without_time() {
    let Some(set) = Set::open() else { return };
    let mut processor = set.processor();
    let temporal = processor.config().temporal_patch_size() as usize;
    let plane = (processor.config().patch_size() as usize).pow(2);
    let image = processor.process(&set.frame(0)).unwrap();
    let values = image.pixel_values();
    for (channel, repeated) in image.patches().chunks_exact(plane).zip(values.chunks_exact(plane * temporal)) {
        assert!(repeated.chunks_exact(plane).all(|frame| frame == channel));
    }
    let tensor = image.to_tensor(&Device::Cpu).unwrap();
    assert_eq!(tensor.dims(), [image.grid().patches(), image.row_len()]);
    assert_eq!(tensor.dtype(), DType::F32);
}

#[test]
fn fixture_grid_and_positions_are_equal() {
    let Some(set) = Set::open() else { return };
    let mut processor = set.processor();
    let merge_size = processor.config().merge_size() as usize;
    let config = read_json(&set.root.join("base/config.json"));
    let tokenizer =
        PromptTokenizer::load(&set.root.join("base"), config["image_token_id"].as_u64().unwrap() as u32).unwrap();
    let template = PromptTemplate::load(Some(&set.root.join("checkpoint"))).unwrap();
    for (k, expected) in set.expected_frames() {
        let image = processor.process(&set.frame(k)).unwrap();
        let grid = image.grid();
        let thw = expected["image_grid_thw"].as_array().unwrap();
        let thw = if thw[0].is_array() { &thw[0] } else { &expected["image_grid_thw"] };
        assert_eq!([grid.t, grid.h, grid.w].map(|v| v as i64).as_slice(), integers(thw));
        assert_eq!(image.image_tokens() as u64, expected["num_image_tokens"].as_u64().unwrap());

        let prompt = template.render(velocity(expected), expected["algorithm"].as_str().unwrap());
        let tokens = tokenizer.encode(&prompt, image.image_tokens()).unwrap();
        let positions = MropePositions::new(&tokens, grid, merge_size).unwrap();
        for (axis, expected) in positions.axes().into_iter().zip(expected["position_ids"].as_array().unwrap()) {
            assert_eq!(axis.iter().map(|&p| i64::from(p)).collect::<Vec<_>>(), integers(expected), "frame {k}");
        }
        assert_eq!(positions.rope_delta(), expected["rope_delta"].as_i64().unwrap());
        assert_eq!(positions.to_tensor(&Device::Cpu).unwrap().dims(), [3, tokens.len()]);
    }
}

#[test]
fn fixture_history_images_are_those_of_pillow() {
    let Some(set) = Set::open() else { return };
    let size = read_json(&set.root.join("checkpoint/history_config.json"))["history_image_size"].as_u64().unwrap();
    let mut processor = HistoryImageProcessor::new(size as u32).unwrap();
    for (k, expected) in set.numbered("history_resized_u8.", "") {
        assert_eq!(processor.resize_u8(&set.frame(k)), frame_of_planes(expected).rgb(), "frame {k}");
    }
}

#[test]
fn fixture_history_tensor_is_normalised_as_in_training() {
    let Some(set) = Set::open() else { return };
    let size = read_json(&set.root.join("checkpoint/history_config.json"))["history_image_size"].as_u64().unwrap();
    let mut processor = HistoryImageProcessor::new(size as u32).unwrap();
    // Oldest first, so its last frame is the newest history frame.
    for (k, expected) in set.numbered("frame", ".history_tensor.oldest_first.last") {
        let (_, json) = set.expected_frames().into_iter().find(|(index, _)| *index == k).unwrap();
        let newest = integers(&json["history_frame_indices_newest_first"])[0] as usize;
        let values = processor.process(&set.frame(newest));
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(values.len(), expected.len());
        // One step of a byte is 1/255/0.224 = 0.0175; equal bytes must give equal numbers.
        let differences: Vec<f32> = values.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
        let off = differences.iter().filter(|d| **d > 1e-6).count();
        assert!(off * 1000 <= values.len(), "{off} of {} values", values.len());
        assert!(differences.iter().all(|d| *d < 0.0176), "frame {k}");
    }
}

/// The velocity of a frame in expected.json.
fn velocity(expected: &Value) -> BodyVelocity {
    let component = |name: &str| expected[name].as_f64().unwrap();
    BodyVelocity::new(component("linear_vel"), component("angular_vel")).unwrap()
}
