//! NF4 against bitsandbytes: every matrix of the golden fixture, in both forms, from the weights and from the stored
//! codes; and the bound that quantisation keeps on any matrix.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Expected, Report, fixture_set, max_difference};
use candle_core::{DType, Tensor};
use half::bf16;
use proptest::prelude::*;
use vlm_planner_tuner::checkpoint::TensorTable;
use vlm_planner_tuner::vectors::Vectors;
use vlm_planner_tuner::weights::nf4::{
    Absmax, AbsmaxFormat, BLOCK, DequantisedFormat, DoubleAbsmax, Nf4Error, Nf4Matrix, Nf4Panels, StoredNf4,
    companion_of,
};
use vlm_planner_tuner::weights::{PANEL, PanelSource};

/// Entries of nf4.json, by `MATRIX.single` and `MATRIX.double`.
#[derive(serde::Deserialize)]
struct Entry {
    shape: [usize; 2],
    weight_dtype: String,
    compress_statistics: bool,
    dequant_dtype: String,
}

impl Entry {
    fn absmax_format(&self) -> AbsmaxFormat {
        if self.compress_statistics { AbsmaxFormat::Double } else { AbsmaxFormat::Single }
    }

    fn dequantised(&self) -> DequantisedFormat {
        if self.dequant_dtype == "bfloat16" { DequantisedFormat::Bf16 } else { DequantisedFormat::F32 }
    }
}

struct Fixture {
    entries: BTreeMap<String, Entry>,
    expected: Expected,
}

impl Fixture {
    fn open() -> Option<Self> {
        let set = fixture_set("nf4")?;
        let entries = serde_json::from_slice(&std::fs::read(set.join("nf4.json")).unwrap()).unwrap();
        Some(Self { entries, expected: Expected::open(&set.join("nf4.safetensors")) })
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.expected.tensor(name).flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The matrix quantised here, from values in the format that bitsandbytes was given.
    fn quantised(&self, key: &str, entry: &Entry) -> Nf4Matrix {
        let weight = self.expected.tensor(&format!("{}.weight", matrix_name(key))).flatten_all().unwrap();
        let matrix = match entry.weight_dtype.as_str() {
            "bfloat16" => Nf4Matrix::quantise(&weight.to_vec1::<bf16>().unwrap(), entry.shape, entry.absmax_format()),
            _ => Nf4Matrix::quantise(&weight.to_vec1::<f32>().unwrap(), entry.shape, entry.absmax_format()),
        };
        matrix.unwrap().with_dequantised(entry.dequantised())
    }

    /// The matrix that bitsandbytes quantised.
    fn stored(&self, key: &str, entry: &Entry) -> Nf4Matrix {
        let values = |part: &str| self.expected.values(&format!("{key}.{part}"));
        let absmax = match entry.absmax_format() {
            AbsmaxFormat::Single => Absmax::Single(values("absmax")),
            AbsmaxFormat::Double => Absmax::Double(DoubleAbsmax {
                codes: self.bytes(&format!("{key}.absmax")),
                nested_absmax: values("nested_absmax"),
                nested_code: values("nested_code").into_boxed_slice().try_into().unwrap(),
                offset: values("offset")[0],
            }),
        };
        let packed = self.bytes(&format!("{key}.packed"));
        Nf4Matrix::from_parts(entry.shape, packed, absmax).unwrap().with_dequantised(entry.dequantised())
    }
}

fn matrix_name(key: &str) -> &str {
    key.rsplit_once('.').unwrap().0
}

/// The value of each code: what a block of magnitude 1 with every code once stands for.
fn code_values() -> Vec<f32> {
    let packed = vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    Nf4Matrix::from_parts([1, 16], packed, Absmax::Single(vec![1.0])).unwrap().dequantise()
}

/// Part of the codes that differ.
fn differing<T: PartialEq>(found: &[T], expected: &[T]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).filter(|(a, b)| a != b).count() as f32 / found.len().max(1) as f32
}

