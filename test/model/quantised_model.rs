//! The model in 4 bits: the numbers of a model whose matrices were quantised and widened again beforehand.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support;
use crate::support::{flat, max_difference, max_relative_difference};
use candle_core::{DType, Device, Tensor};
use vlm_planner_tuner::checkpoint::TensorTable;
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::vision_language::processor::{ImageProcessor, PreprocessorConfig, TokenizedPrompt};
use vlm_planner_tuner::vision_language::{ModelConfig, Precision, Quantize, VisionLanguageModel, WeightFormat};
use vlm_planner_tuner::weights::MergedWeights;
use vlm_planner_tuner::weights::nf4::{Absmax, AbsmaxFormat, Nf4Matrix};

type Tensors = HashMap<String, Tensor>;

/// The matrices that `--quantize nf4` touches.
fn is_quantised(name: &str, tensor: &Tensor) -> bool {
    tensor.rank() == 2 && (name.contains(".layers.") || name.contains(".blocks."))
}

fn base_tensors() -> Tensors {
    let table = TensorTable::open_sharded(support::own_fixture_set("tiny_vlm").join("base")).unwrap();
    table.names().map(|name| (name.to_string(), table.read(name, &Device::Cpu).unwrap())).collect()
}

fn quantise(tensor: &Tensor, format: AbsmaxFormat) -> Nf4Matrix {
    Nf4Matrix::quantise(&flat(tensor), tensor.dims2().unwrap().into(), format).unwrap()
}

/// The hidden states of a fixed picture and prompt.
fn hidden_states(tensors: &Tensors, precision: Precision) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    candle_core::safetensors::save(tensors, &file).unwrap();
    let base = support::own_fixture_set("tiny_vlm").join("base");
    let config = ModelConfig::load(&base.join("config.json")).unwrap();
    let image_token_id = config.image_token_id;
    let weights = MergedWeights::new(TensorTable::open(&file).unwrap(), None).unwrap();
    let mut model = VisionLanguageModel::load(config, Arc::new(weights), precision, &Device::Cpu).unwrap();

    let rgb = (0..224 * 168 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let frame = Frame::from_rgb8(224, 168, rgb).unwrap();
    let preprocessor = PreprocessorConfig::load(&base, None, Default::default()).unwrap();
    let image = ImageProcessor::new(preprocessor).process(&frame).unwrap();
    let tokens = model.image_tokens(&image).unwrap();
    let count = tokens.dim(0).unwrap();
    let mut input_ids: Vec<u32> = (10..40).collect();
    input_ids.extend(std::iter::repeat_n(image_token_id, count));
    input_ids.extend(50..60);
    let prompt = TokenizedPrompt { input_ids, image_start: 30, image_tokens: count };
    model.hidden_states(&prompt, &tokens, image.grid()).unwrap().whole().unwrap().iter().flat_map(flat).collect()
}

#[test]
fn quantised_while_loading_equals_quantised_beforehand() {
    let tensors = base_tensors();
    let widened: Tensors = tensors
        .iter()
        .map(|(name, tensor)| match is_quantised(name, tensor) {
            true => {
                let values = quantise(tensor, AbsmaxFormat::Double).dequantise();
                (name.clone(), Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap())
            }
            false => (name.clone(), tensor.clone()),
        })
        .collect();
    let nf4 = hidden_states(&tensors, Precision::F32.quantised(Quantize::Nf4));
    let wide = hidden_states(&widened, Precision::F32);
    let difference = max_relative_difference(&nf4, &wide);
    support::say(&format!("quantised model: {difference:.1e} from the widened one in f32, bar 1e-4"));
    assert!(difference < 1e-4);
    let unquantised = hidden_states(&tensors, Precision::F32);
    assert!(max_relative_difference(&nf4, &unquantised) > 1e-2, "quantisation must show");
}

#[test]
fn bf16_weights_equal_those_rounded_beforehand() {
    let tensors = base_tensors();
    let round = |tensor: &Tensor| tensor.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
    // Matrices of linear layers; norms, biases and the rows of tokens stay as they were stored.
    let rounded: Tensors = tensors
        .iter()
        .map(|(name, tensor)| {
            let narrow = match tensor.rank() {
                2 if !name.contains("embed_tokens") => round(tensor),
                // A picture is seen twice, as two frames of a film, so that the sum of both kernels is what is stored.
                5 => {
                    let sum = round(&tensor.sum_keepdim(2).unwrap());
                    Tensor::cat(&[&sum, &sum.zeros_like().unwrap()], 2).unwrap()
                }
                _ => tensor.clone(),
            };
            (name.clone(), narrow)
        })
        .collect();
    let bf16 = hidden_states(&tensors, Precision::new(&Device::Cpu, Some(WeightFormat::Bf16)));
    let wide = hidden_states(&rounded, Precision::F32);
    let difference = max_relative_difference(&bf16, &wide);
    support::say(&format!("model in bf16: {difference:.1e} from the rounded one in f32, bar 1e-4"));
    assert!(difference < 1e-4);
    let unrounded = hidden_states(&tensors, Precision::F32);
    assert!(max_relative_difference(&bf16, &unrounded) > 1e-4, "rounding must show");
}

#[test]
fn a_checkpoint_saved_in_four_bits_runs_as_it_is() {
    let code = Nf4Matrix::from_parts(
        [1, 16],
        (0..8u8).map(|i| (2 * i) << 4 | (2 * i + 1)).collect(),
        Absmax::Single(vec![1.0]),
    );
    let code = code.unwrap().dequantise();
    let mut stored = Tensors::new();
    let mut widened = Tensors::new();
    for (name, tensor) in base_tensors() {
        if !is_quantised(&name, &tensor) {
            stored.insert(name.clone(), tensor.clone());
            widened.insert(name, tensor);
            continue;
        }
        let matrix = quantise(&tensor, AbsmaxFormat::Single);
        let Absmax::Single(absmax) = matrix.absmax() else { panic!("single was asked for") };
        let state = serde_json::json!({
            "quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": tensor.dims(),
        });
        let cpu = &Device::Cpu;
        let mut add = |part: &str, tensor: Tensor| stored.insert(format!("{name}{part}"), tensor);
        add("", Tensor::new(matrix.packed(), cpu).unwrap().unsqueeze(1).unwrap());
        add(".absmax", Tensor::new(absmax.as_slice(), cpu).unwrap());
        add(".quant_map", Tensor::new(code.as_slice(), cpu).unwrap());
        add(".quant_state.bitsandbytes__nf4", Tensor::new(state.to_string().as_bytes(), cpu).unwrap());
        widened.insert(name, Tensor::from_vec(matrix.dequantise(), tensor.shape(), cpu).unwrap());
    }
    let as_stored = hidden_states(&stored, Precision::F32.already_quantised());
    let in_f32 = hidden_states(&stored, Precision::F32);
    let expected = hidden_states(&widened, Precision::F32);
    assert_eq!(max_difference(&in_f32, &expected), 0.0, "widening loses nothing");
    assert!(max_relative_difference(&as_stored, &expected) < 1e-4);
}
