//! Which vector instructions the products on the CPU use, and whether they compute what they should.

use super::finding::Finding;
use crate::vectors::{InstructionSet, VARIABLE, Vectors};
use crate::vision_language::kernels::VectorTrial;

const CHECK: &str = "vectors";

/// Tries what will be used.
pub(super) fn check() -> Finding {
    let in_use = Vectors::in_use();
    match VectorTrial::run(in_use) {
        Ok(trial) => found(in_use.set(), Vectors::widest().set(), trial),
        Err(error) => Finding::error(CHECK, format!("{}: a small product failed: {error}", in_use.set()), remedy()),
    }
}

fn remedy() -> String {
    format!("set {VARIABLE}=none, and report this with the lines of /proc/cpuinfo")
}

fn found(in_use: InstructionSet, widest: InstructionSet, trial: VectorTrial) -> Finding {
    let VectorTrial { other_weights, product_distance } = trial;
    if !trial.passed() {
        let found = format!(
            "{in_use}: {other_weights} of the 4-bit and bf16 weights of a trial became other numbers than without \
             vectors, expected 0; its products are {product_distance:.1e} apart, expected less than {:.0e}",
            VectorTrial::PRODUCT_BAR
        );
        return Finding::error(CHECK, found, remedy());
    }
    let tried = format!("4-bit and bf16 weights are right, products within {product_distance:.1e}");
    if in_use < widest {
        let found = format!("{in_use}, as {VARIABLE} says: {tried}");
        return Finding::warn(CHECK, found, format!("unset {VARIABLE} to use {widest}, too, which is faster"));
    }
    Finding::ok(CHECK, format!("{in_use}: {tried}"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const GOOD: VectorTrial = VectorTrial { other_weights: 0, product_distance: 2e-7 };

    #[test]
    fn this_processor_computes_what_it_should() {
        let finding = check();
        assert!(finding.verdict < Verdict::Error, "{finding:?}");
        assert!(finding.found.starts_with(&Vectors::in_use().set().to_string()), "{finding:?}");
    }

    #[test]
    fn fewer_than_there_are_is_a_warning_that_names_the_variable() {
        let limited = found(InstructionSet::Avx2, InstructionSet::Avx512, GOOD);
        assert_eq!(limited.verdict, Verdict::Warn);
        assert_eq!(limited.remedy.unwrap(), "unset PLANNER_TUNER_VECTORS to use AVX-512, too, which is faster");
        assert_eq!(found(InstructionSet::Avx2, InstructionSet::Avx2, GOOD).verdict, Verdict::Ok);
    }

    #[test]
    fn other_numbers_than_without_vectors_are_an_error() {
        for trial in [VectorTrial { other_weights: 3, ..GOOD }, VectorTrial { product_distance: f32::NAN, ..GOOD }] {
            let finding = found(InstructionSet::Avx2, InstructionSet::Avx512, trial);
            assert_eq!(finding.verdict, Verdict::Error);
            assert!(finding.remedy.unwrap().contains("PLANNER_TUNER_VECTORS=none"));
        }
    }
}
