//! `preprocessor_config.json`: from the base model, from the supervised checkpoint, and from the command line.

use std::{fmt::Debug, ops::RangeInclusive, path::Path};

use serde::Deserialize;

use super::{ProcessorError, read_bounded};
use crate::frame::Frame;

/// A preprocessor_config.json is a few hundred bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Largest accepted pixel budget: a square of the largest accepted side.
const MAX_PIXELS: u64 = Frame::MAX_SIDE as u64 * Frame::MAX_SIDE as u64;
/// `resample` of Pillow's bicubic filter.
const PIL_BICUBIC: u32 = 3;

/// Fewest and most pixels after the resize, where the command line sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PixelBudget {
    /// Smaller images are enlarged to at least this area (about: sides are rounded).
    pub min_pixels: Option<u64>,
    /// Larger images are reduced to at most this area.
    pub max_pixels: Option<u64>,
}

/// How an image becomes patches. Valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessorConfig {
    min_pixels: u64,
    max_pixels: u64,
    patch_size: u32,
    temporal_patch_size: u32,
    merge_size: u32,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

impl PreprocessorConfig {
    /// Name of the file in both folders.
    pub const FILE: &str = "preprocessor_config.json";

    /// Reads the base model's file; a file of that name in the supervised checkpoint's folder wins field by field, and
    /// `budget` over both. A field that is set nowhere has the default of HF's `Qwen2VLImageProcessor`.
    ///
    /// # Errors
    /// [`ProcessorError::Read`] or [`ProcessorError::Json`] for a file that is not there (the checkpoint's may be
    /// missing) or not JSON, [`ProcessorError::Field`] or [`ProcessorError::PixelBudget`] for values that cannot be
    /// right.
    pub fn load(base: &Path, checkpoint: Option<&Path>, budget: PixelBudget) -> Result<Self, ProcessorError> {
        let mut layers = vec![Layer::from(budget)];
        let own = checkpoint.map(|folder| folder.join(Self::FILE)).filter(|path| path.exists());
        for path in own.into_iter().chain([base.join(Self::FILE)]) {
            layers.push(Layer::read(&path)?);
        }
        Self::from_layers(&layers)
    }

    /// From the text of one file; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_json(origin: &str, json: &[u8]) -> Result<Self, ProcessorError> {
        Self::from_layers(&[Layer::parse(origin, json)?])
    }

    /// The first layer that sets a field decides.
    fn from_layers(layers: &[Layer]) -> Result<Self, ProcessorError> {
        for layer in layers {
            layer.refuse_other_pipelines()?;
        }
        let min_pixels = pick(layers, "min_pixels", |f| f.min_pixels.or(f.shortest_edge()), 56 * 56);
        let max_pixels = pick(layers, "max_pixels", |f| f.max_pixels.or(f.longest_edge()), 28 * 28 * 1280);
        if min_pixels.value > max_pixels.value {
            return Err(ProcessorError::PixelBudget {
                min_pixels: min_pixels.value,
                min_origin: min_pixels.origin,
                max_pixels: max_pixels.value,
                max_origin: max_pixels.origin,
            });
        }
        let clip_mean = vec![0.481_454_66, 0.457_827_5, 0.408_210_73];
        let clip_std = vec![0.268_629_54, 0.261_302_58, 0.275_777_11];
        Ok(Self {
            min_pixels: min_pixels.within(1..=MAX_PIXELS)?,
            max_pixels: max_pixels.within(1..=MAX_PIXELS)?,
            patch_size: pick(layers, "patch_size", |f| f.patch_size, 14).within(1..=256)?,
            temporal_patch_size: pick(layers, "temporal_patch_size", |f| f.temporal_patch_size, 2).within(1..=16)?,
            merge_size: pick(layers, "merge_size", |f| f.merge_size, 2).within(1..=16)?,
            image_mean: pick(layers, "image_mean", |f| f.image_mean.clone(), clip_mean)
                .channels("three finite numbers", f64::is_finite)?,
            image_std: pick(layers, "image_std", |f| f.image_std.clone(), clip_std)
                .channels("three finite numbers above 1e-6", |v| v.is_finite() && v > 1e-6)?,
        })
    }

    /// Smaller images are enlarged to at least this many pixels.
    pub fn min_pixels(&self) -> u64 {
        self.min_pixels
    }

    /// Larger images are reduced to at most this many pixels.
    pub fn max_pixels(&self) -> u64 {
        self.max_pixels
    }

    /// Side of a patch, pixels.
    pub fn patch_size(&self) -> u32 {
        self.patch_size
    }

    /// Frames a patch spans in time; a single image is repeated.
    pub fn temporal_patch_size(&self) -> u32 {
        self.temporal_patch_size
    }

    /// Patches on a side of the block that becomes one image token.
    pub fn merge_size(&self) -> u32 {
        self.merge_size
    }

    /// Sides of a resized image are multiples of this: `patch_size * merge_size`, pixels.
    pub fn factor(&self) -> u32 {
        self.patch_size * self.merge_size
    }

    /// Mean of red, green and blue, as fractions of 255.
    pub fn image_mean(&self) -> [f32; 3] {
        self.image_mean
    }

    /// Standard deviation of red, green and blue, as fractions of 255.
    pub fn image_std(&self) -> [f32; 3] {
        self.image_std
    }
}

