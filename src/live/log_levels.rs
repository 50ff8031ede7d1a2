//! `--log-level`: from which severity on a logger's lines are logged.

use log::LevelFilter;

/// A default, and exceptions by logger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevels {
    default: LevelFilter,
    loggers: Vec<(String, LevelFilter)>,
}

impl Default for LogLevels {
    fn default() -> Self {
        Self { default: LevelFilter::Info, loggers: Vec::new() }
    }
}

impl LogLevels {
    /// Takes what stands behind `--log-level`: `warn`, or `logger:=warn`. Of several for one logger the last counts. What
    /// names no severity changes nothing: rcl refuses it.
    pub fn take(&mut self, rule: &str) {
        let (logger, level) = rule.split_once(":=").map_or((None, rule), |(logger, level)| (Some(logger), level));
        let Some(level) = severity(level) else { return };
        match logger {
            None => self.default = level,
            Some(logger) => {
                self.loggers.retain(|(known, _)| known != logger);
                self.loggers.push((logger.to_owned(), level));
            }
        }
    }

    /// The level of a logger: its own, or that of the nearest of its ancestors (`a.b` is one of `a.b.c`), or the default.
    pub fn of(&self, logger: &str) -> LevelFilter {
        let covers = |known: &str| {
            let rest = logger.strip_prefix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let nearest = self.loggers.iter().filter(|(known, _)| covers(known)).max_by_key(|(known, _)| known.len());
        nearest.map_or(self.default, |(_, level)| *level)
    }
}

/// A severity by the name that rcutils has for it. Of `fatal` there are no lines here.
fn severity(name: &str) -> Option<LevelFilter> {
    const NAMES: [(&str, LevelFilter); 6] = [
        ("unset", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("info", LevelFilter::Info),
        ("warn", LevelFilter::Warn),
        ("error", LevelFilter::Error),
        ("fatal", LevelFilter::Off),
    ];
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_the_nearest_logger_counts() {
        let mut levels = LogLevels::default();
        assert_eq!(levels.of("planner_tuner"), LevelFilter::Info);
        ["WARN", "robot:=error", "robot.planner_tuner:=debug", "robot:=fatal", "planner:=debug", "nonsense"]
            .into_iter()
            .for_each(|rule| levels.take(rule));
        assert_eq!(levels.of("planner_tuner"), LevelFilter::Warn, "the default, and no namesake's");
        assert_eq!(levels.of("robot.planner_tuner"), LevelFilter::Debug);
        assert_eq!(levels.of("robot.other"), LevelFilter::Off, "its parent's, the last of two");
        assert_eq!(levels.of("robots"), LevelFilter::Warn);
    }
}
