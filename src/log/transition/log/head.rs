//! The head of a log file: who decided, about what, and which part of the episode follows.

use std::collections::BTreeMap;
use std::path::Path;

use mcap::records::Metadata;

use crate::recording::mcap_record::MetadataRecord;
use crate::transition::{RewardWeights, Session, TransitionError};
use planner_tuner_core::identity::{ExtractorId, PolicyId};

/// Name of the MCAP metadata record that begins a log file.
pub const SESSION_METADATA: &str = "planner_tuner.session";

/// Version of the form in which steps are written.
const FORMAT: &str = "1";

/// What all files of an episode have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct LogHead {
    /// Who decided, about what.
    pub session: Session,
    /// The weights that the logged rewards were given with.
    pub weights: RewardWeights,
}

/// Longest name of an episode: file systems take 255 bytes with what is added to it.
const MAX_NAME: usize = 128;

/// Why a session cannot be that of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The episode's name would not do for a file's.
    #[error(
        "the episode is called '{}', expected letters, digits, '_', '-' and '.', at most {MAX_NAME}",
        episode.escape_debug()
    )]
    Name {
        /// Its beginning.
        episode: String,
    },
    /// There is nothing to learn from, or nothing to learn.
    #[error("a feature of {feature} numbers and {parameters} parameters cannot be learned from")]
    NothingToLearn {
        /// Numbers of a feature.
        feature: usize,
        /// Parameters of the planner.
        parameters: usize,
    },
    /// Two parameters could not be told apart.
    #[error("two parameters are called '{name}'")]
    SameName {
        /// Their name.
        name: String,
    },
}

impl LogHead {
    /// Refuses a session that could not be written or told apart.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        let Session { episode, parameters, feature_length, .. } = &self.session;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if episode.is_empty() || episode.len() > MAX_NAME || episode.starts_with('.') || !episode.chars().all(is_plain)
        {
            let episode: String = episode.chars().take(MAX_NAME).collect();
            return Err(SessionError::Name { episode });
        }
        if *feature_length == 0 || parameters.is_empty() {
            let (feature, parameters) = (*feature_length, parameters.len());
            return Err(SessionError::NothingToLearn { feature, parameters });
        }
        if let Some(twice) =
            parameters.iter().enumerate().find(|(at, name)| parameters.iter().take(*at).any(|n| n == *name))
        {
            return Err(SessionError::SameName { name: twice.1.clone() });
        }
        Ok(())
    }

    /// Name of the file of one part.
    pub(super) fn file_name(&self, part: u64) -> String {
        format!("{}_{part:03}.mcap", self.session.episode)
    }

    pub(super) fn to_metadata(&self, part: u64) -> Result<Metadata, serde_json::Error> {
        let Session { episode, planner, parameters, feature_length, policy, extractor } = &self.session;
        let entries = [
            ("format", FORMAT.to_owned()),
            ("episode", episode.clone()),
            ("part", part.to_string()),
            ("planner", planner.clone()),
            ("parameters", serde_json::to_string(parameters)?),
            ("feature_length", feature_length.to_string()),
            ("policy", policy.0.clone()),
            ("extractor", extractor.0.clone()),
            ("reward_weights", serde_json::to_string(&self.weights)?),
        ];
        let metadata = entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        Ok(Metadata { name: SESSION_METADATA.to_owned(), metadata })
    }

    /// The head that a metadata record holds, and the number of the part.
    pub(super) fn read(record: &MetadataRecord<'_>, path: &Path) -> Result<(Self, u64), TransitionError> {
        let refuse = |problem: String| TransitionError::NotALog { path: path.to_owned(), problem };
        let entries: BTreeMap<&str, &str> = record.entries.iter().copied().collect();
        let entry =
            |key: &str| entries.get(key).copied().ok_or_else(|| refuse(format!("{SESSION_METADATA} has no '{key}'")));
        let number = |key: &str| {
            let found = entry(key)?;
            found.parse::<u64>().map_err(|_| refuse(format!("{key} is '{}', expected a number", found.escape_debug())))
        };
        let format = entry("format")?;
        if format != FORMAT {
            let format = format.escape_debug();
            return Err(refuse(format!("its form is '{format}', this program reads '{FORMAT}'; update it")));
        }
        let json = |key: &str, error: serde_json::Error| refuse(format!("{key}: {error}"));
        let feature_length = number("feature_length")?;
        let session = Session {
            episode: entry("episode")?.to_owned(),
            planner: entry("planner")?.to_owned(),
            parameters: serde_json::from_str(entry("parameters")?).map_err(|error| json("parameters", error))?,
            feature_length: usize::try_from(feature_length).unwrap_or(usize::MAX),
            policy: PolicyId(entry("policy")?.to_owned()),
            extractor: ExtractorId(entry("extractor")?.to_owned()),
        };
        let weights = serde_json::from_str(entry("reward_weights")?).map_err(|error| json("reward_weights", error))?;
        let head = Self { session, weights };
        head.check().map_err(|error| refuse(error.to_string()))?;
        Ok((head, number("part")?))
    }
}
