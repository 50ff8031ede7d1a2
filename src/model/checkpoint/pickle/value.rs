//! What a pickle can hold, as far as we read it.

use super::machine::Container;
use super::plain_object::NumpyType;
use super::tensor::{Storage, TensorRecord};
use candle_core::DType;

/// A run of the file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the buffer.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
}

impl Span {
    /// The bytes in the buffer that the span was read from; empty for any other buffer that is too short.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start..self.end()).unwrap_or_default()
    }

    /// One past the last byte.
    pub fn end(self) -> usize {
        self.start.saturating_add(self.len)
    }
}

/// The Python names a pickle may mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.storage._load_from_bytes`
    LoadFromBytes,
    /// `torch.FloatStorage` and its siblings
    StorageOf(DType),
    /// `numpy.core.multiarray.scalar`
    NumpyScalar,
    /// `numpy.dtype`
    NumpyType,
    /// `numpy.core.multiarray._reconstruct`
    NumpyReconstruct,
    /// `numpy.ndarray`
    NumpyArray,
    /// `_codecs.encode`
    Encode,
    /// `pathlib.PosixPath` and its siblings, with the separator between their parts
    Path(char),
}

impl Known {
    /// The allow-list of a container. Anything it does not know is refused at once, called or not.
    pub fn look_up(container: Container, module: &[u8], name: &[u8]) -> Option<Self> {
        let of_settings = (container == Container::Settings).then(|| Self::of_settings(module, name)).flatten();
        of_settings.or_else(|| Self::of_tensors(module, name))
    }

    /// What else a dict of settings may hold.
    fn of_settings(module: &[u8], name: &[u8]) -> Option<Self> {
        Some(match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Self::NumpyScalar,
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Self::NumpyReconstruct,
            (b"numpy", b"dtype") => Self::NumpyType,
            (b"numpy", b"ndarray") => Self::NumpyArray,
            (b"_codecs", b"encode") => Self::Encode,
            // Python 3.13 has the classes in a module of their own.
            (b"pathlib" | b"pathlib._local", b"PosixPath" | b"PurePosixPath" | b"Path" | b"PurePath") => {
                Self::Path('/')
            }
            (b"pathlib" | b"pathlib._local", b"WindowsPath" | b"PureWindowsPath") => Self::Path('\\'),
            _ => return None,
        })
    }

    fn of_tensors(module: &[u8], name: &[u8]) -> Option<Self> {
        Some(match (module, name) {
            (b"collections", b"OrderedDict") => Self::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor_v2") => Self::RebuildTensor,
            (b"torch._utils", b"_rebuild_parameter") => Self::RebuildParameter,
            (b"torch.storage", b"_load_from_bytes") => Self::LoadFromBytes,
            (b"torch", b"FloatStorage") => Self::StorageOf(DType::F32),
            (b"torch", b"DoubleStorage") => Self::StorageOf(DType::F64),
            (b"torch", b"HalfStorage") => Self::StorageOf(DType::F16),
            (b"torch", b"BFloat16Storage") => Self::StorageOf(DType::BF16),
            (b"torch", b"LongStorage") => Self::StorageOf(DType::I64),
            (b"torch", b"IntStorage") => Self::StorageOf(DType::I32),
            (b"torch", b"ShortStorage") => Self::StorageOf(DType::I16),
            (b"torch", b"ByteStorage") => Self::StorageOf(DType::U8),
            _ => return None,
        })
    }
}

/// Index of an [`Object`] in its pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectId(pub usize);

/// A value on the stack: small, copied freely. Containers are held by index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer of up to 16 bytes.
    Int(i128),
    /// A float.
    Float(f64),
    /// Text, checked to be UTF-8 when it was read.
    Text(Span),
    /// A byte string.
    Bytes(Span),
    /// A name of the allow-list.
    Known(Known),
    /// A container, storage or tensor.
    Object(ObjectId),
}

/// What a [`Value::Object`] points to.
#[derive(Debug)]
pub enum Object {
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A dict, or an OrderedDict, in the order of insertion; a repeated key is kept twice.
    Dict {
        /// Key and value.
        items: Vec<(Value, Value)>,
        /// Whether it was made by `collections.OrderedDict`.
        ordered: bool,
    },
    /// A torch storage: where a tensor's numbers lie.
    Storage(Storage),
    /// A tensor over a storage.
    Tensor(TensorRecord),
    /// How a numpy number lies in its bytes.
    NumpyType(NumpyType),
    /// A numpy array, as soon as its state is known with its one number.
    NumpyArray(Option<Value>),
    /// Bytes that were spelt as text.
    Encoded(Vec<u8>),
    /// A path, put together.
    Path(String),
}

impl Object {
    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict { ordered: false, .. } => "a dict",
            Self::Dict { ordered: true, .. } => "an OrderedDict",
            Self::Storage(_) => "a torch storage",
            Self::Tensor(_) => "a tensor",
            Self::NumpyType(_) => "a numpy type",
            Self::NumpyArray(_) => "a numpy array",
            Self::Encoded(_) => "bytes",
            Self::Path(_) => "a path",
        }
    }
}
