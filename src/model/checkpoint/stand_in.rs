//! Files that lie where another should: what a clone without git-lfs or a failed download leaves.

/// As much of a file's beginning as [`stand_in`] looks at.
pub(crate) const STAND_IN_BYTES: u64 = 512;

/// What the bytes at a file's beginning say about it, if they are those of a Git LFS pointer or of a page that a server
/// sends in place of the file. The sentence ends with what to do.
pub(crate) fn stand_in(start: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(start.get(..STAND_IN_BYTES as usize).unwrap_or(start));
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("version https://git-lfs.github.com/spec/") {
        let size = text.lines().find_map(|line| line.strip_prefix("size "));
        let size = size.and_then(|size| size.trim().parse::<u64>().ok());
        let size = size.map(|size| format!(" of {size} bytes")).unwrap_or_default();
        return Some(format!(
            "it is a Git LFS pointer to a file{size}, not the file: run `git lfs pull` in its repository, or download it"
        ));
    }
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        return Some(
            "it is an HTML page, as a download from a wrong address or without permission leaves it: download the file \
             itself"
                .into(),
        );
    }
    let answers = ["Entry not found", "Repository not found", "Invalid username or password", "Access to model"];
    let answer = answers.into_iter().find(|answer| text.starts_with(answer))?;
    Some(format!("it holds a server's answer ('{answer}') instead of the file: download it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_pages_and_answers_are_told_from_files() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3983525\n";
        assert!(stand_in(pointer).is_some_and(|what| what.contains("3983525") && what.contains("git lfs pull")));
        for page in ["<!DOCTYPE html><html>", "\n<html lang=\"en\">", "\u{feff}<!doctype HTML>"] {
            assert!(stand_in(page.as_bytes()).is_some_and(|what| what.contains("HTML page")), "{page}");
        }
        assert!(stand_in(b"Entry not found").is_some_and(|what| what.contains("Entry not found")));
        for file in [&b"{\"version\": 1}"[..], b"PK\x03\x04", b"\x80\x02}.", b"\x93NUMPY", b"", b"version 1", &[0; 600]]
        {
            assert_eq!(stand_in(file), None);
        }
    }
}
