//! A step as one JSON object, with numbers that read back to the bit and names that can be plotted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::step_fault::{StepFault, UnknownName};
use crate::drive::{Pose, Position};
use crate::transition::{
    ChosenController, Ending, FrameNumber, LogHead, ParameterOutcome, RewardTerms, SentParameter, Session, Step,
    Truncation,
};
use planner_tuner_core::frame::{BodyVelocity, Stamp};
use planner_tuner_core::numbers::Action;
use planner_tuner_core::numbers::Feature;

/// The fields in the order they are written.
#[derive(Serialize, Deserialize)]
struct StepRecord {
    stamp_ns: i64,
    episode: String,
    index: u64,
    frame: u64,
    linear_vel: f64,
    angular_vel: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pose: Option<PoseRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<GoalRecord>,
    action: Vec<f32>,
    noise: Vec<f32>,
    explored: Vec<f32>,
    parameters: Map<String, Value>,
    outcomes: Map<String, Value>,
    /// From version 0.1 on, where a bank is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<ControllerRecord>,
    terms: TermsRecord,
    reward: f32,
    terminated: bool,
    truncated: bool,
    ending: String,
    policy: String,
    extractor: String,
    feature: Vec<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_feature: Option<Vec<f32>>,
}

#[derive(Serialize, Deserialize)]
struct PoseRecord {
    x: f64,
    y: f64,
    yaw: f64,
}

#[derive(Serialize, Deserialize)]
struct ControllerRecord {
    id: String,
    values: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct GoalRecord {
    x: f64,
    y: f64,
}

#[derive(Serialize, Deserialize)]
struct TermsRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_laser_m: Option<f64>,
    collision: bool,
    success: bool,
    time_out: bool,
}

const ENDINGS: [(Ending, &str); 7] = [
    (Ending::Continues, "continues"),
    (Ending::Success, "success"),
    (Ending::Collision, "collision"),
    (Ending::Truncated(Truncation::TimeOut), "time_out"),
    (Ending::Truncated(Truncation::Gap), "gap"),
    (Ending::Truncated(Truncation::Aborted), "aborted"),
    (Ending::Truncated(Truncation::End), "end"),
];

const OUTCOMES: [(ParameterOutcome, &str); 5] = [
    (ParameterOutcome::Applied, "applied"),
    (ParameterOutcome::Stored, "stored"),
    (ParameterOutcome::Refused, "refused"),
    (ParameterOutcome::Unreachable, "unreachable"),
    (ParameterOutcome::NotSet, "not_set"),
];

impl Ending {
    /// The name in a log.
    pub fn name(self) -> &'static str {
        name_of(&ENDINGS, self)
    }
}

impl ParameterOutcome {
    /// The name in a log.
    pub fn name(self) -> &'static str {
        name_of(&OUTCOMES, self)
    }
}

fn name_of<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &'static str)], field: &str, name: &str) -> Result<T, UnknownName> {
    let found = names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value);
    found.ok_or_else(|| UnknownName::new(field, name, names.iter().map(|(_, known)| *known).collect()))
}

/// The object of a step that has been checked.
pub(super) fn to_json(step: &Step, session: &Session) -> Result<Vec<u8>, serde_json::Error> {
    let sent = &step.parameters;
    let record = StepRecord {
        stamp_ns: step.stamp.nanos(),
        episode: session.episode.clone(),
        index: step.index,
        frame: step.frame.0,
        linear_vel: step.velocity.linear(),
        angular_vel: step.velocity.angular(),
        pose: step.pose.map(|Pose { position: Position { x, y }, yaw }| PoseRecord { x, y, yaw }),
        goal: step.goal.map(|Position { x, y }| GoalRecord { x, y }),
        action: step.action.values().to_vec(),
        noise: step.noise.clone(),
        explored: step.explored.values().to_vec(),
        parameters: sent.iter().map(|sent| (sent.name.clone(), sent.value.into())).collect(),
        outcomes: sent.iter().map(|sent| (sent.name.clone(), sent.outcome.name().into())).collect(),
        controller: step.controller.as_ref().map(|ChosenController { id, values }| ControllerRecord {
            id: id.clone(),
            values: values.iter().map(|(name, value)| (name.clone(), (*value).into())).collect(),
        }),
        terms: TermsRecord {
            progress_m: step.terms.progress_m,
            nearest_laser_m: step.terms.nearest_laser_m,
            collision: step.terms.collision,
            success: step.terms.success,
            time_out: step.terms.time_out,
        },
        reward: step.reward,
        terminated: step.ending.terminated(),
        truncated: step.ending.truncated(),
        ending: step.ending.name().to_owned(),
        policy: session.policy.0.clone(),
        extractor: session.extractor.0.clone(),
        feature: step.feature.values().to_vec(),
        next_feature: step.next_feature.as_ref().map(|feature| feature.values().to_vec()),
    };
    serde_json::to_vec(&record)
}

