//! Python pickles, parsed and never executed.
//!
//! A pickle is a program for a small stack machine that may call any Python function. Here it is read by a machine
//! that knows containers, numbers, strings and the handful of calls that rebuild a torch tensor; everything else is
//! refused by name and byte offset before anything is built from it. In settings, numpy's numbers and paths count as the
//! plain values that they stand for.
//!
//! The machine keeps its objects in one flat list and passes indices around, so that a pickle which refers to itself,
//! nests a million lists or repeats one object without end costs no more memory than its own opcodes, and dropping it
//! does not recurse. Strings and storages are spans of the file's bytes: nothing is allocated from a length the file
//! only claims.
//!
//! Writing ([`PickleWriter`]) is the other way round: plain data and tensors, in the form that Python's own pickler gives
//! them.
//!
//! References: `pickletools.py` of CPython for the opcodes, `torch/serialization.py` for the two torch containers.

mod error;
mod legacy_torch;
mod machine;
mod opcode;
mod parsed;
mod plain_object;
mod tensor;
mod value;
mod write;
mod write_tensors;

pub use error::PickleError;
pub(super) use legacy_torch::{is_legacy_torch, read_legacy_torch};
pub(super) use machine::{Budget, Container, run};
pub(super) use parsed::Pickle;
pub(super) use tensor::{Storage, StorageBytes};
pub(super) use value::{Object, Span, Value};
pub(super) use write::PickleWriter;
pub(super) use write_tensors::{TensorBytes, storage_class, strides, write_tensor};
