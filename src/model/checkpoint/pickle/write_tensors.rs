//! Tensors in a plain pickle, each with its numbers in an embedded legacy torch file, as PyTorch pickles them.

use super::write::{Arguments, PickleWriter, int};
use candle_core::DType;

/// A tensor to be written: what it looks like, and its numbers in row-major order, little-endian.
pub struct TensorBytes<'a> {
    /// Type of one element.
    pub dtype: DType,
    /// Size of each dimension.
    pub shape: &'a [usize],
    /// The numbers.
    pub bytes: Vec<u8>,
}

/// Writes `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`; `None` for an element
/// type that torch's old storages do not have.
pub fn write_tensor(pickle: &mut PickleWriter, tensor: &TensorBytes<'_>) -> Option<()> {
    let class = storage_class(tensor.dtype)?;
    let elements = tensor.shape.iter().product();
    pickle.call("torch._utils _rebuild_tensor_v2", Arguments::Many, |pickle| {
        pickle.call("torch.storage _load_from_bytes", Arguments::One, |pickle| {
            pickle.byte_string(&[&legacy_head(class, elements), &tensor.bytes]);
        });
        pickle.int(0);
        pickle.sizes(tensor.shape);
        pickle.sizes(&strides(tensor.shape));
        pickle.bool(false);
        pickle.call("collections OrderedDict", Arguments::None, |_| {});
    });
    Some(())
}

/// Elements between neighbours of a row-major tensor; an empty dimension counts as one, as in torch.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides: Vec<usize> = shape
        .iter()
        .rev()
        .scan(1, |step, size| {
            let stride = *step;
            *step *= size.max(&1);
            Some(stride)
        })
        .collect();
    strides.reverse();
    strides
}

/// The class of torch's storages for an element type; `None` where there is none.
pub fn storage_class(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 => "FloatStorage",
        DType::F64 => "DoubleStorage",
        DType::F16 => "HalfStorage",
        DType::BF16 => "BFloat16Storage",
        DType::I64 => "LongStorage",
        DType::I32 => "IntStorage",
        DType::I16 => "ShortStorage",
        DType::U8 => "ByteStorage",
        _ => return None,
    })
}

/// A legacy torch file of one storage, up to its numbers: five pickles of protocol 2 and the element count.
fn legacy_head(class: &str, elements: usize) -> Vec<u8> {
    // Python takes the storage's address. Any string does: each file has one storage.
    const KEY: &str = "0";
    // The magic number; the protocol version, 1001.
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    let text = |bytes: &mut Vec<u8>, text: &str, memo: u8| {
        bytes.push(b'X');
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend([b'q', memo]);
    };
    // {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'short': 2, 'int': 4, 'long': 4}}
    bytes.extend(b"\x80\x02}q\x00(");
    text(&mut bytes, "protocol_version", 1);
    bytes.extend(b"M\xe9\x03");
    text(&mut bytes, "little_endian", 2);
    bytes.push(0x88);
    text(&mut bytes, "type_sizes", 3);
    bytes.extend(b"}q\x04(");
    for (memo, name, size) in [(5, "short", 2), (6, "int", 4), (7, "long", 4)] {
        text(&mut bytes, name, memo);
        int(&mut bytes, size);
    }
    bytes.extend(b"uu.");
    // ('storage', torch.FloatStorage, key, 'cpu', elements, None), as a persistent id
    bytes.extend(b"\x80\x02(");
    text(&mut bytes, "storage", 0);
    bytes.extend(b"ctorch\n");
    bytes.extend(class.as_bytes());
    bytes.extend(b"\nq\x01");
    text(&mut bytes, KEY, 2);
    text(&mut bytes, "cpu", 3);
    int(&mut bytes, elements);
    bytes.extend(b"Ntq\x04Q.");
    // [key]
    bytes.extend(b"\x80\x02]q\x00");
    text(&mut bytes, KEY, 1);
    bytes.extend(b"a.");
    bytes.extend((elements as u64).to_le_bytes());
    bytes
}
