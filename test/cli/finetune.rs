//! `planner_tuner finetune` as a user meets it: from a folder of frames to a checkpoint and a policy that a replay takes.

use std::path::Path;
use std::process::Command;

use crate::support::own_fixture_set;

/// Exit code, stdout and stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap();
    let [said, talk] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(!talk.contains("panicked"), "{talk}");
    (output.status.code().unwrap(), said, talk)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The golden set's six frames in two runs, and a seventh row without a picture.
fn frames(folder: &Path) {
    let mut table =
        "file,run_id,linear_vel,angular_vel,max_vel_x,max_vel_theta,vx_samples,vtheta_samples,path_distance_bias,\
                     goal_distance_bias,inflation_radius\n"
            .to_owned();
    for number in 0..6 {
        let name = format!("DWA_{:06}.png", 20 + number);
        std::fs::copy(own_fixture_set("tiny_vlm").join("frames").join(&name), folder.join(&name)).unwrap();
        let (run, speed) = (number / 3, 0.3 + 0.2 * f64::from(number));
        table += &format!("{name},{run},{speed},0.1,{speed},1.5,6,20,0.7,1.0,{}\n", 0.2 + 0.05 * f64::from(number));
    }
    table += "nowhere.png,1,0.5,0.1,0.5,1.5,6,20,0.7,1.0,0.3\n";
    std::fs::write(folder.join("frames.csv"), table).unwrap();
}

#[test]
fn frames_become_a_checkpoint_and_a_policy_that_a_replay_takes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("frames")).unwrap();
    frames(&at("frames"));
    let base = own_fixture_set("tiny_vlm").join("base");
    let (frames, checkpoint, policy) = (at("frames"), at("checkpoint"), at("policy"));
    let small =
        ["--rank", "2", "--feature", "16", "--history-width", "16", "--history-size", "32", "--max-pixels", "40000"];
    let begin = ["finetune", text(&frames), "--base", text(&base), "-o", text(&checkpoint), "--validation", "0.5"];
    let first = [&begin[..], &small, &["--epochs", "1", "--batch", "3", "--first-policy", text(&policy)]].concat();
    let (code, said, talk) = run(&first);
    assert_eq!(code, 3, "a picture is missing: {talk}");
    assert!(talk.contains("nowhere.png") && said.contains("1 frames skipped: missing_file"), "{said}{talk}");
    assert!(said.contains("max_vel_x") && said.contains("constant, so nothing could be learned"), "{said}");
    for file in [
        "adapter_config.json",
        "normalization/param_mean.npy",
        "prompt.json",
        "report.json",
        "curves.csv",
        "curves.png",
    ] {
        assert!(checkpoint.join(file).is_file(), "{file}");
    }

    // Not over a training that is there, unless it is to go on; with other networks it does not.
    let (code, _, talk) = run(&first);
    assert!(code == 1 && talk.contains("--resume"), "{code} {talk}");
    let other = [&begin[..], &small, &["--epochs", "2", "--batch", "3", "--dropout", "0.3", "--resume"]].concat();
    let (code, _, talk) = run(&other);
    assert!(code == 1 && talk.contains("begun with other data"), "{code} {talk}");
    let on = [&begin[..], &small, &["--epochs", "2", "--batch", "3", "--resume", "--json"]].concat();
    let (code, said, talk) = run(&on);
    assert_eq!(code, 3, "{talk}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (said["epochs"].as_u64(), said["skipped_frames"]["missing_file"].as_u64()),
        (Some(2), Some(1)),
        "{said}"
    );

    let model = ["--base", text(&base), "--checkpoint", text(&checkpoint), "--policy", text(&policy)];
    let image = frames.join("DWA_000022.png");
    let infer =
        [&["infer"], &model[..], &["--image", text(&image), "--linear-vel", "0.5", "--angular-vel", "0", "--json"]];
    let (code, said, talk) = run(&infer.concat());
    assert_eq!(code, 0, "{talk}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["parameters"]["max_vel_x"].as_f64().is_some_and(|speed| (0.2..=2.0).contains(&speed)), "{said}");
}

#[test]
fn wishes_that_cannot_be_met_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (frames_in, out) = (folder.path().join("frames"), folder.path().join("checkpoint"));
    std::fs::create_dir(&frames_in).unwrap();
    frames(&frames_in);
    let base = own_fixture_set("tiny_vlm").join("base");
    let with =
        |more: &[&str]| run(&[&["finetune", text(&frames_in), "--base", text(&base), "-o", text(&out)], more].concat());
    for (more, code, words) in [
        (&["--rank", "128"][..], 1, "choose a rank of at most"),
        (&["--planner", "teb"], 1, "labels are those of another planner"),
        (&["--fold", "6/5"], 2, "expected K/N"),
        (&["--history-offsets", "2,1", "--rank", "2"], 1, "rising numbers"),
        (&["--only", "method=HB"], 1, "no column 'method'"),
        (&["--resume"], 1, "no training to go on with"),
    ] {
        let (found, _, talk) = with(more);
        assert!(found == code && talk.contains(words), "{more:?}: {found} {talk}");
        assert!(!out.exists(), "{more:?}");
    }
}
