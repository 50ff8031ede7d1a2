//! An action: what the policy makes of the feature.
