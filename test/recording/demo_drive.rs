//! The demo recording is what its generator makes, and looks like a drive.

use std::path::Path;

use crate::drive;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/demo_drive");

#[test]
fn the_committed_recording_is_what_the_generator_makes() {
    let folder = Path::new(RECORDING);
    let moments = drive::record().unwrap();
    let remedy = "run `cargo run --example demo_drive`";
    assert_eq!(std::fs::read_to_string(folder.join("frames.csv")).unwrap(), drive::table(&moments), "{remedy}");
    assert_eq!(std::fs::read_dir(folder.join("frames")).unwrap().count(), moments.len(), "{remedy}");
    for moment in &moments {
        let committed = image::open(folder.join(&moment.file)).unwrap().into_rgb8();
        assert_eq!(committed.dimensions(), (moment.frame.width(), moment.frame.height()), "{}", moment.file);
        assert!(committed.as_raw() == moment.frame.rgb(), "{}: {remedy}", moment.file);
    }
}

#[test]
fn the_drive_is_one_that_a_jackal_could_do() {
    let moments = drive::record().unwrap();
    for moment in &moments {
        // Half of the diagonal of 0.508 m x 0.430 m.
        assert!(moment.clearance > 0.333, "{}: obstacle at {:.3} m", moment.file, moment.clearance);
        assert!((0.0..=2.0).contains(&moment.linear_vel) && moment.angular_vel.abs() <= 1.57, "{}", moment.file);
    }
    let speeds = || moments.iter().skip(3).map(|moment| moment.linear_vel);
    let (slowest, fastest) = (speeds().fold(f64::MAX, f64::min), speeds().fold(0.0, f64::max));
    assert!(slowest < 0.6 && fastest > 1.1, "{slowest:.2} to {fastest:.2} m/s is hardly a change of speed");
    let turns = || moments.iter().map(|moment| moment.angular_vel);
    assert!(turns().any(|turn| turn > 0.4) && turns().any(|turn| turn < -0.4), "bends to both sides");
}
