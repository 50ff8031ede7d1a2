//! Small valid checkpoint files, built byte by byte, for tests that damage them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use candle_core::{Device, Tensor};
use std::io::Write as _;
use std::path::PathBuf;
use tempfile::TempDir;
use vlm_planner_tuner::checkpoint::{CheckpointError, TensorTable};

/// Writes bytes to a file in a fresh folder; the folder goes when the guard does.
pub fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Opens the bytes as a tensor file and reads every tensor.
pub fn read_all(name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<f32>)>, CheckpointError> {
    let (_folder, path) = file(name, bytes);
    let table = TensorTable::open(&path)?;
    let values = |tensor: Tensor| tensor.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>();
    table.names().map(|name| Ok((name.to_string(), values(table.read(name, &Device::Cpu)?).unwrap()))).collect()
}

/// The message of the error that opening or reading gives.
pub fn refusal(name: &str, bytes: &[u8]) -> String {
    let message = read_all(name, bytes).expect_err("the file is broken and was accepted").to_string();
    assert!(message.contains(name), "the message does not name the file: {message}");
    message
}

pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Two tensors: `a` f32 [2, 2] and `b` f32 [3].
pub fn small_safetensors() -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[3],"data_offsets":[16,28]}}"#;
    let data: Vec<u8> = (1..=7).flat_map(|value| (value as f32).to_le_bytes()).collect();
    safetensors(header, &data)
}

/// Pickle opcodes, protocol 2 unless they say otherwise.
pub mod op {
    pub fn text(value: &str) -> Vec<u8> {
        [b"X", &(value.len() as u32).to_le_bytes()[..], value.as_bytes()].concat()
    }
    pub fn int(value: i32) -> Vec<u8> {
        [b"J", &value.to_le_bytes()[..]].concat()
    }
    pub fn bytes(value: &[u8]) -> Vec<u8> {
        [b"B", &(value.len() as u32).to_le_bytes()[..], value].concat()
    }
    pub fn global(module: &str, name: &str) -> Vec<u8> {
        format!("c{module}\n{name}\n").into_bytes()
    }
    pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
        [b"(", items.concat().as_slice(), b"t"].concat()
    }
    pub fn ints(values: &[i32]) -> Vec<u8> {
        tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
    }
    /// PROTO 2, the body, STOP.
    pub fn pickle(body: &[u8]) -> Vec<u8> {
        [b"\x80\x02", body, b"."].concat()
    }
    /// `callable(*arguments)`
    pub fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
        [global(module, name), tuple(arguments), b"R".to_vec()].concat()
    }
    /// `{name: value}`
    pub fn dict(name: &str, value: &[u8]) -> Vec<u8> {
        [b"}".as_slice(), &text(name), value, b"s"].concat()
    }
    /// A persistent reference to a storage of `elements` floats.
    pub fn storage(key: &str, elements: i32) -> Vec<u8> {
        let id = [text("storage"), global("torch", "FloatStorage"), text(key), text("cpu"), int(elements)];
        [tuple(&id), b"Q".to_vec()].concat()
    }
    /// A tensor over a storage.
    pub fn tensor(storage: Vec<u8>, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
        let hooks = call("collections", "OrderedDict", &[]);
        let arguments = [storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
        call("torch._utils", "_rebuild_tensor_v2", &arguments)
    }
}

/// A legacy torch file of one float storage, as `_load_from_bytes` is given.
pub fn storage_blob(values: &[f32]) -> Vec<u8> {
    let id = [op::text("storage"), op::global("torch", "FloatStorage"), op::text("7"), op::text("cpu")];
    let id = [id.concat(), op::int(values.len() as i32), b"N".to_vec()].concat();
    let mut blob = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    blob.extend(op::pickle(&op::int(1001)));
    blob.extend(op::pickle(&op::dict("little_endian", b"\x88")));
    blob.extend(op::pickle(&[b"(".as_slice(), &id, b"tQ"].concat()));
    blob.extend(op::pickle(&[b"]".as_slice(), &op::text("7"), b"a"].concat()));
    blob.extend((values.len() as i64).to_le_bytes());
    blob.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    blob
}

/// A policy pickle with one tensor `fc.weight` [3, 2] = 1..=6, stored transposed.
pub fn small_policy() -> Vec<u8> {
    let blob = op::bytes(&storage_blob(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    let storage = op::call("torch.storage", "_load_from_bytes", &[blob]);
    op::pickle(&op::dict("fc.weight", &op::tensor(storage, 0, &[3, 2], &[1, 3])))
}

/// A torch zip container with the given `data.pkl` and storages.
pub fn torch_zip(description: &[u8], storages: &[(&str, &[f32])], byteorder: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut entry = |name: String, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    entry("model/data.pkl".into(), description);
    entry("model/byteorder".into(), byteorder.as_bytes());
    for (key, values) in storages {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        entry(format!("model/data/{key}"), &bytes);
    }
    zip.finish().unwrap().into_inner()
}

/// A torch zip container with one tensor `w` [2, 3] over storage `0` of six floats.
pub fn small_torch_zip() -> Vec<u8> {
    torch_zip(&small_description(6), &[("0", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])], "little")
}

/// `data.pkl` for one tensor `w` [2, 3] over storage `0` with the given number of elements.
pub fn small_description(elements: i32) -> Vec<u8> {
    op::pickle(&op::dict("w", &op::tensor(op::storage("0", elements), 0, &[2, 3], &[3, 1])))
}