/// The fields of the file that matter here; others, such as `image_processor_type`, change nothing.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    min_pixels: Option<u64>,
    max_pixels: Option<u64>,
    size: Option<PixelRange>,
    patch_size: Option<u32>,
    temporal_patch_size: Option<u32>,
    merge_size: Option<u32>,
    image_mean: Option<Vec<f64>>,
    image_std: Option<Vec<f64>>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    rescale_factor: Option<f64>,
    resample: Option<u32>,
}

/// The newer spelling of the pixel budget. In spite of their names the values are areas, not edges.
#[derive(Debug, Deserialize)]
struct PixelRange {
    shortest_edge: Option<u64>,
    longest_edge: Option<u64>,
}

impl Fields {
    fn shortest_edge(&self) -> Option<u64> {
        self.size.as_ref()?.shortest_edge
    }

    fn longest_edge(&self) -> Option<u64> {
        self.size.as_ref()?.longest_edge
    }
}

/// Fields and where they were set.
struct Layer {
    origin: String,
    fields: Fields,
}

impl From<PixelBudget> for Layer {
    fn from(budget: PixelBudget) -> Self {
        let PixelBudget { min_pixels, max_pixels } = budget;
        Self { origin: "command line".to_owned(), fields: Fields { min_pixels, max_pixels, ..Fields::default() } }
    }
}

impl Layer {
    fn read(path: &Path) -> Result<Self, ProcessorError> {
        let json = read_bounded(path, MAX_FILE_BYTES).map_err(|source| ProcessorError::Read {
            path: path.to_owned(),
            what: "the image processor's settings, published beside the base model's weights",
            source,
        })?;
        Self::parse(&path.display().to_string(), &json)
    }

    fn parse(origin: &str, json: &[u8]) -> Result<Self, ProcessorError> {
        let fields =
            serde_json::from_slice(json).map_err(|source| ProcessorError::Json { path: origin.into(), source })?;
        Ok(Self { origin: origin.to_owned(), fields })
    }

    /// Switches that would make another pipeline than the one built here.
    fn refuse_other_pipelines(&self) -> Result<(), ProcessorError> {
        let refuse = |field, found: &dyn Debug, expected: &str| {
            Err(ProcessorError::Field {
                origin: self.origin.clone(),
                field,
                found: format!("{found:?}"),
                expected: expected.to_owned(),
            })
        };
        let Fields { do_resize, do_rescale, do_normalize, rescale_factor, resample, .. } = &self.fields;
        for (field, switch) in [("do_resize", do_resize), ("do_rescale", do_rescale), ("do_normalize", do_normalize)] {
            if *switch == Some(false) {
                return refuse(field, &false, "true: images are always resized, rescaled and normalised");
            }
        }
        match (rescale_factor, resample) {
            (Some(factor), _) if (factor * 255.0 - 1.0).abs() > 1e-6 => {
                refuse("rescale_factor", factor, "1/255 (0.00392156862745098)")
            }
            (_, Some(filter)) if *filter != PIL_BICUBIC => refuse("resample", filter, "3 (bicubic)"),
            _ => Ok(()),
        }
    }
}

/// A value and where it was set.
struct Setting<T> {
    origin: String,
    field: &'static str,
    value: T,
}

fn pick<T>(layers: &[Layer], field: &'static str, get: impl Fn(&Fields) -> Option<T>, default: T) -> Setting<T> {
    let set = layers.iter().find_map(|layer| Some((layer.origin.clone(), get(&layer.fields)?)));
    let (origin, value) = set.unwrap_or_else(|| ("default of Qwen2VLImageProcessor".to_owned(), default));
    Setting { origin, field, value }
}

impl<T> Setting<T> {
    fn refuse<U>(self, found: String, expected: String) -> Result<U, ProcessorError> {
        Err(ProcessorError::Field { origin: self.origin, field: self.field, found, expected })
    }
}

