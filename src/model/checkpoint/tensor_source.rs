//! From bytes in a file to a tensor on a device.

use super::error::CheckpointError;
use super::torch_zip::ZipStorages;
use candle_core::{DType, Device, Tensor};
use half::vec::HalfBitsVecExt as _;
use half::{bf16, f16};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[cfg(target_endian = "big")]
compile_error!("the tensor files are little-endian and their bytes are taken as they are");

/// What is known of a tensor before its numbers are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMeta {
    /// Type of one element, as stored.
    pub dtype: DType,
    /// Size of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorMeta {
    /// Number of values. Readers check that it does not overflow.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size as stored, bytes. Readers check that it does not overflow.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size_in_bytes()
    }
}

/// Where a tensor's numbers lie: checked against the file when it was opened.
#[derive(Debug, Clone)]
pub(super) struct TensorEntry {
    meta: TensorMeta,
    source: Source,
    layout: Layout,
    path: Arc<PathBuf>,
}

/// A run of bytes: a region of a file, or one storage of a torch file.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// `len` bytes of an open file.
    File { file: Arc<File>, offset: u64, len: usize },
    /// One entry of a torch zip container.
    Zip { archive: Arc<ZipStorages>, index: usize, len: usize },
    /// Part of a pickle, which is in memory as a whole.
    Memory { buffer: Arc<Vec<u8>>, start: usize, len: usize },
}

/// How a tensor lies in its source, in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// Row-major, starting at this element.
    Contiguous(usize),
    /// Anything else that torch can express, a transposed matrix for instance.
    Strided {
        /// First element.
        offset: usize,
        /// Elements between neighbours, per dimension.
        strides: Vec<usize>,
    },
}

/// What a matrix of nothing but zeros means to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeros {
    /// Data like any other.
    Allowed,
    /// A file whose end was never written.
    Refused,
}

impl TensorEntry {
    /// The caller has checked that shape, layout and source agree.
    pub(super) fn new(meta: TensorMeta, source: Source, layout: Layout, path: Arc<PathBuf>) -> Self {
        Self { meta, source, layout, path }
    }

