//! Pictures of drives with what rules say to them: the folder that `finetune` reads.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::policies::Policy;
use super::workers::{Done, all_of};
use super::worlds::ChosenWorld;
use crate::cli::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::counting_bar;
use crate::frame::PngEffort;
use crate::planner::PlannerParameters;
use crate::simulated::{ExpertRules, LabelledFrame, Labeller, Latency, SimulatedError, Watched};
use crate::simulation::drive::{DriveSettings, Moment, drive};
use planner_tuner_core::durable::{replace_file, sync_folder};

/// The table in the folder.
const TABLE: &str = "frames.csv";
/// Drives are that long apart in the table's time, s: `replay` takes the table for one recording.
const APART_S: f64 = 1000.0;

/// Who drives, who labels, and where it goes.
pub struct Labelling<'a> {
    pub policy: &'a Policy,
    pub rules: &'a ExpertRules,
    pub settings: DriveSettings,
    pub latency: Latency,
    pub folder: &'a Path,
    pub workers: Option<NonZeroUsize>,
}

/// One drive.
struct Job<'a> {
    chosen: &'a ChosenWorld,
    seed: u64,
    /// The name of its run.
    run: String,
}

/// A picture that is written, and its row but for the run.
struct Row {
    file: String,
    time_s: f64,
    linear: f64,
    angular: f64,
    parameters: PlannerParameters,
}

impl Labelling<'_> {
    /// Drives through every world with every seed. The table is written last: a folder without one was not finished.
    ///
    /// # Errors
    /// A folder that cannot be made, and a table that cannot be written. A drive that fails is counted.
    pub fn run(&self, worlds: &[ChosenWorld], seeds: &[u64]) -> anyhow::Result<Outcome> {
        std::fs::create_dir_all(self.folder)
            .with_context(|| format!("--frames {}: cannot be made", self.folder.display()))?;
        let job = |seed: u64, chosen| Job { chosen, seed, run: run_of(chosen, seed) };
        let jobs: Vec<Job<'_>> =
            seeds.iter().flat_map(|seed| worlds.iter().map(move |chosen| job(*seed, chosen))).collect();
        let bar = counting_bar(jobs.len() as u64, "drives");
        let interrupt = Interrupt::listen()?;
        let Done { results, lost } = all_of(&jobs, self.workers, (&interrupt, &bar), |job| self.one(job));
        bar.finish_and_clear();
        let done = results.iter().flatten().count();
        let runs = jobs.iter().zip(results).filter_map(|(job, rows)| Some((job.run.as_str(), rows?)));
        let (table, rows) = table_of(runs)?;
        let path = self.folder.join(TABLE);
        replace_file(&path, &table).with_context(|| format!("{}: cannot be written", path.display()))?;
        sync_folder(self.folder).with_context(|| format!("{}: cannot be written", self.folder.display()))?;
        log::info!("wrote {rows} labelled pictures of {done} drives by {} to {}", self.policy.name(), path.display());
        if let Some(code) = interrupt.asked() {
            log::warn!("stopped after {done} of {} drives; the table is of these", jobs.len());
            return Ok(Outcome::Interrupted(code));
        }
        Ok(if lost == 0 { Outcome::Complete } else { Outcome::DataLost })
    }

    fn one(&self, job: &Job<'_>) -> Result<Vec<Row>, SimulatedError> {
        let mut rows = Vec::new();
        let mut labeller = Labeller::new(self.rules);
        let keep = |moment: &Moment<'_>| {
            let LabelledFrame { time_s, frame, velocity, parameters } = labeller.label(moment)?;
            let file = format!("{}_{:04}.png", job.run, rows.len());
            let path: PathBuf = self.folder.join(&file);
            let png = frame.to_png(PngEffort::Quick)?;
            std::fs::write(&path, png).map_err(|source| SimulatedError::Write { path, source })?;
            rows.push(Row { file, time_s, linear: velocity.linear, angular: velocity.angular, parameters });
            Ok(())
        };
        self.policy.with_tuner(&job.chosen.world, self.latency, job.seed, |driver| {
            drive(&job.chosen.world, &self.settings, job.seed, &mut Watched::new(driver, keep))
        })?;
        Ok(rows)
    }
}

/// The name of a run, which is part of file names.
fn run_of(chosen: &ChosenWorld, seed: u64) -> String {
    let world: String =
        chosen.world.name().chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    format!("{world}_{seed}")
}

/// The table, and how many rows it has.
fn table_of<'a>(runs: impl Iterator<Item = (&'a str, Vec<Row>)>) -> anyhow::Result<(Vec<u8>, usize)> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut count = 0;
    for (number, (run, rows)) in runs.enumerate() {
        for row in &rows {
            let parameters = || row.parameters.iter();
            if count == 0 {
                let names = parameters().map(|(parameter, _)| parameter.name());
                table
                    .write_record(["file", "run_id", "time_s", "linear_vel", "angular_vel"].into_iter().chain(names))?;
            }
            let time_s = number as f64 * APART_S + row.time_s;
            let fixed = [row.file.clone(), run.to_owned(), format!("{time_s:.3}")];
            let velocity = [row.linear, row.angular].map(|value| format!("{value:.4}"));
            let values = parameters().map(|(_, value)| format!("{:.5}", value));
            table.write_record(fixed.into_iter().chain(velocity).chain(values))?;
            count += 1;
        }
    }
    Ok((table.into_inner()?, count))
}
