//! The kernels' sources, compiled as C++ and held against what the CPU computes.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::indexing_slicing)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use candle_core::{Device, Tensor};
use half::bf16;
use planner_tuner_core::random::Random;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{
    ATTENTION_ROWS, NF4_PER_THREAD, THREADS, attention_shared_floats, attention_tiles, dropout_blocks, nf4_blocks,
};
use crate::vision_language::kernels::{AttentionSpan, DropoutMask, attention};
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vision_language/cuda")
}

/// Compiles a shim with the address sanitizer where there is one; `None`, and a line, without a C++ compiler.
fn compiled(shim: &str, folder: &Path) -> Option<PathBuf> {
    let program = folder.join("shim");
    let compile = |sanitize: &[&str]| {
        let mut command = Command::new("c++");
        command.args(["-std=c++17", "-O1", "-ffp-contract=off"]).args(sanitize);
        command.arg(sources().join(shim)).arg("-o").arg(&program).output().ok()
    };
    let sanitized = compile(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    // Where addresses are randomised more than the sanitizer allows for, it ends before main does.
    if sanitized.as_ref().is_some_and(|output| output.status.success()) && runs(&program) {
        return Some(program);
    }
    match compile(&[]) {
        Some(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
        None => {
            eprintln!("skipped: no C++ compiler to run the CUDA kernels with");
            None
        }
    }
}

/// Whether it gets through no case at all.
fn runs(program: &Path) -> bool {
    output(program, vec![0; 4]).status.success()
}

fn run(program: &Path, input: Vec<u8>) -> Vec<u8> {
    let output = output(program, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn output(program: &Path, input: Vec<u8>) -> Output {
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early closes the pipe; its status tells.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn nf4_is_widened_to_the_cpus_bf16_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compiled("nf4_shim.cpp", folder.path()) else { return };
    let mut random = Random::new(19);
    let mut input = 10_000_u32.to_le_bytes().to_vec();
    let mut expected: Vec<bf16> = Vec::new();
    for case in 0..10_000 {
        let shape = if case % 1000 == 0 { [64, 176] } else { [1 + random.below(5), 1 + random.below(70)] };
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| random.normal() * 0.05).collect();
        let format = if case % 2 == 0 { AbsmaxFormat::Double } else { AbsmaxFormat::Single };
        let matrix = Nf4Matrix::quantise(&values, shape, format).unwrap();
        let mut packed = matrix.packed().to_vec();
        packed.resize(values.len().div_ceil(64) * 32, 0);
        let [rows, cols] = shape;
        let stride = if case % 3 == 0 { cols } else { cols.next_multiple_of(8) };
        input.extend([rows, cols, stride].iter().flat_map(|number| (*number as u32).to_le_bytes()));
        input.extend(packed);
        input.extend((0..matrix.absmax().blocks()).flat_map(|block| matrix.absmax().of_block(block).to_le_bytes()));
        input.extend(nf4_blocks(values.len()).unwrap().to_le_bytes());
        for row in matrix.dequantise().chunks_exact(cols) {
            expected.extend(row.iter().copied().map(bf16::from_f32));
            expected.resize(expected.len() + stride - cols, bf16::ZERO);
        }
    }
    let found = run(&program, input);
    assert_eq!(found.len(), expected.len() * 2);
    let differing = found.chunks_exact(2).zip(&expected).filter(|(found, expected)| **found != expected.to_le_bytes());
    assert_eq!(differing.count(), 0, "of {} values", expected.len());
}

#[test]
fn dropout_leaves_out_what_the_cpu_leaves_out_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compiled("dropout_shim.cpp", folder.path()) else { return };
    let mut random = Random::new(31);
    let mut input = 10_000_u32.to_le_bytes().to_vec();
    let mut expected: Vec<f32> = Vec::new();
    for case in 0..10_000_u64 {
        let count = if case % 1000 == 0 { 5000 } else { 1 + random.below(300) };
        let mask = DropoutMask::new(case.wrapping_mul(0x9E37_79B9_7F4A_7C15), [0.05, 0.3, 0.0, 0.9][case as usize % 4]);
        let numbers: Vec<f32> = (0..count).map(|_| random.normal()).collect();
        let ([low, high], threshold, kept) = mask.numbers();
        for number in [count as u32, low, high, threshold, kept.to_bits(), dropout_blocks(count).unwrap()] {
            input.extend(number.to_le_bytes());
        }
        input.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let xs = Tensor::from_vec(numbers, count, &Device::Cpu).unwrap();
        expected.extend(xs.apply_op1_no_bwd(&mask).unwrap().to_vec1::<f32>().unwrap());
    }
    let found = run(&program, input);
    let found: Vec<u32> = found.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert!(found == expected.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
}

/// A case of the attention kernel.
struct Case {
    heads: usize,
    kv_heads: usize,
    rows: usize,
    seq: usize,
    dim: usize,
    spans: Vec<AttentionSpan>,
}

impl Case {
    fn random(random: &mut Random, number: usize) -> Self {
        // The model's own sizes now and then: a window of the vision tower, a text layer behind the remembered prefix.
        let (kv_heads, group) = (1 + random.below(2), 1 + random.below(3));
        let (heads, dim) = (kv_heads * group, 2 * (1 + random.below(40)));
        match number {
            0 => Self::windows(2, 80, &[64, 64, 32, 16]),
            1 => Self::causal(8, 1, 70, 130, 128),
            _ if number.is_multiple_of(2) => {
                let sizes: Vec<usize> = (0..1 + random.below(4)).map(|_| 1 + random.below(40)).collect();
                Self::windows(heads, dim, &sizes)
            }
            _ => {
                let rows = 1 + random.below(40);
                Self::causal(heads, kv_heads, rows, rows + random.below(40), dim)
            }
        }
    }

    fn windows(heads: usize, dim: usize, sizes: &[usize]) -> Self {
        let mut end = 0;
        let spans = sizes.iter().flat_map(|size| {
            end += size;
            AttentionSpan::full(end - size..end).collect::<Vec<_>>()
        });
        let spans = spans.collect();
        Self { heads, kv_heads: heads, rows: end, seq: end, dim, spans }
    }

    fn causal(heads: usize, kv_heads: usize, rows: usize, seq: usize, dim: usize) -> Self {
        Self { heads, kv_heads, rows, seq, dim, spans: AttentionSpan::causal(rows, seq) }
    }
}

#[test]
fn attention_is_that_of_the_cpus_kernel() {
    hold_attention_against_the_cpu(50);
}

/// `cargo test --release -p planner_tuner_model --lib cuda:: -- --ignored`: a minute.
#[test]
#[ignore = "takes a minute"]
fn attention_is_that_of_the_cpus_kernel_ten_thousand_times() {
    hold_attention_against_the_cpu(1000);
}

/// Ten parts of so many random cases.
fn hold_attention_against_the_cpu(cases: usize) {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compiled("attention_shim.cpp", folder.path()) else { return };
    let mut random = Random::new(23);
    // In parts, so that neither the input nor the results fill the memory.
    let mut largest = [0.0_f32; 2];
    for part in 0..10 {
        let mut input = (cases as u32).to_le_bytes().to_vec();
        let mut expected: Vec<[Vec<f32>; 2]> = Vec::new();
        for number in 0..cases {
            let case = Case::random(&mut random, number + usize::from(part > 0) * 2);
            let Case { heads, kv_heads, rows, seq, dim, spans } = &case;
            let tiles = attention_tiles(spans);
            let mut normal = |count: usize| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
            let (q, k, v) = (normal(heads * rows * dim), normal(kv_heads * seq * dim), normal(kv_heads * seq * dim));
            let scale = (*dim as f32).powf(-0.5);
            for number in [*heads, *kv_heads, *rows, *seq, *dim, tiles.len() / 5, attention_shared_floats(*dim)] {
                input.extend((number as u32).to_le_bytes());
            }
            input.extend(scale.to_le_bytes());
            input.extend(tiles.iter().flat_map(|number| number.to_le_bytes()));
            for values in [&q, &k, &v] {
                input.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            let tensor = |values: Vec<f32>, heads: usize, rows: usize| {
                Tensor::from_vec(values, (heads, rows, *dim), &Device::Cpu).unwrap()
            };
            let cut = v.iter().map(|value| f32::from_bits(value.to_bits() & 0xffff_0000)).collect();
            let (q, k) = (tensor(q, *heads, *rows), tensor(k, *kv_heads, *seq));
            let attend = |v: Vec<f32>| {
                let attended = attention(&q, &k, &tensor(v, *kv_heads, *seq), f64::from(scale), spans).unwrap();
                attended.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            expected.push([attend(v), attend(cut)]);
        }
        let found = run(&program, input);
        let mut rest = found.as_slice();
        for [exact, narrow] in &expected {
            let (of_exact, after) = rest.split_at(exact.len() * 4);
            let (of_narrow, after) = after.split_at(narrow.len() * 2);
            rest = after;
            for (found, expected) in of_exact.chunks_exact(4).zip(exact) {
                let found = f32::from_le_bytes(found.try_into().unwrap());
                assert!(found.is_finite());
                largest[0] = largest[0].max((found - expected).abs());
            }
            for (found, expected) in of_narrow.chunks_exact(2).zip(narrow) {
                let found = bf16::from_le_bytes(found.try_into().unwrap()).to_f32();
                // Half a unit in the last place of 8 bits, and what the sums differ by.
                largest[1] = largest[1].max((found - expected).abs() / expected.abs().max(1e-2));
            }
        }
        assert!(rest.is_empty());
    }
    eprintln!("attention kernel: {:.1e} off in f32, bar 1e-5; {:.1e} of a value in bf16", largest[0], largest[1]);
    assert!(largest[0] < 1e-5 && largest[1] < 4.5e-3, "{largest:?}");
}

proptest! {
    /// Every query is in one tile, with the keys of its span.
    #[test]
    fn tiles_cover_each_query_once(rows in 1_usize..300, before in 0_usize..300) {
        let spans = AttentionSpan::causal(rows, rows + before);
        let tiles = attention_tiles(&spans);
        let mut next = 0;
        for tile in tiles.chunks_exact(5) {
            prop_assert_eq!(tile[0], next);
            prop_assert!(tile[1] > tile[0] && tile[1] - tile[0] <= ATTENTION_ROWS as u32);
            // The last row of a tile sees itself last.
            prop_assert_eq!(tile[3], before as u32 + tile[1]);
            next = tile[1];
        }
        prop_assert_eq!(next, rows as u32);
    }
}

proptest! {
    /// Every value is made by one thread, and no thread begins beyond the last block's end.
    #[test]
    fn the_grid_covers_each_value_once(count in 1_usize..1 << 30) {
        let threads = u64::from(nf4_blocks(count).unwrap()) * u64::from(THREADS);
        let made = threads * u64::from(NF4_PER_THREAD);
        prop_assert!(made >= count as u64);
        prop_assert!(made - (count as u64) < u64::from(THREADS * NF4_PER_THREAD));
    }
}

#[test]
fn more_values_than_a_kernel_counts_are_no_grid() {
    assert_eq!(nf4_blocks(usize::MAX), None);
    assert_eq!(nf4_blocks(0), Some(0));
}

#[test]
fn the_ptx_was_made_of_its_source() {
    for entry in std::fs::read_dir(sources()).unwrap() {
        let source = entry.unwrap().path();
        if source.extension().is_none_or(|extension| extension != "cu") {
            continue;
        }
        let hash: String =
            Sha256::digest(std::fs::read(&source).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        let ptx = std::fs::read_to_string(source.with_extension("ptx")).unwrap();
        let first = ptx.lines().next().unwrap();
        assert!(first.contains(&hash), "{}: bash .ci/ptx write; it says {first}", source.display());
    }
}
