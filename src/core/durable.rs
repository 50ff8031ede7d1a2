//! Files that are whole or not there, and stay there when the power goes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Writes next to the wanted file and renames: a reader sees the old file or the whole new one.
///
/// # Errors
/// What the system says; the old file is as it was then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one gets the permissions of any other file.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".new").tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder_of(path)
}

/// Writes a file that is not there yet, down to the disk. Its name is durable once [`sync_folder`] has been called.
///
/// # Errors
/// What the system says, among other things that there is a file of this name.
pub fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a new folder in place of what lies at `path`: `fill` writes it beside, and one exchange of names makes it the folder.
/// Where nothing was, it is a rename.
///
/// # Errors
/// What `fill` or the system says; what lay there before is then still there.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let parent = folder_of(path);
    std::fs::create_dir_all(parent)?;
    let new = tempfile::Builder::new().prefix(".new").tempdir_in(parent)?;
    #[cfg(unix)]
    {
        // Temporary folders are private by default; this one gets the permissions of any other folder.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(new.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    fill(new.path())?;
    sync_folder(new.path())?;
    match path.try_exists()? {
        // What was there before goes with the temporary folder.
        true => exchange(new.path(), path)?,
        false => std::fs::rename(new.keep(), path)?,
    }
    sync_folder(parent)
}

#[cfg(target_os = "linux")]
fn exchange(new: &Path, old: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)?)
}

/// Other systems have no exchange: for a moment neither of the two is there.
#[cfg(not(target_os = "linux"))]
fn exchange(new: &Path, old: &Path) -> std::io::Result<()> {
    let aside = old.with_extension("old");
    std::fs::rename(old, &aside)?;
    std::fs::rename(new, old)?;
    std::fs::rename(&aside, new)
}

/// Makes the names in a folder durable: a file that was created or renamed is found again after a power cut.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// [`sync_folder`] of the folder that a file is in.
///
/// # Errors
/// What the system says.
pub fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    sync_folder(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_is_replaced_as_a_whole_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("made/here");
        let put = |name: &'static str| move |new: &Path| write_new(&new.join(name), b"1");
        replace_folder(&folder, put("a")).unwrap();
        replace_folder(&folder, put("b")).unwrap();
        assert!(!folder.join("a").exists() && folder.join("b").is_file());
        let refused = replace_folder(&folder, |_| Err(std::io::Error::other("no space")));
        assert_eq!(refused.unwrap_err().to_string(), "no space");
        assert!(folder.join("b").is_file());
        assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters");
        replace_file(&path, b"old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace_file(&folder.path().join("missing/parameters"), b"new").is_err());
    }

    #[test]
    fn a_new_file_takes_no_other_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        write_new(&path, b"first").unwrap();
        assert_eq!(write_new(&path, b"second").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        sync_folder_of(&path).unwrap();
    }
}
