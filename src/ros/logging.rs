//! The log: to the console in ROS's own format, and to /rosout, which r2r does not serve.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use r2r::LogSeverity;
use r2r::rcl_interfaces::msg::Log as RosLog;

use super::clock::{RosTime, time};
use vlm_planner_tuner::live::RosArguments;

/// Lines that wait to be published; older ones are dropped, the console has them.
const WAITING: usize = 256;

/// Where `log`'s macros lead to.
pub(super) struct RosLogger {
    name: String,
    clock: RosTime,
    /// Up to which level lines go to /rosout. The console's are rcutils' own affair.
    published: LevelFilter,
    waiting: Mutex<VecDeque<RosLog>>,
}

impl RosLogger {
    /// Makes it the process's logger, for the rest of its life.
    pub(super) fn install(node: &r2r::Node, arguments: &RosArguments) -> &'static Self {
        let name = node.logger().to_owned();
        let published = if arguments.logs_to_rosout { arguments.log_levels.of(&name) } else { LevelFilter::Off };
        let logger = Self { name, clock: RosTime::of(node), published, waiting: Mutex::new(VecDeque::new()) };
        let logger: &'static Self = Box::leak(Box::new(logger));
        // A second logger is refused; the first goes on then, which is as good.
        if log::set_logger(logger).is_ok() {
            log::set_max_level(LevelFilter::Debug);
        }
        logger
    }

    /// Whether any line goes to /rosout.
    pub(super) fn publishes(&self) -> bool {
        self.published != LevelFilter::Off
    }

    /// The lines that have not been published yet, oldest first.
    pub(super) fn take_waiting(&self) -> VecDeque<RosLog> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log for RosLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let here = module_path!().split("::").next().unwrap_or_default();
        // The package, its members (planner_tuner_model, ...), and the program that is linked with them.
        let ours = ["vlm_planner_tuner", "planner_tuner", here].iter().any(|name| metadata.target().starts_with(name));
        metadata.level() <= if ours { Level::Debug } else { Level::Warn }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (severity, level) = match record.level() {
            Level::Error => (LogSeverity::Error, RosLog::ERROR as u8),
            Level::Warn => (LogSeverity::Warn, RosLog::WARN as u8),
            Level::Info => (LogSeverity::Info, RosLog::INFO as u8),
            Level::Debug | Level::Trace => (LogSeverity::Debug, RosLog::DEBUG as u8),
        };
        let (text, file, line) =
            (record.args().to_string(), record.file().unwrap_or_default(), record.line().unwrap_or_default());
        r2r::log(&text, &self.name, file, line, severity);
        if record.level() > self.published {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == WAITING {
            waiting.pop_front();
        }
        waiting.push_back(RosLog {
            stamp: time(self.clock.now()),
            level,
            name: self.name.clone(),
            msg: text,
            file: file.to_owned(),
            function: record.module_path().unwrap_or_default().to_owned(),
            line,
        });
    }

    fn flush(&self) {}
}
