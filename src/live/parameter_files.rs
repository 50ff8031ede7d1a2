//! Which parameters the command line and its files give to a node, as rcl and rclcpp read them.
//!
//! A file holds sections: the names of nodes, nested by namespace or joined by slashes, with `ros__parameters` below them.
//! `*` in a name stands for one part of it, `**` for any number of them. Sections of the same name are one, wherever they
//! stand; of several that match a node, the one that was first named anywhere comes first, and later ones win.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use log::Level;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::ros_arguments::ParameterSource;
use super::{SettingError, SettingValue, Settings};

/// What `-p` without a node gives to.
const EVERY_NODE: &str = "/**";
/// Deeper than any file that a person writes.
const MAX_DEPTH: usize = 32;

/// Why parameters cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterFileError {
    /// The file cannot be read.
    #[error("parameter file {file} cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// No YAML.
    #[error("parameter file {file} is not YAML: {error}")]
    Yaml {
        /// The file.
        file: String,
        /// Where and why.
        error: ScanError,
    },
    /// YAML of another shape.
    #[error("parameter file {file}, line {line}: found {found}, expected {expected}")]
    Shape {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A value that the node refuses.
    #[error("{origin}: {error}")]
    Setting {
        /// The file and section, or `-p`.
        origin: String,
        /// What is wrong.
        error: SettingError,
    },
}

/// The parameters of one node, and what there is to say about where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeParameters {
    /// The settings.
    pub settings: Settings,
    /// To be logged at start.
    pub remarks: Vec<(Level, String)>,
}

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    origin: Origin,
    name: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    CommandLine,
    File(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    One(SettingValue),
    List,
}

/// A name of nodes with all that was given to it. rcl compares names as they are written: `tuner` and `/tuner` mean the
/// same node and are two sections, each in its own place.
#[derive(Debug, Clone, PartialEq)]
struct Section {
    nodes: String,
    given: Vec<Given>,
}

/// Reads what `sources` give to the node of this full name.
///
/// Names that the node does not have are ignored, and said, where they are given to many nodes by a pattern in a file; in
/// the node's own section and on the command line they are errors.
///
/// # Errors
/// [`ParameterFileError`] with file and line, or with the parameter.
pub fn read_parameters(sources: &[ParameterSource], node: &str) -> Result<NodeParameters, ParameterFileError> {
    settle(&read_sections(sources)?, node)
}

/// All that `sources` give to the node of this full name, by any name and unchecked; lists are left out.
///
/// # Errors
/// [`ParameterFileError`] with file and line.
pub fn overrides(
    sources: &[ParameterSource],
    node: &str,
) -> Result<BTreeMap<String, SettingValue>, ParameterFileError> {
    let sections = read_sections(sources)?;
    let given = sections.into_iter().filter(|section| matches(&section.nodes, node)).flat_map(|section| section.given);
    let single = given.filter_map(|given| match given.value {
        Value::One(value) => Some((given.name, value)),
        Value::List => None,
    });
    // The later of two stays.
    Ok(single.collect())
}

fn read_sections(sources: &[ParameterSource]) -> Result<Vec<Section>, ParameterFileError> {
    let mut sections = Vec::new();
    for source in sources {
        match source {
            ParameterSource::File(path) => read_file(path, &mut sections)?,
            ParameterSource::Rule { node, name, value } => {
                let nodes = node.as_deref().unwrap_or(EVERY_NODE).to_owned();
                let value = rule_value(value);
                add(&mut sections, nodes, Given { origin: Origin::CommandLine, name: name.clone(), value });
            }
        }
    }
    Ok(sections)
}

