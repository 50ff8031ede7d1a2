//! Whether a costmap sees what the laser sees.
//!
//! A costmap whose topics lead nowhere looks healthy: it is published, goals run, and nothing in it is an obstacle. Here it
//! is compared with a scan by distance from the robot, not by direction: where a laser is mounted, and which way it looks, is
//! only known with TF, and a map that is blind has no obstacle at any distance.

use std::fmt;
use std::time::Duration;

use super::observation_topics;
use crate::planner::guard::Moment;

/// Cells from here on are obstacles, or touch the robot's inscribed circle (`nav_msgs/OccupancyGrid`).
const OBSTACLE: i8 = 99;
/// Nearer returns may be the robot itself, whose footprint the map keeps clear.
const NEAREST: f64 = 0.5;
/// Farther ones are left out by Nav2's own `obstacle_max_range` of 2.5 m.
const FARTHEST: f64 = 2.2;
/// How far a return and its cell may differ: the laser's mount, the robot's movement in between, the inflation.
const TOLERANCE: f64 = 0.4;
/// Fewer returns may be noise, or legs.
const LEAST_RETURNS: usize = 10;
/// Of the returns, this share must have cells. One obstacle missed is no blindness.
const SEEN_SHARE: f64 = 0.05;
/// Grids in a row that have to be blind, and for how long: the first one after a start is empty.
const GRIDS: u32 = 3;
const BLIND_FOR: Duration = Duration::from_secs(2);
/// A grid and a scan farther apart in time are not compared. Nav2 gives old grids to late subscribers.
const APART_NS: u64 = 1_000_000_000;

/// Distances of a scan's returns, m, with its stamp, ns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScanReturns {
    stamp_ns: i64,
    ranges: Vec<f64>,
}

impl ScanReturns {
    /// From `sensor_msgs/LaserScan`: what is within the laser's own limits.
    pub fn new(stamp_ns: i64, ranges: &[f32], range_min: f32, range_max: f32) -> Self {
        let is_return = |range: &&f32| range.is_finite() && **range >= range_min && **range < range_max;
        Self { stamp_ns, ranges: ranges.iter().filter(is_return).map(|range| f64::from(*range)).collect() }
    }
}

/// A costmap as published (`nav_msgs/OccupancyGrid`) that rolls with the robot, which is in its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollingGrid<'a> {
    /// Of the header, ns.
    pub stamp_ns: i64,
    /// Edge of a cell, m.
    pub resolution: f64,
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row: 0 is free, 100 an obstacle, -1 unknown.
    pub data: &'a [i8],
}

/// What one comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The map has obstacles where the scan has returns.
    Sees,
    /// It has none.
    Blind {
        /// Returns that should be in the map.
        returns: usize,
    },
    /// Too few returns near the robot, or grid and scan are too far apart in time, or the grid is no grid.
    CannotTell,
}

/// Compares a costmap with a scan.
pub fn sight(scan: &ScanReturns, grid: &RollingGrid<'_>) -> Sight {
    let RollingGrid { resolution, width, height, data, .. } = *grid;
    let is_grid =
        resolution.is_finite() && resolution > 0.0 && width > 0 && width.checked_mul(height) == Some(data.len());
    if !is_grid || grid.stamp_ns.abs_diff(scan.stamp_ns) > APART_NS {
        return Sight::CannotTell;
    }
    let half = resolution * width.min(height) as f64 / 2.0;
    let farthest = FARTHEST.min(half - TOLERANCE);
    let due: Vec<f64> = scan.ranges.iter().copied().filter(|range| (NEAREST..=farthest).contains(range)).collect();
    if due.len() < LEAST_RETURNS {
        return Sight::CannotTell;
    }
    let (middle_x, middle_y) = (width as f64 / 2.0, height as f64 / 2.0);
    let mut obstacles: Vec<f64> = Vec::new();
    for (y, row) in data.chunks(width).enumerate() {
        for x in row.iter().enumerate().filter(|(_, cell)| **cell >= OBSTACLE).map(|(x, _)| x) {
            let (dx, dy) = (x as f64 + 0.5 - middle_x, y as f64 + 0.5 - middle_y);
            obstacles.push(dx.hypot(dy) * resolution);
        }
    }
    obstacles.sort_unstable_by(f64::total_cmp);
    let has_cell = |range: &&f64| {
        let first = obstacles.partition_point(|distance| *distance < **range - TOLERANCE);
        obstacles.get(first).is_some_and(|distance| *distance <= **range + TOLERANCE)
    };
    let seen = due.iter().filter(has_cell).count();
    if seen as f64 >= SEEN_SHARE * due.len() as f64 { Sight::Sees } else { Sight::Blind { returns: due.len() } }
}

