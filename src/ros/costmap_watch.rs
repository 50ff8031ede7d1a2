//! Whether the costmaps that the robot drives by see anything: asks them what they listen to, looks in the graph who publishes
//! it, and compares what they publish with the scan.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use r2r::QosProfile;
use r2r::nav_msgs::msg::OccupancyGrid;
use r2r::rcl_interfaces::msg::ParameterValue;
use r2r::rcl_interfaces::srv::{GetParameters, ListParameters};
use r2r::sensor_msgs::msg::LaserScan;
use tokio::sync::mpsc::Sender;

use super::clock::stamp;
use super::intake::{Messages, next};
use super::planner_watch::Question;
use super::{Input, NodeError};
use vlm_planner_tuner::live::{CostmapsReport, Names};
use vlm_planner_tuner::nav2::{
    CostmapWatch, Mapping, MappingKind, ObservationSource, RollingGrid, ScanReturns, Sight, sight,
};
use vlm_planner_tuner::planner::guard::Moment;

/// Between two looks at the graph.
const EVERY: Duration = Duration::from_secs(1);
/// Between two questions for a costmap's parameters: they change when it is configured.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Types as in rcl_interfaces/msg/ParameterType.
const BOOL: u8 = 1;
const STRING: u8 = 4;

/// All costmaps of a mapping.
pub(super) struct CostmapsWatch {
    costmaps: Vec<Costmap>,
    scans: Option<Messages<LaserScan>>,
    scan: ScanReturns,
    begin: Instant,
    next: Instant,
    told: Option<CostmapNews>,
}

/// What is known of the costmaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CostmapNews {
    /// Why one is blind.
    blind: Option<String>,
    /// A line for each: its node, and what is known.
    lines: Vec<(String, String)>,
}

impl CostmapNews {
    /// Why one is blind.
    pub(super) fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }

    /// A line for each: its node, and what is known.
    pub(super) fn lines(&self) -> &[(String, String)] {
        &self.lines
    }
}

impl From<CostmapNews> for CostmapsReport {
    fn from(news: CostmapNews) -> Self {
        Self { blind: news.blind, known: news.lines }
    }
}

impl CostmapsWatch {
    pub(super) fn new(node: &mut r2r::Node, mapping: &Mapping, names: &Names) -> Result<Self, NodeError> {
        let watched = match mapping.kind() {
            MappingKind::SetParameters => mapping.costmaps(),
            MappingKind::Topic | MappingKind::Shadow => &[],
        };
        let mut costmaps = Vec::new();
        for name in watched {
            costmaps.push(Costmap::new(node, names.resolve(name.as_str()))?);
        }
        let scans: Option<Messages<LaserScan>> = match costmaps.is_empty() {
            true => None,
            false => Some(Box::pin(node.subscribe("scan", QosProfile::sensor_data())?)),
        };
        let begin = Instant::now();
        Ok(Self { costmaps, scans, scan: ScanReturns::default(), begin, next: begin, told: None })
    }

    /// Takes what has come, asks, and passes on what is new. Call after every spin.
    pub(super) fn look(&mut self, node: &mut r2r::Node, now: Instant, inputs: &Sender<Input>) {
        let Some(news) = self.observe(node, now).filter(|news| self.told.as_ref() != Some(news)) else { return };
        if inputs.try_send(Input::Costmaps(news.clone())).is_ok() {
            self.told = Some(news);
        }
    }

    /// Takes what has come, and asks; tells once a second what is known.
    pub(super) fn observe(&mut self, node: &mut r2r::Node, now: Instant) -> Option<CostmapNews> {
        if self.costmaps.is_empty() {
            return None;
        }
        let moment = Moment::from_start(now.saturating_duration_since(self.begin));
        while let Some(scan) = next(&mut self.scans) {
            self.scan =
                ScanReturns::new(stamp(&scan.header.stamp).nanos(), &scan.ranges, scan.range_min, scan.range_max);
        }
        for costmap in &mut self.costmaps {
            costmap.compare(moment, &self.scan);
            costmap.ask(now);
        }
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        // The names in the graph: one that nobody listens to and nobody publishes is not among them.
        let known = node.get_topic_names_and_types().unwrap_or_default();
        let publishers_of = |topic: &str| {
            known
                .contains_key(topic)
                .then(|| node.get_publishers_info_by_topic(topic, false).map_or(0, |all| all.len()))
        };
        let mut news = CostmapNews::default();
        for costmap in &mut self.costmaps {
            costmap.watch.sources(costmap.look_up(publishers_of));
            let blind = costmap.watch.blindness(moment, &costmap.name).map(|blindness| blindness.to_string());
            let word = blind.clone().unwrap_or_else(|| costmap.word().to_owned());
            news.lines.push((costmap.name.clone(), word));
            news.blind = news.blind.take().or(blind);
        }
        Some(news)
    }
}

