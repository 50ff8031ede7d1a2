//! Whole decisions with a checkpoint's model, stage by stage.

use std::fmt::Write as _;
use std::path::Path;

use super::super::infer::read_frame;
use super::super::model_args::missing;
use super::super::progress::counting_bar;
use super::memory::resident_mib;
use super::{BenchArgs, Row, as_json, as_table};
use crate::frame::{BodyVelocity, Frame};
use crate::picture::{StageBar, StageChart, plot_stages};
use crate::tuner::{Stage, StageTimes, Tuner};

/// Times of decisions; with `--compare-prefix` also what the remembered prefix saves and changes.
struct Measured {
    rows: Vec<Row>,
    /// Largest difference between the features with and without the remembered prefix.
    prefix_difference: Option<f32>,
}

/// Measures and reports.
pub(super) fn bench(args: &BenchArgs) -> anyhow::Result<String> {
    args.model.required()?;
    let image = args.image.as_deref().ok_or_else(|| missing("--image <FILE>"))?;
    let measured = measure(args, &mut args.model.load()?, image)?;
    if let Some(path) = &args.chart {
        let title = format!("A decision on {}", image.display());
        let subtitle = format!("{} decisions; a frame that is the same as the last: decoding left out", args.runs);
        let bar = |row: &Row| StageBar { name: row.name.into(), milliseconds: row.milliseconds(), ideal: None };
        plot_stages(path, &StageChart { title, subtitle, stages: measured.rows.iter().map(bar).collect() })?;
    }
    let memory = resident_mib();
    if args.json {
        let more = serde_json::json!({
            "prefix_feature_difference": measured.prefix_difference,
            "resident_mib": memory.map(|(now, _)| now),
            "highest_resident_mib": memory.map(|(_, highest)| highest),
        });
        return Ok(as_json(&measured.rows, args.runs, more));
    }
    let mut text = as_table(&measured.rows, args.runs, "decisions");
    if let Some(difference) = measured.prefix_difference {
        let _ = writeln!(text, "\nthe feature without the remembered prefix differs by {difference:.1e} at most");
    }
    if let Some((now, highest)) = memory {
        let _ = writeln!(text, "\nresident {now} MiB, at most {highest} MiB");
    }
    Ok(text)
}

fn measure(args: &BenchArgs, tuner: &mut Tuner, image: &Path) -> anyhow::Result<Measured> {
    // The first decision makes masks, rotary tables and buffers.
    decide(tuner, image)?;
    let bar = counting_bar(args.runs.into(), "decisions");
    let (mut all, mut again, mut afresh) = (Vec::new(), Vec::new(), Vec::new());
    let mut prefix_difference = None;
    for _ in 0..args.runs {
        tuner.forget_last_frame();
        let (feature, times) = decide(tuner, image)?;
        all.push(times);
        again.push(decide(tuner, image)?.1);
        if args.compare_prefix {
            tuner.forget_last_frame();
            tuner.remember_prefix(false);
            let (whole, times) = decide(tuner, image)?;
            tuner.remember_prefix(true);
            afresh.push(times);
            let distances = feature.iter().zip(&whole).map(|(a, b)| (a - b).abs());
            prefix_difference = Some(distances.fold(prefix_difference.unwrap_or_default(), f32::max));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let stage = |stage: Stage| Row::new(stage.name(), all.iter().map(|times| times.of(stage)).collect());
    let mut rows: Vec<Row> = Stage::ALL.into_iter().map(stage).collect();
    rows.push(Row::new("total", all.iter().map(StageTimes::total).collect()));
    let without_decoding = |times: &StageTimes| times.total().saturating_sub(times.of(Stage::Decode));
    rows.push(Row::new("same frame", again.iter().map(without_decoding).collect()));
    if args.compare_prefix {
        let text = afresh.iter().map(|times| times.of(Stage::Text)).collect();
        rows.push(Row::new("text, prefix not remembered", text));
    }
    Ok(Measured { rows, prefix_difference })
}

/// The feature, and where the time went.
fn decide(tuner: &mut Tuner, image: &Path) -> anyhow::Result<(Vec<f32>, StageTimes)> {
    let mut times = StageTimes::default();
    let frame: Frame = times.measure(Stage::Decode, || read_frame(image))?;
    let encoded = times.measure(Stage::History, || tuner.encode_for_history(&frame))?;
    let past: Vec<_> = tuner.history_offsets().iter().filter_map(|_| encoded.clone()).collect();
    let decision = tuner.decide(&frame, BodyVelocity::new(0.5, 0.0)?, &past)?;
    for stage in Stage::ALL {
        times.add(stage, decision.times.of(stage));
    }
    Ok((decision.extracted.feature.values().to_vec(), times))
}
