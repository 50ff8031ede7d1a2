//! The settings of the Hub's client, from environment variables.

use std::{env, ffi::OsString, path::PathBuf};

use super::read_bounded;

/// Where the cache is, and whether and as whom the Hub may be asked.
///
/// The variables are those of Python's `huggingface_hub`; the crate `hf-hub` itself knows `HF_HOME` and `HF_ENDPOINT`
/// only. Has no `Debug`, as it holds a secret.
#[derive(Clone, Default)]
pub struct HubEnvironment {
    /// `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `huggingface/hub` in `XDG_CACHE_HOME` or in `~/.cache`.
    pub cache: Option<PathBuf>,
    /// `HF_HUB_OFFLINE`: the cache is all there is.
    pub offline: bool,
    /// `HF_TOKEN`, or the content of `HF_TOKEN_PATH` or of `token` in `HF_HOME`.
    pub token: Option<String>,
    /// `HF_ENDPOINT`: a mirror to ask in place of <https://huggingface.co>.
    pub endpoint: Option<String>,
}

impl HubEnvironment {
    /// From the variables of this process.
    pub fn from_env() -> Self {
        Self::from_variables(env::home_dir(), |name| env::var_os(name))
    }

    fn from_variables(home: Option<PathBuf>, get: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &str| get(name)?.into_string().ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());

        let caches = path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let hf_home = path("HF_HOME").or_else(|| Some(caches?.join("huggingface")));
        let token_path = path("HF_TOKEN_PATH").or_else(|| Some(hf_home.as_ref()?.join("token")));
        let token_file = || String::from_utf8(read_bounded(&token_path?, 4096).ok()?).ok();
        let offline = text("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_uppercase();
        Self {
            cache: path("HF_HUB_CACHE").or_else(|| Some(hf_home.as_ref()?.join("hub"))),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
            token: text("HF_TOKEN")
                .or_else(token_file)
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            endpoint: text("HF_ENDPOINT").map(|url| url.trim_end_matches('/').to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> HubEnvironment {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        HubEnvironment::from_variables(Some("/home/r".into()), get)
    }

    #[test]
    fn the_cache_is_where_python_looks_for_it() {
        for (variables, cache) in [
            (vec![], "/home/r/.cache/huggingface/hub"),
            (vec![("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (vec![("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/hf")], "/hf/hub"),
            (vec![("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")], "/c"),
            (vec![("HF_HOME", ""), ("HF_HUB_CACHE", "")], "/home/r/.cache/huggingface/hub"),
        ] {
            assert_eq!(environment(&variables).cache.unwrap(), PathBuf::from(cache), "{variables:?}");
        }
        assert!(HubEnvironment::from_variables(None, |_| None).cache.is_none());
    }

    #[test]
    fn offline_is_a_switch() {
        for (value, offline) in [("1", true), ("true", true), ("On", true), ("0", false), ("", false), ("no", false)] {
            assert_eq!(environment(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(environment(&[("HF_HOME", home)]).token, None);
        std::fs::write(folder.path().join("token"), "from file\n").unwrap();
        assert_eq!(environment(&[("HF_HOME", home)]).token.as_deref(), Some("from file"));
        assert_eq!(environment(&[("HF_HOME", home), ("HF_TOKEN", " own ")]).token.as_deref(), Some("own"));
    }
}
