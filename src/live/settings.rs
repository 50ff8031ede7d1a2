//! The node's settings: one table, from which the ROS parameters, their descriptions and the checks are made.

use std::fmt::Write as _;

use super::setting_value::{Accepted, Change, Declaration, SettingError, SettingType, SettingValue};
use crate::frame::render::Renderer;
use Accepted::{All, Between, OneOf};
use Change::{AtStart, Live};

/// Size of the images that are drawn, pixels.
const TRAINED_SIZE: (u32, u32) = (Renderer::WIDTH, Renderer::HEIGHT);

/// Makes [`Settings`] from the table: name, type, default, when it may change, unit, accepted values, description.
macro_rules! settings {
    ($($name:ident: $kind:ty = $default:expr, $change:ident, $unit:literal, $accepted:expr, $description:literal;)*) => {
        /// Every setting of the node, in range and free of contradictions by construction.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $(#[doc = $description] pub $name: $kind,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default.into(),)* }
            }
        }

        impl Settings {
            /// All settings, in the order of the table.
            pub const DECLARATIONS: &'static [Declaration] = &[$(Declaration {
                name: stringify!($name),
                description: $description,
                unit: $unit,
                accepted: $accepted,
                change: $change,
            },)*];

            /// The value of a setting by name.
            pub fn get(&self, name: &str) -> Option<SettingValue> {
                match name {
                    $(stringify!($name) => Some(self.$name.to_value()),)*
                    _ => None,
                }
            }

            /// Sets a value of the setting's type, unchecked otherwise; tells the type that is expected if it has another.
            fn put(&mut self, name: &str, value: &SettingValue) -> Result<(), &'static str> {
                match name {
                    $(stringify!($name) => {
                        self.$name = SettingType::from_value(value).ok_or(<$kind as SettingType>::NAME)?;
                    })*
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

settings! {
    base: String = "", AtStart, "", All, "Base model: a folder, or an id on the Hugging Face Hub (owner/name)";
    checkpoint: String = "", AtStart, "", All, "Folder of the supervised checkpoint";
    policy: String = "", AtStart, "", All, "Policy: prefix, folder or actor file; empty for the regression head";
    policy_folder: String = "", AtStart, "", All, "Folder where training leaves policies: each new one that is complete and sound takes over while the node runs";
    head: String = "auto", AtStart, "", OneOf(&["auto", "actor", "regression"]), "Which head decides; auto takes the actor where there is a policy";
    planner: String = "dwa", AtStart, "", All, "Planner that is tuned: dwa, teb, mppi, ddp, or a YAML file";
    device: String = "cpu", AtStart, "", All, "Where to compute: cpu or cuda:N";
    dtype: String = "auto", AtStart, "", All, "Format of the model's weights; auto is f32 on a CPU and bf16 on a GPU";
    quantize: String = "none", AtStart, "", OneOf(&["none", "nf4", "as-trained"]), "nf4 keeps the linear layers in 4 bits; as-trained asks the policy";
    threads: i64 = 0, AtStart, "", Between(0.0, 1024.0), "Threads that compute on the CPU; 0 takes one per core. Leave cores to the planner";
    min_pixels: i64 = 0, AtStart, "pixels", Between(0.0, 1e8), "Least size the image is resized to; 0 leaves it to preprocessor_config.json";
    max_pixels: i64 = 0, AtStart, "pixels", Between(0.0, 1e8), "Largest size the image is resized to; 0 leaves it to preprocessor_config.json";
    image_source: String = "topic", AtStart, "", OneOf(&["topic", "render"]), "topic takes costmap images; render draws them from scan, plan and odometry";
    plan_topic: String = "plan", AtStart, "", All, "Plan that is drawn with image_source render: nav_msgs/Path; empty for none";
    assume_same_frame: bool = false, Live, "", All, "Draw the plan as if its frame were that of the odometry, without TF between them";
    apply_laser_mount: bool = false, Live, "", All, "Draw beams from where TF says the laser is mounted; the training pictures ignored that";
    max_pose_age: f64 = 0.2, Live, "s", Between(0.01, 10.0), "Oldest odometry, measured from the scan, that a picture is drawn with";
    max_transform_age: f64 = 2.0, Live, "s", Between(0.01, 10.0), "Oldest TF, measured from the scan, where none behind it is known; between two of them it is interpolated";
    max_plan_age: f64 = 0.0, Live, "s", Between(0.0, 86400.0), "Oldest plan, measured from the scan, that is drawn; 0 draws it until its goal is over or the next one comes";
    image_transport: String = "raw", AtStart, "", OneOf(&["raw", "compressed"]), "raw subscribes costmap_image, compressed costmap_image/compressed";
    image_width: i64 = 600, AtStart, "pixels", Between(0.0, 8192.0), "Width of the images the checkpoint was trained on; 0 takes all";
    image_height: i64 = 400, AtStart, "pixels", Between(0.0, 8192.0), "Height of the images the checkpoint was trained on; 0 takes all";
    goal_status_topic: String = "navigate_to_pose/_action/status", AtStart, "", All, "Action status whose new goals start an episode; empty for none";
    log_folder: String = "", AtStart, "", All, "Folder of the transition log; empty for none";
    log_min_free: f64 = 1.0, AtStart, "GiB", Between(0.0, 1e6), "Disk space that the transition log leaves to others";
    log_reward: String = "", AtStart, "", All, "YAML file with the reward's weights; empty for the built-in ones";
    episode_time_out: f64 = 0.0, AtStart, "s", Between(0.0, 1e6), "Longest episode of the log; 0 sets no limit";
    goal_topic: String = "goal_pose", AtStart, "", All, "Goal in the odometry's frame, for the log's reward; empty for none";
    collision_topic: String = "", AtStart, "", All, "Collisions (std_msgs/Bool) that end an episode of the log; empty for none";
    mapping: String = "shadow", AtStart, "", All, "Where parameters go: nav2_dwb, nav2_mppi, topic, shadow, or a YAML file";
    mode: String = "shadow", Live, "", OneOf(&["shadow", "active", "disabled"]), "shadow decides and sets nothing, active sets parameters, disabled does not decide; ~/enable changes it, too";
    hardware_id: String = "", AtStart, "", All, "The robot's name in /diagnostics; empty takes the namespace, or else the machine's name";
    restore_on_exit: bool = false, AtStart, "", All, "Set the planner's start values again when the node ends";
    force: bool = false, AtStart, "", All, "Set parameters even if another tuner serves the same planner";
    decision_rate: f64 = 2.0, Live, "Hz", Between(0.05, 50.0), "Decisions a second, by the stamps of the images";
    max_frame_age: f64 = 0.5, Live, "s", Between(0.02, 60.0), "Oldest image that is decided on";
    hold_timeout: f64 = 2.0, Live, "s", Between(0.1, 600.0), "Without a valid decision for this long, the safe defaults are set";
    frozen_after: f64 = 5.0, Live, "s", Between(0.1, 600.0), "A picture that stays the same for this long while the robot moves is reported";
    future_tolerance: f64 = 0.2, Live, "s", Between(0.0, 10.0), "How far ahead of the clock a stamp may be";
    velocity_max_age: f64 = 0.2, Live, "s", Between(0.01, 10.0), "Oldest velocity, measured from the image, that is used";
    latency_budget: f64 = 0.5, Live, "s", Between(0.001, 600.0), "A decision that takes longer is reported";
    good_frames: i64 = 3, Live, "", Between(1.0, 100.0), "Valid decisions in a row that lead back to nominal operation";
    assume_stationary: bool = false, Live, "", All, "Decide with zero velocity where odometry is missing";
    slew_rate: f64 = 0.5, Live, "1/s", Between(0.0, 100.0), "Largest change a second as a share of a parameter's range; 0 sets no limit";
    hysteresis: f64 = 0.02, Live, "", Between(0.0, 0.5), "Changes below this share of a parameter's range are not made";
    inscribed_radius: f64 = 0.215, Live, "m", Between(0.0, 5.0), "The robot's inscribed radius: the inflation radius stays above it";
    inflation_margin: f64 = 0.02, Live, "m", Between(0.0, 1.0), "How far above the inscribed radius the inflation radius stays";
    allow_below_inscribed: bool = false, Live, "", All, "Let the inflation radius fall below the inscribed radius";
    call_timeout: f64 = 0.3, Live, "s", Between(0.01, 1.0), "How long the planner may take to answer";
    apply_rate: f64 = 2.0, Live, "Hz", Between(0.01, 20.0), "Largest number of batches a second that are set on the planner";
    poll_interval: f64 = 0.5, Live, "s", Between(0.01, 1.0), "Time between two looks at the planner's parameters";
    on_conflict: String = "yield", Live, "", OneOf(&["yield", "insist", "stop"]), "What to do when someone else changes a parameter of ours";
    allow_large_change: bool = false, Live, "", All, "Let a policy of policy_folder change a parameter by more than half of its range at once";
    use_sim_time: bool = false, AtStart, "", All, "Take the time from /clock";
}

impl Settings {
    /// A setting's declaration by name.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] with the nearest name.
    pub fn declaration(name: &str) -> Result<&'static Declaration, SettingError> {
        Self::DECLARATIONS.iter().find(|declaration| declaration.name == name).ok_or_else(|| {
            let nearest = Self::DECLARATIONS
                .iter()
                .map(|known| (strsim::jaro_winkler(name, known.name), known.name))
                .filter(|(similarity, _)| *similarity > 0.7)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = nearest.map(|(_, name)| format!("; did you mean '{name}'?")).unwrap_or_default();
            SettingError::Unknown { name: name.to_owned(), hint }
        })
    }

    /// All parameters for people: name, default, what is accepted, when it may change, and a sentence; one below the other.
    pub fn help() -> String {
        let defaults = Self::default();
        let mut text = String::new();
        for declaration in Self::DECLARATIONS {
            let Declaration { name, description, change, .. } = declaration;
            let default = defaults.get(name).map(|value| value.to_string()).unwrap_or_default();
            let when = if *change == Change::AtStart { "; at start only" } else { "" };
            let _ = writeln!(text, "  {name}  [{default}] {}{when}\n      {description}", declaration.expected());
        }
        text
    }

    /// These settings with what was given at start.
    ///
    /// # Errors
    /// The first value that is refused.
    pub fn at_start<'a>(
        self,
        values: impl IntoIterator<Item = (&'a str, &'a SettingValue)>,
    ) -> Result<Self, SettingError> {
        self.with(values, |_| Ok(()))
    }

    /// These settings with changes asked for at run time: all of them, or none.
    ///
    /// # Errors
    /// The first change that is refused; one to a setting that is read at start, too, unless it changes nothing.
    pub fn changed<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a SettingValue)>,
    ) -> Result<Self, SettingError> {
        let before = self;
        before.clone().with(values, |after| {
            let fixed = Self::DECLARATIONS.iter().filter(|declaration| declaration.change == AtStart);
            let mut changed = fixed.filter(|fixed| before.get(fixed.name) != after.get(fixed.name));
            changed.next().map_or(Ok(()), |fixed| Err(SettingError::AtStart { name: fixed.name }))
        })
    }

    fn with<'a>(
        mut self,
        values: impl IntoIterator<Item = (&'a str, &'a SettingValue)>,
        check: impl FnOnce(&Self) -> Result<(), SettingError>,
    ) -> Result<Self, SettingError> {
        for (name, value) in values {
            let declaration = Self::declaration(name)?;
            self.put(name, value).map_err(|expected| SettingError::Type {
                name: declaration.name,
                expected,
                found_type: value.type_name(),
                found: value.to_string(),
            })?;
            declaration.check(&self.get(name).unwrap_or_else(|| value.clone()))?;
        }
        check(&self)?;
        self.check_together()?;
        Ok(self)
    }

    /// What single ranges cannot say.
    fn check_together(&self) -> Result<(), SettingError> {
        let contradiction = |text: String| Err(SettingError::Contradiction(text));
        if self.hold_timeout < self.max_frame_age {
            return contradiction(format!(
                "hold_timeout is {} s, expected at least max_frame_age ({} s): no image would ever be young enough",
                self.hold_timeout, self.max_frame_age
            ));
        }
        if (self.image_width == 0) != (self.image_height == 0) {
            return contradiction("image_width and image_height are either both 0 or both a size".into());
        }
        if self.draws_images() && ![None, Some(TRAINED_SIZE)].contains(&self.expected_size()) {
            return contradiction(format!(
                "image_source render draws images of {}x{} pixels, but image_width and image_height are {} and {}",
                TRAINED_SIZE.0, TRAINED_SIZE.1, self.image_width, self.image_height
            ));
        }
        if self.max_pixels != 0 && self.min_pixels > self.max_pixels {
            return contradiction(format!("min_pixels {} is above max_pixels {}", self.min_pixels, self.max_pixels));
        }
        if self.head == "actor" && self.policy.is_empty() && self.policy_folder.is_empty() {
            return contradiction("head 'actor' needs a policy; set the parameter policy".into());
        }
        Ok(())
    }

    /// What is different from before: `name: old -> new`.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let names = Self::DECLARATIONS.iter().map(|declaration| declaration.name);
        let both = names.filter_map(|name| Some((name, before.get(name)?, self.get(name)?)));
        both.filter(|(_, old, new)| old != new).map(|(name, old, new)| format!("{name}: {old} -> {new}")).collect()
    }

    /// Whether images are drawn, and not taken from a topic.
    pub fn draws_images(&self) -> bool {
        self.image_source == "render"
    }

    /// The size that images must have; `None` takes all.
    pub fn expected_size(&self) -> Option<(u32, u32)> {
        let side = |pixels: i64| u32::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        Some((side(self.image_width)?, side(self.image_height)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::SettingValue::{Bool, Double, Integer, Text};
    use super::*;

    fn refusal(name: &str, value: SettingValue) -> String {
        Settings::default().changed([(name, &value)]).unwrap_err().to_string()
    }

    #[test]
    fn help_tells_every_parameter_with_its_default_and_range() {
        let help = Settings::help();
        for declaration in Settings::DECLARATIONS {
            assert!(help.contains(&format!("  {}  [", declaration.name)), "{}", declaration.name);
            assert!(help.contains(declaration.description), "{}", declaration.name);
        }
        assert!(help.contains("  hold_timeout  [2] 0.1 to 600 s\n"), "{help}");
        assert!(help.contains("  device  ['cpu'] any value; at start only\n"), "{help}");
    }

    #[test]
    fn defaults_are_in_range() {
        let settings = Settings::default();
        for declaration in Settings::DECLARATIONS {
            declaration.check(&settings.get(declaration.name).unwrap()).unwrap();
            assert!(!declaration.description.is_empty());
        }
        settings.check_together().unwrap();
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        assert_eq!(
            refusal("hold_timout", Double(1.0)),
            "there is no parameter 'hold_timout'; did you mean 'hold_timeout'?"
        );
        assert_eq!(refusal("decision_rate", Double(0.0)), "parameter 'decision_rate' is 0, expected 0.05 to 50 Hz");
        assert_eq!(
            refusal("decision_rate", Double(f64::NAN)),
            "parameter 'decision_rate' is NaN, expected 0.05 to 50 Hz"
        );
        assert_eq!(
            refusal("decision_rate", Text("fast".into())),
            "parameter 'decision_rate' is of type double, found the string 'fast'"
        );
        assert_eq!(
            refusal("good_frames", Double(3.0)),
            "parameter 'good_frames' is of type integer, found the double 3"
        );
        assert!(refusal("device", Text("cuda:0".into())).contains("read at start only"));
        let (render, width) = (Text("render".into()), Integer(520));
        let drawn = Settings::default().at_start([("image_source", &render), ("image_width", &width)]);
        assert!(drawn.unwrap_err().to_string().contains("draws images of 600x400 pixels"));
        assert!(refusal("hold_timeout", Double(0.3)).contains("expected at least max_frame_age"));
    }

    #[test]
    fn changes_are_all_or_none() {
        let settings = Settings::default();
        let (rate, reversed) = (Double(5.0), Double(-1.0));
        assert!(settings.changed([("decision_rate", &rate), ("hold_timeout", &reversed)]).is_err());
        let changed = settings.changed([("decision_rate", &Integer(5)), ("assume_stationary", &Bool(true))]).unwrap();
        assert_eq!((changed.decision_rate, changed.assume_stationary), (5.0, true));
        let together = settings.changed([("hold_timeout", &Double(0.3)), ("max_frame_age", &Double(0.2))]);
        assert!(together.is_ok(), "judged as a whole");
        assert!(settings.changed([("device", &Text("cpu".into()))]).is_ok(), "nothing changes");
    }

    #[test]
    fn no_bit_pattern_of_a_number_gets_around_a_range() {
        proptest::proptest!(|(bits: u64)| {
            let value = f64::from_bits(bits);
            for declaration in Settings::DECLARATIONS {
                if let Ok(settings) = Settings::default().changed([(declaration.name, &Double(value))]) {
                    declaration.check(&settings.get(declaration.name).unwrap()).unwrap();
                    assert!(value.is_finite());
                }
            }
        });
    }
}
