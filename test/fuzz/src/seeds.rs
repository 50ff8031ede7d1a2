//! Writes the seed corpus: `cargo run --bin seeds -- CORPUS` makes a folder per target below CORPUS, from the project's
//! fixtures and from files that the tests build.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use vlm_planner_tuner::transition::{Ending, logs_in};
// Its coverage counters, which instrumented code does not link without.
use libfuzzer_sys as _;
use vlm_planner_tuner_fuzz::{bytes_of_messages, checkpoint_files, episode, scene_bag, small_bag};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: seeds CORPUS")?);
    let save = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target)).and_then(|()| fs::write(corpus.join(target).join(name), bytes))
    };
    save("pickle", "policy", &checkpoint_files::small_policy())?;
    save("torch_zip", "head", &checkpoint_files::small_torch_zip())?;
    save("safetensors", "two", &checkpoint_files::small_safetensors())?;

    let images: Vec<small_bag::Recorded> =
        [small_bag::drive(2, small_bag::raw_image), small_bag::drive(2, small_bag::png_image)].concat();
    let mut drawn = scene_bag::drive(1, "map");
    drawn.extend((0..11).map(|tenth| {
        let at = vlm_planner_tuner::scene::SpatialPose::on_ground(0.1, 0.2, 0.3);
        scene_bag::transform("/tf", tenth * 100, "map", "odom", at)
    }));
    drawn.sort_by_key(|message| message.log_ms);
    save("messages", "images", &bytes_of_messages::join(&images))?;
    save("messages", "drawn", &bytes_of_messages::join(&drawn))?;

    let folder = tempfile::tempdir()?;
    for (name, compression) in
        [("plain", None), ("zstd", Some(mcap::Compression::Zstd)), ("lz4", Some(mcap::Compression::Lz4))]
    {
        let path = folder.path().join(name);
        let options = mcap::WriteOptions::new().compression(compression).chunk_size(Some(4096));
        small_bag::write_mcap(&path, &small_bag::drive(3, small_bag::raw_image), options);
        save("mcap", name, &fs::read(&path)?)?;
    }

    episode::write(folder.path(), "seed", &episode::steps(3, Ending::Success), 2);
    for log in logs_in(folder.path())?.episodes {
        for part in &log.files {
            save("transition_log", "whole", &fs::read(part)?)?;
        }
    }

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    for (target, folder, ending) in [
        ("npy", fixtures.join("tiny_vlm/checkpoint/normalization"), "npy"),
        ("json", fixtures.join("tiny_vlm/base"), "json"),
        ("json", fixtures.join("tiny_vlm/checkpoint"), "json"),
        ("yaml", config.join("planners"), "yaml"),
        ("yaml", config.join("nav2"), "yaml"),
    ] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            // Larger ones (a tokenizer) slow every round down and teach nothing.
            if path.extension().is_some_and(|found| found == ending) && path.metadata()?.len() < 16_384 {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                save(target, &name, &fs::read(&path)?)?;
            }
        }
    }

    let pixels = small_bag::pixels(1);
    save("image", "png", &small_bag::png(6, 4, &pixels))?;
    save("image", "compressed", &[b"rgb8; png compressed bgr8\0", small_bag::png(6, 4, &pixels).as_slice()].concat())?;
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg).encode(&pixels, 6, 4, image::ExtendedColorType::Rgb8)?;
    save("image", "jpeg", &jpeg)?;
    Ok(())
}
