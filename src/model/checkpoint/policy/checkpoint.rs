//! What reinforcement learning leaves: an actor with its own copy of the heads, and how it was made.

use super::locate::locate;
use super::manifest::PolicyManifest;
use super::snapshot::read_unchanged;
use super::{ACTOR, ACTOR_SAFETENSORS, FAMILY, LORA_ADAPTER, NOISE, VLM_INFO, VlmInfo, stem};
use crate::checkpoint::adapter::Adapter;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::file_set::FileSet;
use crate::checkpoint::lora_config::LoraConfig;
use crate::checkpoint::tensor_table::TensorTable;
use crate::checkpoint::torch_pickle::read_value;
use std::path::{Path, PathBuf};

/// A policy checkpoint: the files that share a prefix such as `policy_step_1000` or `policy`.
#[derive(Debug, Clone)]
pub struct PolicyCheckpoint {
    /// `feature_extractor.dpt_head.*`, `feature_extractor.history_encoder.*` and `fc.*`.
    pub actor: TensorTable,
    /// The file the actor was read from.
    pub path: PathBuf,
    /// The training step, from the manifest or a name such as `policy_step_N`.
    pub step: Option<u64>,
    /// Standard deviation of the exploration noise, in units of the action ([-1, 1]).
    pub noise: Option<f64>,
    /// What the policy was trained on top of.
    pub vlm_info: Option<VlmInfo>,
    /// The adapter trained along with the policy; takes the place of the supervised one.
    pub lora_adapter: Option<Adapter>,
    /// What we wrote beside it. The files that are read have been compared with it.
    pub manifest: Option<PolicyManifest>,
}

impl PolicyCheckpoint {
    /// Opens a policy by prefix (`dir/policy_step_1000`), by folder (which holds `policy_actor`, or exactly one
    /// `…_actor`), or by its actor file (`…_actor`, `…_actor.safetensors`).
    ///
    /// Where an actor is there as a pickle and as safetensors, prefix and folder mean the pickle: it is what the
    /// training system wrote. A policy that is replaced meanwhile is read again: its files are all old or all new.
    ///
    /// # Errors
    /// The first file that cannot be used, or that is not what the manifest says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = locate(path.as_ref())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = &stem(&path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = Files { actor: path.clone(), folder, stem, set: FileSet::new(folder, stem) };
        let names = |place: &Place| {
            let family = FAMILY.iter().map(|suffix| place.folder.join(format!("{stem}{suffix}")));
            family.chain([place.folder.join(&name)]).collect()
        };
        read_unchanged(&path, || files.place(), names, |place| files.read(place))
    }
}

/// Where a policy's files have their names.
struct Files<'a> {
    actor: PathBuf,
    folder: &'a Path,
    stem: &'a str,
    set: FileSet,
}

/// Where they are read.
#[derive(PartialEq)]
struct Place {
    folder: PathBuf,
    manifest: Option<PathBuf>,
}

impl Files<'_> {
    /// The set that we saved here, or the folder itself where the actor is another program's. A manifest of a set of
    /// ours says nothing about that one.
    fn place(&self) -> Place {
        let suffix =
            if self.actor.extension().is_some_and(|end| end == "safetensors") { ACTOR_SAFETENSORS } else { ACTOR };
        let ours = self.set.current().filter(|_| self.set.is_linked(suffix));
        let manifest = |folder: &Path| folder.join(format!("{}{}", self.stem, PolicyManifest::SUFFIX));
        match ours {
            Some(folder) => Place { manifest: Some(manifest(&folder)), folder },
            None => {
                let theirs = !self.set.is_linked(PolicyManifest::SUFFIX);
                let manifest = Some(manifest(self.folder)).filter(|_| theirs);
                Place { folder: self.folder.into(), manifest }
            }
        }
    }

    fn read(&self, place: &Place) -> Result<PolicyCheckpoint, CheckpointError> {
        let beside = |suffix: &str| place.folder.join(format!("{}{suffix}", self.stem));
        let read_if_there = |suffix: &str| Some(beside(suffix)).filter(|path| path.exists());
        let file = place.folder.join(self.actor.file_name().unwrap_or_default());

        let manifest = place.manifest.as_ref().filter(|path| path.exists());
        let manifest = manifest.map(|path| PolicyManifest::open(path)).transpose()?;
        if let (Some(manifest), Some(path)) = (&manifest, &place.manifest) {
            manifest.verify(path, &file)?;
            for path in [NOISE, VLM_INFO].into_iter().filter_map(read_if_there) {
                manifest.verify(place.manifest.as_deref().unwrap_or(&path), &path)?;
            }
        }

        let actor = TensorTable::open(&file)?;
        if actor.is_empty() {
            return Err(CheckpointError::malformed(file, "it holds no tensors, expected those of an actor"));
        }
        // One that another program has put beside our set counts, too.
        let is_ours = self.set.is_linked(LORA_ADAPTER);
        let adapter =
            if is_ours { beside(LORA_ADAPTER) } else { self.folder.join(format!("{}{LORA_ADAPTER}", self.stem)) };
        let lora_adapter = Some(&adapter).filter(|folder| folder.exists()).map(Adapter::open).transpose()?;
        if let (Some(manifest), Some(path), Some(adapter), true) = (&manifest, &place.manifest, &lora_adapter, is_ours)
        {
            for file in [&adapter.path, &adapter.path.with_file_name(LoraConfig::FILE)] {
                manifest.verify(path, file)?;
            }
        }
        let stated = manifest.as_ref();
        let vlm_info = read_if_there(VLM_INFO).map(|path| VlmInfo::open(&path)).transpose()?;
        let vlm_info = vlm_info.or_else(|| stated.and_then(|manifest| manifest.vlm_info.clone()));
        if lora_adapter.is_none() && vlm_info.as_ref().is_some_and(|info| info.vlm_trainable) {
            let what = "it says that the adapter was trained with the policy (vlm_trainable), and there is no";
            return Err(CheckpointError::malformed(beside(VLM_INFO), format!("{what} {}", adapter.display())));
        }
        let noise = read_if_there(NOISE).map(|path| read_noise(&path)).transpose()?;
        let named = self.stem.rsplit_once("_step_").and_then(|(_, step)| step.parse().ok());
        Ok(PolicyCheckpoint {
            actor,
            path: self.actor.clone(),
            step: named.or_else(|| stated.and_then(|manifest| manifest.step)),
            noise: noise.or_else(|| stated.and_then(|manifest| manifest.noise)),
            vlm_info,
            lora_adapter,
            manifest,
        })
    }
}

/// A pickled number from 0.
pub(super) fn read_noise(path: &Path) -> Result<f64, CheckpointError> {
    read_value(path, |pickle| {
        pickle.number(pickle.root).filter(|noise| noise.is_finite() && *noise >= 0.0).ok_or_else(|| {
            let found = pickle.describe(pickle.root);
            CheckpointError::malformed(
                path,
                format!("it holds {found}, expected the exploration noise, a number from 0; write float(noise)"),
            )
        })
    })
}
