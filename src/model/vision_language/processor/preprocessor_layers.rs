//! One source of image processor settings beside another: which fields it sets, and which source decides.

use std::{fmt::Debug, ops::RangeInclusive, path::Path};

use serde::Deserialize;

use super::{PixelBudget, ProcessorError, read_bounded};

/// A preprocessor_config.json is a few hundred bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// `resample` of Pillow's bicubic filter.
const PIL_BICUBIC: u32 = 3;

/// The fields of the file that matter here; others, such as `image_processor_type`, change nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    pub(super) min_pixels: Option<u64>,
    pub(super) max_pixels: Option<u64>,
    size: Option<PixelRange>,
    pub(super) patch_size: Option<u32>,
    pub(super) temporal_patch_size: Option<u32>,
    pub(super) merge_size: Option<u32>,
    pub(super) image_mean: Option<Vec<f64>>,
    pub(super) image_std: Option<Vec<f64>>,
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
    pub(super) fn shortest_edge(&self) -> Option<u64> {
        self.size.as_ref()?.shortest_edge
    }

    pub(super) fn longest_edge(&self) -> Option<u64> {
        self.size.as_ref()?.longest_edge
    }
}

/// Fields and where they were set.
pub(super) struct Layer {
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
    pub(super) fn read(path: &Path) -> Result<Self, ProcessorError> {
        let json = read_bounded(path, MAX_FILE_BYTES).map_err(|source| ProcessorError::Read {
            path: path.to_owned(),
            what: "the image processor's settings, published beside the base model's weights",
            source,
        })?;
        Self::parse(&path.display().to_string(), &json)
    }

    /// The field `image_processor` of transformers 5's processor_config.json; `None` for a file without one.
    pub(super) fn read_nested(path: &Path) -> Result<Option<Self>, ProcessorError> {
        #[derive(Deserialize)]
        struct Processor {
            image_processor: Option<Fields>,
        }
        let json = read_bounded(path, MAX_FILE_BYTES).map_err(|source| ProcessorError::Read {
            path: path.to_owned(),
            what: "the processor's settings, published beside the base model's weights",
            source,
        })?;
        let processor: Processor =
            serde_json::from_slice(&json).map_err(|source| ProcessorError::Json { path: path.into(), source })?;
        Ok(processor.image_processor.map(|fields| Self { origin: path.display().to_string(), fields }))
    }

    pub(super) fn parse(origin: &str, json: &[u8]) -> Result<Self, ProcessorError> {
        let fields =
            serde_json::from_slice(json).map_err(|source| ProcessorError::Json { path: origin.into(), source })?;
        Ok(Self { origin: origin.to_owned(), fields })
    }

    /// Switches that would make another pipeline than the one built here.
    pub(super) fn refuse_other_pipelines(&self) -> Result<(), ProcessorError> {
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
pub(super) struct Setting<T> {
    pub(super) origin: String,
    field: &'static str,
    pub(super) value: T,
}

/// The value of the first layer that sets it, else the default.
pub(super) fn pick<T>(
    layers: &[Layer],
    field: &'static str,
    get: impl Fn(&Fields) -> Option<T>,
    default: T,
) -> Setting<T> {
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
    pub(super) fn within(self, range: RangeInclusive<T>) -> Result<T, ProcessorError> {
        let value = self.value;
        if !range.contains(&value) {
            return self.refuse(format!("{value:?}"), format!("{:?} to {:?}", range.start(), range.end()));
        }
        Ok(value)
    }
}

impl Setting<Vec<f64>> {
    pub(super) fn channels(self, expected: &str, accepted: impl Fn(f64) -> bool) -> Result<[f32; 3], ProcessorError> {
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
