//! What comes on a topic, as far as a few seconds show it, and what of it would not be used.

use serde::{Deserialize, Serialize};

/// What the node's settings expect of the messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Width and height of images, pixels; `None` takes all.
    pub image_size: Option<(u32, u32)>,
    /// Decisions a second.
    pub decision_rate_hz: f64,
    /// Oldest image that is decided on, s.
    pub max_image_age_s: f64,
    /// How far ahead of the clock a stamp may be, s.
    pub future_tolerance_s: f64,
}

/// Messages of one topic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How long it was listened to, s.
    pub listened_s: f64,
    /// Messages that came.
    pub messages: u64,
    /// Messages a second, where several came.
    pub rate_hz: Option<f64>,
    /// Width and height, pixels.
    pub size: Option<(u32, u32)>,
    /// Encoding of raw images, format of compressed ones.
    pub encoding: Option<String>,
    /// `header.frame_id`, and `child_frame_id` where there is one.
    pub frames: Vec<String>,
    /// How far the last stamp lay behind the node's clock, s; `None` where stamp or clock are zero.
    pub age_s: Option<f64>,
}

/// What would keep messages from being used.
#[derive(Debug, Clone, PartialEq)]
pub enum MessageProblem {
    /// A publisher is there and says nothing.
    Silence {
        /// How long it was listened to, s.
        listened_s: f64,
    },
    /// Images of another size.
    Size {
        /// What comes.
        found: (u32, u32),
        /// What the checkpoint was trained on.
        expected: (u32, u32),
    },
    /// Pixels that are not read.
    Encoding {
        /// What comes.
        found: String,
    },
    /// Stamps too far behind the clock.
    TooOld {
        /// How far, s.
        age_s: f64,
        /// How old it may be, s.
        limit_s: f64,
    },
    /// Stamps ahead of the clock.
    Ahead {
        /// How far, s.
        by_s: f64,
    },
    /// No stamp at all.
    NoStamp,
    /// Fewer images than decisions.
    TooSlow {
        /// What comes, Hz.
        rate_hz: f64,
        /// What is decided, Hz.
        expected_hz: f64,
    },
}

/// Encodings of raw images that are read.
const ENCODINGS: [&str; 5] = ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"];

impl Measured {
    /// What of it would not be used; `is_image` where the messages are pictures that are decided on.
    pub fn problems(&self, expected: &Expected, is_image: bool) -> Vec<MessageProblem> {
        if self.messages == 0 {
            return vec![MessageProblem::Silence { listened_s: self.listened_s }];
        }
        let mut problems = Vec::new();
        match self.age_s {
            None => problems.push(MessageProblem::NoStamp),
            Some(age_s) if age_s > expected.max_image_age_s => {
                problems.push(MessageProblem::TooOld { age_s, limit_s: expected.max_image_age_s });
            }
            Some(age_s) if -age_s > expected.future_tolerance_s => {
                problems.push(MessageProblem::Ahead { by_s: -age_s });
            }
            Some(_) => {}
        }
        if !is_image {
            return problems;
        }
        if let (Some(found), Some(expected)) = (self.size, expected.image_size)
            && found != expected
        {
            problems.push(MessageProblem::Size { found, expected });
        }
        // A compressed image has no size of its own, and its format is free text.
        if let Some(found) = self.encoding.as_ref().filter(|_| self.size.is_some())
            && !ENCODINGS.contains(&found.as_str())
        {
            problems.push(MessageProblem::Encoding { found: found.clone() });
        }
        // A few messages do not show a rate to the percent.
        if let Some(rate_hz) = self.rate_hz.filter(|rate| *rate < 0.8 * expected.decision_rate_hz) {
            problems.push(MessageProblem::TooSlow { rate_hz, expected_hz: expected.decision_rate_hz });
        }
        problems
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rate_hz {
            Some(rate) => write!(f, "{rate:.1} Hz")?,
            None => write!(f, "{} messages in {:.1} s", self.messages, self.listened_s)?,
        }
        if let Some((width, height)) = self.size {
            write!(f, ", {width}x{height}")?;
        }
        if let Some(encoding) = &self.encoding {
            write!(f, ", {encoding}")?;
        }
        if !self.frames.is_empty() {
            write!(f, ", frame {}", self.frames.join(" and "))?;
        }
        match self.age_s {
            Some(age) => write!(f, ", {:.0} ms old", age * 1e3),
            None => write!(f, ", no stamp"),
        }
    }
}

