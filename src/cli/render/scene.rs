//! The picture of one scene.

use std::path::Path;

use anyhow::Context as _;

use crate::cli::Outcome;
use crate::cli::destination::check_file;
use crate::frame::Stamp;
use crate::frame::render::{RenderReport, Renderer, Scene};
use crate::picture;
use crate::scene::ScanMessage;

/// Largest scene file that is read: room for the longest scan and path that are drawn.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Draws the scene and says what was left out of it.
///
/// # Errors
/// When the scene cannot be read or drawn, or the picture cannot be written.
pub(super) fn run(scene: &Path, output: &Path) -> anyhow::Result<Outcome> {
    check_file("--output", output)?;
    let file = scene.display().to_string();
    let bytes = std::fs::metadata(scene).with_context(|| format!("cannot read scene file {file}"))?.len();
    anyhow::ensure!(bytes <= MAX_FILE_BYTES, "scene file {file} has {bytes} bytes, expected at most {MAX_FILE_BYTES}");
    let text = std::fs::read_to_string(scene).with_context(|| format!("cannot read scene file {file}"))?;
    let scene = Scene::from_json(&text, &file)?;
    let (frame, report) = Renderer::new().draw(&scene).with_context(|| format!("cannot draw scene file {file}"))?;
    if report.nan_ranges > 0 {
        log::warn!("{file}: {} of {} ranges are NaN and were skipped", report.nan_ranges, scene.scan.ranges.len());
    }
    if report.unusable_path_points > 0 {
        let (unusable, all) = (report.unusable_path_points, scene.path.len());
        log::error!("{file}: {unusable} of {all} path points are not finite or out of reach, the path has gaps");
    }
    let message = ScanMessage { stamp: Stamp::from_nanos(0), frame: String::new(), angle_max: 0.0, scan: scene.scan };
    let seen = message.check().inspect_err(|bad| log::error!("{file}: {bad}; a robot's frame would be refused"));
    picture::save_png(output, &frame)?;
    log::info!("wrote {}", output.display());
    let is_whole = report == RenderReport::default() && seen.is_ok();
    Ok(if is_whole { Outcome::Complete } else { Outcome::DataLost })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn render(scene: &str) -> anyhow::Result<image::RgbImage> {
        let folder = tempfile::tempdir()?;
        let (input, output) = (folder.path().join("scene.json"), folder.path().join("scene.png"));
        std::fs::write(&input, scene)?;
        run(&input, &output)?;
        Ok(image::open(output)?.into_rgb8())
    }

    const SCENE: &str = r#"{"scan": {"angle_min": 0.0, "angle_increment": 0.1, "range_min": 0.1, "range_max": 30.0, "ranges": [2.0, "nan"]},
        "pose": {"x": 0.0, "y": 0.0, "yaw": 0.0}, "path": null}"#;

    #[test]
    fn a_scene_becomes_a_picture() {
        let picture = render(SCENE).unwrap();
        assert_eq!(picture.dimensions(), (600, 400));
        assert_eq!(picture.get_pixel(400, 200).0, [255, 0, 0], "an obstacle 2 m ahead");
    }

    #[test]
    fn what_is_wrong_with_the_scene_names_the_file() {
        let error = format!("{:#}", render("{}").unwrap_err());
        assert!(error.contains("scene.json: missing field `scan`"), "{error}");
        let error = format!(
            "{:#}",
            render(&SCENE.replace("\"angle_increment\": 0.1", "\"angle_increment\": 1e39")).unwrap_err()
        );
        assert!(error.contains("scene.json") && error.contains("number out of range at line 1"), "{error}");
    }
}