/// An observation source of a costmap, and what the ROS graph says of its topic.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ObservationSource {
    /// The layer, such as `obstacle_layer`.
    pub layer: String,
    /// The source, such as `scan`.
    pub source: String,
    /// Its topic, as the costmap's parameters have it.
    pub topic: String,
    /// The full name at which somebody listens or publishes, if the graph knows one. A remapping may have moved it.
    pub found: Option<String>,
    /// How many publish there.
    pub publishers: usize,
}

impl ObservationSource {
    /// Looks up a source in the graph; `publishers_of` tells how many publish a topic, `None` for one that nobody has.
    pub fn look_up(
        (layer, source, topic): (&str, &str, &str),
        costmap: &str,
        publishers_of: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        // A name below the costmap's own is nobody else's: where it is known, the costmap listens there.
        let found = observation_topics(topic, costmap)
            .into_iter()
            .find_map(|name| publishers_of(&name).map(|publishers| (name, publishers)));
        let publishers = found.as_ref().map_or(0, |(_, publishers)| *publishers);
        let (layer, source, topic) = (layer.to_owned(), source.to_owned(), topic.to_owned());
        Self { layer, source, topic, found: found.map(|(name, _)| name), publishers }
    }

    /// The topic is listened to, and nobody publishes it.
    pub fn is_blind(&self) -> bool {
        self.found.is_some() && self.publishers == 0
    }
}

/// Why a costmap is blind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blindness {
    /// Nobody publishes what it listens to.
    NoPublisher {
        /// The costmap's node.
        costmap: String,
        /// The layer and the source.
        source: String,
        /// The topic.
        topic: String,
    },
    /// The scan has returns, the map has nothing.
    NoObstacle {
        /// The costmap's node.
        costmap: String,
        /// Returns that should be in the map.
        returns: usize,
    },
}

impl fmt::Display for Blindness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blindness::NoPublisher { costmap, source, topic } => write!(
                f,
                "the costmap is blind: nobody publishes {topic}, which {source} of {costmap} listens to; relative topics of a \
                 costmap lie below its own namespace, make the topic absolute"
            ),
            Blindness::NoObstacle { costmap, returns } => write!(
                f,
                "the costmap is blind: the scan has {returns} returns within {FARTHEST} m, and {costmap} has no obstacle at \
                 their distances; check the topics and frames of its observation sources"
            ),
        }
    }
}

/// What is known of one costmap, over time.
#[derive(Debug, Clone, Default)]
pub struct CostmapWatch {
    sources: Vec<ObservationSource>,
    blind_since: Option<Moment>,
    blind_grids: u32,
    last: Option<Sight>,
}

impl CostmapWatch {
    /// The observation sources, as the graph has them now.
    pub fn sources(&mut self, sources: Vec<ObservationSource>) {
        self.sources = sources;
    }

    /// Another process: what the last one showed does not count.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// A comparison was made. One that cannot tell leaves things as they are.
    pub fn compared(&mut self, now: Moment, sight: Sight) {
        match sight {
            Sight::CannotTell => return,
            Sight::Sees => (self.blind_since, self.blind_grids) = (None, 0),
            Sight::Blind { .. } => {
                self.blind_since.get_or_insert(now);
                self.blind_grids = self.blind_grids.saturating_add(1);
            }
        }
        self.last = Some(sight);
    }

    /// Why the costmap is blind, if it is. What the map shows counts more than what the graph says: a topic may have been
    /// remapped.
    pub fn blindness(&self, now: Moment, costmap: &str) -> Option<Blindness> {
        let costmap = costmap.to_owned();
        match self.last {
            Some(Sight::Sees) => return None,
            Some(Sight::Blind { returns }) => {
                let long = self.blind_since.is_some_and(|since| now.since(since) >= BLIND_FOR);
                if long && self.blind_grids >= GRIDS {
                    return Some(Blindness::NoObstacle { costmap, returns });
                }
            }
            _ => {}
        }
        let source = self.sources.iter().find(|source| source.is_blind())?;
        Some(Blindness::NoPublisher {
            costmap,
            source: format!("{}.{}", source.layer, source.source),
            topic: source.found.clone()?,
        })
    }

    /// What the last comparison showed that could tell.
    pub fn last(&self) -> Option<Sight> {
        self.last
    }
}
