//! Signals that end the node.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::iterator::Signals;

/// A signal that follows another this closely is the same wish: Ctrl-C reaches the whole group of processes, and `ros2
/// launch` and systemd pass it on.
const SAME_WISH: Duration = Duration::from_secs(1);
/// The exit code of a node that was not given the time to end.
const AT_ONCE: i32 = 1;

/// Sets `stop` at the first signal; a later one that is another wish ends the process at once.
pub(super) fn watch(stop: &Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new(TERM_SIGNALS)?;
    let stop = Arc::clone(stop);
    let watching = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            let first = *first.get_or_insert_with(Instant::now);
            if stop.swap(true, Ordering::Relaxed) && first.elapsed() > SAME_WISH {
                // At once: no destructors, which other threads would be in the middle of.
                signal_hook::low_level::exit(AT_ONCE);
            }
        }
    });
    watching.map(drop)
}
