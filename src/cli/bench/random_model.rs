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
use crate::vision_language::processor::{ImageProcessor, PreprocessorConfig, TokenizedPrompt};
use crate::vision_language::{ModelConfig, Precision, VisionLanguageModel};
use crate::weights::{MemoryBudget, RandomWeights};

/// Tokens before and after the image, as in the original's prompt.
const PROMPT_TOKENS: (usize, usize) = (205, 66);

/// Measures `runs` frames of 600x400 pixels and reports each stage.
pub fn bench(shape: &str, args: &ModelArgs, runs: u32, as_json: bool) -> anyhow::Result<String> {
    let config = match operations::built_in(shape) {
        Some(config) => config,
        None => ModelConfig::load(Path::new(shape))?,
    };
    let device = args.device.open()?;
    let precision = Precision::new(&device, args.dtype).quantised(args.quantize);
    let plan = VisionLanguageModel::plan(&config, precision)?;
    if let (true, Some(memory)) = (device.is_cpu(), MemoryBudget::of_this_machine()) {
        memory.check(&plan, shape)?;
    }
    let weights = Arc::new(RandomWeights::new(plan));
    let model = VisionLanguageModel::load(config.clone(), weights, precision, &device)?;

    let mut processor = ImageProcessor::new(PreprocessorConfig::from_json("built-in", b"{}")?);
    let frame = Frame::from_rgb8(600, 400, (0..600 * 400 * 3).map(|byte| (byte % 251) as u8).collect())?;
    let mut times = Times::default();
    // The first frame makes tables and the prefix; it is not counted.
    let (image_tokens, grid) = times.run(&model, &mut processor, &frame)?;
    times = Times::default();
    for _ in 0..runs {
        times.run(&model, &mut processor, &frame)?;
    }
    let (before, after) = PROMPT_TOKENS;
    let sequence = before + image_tokens + after;
    let operations = [
        None,
        Some(operations::vision(&config.vision, grid.0, grid.1)),
        Some(operations::text(&config.text, image_tokens + after, sequence)),
        Some(operations::text(&config.text, sequence, sequence)),
    ];
    let peak = gemm_peak()?;
    let rows = times.rows();
    Ok(if as_json { json_report(&rows, operations, peak) } else { table(shape, sequence, &rows, operations, peak) })
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

fn table(shape: &str, sequence: usize, rows: &[Row; 4], operations: [Option<f64>; 4], peak: f64) -> String {
    let mut text = format!("{shape}, random weights, {sequence} tokens; f32 product peak {:.0} GF/s\n\n", peak / 1e9);
    let _ =
        writeln!(text, "{:<28} {:>9} {:>9} {:>9} ms {:>7} {:>10}", "stage", "min", "median", "p99", "GF", "of peak");
    let mut frame_ms = 0.0;
    for (row, operations) in rows.iter().zip(operations) {
        let [min, median, p99] = row.milliseconds();
        let _ = write!(text, "{:<28} {min:>9.1} {median:>9.1} {p99:>9.1}   ", row.name);
        if let Some(operations) = operations {
            let share = operations / (median * 1e-3) / peak * 100.0;
            let _ = write!(text, " {:>7.1} {share:>9.0} %", operations / 1e9);
        }
        text.push('\n');
        if !row.name.contains("not remembered") {
            frame_ms += median;
        }
    }
    let ideal: f64 = operations.iter().take(3).flatten().sum::<f64>() / peak * 1e3;
    let _ = writeln!(text, "\nframe {frame_ms:.0} ms, {:.2} x its arithmetic at the peak", frame_ms / ideal);
    if let Some((now, highest)) = resident_mib() {
        let _ = writeln!(text, "resident {now} MiB, at most {highest} MiB");
    }
    text
}

fn json_report(rows: &[Row; 4], operations: [Option<f64>; 4], peak: f64) -> String {
    let stages: serde_json::Map<_, _> = rows
        .iter()
        .zip(operations)
        .map(|(row, operations)| {
            let [min, median, p99] = row.milliseconds();
            let stage = json!({ "min_ms": min, "median_ms": median, "p99_ms": p99, "operations": operations });
            (row.name.to_string(), stage)
        })
        .collect();
    let memory = resident_mib();
    json!({
        "stages": stages,
        "gemm_peak_operations_per_s": peak,
        "resident_mib": memory.map(|(now, _)| now),
        "highest_resident_mib": memory.map(|(_, highest)| highest),
    })
    .to_string()
        + "\n"
}
