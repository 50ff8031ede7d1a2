//! The node's arguments, read as rcl does: r2r keeps some of them to itself, and nobody tells which ones it ignored.

use std::path::PathBuf;

use super::LogLevels;

/// Where parameters come from, in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterSource {
    /// `--params-file`.
    File(PathBuf),
    /// `-p`: `name:=value`, or `node:name:=value`.
    Rule {
        /// The node that it is for; `None` for every node.
        node: Option<String>,
        /// The parameter.
        name: String,
        /// Its value, in YAML.
        value: String,
    },
}

/// What stands behind `--ros-args`, and what does not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RosArguments {
    /// Arguments of the program itself, without its name.
    pub own: Vec<String>,
    /// Where parameters come from.
    pub parameters: Vec<ParameterSource>,
    /// From which severity on lines are logged.
    pub log_levels: LogLevels,
    /// Lines go to /rosout, too.
    pub logs_to_rosout: bool,
    /// A file that is to configure logging.
    pub log_config_file: Option<String>,
    /// What rcl does not know. It ignores them; a parameter file that is ignored is a robot with wrong limits.
    pub unknown: Vec<String>,
}

/// Switches of rcl that nothing here depends on.
const OTHER_SWITCHES: [&str; 4] =
    ["--enable-stdout-logs", "--disable-stdout-logs", "--enable-external-lib-logs", "--disable-external-lib-logs"];

impl RosArguments {
    /// Reads the arguments of a process, its own name first. What rcl refuses (a flag without its value, say) is left to
    /// rcl, which is asked next.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut read = Self { logs_to_rosout: true, ..Self::default() };
        let mut is_ros = false;
        let mut arguments = arguments.into_iter().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--ros-args" => is_ros = true,
                "--" if is_ros => is_ros = false,
                _ if !is_ros => read.own.push(argument),
                "-p" | "--param" => read.parameters.extend(arguments.next().as_deref().and_then(parameter_rule)),
                "--params-file" => {
                    read.parameters.extend(arguments.next().map(|file| ParameterSource::File(file.into())));
                }
                "--log-level" => {
                    if let Some(level) = arguments.next() {
                        read.log_levels.take(&level);
                    }
                }
                "--log-config-file" => read.log_config_file = arguments.next(),
                "-r" | "--remap" | "-e" | "--enclave" | "--log-file-name" => drop(arguments.next()),
                "--enable-rosout-logs" => read.logs_to_rosout = true,
                "--disable-rosout-logs" => read.logs_to_rosout = false,
                switch if OTHER_SWITCHES.contains(&switch) => {}
                _ => read.unknown.push(argument),
            }
        }
        read
    }
}

fn parameter_rule(rule: &str) -> Option<ParameterSource> {
    let (name, value) = rule.split_once(":=")?;
    let (node, name) = match name.split_once(':') {
        Some((node, name)) => (Some(node.to_owned()), name),
        None => (None, name),
    };
    Some(ParameterSource::Rule { node, name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> RosArguments {
        RosArguments::read(std::iter::once("node").chain(arguments.iter().copied()).map(str::to_owned))
    }

    #[test]
    fn parameters_keep_their_order() {
        let arguments = ["--ros-args", "-p", "a:=1", "--params-file", "x.yaml", "--param", "tuner:b:=c:=d", "--", "-p"];
        let found = read(&arguments);
        let rule = |node: Option<&str>, name: &str, value: &str| ParameterSource::Rule {
            node: node.map(str::to_owned),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let expected = [rule(None, "a", "1"), ParameterSource::File("x.yaml".into()), rule(Some("tuner"), "b", "c:=d")];
        assert_eq!(found.parameters, expected);
        assert_eq!((found.own, found.unknown), (vec!["-p".to_owned()], vec![]));
    }

    #[test]
    fn r10_what_rcl_would_ignore_is_found() {
        let arguments = ["--survey", "--ros-args", "--param-file", "b.yaml", "-r", "a:=b", "--bogus", "c:=d"];
        let found = read(&arguments);
        assert_eq!(found.unknown, ["--param-file", "b.yaml", "--bogus", "c:=d"]);
        assert_eq!(found.own, ["--survey"]);
        assert_eq!(read(&["--ros-args", "--enable-rosout"]).unknown, ["--enable-rosout"]);
        let known =
            ["-r", "__ns:=/x", "-e", "/y", "--log-level", "warn", "--log-config-file", "z", "--log-file-name", "n"];
        let found = read(&[&["--ros-args"], &known[..], &OTHER_SWITCHES[..]].concat());
        assert_eq!(found.unknown, [""; 0]);
        assert_eq!(found.log_config_file.as_deref(), Some("z"));
    }

    #[test]
    fn r17_rosout_can_be_switched_off_and_on() {
        assert!(read(&[]).logs_to_rosout);
        assert!(!read(&["--ros-args", "--disable-rosout-logs"]).logs_to_rosout);
        assert!(read(&["--ros-args", "--disable-rosout-logs", "--enable-rosout-logs"]).logs_to_rosout);
        assert!(read(&["--disable-rosout-logs"]).logs_to_rosout, "not behind --ros-args");
    }
}