fn settle(sections: &[Section], node: &str) -> Result<NodeParameters, ParameterFileError> {
    let mut values: Vec<(&str, &SettingValue)> = Vec::new();
    let mut remarks = Vec::new();
    let mut files: Vec<&str> = Vec::new();
    for origin in sections.iter().flat_map(|section| &section.given).map(|given| &given.origin) {
        if let Origin::File(file) = origin
            && !files.contains(&file.as_str())
        {
            files.push(file);
        }
    }
    for section in sections.iter().filter(|section| matches(&section.nodes, node)) {
        let is_shared = section.nodes.contains('*');
        for Given { origin, name, value } in &section.given {
            if is_for_every_node(name) {
                continue;
            }
            let refuse = |error| ParameterFileError::Setting { origin: origin.name(&section.nodes), error };
            let declaration = match Settings::declaration(name) {
                Ok(declaration) => declaration,
                // Of a shared section. And of a `-p`, which launch_ros's SetParameter gives to every node, unless it looks like one
                // of this node's that is misspelled.
                Err(error) if is_shared && (*origin != Origin::CommandLine || !is_misspelled(&error)) => {
                    remarks.push((Level::Warn, format!("{}: {error}; ignored", origin.name(&section.nodes))));
                    continue;
                }
                Err(error) => return Err(refuse(error)),
            };
            let Value::One(value) = value else {
                let (expected, found) = (declaration.expected(), "a list".to_owned());
                return Err(refuse(SettingError::Range { name: declaration.name, expected, found }));
            };
            // Checked one by one for the origin's sake; contradictions show when they are taken together.
            match Settings::default().at_start([(name.as_str(), value)]) {
                Ok(_) | Err(SettingError::Contradiction(_)) => {}
                Err(error) => return Err(refuse(error)),
            }
            values.retain(|(known, _)| *known != name);
            values.push((name, value));
        }
    }
    let settings = Settings::default()
        .at_start(values.iter().copied())
        .map_err(|error| ParameterFileError::Setting { origin: "the parameters together".to_owned(), error })?;
    for file in files {
        remarks.push(remark_on(file, sections, node));
    }
    Ok(NodeParameters { settings, remarks })
}

/// Whether an unknown name is close to a known one.
fn is_misspelled(error: &SettingError) -> bool {
    matches!(error, SettingError::Unknown { hint, .. } if !hint.is_empty())
}

/// Which sections of a file gave values, and which matched nothing.
fn remark_on(file: &str, sections: &[Section], node: &str) -> (Level, String) {
    let in_file = |section: &&Section| section.given.iter().any(|given| given.origin == Origin::File(file.to_owned()));
    let (taken, other): (Vec<&Section>, Vec<&Section>) =
        sections.iter().filter(in_file).partition(|section| matches(&section.nodes, node));
    let names =
        |sections: &[&Section]| sections.iter().map(|section| rooted(&section.nodes)).collect::<Vec<_>>().join(", ");
    match (taken.as_slice(), other.as_slice()) {
        ([], other) => {
            let other = names(other);
            (Level::Warn, format!("{file}: no section is for {node}, so nothing of it is used; it has {other}"))
        }
        (taken, []) => (Level::Info, format!("{file}: parameters from {}", names(taken))),
        (taken, other) => {
            let (taken, other) = (names(taken), names(other));
            (Level::Info, format!("{file}: parameters from {taken}; not for {node}: {other}"))
        }
    }
}

impl Origin {
    fn name(&self, nodes: &str) -> String {
        match self {
            Self::CommandLine => "-p".to_owned(),
            Self::File(file) => format!("{file}, section {}", rooted(nodes)),
        }
    }
}

/// Parameters that launch files give to whatever node they start, and that mean nothing to this one.
fn is_for_every_node(name: &str) -> bool {
    name.starts_with("qos_overrides.") || name == "start_type_description_service"
}

fn add(sections: &mut Vec<Section>, nodes: String, given: Given) {
    match sections.iter_mut().find(|section| section.nodes == nodes) {
        Some(section) => section.given.push(given),
        None => sections.push(Section { nodes, given: vec![given] }),
    }
}

fn rooted(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}

