//! Nav2's nodes as far as parameters go, in fake time, and the shell around the sink.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use vlm_planner_tuner::nav2::{
    ApplierLimits, Command, Event, Mapping, NodeName, Notice, PlannerSink, RosValue, SetOutcome, SetService,
    TargetStatus,
};
use vlm_planner_tuner::planner::guard::Moment;
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};

pub const SERVER: &str = "controller_server";
pub const COSTMAP: &str = "local_costmap/local_costmap";

pub const SPEED: &str = "FollowPath.max_vel_x";
pub const SAMPLES: &str = "FollowPath.vx_samples";
pub const INFLATION: &str = "inflation_layer.inflation_radius";

/// When a set came (ms), by which service, with what.
pub type ReceivedSet = (u64, SetService, Vec<(String, RosValue)>);

/// A node with parameters: it answers within the step in which it is asked, or never.
pub struct FakeNode {
    pub yaml: BTreeMap<String, RosValue>,
    pub values: BTreeMap<String, RosValue>,
    pub alive: bool,
    pub configured: bool,
    /// What the tuner's client sees; a node that is killed still looks available for a while.
    pub looks_available: bool,
    pub swallows_sets: bool,
    pub ignores_sets: bool,
    /// Parameters that are refused, and in what words.
    pub refuses: BTreeMap<String, String>,
    /// Dies in this many gets from now.
    pub dies_on_get: Option<u32>,
    /// Dies in this many sets from now.
    pub dies_on_set: Option<u32>,
    pub sets: Vec<ReceivedSet>,
    pub gets: Vec<u64>,
}

impl FakeNode {
    fn new(values: &[(&str, RosValue)]) -> Self {
        let yaml: BTreeMap<String, RosValue> = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Self {
            values: yaml.clone(),
            yaml,
            alive: true,
            configured: true,
            looks_available: true,
            swallows_sets: false,
            ignores_sets: false,
            refuses: BTreeMap::new(),
            dies_on_get: None,
            dies_on_set: None,
            sets: Vec::new(),
            gets: Vec::new(),
        }
    }

    pub fn kill(&mut self) {
        self.alive = false;
    }

    pub fn respawn(&mut self) {
        (self.alive, self.looks_available) = (true, true);
        self.values = self.yaml.clone();
    }

    /// As rclcpp answers, in its words.
    fn set(&mut self, values: &[(String, RosValue)], service: SetService) -> Vec<SetOutcome> {
        let fine = || SetOutcome { successful: true, reason: String::new() };
        let no = |reason: String| SetOutcome { successful: false, reason };
        let verdict = |name: &str, value: RosValue| match (self.values.get(name), self.refuses.get(name), value) {
            (_, Some(words), _) => Some(words.clone()),
            (None, ..) => Some(match service {
                SetService::Atomically => "One or more parameters were not declared before setting".to_owned(),
                SetService::Each => format!("parameter '{name}' cannot be set because it was not declared"),
            }),
            (Some(RosValue::Integer(_)), _, RosValue::Double(_)) => Some(format!(
                "Wrong parameter type, parameter {{{name}}} is of type {{integer}}, setting it to {{double}} is not allowed."
            )),
            _ => None,
        };
        let outcomes: Vec<SetOutcome> =
            values.iter().map(|(name, value)| verdict(name, *value).map_or_else(fine, no)).collect();
        let refused = outcomes.iter().find(|outcome| !outcome.successful).cloned();
        if let (SetService::Atomically, Some(refused)) = (service, refused) {
            return vec![refused];
        }
        for ((name, value), outcome) in values.iter().zip(&outcomes) {
            if outcome.successful && !self.ignores_sets {
                self.values.insert(name.clone(), *value);
            }
        }
        if service == SetService::Atomically { vec![fine()] } else { outcomes }
    }

    fn get(&self, names: &[String]) -> Vec<Option<RosValue>> {
        let values: Option<Vec<_>> = names.iter().map(|name| self.values.get(name).map(|v| Some(*v))).collect();
        values.filter(|_| self.configured).unwrap_or_default()
    }
}

