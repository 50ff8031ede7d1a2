//! A model of any shape with random weights: what a frame costs, beside what its arithmetic would.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use serde_json::json;

use super::{Row, operations};
use crate::cli::model_args::ModelArgs;
use crate::frame::Frame;
use crate::picture::{StageBar, StageChart};
use crate::vision_language::processor::{ImageProcessor, PreprocessorConfig, TokenizedPrompt};
use crate::vision_language::{ModelConfig, Precision, VisionLanguageModel};
use crate::weights::{MemoryBudget, RandomWeights};

/// Tokens before and after the image, as in the original's prompt.
const PROMPT_TOKENS: (usize, usize) = (205, 66);

/// Image sizes, pixels, whose frames have 150, 294, 330 and 600 tokens: the trained size is the second.
const GROWTH: [(u32, u32); 4] = [(420, 280), (588, 392), (616, 420), (840, 560)];
/// The camera's.
const FRAME: (u32, u32) = (600, 400);

/// The model, and what this machine can do at best.
pub struct RandomModel {
    shape: String,
    model: VisionLanguageModel,
    processor: ImageProcessor,
    peak: f64,
}

/// Frames of one size.
pub struct Measured {
    /// Tokens in the sequence.
    sequence: usize,
    image_tokens: usize,
    rows: [Row; 4],
    /// Of the rows.
    operations: [Option<f64>; 4],
}

impl RandomModel {
    /// Builds the model of a shape: a built-in one, or that of a config.json.
    pub fn build(shape: &str, args: &ModelArgs) -> anyhow::Result<Self> {
        let config = match operations::built_in(shape) {
            Some(config) => config,
            None => ModelConfig::load(Path::new(shape))?,
        };
        let device = args.compute.device.open()?;
        args.compute.start_threads();
        let precision =
            Precision::new(&device, args.compute.dtype).quantised(args.compute.quantize.resolve().unwrap_or_default());
        let plan = VisionLanguageModel::plan(&config, precision)?;
        if let (true, Some(memory)) = (device.is_cpu(), MemoryBudget::of_this_machine()) {
            memory.check(&plan, shape)?;
        }
        let weights = Arc::new(RandomWeights::new(plan));
        let model = VisionLanguageModel::load(config, weights, precision, &device)?;
        let processor = ImageProcessor::new(PreprocessorConfig::from_json("built-in", b"{}")?);
        Ok(Self { shape: shape.to_owned(), model, processor, peak: gemm_peak()? })
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
        let (image_tokens, grid) = Times::default().run(&self.model, &mut self.processor, &frame)?;
        let mut times = Times::default();
        for _ in 0..runs {
            times.run(&self.model, &mut self.processor, &frame)?;
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
        Ok(Measured { sequence, image_tokens, rows: times.rows(), operations })
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
        model: &VisionLanguageModel,
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
            for state in states.states() {
                wait_for(state.clone())?;
            }
            times.push(start.elapsed());
        }
        Ok((image_tokens, (image.grid().h, image.grid().w)))
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

/// Operations a second of a large f32 product on all threads: the best of several.
fn gemm_peak() -> candle_core::Result<f64> {
    const SIDE: usize = 2048;
    let matrix = Tensor::rand(-1f32, 1., (SIDE, SIDE), &Device::Cpu)?;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        matrix.matmul(&matrix)?;
        best = best.min(start.elapsed());
    }
    Ok(2.0 * (SIDE as f64).powi(3) / best.as_secs_f64())
}

/// Resident memory now and at its highest, MiB.
fn resident_mib() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

impl Measured {
    /// Median of a frame with the prefix remembered, ms.
    fn frame_ms(&self) -> f64 {
        self.rows.iter().take(3).map(|row| row.milliseconds()[1]).sum()
    }

    /// What its arithmetic takes at the peak, ms.
    fn ideal_ms(&self, peak: f64) -> f64 {
        self.operations.iter().take(3).flatten().sum::<f64>() / peak * 1e3
    }

