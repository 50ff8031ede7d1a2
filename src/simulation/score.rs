//! What a drive is worth (the original's `nav_metric`, from the BARN challenge).

/// The fastest the robot could be, m/s: what the optimal time is reckoned with.
const FASTEST: f64 = 2.0;

/// The time that the reference path takes at the highest speed, s.
pub fn optimal_time(reference_length_m: f64) -> f64 {
    reference_length_m / FASTEST
}

/// 0 for a drive that failed or touched something; otherwise the optimal time by the time taken, which counts as at least twice
/// and at most eight times the optimal one: 0.125 to 0.5.
pub fn nav_metric(is_clean_success: bool, time_s: f64, optimal_time_s: f64) -> f64 {
    if !is_clean_success || optimal_time_s.is_nan() || optimal_time_s <= 0.0 {
        return 0.0;
    }
    optimal_time_s / time_s.clamp(2.0 * optimal_time_s, 8.0 * optimal_time_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_drives_are_worth_a_half_and_slow_ones_an_eighth() {
        assert_eq!(nav_metric(true, 3.0, 5.0), 0.5);
        assert_eq!(nav_metric(true, 20.0, 5.0), 0.25);
        assert_eq!(nav_metric(true, 1000.0, 5.0), 0.125);
        assert_eq!(nav_metric(false, 10.0, 5.0), 0.0);
        assert_eq!(nav_metric(true, 10.0, f64::NAN), 0.0);
        assert_eq!(optimal_time(10.0), 5.0);
    }
}
