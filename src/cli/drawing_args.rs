//! The options of everything that draws a recording's frames.

use std::time::Duration;

use crate::recording::DrawingOptions;
use crate::scene::SceneRules;

/// What to draw from, and how old it may be.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Drawing")]
pub struct DrawingArgs {
    /// Laser scan topic [default: the only one there is]
    #[arg(long, value_name = "TOPIC")]
    scan_topic: Option<String>,
    /// Plan topic [default: the one named plan, or the only one there is]
    #[arg(long, value_name = "TOPIC")]
    plan_topic: Option<String>,
    /// Topic of the transforms [default: the tf nearest to the namespace of odometry and scans]
    #[arg(long, value_name = "TOPIC")]
    tf_topic: Option<String>,
    /// Topic of the static transforms [default: the tf_static nearest to that namespace]
    #[arg(long, value_name = "TOPIC")]
    tf_static_topic: Option<String>,
    /// Oldest odometry, measured from the scan
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = parse_seconds)]
    max_pose_age: f64,
    /// Oldest transforms, where none behind the scan is known; between two of them they are interpolated
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    max_transform_age: f64,
    /// Oldest plan, measured from the scan; 0 draws a plan until its goal is over or the next one comes
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    max_plan_age: f64,
    /// Take the plan's frame for the odometry's, without transforms between them
    #[arg(long)]
    assume_same_frame: bool,
    /// Draw beams from where the laser is mounted; the training pictures ignored that
    #[arg(long)]
    apply_laser_mount: bool,
}

impl DrawingArgs {
    /// The topic of laser scans, where one was chosen.
    pub fn scan_topic(&self) -> Option<&str> {
        self.scan_topic.as_deref()
    }

    /// The first option that names a topic, where one was given.
    pub fn topic_option(&self) -> Option<&'static str> {
        let given = [("--scan-topic", &self.scan_topic), ("--plan-topic", &self.plan_topic)];
        given.into_iter().find(|(_, topic)| topic.is_some()).map(|(option, _)| option)
    }

    /// How to draw.
    pub fn options(&self) -> DrawingOptions {
        DrawingOptions {
            scan_topic: self.scan_topic.clone(),
            plan_topic: self.plan_topic.clone(),
            tf_topic: self.tf_topic.clone(),
            tf_static_topic: self.tf_static_topic.clone(),
            rules: SceneRules {
                max_pose_age: Duration::from_secs_f64(self.max_pose_age),
                max_transform_age: Duration::from_secs_f64(self.max_transform_age),
                max_plan_age: (self.max_plan_age > 0.0).then(|| Duration::from_secs_f64(self.max_plan_age)),
                assume_same_frame: self.assume_same_frame,
                apply_laser_mount: self.apply_laser_mount,
            },
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, 0 to 86400".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        drawing: DrawingArgs,
    }

    fn rules(arguments: &[&str]) -> SceneRules {
        Command::try_parse_from([&["command"], arguments].concat()).unwrap().drawing.options().rules
    }

    #[test]
    fn the_defaults_are_those_of_the_rules() {
        assert_eq!(rules(&[]), SceneRules::default());
        assert_eq!(rules(&["--max-plan-age", "3"]).max_plan_age, Some(Duration::from_secs(3)));
        for bad in ["-1", "nan", "inf", "1e9", "long"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
