//! Which worlds are meant.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::cli::model_args::missing;
use crate::simulation::world::{BarnFolder, Difficulty, GeneratedWorld, MapPlacement, World};
use planner_tuner_core::pose::{Pose, Position};

/// More worlds in one argument are a slip of the finger.
const MOST: u64 = 100_000;

/// Worlds of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorldsArg {
    /// Made from seeds.
    Generated(std::ops::RangeInclusive<u64>),
    /// Of the BARN dataset, by number; `None` for all there are.
    Barn(Option<std::ops::RangeInclusive<u64>>),
    /// A map as map_server writes it: its YAML file.
    Map(PathBuf),
}

impl FromStr for WorldsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("map:").filter(|path| !path.is_empty()) {
            return Ok(Self::Map(path.into()));
        }
        let (kind, numbers) = text.split_once(':').map_or((text, None), |(kind, numbers)| (kind, Some(numbers)));
        let range = numbers.map(range).transpose()?;
        match (kind, range) {
            ("generated", Some(range)) => Ok(Self::Generated(range)),
            ("barn", range) => Ok(Self::Barn(range)),
            _ => Err("expected generated:SEED, generated:FIRST-LAST, barn, barn:ID, barn:FIRST-LAST or map:FILE.yaml"
                .to_owned()),
        }
    }
}

/// `7`, or `0-49` with both ends.
fn range(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("'{text}' is not a whole number"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    match last.checked_sub(first) {
        Some(more) if more < MOST => Ok(first..=last),
        Some(_) => Err(format!("{text} are more than {MOST} worlds")),
        None => Err(format!("{text} ends before it begins")),
    }
}

/// Where worlds are, and where their goals are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worlds")]
pub struct WorldsFrom {
    /// Folder of the BARN dataset, with grid_<id>.npy and path_<id>.npy (or grid_files and path_files)
    #[arg(long, value_name = "DIR")]
    barn: Option<PathBuf>,
    /// How far ahead of the start the goal lies, m [default: 10 in generated worlds, 15 in BARN's, as in its tables]
    #[arg(long, value_name = "M", value_parser = goal)]
    goal: Option<f64>,
    /// Of a map, where the robot starts: x and y in m and yaw in degrees, in the map's frame
    #[arg(long, value_name = "X,Y,YAW", default_value = "0,0,0", allow_hyphen_values = true, value_parser = start)]
    start: Pose,
    /// Of a map, where it is to go: x and y in m, in the map's frame
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, value_parser = place)]
    goal_at: Option<Position>,
}

fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers?.try_into().ok().filter(|numbers: &[f64; N]| numbers.iter().all(|number| number.is_finite()))
}

fn start(text: &str) -> Result<Pose, String> {
    let pose = |[x, y, yaw]: [f64; 3]| Pose { position: Position { x, y }, yaw: yaw.to_radians() };
    numbers(text).map(pose).ok_or_else(|| "expected X,Y,YAW in m and degrees, such as 1.5,-2,90".to_owned())
}

fn place(text: &str) -> Result<Position, String> {
    let place = |[x, y]: [f64; 2]| Position { x, y };
    numbers(text).map(place).ok_or_else(|| "expected X,Y in m, such as 8,-1.5".to_owned())
}

fn goal(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(metres) if (5.0..=25.0).contains(&metres) => Ok(metres),
        _ => Err("expected 5 to 25 m: the global costmap ends at 28".to_owned()),
    }
}

/// A world, and how hard it is where that is known.
pub struct ChosenWorld {
    pub world: World,
    pub difficulty: Option<Difficulty>,
}

impl WorldsFrom {
    /// Reads or makes the worlds that are meant; each once.
    ///
    /// # Errors
    /// Worlds that cannot be read, and BARN's without a folder.
    pub fn open(&self, wanted: &[WorldsArg]) -> anyhow::Result<Vec<ChosenWorld>> {
        let mut worlds: Vec<ChosenWorld> = Vec::new();
        for wanted in wanted {
            match wanted {
                WorldsArg::Generated(seeds) => {
                    for seed in seeds.clone() {
                        let made = GeneratedWorld::of_seed(seed, self.goal.unwrap_or(10.0))?;
                        worlds.push(ChosenWorld { world: made.world, difficulty: Some(made.difficulty) });
                    }
                }
                WorldsArg::Map(path) => {
                    let goal = self.goal_at.ok_or_else(|| missing("--goal-at <X,Y> (for a map)"))?;
                    let world = World::of_map(path, MapPlacement { start: self.start, goal })?;
                    worlds.push(ChosenWorld { world, difficulty: None });
                }
                WorldsArg::Barn(ids) => {
                    let folder = self.barn.as_deref().ok_or_else(|| {
                        anyhow::anyhow!("BARN's worlds are not part of this program; name their folder by --barn")
                    })?;
                    let folder = BarnFolder::open(folder)?;
                    let all = || folder.ids().map(u64::from);
                    // A range means those of it that are there; a single number must be there.
                    let ids: Vec<u64> = match ids {
                        None => all().collect(),
                        Some(ids) if ids.start() == ids.end() => vec![*ids.start()],
                        Some(ids) => all().filter(|id| ids.contains(id)).collect(),
                    };
                    for id in ids {
                        let world = folder.world(u32::try_from(id).unwrap_or(u32::MAX), self.goal.unwrap_or(15.0))?;
                        worlds.push(ChosenWorld { world, difficulty: None });
                    }
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        let all = worlds.len();
        worlds.retain(|chosen| seen.insert(chosen.world.name().to_owned()));
        if worlds.len() < all {
            log::warn!("{} worlds were named more than once and count once", all - worlds.len());
        }
        anyhow::ensure!(!worlds.is_empty(), "there is no world with the given numbers");
        Ok(worlds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbers() {
        assert_eq!(place("8,-1.5"), Ok(Position { x: 8.0, y: -1.5 }));
        assert!(start("1, 2, 90").is_ok_and(|pose| (pose.yaw - std::f64::consts::FRAC_PI_2).abs() < 1e-9));
        for wrong in ["", "1", "1,2,3", "a,b", "nan,0"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn worlds_are_named_by_kind_and_number() {
        assert_eq!("generated:7".parse(), Ok(WorldsArg::Generated(7..=7)));
        assert_eq!("generated:0-49".parse(), Ok(WorldsArg::Generated(0..=49)));
        assert_eq!("barn".parse(), Ok(WorldsArg::Barn(None)));
        assert_eq!("map:lab/map.yaml".parse(), Ok(WorldsArg::Map("lab/map.yaml".into())));
        assert_eq!("barn:3-5".parse(), Ok(WorldsArg::Barn(Some(3..=5))));
        for wrong in
            ["generated", "mars:1", "barn:x", "generated:9-3", "generated:0-4000000000", "generated:-1", "map:"]
        {
            assert!(wrong.parse::<WorldsArg>().is_err(), "{wrong}");
        }
    }
}
