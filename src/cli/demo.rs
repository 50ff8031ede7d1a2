//! The demo that comes with the source code: a small trained model, and a recorded drive to replay.

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// Where its parts are.
pub struct Demo {
    /// Base model.
    pub base: PathBuf,
    /// Supervised checkpoint.
    pub checkpoint: PathBuf,
    /// Policy checkpoint.
    pub policy: PathBuf,
    /// A recording.
    pub drive: PathBuf,
}

impl Demo {
    /// Looks for it in the source code.
    ///
    /// # Errors
    /// When the program was moved away from there.
    pub fn find() -> anyhow::Result<Self> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures");
        let (model, drive) = (fixtures.join("demo_model"), fixtures.join("demo_drive"));
        for folder in [&model, &drive] {
            ensure!(
                folder.is_dir(),
                "the demo lies in the source code, but there is no {}; run it from a clone",
                folder.display()
            );
        }
        let of_model = |part: &str| model.join(part);
        Ok(Self { base: of_model("base"), checkpoint: of_model("checkpoint"), policy: of_model("policy"), drive })
    }
}
