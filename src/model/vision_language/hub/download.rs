//! From the Hub into the cache.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use hf_hub::{
    Cache,
    api::{
        RepoInfo,
        sync::{Api, ApiBuilder, ApiError, ApiRepo},
    },
};

use super::{
    DownloadError, HubEnvironment, HubModel,
    model_files::{IMAGE_SETTINGS, INDEX, SETTINGS, WEIGHTS, shards},
};

/// A Hub that cannot be reached should not keep a robot waiting; `hf-hub` itself would wait as long as the system does.
const FIRST_ANSWER: Duration = Duration::from_secs(20);
/// A download that breaks off goes on where it stopped, this many times.
const ATTEMPTS: usize = 4;

/// Downloads what the cache lacks and returns the snapshot's folder, or says why that did not work.
pub(super) fn download(
    model: &HubModel,
    cache_folder: &Path,
    environment: &HubEnvironment,
) -> Result<PathBuf, DownloadError> {
    // Links in the cache are made relative to each other, for which hf-hub needs whole paths.
    let cache_folder = std::path::absolute(cache_folder)
        .map_err(|source| DownloadError::Cache { path: cache_folder.into(), source })?;
    let cache = Cache::new(cache_folder);
    let mut builder = ApiBuilder::from_cache(cache.clone()).with_token(environment.token.clone()).with_progress(true);
    if let Some(endpoint) = &environment.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let api = builder.build().map_err(|error| DownloadError::Hub(Box::new(error)))?;
    let info = first_answer(&api, model)?;
    let commit = info.sha.as_str();
    if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(DownloadError::Commit { commit: commit.to_owned() });
    }

    // One commit for all files, in case the branch moves on meanwhile.
    let pinned = model.repo(commit);
    let snapshot = cache.repo(pinned.clone()).pointer_path(commit);
    let remote = api.repo(pinned);
    let fetch = |name: &str| match snapshot.join(name) {
        present if present.is_file() => Ok(present),
        _ => persistently(&remote, name)
            .map_err(|error| DownloadError::File { file: name.into(), source: Box::new(error) }),
    };

    let published: BTreeSet<&str> = info.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    let weights = if published.contains(WEIGHTS) { WEIGHTS } else { INDEX };
    let image_settings: Vec<&str> = IMAGE_SETTINGS.into_iter().filter(|name| published.contains(name)).collect();
    // Where neither is published, the usual one is named as absent.
    let image_settings = if image_settings.is_empty() { IMAGE_SETTINGS[..1].to_vec() } else { image_settings };
    let wanted = SETTINGS.into_iter().chain(image_settings).chain([weights]);
    let absent: Vec<&str> = wanted.clone().filter(|name| !published.contains(name)).collect();
    if !absent.is_empty() {
        return Err(DownloadError::Absent { files: absent.into_iter().map(str::to_owned).collect() });
    }
    log::info!("downloading {model} into {}", snapshot.display());
    for name in wanted {
        let path = fetch(name)?;
        if name == INDEX {
            for shard in shards(&path).map_err(|error| DownloadError::Index(Box::new(error)))? {
                fetch(&shard)?;
            }
        }
    }
    // Only now the branch or tag stands for a whole snapshot.
    match cache.repo(model.repo(&model.revision)).create_ref(commit) {
        Ok(()) => Ok(snapshot),
        Err(source) => Err(DownloadError::Cache { path: snapshot, source }),
    }
}

/// What the Hub says about the model, if it says so in time.
fn first_answer(api: &Api, model: &HubModel) -> Result<RepoInfo, DownloadError> {
    let (sender, receiver) = mpsc::channel();
    let repo = api.repo(model.repo(&model.revision));
    // Nobody listens any more after a time-out; the thread ends with its request.
    thread::spawn(move || sender.send(repo.info()).ok());
    match receiver.recv_timeout(FIRST_ANSWER) {
        Ok(Ok(info)) => Ok(info),
        Ok(Err(error)) => Err(DownloadError::Hub(Box::new(error))),
        Err(_) => Err(DownloadError::NoAnswer { seconds: FIRST_ANSWER.as_secs() }),
    }
}

/// Downloads a file. `hf-hub` keeps what has arrived, and the next attempt asks for the rest; its own retries may
/// write the beginning twice when a resumed download fails at once.
fn persistently(remote: &ApiRepo, name: &str) -> Result<PathBuf, ApiError> {
    let mut attempt = 1;
    loop {
        match remote.download(name) {
            Err(e) if attempt < ATTEMPTS => log::warn!("{name}: attempt {attempt} of {ATTEMPTS} broke off: {e}"),
            done => return done,
        }
        thread::sleep(Duration::from_secs(1 << attempt));
        attempt += 1;
    }
}