fn nibbles(packed: &[u8]) -> Vec<u8> {
    packed.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

/// The rows of a matrix, from its panels of some inputs at a time, as the fast path sees it.
fn from_panels(matrix: &Nf4Matrix, inputs: usize, vectors: Vectors) -> Vec<f32> {
    let matrix = Nf4Panels::new(matrix);
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let mut values = vec![f32::NAN; rows * cols];
    let mut room = vec![[f32::NAN; PANEL]; inputs];
    for panel in 0..rows.div_ceil(PANEL) {
        for start in (0..cols).step_by(inputs) {
            let part = matrix.panel(panel, start..cols.min(start + inputs), vectors, &mut room);
            for (input, weights) in (start..).zip(part) {
                for (row, weight) in (panel * PANEL..rows).zip(weights) {
                    values[row * cols + input] = *weight;
                }
            }
        }
    }
    values
}

/// `x W^T`, one row after the other.
fn product(x: &[f32], matrix: &Nf4Matrix) -> Vec<f32> {
    let weights = from_panels(matrix, 64, Vectors::in_use());
    let rows = |x: &[f32]| {
        let dot = |w: &[f32]| x.iter().zip(w).map(|(x, w)| x * w).sum();
        weights.chunks(matrix.shape()[1]).map(dot).collect::<Vec<f32>>()
    };
    x.chunks(matrix.shape()[1]).flat_map(rows).collect()
}

#[test]
fn the_fixture_is_quantised_as_bitsandbytes_does() {
    let Some(fixture) = Fixture::open() else { return };
    let mut report = Report::default();
    for (key, entry) in &fixture.entries {
        let (found, expected) = (fixture.quantised(key, entry), fixture.stored(key, entry));
        report.add("codes that differ", differing(&nibbles(found.packed()), &nibbles(expected.packed())), 0.0);
        match (found.absmax(), expected.absmax()) {
            (Absmax::Single(found), Absmax::Single(expected)) => {
                report.add("single: absmax", max_difference(found, expected), 0.0);
            }
            (Absmax::Double(found), Absmax::Double(expected)) => {
                report.add("double: map", max_difference(&*found.nested_code, &*expected.nested_code), 0.0);
                // The offset is a mean, and torch adds in another order on a machine with wider vectors.
                report.add("double: offset", (found.offset - expected.offset).abs(), 1e-7);
                report.add("double: codes of absmax that differ", differing(&found.codes, &expected.codes), 1e-3);
                let nested = max_difference(&found.nested_absmax, &expected.nested_absmax);
                report.add("double: nested absmax", nested, 1e-6);
            }
            forms => panic!("{key}: {forms:?}"),
        }
        let code = fixture.expected.values(&format!("{key}.code"));
        report.add("values of the codes", max_difference(&code_values(), &code), 0.0);
        let values = fixture.expected.values(&format!("{key}.dequantised"));
        report.add("dequantised", max_difference(&found.dequantise(), &values), 1e-6);
        let x = fixture.expected.values(&format!("{}.x", matrix_name(key)));
        let y = fixture.expected.values(&format!("{key}.y"));
        report.add("product with x", max_difference(&product(&x, &found), &y), 1e-4);
    }
    report.finish("NF4 from the weights, against bitsandbytes");
}

#[test]
fn the_fixture_s_codes_are_dequantised_bit_for_bit() {
    let Some(fixture) = Fixture::open() else { return };
    let mut report = Report::default();
    for (key, entry) in &fixture.entries {
        let matrix = fixture.stored(key, entry);
        let expected = fixture.expected.values(&format!("{key}.dequantised"));
        report.add("whole", max_difference(&matrix.dequantise(), &expected), 0.0);
        for inputs in [1, 7, 64, 512] {
            for vectors in Vectors::available() {
                let difference = max_difference(&from_panels(&matrix, inputs, vectors), &expected);
                report.add(&format!("panels with {}, {inputs} inputs at a time", vectors.set()), difference, 0.0);
            }
        }
    }
    report.finish("NF4 from bitsandbytes' codes");
}

#[test]
fn a_stored_checkpoint_of_the_fixture_s_codes_is_read() {
    let Some(fixture) = Fixture::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file = Saved::default();
    for (key, entry) in &fixture.entries {
        file.add_matrix(key, entry.shape, &entry.weight_dtype, &fixture.stored(key, entry));
    }
    file.0.insert("norm.weight".into(), Tensor::ones(4, DType::F32, &candle_core::Device::Cpu).unwrap());
    let table = file.save(&path);
    for (key, entry) in &fixture.entries {
        let found = StoredNf4::find(&table, &format!("{key}.weight")).unwrap().unwrap();
        assert_eq!((found.shape(), found.dequantised()), (entry.shape, entry.dequantised()), "{key}");
        assert_eq!(found.absmax_format(), entry.absmax_format(), "{key}");
        let matrix = found.load(&table).unwrap().with_dequantised(found.dequantised());
        assert_eq!(matrix, fixture.stored(key, entry), "{key}");
    }
    assert!(StoredNf4::find(&table, "norm.weight").unwrap().is_none());
    assert!(StoredNf4::find(&table, "missing.weight").unwrap().is_none());
    let parameters: Vec<&str> = table.names().filter(|name| companion_of(name).is_none()).collect();
    assert_eq!(parameters.len(), fixture.entries.len() + 1, "{parameters:?}");
}

/// A safetensors file in the layout that transformers and bitsandbytes write.
#[derive(Default)]
struct Saved(BTreeMap<String, Tensor>);

impl Saved {
    /// One random matrix `layer.weight`.
    fn sample(format: AbsmaxFormat) -> Self {
        let values: Vec<f32> = (0..48 * 70).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut saved = Self::default();
        saved.add_matrix("layer", [48, 70], "bfloat16", &Nf4Matrix::quantise(&values, [48, 70], format).unwrap());
        saved
    }

    fn add_matrix(&mut self, layer: &str, shape: [usize; 2], dtype: &str, matrix: &Nf4Matrix) {
        let mut add = |part: &str, tensor: candle_core::Result<Tensor>| {
            self.0.insert(format!("{layer}.weight{part}"), tensor.unwrap());
        };
        let cpu = &candle_core::Device::Cpu;
        add("", Tensor::new(matrix.packed(), cpu).and_then(|codes| codes.unsqueeze(1)));
        add(".quant_map", Tensor::new(code_values(), cpu));
        let mut state = serde_json::json!({"quant_type": "nf4", "blocksize": 64, "dtype": dtype, "shape": shape});
        match matrix.absmax() {
            Absmax::Single(absmax) => add(".absmax", Tensor::new(absmax.as_slice(), cpu)),
            Absmax::Double(double) => {
                add(".absmax", Tensor::new(double.codes.as_slice(), cpu));
                add(".nested_absmax", Tensor::new(double.nested_absmax.as_slice(), cpu));
                add(".nested_quant_map", Tensor::new(double.nested_code.as_slice(), cpu));
                state["nested_blocksize"] = 256.into();
                state["nested_dtype"] = "float32".into();
                state["nested_offset"] = f64::from(double.offset).into();
            }
        }
        add(".quant_state.bitsandbytes__nf4", Tensor::new(state.to_string().as_bytes(), cpu));
    }

    /// Changes one field of the JSON of `layer.weight`.
    fn with_state(mut self, field: &str, value: serde_json::Value) -> Self {
        let tensor = self.0.get_mut("layer.weight.quant_state.bitsandbytes__nf4").unwrap();
        let mut state: serde_json::Value = serde_json::from_slice(&tensor.to_vec1::<u8>().unwrap()).unwrap();
        state[field] = value;
        *tensor = Tensor::new(state.to_string().as_bytes(), tensor.device()).unwrap();
        self
    }

    fn with(mut self, part: &str, tensor: Option<Tensor>) -> Self {
        let name = format!("layer.weight{part}");
        match tensor {
            Some(tensor) => self.0.insert(name, tensor),
            None => self.0.remove(&name),
        };
        self
    }

    fn save(&self, path: &Path) -> TensorTable {
        safetensors::serialize_to_file(&self.0, None, path).unwrap();
        TensorTable::open(path).unwrap()
    }

    /// What is said of `layer.weight`.
    fn refused(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let table = self.save(&folder.path().join("model.safetensors"));
        let load = || -> Result<Option<Nf4Matrix>, Nf4Error> {
            StoredNf4::find(&table, "layer.weight")?.map(|stored| stored.load(&table)).transpose()
        };
        let message = load().unwrap_err().to_string();
        assert!(message.contains("model.safetensors"), "{message}");
        message
    }
}

#[test]
fn other_stored_forms_are_refused_by_name() {
    let double = || Saved::sample(AbsmaxFormat::Double);
    let state = "'layer.weight.quant_state.bitsandbytes__nf4' is stored in 4 bits with";
    for (field, value, said) in [
        ("quant_type", "fp4".into(), "quantisation type fp4, expected nf4"),
        ("blocksize", 128.into(), "block size 128, expected 64"),
        ("nested_blocksize", 512.into(), "nested block size 512, expected 256"),
        ("nested_blocksize", serde_json::Value::Null, "nested block size missing, expected 256"),
        ("nested_offset", serde_json::Value::Null, "nested offset None, expected a finite number"),
        ("shape", [48, 70, 1].as_slice().into(), "shape [48, 70, 1], expected rows and columns"),
        ("shape", [usize::MAX, 2].as_slice().into(), "expected rows and columns"),
        ("shape", "wide".into(), "expected bitsandbytes' JSON"),
    ] {
        let message = double().with_state(field, value).refused();
        assert!(message.contains(state) && message.contains(said), "{message}");
    }
    let fp4 = double();
    let json = fp4.0["layer.weight.quant_state.bitsandbytes__nf4"].clone();
    let fp4 = fp4.with(".quant_state.bitsandbytes__nf4", None).with(".quant_state.bitsandbytes__fp4", Some(json));
    assert!(fp4.refused().contains("'layer.weight' is stored in 4 bits with quantisation type fp4, expected nf4"));
    let bare = double().with(".quant_state.bitsandbytes__nf4", None);
    assert!(bare.refused().contains("there is no tensor 'layer.weight.quant_state.bitsandbytes__nf4'"));
}

#[test]
fn stored_parts_that_do_not_fit_are_refused_by_name() {
    let cpu = &candle_core::Device::Cpu;
    let zeros = |count: usize, dtype| Some(Tensor::zeros(count, dtype, cpu).unwrap());
    let single = || Saved::sample(AbsmaxFormat::Single);
    let double = || Saved::sample(AbsmaxFormat::Double);
    for (saved, said) in [
        (single().with(".absmax", None), "'layer.weight.absmax' is stored in 4 bits with values missing"),
        (single().with(".absmax", zeros(52, DType::F32)), "f32 of shape [52], expected f32 of 53 values"),
        (single().with(".absmax", zeros(53, DType::U8)), "u8 of shape [53], expected f32 of 53 values"),
        (double().with(".absmax", zeros(53, DType::F32)), "f32 of shape [53], expected u8 of 53 values"),
        (double().with(".nested_absmax", None), "'layer.weight.nested_absmax' is stored in 4 bits with values missing"),
        (double().with(".nested_quant_map", zeros(16, DType::F32)), "expected f32 of 256 values"),
        (double().with(".quant_map", zeros(16, DType::F32)), "expected the sixteen of NF4"),
        (double().with("", zeros(1680, DType::BF16)), "bf16 of shape [1680], expected u8 of 1680 values"),
        (double().with("", zeros(1680, DType::U8)), "all 1680 values of tensor 'layer.weight' are zero"),
        (
            single().with(".absmax", Some(Tensor::new([f32::NAN].repeat(53), cpu).unwrap())),
            "values NaN, expected finite numbers",
        ),
    ] {
        let message = saved.refused();
        assert!(message.contains(said), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_value_comes_back_within_half_a_step_of_its_block(
        (rows, cols, values) in (1_usize..9, 1_usize..150).prop_flat_map(|(rows, cols)| {
            (Just(rows), Just(cols), prop::collection::vec(-1e3_f32..1e3, rows * cols))
        })
    ) {
        // The widest gap of the table is the lowest, between -1 and -0.6962.
        const HALF_STEP: f32 = (1.0 - 0.696_192_8) / 2.0;
        let matrix = Nf4Matrix::quantise(&values, [rows, cols], AbsmaxFormat::Single).unwrap();
        for (block, found) in values.chunks(BLOCK).zip(matrix.dequantise().chunks(BLOCK)) {
            let absmax = block.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            for (value, found) in block.iter().zip(found) {
                prop_assert!((value - found).abs() <= absmax * (HALF_STEP + 1e-6), "{value} became {found}, {absmax}");
            }
        }
    }

    #[test]
    fn double_quantisation_moves_a_magnitude_by_half_a_step_of_its_map(
        values in prop::collection::vec(-1e3_f32..1e3, 64 * 300)
    ) {
        let single = Nf4Matrix::quantise(&values, [300, 64], AbsmaxFormat::Single).unwrap();
        let double = Nf4Matrix::quantise(&values, [300, 64], AbsmaxFormat::Double).unwrap();
        prop_assert_eq!(single.packed(), double.packed());
        let (exact, compressed) = (single.absmax().to_vec(), double.absmax().to_vec());
        let Absmax::Double(parts) = double.absmax() else { unreachable!() };
        for (block, (exact, compressed)) in exact.iter().zip(&compressed).enumerate() {
            let largest = parts.nested_absmax[block / 256];
            // The map's values are at most 0.9 / 64 apart, and its lowest is half of that above -1.
            prop_assert!((exact - compressed).abs() <= largest * (0.5 * 0.9 / 64.0 + 1e-4), "{exact} became {compressed}");
        }
    }
}
