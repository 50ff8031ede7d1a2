//! Who sets a planner's parameters when several tuners would.
//!
//! A tuner publishes on `<planner node>/tuned_by` for as long as it runs, and one that finds another there keeps its hands
//! off. Two nodes may have the same name, so that publishers are distinguished by what DDS calls them (their GID).

/// A publisher on the topic of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its node's full name.
    pub node: String,
    /// What tells it from all others, in the whole network.
    pub gid: Vec<u8>,
}

/// A tuner's own claim on a planner.
#[derive(Debug)]
pub struct Claim {
    own_name: String,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// There is no publisher of our own.
    None,
    /// There is one, which is not among those that were there before.
    Unknown { before: Vec<Vec<u8>> },
    /// There is one, and this is it.
    Known(Vec<u8>),
}

/// What is to be done about the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAction {
    /// Nothing.
    Keep,
    /// Publish, and call [`Claim::published`].
    Publish,
    /// Publish no more.
    Withdraw,
}

impl Claim {
    /// No claim yet, of the node of this full name.
    pub fn new(own_name: impl Into<String>) -> Self {
        Self { own_name: own_name.into(), state: State::None }
    }

    /// Looks at those who claim the planner: what is to be done, and who else has it.
    pub fn look(&mut self, claimants: &[Claimant]) -> (ClaimAction, Option<String>) {
        self.find_own(claimants);
        let mut others: Vec<&Claimant> = claimants.iter().filter(|claimant| !self.is_own(claimant)).collect();
        others.sort_by_key(|other| order(other));
        let Some(first) = others.first() else {
            let action = if self.state == State::None { ClaimAction::Publish } else { ClaimAction::Keep };
            return (action, None);
        };
        match &self.state {
            State::None => (ClaimAction::Keep, Some(self.words_for(first))),
            // Both claimed in the same moment: the first by name, then by GID, stays. Whoever does not know its own yields.
            State::Known(gid) if order(first) > (self.own_name.as_str(), gid.as_slice()) => (ClaimAction::Keep, None),
            State::Known(_) | State::Unknown { .. } => {
                self.state = State::None;
                (ClaimAction::Withdraw, Some(self.words_for(first)))
            }
        }
    }

    /// There is a publisher now; `before` were there before it.
    pub fn published(&mut self, before: &[Claimant]) {
        self.state = State::Unknown { before: before.iter().map(|claimant| claimant.gid.clone()).collect() };
    }

    /// The publisher could not be made.
    pub fn failed(&mut self) {
        self.state = State::None;
    }

    /// Whether the planner is this tuner's own.
    pub fn is_held(&self) -> bool {
        self.state != State::None
    }

    /// Learns which claimant is the own one, once that is the only one it can be. Call right after publishing: nobody
    /// else's has come by then.
    pub fn find_own(&mut self, claimants: &[Claimant]) {
        let State::Unknown { before } = &self.state else { return };
        let mut new =
            claimants.iter().filter(|claimant| claimant.node == self.own_name && !before.contains(&claimant.gid));
        if let (Some(own), None) = (new.next(), new.next()) {
            self.state = State::Known(own.gid.clone());
        }
    }

    fn is_own(&self, claimant: &Claimant) -> bool {
        matches!(&self.state, State::Known(gid) if *gid == claimant.gid)
    }

    fn words_for(&self, other: &Claimant) -> String {
        if other.node == self.own_name {
            format!("another node of the name {}", other.node)
        } else {
            other.node.clone()
        }
    }
}

fn order(claimant: &Claimant) -> (&str, &[u8]) {
    (&claimant.node, &claimant.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(node: &str, gid: u8) -> Claimant {
        Claimant { node: node.into(), gid: vec![gid; 16] }
    }

    /// Publishes, where the action says so.
    fn settle(claim: &mut Claim, before: &[Claimant], after: &[Claimant]) -> (ClaimAction, Option<String>) {
        let looked = claim.look(before);
        if looked.0 == ClaimAction::Publish {
            claim.published(before);
            claim.find_own(after);
        }
        looked
    }

    #[test]
    fn r1_a_node_of_the_same_name_yields() {
        let (mut first, mut second) = (Claim::new("/tuner"), Claim::new("/tuner"));
        let one = [claimant("/tuner", 9)];
        assert_eq!(settle(&mut first, &[], &one), (ClaimAction::Publish, None));
        assert_eq!(first.look(&one), (ClaimAction::Keep, None));
        let other = Some("another node of the name /tuner".to_owned());
        assert_eq!(settle(&mut second, &one, &one), (ClaimAction::Keep, other));
        assert_eq!((first.is_held(), second.is_held()), (true, false));
        assert_eq!(
            settle(&mut second, &[], &[claimant("/tuner", 3)]),
            (ClaimAction::Publish, None),
            "the first has gone"
        );
    }

    #[test]
    fn r1_of_two_that_claim_at_once_one_stays() {
        for (one, other) in [("/tuner", "/tuner"), ("/a", "/b"), ("/b", "/a")] {
            let (mut first, mut second) = (Claim::new(one), Claim::new(other));
            let both = [claimant(one, 9), claimant(other, 4)];
            settle(&mut first, &[], &both[..1]);
            settle(&mut second, &[], &both[1..]);
            let actions = [first.look(&both).0, second.look(&both).0];
            assert!(actions.contains(&ClaimAction::Keep) && actions.contains(&ClaimAction::Withdraw), "{actions:?}");
            assert_ne!(first.is_held(), second.is_held());
        }
    }

    #[test]
    fn a_claim_that_cannot_be_told_from_another_is_given_up() {
        let mut claim = Claim::new("/tuner");
        let both = [claimant("/tuner", 9), claimant("/tuner", 4)];
        settle(&mut claim, &[], &both);
        assert_eq!(claim.look(&both).0, ClaimAction::Withdraw);
        assert!(!claim.is_held());
        let mut late = Claim::new("/tuner");
        settle(&mut late, &[], &[]);
        assert_eq!(late.look(&both[..1]), (ClaimAction::Keep, None), "its own is seen a moment later");
    }
}
