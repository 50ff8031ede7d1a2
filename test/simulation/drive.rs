//! Whole drives.

use std::convert::Infallible;
use std::time::Instant;

use planner_tuner_simulation::drive::{Decision, DriveSettings, Ending, Fixed, Moment, Tuner, drive};
use planner_tuner_simulation::move_base::Tuning;
use planner_tuner_simulation::robot::RobotSettings;
use planner_tuner_simulation::world::GeneratedWorld;

fn world(seed: u64) -> GeneratedWorld {
    GeneratedWorld::of_seed(seed, 10.0).unwrap()
}

#[test]
fn a_robot_with_default_parameters_crosses_a_world() {
    let report = drive(&world(3).world, &DriveSettings::default(), 0, &mut Fixed(Tuning::default())).unwrap();
    assert_eq!(report.ending(), Ending::Success);
    assert!(report.time_s() > 9.0 / 0.5, "9 m at 0.5 m/s, {} s", report.time_s());
    assert!(report.way_m() > 9.0 && report.way_m() < 20.0, "{} m", report.way_m());
}

#[test]
fn the_same_seed_gives_the_same_drive() {
    let noisy = DriveSettings {
        robot: RobotSettings { slip: 0.05, odometry_noise: 0.01, delay_steps: 2, ..RobotSettings::default() },
        ..DriveSettings::default()
    };
    let once = |seed| drive(&world(5).world, &noisy, seed, &mut Fixed(Tuning::default())).unwrap();
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}

/// Faster and faster, and slow to decide.
struct Slow {
    latency_s: f64,
    asked: Vec<f64>,
}

impl Tuner for Slow {
    type Error = Infallible;

    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, Infallible> {
        self.asked.push(moment.time_s);
        let mut tuning = moment.tuning;
        tuning.planner.max_vel_x = (tuning.planner.max_vel_x + 0.1).min(1.0);
        Ok(Some(Decision { tuning, latency_s: self.latency_s }))
    }
}

#[test]
fn who_decides_slowly_decides_less_often_and_late() {
    let mut tuner = Slow { latency_s: 0.7, asked: Vec::new() };
    let report = drive(&world(3).world, &DriveSettings::default(), 0, &mut tuner).unwrap();
    assert_eq!(tuner.asked.get(..3), Some(&[0.0, 1.0, 2.0][..]));
    let tuned: Vec<f64> = report.tunings().iter().take(3).map(|point| point.time_s).collect();
    assert!(tuned.iter().zip([0.7, 1.7, 2.7]).all(|(found, expected)| (found - expected).abs() < 0.051), "{tuned:?}");
}

/// `cargo test --release -p planner_tuner_simulation -- --ignored --nocapture speed`
#[test]
#[ignore = "prints times, asserts nothing about them"]
fn speed_of_drives_with_fixed_parameters() {
    let (mut simulated, mut taken) = (0.0, 0.0);
    for seed in 0..20 {
        let world = world(seed).world;
        let begin = Instant::now();
        let report = drive(&world, &DriveSettings::default(), 0, &mut Fixed(Tuning::default())).unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let end = report.track().last().map_or(0.0, |point| point.time_s);
        println!(
            "seed {seed}: {:?} after {end:.1} s simulated, {:.1} s driven, {} contacts, nav metric {:.3}, in {seconds:.3} s",
            report.ending(),
            report.time_s(),
            report.contacts(),
            report.nav_metric()
        );
        (simulated, taken) = (simulated + end, taken + seconds);
    }
    println!("{simulated:.0} s simulated in {taken:.2} s: {:.0} x real time", simulated / taken);
}
