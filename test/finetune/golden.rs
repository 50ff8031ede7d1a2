//! Losses, gradients and AdamW's steps of the golden set.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module as _, VarBuilder};
use planner_tuner_finetune::Learns;
use planner_tuner_model::checkpoint::TensorTable;
use planner_tuner_model::feature::{DptHead, DptSizes, FeatureExtractor, HeadInput, HistoryEncoder, HistorySizes};
use planner_tuner_model::learning::GradientSums;
use planner_tuner_model::vision_language::HiddenStates;

use crate::golden_set::{GoldenSet, distance, floats, golden_name, norm, sight_of};

/// Its gradient is zero in exact arithmetic: a softmax does not see a common offset.
const WITHOUT_GRADIENT: &str = "spatial_attention.2.bias";

#[test]
fn fixture_supervised_loss_and_gradients_are_pytorchs() {
    let set = GoldenSet::open();
    let mut learner = set.learner(Learns::ALL);
    let examples = set.examples(learner.model_mut());
    let loss: f64 =
        examples.values().map(|example| learner.add_example(example, examples.len(), None).unwrap().loss).sum();
    let expected = &set.expected["supervised"];
    let expected_loss = expected["loss"].as_f64().unwrap();
    println!("supervised loss {loss:.7}, PyTorch {expected_loss:.7}");
    assert!((loss - expected_loss).abs() <= 1e-4, "{loss} {expected_loss}");

    let norms = expected["gradient_norms"].as_object().unwrap();
    let mut farthest = (0.0, String::new());
    let mut seen = 0;
    for (name, gradient) in learner.gradients() {
        let name = golden_name(name);
        let expected = norms[&name].as_f64().unwrap();
        seen += 1;
        let gradient = gradient.unwrap_or_else(|| panic!("{name} gets no gradient"));
        if name.ends_with(WITHOUT_GRADIENT) {
            continue;
        }
        let found = norm(gradient);
        assert!(found > 0.0, "{name}: the gradient is zero");
        let off = (found - expected).abs() / expected;
        farthest = if off > farthest.0 { (off, name.clone()) } else { farthest };
        if let Ok(whole) = set.tensors.read(&format!("supervised.gradient.{name}"), gradient.device()) {
            let off = distance(gradient, &whole);
            assert!(off <= 3e-4, "{name}: the gradient is off by {off:e} of its length");
        }
    }
    println!("norms of {seen} gradients: at most {:.1e} off ({})", farthest.0, farthest.1);
    assert_eq!(seen, norms.len());
    assert!(farthest.0 <= 3e-4, "{farthest:?}");
}

