//! How many threads the libraries start.

use std::num::NonZeroUsize;

const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Writes the number of cores that this process may use into `RAYON_NUM_THREADS`, unless somebody chose a number: candle
/// looks there before each product, and reads all of /proc/cpuinfo where it finds nothing, which can take longer than
/// the product.
///
/// For the first line of `main`: where other threads run already, nothing is changed.
#[allow(unsafe_code)]
pub fn settle() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if !alone || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        // SAFETY: this is the only thread, so that no other one reads or writes the environment meanwhile.
        unsafe { std::env::set_var(VARIABLE, NonZeroUsize::get(cores).to_string()) };
    }
}

/// Starts as many threads as were asked for. They are the process's: the first call counts.
pub fn start(threads: Option<NonZeroUsize>) {
    let Some(threads) = threads.map(NonZeroUsize::get) else { return };
    let cores = std::thread::available_parallelism().map_or(threads, NonZeroUsize::get);
    if threads > cores {
        log::warn!("{threads} threads were asked for, there are {cores} cores: {cores} will be started");
    }
    let started = rayon::ThreadPoolBuilder::new().num_threads(threads.min(cores)).build_global();
    if started.is_err() && rayon::current_num_threads() != threads.min(cores) {
        log::warn!("{} threads are running already; their number stays", rayon::current_num_threads());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_where_other_threads_run() {
        let before = std::env::var_os(VARIABLE);
        // The test's own thread is not the only one.
        settle();
        assert_eq!(std::env::var_os(VARIABLE), before);
    }
}