/// Whether a name of nodes is that of a node, as rclcpp's `parameter_map_from` decides.
fn matches(nodes: &str, node: &str) -> bool {
    let parts = |name: &'_ str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    covers(&parts(nodes), &parts(node))
}

fn covers(pattern: &[String], name: &[String]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == "**" => {
            (0..=name.len()).any(|skipped| covers(rest, name.get(skipped..).unwrap_or(&[])))
        }
        ([part, rest @ ..], [own, others @ ..]) => (part == "*" || part == own) && covers(rest, others),
        _ => false,
    }
}

fn read_file(path: &Path, sections: &mut Vec<Section>) -> Result<(), ParameterFileError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => read_text(&text, &file, sections),
        Err(error) => Err(ParameterFileError::Unreadable { file, error }),
    }
}

fn read_text(text: &str, file: &str, sections: &mut Vec<Section>) -> Result<(), ParameterFileError> {
    let mut walk = Walk { events: Parser::new_from_str(text), file, sections };
    loop {
        match walk.next()? {
            (Event::MappingStart(..), _) => walk.nodes("", 0)?,
            (Event::StreamEnd, _) => return Ok(()),
            (Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_), span) => {
                return Err(walk.shape(span, "a value", "names of nodes with ros__parameters below them"));
            }
            _ => {}
        }
    }
}

struct Walk<'a, I> {
    events: I,
    file: &'a str,
    sections: &'a mut Vec<Section>,
}

