//! The planner's side of things: what it should have, whether it may be set, and what it says.

use std::time::Duration;

use super::control::Control;
use super::costmap_watch::CostmapNews;
use super::graph::GraphFacts;
use vlm_planner_tuner::nav2::{self, NodeName, SpeedLimit};
use vlm_planner_tuner::planner::envelope::Enveloped;
use vlm_planner_tuner::planner::guard::{Level, Mode, Operator};

/// How long a planner may take to take its start values back when the node ends.
const LAST_CALL: Duration = Duration::from_millis(500);

impl Control {
    pub(super) fn take_graph(&mut self, facts: GraphFacts) {
        if facts.image_publishers != self.graph.image_publishers && facts.image_publishers.len() > 1 {
            log::warn!("two publishers on {}: {}", facts.image_topic, facts.image_publishers.join(", "));
        }
        let claimed_now = facts.claimed && !self.graph.claimed;
        self.graph = facts;
        match self.graph.other_tuner.clone() {
            Some(other) if !self.settings.force => self.fail_planner(format!("{other} tunes the same planner")),
            _ if claimed_now || self.settings.force => self.apply_wanted(false),
            _ => {}
        }
    }

    /// Publishes parameters, and sets them if they may be: safe defaults at once, decisions when they are worth it.
    pub(super) fn publish_parameters(&mut self, parameters: &Enveloped, set: bool, at_once: bool) {
        self.publishers.parameters(parameters.parameters());
        if set {
            self.wanted = Some(parameters.parameters().clone());
            self.apply_wanted(at_once);
        }
    }

    /// Why an active node sets nothing at present: another tuner has the planner, or it was given up on.
    pub(super) fn held_back(&self) -> Option<&str> {
        match (&self.planner_fault, &self.graph.other_tuner) {
            (Some(why), _) => Some(why),
            (None, Some(other)) if !self.settings.force => Some(other),
            _ => None,
        }
    }

    /// Sets what is wanted, unless another tuner may have the planner.
    pub(super) fn apply_wanted(&mut self, at_once: bool) {
        let is_ours = self.graph.claimed || self.settings.force || self.sink.nodes().next().is_none();
        let Some(wanted) = self.wanted.as_ref().filter(|_| is_ours && self.mode == Mode::Active) else { return };
        let now = self.monotonic();
        let commands = match at_once {
            true => self.sink.apply_at_once(now, wanted),
            false => self.sink.apply(now, wanted),
        };
        self.carry_out(commands);
        let controller = self.sink.controller().filter(|id| Some(*id) != self.controller.as_deref());
        if let Some(id) = controller {
            self.publishers.controller(id);
            self.controller = Some(id.to_owned());
        }
    }

    pub(super) fn carry_out(&self, commands: impl IntoIterator<Item = (NodeName, nav2::Command)>) {
        commands.into_iter().for_each(|(node, command)| self.clients.carry_out(node, command));
    }

    /// A costmap that sees nothing is no planner to speed up: nothing is set until it sees.
    pub(super) fn take_costmaps(&mut self, news: CostmapNews) {
        let before = std::mem::replace(&mut self.costmaps, news);
        match (before.blind, self.costmaps.blind.clone()) {
            (was, Some(why)) if was.as_ref() != Some(&why) => {
                log::error!("{why}");
                if self.mode == Mode::Active {
                    // A planner that was given up on stays given up on.
                    self.waits_for_sight = self.planner_fault.is_none();
                    self.operate(Operator::Shadow);
                }
            }
            (Some(_), None) => {
                log::info!("no costmap is known to be blind any more");
                if std::mem::take(&mut self.waits_for_sight) && self.mode == Mode::Shadow {
                    self.operate(Operator::Enable);
                }
            }
            _ => {}
        }
    }

    pub(super) fn take_speed_limit(&mut self, limit: Option<SpeedLimit>) {
        if limit != self.sink.speed_limit() {
            log::info!("speed limit: {limit:?}");
            let commands = self.sink.speed_limited(self.monotonic(), limit);
            self.carry_out(commands);
        }
    }

    /// Passes on what the sink has to say.
    pub(super) fn watch_planner(&mut self) {
        if self.sink.mapping().bank().is_some() {
            self.sink.selector_is_heard(self.publishers.controller_listeners() > 0);
        }
        for notice in self.sink.take_notices() {
            match notice.level() {
                Level::Ok => log::info!("{notice}"),
                Level::Warn => log::warn!("{notice}"),
                Level::Error => log::error!("{notice}"),
            }
        }
        if let Some(why) = self.sink.halted() {
            self.fail_planner(why);
        }
    }

    pub(super) fn fail_planner(&mut self, why: String) {
        if self.planner_fault.as_ref() == Some(&why) {
            return;
        }
        let reaction = self.guard.as_mut().map(|guard| guard.planner_failing(&why));
        if reaction.is_some() {
            self.planner_fault = Some(why);
        }
        self.react_to(reaction);
    }

    pub(super) async fn restore(&self) {
        for (node, values) in self.sink.start_values() {
            if self.clients.set_and_wait(&node, &values, LAST_CALL).await {
                log::info!("{node} has its start values again");
            } else {
                log::error!("{node} did not take its start values back");
            }
        }
    }
}