impl<T: PartialOrd + Copy + Debug> Setting<T> {
    fn within(self, range: RangeInclusive<T>) -> Result<T, ProcessorError> {
        let value = self.value;
        if !range.contains(&value) {
            return self.refuse(format!("{value:?}"), format!("{:?} to {:?}", range.start(), range.end()));
        }
        Ok(value)
    }
}

impl Setting<Vec<f64>> {
    fn channels(self, expected: &str, accepted: impl Fn(f64) -> bool) -> Result<[f32; 3], ProcessorError> {
        match self.value.as_slice() {
            &[red, green, blue] if [red, green, blue].into_iter().all(accepted) => {
                Ok([red as f32, green as f32, blue as f32])
            }
            other => {
                let found = format!("{other:?}");
                self.refuse(found, expected.to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(json: &str) -> Result<PreprocessorConfig, ProcessorError> {
        PreprocessorConfig::from_json("base/preprocessor_config.json", json.as_bytes())
    }

    #[test]
    fn an_empty_file_has_the_defaults_of_hf() {
        let config = config("{}").unwrap();
        assert_eq!((config.min_pixels(), config.max_pixels()), (3136, 1_003_520));
        assert_eq!((config.patch_size(), config.temporal_patch_size(), config.merge_size()), (14, 2, 2));
        assert_eq!(config.image_std(), [0.268_629_54, 0.261_302_58, 0.275_777_11]);
    }

    #[test]
    fn both_spellings_of_the_pixel_budget() {
        let newer = config(r#"{"size": {"shortest_edge": 3136, "longest_edge": 12845056}}"#).unwrap();
        assert_eq!((newer.min_pixels(), newer.max_pixels()), (3136, 12_845_056));
        let both = config(r#"{"size": {"shortest_edge": 1, "longest_edge": 2}, "max_pixels": 77}"#).unwrap();
        assert_eq!((both.min_pixels(), both.max_pixels()), (1, 77));
    }

    #[test]
    fn the_checkpoint_wins_by_field_and_the_command_line_over_both() {
        let (base, checkpoint) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &Path, json: &str| std::fs::write(folder.join(PreprocessorConfig::FILE), json).unwrap();
        write(base.path(), r#"{"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 16}"#);
        let load = |budget| PreprocessorConfig::load(base.path(), Some(checkpoint.path()), budget);

        assert_eq!(load(PixelBudget::default()).unwrap().min_pixels(), 3136);
        write(checkpoint.path(), r#"{"size": {"shortest_edge": 240000}, "max_pixels": 240000}"#);
        let config = load(PixelBudget::default()).unwrap();
        assert_eq!((config.min_pixels(), config.max_pixels(), config.patch_size()), (240_000, 240_000, 16));
        let config = load(PixelBudget { min_pixels: Some(784), max_pixels: None }).unwrap();
        assert_eq!((config.min_pixels(), config.max_pixels()), (784, 240_000));

        let err = load(PixelBudget { min_pixels: Some(240_001), max_pixels: None }).unwrap_err().to_string();
        assert!(err.starts_with("min_pixels 240001 (command line) is larger than max_pixels 240000 ("), "{err}");
        assert!(err.contains("preprocessor_config.json"), "{err}");
    }

    #[test]
    fn a_missing_file_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let err = PreprocessorConfig::load(folder.path(), None, PixelBudget::default()).unwrap_err().to_string();
        assert!(err.contains("preprocessor_config.json") && err.contains("image processor's settings"), "{err}");
    }

    #[test]
    fn impossible_values_are_refused_by_file_and_field() {
        for (json, field) in [
            (r#"{"min_pixels": 0}"#, "min_pixels"),
            (r#"{"max_pixels": 18446744073709551615}"#, "max_pixels"),
            (r#"{"patch_size": 0}"#, "patch_size"),
            (r#"{"merge_size": 17}"#, "merge_size"),
            (r#"{"temporal_patch_size": 4294967295}"#, "temporal_patch_size"),
            (r#"{"image_mean": [0.5, 0.5]}"#, "image_mean"),
            (r#"{"image_std": [0.5, 0.0, 0.5]}"#, "image_std"),
            (r#"{"do_resize": false}"#, "do_resize"),
            (r#"{"rescale_factor": 0.0078125}"#, "rescale_factor"),
            (r#"{"resample": 2}"#, "resample"),
        ] {
            let err = config(json).unwrap_err().to_string();
            assert!(err.starts_with(&format!("base/preprocessor_config.json: field '{field}' is ")), "{err}");
        }
        let err = config(r#"{"patch_size": -14}"#).unwrap_err().to_string();
        assert!(err.starts_with("base/preprocessor_config.json: not the expected JSON"), "{err}");
    }
}