    pub(super) fn meta(&self) -> &TensorMeta {
        &self.meta
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// File and place in it, for putting tensors in the order in which their files hold them.
    pub(super) fn place(&self) -> (&Path, u64) {
        (&self.path, self.source.position())
    }

    pub(super) fn read(&self, name: &str, zeros: Zeros, device: &Device) -> Result<Tensor, CheckpointError> {
        let shape = self.meta.shape.as_slice();
        let tensor = match self.meta.dtype {
            DType::F32 => Tensor::from_vec(self.values::<f32>(name, zeros)?, shape, device),
            DType::F64 => Tensor::from_vec(self.values::<f64>(name, zeros)?, shape, device),
            // Through u16, whose zeroed memory costs nothing until it is written.
            DType::F16 => Tensor::from_vec(self.values::<u16>(name, zeros)?.reinterpret_into::<f16>(), shape, device),
            DType::BF16 => Tensor::from_vec(self.values::<u16>(name, zeros)?.reinterpret_into::<bf16>(), shape, device),
            DType::I64 => Tensor::from_vec(self.values::<i64>(name, zeros)?, shape, device),
            DType::I32 => Tensor::from_vec(self.values::<i32>(name, zeros)?, shape, device),
            DType::I16 => Tensor::from_vec(self.values::<i16>(name, zeros)?, shape, device),
            DType::U32 => Tensor::from_vec(self.values::<u32>(name, zeros)?, shape, device),
            DType::U8 => Tensor::from_vec(self.values::<u8>(name, zeros)?, shape, device),
            other => {
                let (path, dtype) = (self.path.to_path_buf(), other.as_str().into());
                return Err(CheckpointError::UnsupportedDtype { path, name: name.into(), dtype });
            }
        };
        let path = || self.path.to_path_buf();
        tensor.map_err(|reason| CheckpointError::Tensor { path: path(), name: name.into(), reason: reason.into() })
    }

    /// One index of the first dimension; `None` when there is none of that number.
    pub(super) fn row(&self, row: usize) -> Option<Self> {
        let (&rows, rest) = self.meta.shape.split_first()?;
        if row >= rows {
            return None;
        }
        let layout = match &self.layout {
            Layout::Contiguous(first) => Layout::Contiguous(first + row * rest.iter().product::<usize>()),
            Layout::Strided { offset, strides } => {
                Layout::Strided { offset: offset + row * strides.first()?, strides: strides.get(1..)?.to_vec() }
            }
        };
        let meta = TensorMeta { dtype: self.meta.dtype, shape: rest.to_vec() };
        Some(Self { meta, source: self.source.clone(), layout, path: self.path.clone() })
    }

    /// The numbers in row-major order; `T` is as wide as the tensor's elements.
    fn values<T>(&self, name: &str, zeros: Zeros) -> Result<Vec<T>, CheckpointError>
    where
        T: Default + Copy + FromBytes + IntoBytes + Immutable,
    {
        let values = self.stored_values::<T>()?;
        let is_matrix = self.meta.dtype.is_float() && self.meta.shape.len() > 1 && values.len() > 1;
        // Weights begin with something else than zero, so that the search ends where it starts.
        if zeros == Zeros::Refused && is_matrix && values.as_bytes().iter().all(|&byte| byte == 0) {
            let (path, elements) = (self.path.to_path_buf(), values.len());
            return Err(CheckpointError::ZeroFilled { path, name: name.into(), elements });
        }
        Ok(values)
    }

    fn stored_values<T>(&self) -> Result<Vec<T>, CheckpointError>
    where
        T: Default + Copy + FromBytes + IntoBytes + Immutable,
    {
        match &self.layout {
            Layout::Contiguous(first) => {
                let mut values = vec![T::default(); self.meta.elements()];
                self.source.read_at(first * size_of::<T>(), values.as_mut_slice().as_mut_bytes(), &self.path)?;
                Ok(values)
            }
            Layout::Strided { offset, strides } => {
                let mut storage = vec![T::default(); self.source.len() / size_of::<T>()];
                self.source.read_at(0, storage.as_mut_slice().as_mut_bytes(), &self.path)?;
                gather(&storage, &self.meta.shape, *offset, strides)
                    .ok_or_else(|| CheckpointError::malformed(self.path.as_path(), "a tensor reaches past its storage"))
            }
        }
    }
}

/// Copies a strided view in row-major order; `None` if it reaches past the storage.
fn gather<T: Copy>(storage: &[T], shape: &[usize], offset: usize, strides: &[usize]) -> Option<Vec<T>> {
    let elements = shape.iter().product();
    let mut values = Vec::with_capacity(elements);
    let mut position = vec![0usize; shape.len()];
    let mut index = offset;
    while values.len() < elements {
        values.push(*storage.get(index)?);
        // Counts up like an odometer, the last dimension first.
        for ((count, &size), &stride) in position.iter_mut().zip(shape).zip(strides).rev() {
            *count += 1;
            index += stride;
            if *count < size {
                break;
            }
            index -= stride * size;
            *count = 0;
        }
    }
    Some(values)
}

impl Source {
    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::File { len, .. } | Self::Zip { len, .. } | Self::Memory { len, .. } => *len,
        }
    }

    /// Where it lies among the others of its file, for putting them in the file's order.
    fn position(&self) -> u64 {
        match self {
            Self::File { offset, .. } => *offset,
            Self::Zip { index, .. } => *index as u64,
            Self::Memory { start, .. } => *start as u64,
        }
    }

    /// Fills `out` with the bytes from `start` on.
    fn read_at(&self, start: usize, out: &mut [u8], path: &Path) -> Result<(), CheckpointError> {
        let past_the_end = || CheckpointError::malformed(path, "a tensor reaches past its storage");
        match self {
            Self::File { file, offset, .. } => {
                let offset = offset + start as u64;
                file.read_exact_at(out, offset).map_err(|reason| became_shorter(file, offset, out.len(), path, reason))
            }
            Self::Zip { archive, index, len } if start == 0 && out.len() == *len => archive.read_entry(*index, out),
            Self::Zip { archive, index, len } => {
                // The checksum covers the whole entry, so that all of it is read.
                let mut whole = vec![0; *len];
                archive.read_entry(*index, &mut whole)?;
                let part = start.checked_add(out.len()).and_then(|end| whole.get(start..end));
                out.copy_from_slice(part.ok_or_else(past_the_end)?);
                Ok(())
            }
            Self::Memory { buffer, start: first, len } => {
                let end = start.checked_add(out.len()).filter(|end| end <= len).ok_or_else(past_the_end)?;
                let part = buffer.get(first + start..first + end).ok_or_else(past_the_end)?;
                out.copy_from_slice(part);
                Ok(())
            }
        }
    }
}

/// Sizes were checked when the file was opened, so that a short read means that it has changed since.
fn became_shorter(file: &File, offset: u64, length: usize, path: &Path, reason: std::io::Error) -> CheckpointError {
    if reason.kind() != std::io::ErrorKind::UnexpectedEof {
        return CheckpointError::io(path)(reason);
    }
    CheckpointError::Truncated {
        path: path.into(),
        what: "the file was longer when it was opened: a tensor's end".into(),
        expected: offset + length as u64,
        found: file.metadata().map(|metadata| metadata.len()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::gather;

    #[test]
    fn gathers_a_transposed_matrix_row_by_row() {
        let storage = [0, 1, 2, 3, 4, 5];
        assert_eq!(gather(&storage, &[3, 2], 0, &[1, 3]), Some(vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(gather(&storage, &[2, 2], 1, &[3, 1]), Some(vec![1, 2, 4, 5]));
    }

    #[test]
    fn gathers_scalars_and_nothing() {
        assert_eq!(gather(&[7, 8], &[], 1, &[]), Some(vec![8]));
        assert_eq!(gather(&[7, 8], &[0, 4], 0, &[4, 1]), Some(vec![]));
    }

    #[test]
    fn refuses_to_reach_past_the_storage() {
        assert_eq!(gather(&[0, 1, 2], &[2, 2], 0, &[2, 1]), None);
    }
}
