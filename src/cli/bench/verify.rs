//! Whether a device computes what the CPU computes, and what it costs: for the first run on a new machine.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::json;

use super::super::infer::read_frame;
use super::super::model_args::missing;
use super::super::progress::counting_bar;
use super::{BenchArgs, Row, as_table};
use crate::device::GpuFacts;
use crate::frame::{BodyVelocity, Frame};
use crate::tuner::{Compute, DeviceChoice, QuantizeChoice, Stage, StageTimes, Tuner, TunerOptions};
use crate::vision_language::WeightFormat;
use crate::vision_language::hub::HubEnvironment;
use crate::vision_language::kernels::DeviceTrial;

/// How a model is computed, and how far its feature may lie from the CPU's, as a share of the feature's largest number.
struct Form {
    name: &'static str,
    format: WeightFormat,
    quantize: QuantizeChoice,
    bar: f32,
}

/// The CPU computes with the same weights, in f32: f32 then differs by the order of sums, and bf16 by what is rounded after each
/// layer. NF4 differs by more: a GPU rounds the widened weights to bf16 for its tensor cores, a CPU does not.
const FORMS: [Form; 3] = [
    Form { name: "f32", format: WeightFormat::F32, quantize: QuantizeChoice::None, bar: 1e-3 },
    Form { name: "bf16", format: WeightFormat::Bf16, quantize: QuantizeChoice::None, bar: 2e-2 },
    Form { name: "nf4", format: WeightFormat::Bf16, quantize: QuantizeChoice::Nf4, bar: 5e-2 },
];

/// What a model makes of the picture.
struct Seen {
    feature: Vec<f32>,
    times: StageTimes,
}

/// One form of the model on the device.
struct Verified {
    form: &'static Form,
    /// Largest difference of the feature from the CPU's, as a share of its largest number.
    difference: f32,
    rows: Vec<Row>,
    /// Free memory of the GPU in MiB: before loading, after the first decision, after a tenth of the runs, at the end.
    free_mib: Option<[u64; 4]>,
}

/// Measures and reports.
///
/// # Errors
/// What cannot be loaded or computed.
pub(super) fn verify(args: &BenchArgs) -> anyhow::Result<(String, bool)> {
    args.model.required()?;
    let image = args.image.as_deref().ok_or_else(|| missing("--image <FILE>"))?;
    let frame = read_frame(image)?;
    let device = args.model.compute.device;
    let kernels = DeviceTrial::run(&device.open()?)?;
    let verified = FORMS
        .iter()
        .map(|form| verify_form(args, form, &frame).with_context(|| format!("{} on {device}", form.name)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let gpu = GpuFacts::of(&device.open()?);
    let text = match args.json {
        true => as_json(args, gpu.as_ref(), kernels, &verified),
        false => report(args, gpu.as_ref(), kernels, &verified),
    };
    Ok((text, all_passed(kernels, &verified)))
}

impl Verified {
    fn passed(&self) -> bool {
        self.difference < self.form.bar
    }
}

fn load(args: &BenchArgs, form: &Form, device: DeviceChoice) -> anyhow::Result<Tuner> {
    let mut spec = args.model.spec()?;
    spec.quantize = form.quantize;
    let compute = Compute { device, format: Some(form.format) };
    Ok(TunerOptions::open(spec, compute, &HubEnvironment::from_env())?.load(None)?)
}

fn verify_form(args: &BenchArgs, form: &'static Form, frame: &Frame) -> anyhow::Result<Verified> {
    let expected = see(&mut load(args, form, DeviceChoice::Cpu)?, frame)?.feature;
    let device = args.model.compute.device;
    let opened = device.open()?;
    let free = || GpuFacts::of(&opened).map_or(0, |gpu| gpu.free_bytes >> 20);
    let before = free();
    let mut tuner = load(args, form, device)?;
    tuner.warm_up()?;
    let found = see(&mut tuner, frame)?.feature;
    let mut free_mib = [before, free(), 0, 0];
    tuner.wait_for_stages(true);
    let bar = counting_bar(args.runs.into(), form.name);
    let mut all = Vec::new();
    for run in 0..args.runs {
        tuner.forget_last_frame();
        all.push(see(&mut tuner, frame)?.times);
        if run == args.runs / 10 {
            free_mib[2] = free();
        }
        bar.inc(1);
    }
    free_mib[3] = free();
    bar.finish_and_clear();
    let stage = |stage: Stage| Row::new(stage.name(), all.iter().map(|times| times.of(stage)).collect());
    let mut rows: Vec<Row> = Stage::ALL.into_iter().map(stage).collect();
    rows.push(Row::new("total", all.iter().map(StageTimes::total).collect()));
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let distances = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs() / largest);
    Ok(Verified {
        form,
        difference: distances.fold(0.0, f32::max),
        rows,
        free_mib: GpuFacts::of(&opened).map(|_| free_mib),
    })
}

/// A decision on the picture, which is its own past.
fn see(tuner: &mut Tuner, frame: &Frame) -> anyhow::Result<Seen> {
    let encoded = tuner.encode_for_history(frame)?;
    let past: Vec<_> = tuner.history_offsets().iter().filter_map(|_| encoded.clone()).collect();
    let decision = tuner.decide(frame, BodyVelocity::new(0.5, 0.0)?, &past)?;
    Ok(Seen { feature: decision.extracted.feature.values().to_vec(), times: decision.times })
}

fn all_passed(kernels: DeviceTrial, verified: &[Verified]) -> bool {
    kernels.passed() && verified.iter().all(Verified::passed)
}

fn verdict(passed: bool) -> &'static str {
    if passed { "ok" } else { "TOO FAR" }
}

