//! The files that a replay leaves behind.

use std::path::PathBuf;

use anyhow::Context as _;
use planner_tuner_core::durable::replace_file;
use serde_json::json;

use super::page::{Ending, ReplayPage};
use super::{ReplayArgs, ReplayedDecision};
use crate::cli::viewers::Viewers;
use crate::frame::PngEffort;
use crate::page::counted;
use crate::picture::{self, DecisionSeries, PlottedDecision};
use crate::planner::PlannerSpec;
use crate::viewer::decision_messages;

/// The plot, the page and the viewers, where they are asked for.
pub struct Outputs {
    plot: Option<DecisionSeries>,
    page: Option<ReplayPage>,
    viewers: Viewers,
}

impl Outputs {
    /// Begins the files.
    ///
    /// # Errors
    /// When the MCAP file cannot be written, or the live view cannot be opened.
    pub fn create(args: &ReplayArgs, planner: &PlannerSpec) -> anyhow::Result<Self> {
        Ok(Self {
            plot: args.plot.is_some().then(DecisionSeries::default),
            page: args.html.is_some().then(|| ReplayPage::new(planner)),
            viewers: args.viewers.open()?,
        })
    }

    /// Adds a decision to each.
    ///
    /// # Errors
    /// When the MCAP file cannot be written, or a picture cannot be made.
    pub fn add(&mut self, replayed: &ReplayedDecision) -> anyhow::Result<()> {
        let ReplayedDecision { frame, velocity, age_s, decision } = replayed;
        if let Some(series) = &mut self.plot {
            let (stamp, parameters) = (frame.stamp, decision.parameters().clone());
            series.decisions.push(PlottedDecision { stamp, velocity: *velocity, parameters });
            series.frames.push(frame.clone());
        }
        if let Some(page) = &mut self.page {
            page.add(replayed)?;
        }
        if self.viewers.is_there_one() {
            let overlay = picture::attention_overlay(&frame.frame, &decision.attention_map)?;
            let message = json!({
                "parameters": decision.parameters(),
                "linear_vel": velocity.linear(),
                "angular_vel": velocity.angular(),
                "age_s": age_s,
                "time_ms": decision.times.total().as_secs_f64() * 1e3,
            });
            for message in decision_messages(frame.stamp, &overlay.to_png(PngEffort::Small)?, &message)? {
                self.viewers.show(&message)?;
            }
        }
        Ok(())
    }

    /// Draws the plot, writes the page and closes the MCAP file. Tells where the picture is, if one was drawn.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(
        self,
        args: &ReplayArgs,
        planner: &PlannerSpec,
        ending: &Ending<'_>,
    ) -> anyhow::Result<Option<PathBuf>> {
        self.viewers.finish()?;
        let title = format!("{} parameters", planner.name());
        if let (Some(page), Some(path)) = (self.page, &args.html) {
            let html = page.finish(&title, &subtitle(args, ending.summary.decisions())?, ending);
            replace_file(path, html.as_bytes())
                .with_context(|| format!("--html {}: cannot be written", path.display()))?;
            log::info!("wrote {}", path.display());
        }
        let (Some(mut series), Some(path)) = (self.plot, &args.plot) else { return Ok(None) };
        if series.decisions.is_empty() {
            log::warn!("no decisions, so {} was not drawn", path.display());
            return Ok(None);
        }
        series.title = title;
        series.subtitle = subtitle(args, series.decisions.len())?;
        picture::plot_decisions(path, &series)?;
        Ok(Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())))
    }
}

/// What was replayed, in a line.
fn subtitle(args: &ReplayArgs, decisions: usize) -> anyhow::Result<String> {
    let recording = args.recording()?.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok([recording.unwrap_or_default(), counted(decisions, "decision")].join(" · "))
}
