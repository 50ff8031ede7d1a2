//! `prompt.json`: the wording a checkpoint was trained with, and its placeholders.

use std::{io, path::Path};

use serde_json::{Map, Value};

use super::{PlaceholderError, ProcessorError, Prompt, read_bounded};
use planner_tuner_core::frame::BodyVelocity;

/// A prompt.json is a few kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Wording for checkpoints that bring none.
const DEFAULT_SYSTEM: &str = "\
You see a local costmap from above, centred near a small ground robot, and judge how difficult the scene is to drive \
through.
In the picture, the thin grid has a spacing of one metre, the yellow rectangle is the robot, the green bar points \
ahead and the blue bar to its left, red discs are laser returns from obstacles, and the black line is the path that \
the global planner wants followed.
Weigh how near and how dense the obstacles are, how much room is left beside the path, how sharply it turns, and how \
fast the robot moves now. From this the parameters of its local planner are chosen.";
const DEFAULT_USER: &str = "\
The robot drives at {linear_vel:.3f} m/s and turns at {angular_vel:.3f} rad/s. Its local planner is {planner}. \
How demanding is this scene for the planner?";

/// The two templates of a checkpoint, parsed.
///
/// `{linear_vel:.Nf}` (m/s) and `{angular_vel:.Nf}` (rad/s) with N from 0 to 9 and `{planner}` (upper case) are filled
/// in; any other `{name}` is an error; all other braces stand for themselves, doubled ones too. White space and
/// newlines are kept to the letter, since the checkpoint was trained with them.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptTemplate {
    system: Vec<Piece>,
    user: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    LinearVelocity { decimals: usize },
    AngularVelocity { decimals: usize },
    Planner,
}

impl Piece {
    /// As it stands in a template.
    fn template(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::LinearVelocity { decimals } => format!("{{linear_vel:.{decimals}f}}"),
            Self::AngularVelocity { decimals } => format!("{{angular_vel:.{decimals}f}}"),
            Self::Planner => "{planner}".to_owned(),
        }
    }
}

impl PromptTemplate {
    /// Name of the file in the supervised checkpoint's folder.
    pub const FILE: &str = "prompt.json";

    /// Reads the checkpoint's prompt.json. Without one (or without a checkpoint) a built-in wording is used, and a
    /// warning says that the numbers will differ from those of the training wording.
    ///
    /// # Errors
    /// [`ProcessorError::Read`], [`ProcessorError::Json`] or [`ProcessorError::Field`] for a file that cannot be used,
    /// [`ProcessorError::Placeholder`] for a placeholder that cannot be filled in.
    pub fn load(checkpoint: Option<&Path>) -> Result<Self, ProcessorError> {
        let Some(path) = checkpoint.map(|folder| folder.join(Self::FILE)) else {
            return Self::built_in();
        };
        match read_bounded(&path, MAX_FILE_BYTES) {
            Ok(json) => Self::from_json(&path.display().to_string(), &json),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                log::warn!(
                    "{}: not there, so a built-in wording of the prompt is used; the model's numbers will differ from \
                     those with the wording of its training",
                    path.display()
                );
                Self::built_in()
            }
            Err(source) => {
                Err(ProcessorError::Read { path, what: "the wording of the prompt, or no such file at all", source })
            }
        }
    }

    /// The wording for checkpoints that bring none.
    ///
    /// # Errors
    /// None in practice: the built-in templates are covered by a test.
    pub fn built_in() -> Result<Self, ProcessorError> {
        Self::new("built-in prompt", DEFAULT_SYSTEM, DEFAULT_USER)
    }

    /// From the text of a prompt.json; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_json(origin: &str, json: &[u8]) -> Result<Self, ProcessorError> {
        let fields: Map<String, Value> =
            serde_json::from_slice(json).map_err(|source| ProcessorError::Json { path: origin.into(), source })?;
        let template = |field: &'static str| match fields.get(field) {
            Some(Value::String(text)) => Ok(text.as_str()),
            other => Err(ProcessorError::Field {
                origin: origin.to_owned(),
                field,
                found: other.map_or_else(|| "missing".to_owned(), Value::to_string),
                expected: "a string with the template of this message".to_owned(),
            }),
        };
        for key in fields.keys().filter(|key| !["system", "user"].contains(&key.as_str())) {
            log::warn!("{origin}: field '{key}' is not known (system and user are) and changes nothing");
        }
        Self::new(origin, template("system")?, template("user")?)
    }

    /// From the two templates; `origin` names them in errors.
    ///
    /// # Errors
    /// [`ProcessorError::Placeholder`] for a placeholder that cannot be filled in.
    pub fn new(origin: &str, system: &str, user: &str) -> Result<Self, ProcessorError> {
        Ok(Self { system: parse(origin, "system", system)?, user: parse(origin, "user", user)? })
    }

    /// The text of a prompt.json that [`Self::from_json`] reads as the same templates.
    pub fn to_json(&self) -> String {
        let text = |pieces: &[Piece]| pieces.iter().map(Piece::template).collect::<String>();
        let fields = serde_json::json!({"system": text(&self.system), "user": text(&self.user)});
        format!("{fields:#}\n")
    }

    /// Fills in the placeholders. The planner's name is put in upper case, velocities are printed as Python does.
    pub fn render(&self, velocity: BodyVelocity, planner: &str) -> Prompt {
        let fill = |pieces: &[Piece]| -> String {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::LinearVelocity { decimals } => format!("{:.decimals$}", velocity.linear()),
                    Piece::AngularVelocity { decimals } => format!("{:.decimals$}", velocity.angular()),
                    Piece::Planner => planner.to_uppercase(),
                })
                .collect()
        };
        Prompt::new(&fill(&self.system), &fill(&self.user))
    }
}