fn report(args: &BenchArgs, gpu: Option<&GpuFacts>, kernels: DeviceTrial, verified: &[Verified]) -> String {
    let device = args.model.compute.device;
    let mut text = match gpu {
        Some(GpuFacts { name, compute_capability: (major, minor), total_bytes, .. }) => {
            format!("{device}: {name}, compute capability {major}.{minor}, {} MiB\n", total_bytes >> 20)
        }
        None => format!("{device}\n"),
    };
    let DeviceTrial { nf4_values, nf4_differing, attention_difference, bf16_attention_difference } = kernels;
    let _ = writeln!(text, "NF4 to bf16: {nf4_differing} of {nf4_values} values differ from the plain operations'");
    let _ = writeln!(text, "attention in f32: {attention_difference:.1e} off, bar {:.0e}", DeviceTrial::ATTENTION_BAR);
    let (off, bar) = (bf16_attention_difference, DeviceTrial::BF16_BAR);
    let _ = writeln!(text, "attention in bf16: {off:.1e} of its largest number off, bar {bar:.0e}");
    for form in verified {
        let Verified { form: Form { name, bar, .. }, difference, rows, free_mib } = form;
        let so = verdict(form.passed());
        let _ =
            writeln!(text, "\n{name}: the feature is {difference:.1e} of its largest number off, bar {bar:.0e}: {so}");
        text.push_str(&as_table(rows, args.runs, "decisions"));
        if let Some([before, loaded, early, end]) = free_mib {
            let (took, grown) = (before.saturating_sub(*loaded), early.saturating_sub(*end));
            let _ = writeln!(text, "memory: {took} MiB with the first decision, {grown} MiB more at the end");
        }
    }
    text
}

fn as_json(args: &BenchArgs, gpu: Option<&GpuFacts>, kernels: DeviceTrial, verified: &[Verified]) -> String {
    let stage = |row: &Row| {
        let [min, median, p99] = row.milliseconds();
        (row.name.to_owned(), json!({ "min_ms": min, "median_ms": median, "p99_ms": p99 }))
    };
    let forms = verified.iter().map(|form| {
        json!({
            "form": form.form.name,
            "feature_difference": form.difference,
            "bar": form.form.bar,
            "passed": form.passed(),
            "stages": form.rows.iter().map(stage).collect::<serde_json::Map<_, _>>(),
            "free_mib": form.free_mib,
        })
    });
    let gpu = gpu.map(|gpu| {
        json!({
            "name": gpu.name,
            "compute_capability": [gpu.compute_capability.0, gpu.compute_capability.1],
            "total_mib": gpu.total_bytes >> 20,
        })
    });
    let object = json!({
        "device": args.model.compute.device.to_string(),
        "gpu": gpu,
        "runs": args.runs,
        "nf4_to_bf16": { "values": kernels.nf4_values, "differing": kernels.nf4_differing },
        "attention": { "difference": kernels.attention_difference, "bar": DeviceTrial::ATTENTION_BAR },
        "attention_bf16": { "difference": kernels.bf16_attention_difference, "bar": DeviceTrial::BF16_BAR },
        "forms": forms.collect::<Vec<_>>(),
        "passed": all_passed(kernels, verified),
    });
    object.to_string() + "\n"
}
