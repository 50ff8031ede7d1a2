//! Base models from the Hub's cache, and from a Hub that runs in this process.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use vlm_planner_tuner::vision_language::hub::{HubEnvironment, HubError, ModelSource};

const COMMIT: &str = "66285546d2b821cf421d4f5eb2576359d3770cd3";
const INDEX: &str =
    r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
const FILES: [(&str, &str); 6] = [
    ("config.json", "{\"of\": \"the model\"}"),
    ("preprocessor_config.json", "{}"),
    ("tokenizer.json", "{\"long\": \"enough to be told apart\"}"),
    ("model.safetensors.index.json", INDEX),
    ("model-00001-of-00002.safetensors", "first shard"),
    ("model-00002-of-00002.safetensors", "second shard"),
];

fn environment(cache: &TempDir, offline: bool) -> HubEnvironment {
    HubEnvironment { cache: Some(cache.path().into()), offline, ..HubEnvironment::default() }
}

/// A cache as `huggingface_hub` leaves it: blobs, a snapshot of links to them, and `main`.
fn cache_with(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--owner--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &repo.join("refs"), &repo.join("blobs")] {
        fs::create_dir_all(folder).unwrap();
    }
    for (name, content) in files {
        fs::write(repo.join("blobs").join(name), content).unwrap();
        symlink(Path::new("../../blobs").join(name), snapshot.join(name)).unwrap();
    }
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    (cache, snapshot)
}

#[test]
fn a_whole_snapshot_is_used_without_a_network() {
    let (cache, snapshot) = cache_with(&FILES);
    for id in ["owner/name", "owner/name@66285546d2b821cf421d4f5eb2576359d3770cd3"] {
        let source = ModelSource::parse(id).unwrap();
        assert_eq!(source.resolve(&environment(&cache, true)).unwrap(), snapshot);
        // Nor is the Hub asked where it could be: nothing listens at this address.
        let online = HubEnvironment { endpoint: Some("http://127.0.0.1:9".to_owned()), ..environment(&cache, false) };
        assert_eq!(source.resolve(&online).unwrap(), snapshot);
    }
}

#[test]
fn an_incomplete_snapshot_lists_what_it_lacks() {
    let (cache, snapshot) = cache_with(&FILES[1..5]);
    // A link whose blob never arrived.
    symlink("../../blobs/nowhere", snapshot.join("config.json")).unwrap();
    let err = ModelSource::parse("owner/name").unwrap().resolve(&environment(&cache, true)).unwrap_err();
    let HubError::Unavailable { missing, .. } = &err else { panic!("{err}") };
    assert_eq!(missing, &["config.json", "model-00002-of-00002.safetensors"]);
    let message = err.to_string();
    for part in ["owner/name is not a local folder", "HF_HUB_OFFLINE", "hf download", cache.path().to_str().unwrap()] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_unknown_model_offline_or_without_a_hub_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let source = ModelSource::parse("owner/name@v2").unwrap();
    let unreachable = HubEnvironment { endpoint: Some("http://127.0.0.1:9".to_owned()), ..environment(&cache, false) };
    for environment in [environment(&cache, true), unreachable] {
        let started = Instant::now();
        let message = source.resolve(&environment).err().unwrap().to_string();
        assert!(message.starts_with("owner/name@v2 is not a local folder, not in the cache"), "{message}");
        assert!(message.contains("hf download owner/name --revision v2) and pass that folder"), "{message}");
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}

/// Answers as the Hub does, as far as `hf-hub` asks it.
struct Hub {
    endpoint: String,
    downloads: Arc<AtomicUsize>,
}

impl Hub {
    /// Serves these files; each connection is cut off in the middle of the first `interruptions` downloads.
    fn start(files: &'static [(&'static str, &'static str)], interruptions: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let downloads = Arc::new(AtomicUsize::new(0));
        let counter = downloads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), files, &counter, interruptions);
            }
        });
        Self { endpoint, downloads }
    }

    fn environment(&self, cache: &TempDir) -> HubEnvironment {
        HubEnvironment {
            endpoint: Some(self.endpoint.clone()),
            token: Some("secret".to_owned()),
            ..environment(cache, false)
        }
    }
}

