//! A model of any shape with random weights: what a frame costs, beside what its arithmetic would.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use super::peak::PeakWatch;
use super::{Row, operations};
use crate::cli::model_args::ModelArgs;
use crate::frame::Frame;
use crate::tuner::QuantizeChoice;
use crate::vision_language::processor::{ImageProcessor, PreprocessorConfig, TokenizedPrompt};
use crate::vision_language::{ModelConfig, Precision, VisionLanguageModel};
use crate::weights::{MemoryBudget, RandomWeights};

/// Tokens before and after the image, as in the original's prompt.
const PROMPT_TOKENS: (usize, usize) = (205, 66);

/// Image sizes, pixels, whose frames have 150, 294, 330 and 600 tokens: the trained size is the second.
const GROWTH: [(u32, u32); 4] = [(420, 280), (588, 392), (616, 420), (840, 560)];
/// The camera's.
const FRAME: (u32, u32) = (600, 400);

/// The model.
pub struct RandomModel {
    shape: String,
    model: VisionLanguageModel,
    processor: ImageProcessor,
}

/// Frames of one size.
pub struct Measured {
    /// Tokens in the sequence.
    pub(crate) sequence: usize,
    pub(crate) image_tokens: usize,
    pub(crate) rows: [Row; 4],
    /// Of the rows.
    pub(crate) operations: [Option<f64>; 4],
    /// Operations a second of a large f32 product, between the frames: the median.
    pub(crate) peak: f64,
    /// Median of a frame with the prefix remembered, ms.
    pub(crate) frame_ms: f64,
    /// Median over the frames of time by what the frame's arithmetic takes at the peak measured before and after it.
    pub(crate) times_its_arithmetic: f64,
}

impl RandomModel {
    /// What the shape is called.
    pub(super) fn shape(&self) -> &str {
        &self.shape
    }

    /// Builds the model of a shape: a built-in one, or that of a config.json.
    pub fn build(shape: &str, args: &ModelArgs) -> anyhow::Result<Self> {
        let config = match operations::built_in(shape) {
            Some(config) => config,
            None => ModelConfig::load(Path::new(shape))?,
        };
        let device = args.compute.device.open()?;
        args.compute.start_threads();
        let quantize = QuantizeChoice::from(args.compute.quantize);
        let precision =
            Precision::new(&device, args.compute.compute().format).quantised(quantize.resolve().unwrap_or_default());
        let plan = VisionLanguageModel::plan(&config, precision)?;
        if let Some(memory) = MemoryBudget::of_device(&device) {
            memory.check(&plan, shape)?;
        }
        let weights = Arc::new(RandomWeights::new(plan));
        let model = VisionLanguageModel::load(config, weights, precision, &device)?;
        let processor = ImageProcessor::new(PreprocessorConfig::from_json("built-in", b"{}")?);
        Ok(Self { shape: shape.to_owned(), model, processor })
    }

    /// Measures frames as the camera gives them.
    pub fn measure(&mut self, runs: u32) -> anyhow::Result<Measured> {
        self.measure_size(FRAME, runs)
    }

    /// Measures how the time grows with the image's tokens.
    pub fn growth(&mut self, runs: u32) -> anyhow::Result<Vec<Measured>> {
        GROWTH.into_iter().map(|size| self.measure_size(size, runs)).collect()
    }

    fn measure_size(&mut self, (width, height): (u32, u32), runs: u32) -> anyhow::Result<Measured> {
        let bytes = (0..width * height * 3).map(|byte| (byte % 251) as u8).collect();
        let frame = Frame::from_rgb8(width, height, bytes)?;
        // The first frame makes tables and the prefix; it is not counted.
        let (image_tokens, grid) = Times::default().run(&mut self.model, &mut self.processor, &frame)?;
        let mut times = Times::default();
        let mut peaks = PeakWatch::start()?;
        for _ in 0..runs {
            times.run(&mut self.model, &mut self.processor, &frame)?;
            peaks.look()?;
        }
        let (before, after) = PROMPT_TOKENS;
        let sequence = before + image_tokens + after;
        let config = self.model.config();
        let operations = [
            None,
            Some(operations::vision(&config.vision, grid.0, grid.1)),
            Some(operations::text(&config.text, image_tokens + after, sequence)),
            Some(operations::text(&config.text, sequence, sequence)),
        ];
        let of_frame: f64 = operations.iter().take(3).flatten().sum();
        let frames = times.frames();
        let times_its_arithmetic = peaks.median_ratio(&frames, of_frame);
        let frame_ms = Row::new("frame", frames).milliseconds()[1];
        let peak = peaks.median();
        Ok(Measured { sequence, image_tokens, rows: times.rows(), operations, peak, frame_ms, times_its_arithmetic })
    }
}

#[derive(Default)]
struct Times {
    image: Vec<Duration>,
    vision: Vec<Duration>,
    text: Vec<Duration>,
    text_afresh: Vec<Duration>,
}

impl Times {
    /// One frame; the number of its image tokens and its patches.
    fn run(
        &mut self,
        model: &mut VisionLanguageModel,
        processor: &mut ImageProcessor,
        frame: &Frame,
    ) -> anyhow::Result<(usize, (usize, usize))> {
        let start = Instant::now();
        let image = processor.process(frame)?;
        self.image.push(start.elapsed());
        let start = Instant::now();
        let tokens = wait_for(model.image_tokens(&image)?)?;
        self.vision.push(start.elapsed());
        let (before, after) = PROMPT_TOKENS;
        let (image_tokens, image_id) = (tokens.dim(0)?, model.config().image_token_id);
        let mut input_ids: Vec<u32> = (0..before as u32).collect();
        input_ids.extend(std::iter::repeat_n(image_id, image_tokens));
        input_ids.extend(0..after as u32);
        let prompt = TokenizedPrompt { input_ids, image_start: before, image_tokens };
        for (times, afresh) in [(&mut self.text, false), (&mut self.text_afresh, true)] {
            let start = Instant::now();
            let states = match afresh {
                false => model.hidden_states(&prompt, &tokens, image.grid())?,
                true => model.hidden_states_afresh(&prompt, &tokens, image.grid())?,
            };
            for state in states.rest() {
                wait_for(state.clone())?;
            }
            times.push(start.elapsed());
        }
        Ok((image_tokens, (image.grid().h, image.grid().w)))
    }

    /// Each frame as a whole, the prefix remembered.
    fn frames(&self) -> Vec<Duration> {
        self.image
            .iter()
            .zip(&self.vision)
            .zip(&self.text)
            .map(|((image, vision), text)| *image + *vision + *text)
            .collect()
    }

    fn rows(self) -> [Row; 4] {
        [
            Row::new("image", self.image),
            Row::new("vision", self.vision),
            Row::new("text", self.text),
            Row::new("text, prefix not remembered", self.text_afresh),
        ]
    }
}

/// A GPU works on after the call returns: reading one value waits for it.
fn wait_for(tensor: Tensor) -> candle_core::Result<Tensor> {
    if !tensor.device().is_cpu() {
        tensor.flatten_all()?.get(0)?.to_device(&Device::Cpu)?;
    }
    Ok(tensor)
}