impl<'t, I: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Walk<'_, I> {
    fn next(&mut self) -> Result<(Event<'t>, Span), ParameterFileError> {
        match self.events.next() {
            Some(event) => event.map_err(|error| ParameterFileError::Yaml { file: self.file.to_owned(), error }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn shape(&self, span: Span, found: impl Into<String>, expected: &'static str) -> ParameterFileError {
        let (file, line) = (self.file.to_owned(), span.start.line());
        ParameterFileError::Shape { file, line, found: found.into(), expected }
    }

    fn key(&mut self) -> Result<Option<(Cow<'t, str>, Span)>, ParameterFileError> {
        match self.next()? {
            (Event::Scalar(key, ..), span) => Ok(Some((key, span))),
            (Event::MappingEnd, _) => Ok(None),
            (Event::StreamEnd, span) => Err(self.shape(span, "the end of the file", "the rest of a section")),
            (_, span) => Err(self.shape(span, "a list or a map", "a name")),
        }
    }

    /// A map of names of nodes.
    fn nodes(&mut self, namespace: &str, depth: usize) -> Result<(), ParameterFileError> {
        while let Some((key, span)) = self.key()? {
            if depth > MAX_DEPTH {
                return Err(self.shape(span, "names nested over 32 deep", "namespaces and a node"));
            }
            let is_parameters = key == "ros__parameters";
            if is_parameters && namespace.is_empty() {
                return Err(self.shape(span, "ros__parameters", "the name of a node above it, such as /**"));
            }
            match self.next()? {
                (Event::MappingStart(..), _) if is_parameters => self.parameters(namespace, "", depth)?,
                (Event::MappingStart(..), _) => {
                    let name = if namespace.is_empty() { key.into_owned() } else { format!("{namespace}/{key}") };
                    self.nodes(&name, depth + 1)?;
                }
                // `name:` with nothing below it gives nothing.
                (Event::Scalar(value, ..), _) if value.is_empty() || value == "~" || value == "null" => {}
                (_, span) => {
                    return Err(self.shape(span, format!("a value for '{key}'"), "ros__parameters below a node"));
                }
            }
        }
        Ok(())
    }

    /// A map of parameters; nested ones are joined by dots.
    fn parameters(&mut self, nodes: &str, above: &str, depth: usize) -> Result<(), ParameterFileError> {
        while let Some((key, span)) = self.key()? {
            if depth > MAX_DEPTH {
                return Err(self.shape(span, "parameters nested over 32 deep", "parameters"));
            }
            let name = if above.is_empty() { key.into_owned() } else { format!("{above}.{key}") };
            let value = match self.next()? {
                (Event::MappingStart(..), _) => {
                    self.parameters(nodes, &name, depth + 1)?;
                    continue;
                }
                (Event::Scalar(value, style, _, tag), _) => Value::One(scalar(&value, style, tag.as_deref())),
                (Event::SequenceStart(..), _) => {
                    self.skip_list()?;
                    Value::List
                }
                (_, span) => return Err(self.shape(span, format!("an alias for '{name}'"), "a value")),
            };
            let origin = Origin::File(self.file.to_owned());
            add(self.sections, nodes.to_owned(), Given { origin, name, value });
        }
        Ok(())
    }

    fn skip_list(&mut self) -> Result<(), ParameterFileError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.next()? {
                (Event::SequenceStart(..) | Event::MappingStart(..), _) => open += 1,
                (Event::SequenceEnd | Event::MappingEnd, _) => open -= 1,
                (Event::StreamEnd, span) => return Err(self.shape(span, "the end of the file", "the end of a list")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A value as rcl_yaml_param_parser types it: what is quoted, or tagged `!!str`, is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> SettingValue {
    const TRUE: [&str; 11] = ["Y", "y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
    const FALSE: [&str; 11] = ["N", "n", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return SettingValue::Text(text.to_owned());
    }
    match text {
        _ if TRUE.contains(&text) => SettingValue::Bool(true),
        _ if FALSE.contains(&text) => SettingValue::Bool(false),
        ".nan" | ".NaN" | ".NAN" => SettingValue::Double(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => SettingValue::Double(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => SettingValue::Double(f64::NEG_INFINITY),
        _ => match (integer(text), double(text)) {
            (Some(value), _) => SettingValue::Integer(value),
            (None, Some(value)) => SettingValue::Double(value),
            (None, None) => SettingValue::Text(text.to_owned()),
        },
    }
}

/// A whole number as C's `strtoll` reads it: `0x` is hexadecimal, a leading zero octal.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("", text.get(1..)?),
        _ => ("", text),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    // A second sign is none.
    let digits = Some(digits).filter(|digits| digits.starts_with(|first: char| first.is_ascii_hexdigit()))?;
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Any other number, as C's `strtod` reads it; one that is too large for a double is text.
fn double(text: &str) -> Option<f64> {
    let is_word = text.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_alphabetic());
    text.parse().ok().filter(|value: &f64| is_word || value.is_finite())
}

/// What `-p` gives: one value in YAML, quotes and tags included. What is no single value has been refused by rcl.
fn rule_value(text: &str) -> Value {
    let mut events = Parser::new_from_str(text);
    let first = events.find_map(|event| match event {
        Ok((Event::Scalar(value, style, _, tag), _)) => Some(Value::One(scalar(&value, style, tag.as_deref()))),
        Ok((Event::SequenceStart(..) | Event::MappingStart(..), _)) => Some(Value::List),
        _ => None,
    });
    first.unwrap_or_else(|| Value::One(SettingValue::Text(text.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, node: &str) -> Result<NodeParameters, ParameterFileError> {
        let mut sections = Vec::new();
        read_text(text, "tuner.yaml", &mut sections)?;
        settle(&sections, node)
    }

    fn radius(text: &str, node: &str) -> f64 {
        read(text, node).unwrap().settings.inscribed_radius
    }

    #[test]
    fn r2_every_form_of_a_name_is_found() {
        let node = "/j100_0001/planner_tuner";
        for head in [
            "j100_0001:\n  planner_tuner:\n    ros__parameters:\n      ",
            "/j100_0001:\n  planner_tuner:\n    ros__parameters:\n      ",
            "j100_0001/planner_tuner:\n  ros__parameters:\n    ",
            "/j100_0001/planner_tuner:\n  ros__parameters:\n    ",
            "/**:\n  ros__parameters:\n    ",
            "/**/planner_tuner:\n  ros__parameters:\n    ",
            "/*/planner_tuner:\n  ros__parameters:\n    ",
            "/*/*:\n  ros__parameters:\n    ",
            "/j100_0001/*:\n  ros__parameters:\n    ",
            "/j100_0001/**:\n  ros__parameters:\n    ",
        ] {
            assert_eq!(radius(&format!("{head}inscribed_radius: 0.3\n"), node), 0.3, "{head}");
        }
        for head in ["planner_tuner", "/planner_tuner", "/*", "/other/planner_tuner", "/*/*/planner_tuner"] {
            let found = read(&format!("{head}:\n  ros__parameters:\n    inscribed_radius: 0.3\n"), node).unwrap();
            assert_eq!(found.settings.inscribed_radius, 0.215, "{head}");
            let [(Level::Warn, words)] = found.remarks.as_slice() else { panic!("{:?}", found.remarks) };
            assert!(words.contains("no section is for /j100_0001/planner_tuner") && words.contains(head), "{words}");
        }
        assert_eq!(radius("/**/planner_tuner:\n  ros__parameters: {inscribed_radius: 0.3}\n", "/planner_tuner"), 0.3);
    }

    #[test]
    fn r2_later_sections_win_and_the_same_name_is_one_section() {
        let shared = "/**:\n  ros__parameters: {inscribed_radius: 0.3, hold_timeout: 4.0}\n";
        let own = "tuner:\n  ros__parameters: {inscribed_radius: 0.4}\n";
        let found = read(&format!("{shared}{own}"), "/tuner").unwrap();
        assert_eq!((found.settings.inscribed_radius, found.settings.hold_timeout), (0.4, 4.0));
        assert_eq!(radius(&format!("{own}{shared}"), "/tuner"), 0.3, "as rclcpp: the order decides, not the match");
        let twice = format!("{shared}{own}/**:\n  ros__parameters: {{inscribed_radius: 0.5}}\n");
        assert_eq!(radius(&twice, "/tuner"), 0.4, "the second half of /** counts where the first stands");
        let found = read(&format!("{shared}{own}amcl:\n  ros__parameters: {{alpha1: 0.2}}\n"), "/tuner").unwrap();
        assert_eq!(
            found.remarks,
            [(Level::Info, "tuner.yaml: parameters from /**, /tuner; not for /tuner: /amcl".into())]
        );
    }

    #[test]
    fn r9_what_is_meant_for_others_is_ignored_and_said() {
        let found =
            read("/**:\n  ros__parameters: {robot_radius: 0.3, a: {b: [1, {c: 2}]}, hold_timeout: 3.0}\n", "/tuner");
        let found = found.unwrap();
        assert_eq!(found.settings.hold_timeout, 3.0);
        let warned: Vec<_> = found.remarks.iter().filter(|(level, _)| *level == Level::Warn).collect();
        assert_eq!(warned.len(), 2);
        assert!(
            warned[0].1.contains("section /**: there is no parameter 'robot_radius'")
                && warned[0].1.ends_with("ignored")
        );
        assert!(warned[1].1.contains("'a.b'"));
        let own = read("tuner:\n  ros__parameters: {hold_timout: 0.3}\n", "/tuner").unwrap_err().to_string();
        assert!(own.contains("tuner.yaml, section /tuner") && own.contains("did you mean 'hold_timeout'?"), "{own}");
        let rule = |name: &str| ParameterSource::Rule { node: None, name: name.into(), value: "1".into() };
        assert!(
            read_parameters(&[rule("hold_timout")], "/tuner").unwrap_err().to_string().starts_with("-p: there is no")
        );
        let for_all = read_parameters(&[rule("xyzzy")], "/tuner").unwrap().remarks;
        assert!(for_all.iter().any(|(level, said)| *level == Level::Warn && said.contains("'xyzzy'")), "{for_all:?}");
        assert!(read_parameters(&[rule("qos_overrides./clock.depth")], "/tuner").is_ok());
    }

    #[test]
    fn values_have_the_types_that_rcl_gives_them() {
        let plain = |text| scalar(text, ScalarStyle::Plain, None);
        for (text, value) in [
            ("on", SettingValue::Bool(true)),
            ("No", SettingValue::Bool(false)),
            ("7", SettingValue::Integer(7)),
            ("-7", SettingValue::Integer(-7)),
            ("0.5", SettingValue::Double(0.5)),
            ("1e-3", SettingValue::Double(1e-3)),
            (".inf", SettingValue::Double(f64::INFINITY)),
            ("inf", SettingValue::Double(f64::INFINITY)),
            ("infinite", SettingValue::Text("infinite".into())),
            ("010", SettingValue::Integer(8)),
            ("08", SettingValue::Double(8.0)),
            ("0x10", SettingValue::Integer(16)),
            ("-0x10", SettingValue::Integer(-16)),
            ("+3", SettingValue::Integer(3)),
            ("+-3", SettingValue::Text("+-3".into())),
            ("5.", SettingValue::Double(5.0)),
            ("99999999999999999999", SettingValue::Double(1e20)),
            ("1e400", SettingValue::Text("1e400".into())),
            ("1_000", SettingValue::Text("1_000".into())),
            ("tRue", SettingValue::Text("tRue".into())),
            ("null", SettingValue::Text("null".into())),
            ("cuda:0", SettingValue::Text("cuda:0".into())),
            ("", SettingValue::Text(String::new())),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
        assert!(matches!(plain("nan"), SettingValue::Double(value) if value.is_nan()));
        assert_eq!(scalar("7", ScalarStyle::DoubleQuoted, None), SettingValue::Text("7".into()));
        assert_eq!(scalar("true", ScalarStyle::SingleQuoted, None), SettingValue::Text("true".into()));
        for (rule, value) in [("'7'", "7"), ("\"on\"", "on"), ("!!str 5", "5")] {
            assert_eq!(rule_value(rule), Value::One(SettingValue::Text(value.into())), "{rule}");
        }
        assert_eq!((rule_value("5"), rule_value("[5]")), (Value::One(SettingValue::Integer(5)), Value::List));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_place() {
        for (text, words) in [
            ("tuner: {", "tuner.yaml is not YAML"),
            ("- 1\n", "tuner.yaml, line 1: found a value, expected names of nodes"),
            ("ros__parameters:\n  a: 1\n", "expected the name of a node above it"),
            ("tuner:\n  hold_timeout: 3.0\n", "line 2: found a value for 'hold_timeout'"),
            (
                "tuner:\n  ros__parameters: {hold_timeout: [1.0]}\n",
                "parameter 'hold_timeout' is a list, expected 0.1 to 600 s",
            ),
            (
                "tuner:\n  ros__parameters: {hold_timeout: x}\n",
                "section /tuner: parameter 'hold_timeout' is of type double",
            ),
            (
                "/**:\n  ros__parameters: {hold_timeout: -1.0}\n",
                "tuner.yaml, section /**: parameter 'hold_timeout' is -1",
            ),
            ("/**:\n  ros__parameters: {hold_timeout: 0.2, max_frame_age: 0.5}\n", "expected at least max_frame_age"),
        ] {
            let error = read(text, "/tuner").unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        assert!(read("", "/tuner").unwrap().remarks.is_empty());
        let nested = "a: ".repeat(40).replace(": ", ":\n");
        let deep: String =
            nested.lines().enumerate().map(|(depth, line)| format!("{}{line}\n", " ".repeat(depth))).collect();
        assert!(read(&deep, "/tuner").unwrap_err().to_string().contains("nested over 32 deep"));
        let missing = read_parameters(&[ParameterSource::File("/nowhere.yaml".into())], "/tuner").unwrap_err();
        assert!(missing.to_string().contains("/nowhere.yaml cannot be read"));
    }
}
