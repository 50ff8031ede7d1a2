//! Numbers as a reader wants them.

/// Four digits are enough to read: `0.61`, `561.7`, `1200`, `1.250e-5`. What is no number says so.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "not a number" } else { "infinite" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = match size {
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        1.0.. => 3,
        _ => 4,
    };
    let plain = format!("{value:.digits$}");
    let plain = if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain };
    // What is rounded to nothing keeps no sign.
    if plain == "-0" { "0".to_owned() } else { plain.to_owned() }
}

/// So many of something: `1 step`, `30 steps`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A place in a plot, in thousandths of its width or height: finer than any screen.
pub(super) fn place(share: f64) -> String {
    short((share.clamp(0.0, 1.0) * 10_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.61, "0.61"),
            (1.0 / 3.0, "0.3333"),
            (-2.50001, "-2.5"),
            (100.0, "100"),
            (561.7463, "561.7"),
            (3.1021, "3.102"),
            (1200.0, "1200"),
            (123_456.7, "123457"),
            (0.000_012_5, "1.250e-5"),
            (4.0e12, "4.000e12"),
            (f64::NAN, "not a number"),
            (f64::NEG_INFINITY, "infinite"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!([place(0.123_456), place(-1.0), place(2.0)], ["123.5", "0", "1000"]);
    }
}
