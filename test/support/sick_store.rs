//! A folder that falls ill when a test says so.
#![allow(clippy::unwrap_used, dead_code)]

use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use vlm_planner_tuner::transition::log::{FolderStore, LogFile, LogStore, Placement};

/// What is wrong with the disk.
#[derive(Debug, Default)]
pub struct Illness {
    /// Bytes that it still takes.
    pub room: AtomicU64,
    /// Bytes that it says are free.
    pub free: AtomicU64,
    /// The folder is gone.
    pub gone: AtomicBool,
    /// Every write takes this long, milliseconds.
    pub stall_ms: AtomicU64,
}

impl Illness {
    pub fn none() -> Arc<Self> {
        let healthy = Self::default();
        healthy.room.store(u64::MAX, Ordering::SeqCst);
        healthy.free.store(u64::MAX / 2, Ordering::SeqCst);
        Arc::new(healthy)
    }
}

pub struct SickStore {
    folder: PathBuf,
    store: FolderStore,
    illness: Arc<Illness>,
}

impl SickStore {
    pub fn new(folder: &Path, illness: &Arc<Illness>) -> Arc<Self> {
        let store = FolderStore::open(folder, Placement::AtOnce).unwrap();
        Arc::new(Self { folder: folder.to_owned(), store, illness: Arc::clone(illness) })
    }

    fn is_there(&self) -> Result<()> {
        match self.illness.gone.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::NotFound, "the folder is gone")),
            false => Ok(()),
        }
    }
}

impl LogStore for SickStore {
    fn create(&self, name: &str) -> Result<Box<dyn LogFile>> {
        self.is_there()?;
        Ok(Box::new(SickFile { file: Some(self.store.create(name)?), illness: Arc::clone(&self.illness) }))
    }

    fn free_bytes(&self) -> Result<u64> {
        self.is_there()?;
        Ok(self.illness.free.load(Ordering::SeqCst))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

struct SickFile {
    file: Option<Box<dyn LogFile>>,
    illness: Arc<Illness>,
}

impl Write for SickFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        std::thread::sleep(Duration::from_millis(self.illness.stall_ms.load(Ordering::SeqCst)));
        let room = self.illness.room.load(Ordering::SeqCst);
        // As a disk does: what still fits is taken, the next write is refused.
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if fits == 0 && !bytes.is_empty() {
            return Err(Error::new(ErrorKind::StorageFull, "no space left on device"));
        }
        let written = self.file.as_mut().unwrap().write(&bytes[..fits])?;
        if room != u64::MAX {
            self.illness.room.fetch_sub(written as u64, Ordering::SeqCst);
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.as_mut().unwrap().flush()
    }
}

impl LogFile for SickFile {
    fn sync(&mut self) -> Result<()> {
        self.file.as_mut().unwrap().sync()
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.file.take().unwrap().close()
    }
}
