//! `preprocessor_config.json`, or the same in `processor_config.json`: from the base model, from the supervised
//! checkpoint, and from the command line.

use std::path::Path;

use super::{
    ProcessorError,
    preprocessor_layers::{Layer, pick},
};
use planner_tuner_core::frame::Frame;

/// Largest accepted pixel budget: a square of the largest accepted side.
const MAX_PIXELS: u64 = Frame::MAX_SIDE as u64 * Frame::MAX_SIDE as u64;

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
    /// Where transformers 5 writes the same settings, as the field `image_processor`, and then no [`Self::FILE`].
    pub const NESTED_FILE: &str = "processor_config.json";

    /// Reads the base model's file; such a file in the supervised checkpoint's folder wins field by field, and
    /// `budget` over both. A field that is set nowhere has the default of HF's `Qwen2VLImageProcessor`.
    ///
    /// # Errors
    /// [`ProcessorError::Read`] or [`ProcessorError::Json`] for a file that is not there (the checkpoint's may be
    /// missing) or not JSON, [`ProcessorError::Field`] or [`ProcessorError::PixelBudget`] for values that cannot be
    /// right.
    pub fn load(base: &Path, checkpoint: Option<&Path>, budget: PixelBudget) -> Result<Self, ProcessorError> {
        let mut layers = vec![Layer::from(budget)];
        layers.extend(checkpoint.map(Self::of_folder).transpose()?.flatten());
        layers.push(match Self::of_folder(base)? {
            Some(layer) => layer,
            // That it is not there, reading says.
            None => Layer::read(&base.join(Self::FILE))?,
        });
        Self::from_layers(&layers)
    }

    /// What a folder says, if it says anything. Two files have to say the same, since releases of transformers differ in
    /// which of them they read.
    fn of_folder(folder: &Path) -> Result<Option<Layer>, ProcessorError> {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        let plain = there(Self::FILE).map(|path| Layer::read(&path)).transpose()?;
        let nested = there(Self::NESTED_FILE).map(|path| Layer::read_nested(&path)).transpose()?.flatten();
        if let (Some(plain), Some(nested)) = (&plain, &nested)
            && Self::from_layers(std::slice::from_ref(plain))? != Self::from_layers(std::slice::from_ref(nested))?
        {
            let folder = folder.to_owned();
            return Err(ProcessorError::TwoFiles { folder, one: Self::FILE, other: Self::NESTED_FILE });
        }
        Ok(plain.or(nested))
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
        assert_eq!(config.image_std().map(|std| (std * 1e4).round()), [2686.0, 2613.0, 2758.0]);
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
    fn processor_config_json_is_read_in_its_place_and_must_not_contradict_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, json: &str| std::fs::write(folder.path().join(name), json).unwrap();
        let load = || PreprocessorConfig::load(folder.path(), None, PixelBudget::default());
        write("processor_config.json", r#"{"image_processor": {"size": {"longest_edge": 7056}, "merge_size": 3}}"#);
        let config = load().unwrap();
        assert_eq!((config.min_pixels(), config.max_pixels(), config.merge_size()), (3136, 7056, 3));
        write("preprocessor_config.json", r#"{"max_pixels": 7056, "merge_size": 3}"#);
        assert_eq!(load().unwrap(), config);
        write("preprocessor_config.json", r#"{"max_pixels": 7057, "merge_size": 3}"#);
        let err = load().unwrap_err().to_string();
        assert!(err.contains("preprocessor_config.json and processor_config.json do not say the same"), "{err}");
        // Transformers 4 has a file of that name with nothing of the image processor in it.
        write("processor_config.json", r#"{"processor_class": "Qwen2_5_VLProcessor"}"#);
        assert_eq!(load().unwrap().max_pixels(), 7057);
        write("processor_config.json", r#"{"image_processor": {"do_resize": false}}"#);
        std::fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
        let err = load().unwrap_err().to_string();
        assert!(err.contains("processor_config.json: field 'do_resize' is false"), "{err}");
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
