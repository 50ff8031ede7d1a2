//! Who is shown what happens: an MCAP file, a live view, or both. They hold the same channels.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use super::destination::check_file;
use crate::live_view::{LiveAddress, LiveView};
use crate::viewer::{ViewerFile, ViewerMessage};

/// Longest time from one message to the next that a paced view waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Where it is shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Viewers")]
pub struct ViewerArgs {
    /// Write it to this MCAP file, which opens in Foxglove, too
    #[arg(long, value_name = "FILE")]
    mcap: Option<PathBuf>,
    /// Show it live: open this address in Foxglove or Lichtblick as a Foxglove WebSocket [default: 127.0.0.1:8765]
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8765", require_equals = true)]
    live: Option<LiveAddress>,
    /// With --live, the playback speed: 1 as recorded, 0 without waiting
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = pace, requires = "live")]
    pace: f64,
}

fn pace(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1000.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1000".to_owned())
}

impl ViewerArgs {
    /// Refuses a file that cannot be written.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> anyhow::Result<()> {
        self.mcap.as_deref().map_or(Ok(()), |path| Ok(check_file("--mcap", path)?))
    }

    /// Opens what is asked for.
    ///
    /// # Errors
    /// A file that cannot be written, an address that cannot be listened at.
    pub fn open(&self) -> anyhow::Result<Viewers> {
        let live = self.live.map(LiveView::open).transpose()?;
        Ok(Viewers {
            file: self.mcap.as_ref().map(ViewerFile::create).transpose()?,
            path: self.mcap.clone(),
            pacing: live.is_some().then_some(Pacing { pace: self.pace, last: None }),
            live,
        })
    }
}

/// Those that are shown what happens.
pub struct Viewers {
    file: Option<ViewerFile>,
    path: Option<PathBuf>,
    live: Option<LiveView>,
    pacing: Option<Pacing>,
}

impl Viewers {
    /// Whether there is one: otherwise messages need not be made.
    pub fn is_there_one(&self) -> bool {
        self.file.is_some() || self.live.is_some()
    }

    /// Shows a message; a live view is shown it when its time has come.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn show(&mut self, message: &ViewerMessage) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.put(message)?;
        }
        if let Some(live) = &mut self.live {
            if let Some(pacing) = &mut self.pacing {
                std::thread::sleep(pacing.wait(message.nanos(), Instant::now()));
            }
            live.show(message)?;
        }
        Ok(())
    }

    /// Completes the file, and ends the live view.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        if let (Some(file), Some(path)) = (self.file, self.path) {
            file.finish().context("--mcap")?;
            log::info!("wrote {}", path.display());
        }
        Ok(())
    }
}

/// Lets time pass as it did.
#[derive(Debug, Clone, Copy)]
struct Pacing {
    /// 0 for as fast as it goes.
    pace: f64,
    /// The time of the last message, and when it was shown.
    last: Option<(u64, Instant)>,
}

impl Pacing {
    /// How long a message of this time has to wait. What took long to make waits less.
    fn wait(&mut self, nanos: u64, now: Instant) -> Duration {
        let wait = self.last.map_or(Duration::ZERO, |(last, shown)| {
            let apart = Duration::from_nanos(nanos.saturating_sub(last)).as_secs_f64() / self.pace;
            // Without a pace that is infinite, or no number; in both cases nothing waits.
            let apart = Duration::try_from_secs_f64(apart).unwrap_or_default().min(LONGEST_WAIT);
            apart.saturating_sub(now.saturating_duration_since(shown))
        });
        self.last = Some((nanos, now + wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_as_it_did_or_faster() {
        const SECOND: u64 = 1_000_000_000;
        let now = Instant::now();
        let mut real = Pacing { pace: 1.0, last: None };
        assert_eq!(real.wait(5 * SECOND, now), Duration::ZERO);
        assert_eq!(real.wait(6 * SECOND, now), Duration::from_secs(1));
        // 0.4 s of the second were spent on making it.
        assert_eq!(real.wait(7 * SECOND, now + Duration::from_millis(1400)), Duration::from_millis(600));
        assert_eq!(real.wait(3 * SECOND, now), Duration::ZERO, "time that goes back waits for nothing");
        assert_eq!(real.wait(90_000 * SECOND, real.last.map_or(now, |(_, shown)| shown)), LONGEST_WAIT);
        let mut twice = Pacing { pace: 2.0, last: Some((0, now)) };
        assert_eq!(twice.wait(SECOND, now), Duration::from_millis(500));
        let mut at_once = Pacing { pace: 0.0, last: Some((0, now)) };
        assert_eq!(at_once.wait(SECOND, now), Duration::ZERO);
    }
}