impl std::fmt::Display for MessageProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence { listened_s } => write!(f, "nothing came in {listened_s:.1} s, though it has a publisher"),
            Self::Size { found, expected } => {
                write!(f, "images are {}x{}, expected {}x{}", found.0, found.1, expected.0, expected.1)
            }
            Self::Encoding { found } => {
                write!(f, "images are encoded as '{found}', expected one of {}", ENCODINGS.join(", "))
            }
            Self::TooOld { age_s, limit_s } => {
                write!(f, "stamps lie {age_s:.3} s behind this node's clock, expected at most {limit_s} s")
            }
            Self::Ahead { by_s } => write!(f, "stamps lie {by_s:.3} s ahead of this node's clock"),
            Self::NoStamp => f.write_str("messages have no stamp, or this node's clock does not run"),
            Self::TooSlow { rate_hz, expected_hz } => {
                write!(f, "{rate_hz:.1} images a second, and {expected_hz} decisions are wanted")
            }
        }
    }
}

impl MessageProblem {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Silence { .. } => {
                "look whether it publishes at all (ros2 topic hz); raw images need config/fastdds_images.xml on both sides"
            }
            Self::Size { .. } => {
                "publish the size that the checkpoint was trained on, or set image_width and image_height if it was this one"
            }
            Self::Encoding { .. } => "convert it on the publisher's side",
            Self::TooOld { .. } | Self::Ahead { .. } => {
                "set the clocks of both machines by one (chrony), or set use_sim_time as the publisher does"
            }
            Self::NoStamp => "have the publisher stamp its messages; with use_sim_time, start what publishes /clock",
            Self::TooSlow { .. } => "publish more often, or lower decision_rate",
        }
    }

    /// Whether nothing would be decided because of it.
    pub fn is_error(&self) -> bool {
        !matches!(self, Self::Silence { .. } | Self::TooSlow { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Measured), is_image: bool) -> Vec<String> {
        let expected = Expected {
            image_size: Some((600, 400)),
            decision_rate_hz: 2.0,
            max_image_age_s: 0.5,
            future_tolerance_s: 0.2,
        };
        let mut measured = Measured {
            listened_s: 2.5,
            messages: 10,
            rate_hz: Some(4.0),
            size: Some((600, 400)),
            encoding: Some("rgb8".into()),
            frames: vec!["odom".into()],
            age_s: Some(0.012),
        };
        change(&mut measured);
        measured.problems(&expected, is_image).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_would_not_be_used_is_named_with_what_is_expected() {
        assert!(problems(|_| (), true).is_empty());
        let of = |change: fn(&mut Measured)| problems(change, true).join("; ");
        assert_eq!(of(|found| found.messages = 0), "nothing came in 2.5 s, though it has a publisher");
        assert_eq!(of(|found| found.size = Some((640, 480))), "images are 640x480, expected 600x400");
        assert!(of(|found| found.encoding = Some("16UC1".into())).starts_with("images are encoded as '16UC1'"));
        assert!(
            of(|found| found.age_s = Some(9.5)).contains("9.500 s behind this node's clock, expected at most 0.5 s")
        );
        assert!(of(|found| found.age_s = Some(-1.0)).contains("1.000 s ahead"));
        assert!(of(|found| found.age_s = None).contains("no stamp"));
        assert!(of(|found| found.rate_hz = Some(1.0)).contains("1.0 images a second, and 2 decisions"));
        assert!(problems(|found| found.rate_hz = Some(1.0), false).is_empty(), "odometry may come as it likes");
        // The format of a compressed image is free text.
        assert!(problems(|found| (found.size, found.encoding) = (None, Some("rgb8; jpeg".into())), true).is_empty());
    }

    #[test]
    fn what_came_is_told_in_a_line() {
        let mut measured = Measured { listened_s: 2.5, messages: 1, ..Measured::default() };
        assert_eq!(measured.to_string(), "1 messages in 2.5 s, no stamp");
        (measured.rate_hz, measured.size, measured.age_s) = (Some(9.96), Some((600, 400)), Some(0.0123));
        (measured.encoding, measured.frames) = (Some("rgb8".into()), vec!["odom".into(), "base_link".into()]);
        assert_eq!(measured.to_string(), "10.0 Hz, 600x400, rgb8, frame odom and base_link, 12 ms old");
    }
}