pub struct World {
    pub sink: PlannerSink,
    pub nodes: BTreeMap<String, FakeNode>,
    pub now_ms: u64,
    pub notices: Vec<Notice>,
    in_flight: BTreeMap<String, u64>,
}

pub fn dwa(action: f32) -> PlannerParameters {
    PlannerSpec::builtin("dwa").unwrap().from_action(&[action; 7]).unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(ApplierLimits::default())
    }

    pub fn with(limits: ApplierLimits) -> Self {
        // Tests of everything but the price of a set do not wait for it.
        let brisk = include_str!("../../config/nav2/nav2_dwb.yaml")
            .replace("apply_rate: 0.5 ", "apply_rate: 20.0 ")
            .replace("min_change: 0.05 ", "min_change: 0.0 ");
        Self::with_mapping(&brisk, limits)
    }

    /// A world with the shipped MPPI mapping, and Nav2's start values.
    pub fn mppi() -> Self {
        let mapping = Mapping::named("nav2_mppi", &PlannerSpec::builtin("mppi").unwrap()).unwrap();
        let mut world = Self::with(ApplierLimits::default());
        world.sink = PlannerSink::new(mapping, ApplierLimits::default()).unwrap();
        let (double, integer) = (RosValue::Double, RosValue::Integer);
        let start = [
            ("vx_max", double(0.5)),
            ("wz_max", double(1.9)),
            ("batch_size", integer(2000)),
            ("time_steps", integer(56)),
            ("vx_std", double(0.2)),
            ("wz_std", double(0.4)),
            ("temperature", double(0.3)),
        ];
        world.server().values = start.iter().map(|(name, v)| (format!("FollowPath.{name}"), *v)).collect();
        world.nodes.get_mut(COSTMAP).unwrap().values.insert(INFLATION.to_owned(), double(0.7));
        world
    }

    /// A world for this DWB mapping.
    pub fn with_mapping(text: &str, limits: ApplierLimits) -> Self {
        let mapping = Mapping::from_yaml(text, "nav2_dwb.yaml", &PlannerSpec::builtin("dwa").unwrap()).unwrap();
        let double = RosValue::Double;
        let server = FakeNode::new(&[
            ("FollowPath.max_vel_x", double(0.26)),
            ("FollowPath.max_vel_theta", double(1.0)),
            ("FollowPath.vx_samples", RosValue::Integer(20)),
            ("FollowPath.vtheta_samples", RosValue::Integer(20)),
            ("FollowPath.PathDist.scale", double(32.0)),
            ("FollowPath.GoalDist.scale", double(24.0)),
        ]);
        let costmap = FakeNode::new(&[("inflation_layer.inflation_radius", double(0.7))]);
        let nodes = [(SERVER.to_owned(), server), (COSTMAP.to_owned(), costmap)].into();
        let sink = PlannerSink::new(mapping, limits).unwrap();
        Self { sink, nodes, now_ms: 0, notices: Vec::new(), in_flight: BTreeMap::new() }
    }

    pub fn server(&mut self) -> &mut FakeNode {
        self.nodes.get_mut(SERVER).unwrap()
    }

    pub fn now(&self) -> Moment {
        Moment::from_start(Duration::from_millis(self.now_ms))
    }

    pub fn apply(&mut self, action: f32) {
        let commands = self.sink.apply(self.now(), &dwa(action));
        self.carry_out(commands);
    }

    /// Decides on parameters of any planner.
    pub fn decide(&mut self, parameters: &PlannerParameters) {
        let commands = self.sink.apply(self.now(), parameters);
        self.carry_out(commands);
    }

    /// Lets time pass in steps of 50 ms, as the node does.
    pub fn pass(&mut self, total_ms: u64) {
        for _ in 0..total_ms / 50 {
            self.now_ms += 50;
            for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
                let available = Event::Available(self.nodes[&name].looks_available);
                self.event(&name, available);
            }
            let commands = self.sink.tick(self.now());
            self.carry_out(commands);
        }
    }

    pub fn event(&mut self, name: &str, event: Event) {
        if matches!(event, Event::Available(false) | Event::Replaced) {
            self.in_flight.remove(name);
        }
        let node = NodeName::new(name).unwrap();
        let command = self.sink.handle(self.now(), &node, event);
        self.carry_out(command.into_iter().collect());
    }

    fn carry_out(&mut self, mut commands: Vec<(NodeName, Command)>) {
        let mut calls = 0;
        while let Some((node, command)) = commands.pop() {
            calls += 1;
            assert!(calls < 50, "calls without a pause at {} ms: {command:?}", self.now_ms);
            let now_ms = self.now_ms;
            let fake = self.nodes.get_mut(node.as_str()).unwrap();
            assert!(fake.looks_available, "a call to a node that is not there: {command:?}");
            let lost_at = self.in_flight.get(node.as_str()).copied();
            let answer = match command {
                Command::Set { call, service, values } => {
                    assert!(lost_at.is_none_or(|at| now_ms >= at + 300), "two calls in flight");
                    fake.sets.push((now_ms, service, values.clone()));
                    if let Some(sets) = &mut fake.dies_on_set {
                        *sets -= 1;
                        if *sets == 0 {
                            fake.dies_on_set = None;
                            fake.kill();
                        }
                    }
                    let answers = fake.alive && !fake.swallows_sets;
                    answers.then(|| Event::SetResult { call, results: fake.set(&values, service) })
                }
                Command::Get { call, names } => {
                    assert!(lost_at.is_none_or(|at| now_ms >= at + 300), "two calls in flight");
                    fake.gets.push(now_ms);
                    if let Some(gets) = &mut fake.dies_on_get {
                        *gets -= 1;
                        if *gets == 0 {
                            fake.dies_on_get = None;
                            fake.kill();
                        }
                    }
                    fake.alive.then(|| Event::GetResult { call, values: fake.get(&names) })
                }
            };
            match answer {
                Some(event) => {
                    self.in_flight.remove(node.as_str());
                    commands.extend(self.sink.handle(self.now(), &node, event));
                }
                None => drop(self.in_flight.insert(node.to_string(), now_ms)),
            }
            self.notices.extend(self.sink.take_notices());
        }
        self.notices.extend(self.sink.take_notices());
    }

    pub fn status(&self, ros_parameter: &str) -> TargetStatus {
        let named = |(_, name): &(NodeName, String)| name == ros_parameter;
        let lines = self.sink.status();
        let line = lines.iter().find(|line| line.place.as_ref().is_some_and(named));
        line.unwrap_or_else(|| panic!("{ros_parameter} in {lines:?}")).status.clone()
    }

    pub fn value(&self, node: &str, name: &str) -> RosValue {
        self.nodes[node].values[name]
    }

    pub fn said(&self, part: &str) -> usize {
        self.notices.iter().filter(|notice| notice.to_string().contains(part)).count()
    }

    /// The values that an action of this size means for the controller server.
    pub fn assert_applied(&self, action: f32) {
        let wanted = dwa(action);
        let expected = [
            ("FollowPath.max_vel_x", wanted.get("max_vel_x").unwrap()),
            ("FollowPath.max_vel_theta", wanted.get("max_vel_theta").unwrap()),
            ("FollowPath.vx_samples", wanted.get("vx_samples").unwrap()),
            ("FollowPath.PathDist.scale", wanted.get("path_distance_bias").unwrap() * 0.4),
        ];
        for (name, expected) in expected {
            assert!((self.value(SERVER, name).as_f64() - expected).abs() < 1e-12, "{name} at {} ms", self.now_ms);
        }
    }
}

/// A world in which an action has been applied and read back.
pub fn applied(action: f32) -> World {
    let mut world = World::new();
    world.pass(100);
    world.apply(action);
    world.pass(1000);
    world.assert_applied(action);
    world
}
