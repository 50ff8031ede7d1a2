//! Episodes that the tests make up: small frames, short features, numbers that tell which step they belong to.
#![allow(clippy::unwrap_used, dead_code)]

use std::path::Path;
use std::sync::Arc;

use vlm_planner_tuner::drive::{Pose, Position};
use vlm_planner_tuner::frame::{BodyVelocity, Frame, Stamp};
use vlm_planner_tuner::identity::{ExtractorId, PolicyId};
use vlm_planner_tuner::numbers::Action;
use vlm_planner_tuner::numbers::Feature;
use vlm_planner_tuner::transition::log::{FolderStore, Placement, Rotation};
use vlm_planner_tuner::transition::{
    ChosenController, Ending, EpisodeWriter, FrameNumber, LogHead, ParameterOutcome, RewardTerms, RewardWeights,
    SentParameter, Session, Step,
};

pub const FEATURE: usize = 5;
pub const PARAMETERS: [&str; 3] = ["max_vel_x", "vx_samples", "inflation_radius"];

pub fn head(episode: &str) -> LogHead {
    let session = Session {
        episode: episode.to_owned(),
        planner: "DWA".to_owned(),
        parameters: PARAMETERS.map(str::to_owned).to_vec(),
        feature_length: FEATURE,
        policy: PolicyId("a".repeat(64)),
        extractor: ExtractorId("b".repeat(64)),
    };
    LogHead { session, weights: RewardWeights::default() }
}

/// Two steps a second.
pub fn stamp(index: u64) -> Stamp {
    Stamp::from_nanos(1_700_000_000_000_000_000 + index as i64 * 500_000_000)
}

pub fn step(index: u64, ending: Ending) -> Step {
    let number = index as f32;
    let feature =
        |offset: f32| Feature::from_values((0..FEATURE).map(|i| (number + offset + i as f32) * 0.1).collect());
    let terms = RewardTerms {
        progress_m: (!index.is_multiple_of(3)).then_some(0.1 * index as f64),
        nearest_laser_m: (!index.is_multiple_of(2)).then_some(0.3),
        success: ending == Ending::Success,
        collision: ending == Ending::Collision,
        time_out: false,
    };
    Step {
        stamp: stamp(index),
        index,
        frame: FrameNumber(index),
        velocity: BodyVelocity::new(0.1 * (index % 20) as f64, -0.3).unwrap(),
        pose: (index % 4 != 1).then_some(Pose { position: Position { x: 0.1 * index as f64, y: 1.0 / 3.0 }, yaw: 0.7 }),
        goal: (index % 4 != 1).then_some(Position { x: 10.0, y: 0.1 }),
        feature: feature(0.0).unwrap(),
        action: Action::from_values(vec![0.1, -1.0, (number * 0.37).sin()]).unwrap(),
        noise: vec![0.0, 0.2, -1.5e-7],
        explored: Action::from_values(vec![0.1, -0.8, (number * 0.37).sin()]).unwrap(),
        parameters: PARAMETERS
            .iter()
            .zip([0.1 + 0.2, 7.0, 0.3 + index as f64 * 1e-9])
            .map(|(name, value)| SentParameter { name: (*name).to_owned(), value, outcome: ParameterOutcome::Stored })
            .collect(),
        controller: (index % 4 == 2).then(|| ChosenController {
            id: format!("FollowPath{}", index % 3),
            values: PARAMETERS.iter().map(|name| ((*name).to_owned(), 0.1 + index as f64 * 1e-9)).collect(),
        }),
        terms,
        reward: RewardWeights::default().reward(&terms),
        ending,
        next_feature: ending.truncated().then(|| feature(1.0).unwrap()),
    }
}

/// The frame of a step: 6x4, different for every step.
pub fn frame(index: u64) -> Frame {
    Frame::from_rgb8(6, 4, (0..6 * 4 * 3).map(|position| (position * 3 + index * 5) as u8).collect()).unwrap()
}

/// `count` steps, the last of which ends the episode.
pub fn steps(count: u64, ending: Ending) -> Vec<Step> {
    (0..count).map(|index| step(index, if index + 1 == count { ending } else { Ending::Continues })).collect()
}

pub fn writer(folder: &Path, episode: &str, rotation: Rotation) -> EpisodeWriter {
    let store = FolderStore::open(folder, Placement::AtOnce).unwrap();
    EpisodeWriter::new(Arc::new(store), Arc::new(head(episode)), rotation).unwrap()
}

/// Writes an episode, committed after every `flush_every` steps.
pub fn write(folder: &Path, episode: &str, steps: &[Step], flush_every: usize) {
    let mut log = writer(folder, episode, Rotation::default());
    for (number, step) in steps.iter().enumerate() {
        log.write(step, &frame(step.frame.0)).unwrap();
        if (number + 1) % flush_every == 0 {
            log.flush().unwrap();
        }
    }
    log.finish_part().unwrap();
}
