//! Ctrl-C in a command that takes long: the first one ends it with what it has, the next one at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Programs that stop others often send a signal twice, to the process and to its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Whether somebody wants an end.
pub struct Interrupt {
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM. Call it where there is something to keep: until then they end the program at once.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listen() -> anyhow::Result<Self> {
        let signal = Arc::new(AtomicI32::new(0));
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("signals cannot be listened to")?;
        let asked = Arc::clone(&signal);
        let listen = move || {
            let mut since: Option<Instant> = None;
            for signal in signals.forever() {
                match since {
                    None => {
                        since = Some(Instant::now());
                        asked.store(signal, Ordering::Relaxed);
                    }
                    Some(since) if since.elapsed() < SAME_WISH => {}
                    Some(_) => std::process::exit(i32::from(exit_code(signal))),
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen).context("no thread for signals")?;
        Ok(Self { signal })
    }

    /// The exit code of the command, once somebody wants an end.
    pub fn asked(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(exit_code(signal)),
        }
    }
}

/// As a shell reports it.
fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}