/// The policy's heads and actor behind the supervised checkpoint's LoRA: what mode 2 of the original starts with.
#[test]
fn fixture_actor_loss_and_gradients_are_pytorchs() {
    let set = GoldenSet::open();
    let (mut model, lora) = set.model_with_lora();
    let (table, config) = (set.policy(), set.checkpoint().history_config);
    let named: Vec<(String, Var)> = table
        .names()
        .map(|name| (name.to_owned(), Var::from_tensor(&table.read(name, &Device::Cpu).unwrap()).unwrap()))
        .collect();
    let tensors = named.iter().map(|(name, variable)| (name.clone(), variable.as_tensor().clone())).collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let hidden = model.config().text.hidden_size;
    let dpt = DptSizes::of(&table, "feature_extractor.dpt_head.", hidden, Some(config.history_dim)).unwrap();
    let (dim, frames) = (config.history_dim, config.num_history_frames);
    let past = HistorySizes::of(&table, "feature_extractor.history_encoder.", dim, frames);
    let vb_of = |name: &str| vb.pp("feature_extractor").pp(name);
    let encoder = HistoryEncoder::new(past, vb_of("history_encoder")).unwrap();
    let dpt_head = DptHead::new(dpt, vb_of("dpt_head")).unwrap();
    let extractor = FeatureExtractor::new(dpt_head, Some((encoder, frames)));
    let actions = table.meta("fc.bias").unwrap().shape[0];
    let fc = candle_nn::linear(dpt.feature, actions, vb.pp("fc")).unwrap();

    let in_peft = lora.variables().map(|(name, variable)| (golden_name(&name), variable.clone()));
    let of_heads = named.iter().map(|(name, variable)| (name_of_head(name), variable.clone()));
    let (names, variables): (Vec<String>, Vec<Var>) = in_peft.chain(of_heads).unzip();
    let mut gradients = GradientSums::new(variables);
    let w = Tensor::new(floats(&set.expected["actor"]["w"]), &Device::Cpu).unwrap();
    let examples = set.examples(&mut model);
    let mut loss = 0.0;
    for example in examples.values() {
        let (states, passed) = model.forward(sight_of(example)).unwrap();
        let states = states.whole().unwrap().map(|state| Var::from_tensor(&state).unwrap());
        let seen = HiddenStates::new(states.each_ref().map(|state| state.as_tensor().clone()));
        let input = HeadInput { hidden_states: &seen, newest_first: &example.newest_first };
        let feature = extractor.forward_batch(&[input]).unwrap();
        let action = fc.forward(&feature).unwrap().tanh().unwrap();
        let share = (action.broadcast_mul(&w).unwrap().sum_all().unwrap() * (-1.0 / examples.len() as f64)).unwrap();
        loss += f64::from(share.to_scalar::<f32>().unwrap());
        let found = share.backward().unwrap();
        gradients.add(&found).unwrap();
        let of_states = states.each_ref().map(|state| found.get(state).unwrap().detach());
        model.backward(passed, &of_states, &mut |found| gradients.add(found)).unwrap();
    }
    let expected = &set.expected["actor"];
    let expected_loss = expected["loss"].as_f64().unwrap();
    println!("actor loss {loss:.7}, PyTorch {expected_loss:.7}");
    assert!((loss - expected_loss).abs() <= 1e-4, "{loss} {expected_loss}");
    let expected = expected["gradient_norms"].as_object().unwrap();
    let (mut farthest, mut seen) = (0f64, 0);
    for (name, gradient) in names.iter().zip(gradients.sums()) {
        // The regression is not on the way to an action.
        let Some(expected) = expected[name].as_f64().filter(|norm| *norm > 0.0) else {
            assert!(gradient.is_none() && name.contains(".mlp."), "{name}");
            continue;
        };
        seen += 1;
        if name.ends_with(WITHOUT_GRADIENT) {
            continue;
        }
        let gradient = gradient.as_ref().unwrap();
        farthest = farthest.max((norm(gradient) - expected).abs() / expected);
        if let Ok(whole) = set.tensors.read(&format!("actor.gradient.{name}"), &Device::Cpu) {
            let off = distance(gradient, &whole);
            assert!(off <= 3e-4, "{name}: the gradient is off by {off:e} of its length");
        }
    }
    println!("norms of {seen} gradients of the actor's loss: at most {farthest:.1e} off");
    assert_eq!(seen, expected.values().filter(|norm| norm.as_f64().is_some_and(|norm| norm > 0.0)).count());
    assert!(farthest <= 3e-4, "{farthest}");
}

fn name_of_head(name: &str) -> String {
    name.replace("feature_extractor.dpt_head.", "regression_head.")
        .replace("feature_extractor.history_encoder.", "history_encoder.")
}

#[test]
fn fixture_three_steps_of_adamw_end_at_pytorchs_weights_and_pefts_adapter() {
    let set = GoldenSet::open();
    let mut learner = set.learner(Learns::ALL);
    let examples = set.examples(learner.model_mut());
    let rate = set.expected["adamw"]["settings"]["lr"].as_f64().unwrap();
    for expected in set.expected["adamw"]["steps"].as_array().unwrap() {
        let loss: f64 =
            examples.values().map(|example| learner.add_example(example, examples.len(), None).unwrap().loss).sum();
        let expected_loss = expected["loss"].as_f64().unwrap();
        assert!((loss - expected_loss).abs() <= 1e-4, "{loss} {expected_loss}");
        let Some(expected_norm) = expected["norm_before_clipping"].as_f64() else { continue };
        let step = learner.step(loss, rate).unwrap();
        assert!(step.moved && (step.gradient_norm - expected_norm).abs() <= 3e-4 * expected_norm, "{step:?}");
    }

    let (regression_head, history_encoder) = learner.heads().state_dicts().unwrap();
    let saved = [
        ("adapter_after/adapter_model.safetensors", learner.lora().state_dict().unwrap()),
        ("regression_head_after.safetensors", regression_head),
        ("history_encoder_after.safetensors", history_encoder.unwrap()),
    ];
    for (file, found) in saved {
        let expected = TensorTable::open(set.training.join(file)).unwrap();
        let mut names: Vec<&str> = found.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, expected.names().collect::<Vec<_>>(), "{file}");
        let mut farthest = 0f32;
        for (name, tensor) in found.iter() {
            let expected = expected.read(name, tensor.device()).unwrap();
            assert_eq!((tensor.dims(), tensor.dtype()), (expected.dims(), expected.dtype()), "{file}: {name}");
            let off = (tensor - &expected).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let off = off.to_scalar::<f32>().unwrap();
            assert!(off <= 3e-4, "{file}: {name} is off by {off}");
            farthest = farthest.max(off);
        }
        println!("{file}: at most {farthest:.1e} off after three steps");
    }
}
