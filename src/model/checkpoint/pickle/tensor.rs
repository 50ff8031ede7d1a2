//! Storages and the tensors laid over them, checked when the pickle describes them.

use super::error::PickleError;
use super::parsed::Pickle;
use super::value::{Known, Object, Span, Value};
use candle_core::DType;
use std::rc::Rc;

/// More dimensions than any tensor of a network has.
const MAX_RANK: usize = 8;

/// A block of numbers in a torch container.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Type of one element.
    pub dtype: DType,
    /// Number of elements the pickle claims; the container checks it against the bytes there are.
    pub elements: usize,
    /// Where the numbers are.
    pub bytes: StorageBytes,
}

/// Where a storage's numbers are.
#[derive(Debug, Clone)]
pub enum StorageBytes {
    /// Under this name in the container around the pickle.
    Key(Rc<str>),
    /// In the buffer itself: a byte string with a whole torch file held them.
    Inline(Span),
}

/// A tensor as `_rebuild_tensor_v2` describes it. Every index it can reach lies inside its storage, and it has no more
/// elements than its storage.
#[derive(Debug, Clone)]
pub struct TensorRecord {
    /// The numbers.
    pub storage: Storage,
    /// Index of the first element.
    pub offset: usize,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Elements between neighbours, per dimension.
    pub strides: Vec<usize>,
}

impl TensorRecord {
    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size <= 1 || stride == expected;
            expected *= size.max(1);
            fits
        })
    }
}

impl Pickle<'_> {
    /// `('storage', FloatStorage, key, location, elements[, None])`: a reference to a block of the container.
    pub(super) fn storage(&self, id: Value, offset: usize) -> Result<Storage, PickleError> {
        let wrong = |what: String| PickleError::Malformed { what, offset };
        let fields = self.tuple(id).ok_or_else(|| wrong(format!("a storage id is {}", self.describe(id))))?;
        let (kind, class, key, elements) = match fields {
            [kind, class, key, _location, elements] | [kind, class, key, _location, elements, Value::None] => {
                (*kind, *class, *key, *elements)
            }
            _ => return Err(wrong(format!("a storage id of {} fields, or a view of another storage", fields.len()))),
        };
        if self.text(kind) != Some("storage") {
            return Err(wrong(format!("a persistent id of kind {}, expected 'storage'", self.describe(kind))));
        }
        let Value::Known(Known::StorageOf(dtype)) = class else {
            return Err(wrong(format!("a storage of type {}", self.describe(class))));
        };
        let key = self.text(key).filter(|key| key.len() <= 64);
        let key = key.ok_or_else(|| wrong("a storage key that is no short string".into()))?;
        let elements = self.size(elements, "a storage's element count", offset)?;
        Ok(Storage { dtype, elements, bytes: StorageBytes::Key(key.into()) })
    }

    /// The arguments of `_rebuild_tensor_v2`: storage, offset, size, stride, requires_grad, backward_hooks\[, metadata\].
    pub(super) fn tensor(&self, arguments: &[Value], offset: usize) -> Result<TensorRecord, PickleError> {
        let wrong = |what: String| PickleError::Malformed { what, offset };
        let [storage, first, shape, strides, _requires_grad, ..] = *arguments else {
            return Err(wrong(format!("_rebuild_tensor_v2 with {} arguments, expected 6", arguments.len())));
        };
        let Some(Object::Storage(storage)) = self.object(storage) else {
            return Err(wrong(format!("a tensor over {}, expected a storage", self.describe(storage))));
        };
        let first = self.size(first, "a tensor's storage offset", offset)?;
        let shape = self.sizes(shape, "a tensor's shape", offset)?;
        let strides = self.sizes(strides, "a tensor's strides", offset)?;
        if shape.len() != strides.len() {
            return Err(wrong(format!("a tensor with shape {shape:?} and strides {strides:?}")));
        }
        let outside = || {
            wrong(format!(
                "a tensor of shape {shape:?}, strides {strides:?} and offset {first} does not fit its storage of {} \
                 elements",
                storage.elements
            ))
        };
        let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).ok_or_else(outside)?;
        if elements > 0 {
            let last = shape.iter().zip(&strides).try_fold(first, |index, (&size, &stride)| {
                (size - 1).checked_mul(stride).and_then(|step| index.checked_add(step))
            });
            // A stride of 0 repeats elements: without the second condition a small file could ask for any amount.
            if last.is_none_or(|last| last >= storage.elements) || elements > storage.elements {
                return Err(outside());
            }
        }
        Ok(TensorRecord { storage: storage.clone(), offset: first, shape, strides })
    }

    fn sizes(&self, value: Value, what: &str, offset: usize) -> Result<Vec<usize>, PickleError> {
        let fields = self.tuple(value).ok_or_else(|| PickleError::Malformed {
            what: format!("{what} is {}, expected a tuple", self.describe(value)),
            offset,
        })?;
        if fields.len() > MAX_RANK {
            return Err(PickleError::Limit { what: "dimensions of a tensor", limit: MAX_RANK, offset });
        }
        fields.iter().map(|&field| self.size(field, what, offset)).collect()
    }

    fn size(&self, value: Value, what: &str, offset: usize) -> Result<usize, PickleError> {
        match value {
            // Bounded by isize so that sizes in bytes, too, can be computed without surprise.
            Value::Int(size) if (0..=isize::MAX as i128).contains(&size) => Ok(size as usize),
            _ => Err(PickleError::Malformed { what: format!("{what} holds {}", self.describe(value)), offset }),
        }
    }
}