/// One costmap: what it listens to, and what it publishes.
struct Costmap {
    name: String,
    list: r2r::Client<ListParameters::Service>,
    get: r2r::Client<GetParameters::Service>,
    listed: Question<ListParameters::Response>,
    got: Question<GetParameters::Response>,
    /// Asked for by name, once they have been listed.
    names: Option<Vec<String>>,
    values: HashMap<String, ParameterValue>,
    grids: Option<Messages<OccupancyGrid>>,
    watch: CostmapWatch,
}

impl Costmap {
    fn new(node: &mut r2r::Node, name: String) -> Result<Self, NodeError> {
        let client = QosProfile::services_default;
        let beside = name.rsplit_once('/').map_or("", |(namespace, _)| namespace).to_owned();
        let latched = QosProfile::default().keep_last(1).transient_local();
        Ok(Self {
            list: node.create_client(&format!("{name}/list_parameters"), client())?,
            get: node.create_client(&format!("{name}/get_parameters"), client())?,
            listed: Question::new(),
            got: Question::new(),
            names: None,
            values: HashMap::new(),
            grids: Some(Box::pin(node.subscribe(&format!("{beside}/costmap"), latched)?)),
            watch: CostmapWatch::default(),
            name,
        })
    }

    /// Asks for the parameters that say what it listens to.
    fn ask(&mut self, now: Instant) {
        let (list, get) = (&self.list, &self.get);
        if self.names.is_none() {
            let answer = self.listed.go_on(now, ASK_EVERY, || {
                list.request(&ListParameters::Request::default()).ok().map(|answer| answer.boxed())
            });
            let Some(answer) = answer else { return };
            let wanted = |name: &String| {
                name == "rolling_window"
                    || [".observation_sources", ".topic", ".enabled"].iter().any(|end| name.ends_with(end))
            };
            self.names = Some(answer.result.names.into_iter().filter(wanted).collect());
            self.got.soon(now);
        }
        let Some(names) = &self.names else { return };
        let answer = self.got.go_on(now, ASK_EVERY, || {
            let request = GetParameters::Request { names: names.clone() };
            get.request(&request).ok().map(|answer| answer.boxed())
        });
        if let Some(answer) = answer {
            if answer.values.len() == names.len() {
                self.values = names.iter().cloned().zip(answer.values).collect();
            }
            // They may be others after the next configure.
            self.names = None;
        }
    }

    /// The sources of its layers, and who publishes them.
    fn look_up(&self, publishers_of: impl Fn(&str) -> Option<usize> + Copy) -> Vec<ObservationSource> {
        let text = |name: &str| self.values.get(name).filter(|value| value.type_ == STRING).map(|v| &v.string_value);
        let layers = self.values.keys().filter_map(|name| name.strip_suffix(".observation_sources"));
        let is_enabled = |layer: &&str| {
            let value = self.values.get(&format!("{layer}.enabled"));
            !value.is_some_and(|value| value.type_ == BOOL && !value.bool_value)
        };
        let mut found: Vec<ObservationSource> = Vec::new();
        for layer in layers.filter(is_enabled) {
            let sources = text(&format!("{layer}.observation_sources")).map_or("", String::as_str);
            for source in sources.split_whitespace() {
                // Nav2 takes the source's name where it has no topic.
                let topic = text(&format!("{layer}.{source}.topic")).map_or(source, String::as_str);
                let topic = if topic.is_empty() { source } else { topic };
                found.push(ObservationSource::look_up((layer, source, topic), &self.name, publishers_of));
            }
        }
        found.sort_by(|a, b| (&a.layer, &a.source).cmp(&(&b.layer, &b.source)));
        found
    }

    /// Whether the parameters have been read.
    fn is_known(&self) -> bool {
        !self.values.is_empty()
    }

    /// Compares the grids that have come with the last scan. Only of a map that rolls with the robot it is known where the
    /// robot is in it.
    fn compare(&mut self, now: Moment, scan: &ScanReturns) {
        let rolls = self.values.get("rolling_window").is_some_and(|value| value.type_ == BOOL && value.bool_value);
        while let Some(grid) = next(&mut self.grids) {
            if !rolls {
                continue;
            }
            let info = &grid.info;
            let view = RollingGrid {
                stamp_ns: stamp(&grid.header.stamp).nanos(),
                resolution: f64::from(info.resolution),
                width: usize::try_from(info.width).unwrap_or(0),
                height: usize::try_from(info.height).unwrap_or(0),
                data: &grid.data,
            };
            self.watch.compared(now, sight(scan, &view));
        }
    }

    fn word(&self) -> &'static str {
        match self.watch.last() {
            Some(Sight::Sees) => "has obstacles where the scan has returns",
            _ if self.is_known() => "its observation sources have publishers, as far as the graph tells",
            _ => "has not told what it listens to",
        }
    }
}