    /// A row and its operations, in the order of the road.
    fn stages(&self) -> impl Iterator<Item = (&Row, Option<f64>)> {
        self.rows.iter().zip(self.operations)
    }
}

impl RandomModel {
    /// For people.
    pub fn table(&self, measured: &Measured, growth: &[Measured]) -> String {
        let (shape, peak) = (&self.shape, self.peak);
        let sequence = measured.sequence;
        let mut text =
            format!("{shape}, random weights, {sequence} tokens; f32 product peak {:.0} GF/s\n\n", peak / 1e9);
        let _ = writeln!(
            text,
            "{:<28} {:>9} {:>9} {:>9} ms {:>7} {:>10}",
            "stage", "min", "median", "p99", "GF", "of peak"
        );
        for (row, operations) in measured.stages() {
            let [min, median, p99] = row.milliseconds();
            let _ = write!(text, "{:<28} {min:>9.1} {median:>9.1} {p99:>9.1}   ", row.name);
            if let Some(operations) = operations {
                let share = operations / (median * 1e-3) / peak * 100.0;
                let _ = write!(text, " {:>7.1} {share:>9.0} %", operations / 1e9);
            }
            text.push('\n');
        }
        let frame = measured.frame_ms();
        let _ = writeln!(
            text,
            "\nframe {frame:.0} ms, {:.2} x its arithmetic at the peak",
            frame / measured.ideal_ms(peak)
        );
        if !growth.is_empty() {
            let _ = writeln!(
                text,
                "\n{:>12} {:>9} {:>9} {:>9} ms {:>15}",
                "image tokens", "vision", "text", "frame", "of peak"
            );
        }
        for at in growth {
            let [_, vision, words, _] = &at.rows;
            let [vision, words] = [vision, words].map(|row| row.milliseconds()[1]);
            let (frame, share) = (at.frame_ms(), at.ideal_ms(peak) / at.frame_ms() * 100.0);
            let _ =
                writeln!(text, "{:>12} {vision:>9.1} {words:>9.1} {frame:>9.1}    {share:>13.0} %", at.image_tokens);
        }
        if let Some((now, highest)) = resident_mib() {
            let _ = writeln!(text, "\nresident {now} MiB, at most {highest} MiB");
        }
        text
    }

    /// For programs.
    pub fn json(&self, measured: &Measured, growth: &[Measured]) -> String {
        let stages: serde_json::Map<_, _> = measured
            .stages()
            .map(|(row, operations)| {
                let [min, median, p99] = row.milliseconds();
                let stage = json!({ "min_ms": min, "median_ms": median, "p99_ms": p99, "operations": operations });
                (row.name.to_string(), stage)
            })
            .collect();
        let of_size = |at: &Measured| {
            let operations: f64 = at.operations.iter().take(3).flatten().sum();
            json!({ "image_tokens": at.image_tokens, "frame_ms": at.frame_ms(), "operations": operations })
        };
        let memory = resident_mib();
        json!({
            "stages": stages,
            "frame_ms": measured.frame_ms(),
            "times_its_arithmetic": measured.frame_ms() / measured.ideal_ms(self.peak),
            "gemm_peak_operations_per_s": self.peak,
            "growth": growth.iter().map(of_size).collect::<Vec<_>>(),
            "resident_mib": memory.map(|(now, _)| now),
            "highest_resident_mib": memory.map(|(_, highest)| highest),
        })
        .to_string()
            + "\n"
    }

    /// For people who would rather look.
    pub fn chart(&self, measured: &Measured) -> StageChart {
        let bar = |(row, operations): (&Row, Option<f64>)| StageBar {
            name: row.name.into(),
            milliseconds: row.milliseconds(),
            ideal: operations.map(|operations| operations / self.peak * 1e3),
        };
        StageChart {
            title: format!("A frame of the shape {}", self.shape),
            subtitle: format!(
                "random weights, {} tokens, f32 products at most {:.0} GF/s",
                measured.sequence,
                self.peak / 1e9
            ),
            stages: measured.stages().map(bar).collect(),
        }
    }
}