/// The step that an object holds, not yet checked against the session's sizes.
pub(super) fn from_json(json: &[u8], head: &LogHead) -> Result<Step, StepFault> {
    let record: StepRecord = serde_json::from_slice(json)?;
    let session = &head.session;
    for (field, found, expected) in [
        ("episode", &record.episode, &session.episode),
        ("policy", &record.policy, &session.policy.0),
        ("extractor", &record.extractor, &session.extractor.0),
    ] {
        if found != expected {
            return Err(StepFault::Session { field, found: found.clone(), expected: expected.clone() });
        }
    }
    let ending = named(&ENDINGS, "ending", &record.ending).map_err(StepFault::EndingName)?;
    if (record.terminated, record.truncated) != (ending.terminated(), ending.truncated()) {
        let (terminated, truncated) = (record.terminated, record.truncated);
        return Err(StepFault::Ending { ending: record.ending, terminated, truncated });
    }
    let action = |values| Action::from_values(values).map_err(StepFault::Action);
    let feature = |values| Feature::from_values(values).map_err(StepFault::Feature);
    let velocity = BodyVelocity::new(record.linear_vel, record.angular_vel);
    let TermsRecord { progress_m, nearest_laser_m, collision, success, time_out } = record.terms;
    Ok(Step {
        stamp: Stamp::from_nanos(record.stamp_ns),
        index: record.index,
        frame: FrameNumber(record.frame),
        velocity: velocity.map_err(StepFault::Velocity)?,
        pose: record.pose.map(|PoseRecord { x, y, yaw }| Pose { position: Position { x, y }, yaw }),
        goal: record.goal.map(|GoalRecord { x, y }| Position { x, y }),
        feature: feature(record.feature)?,
        action: action(record.action)?,
        noise: record.noise,
        explored: action(record.explored)?,
        parameters: parameters(&record.parameters, &record.outcomes)?,
        controller: record.controller.map(controller).transpose()?,
        terms: RewardTerms { progress_m, nearest_laser_m, collision, success, time_out },
        reward: record.reward,
        ending,
        next_feature: record.next_feature.map(feature).transpose()?,
    })
}

fn controller(record: ControllerRecord) -> Result<ChosenController, StepFault> {
    let number = |(name, value): (String, Value)| match value.as_f64() {
        Some(number) => Ok((name, number)),
        None => Err(StepFault::ControllerNotANumber { id: record.id.clone(), name }),
    };
    Ok(ChosenController {
        values: record.values.into_iter().map(number).collect::<Result<_, _>>()?,
        id: record.id.clone(),
    })
}

fn parameters(values: &Map<String, Value>, outcomes: &Map<String, Value>) -> Result<Vec<SentParameter>, StepFault> {
    if !values.keys().eq(outcomes.keys()) {
        return Err(StepFault::OutcomeNames);
    }
    let sent = values.iter().zip(outcomes.values()).map(|((name, value), outcome)| {
        let value = value.as_f64().ok_or_else(|| StepFault::ParameterNotANumber { name: name.clone() })?;
        let outcome = named(&OUTCOMES, name, outcome.as_str().unwrap_or_default());
        let outcome = outcome.map_err(StepFault::OutcomeName)?;
        Ok(SentParameter { name: name.clone(), value, outcome })
    });
    sent.collect()
}

/// The JSON schema of the steps of a session.
pub(super) fn schema(session: &Session) -> Value {
    let of = |kind: &str| json!({ "type": kind });
    let object = |fields: Map<String, Value>| json!({ "type": "object", "properties": fields });
    let fields =
        |names: &[&str], kind: &str| names.iter().map(|name| ((*name).to_owned(), of(kind))).collect::<Map<_, _>>();
    let by_name = |kind: &str| {
        let names: Vec<&str> = session.parameters.iter().map(String::as_str).collect();
        object(fields(&names, kind))
    };
    let numbers = json!({ "type": "array", "items": { "type": "number" } });
    let mut terms = fields(&["progress_m", "nearest_laser_m"], "number");
    terms.extend(fields(&["collision", "success", "time_out"], "boolean"));
    json!({
        "type": "object",
        "title": "planner_tuner.Step",
        "properties": {
            "stamp_ns": of("integer"),
            "episode": of("string"),
            "index": of("integer"),
            "frame": of("integer"),
            "linear_vel": of("number"),
            "angular_vel": of("number"),
            "pose": object(fields(&["x", "y", "yaw"], "number")),
            "goal": object(fields(&["x", "y"], "number")),
            "action": numbers,
            "noise": numbers,
            "explored": numbers,
            "parameters": by_name("number"),
            "outcomes": by_name("string"),
            "controller": object(Map::from_iter([
                ("id".to_owned(), of("string")),
                ("values".to_owned(), by_name("number")),
            ])),
            "terms": object(terms),
            "reward": of("number"),
            "terminated": of("boolean"),
            "truncated": of("boolean"),
            "ending": of("string"),
            "policy": of("string"),
            "extractor": of("string"),
            "feature": numbers,
            "next_feature": numbers,
        },
    })
}