fn serve(mut stream: TcpStream, files: &[(&str, &str)], downloads: &AtomicUsize, interruptions: usize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    assert!(headers.iter().any(|line| line == "authorization: bearer secret"), "{headers:?}");
    let path = request.split(' ').nth(1).unwrap_or_default();

    let (status, extra, body) = if path == "/api/models/owner/name/revision/main" {
        let siblings: Vec<String> = files.iter().map(|(name, _)| format!(r#"{{"rfilename": "{name}"}}"#)).collect();
        ("200 OK", String::new(), format!(r#"{{"sha": "{COMMIT}", "siblings": [{}]}}"#, siblings.join(",")))
    } else if let Some((name, content)) =
        files.iter().find(|(name, _)| path == format!("/owner/name/resolve/{COMMIT}/{name}"))
    {
        let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes=")).unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let to = to.parse().unwrap_or(content.len() - 1);
        let extra = format!(
            "ETag: \"{name}-etag\"\r\nx-repo-commit: {COMMIT}\r\nContent-Range: bytes {from}-{to}/{}\r\n",
            content.len()
        );
        ("206 Partial Content", extra, content[from..=to].to_owned())
    } else {
        ("404 Not Found", String::new(), String::new())
    };
    // Metadata are asked for with one byte.
    let is_download = status.starts_with("206") && body.len() > 1;
    let cut_off = is_download && downloads.fetch_add(1, Ordering::SeqCst) < interruptions;
    let sent = if cut_off { &body[..body.len() / 2] } else { &body };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}Connection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(sent.as_bytes()).ok();
}

fn contents(folder: &Path) -> Vec<(String, String)> {
    FILES.iter().map(|(name, _)| ((*name).to_owned(), fs::read_to_string(folder.join(name)).unwrap())).collect()
}

#[test]
fn a_download_survives_an_interruption_and_stays_in_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::start(&FILES, 1);
    let source = ModelSource::parse("owner/name").unwrap();
    let folder = source.resolve(&hub.environment(&cache)).unwrap();
    for ((name, content), (expected_name, expected)) in contents(&folder).iter().zip(FILES) {
        assert_eq!((name.as_str(), content.as_str()), (expected_name, expected));
    }
    let downloads = hub.downloads.load(Ordering::SeqCst);
    assert!(downloads > FILES.len() - 1, "{downloads}");

    assert_eq!(source.resolve(&environment(&cache, true)).unwrap(), folder);
    assert_eq!(hub.downloads.load(Ordering::SeqCst), downloads, "the cache is whole");
}

#[test]
fn a_download_completes_what_the_cache_has() {
    let (cache, snapshot) = cache_with(&FILES[..5]);
    let hub = Hub::start(&FILES, 0);
    let folder = ModelSource::parse("owner/name").unwrap().resolve(&hub.environment(&cache)).unwrap();
    assert_eq!(folder, snapshot);
    assert_eq!(contents(&folder).len(), FILES.len());
    assert_eq!(hub.downloads.load(Ordering::SeqCst), 1);
}

#[test]
fn what_the_hub_does_not_have_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::start(&FILES[1..], 0);
    let message = ModelSource::parse("owner/name").unwrap().resolve(&hub.environment(&cache)).unwrap_err().to_string();
    assert!(message.contains("the Hub's model has no config.json"), "{message}");
    let message = ModelSource::parse("owner/other").unwrap().resolve(&hub.environment(&cache)).unwrap_err().to_string();
    assert!(message.contains("404") && message.contains("HF_TOKEN") && !message.contains("secret"), "{message}");
}
