//! How a new policy comes from the thread that loads it to the one that decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::decider::Decider;
use super::follower::{POLL_INTERVAL, PolicyFollower, PolicyRefusal};
use super::inference::panic_text;
use crate::policy::PolicyChange;
use crate::tuner::{PolicyLoader, StagedPolicy};

/// A folder to follow, and what is allowed there.
#[derive(Debug, Clone)]
pub struct Following {
    /// The folder.
    pub folder: PathBuf,
    /// Whether a policy may change a parameter by more than half of its range at once.
    pub allow_large_change: bool,
    /// The state of the files that the policy in use was read from, if it was read there.
    pub in_use: Option<crate::checkpoint::Fingerprint>,
}

/// A policy that has taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Takeover {
    /// The actor's file, or the folder of a policy in the one-folder form.
    pub policy: PathBuf,
    /// The training step, when known.
    pub step: Option<u64>,
    /// What it changes.
    pub change: PolicyChange,
}

/// The policy in use stays.
#[derive(Debug)]
pub struct Kept {
    /// Why.
    pub refusal: PolicyRefusal,
    /// The new policy, if all that is wrong is that it changes too much: the operator may allow it yet.
    pub too_different: Option<Box<StagedPolicy>>,
}

/// Examines a policy on frames and, unless it is refused, puts it in place of the one in use.
///
/// # Errors
/// Why the policy in use stays.
pub fn take_over(
    model: &mut (impl Decider + ?Sized),
    mut policy: StagedPolicy,
    allow_large_change: bool,
) -> Result<Takeover, Kept> {
    let kept = |refusal| Kept { refusal, too_different: None };
    let examined = catch_unwind(AssertUnwindSafe(|| model.examine(&mut policy)));
    let change = match examined {
        Ok(Ok(change)) => change,
        Ok(Err(error)) => return Err(kept(error.into())),
        Err(panic) => return Err(kept(PolicyRefusal::Panicked(panic_text(&*panic)))),
    };
    if change.is_large() && !allow_large_change {
        let refusal = PolicyRefusal::LargeChange { policy: policy.path().display().to_string(), change };
        return Err(Kept { too_different: Some(Box::new(policy)), ..kept(refusal) });
    }
    let takeover = Takeover { policy: policy.path().into(), step: policy.step(), change };
    model.swap_policy(policy);
    Ok(takeover)
}

/// A place for the newest policy; the thread that loads puts, the one that decides takes.
pub(super) type StagedSlot = Mutex<Option<Result<StagedPolicy, PolicyRefusal>>>;

/// Takes what waits.
pub(super) fn take_staged(slot: &StagedSlot) -> Option<Result<StagedPolicy, PolicyRefusal>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Starts the thread that follows a folder. It ends when the slot is dropped.
pub(super) fn follow(following: &Following, loader: PolicyLoader) -> std::io::Result<Arc<StagedSlot>> {
    let slot = Arc::new(StagedSlot::default());
    let weak: Weak<StagedSlot> = Arc::downgrade(&slot);
    let mut follower = PolicyFollower::new(&following.folder, loader, following.in_use.clone());
    std::thread::Builder::new().name("policy".into()).spawn(move || {
        while let Some(slot) = weak.upgrade() {
            let looked = catch_unwind(AssertUnwindSafe(|| follower.look()));
            let found = looked.unwrap_or_else(|panic| Some(Err(PolicyRefusal::Panicked(panic_text(&*panic)))));
            if let Some(found) = found {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            }
            drop(slot);
            std::thread::sleep(POLL_INTERVAL);
        }
    })?;
    Ok(slot)
}
