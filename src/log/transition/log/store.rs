//! Where log files go: a folder of the disk. Tests put a faulty one in its place.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use planner_tuner_core::durable::{sync_folder, sync_folder_of};

/// A folder that log files are created in.
pub trait LogStore: Send + Sync {
    /// Begins a file of this name.
    ///
    /// # Errors
    /// Those of the file system.
    fn create(&self, name: &str) -> std::io::Result<Box<dyn LogFile>>;

    /// Bytes that are free for files.
    ///
    /// # Errors
    /// Those of the file system; above all that the folder is gone.
    fn free_bytes(&self) -> std::io::Result<u64>;

    /// The folder, for messages.
    fn folder(&self) -> &Path;
}

/// A file that is only ever appended to.
pub trait LogFile: Write + Send {
    /// Returns once all that has been flushed is on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&mut self) -> std::io::Result<()>;

    /// Ends a whole file. Returns once it is on the disk under its name.
    ///
    /// # Errors
    /// Those of the file system.
    fn close(self: Box<Self>) -> std::io::Result<()>;
}

/// When a file appears under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// At once, and never in place of another: a robot's log must be there after a power cut.
    AtOnce,
    /// When it is whole, in place of an older one: whoever looks sees a whole log or none.
    WhenWhole,
}

/// A folder on the disk.
#[derive(Debug, Clone)]
pub struct FolderStore {
    folder: PathBuf,
    placement: Placement,
}

impl FolderStore {
    /// Takes a folder, and creates it where it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, placement: Placement) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), placement })
    }
}

impl LogStore for FolderStore {
    fn create(&self, name: &str) -> std::io::Result<Box<dyn LogFile>> {
        let place = self.folder.join(name);
        let written = match self.placement {
            Placement::AtOnce => place.clone(),
            Placement::WhenWhole => self.folder.join(format!("{name}.partial")),
        };
        let file = match self.placement {
            Placement::AtOnce => File::create_new(&written)?,
            Placement::WhenWhole => File::create(&written)?,
        };
        // The name is durable once the folder is.
        sync_folder(&self.folder)?;
        Ok(Box::new(DiskFile {
            file: BufWriter::new(file),
            written,
            place,
            placed: self.placement == Placement::AtOnce,
        }))
    }

    fn free_bytes(&self) -> std::io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

struct DiskFile {
    file: BufWriter<File>,
    written: PathBuf,
    place: PathBuf,
    placed: bool,
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl LogFile for DiskFile {
    fn sync(&mut self) -> std::io::Result<()> {
        self.file.get_ref().sync_data()
    }

    fn close(mut self: Box<Self>) -> std::io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        if !self.placed {
            std::fs::rename(&self.written, &self.place)?;
            self.placed = true;
            sync_folder_of(&self.place)?;
        }
        Ok(())
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = std::fs::remove_file(&self.written)
        {
            log::warn!("{}: cannot be removed: {error}", self.written.display());
        }
    }
}
