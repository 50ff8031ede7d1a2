//! The kernels' sources, compiled as C++ and held against what the CPU computes.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::indexing_slicing)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use half::bf16;
use planner_tuner_core::random::Random;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{NF4_PER_THREAD, THREADS, nf4_blocks};
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
    if sanitized.as_ref().is_some_and(|output| output.status.success()) {
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

fn run(program: &Path, input: Vec<u8>) -> Vec<u8> {
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
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
        input.extend((values.len() as u32).to_le_bytes());
        input.extend(packed);
        input.extend((0..matrix.absmax().blocks()).flat_map(|block| matrix.absmax().of_block(block).to_le_bytes()));
        input.extend(nf4_blocks(values.len()).unwrap().to_le_bytes());
        expected.extend(matrix.dequantise().into_iter().map(bf16::from_f32));
    }
    let found = run(&program, input);
    assert_eq!(found.len(), expected.len() * 2);
    let differing = found.chunks_exact(2).zip(&expected).filter(|(found, expected)| **found != expected.to_le_bytes());
    assert_eq!(differing.count(), 0, "of {} values", expected.len());
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
