//! What a transition log holds, and what it has lost.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::log_page::LogPage;
use super::report::Report;
use crate::cli::Outcome;
use crate::cli::progress::counting_bar;
use crate::transition::{LoggedEpisode, TransitionError, logs_in};

/// Whether a path is a transition log, or a folder of such.
pub fn is_log(path: &Path) -> bool {
    let is_mcap = |path: &Path| path.extension().is_some_and(|extension| extension == "mcap");
    if path.is_dir() {
        return logs_in(path).is_ok_and(|found| !found.episodes.is_empty());
    }
    is_mcap(path)
}

/// Sessions, steps, episodes and damage. A page is given all of it, too.
pub fn report(path: &Path, mut page: Option<&mut LogPage>) -> anyhow::Result<(Report, Outcome)> {
    let found = logs_in(path)?;
    if found.episodes.is_empty() {
        let nothing = TransitionError::NotALog { path: path.to_owned(), problem: "there is none in it".to_owned() };
        return Err(found.refused.into_iter().next().map_or(nothing, |(_, error)| error).into());
    }
    let mut lost = !found.refused.is_empty();
    let mut properties = Map::new();
    let (mut steps, mut sessions) = (0, BTreeMap::<(String, String, String), u64>::new());
    let mut listed = Vec::new();
    let bar = counting_bar(found.episodes.len() as u64, "episodes");
    for files in &found.episodes {
        let episode = bar.suspend(|| files.read())?;
        let session = &episode.session;
        let key = (session.planner.clone(), session.policy.0.clone(), session.extractor.0.clone());
        *sessions.entry(key).or_default() += 1;
        steps += episode.steps.len();
        lost |= !episode.damage.is_empty();
        if listed.is_empty() {
            properties.insert("parameters".into(), json!(session.parameters));
            properties.insert("feature_length".into(), session.feature_length.into());
        }
        if let Some(page) = &mut page {
            page.add(&episode)?;
        }
        listed.push(episode_properties(&episode));
        bar.inc(1);
    }
    bar.finish_and_clear();
    properties.insert("episodes".into(), found.episodes.len().into());
    properties.insert("steps".into(), steps.into());
    let sessions = sessions.into_iter().map(|((planner, policy, extractor), episodes)| {
        json!({ "planner": planner, "policy": policy, "extractor": extractor, "episodes": episodes })
    });
    match listed.as_slice() {
        [Value::Object(only)] => properties.extend(only.clone()),
        _ => {
            properties.insert("sessions".into(), sessions.collect());
            properties.insert("logs".into(), Value::Array(listed));
        }
    }
    if let Some(page) = page {
        page.refused(found.refused.iter().map(|(_, error)| error.to_string()));
    }
    if !found.refused.is_empty() {
        let refused = found.refused.iter().map(|(_, error)| Value::from(error.to_string()));
        properties.insert("unreadable_files".into(), refused.collect());
    }
    let report = Report {
        path: path.display().to_string(),
        kind: "transition log",
        properties,
        parts: Vec::new(),
        parameters: 0,
        summary: None,
    };
    Ok((report, if lost { Outcome::DataLost } else { Outcome::Complete }))
}

fn episode_properties(episode: &LoggedEpisode) -> Value {
    let session = &episode.session;
    let (steps, damage) = (&episode.steps, &episode.damage);
    let reward: f64 = steps.iter().map(|step| f64::from(step.reward)).sum();
    let last = steps.last();
    let seconds = steps.first().zip(last).map_or(0.0, |(first, last)| last.stamp.seconds_since(first.stamp));
    json!({
        "episode": session.episode,
        "planner": session.planner,
        "policy": session.policy.0,
        "extractor": session.extractor.0,
        "files": episode.files().iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "steps": steps.len(),
        "seconds": (seconds * 1e3).round() / 1e3,
        "ending": last.map(|last| last.ending.name()),
        "reward": (reward * 1e3).round() / 1e3,
        "damage": damage.to_string(),
        "lost_bytes": damage.lost_bytes,
        "lost_steps": damage.lost_steps,
        "refused_records": damage.refused_records(),
        "cut_files": damage.cut_files,
        "without_end": damage.without_end,
    })
}
