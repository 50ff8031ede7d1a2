//! Tensor files and arrays that are cut, zeroed, or lie about themselves: an error that names the file, never a panic.

use crate::support::checkpoint_files::{
    file, op, read_all, refusal, safetensors, small_description, small_safetensors, small_torch_zip, torch_zip,
};
use candle_core::Device;
use proptest::prelude::*;
use vlm_planner_tuner::checkpoint::{TensorTable, npy};

#[test]
fn the_small_files_are_valid() {
    let values = read_all("model.safetensors", &small_safetensors()).unwrap();
    assert_eq!(values, [("a".into(), vec![1.0, 2.0, 3.0, 4.0]), ("b".into(), vec![5.0, 6.0, 7.0])]);
    let values = read_all("model.bin", &small_torch_zip()).unwrap();
    assert_eq!(values, [("w".into(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
}

#[test]
fn safetensors_cut_anywhere_name_expected_and_found_bytes() {
    let whole = small_safetensors();
    for length in 0..whole.len() {
        let message = refusal("model.safetensors", &whole[..length]);
        assert!(message.contains(&length.to_string()), "{length}: {message}");
    }
    let longer = [whole.as_slice(), &[0; 4]].concat();
    assert!(refusal("model.safetensors", &longer).contains("4 bytes follow"));
}

#[test]
fn zero_filled_files_say_so() {
    for name in ["model.safetensors", "pytorch_model.bin", "policy_actor"] {
        let message = refusal(name, &[0; 4096]);
        assert!(message.contains("zero") && message.contains("4096"), "{message}");
    }
    let (_folder, path) = file("param_std.npy", &[0; 160]);
    let message = npy::read_vector(&path).unwrap_err().to_string();
    assert!(message.contains("param_std.npy") && message.contains("zero"), "{message}");
}

#[test]
fn a_weight_matrix_of_zeros_is_a_hole_in_the_file() {
    let mut bytes = small_safetensors();
    let data = bytes.len() - 28;
    bytes[data..].fill(0);
    let (_folder, path) = file("model.safetensors", &bytes);
    let table = TensorTable::open(&path).unwrap();
    let message = table.read_weight("a", &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("all 4 values of tensor 'a' are zero"));
    // Biases and plain data may be zero.
    assert!(table.read_weight("b", &Device::Cpu).is_ok() && table.read("a", &Device::Cpu).is_ok());
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let data = [0u8; 28];
    for (what, header) in [
        (
            "overlap",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        ),
        (
            "gap",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
        ),
        ("backwards", r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#),
        ("overflow", r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,28]}}"#),
        ("size", r#"{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,28]}}"#),
        (
            "past the end",
            r#"{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
        ),
        ("no object", "[]"),
        ("no json", "{"),
        ("unknown type", r#"{"a":{"dtype":"F99","shape":[7],"data_offsets":[0,28]}}"#),
        ("nesting", &"[".repeat(100_000)),
    ] {
        let message = refusal("model.safetensors", &safetensors(header, &data));
        assert!(message.len() < 2000, "{what}: {message}");
    }
    for length in [u64::MAX, u64::MAX - 7, i64::MAX as u64, 100_000_001, 1 << 20] {
        let mut bytes = small_safetensors();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        assert!(refusal("model.safetensors", &bytes).contains("header"));
    }
    let header = r#"{"mask":{"dtype":"BOOL","shape":[28],"data_offsets":[0,28]}}"#;
    let message = refusal("model.safetensors", &safetensors(header, &data));
    assert!(message.contains("'mask'") && message.contains("BOOL"), "{message}");
}

#[test]
fn a_file_that_changes_after_opening_is_no_crash() {
    let (_folder, path) = file("model.safetensors", &small_safetensors());
    let table = TensorTable::open(&path).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let message = table.read("b", &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("100"), "{message}");

    // Replaced by rename, as tools do it: the open table keeps the old contents.
    let (folder, path) = file("model.safetensors", &small_safetensors());
    let table = TensorTable::open(&path).unwrap();
    std::fs::write(folder.path().join("new"), b"nothing").unwrap();
    std::fs::rename(folder.path().join("new"), &path).unwrap();
    assert_eq!(table.read("b", &Device::Cpu).unwrap().to_vec1::<f32>().unwrap(), [5.0, 6.0, 7.0]);
    let message = table.read("c", &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("'c'") && message.contains("a, b"), "{message}");
}

#[test]
fn shards_and_index_are_compared_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let open = || TensorTable::open_sharded(folder.path());
    assert!(open().unwrap_err().to_string().contains("neither model.safetensors.index.json nor model.safetensors"));
    write("one.safetensors", &small_safetensors());
    write("two.safetensors", &small_safetensors());
    write("cut.safetensors", &small_safetensors()[..50]);
    let index = r#"{"weight_map": {"a": "one.safetensors", "lost": "two.safetensors", "c": "three.safetensors",
        "d": "../up.safetensors", "e": "cut.safetensors"}}"#;
    write("model.safetensors.index.json", index.as_bytes());
    let message = open().unwrap_err().to_string();
    for problem in [
        "tensor 'lost' should be in two.safetensors",
        "shard three.safetensors with 1 tensors is missing",
        "'../up.safetensors', expected a file name without a folder",
        "cut.safetensors is truncated",
        "tensor 'a' is in one.safetensors and in two.safetensors",
        "tensor 'b' in one.safetensors is not in model.safetensors.index.json",
    ] {
        assert!(message.contains(problem), "{problem}: {message}");
    }
    write("model.safetensors.index.json", br#"{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}"#);
    assert_eq!(open().unwrap().parameter_count(), 7);
    write("model.safetensors.index.json", b"{}");
    assert!(open().unwrap_err().to_string().contains("weight_map"));
}

#[test]
fn a_tensor_in_two_files_is_refused() {
    let (_first, one) = file("one.safetensors", &small_safetensors());
    let (_second, two) = file("two.safetensors", &small_safetensors());
    let message = TensorTable::open_safetensors(&[one, two]).unwrap_err().to_string();
    assert!(message.contains("'a'") && message.contains("one.safetensors"), "{message}");
}

#[test]
fn torch_containers_cut_anywhere_are_errors() {
    let whole = small_torch_zip();
    for length in 0..whole.len() {
        refusal("pytorch_model.bin", &whole[..length]);
    }
}

#[test]
fn torch_containers_that_lie_are_refused() {
    let six = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for (expected, bytes) in [
        ("byte order is 'big'", torch_zip(&small_description(6), &[("0", &six)], "big")),
        ("24 bytes, expected 9 elements", torch_zip(&small_description(9), &[("0", &six)], "little")),
        ("storage '0' has no entry", torch_zip(&small_description(6), &[("1", &six)], "little")),
        ("does not fit its storage", torch_zip(&small_description(5), &[("0", &six[..5])], "little")),
        ("holds a list", torch_zip(&op::pickle(b"]"), &[], "little")),
        ("'os.system' at byte 2", torch_zip(&op::pickle(b"cos\nsystem\n"), &[], "little")),
        ("'epoch' is 3, expected a tensor", torch_zip(&op::pickle(&op::dict("epoch", &op::int(3))), &[], "little")),
    ] {
        let message = refusal("pytorch_model.bin", &bytes);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

/// Changes a field of every record with this signature (local headers or the central directory) by its offset in it.
fn patch(mut bytes: Vec<u8>, signature: &[u8], field: usize, value: &[u8]) -> Vec<u8> {
    for start in 0..bytes.len() - signature.len() {
        if bytes[start..].starts_with(signature) {
            bytes[start + field..start + field + value.len()].copy_from_slice(value);
        }
    }
    bytes
}

#[test]
fn zip_entries_are_stored_and_no_larger_than_the_file() {
    const CENTRAL: &[u8] = b"PK\x01\x02";
    let compressed = patch(small_torch_zip(), CENTRAL, 10, &8u16.to_le_bytes());
    assert!(refusal("pytorch_model.bin", &compressed).contains("compressed"));
    let larger = patch(small_torch_zip(), CENTRAL, 24, &0x7fff_ffffu32.to_le_bytes());
    assert!(refusal("pytorch_model.bin", &larger).contains("claims 2147483647 bytes"));
    let both = patch(larger, CENTRAL, 20, &0x7fff_ffffu32.to_le_bytes());
    assert!(refusal("pytorch_model.bin", &both).contains("claims 2147483647 bytes"));
    let checksum = patch(small_torch_zip(), CENTRAL, 16, &[1, 2, 3, 4]);
    assert!(refusal("pytorch_model.bin", &checksum).contains("cannot be read"));
}

/// The 64-bit directory of a zip file can claim more entries than any memory holds.
#[test]
fn zip64_directories_that_lie_allocate_nothing() {
    let whole = small_torch_zip();
    let (body, end) = whole.split_at(whole.len() - 22);
    let directory_start = u64::from(u32::from_le_bytes(end[16..20].try_into().unwrap()));
    let directory_size = body.len() as u64 - directory_start;
    for (count, size, start) in [
        (1 << 30, 1 << 50, directory_start),
        (1 << 30, 1 << 50, 1 << 45),
        (1 << 30, directory_size, directory_start),
        (u64::MAX, u64::MAX, u64::MAX),
        (u64::MAX, u64::MAX, directory_start),
    ] {
        let mut bytes = body.to_vec();
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([count, count, size, start].map(u64::to_le_bytes).concat());
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([0xff; 12]);
        bytes.extend([0, 0]);
        assert!(refusal("pytorch_model.bin", &bytes).contains("zip"), "{count} {size} {start}");
    }
}

#[test]
fn a_flipped_bit_in_a_storage_is_found() {
    let mut bytes = small_torch_zip();
    let numbers: Vec<u8> = [5.0f32, 6.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let start = bytes.windows(8).position(|window| window == numbers).unwrap();
    bytes[start] ^= 1;
    assert!(refusal("pytorch_model.bin", &bytes).contains("model/data/0"));
}

fn damage(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (index, value) in changes {
        let position = index.index(bytes.len());
        bytes[position] = *value;
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_safetensors_never_panic(changes in changes()) {
        read_all("model.safetensors", &damage(small_safetensors(), &changes)).ok();
    }

    #[test]
    fn damaged_torch_containers_never_panic(changes in changes()) {
        read_all("model.bin", &damage(small_torch_zip(), &changes)).ok();
    }

    #[test]
    fn random_headers_never_panic(shape in prop::collection::vec(any::<u64>(), 0..4), start: u64, end: u64) {
        let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}}}"#);
        read_all("model.safetensors", &safetensors(&header, &[0; 64])).ok();
    }

    #[test]
    fn random_arrays_never_panic(changes in changes(), length in 0usize..200) {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }";
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{header:<117}\n").as_bytes());
        bytes.extend([0; 32]);
        bytes.truncate(length);
        if !bytes.is_empty() {
            bytes = damage(bytes, &changes);
        }
        let (_folder, path) = file("param_mean.npy", &bytes);
        npy::read_vector(&path).ok();
    }
}
