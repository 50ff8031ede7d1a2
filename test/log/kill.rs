//! A process that logs is killed at random instants: nothing that was committed is lost, and of the rest at most a second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::episode::{frame, head, step};
use crate::support::say;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::transition::log::{BackgroundLog, FolderStore, LogEntry, LogSettings, Placement, Rotation};
use vlm_planner_tuner::transition::{Ending, TransitionError, logs_in};

const KILLS: u64 = 200;
const FOLDER: &str = "PLANNER_TUNER_KILL_FOLDER";
const EPISODE_LENGTH: u64 = 40;

/// The child: logs a step every few milliseconds and tells what it has handed over and what is committed. Episodes are
/// short and files small, so that kills hit beginnings and ends, too.
#[test]
fn child_that_logs_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = FolderStore::open(Path::new(&folder), Placement::AtOnce).unwrap();
    let settings = LogSettings {
        rotation: Rotation { bytes: 30_000, seconds: 3600.0 },
        flush_every: Duration::from_millis(20),
        min_free: 0,
        ..LogSettings::default()
    };
    let log = BackgroundLog::start(Arc::new(store), settings).unwrap();
    let start = Instant::now();
    let mut stdout = std::io::stdout();
    for number in 0.. {
        let (episode, index) = (number / EPISODE_LENGTH, number % EPISODE_LENGTH);
        let ending = if index + 1 == EPISODE_LENGTH { Ending::Success } else { Ending::Continues };
        let mut next = step(index, ending);
        next.stamp = Stamp::from_nanos(start.elapsed().as_nanos() as i64);
        let nanos = next.stamp.nanos();
        let head = Arc::new(head(&format!("episode_{episode:04}")));
        if log.write(LogEntry { head, step: next, frame: Arc::new(frame(index)) }) {
            stdout.write_all(format!("step {number} {nanos} {}\n", log.status().committed).as_bytes()).unwrap();
        } else {
            panic!("the queue is full");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["log::kill::child_that_logs_until_it_is_killed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child said before it died.
#[derive(Default)]
struct Told {
    steps: u64,
    committed: u64,
    last_nanos: i64,
}

fn listen(child: &mut Child) -> Told {
    let mut told = Told::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may be cut.
        let ["step", number, nanos, committed] = words[..] else { continue };
        let (Ok(number), Ok(nanos), Ok(committed)) =
            (number.parse::<u64>(), nanos.parse::<i64>(), committed.parse::<u64>())
        else {
            continue;
        };
        told = Told { steps: number + 1, committed, last_nanos: nanos };
    }
    told
}

#[test]
fn two_hundred_kills_lose_no_committed_step() {
    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos() | 1;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    let (mut told_steps, mut read_steps, mut longest, mut cut_files, mut headless, mut lost_bytes) = (0, 0, 0, 0, 0, 0);
    let begin = Instant::now();
    for kill in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(folder.path());
        std::thread::sleep(Duration::from_micros(u64::from(20_000 + random() % 230_000)));
        child.kill().unwrap();
        let told = listen(&mut child);
        child.wait().unwrap();

        let found = logs_in(folder.path()).unwrap();
        // A file that was killed before its head was flushed holds nothing.
        for (path, error) in &found.refused {
            assert!(matches!(error, TransitionError::NotALog { .. }), "{error}");
            assert!(std::fs::metadata(path).unwrap().len() < 4096, "{error}");
            headless += 1;
        }
        assert!(found.refused.len() <= 1, "only the last file");
        let (mut steps, mut last_nanos) = (0, 0);
        let episodes = found.episodes.len();
        for (number, files) in found.episodes.iter().enumerate() {
            let episode = files.read().unwrap();
            assert_eq!(episode.session.episode, format!("episode_{number:04}"));
            for (index, read) in episode.steps.iter().enumerate() {
                let index = index as u64;
                let mut expected = step(index, read.ending);
                expected.stamp = read.stamp;
                assert_eq!(*read, expected, "kill {kill}");
                assert_eq!(episode.frame(read.frame).unwrap(), frame(index));
            }
            let damage = &episode.damage;
            assert_eq!((damage.lost_steps, damage.refused_records()), (0, 0), "kill {kill}: {damage}");
            if number + 1 < episodes {
                assert!(damage.is_empty(), "kill {kill}: {damage}");
            }
            last_nanos = episode.steps.last().map_or(last_nanos, |step| step.stamp.nanos());
            steps += episode.steps.len() as u64;
            cut_files += damage.cut_files;
            lost_bytes += damage.lost_bytes;
        }
        assert!(steps >= told.committed, "kill {kill}: {steps} steps read, {} were committed", told.committed);
        assert!(steps <= told.steps + 1, "kill {kill}: {steps} steps read, {} were made", told.steps);
        longest = longest.max(told.last_nanos - last_nanos);
        told_steps += told.steps;
        read_steps += steps;
    }
    say(&format!(
        "transition log: {KILLS} kills in {:.0} s: {told_steps} steps handed over, {read_steps} read back, no committed \
         one lost; {cut_files} files cut, {headless} without a head, {lost_bytes} bytes behind the last step; at most \
         {:.0} ms lost",
        begin.elapsed().as_secs_f64(),
        longest as f64 * 1e-6
    ));
    assert!(longest < 1_000_000_000, "more than a second was lost");
    assert!(read_steps > KILLS, "most kills hit a log");
}