/// Splits a template at its placeholders.
fn parse(origin: &str, template: &'static str, text: &str) -> Result<Vec<Piece>, ProcessorError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, from_brace)) = rest.find('{').and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(before);
        let Some(placeholder) = Placeholder::at_start(from_brace) else {
            literal.push('{');
            rest = from_brace.strip_prefix('{').unwrap_or_default();
            continue;
        };
        let piece = placeholder.piece().map_err(|reason| ProcessorError::Placeholder {
            origin: origin.to_owned(),
            template,
            placeholder: placeholder.source.to_owned(),
            offset: text.len() - from_brace.len(),
            reason,
        })?;
        pieces.extend([Piece::Text(std::mem::take(&mut literal)), piece]);
        rest = from_brace.strip_prefix(placeholder.source).unwrap_or_default();
    }
    literal.push_str(rest);
    pieces.push(Piece::Text(literal));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok(pieces)
}

/// `{name}` or `{name:format}` as it stands in a template.
struct Placeholder<'a> {
    source: &'a str,
    name: &'a str,
    format: Option<&'a str>,
}

impl<'a> Placeholder<'a> {
    /// The placeholder that `text` starts with, if its braces hold an identifier.
    fn at_start(text: &'a str) -> Option<Self> {
        let end = text.find('}')?;
        let source = text.get(..=end)?;
        let inside = source.strip_prefix('{')?.strip_suffix('}')?;
        let (name, format) = match inside.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (inside, None),
        };
        let mut letters = name.chars();
        let identifier = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        // An opening brace inside the format means that this brace was not the start of a placeholder.
        (identifier && !inside.contains('{')).then_some(Self { source, name, format })
    }

    fn piece(&self) -> Result<Piece, PlaceholderError> {
        match (self.name, self.format) {
            ("planner", None) => Ok(Piece::Planner),
            ("planner", Some(_)) => Err(PlaceholderError::PlannerFormat),
            ("linear_vel", format) => Ok(Piece::LinearVelocity { decimals: self.decimals(format)? }),
            ("angular_vel", format) => Ok(Piece::AngularVelocity { decimals: self.decimals(format)? }),
            _ => Err(PlaceholderError::Unknown),
        }
    }

    /// N of `.Nf`.
    fn decimals(&self, format: Option<&str>) -> Result<usize, PlaceholderError> {
        let digits = format.and_then(|format| format.strip_prefix('.')?.strip_suffix('f'));
        match digits.map(str::as_bytes) {
            Some(&[digit @ b'0'..=b'9']) => Ok(usize::from(digit - b'0')),
            _ => Err(PlaceholderError::Decimals { name: self.name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn user(template: &str, linear: f64, angular: f64) -> Result<String, ProcessorError> {
        let prompt = PromptTemplate::new("prompt.json", "", template)?
            .render(BodyVelocity::new(linear, angular).unwrap(), "dwa");
        let after = prompt.after_image().strip_prefix("<|vision_end|>").unwrap();
        Ok(after.strip_suffix("<|im_end|>\n").unwrap().to_owned())
    }

    #[test]
    fn fills_in_and_keeps_white_space() {
        let text = user(" {planner}\n\n{linear_vel:.3f}|{angular_vel:.0f}{linear_vel:.9f}\n", 0.523, -1.7).unwrap();
        assert_eq!(text, " DWA\n\n0.523|-20.523000000\n");
    }

    #[test]
    fn a_written_template_is_read_as_the_same() {
        let user = "a {planner}\n {linear_vel:.3f} {{angular_vel}} {angular_vel:.0f} { } \n";
        for template in [PromptTemplate::new("x", "{system}}", user), PromptTemplate::built_in()] {
            let Ok(template) = template else { continue };
            assert_eq!(PromptTemplate::from_json("y", template.to_json().as_bytes()).unwrap(), template);
        }
    }

    /// Values of Python's `f"{x:.3f}"`.
    #[test]
    fn velocities_round_as_in_python() {
        for (value, python) in [
            (0.0, "0.000"),
            (-0.0, "-0.000"),
            (-0.0004, "-0.000"),
            (0.0005, "0.001"),
            (0.0015, "0.002"),
            (0.0025, "0.003"),
            (1.0005, "1.000"),
            (2.0005, "2.001"),
            (0.0625, "0.062"),
            (0.1875, "0.188"),
            (1.9996, "2.000"),
            (-3.0615, "-3.062"),
        ] {
            assert_eq!(user("{linear_vel:.3f}", value, 0.0).unwrap(), python, "{value:e}");
        }
    }

    #[test]
    fn other_braces_are_literal() {
        for text in ["{", "}", "{}", "{ planner }", "{1a}", "{\"planner\": 3}", "{{}}", "{a", "{planner", "}{"] {
            assert_eq!(user(text, 0.0, 0.0).unwrap(), text);
        }
        assert_eq!(user("{{planner}} {x:{planner}}", 0.0, 0.0).unwrap(), "{DWA} {x:DWA}");
    }

    #[test]
    fn unknown_placeholders_are_named_with_their_place() {
        let err = user("é {speed:.2f}", 0.0, 0.0).unwrap_err().to_string();
        assert!(err.starts_with("prompt.json: template 'user' has {speed:.2f} at byte 3: not known"), "{err}");
        for bad in [
            "{linear_vel}",
            "{linear_vel:}",
            "{linear_vel:.10f}",
            "{linear_vel:+.3f}",
            "{angular_vel:.f}",
            "{angular_vel:.3g}",
            "{planner:s}",
            "{Planner}",
            "{_}",
        ] {
            let err = user(bad, 0.0, 0.0).unwrap_err().to_string();
            assert!(err.contains(&format!("has {bad} at byte 0")), "{err}");
        }
    }

    #[test]
    fn files_must_hold_both_templates() {
        let from = |json: &str| PromptTemplate::from_json("c/prompt.json", json.as_bytes());
        assert!(from(r#"{"system": "s", "user": "u", "comment": 1}"#).is_ok());
        let err = from(r#"{"system": "s"}"#).unwrap_err().to_string();
        assert!(err.starts_with("c/prompt.json: field 'user' is missing, expected a string"), "{err}");
        let err = from(r#"{"system": 5, "user": "u"}"#).unwrap_err().to_string();
        assert!(err.starts_with("c/prompt.json: field 'system' is 5"), "{err}");
        assert!(matches!(from("[]").unwrap_err(), ProcessorError::Json { .. }));
    }

    #[test]
    fn the_built_in_wording_stands_in_for_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(PromptTemplate::load(Some(folder.path())).unwrap(), PromptTemplate::built_in().unwrap());
        std::fs::write(folder.path().join("prompt.json"), r#"{"system": "s\n", "user": "{planner}"}"#).unwrap();
        let own = PromptTemplate::load(Some(folder.path())).unwrap();
        assert_eq!(own, PromptTemplate::new("", "s\n", "{planner}").unwrap());
    }
}
