//! Policies that are written, read back, and replaced while others read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support;
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use vlm_planner_tuner::checkpoint::{
    FileSet, PolicyCheckpoint, PolicyForm, PolicyOrigin, PolicySet, SetFile, StateDict, TensorTable, VlmInfo,
};

/// Everything that equality of two state dicts means: order, names, element types, shapes, bits.
fn contents(dict: &StateDict) -> Vec<(String, DType, Vec<usize>, Vec<u8>)> {
    let bits = |tensor: &Tensor| {
        let mut bytes = Vec::new();
        tensor.write_bytes(&mut bytes).unwrap();
        bytes
    };
    let content =
        |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.dtype(), tensor.dims().to_vec(), bits(tensor));
    dict.iter().map(content).collect()
}

fn read_back(bytes: &[u8]) -> StateDict {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("actor");
    std::fs::write(&path, bytes).unwrap();
    StateDict::read(&TensorTable::open(&path).unwrap()).unwrap()
}

fn small(value: f32) -> PolicySet {
    let tensor = |shape: &[usize]| Tensor::full(value, shape, &Device::Cpu).unwrap();
    let actor = StateDict::new(vec![("fc.weight".into(), tensor(&[2, 3])), ("fc.bias".into(), tensor(&[2]))]).unwrap();
    let info =
        VlmInfo { checkpoint_path: "../checkpoint".into(), use_4bit: true, use_history: true, vlm_trainable: false };
    PolicySet {
        actor,
        noise: Some(0.1 + f64::from(value)),
        vlm_info: Some(info),
        step: Some(7),
        origin: PolicyOrigin::default(),
        lora_adapter: None,
    }
}

fn fixture_policy() -> Option<PolicyCheckpoint> {
    Some(PolicyCheckpoint::open(support::fixture_set("tiny_vlm")?.join("policy")).unwrap())
}

#[test]
fn fixture_policy_read_and_written_again_is_the_same_dict() {
    let Some(policy) = fixture_policy() else { return };
    let dict = StateDict::read(&policy.actor).unwrap();
    let by_pickle = read_back(&dict.to_pickle().unwrap());
    let by_safetensors = read_back(&dict.to_safetensors().unwrap());
    assert_eq!(contents(&by_pickle), contents(&dict));
    assert_eq!(contents(&by_safetensors), contents(&dict));
    // In the network's order, not the alphabet's.
    assert_eq!(dict.iter().last().map(|(name, _)| name), Some("fc.bias"));
}

/// Python's pickler puts its opcodes into frames, and names each storage by its address; the rest is the same to the byte.
#[test]
fn fixture_policy_is_written_in_the_bytes_of_the_original() {
    let Some(policy) = fixture_policy() else { return };
    let original = std::fs::read(&policy.path).unwrap();
    let written = StateDict::read(&policy.actor).unwrap().to_pickle().unwrap();
    assert_eq!(without_frames_and_addresses(&written), without_frames_and_addresses(&original));
    let info = policy.vlm_info.clone().unwrap();
    let folder = tempfile::tempdir().unwrap();
    PolicySet::read(&policy).unwrap().save(folder.path(), "policy").unwrap();
    let stem = policy.path.to_str().unwrap().strip_suffix("_actor").unwrap().to_owned();
    for name in ["noise", "vlm_info"] {
        let original = std::fs::read(format!("{stem}_{name}")).unwrap();
        let written = std::fs::read(folder.path().join(format!("policy_{name}"))).unwrap();
        // PROTO, then FRAME with its length, in the original only.
        assert_eq!(written[..2], original[..2], "{name}");
        assert_eq!(written[2..], original[11..], "{name} of {info:?}");
    }
}

