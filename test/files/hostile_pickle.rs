//! Pickles that attack, lie or stop short: refused by name and offset, never executed, never a panic.

use crate::support::checkpoint_files::{file, op, read_all, refusal, small_policy, storage_blob};
use proptest::prelude::*;
use vlm_planner_tuner::checkpoint::{CheckpointError, PickleError, PolicyCheckpoint, TensorTable};

fn reason(bytes: &[u8]) -> PickleError {
    let (_folder, path) = file("policy_actor", bytes);
    match TensorTable::open_policy_pickle(&path) {
        Err(CheckpointError::Pickle { reason, .. }) => reason,
        other => panic!("expected a refused pickle, found {other:?}"),
    }
}

/// Offset of the first occurrence of a byte string.
fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

#[test]
fn the_small_policy_is_valid() {
    let values = read_all("policy_actor", &small_policy()).unwrap();
    assert_eq!(values, [("fc.weight".to_string(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
}

#[test]
fn a_call_is_refused_by_name_and_offset() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("collections", "OrderedDict.__init__"),
        ("torch.storage", "_load_from_bytes.__globals__"),
        ("numpy.core.multiarray", "_reconstruct"),
    ] {
        let bytes = op::pickle(&op::call(module, name, &[op::text("touch /tmp/owned")]));
        let expected = PickleError::ForbiddenGlobal { name: format!("{module}.{name}"), offset: 2 };
        assert_eq!(reason(&bytes), expected);
        let message = refusal("policy_actor", &bytes);
        assert!(message.contains(&format!("{module}.{name}")) && message.contains("byte 2"), "{message}");
    }
}

#[test]
fn a_name_put_together_on_the_stack_is_refused() {
    let body = [op::text("builtins"), op::text("eval"), b"\x93".to_vec()].concat();
    let bytes = op::pickle(&[body, op::tuple(&[op::text("1")]), b"R".to_vec()].concat());
    let expected = PickleError::ForbiddenGlobal { name: "builtins.eval".into(), offset: find(&bytes, b"\x93") };
    assert_eq!(reason(&bytes), expected);
}

#[test]
fn a_forbidden_name_is_refused_even_inside_a_tensors_storage() {
    let evil = op::pickle(&op::call("os", "system", &[op::text("id")]));
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    let blob = [magic, op::pickle(&op::int(1001)), evil].concat();
    let bytes = op::pickle(&op::call("torch.storage", "_load_from_bytes", &[op::bytes(&blob)]));
    let expected = PickleError::ForbiddenGlobal { name: "os.system".into(), offset: find(&bytes, b"cos\nsystem") };
    assert_eq!(reason(&bytes), expected, "the offset counts from the start of the file");
}

#[test]
fn opcodes_that_create_or_change_objects_are_refused() {
    let ordered = op::call("collections", "OrderedDict", &[]);
    let class = op::global("collections", "OrderedDict");
    let state = op::dict("__class__", &op::text("x"));
    for (opcode, body) in [
        ("BUILD", [ordered.clone(), state.clone(), b"b".to_vec()].concat()),
        ("BUILD", [b"}".to_vec(), op::dict("_metadata", b"}"), b"b".to_vec()].concat()),
        ("BUILD", [class.clone(), state, b"b".to_vec()].concat()),
        ("NEWOBJ", [class.clone(), b")\x81".to_vec()].concat()),
        ("NEWOBJ_EX", [class.clone(), b")}\x92".to_vec()].concat()),
        ("OBJ", [b"(".to_vec(), class.clone(), b"o".to_vec()].concat()),
        ("EXT1", b"\x82\x01".to_vec()),
        ("PERSID", b"Pstorage\n".to_vec()),
        ("BINPERSID", op::storage("0", 1)),
        ("REDUCE", [op::text("os.system"), b")R".to_vec()].concat()),
        ("REDUCE", op::call("torch", "FloatStorage", &[op::int(1)])),
        ("REDUCE", op::call("collections", "OrderedDict", &[op::int(1)])),
        ("0xff", b"\xff".to_vec()),
    ] {
        match reason(&op::pickle(&body)) {
            PickleError::ForbiddenOpcode { opcode: found, .. } => assert_eq!(found, opcode),
            other => panic!("{opcode}: {other}"),
        }
    }
    let inst = op::pickle(b"(ios\nsystem\n");
    assert_eq!(reason(&inst), PickleError::ForbiddenGlobal { name: "os.system".into(), offset: 3 });
}

#[test]
fn a_storage_blob_may_not_hold_another() {
    let inner = op::call("torch.storage", "_load_from_bytes", &[op::bytes(&storage_blob(&[1.0]))]);
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    let system = op::pickle(&op::dict("little_endian", b"\x88"));
    let blob = [magic, op::pickle(&op::int(1001)), system, op::pickle(&inner)].concat();
    let bytes = op::pickle(&op::call("torch.storage", "_load_from_bytes", &[op::bytes(&blob)]));
    assert!(matches!(reason(&bytes), PickleError::ForbiddenOpcode { opcode, .. } if opcode == "REDUCE"));
}

/// Shared references that would be 10^30 items when written out, a list in itself, a million lists in one another.
#[test]
fn memo_bombs_and_deep_nesting_cost_no_more_than_their_bytes() {
    let mut laughs = b"(]\x71\x00".to_vec();
    for level in 0..100u8 {
        laughs.extend([b']', b'q', level + 1, b'(']);
        laughs.extend([b'h', level].repeat(10));
        laughs.push(b'e');
    }
    laughs.push(b'l');
    let itself = b"]q\x00h\x00a".to_vec();
    let nested = [vec![b']'; 90_000], vec![b'a'; 89_999]].concat();
    for body in [laughs, itself, nested] {
        let message = refusal("policy_actor", &op::pickle(&body));
        assert!(message.contains("expected a dict of name to tensor"), "{message}");
    }
    assert!(matches!(reason(&op::pickle(&vec![b'('; 1000])), PickleError::Limit { what: "nested containers", .. }));
    assert!(matches!(reason(&op::pickle(&vec![b'N'; 200_000])), PickleError::Limit { .. }));
    assert!(matches!(reason(&op::pickle(&b"N0".repeat(3_000_000))), PickleError::Limit { .. }));

    // One embedded torch file with many instructions, loaded a hundred times.
    let blob = storage_blob(&[1.0]);
    let (magic, rest) = blob.split_at(15);
    let rest = rest.strip_prefix(op::pickle(&op::int(1001)).as_slice()).unwrap();
    let long = op::pickle(&[b"N0".repeat(100_000).as_slice(), &op::int(1001)].concat());
    let blob = [magic, long.as_slice(), rest].concat();
    let global = op::global("torch.storage", "_load_from_bytes");
    let load = b"h\x00h\x01R0".repeat(100);
    let body = [global, b"q\x000".to_vec(), op::bytes(&blob), b"\x85q\x010".to_vec(), load].concat();
    assert!(matches!(reason(&op::pickle(&body)), PickleError::Limit { what: "pickle instructions", .. }));
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let huge = u64::MAX.to_le_bytes();
    for (what, body) in [
        ("BINBYTES8", [b"\x8e".as_slice(), &huge].concat()),
        ("BINUNICODE8", [b"\x8d".as_slice(), &huge].concat()),
        ("BINBYTES", b"B\xff\xff\xff\xff".to_vec()),
        ("BINUNICODE", b"X\xff\xff\xff\xff".to_vec()),
        ("LONG4", b"\x8b\xff\xff\xff\xff".to_vec()),
        ("FRAME", [b"\x95".as_slice(), &huge].concat()),
    ] {
        let found = reason(&op::pickle(&body));
        assert!(matches!(found, PickleError::Truncated { .. } | PickleError::Limit { .. }), "{what}: {found}");
    }
    // A memo index is only a name.
    let bytes = op::pickle(b"Nr\xff\xff\xff\xff");
    assert!(refusal("policy_actor", &bytes).contains("expected a dict"));
    assert!(matches!(reason(&op::pickle(b"j\xff\xff\xff\xff")), PickleError::Malformed { .. }));
}

#[test]
fn tensors_that_reach_past_their_storage_are_refused() {
    let blob = op::bytes(&storage_blob(&[0.0; 6]));
    let storage = || op::call("torch.storage", "_load_from_bytes", std::slice::from_ref(&blob));
    for (offset, shape, strides) in [
        (0, &[7][..], &[1][..]),
        (1, &[6], &[1]),
        (0, &[2, 3], &[4, 1]),
        (0, &[i32::MAX, i32::MAX], &[0, 0]),
        (0, &[100], &[0]),
        (-1, &[1], &[1]),
        (0, &[-1], &[1]),
        (0, &[2], &[-1]),
        (0, &[2, 3], &[1]),
        (0, &[1; 20], &[1; 20]),
        (i32::MAX, &[2], &[i32::MAX]),
    ] {
        let tensor = op::tensor(storage(), offset, shape, strides);
        let found = reason(&op::pickle(&op::dict("w", &tensor)));
        let refused = matches!(found, PickleError::Malformed { .. } | PickleError::Limit { .. });
        assert!(refused, "{offset} {shape:?} {strides:?}: {found}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = small_policy();
    for length in 0..whole.len() {
        refusal("policy_actor", &whole[..length]);
    }
    for zeroed in [vec![0; 100], Vec::new()] {
        refusal("policy_actor", &zeroed);
    }
    let trailing = [whole.as_slice(), b"more"].concat();
    assert!(refusal("policy_actor", &trailing).contains("4 bytes follow the pickle"));
}

#[test]
fn settings_of_the_wrong_kind_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("policy_actor", &small_policy());
    write("policy_noise", &op::pickle(&op::text("loud")));
    let error = PolicyCheckpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("policy_noise") && error.contains("'loud'"), "{error}");
    write("policy_noise", &op::pickle(&op::int(0)));
    write("policy_vlm_info", &op::pickle(&op::dict("checkpoint_path", &op::text("/data/run 1"))));
    let error = PolicyCheckpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("policy_vlm_info") && error.contains("'use_4bit' is missing"), "{error}");
}

#[test]
fn several_policies_in_a_folder_are_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["policy_step_10_actor", "policy_step_20_actor"] {
        std::fs::write(folder.path().join(name), small_policy()).unwrap();
    }
    let error = PolicyCheckpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("policy_step_10, policy_step_20"), "{error}");
    let policy = PolicyCheckpoint::open(folder.path().join("policy_step_20")).unwrap();
    assert_eq!((policy.step, policy.noise, policy.vlm_info), (Some(20), None, None));
    let error = PolicyCheckpoint::open(folder.path().join("policy_step_30")).unwrap_err().to_string();
    assert!(error.contains("policy_step_30_actor"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = small_policy();
        for (index, value) in changes {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        read_all("policy_actor", &bytes).ok();
    }

    #[test]
    fn random_opcodes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all("policy_actor", &op::pickle(&body)).ok();
    }

    #[test]
    fn random_known_opcodes_never_panic(body in prop::collection::vec(
        prop::sample::select(b"(.01NJKMG)]}aelt\x85\x86\x87dsuqrhj\x94Rb\x88\x89Q\x93\x00\x01\x02".to_vec()), 0..200)) {
        read_all("policy_actor", &op::pickle(&body)).ok();
    }
}
