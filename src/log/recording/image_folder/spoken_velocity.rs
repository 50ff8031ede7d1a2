//! Velocities out of the text of a question, such as `Linear velocity: 0.393 m/s, angular velocity: -0.104 rad/s`.

/// What a velocity is called in questions; the first pair of which both occur counts.
const NAMES: [[&str; 2]; 4] =
    [["linear", "angular"], ["forward speed", "turn rate"], ["speed", "turn rate"], ["drives at", "turns at"]];

/// Letters between a name and its number.
const MAX_DISTANCE: usize = 40;

/// Why a text tells no velocity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Unspoken {
    #[error(
        "it has no fields linear_vel and angular_vel, and its text tells no linear and angular velocity; add the two fields"
    )]
    Nothing,
    #[error("its text tells several values of '{name}' ({values:?}); add linear_vel and angular_vel")]
    Several { name: &'static str, values: Vec<f64> },
}

/// The linear and the angular velocity that a text tells, m/s and rad/s.
pub(super) fn spoken_velocity(text: &str) -> Result<(f64, f64), Unspoken> {
    let text = text.to_lowercase();
    let spoken = NAMES.iter().find(|names| names.iter().all(|name| text.contains(name)));
    let [linear, angular] = *spoken.ok_or(Unspoken::Nothing)?;
    let numbers = |name: &'static str, other: &str| {
        let mut numbers: Vec<f64> = text
            .match_indices(name)
            .filter_map(|(at, _)| {
                let behind = text.get(at + name.len()..)?;
                // A number behind the other name belongs to that.
                let own = behind.split(other).next()?;
                number_in(own)
            })
            .collect();
        numbers.dedup();
        match numbers.as_slice() {
            [] => Err(Unspoken::Nothing),
            [only] => Ok(*only),
            several => Err(Unspoken::Several { name, values: several.to_vec() }),
        }
    };
    Ok((numbers(linear, angular)?, numbers(angular, linear)?))
}

/// The first number of a text, if it is near its beginning.
fn number_in(text: &str) -> Option<f64> {
    let is_part = |letter: char| letter.is_ascii_digit() || "+-.".contains(letter);
    let mut rest = text;
    loop {
        let start = rest.find(is_part)?;
        if text.len() - rest.len() + start > MAX_DISTANCE {
            return None;
        }
        let word = rest.get(start..)?;
        let end = word.find(|letter| !is_part(letter)).unwrap_or(word.len());
        // The full stop of a sentence is none of the number's.
        let number = word.get(..end)?.trim_end_matches(['.', '-']);
        if let Ok(number) = number.parse() {
            return Some(number);
        }
        rest = word.get(end..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn velocities_are_found_in_questions() {
        for text in [
            "Linear velocity: 0.393 m/s, angular velocity: -0.104 rad/s.",
            "- forward speed 0.393 m/s\n- turn rate -0.104 rad/s\n",
            "linear_vel=0.393 angular_vel=-0.104",
            "The robot drives at 0.393 m/s and turns at -0.104 rad/s. Its local planner is DWA.",
            "Current state: {'linear_vel': 0.393, 'angular_vel': -0.104}",
            "Angular velocity (rad/s) -0.104; linear velocity (m/s) 0.393. Again: linear 0.393",
        ] {
            assert_eq!(spoken_velocity(text), Ok((0.393, -0.104)), "{text}");
        }
    }

    #[test]
    fn what_is_not_told_once_is_not_guessed() {
        for text in [
            "",
            "What parameters fit?",
            "linear and angular velocity are 0.4 and 0.1",
            "linear velocity 0.4, angular velocity 0.1, later linear velocity 0.5",
            "the linear velocity is as you can see for yourself from the picture above, 5; angular 1",
        ] {
            assert!(spoken_velocity(text).is_err(), "{text}");
        }
    }
}
