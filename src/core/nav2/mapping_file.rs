//! A mapping file as it is written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{MappingKind, RosType};

/// The keys of a mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingFile {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) sink: MappingKind,
    pub(super) planner: Option<String>,
    pub(super) plugin: Option<String>,
    #[serde(default)]
    pub(super) parameters: Entries<Vec<TargetEntry>>,
    #[serde(default)]
    pub(super) without_twin: Entries<String>,
    pub(super) controller_bank: Option<BankEntry>,
    #[serde(default)]
    pub(super) apply: ApplyEntry,
    #[serde(default)]
    pub(super) costmaps: Vec<String>,
    pub(super) speed_limit: Option<SpeedLimitEntry>,
}

/// The keys of the rules for setting.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyEntry {
    pub(super) apply_rate: Option<f64>,
    #[serde(default)]
    pub(super) min_change: f64,
    #[serde(default)]
    pub(super) accumulated_change: f64,
    #[serde(default)]
    pub(super) small_changes: SmallChangesEntry,
}

/// When changes that are too small otherwise are set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmallChangesEntry {
    #[serde(default)]
    pub(super) at_new_goal: bool,
    #[serde(default)]
    pub(super) while_standing: bool,
}

/// The keys of a speed limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpeedLimitEntry {
    pub(super) topic: String,
    pub(super) parameter: String,
    pub(super) robot_max: f64,
}

/// The keys of a target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetEntry {
    pub(super) node: String,
    pub(super) ros_parameter: String,
    #[serde(rename = "type")]
    pub(super) ros_type: RosType,
    #[serde(default = "one")]
    pub(super) gain: f64,
    #[serde(default)]
    pub(super) offset: f64,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) live: bool,
    pub(super) remedy: Option<String>,
    pub(super) min_change: Option<f64>,
    pub(super) at_least: Option<AtLeastEntry>,
}

/// The keys of a floor that another ROS parameter gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtLeastEntry {
    pub(super) share: f64,
    pub(super) of: String,
}

/// The keys of a controller bank.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BankEntry {
    pub(super) margin: f64,
    pub(super) min_dwell: f64,
    pub(super) controllers: Entries<Entries<f64>>,
}

fn one() -> f64 {
    1.0
}

/// A YAML map in the order of the file, in which a repeated key is an error.
#[derive(Debug, Clone)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if entries.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(format!("'{key}' comes twice; remove one")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}