/// A pickle that embeds legacy torch files, without FRAME opcodes and with every storage key `0`.
fn without_frames_and_addresses(pickle: &[u8]) -> Vec<u8> {
    const BLOB: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let mut out = Vec::new();
    let mut rest = pickle;
    while let Some((&first, tail)) = rest.split_first() {
        let blob_at = match first {
            b'C' => Some((2, usize::from(rest[1]))),
            b'B' if rest.len() > 5 => Some((5, u32::from_le_bytes(rest[1..5].try_into().unwrap()) as usize)),
            _ => None,
        };
        let blob = blob_at.filter(|(head, length)| rest.len() >= head + length && rest[*head..].starts_with(BLOB));
        if let Some((head, length)) = blob {
            out.extend(with_plain_keys(&rest[head..head + length]));
            rest = &rest[head + length..];
        } else if first == 0x95 {
            rest = &rest[9..];
        } else if let 0x8c = first {
            // SHORT_BINUNICODE: copied as a whole, so that its characters are not taken for opcodes.
            let length = 2 + usize::from(rest[1]);
            out.extend(&rest[..length]);
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn with_plain_keys(blob: &[u8]) -> Vec<u8> {
    // BINUNICODE of decimal digits: in the persistent id and in the list of keys, both before the numbers.
    let mut out = Vec::new();
    let mut rest = blob;
    let mut found = 0;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'X' && found < 2 && rest.len() > 5 {
            let length = u32::from_le_bytes(rest[1..5].try_into().unwrap()) as usize;
            let text = &rest[5..5 + length];
            let is_key = text.iter().all(u8::is_ascii_digit);
            found += usize::from(is_key);
            out.extend(if is_key { b"0" } else { text });
            rest = &rest[5 + length..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    let shape = proptest::collection::vec(0usize..5, 0..5);
    (shape, 0usize..8, any::<u64>()).prop_map(|(shape, dtype, seed)| {
        let count: usize = shape.iter().product();
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 16
        };
        let dtypes = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::I32, DType::I16, DType::U8];
        let cpu = &Device::Cpu;
        // Any bits, infinities and NaNs among them.
        match dtypes[dtype] {
            DType::F32 => Tensor::from_vec((0..count).map(|_| f32::from_bits(next() as u32)).collect(), shape, cpu),
            DType::F64 => Tensor::from_vec((0..count).map(|_| f64::from_bits(next())).collect(), shape, cpu),
            DType::F16 => {
                Tensor::from_vec((0..count).map(|_| half::f16::from_bits(next() as u16)).collect(), shape, cpu)
            }
            DType::BF16 => {
                Tensor::from_vec((0..count).map(|_| half::bf16::from_bits(next() as u16)).collect(), shape, cpu)
            }
            DType::I64 => Tensor::from_vec((0..count).map(|_| next() as i64).collect(), shape, cpu),
            DType::I32 => Tensor::from_vec((0..count).map(|_| next() as i32).collect(), shape, cpu),
            DType::I16 => Tensor::from_vec((0..count).map(|_| next() as i16).collect(), shape, cpu),
            _ => Tensor::from_vec((0..count).map(|_| next() as u8).collect::<Vec<u8>>(), shape, cpu),
        }
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_state_dict_comes_back_bit_for_bit(
        tensors in proptest::collection::btree_map("[a-zé.0-9]{1,300}", any_tensor(), 0..12)
    ) {
        let tensors: BTreeMap<String, Tensor> = tensors;
        let expected = StateDict::new(tensors.into_iter().collect()).unwrap();
        let sorted = |dict: StateDict| {
            let mut contents = contents(&dict);
            contents.sort_by(|(a, ..), (b, ..)| a.cmp(b));
            contents
        };
        // Only empty tensors have no place in a file, and with it no order.
        let pickled = read_back(&expected.to_pickle().unwrap());
        prop_assert_eq!(sorted(pickled), sorted(expected.clone()));
        if !expected.is_empty() {
            let safetensors = read_back(&expected.to_safetensors().unwrap());
            prop_assert_eq!(sorted(safetensors), sorted(expected));
        }
    }
}

#[test]
fn a_dict_longer_than_one_batch_comes_back() {
    for count in [1, 2, 999, 1000, 1001, 2500] {
        let tensors = (0..count).map(|n| (format!("t{n:04}"), Tensor::new(&[n as f32], &Device::Cpu).unwrap()));
        let dict = StateDict::new(tensors.collect()).unwrap();
        assert_eq!(contents(&read_back(&dict.to_pickle().unwrap())), contents(&dict), "{count}");
    }
}

#[test]
fn what_torch_cannot_hold_is_refused_by_name() {
    let tensor = Tensor::new(&[1u32], &Device::Cpu).unwrap();
    let dict = StateDict::new(vec![("count".into(), tensor.clone())]).unwrap();
    let error = dict.to_pickle().unwrap_err().to_string();
    assert!(error.contains("'count'") && error.contains("u32") && error.contains("safetensors"), "{error}");
    let error = StateDict::new(vec![("a".into(), tensor.clone()), ("a".into(), tensor)]).unwrap_err().to_string();
    assert!(error.contains("'a'") && error.contains("twice"), "{error}");
}

#[test]
fn every_form_opens_as_the_same_policy() {
    let policy = small(1.5);
    for form in [PolicyForm::Both, PolicyForm::Pickle, PolicyForm::Safetensors] {
        let folder = tempfile::tempdir().unwrap();
        let saved = policy.save_as(form, folder.path(), "policy_step_7").unwrap();
        for path in [folder.path(), saved.prefix.as_path()] {
            let opened = PolicyCheckpoint::open(path).unwrap();
            assert_eq!(contents(&StateDict::read(&opened.actor).unwrap()), contents(&policy.actor), "{form:?}");
            let found = (opened.noise, opened.vlm_info, opened.step);
            assert_eq!(found, (policy.noise, policy.vlm_info.clone(), policy.step), "{form:?}");
            assert_eq!(opened.manifest.unwrap().origin, policy.origin);
        }
        let hidden = |name: &str| name.starts_with('.');
        let names = names_in(folder.path()).into_iter().filter(|name| !hidden(name)).collect::<Vec<_>>();
        let pickles = ["policy_step_7_actor", "policy_step_7_noise", "policy_step_7_vlm_info"];
        assert_eq!(pickles.iter().all(|name| names.contains(&(*name).to_owned())), form != PolicyForm::Safetensors);
        assert_eq!(names.contains(&"policy_step_7_actor.safetensors".to_owned()), form != PolicyForm::Pickle);
    }
}

/// The form decides which files there are: those of the form before do not stay behind.
#[test]
fn saving_again_a_while_later_leaves_one_set_and_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    for (value, form) in (0..6).zip([PolicyForm::Both, PolicyForm::Safetensors, PolicyForm::Pickle].into_iter().cycle())
    {
        let policy = small(value as f32);
        policy.save_as(form, folder.path(), "policy").unwrap();
        let opened = PolicyCheckpoint::open(folder.path()).unwrap();
        assert_eq!(contents(&StateDict::read(&opened.actor).unwrap()), contents(&policy.actor));
        assert_eq!(folder.path().join("policy_actor").exists(), form != PolicyForm::Safetensors);
        assert_eq!(folder.path().join("policy_actor.safetensors").exists(), form != PolicyForm::Pickle);
        // A set that was replaced a moment ago stays for its readers: here a minute passes.
        let minute_ago = SystemTime::now() - Duration::from_secs(60);
        for name in names_in(&folder.path().join(".policy")).iter().filter(|name| name.starts_with("set-")) {
            let set = std::fs::File::open(folder.path().join(".policy").join(name)).unwrap();
            set.set_modified(minute_ago).unwrap();
        }
    }
    let store = names_in(&folder.path().join(".policy"));
    assert_eq!(store.iter().filter(|name| name.starts_with("set-")).count(), 2, "{store:?}");
    assert!(!store.iter().any(|name| name.starts_with("partial-")), "{store:?}");
}

#[test]
fn files_that_lie_there_already_are_replaced_together() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let old = small(1.0);
    std::fs::write(at("policy_actor"), old.actor.to_pickle().unwrap()).unwrap();
    std::fs::write(at("policy_noise"), b"\x80\x04G\x3f\xb9\x99\x99\x99\x99\x99\x9a.").unwrap();
    assert_eq!(PolicyCheckpoint::open(folder.path()).unwrap().noise, Some(0.1));

    let new = small(2.0);
    new.save_as(PolicyForm::Pickle, folder.path(), "policy").unwrap();
    let opened = PolicyCheckpoint::open(folder.path()).unwrap();
    assert_eq!((opened.noise, opened.step), (new.noise, new.step));
    assert!(at("policy_actor").is_symlink() && at("policy_noise").is_symlink());

    // Another program puts its own file there, as the original does.
    std::fs::write(at("policy_copy_actor"), small(3.0).actor.to_pickle().unwrap()).unwrap();
    std::fs::rename(at("policy_copy_actor"), at("policy_actor")).unwrap();
    let opened = PolicyCheckpoint::open(folder.path()).unwrap();
    assert_eq!(contents(&StateDict::read(&opened.actor).unwrap()), contents(&small(3.0).actor), "its file counts");
    assert!(opened.manifest.is_none(), "our manifest says nothing about it");

    small(4.0).save(folder.path(), "policy").unwrap();
    let opened = PolicyCheckpoint::open(folder.path()).unwrap();
    assert_eq!(contents(&StateDict::read(&opened.actor).unwrap()), contents(&small(4.0).actor));
}

#[test]
fn a_copied_policy_is_compared_with_its_manifest() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(1.0).save(from.path(), "policy").unwrap();
    let names = ["policy_actor", "policy_noise", "policy_vlm_info", "policy_manifest.json"];
    for name in names {
        std::fs::copy(from.path().join(name), to.path().join(name)).unwrap();
    }
    assert!(
        PolicyCheckpoint::open(to.path()).unwrap().manifest.is_some(),
        "a plain copy, without the safetensors file"
    );
    let actor = to.path().join("policy_actor");
    let mut bytes = std::fs::read(&actor).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(&actor, bytes).unwrap();
    let error = PolicyCheckpoint::open(to.path()).unwrap_err().to_string();
    for part in ["policy_actor", "policy_manifest.json", "bytes with SHA-256", "copy all files again"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_full_size_actor_takes_22_megabytes() {
    let Some(set) = support::fixture_set("heads_full") else { return };
    let mut tensors = Vec::new();
    for (part, prefix) in [("regression_head", "dpt_head"), ("history_encoder", "history_encoder")] {
        let dict = StateDict::read(&TensorTable::open(set.join(part).join("pytorch_model.bin")).unwrap()).unwrap();
        let named = dict.iter().map(|(name, tensor)| (format!("feature_extractor.{prefix}.{name}"), tensor.clone()));
        tensors.extend(named.collect::<Vec<_>>());
    }
    tensors.push(("fc.weight".into(), Tensor::zeros((7, 256), DType::F32, &Device::Cpu).unwrap()));
    tensors.push(("fc.bias".into(), Tensor::zeros(7, DType::F32, &Device::Cpu).unwrap()));
    let dict = StateDict::new(tensors).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let saved = PolicySet { actor: dict, ..small(0.0) }.save(folder.path(), "policy").unwrap();
    let actor = std::fs::metadata(folder.path().join("policy_actor")).unwrap().len();
    let took = started.elapsed().as_millis();
    support::say(&format!("full-size actor: {actor} bytes; both forms, {} bytes, saved in {took} ms", saved.bytes));
    assert!((22_000_000..22_600_000).contains(&actor), "{actor}");
}

#[test]
fn a_folder_that_cannot_be_written_to_keeps_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = small(1.0).save(&file, "policy").unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("file"), "{error}");
}

#[test]
fn sets_of_one_folder_do_not_touch_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (FileSet::new(folder.path(), "a"), FileSet::new(folder.path(), "b"));
    let file = |bytes| SetFile { suffix: "_x", bytes };
    a.save(&[file(b"1")], &["_x"]).unwrap();
    b.save(&[file(b"2")], &["_x"]).unwrap();
    a.save(&[file(b"3")], &["_x"]).unwrap();
    assert_eq!(
        (std::fs::read(a.path("_x")).unwrap(), std::fs::read(b.path("_x")).unwrap()),
        (b"3".into(), b"2".into())
    );
}

fn names_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
