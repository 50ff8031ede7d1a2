//! Rewards of several steps summed, and where the critic's estimate takes over.

/// What a window has to know of one stored step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// What it brought.
    pub reward: f32,
    /// What came after it.
    pub after: After,
}

/// What came after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// A true end: nothing is bootstrapped.
    End,
    /// The next stored step, whose feature is the observation.
    Next,
    /// An observation that the step brought itself: the episode was cut there, or still runs.
    Own,
    /// Nobody knows: the next step was lost. Nothing leads past this step.
    Unknown,
}

/// Several steps of one episode taken together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Number of rewards in the sum.
    pub steps: usize,
    /// The first reward, plus gamma times the second, and so on.
    pub reward: f64,
    /// The last step whose reward is in the sum.
    pub last: usize,
    /// Where the critic's estimate takes over, and what it counts; `None` after a true end.
    pub bootstrap: Option<Bootstrap>,
}

/// Where an estimate takes over from the rewards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Gamma to the power of the window's steps.
    pub discount: f64,
    /// The observation that the estimate is for.
    pub from: Observation,
}

/// An observation in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observation {
    /// The one that a step was decided on.
    Of(usize),
    /// The one that a step brought along as its own next.
    After(usize),
}

/// The window of at most `n` steps from `start`. It is cut at a true end, where an episode was cut, and where a step
/// was lost; `following` gives the number of the stored step after one whose link says [`After::Next`].
///
/// `None` when nothing is known of what came after the first step: it is not to be learned from.
pub fn window(
    start: usize,
    n: usize,
    gamma: f64,
    link: impl Fn(usize) -> Option<Link>,
    following: impl Fn(usize) -> usize,
) -> Option<Window> {
    let (mut at, mut last, mut reward, mut discount) = (start, start, 0.0, 1.0);
    for steps in 1..=n.max(1) {
        let step = link(at)?;
        if step.after == After::Unknown {
            // Its own observation is where the window before it ends.
            let before = steps - 1;
            let bootstrap = Some(Bootstrap { discount, from: Observation::Of(at) });
            return (before > 0).then_some(Window { steps: before, reward, last, bootstrap });
        }
        reward += discount * f64::from(step.reward);
        discount *= gamma;
        let from = match step.after {
            After::End => return Some(Window { steps, reward, last: at, bootstrap: None }),
            After::Own => Observation::After(at),
            _ => Observation::Of(following(at)),
        };
        if steps == n.max(1) || step.after == After::Own {
            return Some(Window { steps, reward, last: at, bootstrap: Some(Bootstrap { discount, from }) });
        }
        last = at;
        at = following(at);
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FOUR: [After; 4] = [After::Next; 4];

    fn of(after: &[After], start: usize, n: usize) -> Option<Window> {
        let link = |at: usize| after.get(at).map(|after| Link { reward: (at + 1) as f32, after: *after });
        window(start, n, 0.5, link, |at| at + 1)
    }

    #[test]
    fn a_whole_window_ends_at_the_observation_n_steps_on() {
        let window = of(&FOUR, 1, 2).unwrap();
        let bootstrap = Bootstrap { discount: 0.25, from: Observation::Of(3) };
        assert_eq!(window, Window { steps: 2, reward: 2.0 + 1.5, last: 2, bootstrap: Some(bootstrap) });
    }

    #[test]
    fn a_true_end_bootstraps_nothing_and_a_cut_its_own_observation() {
        let end = of(&[After::Next, After::End, After::Next], 0, 3).unwrap();
        assert_eq!((end.steps, end.reward, end.bootstrap), (2, 2.0, None));
        let cut = of(&[After::Next, After::Own, After::Next], 0, 3).unwrap();
        assert_eq!((cut.steps, cut.reward, cut.last), (2, 2.0, 1));
        assert_eq!(cut.bootstrap.unwrap(), Bootstrap { discount: 0.25, from: Observation::After(1) });
    }

    #[test]
    fn nothing_leads_past_a_lost_step() {
        let lost = [After::Next, After::Next, After::Unknown, After::Next];
        let window = of(&lost, 0, 4).unwrap();
        assert_eq!((window.steps, window.reward, window.last), (2, 2.0, 1));
        assert_eq!(window.bootstrap.unwrap(), Bootstrap { discount: 0.25, from: Observation::Of(2) });
        assert_eq!(of(&lost, 2, 4), None);
        assert_eq!(of(&lost, 3, 4), None, "it says that a step follows, and none does");
    }
}
