//! Many drives at a time.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use crate::cli::interrupt::Interrupt;
use crate::simulated::SimulatedError;

/// What came of some jobs.
pub struct Done<R> {
    /// A result for every job; `None` for one that failed, or was not begun.
    pub results: Vec<Option<R>>,
    /// How many failed.
    pub lost: usize,
}

/// Does jobs on `workers` threads (without a number, one a core), until they are done or somebody wants an end. A job that
/// fails is said, and counted.
pub fn all_of<J: Sync, R: Send>(
    jobs: &[J],
    workers: Option<NonZeroUsize>,
    (interrupt, bar): (&Interrupt, &ProgressBar),
    one: impl Fn(&J) -> Result<R, SimulatedError> + Sync,
) -> Done<R> {
    let next = AtomicUsize::new(0);
    let lost = AtomicUsize::new(0);
    let results = Mutex::new(jobs.iter().map(|_| None).collect::<Vec<Option<R>>>());
    let work = || {
        while interrupt.asked().is_none() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            match one(job) {
                Ok(result) => {
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(place) = results.get_mut(number) {
                        *place = Some(result);
                    }
                }
                Err(error) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                    bar.suspend(|| log::error!("a drive is lost: {error}"));
                }
            }
            bar.inc(1);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..workers.map_or(cores, NonZeroUsize::get).min(jobs.len()) {
            scope.spawn(work);
        }
    });
    Done { results: results.into_inner().unwrap_or_else(PoisonError::into_inner), lost: lost.into_inner() }
}
