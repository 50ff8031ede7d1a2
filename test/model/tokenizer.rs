//! Prompts and their token ids against HF's tokenizer.

use std::path::Path;

use crate::support;
use serde_json::Value;
use vlm_planner_tuner::{
    frame::BodyVelocity,
    vision_language::processor::{ProcessorError, Prompt, PromptTemplate, PromptTokenizer},
};

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

/// Id of the image token as the file itself lists it.
fn image_token_id(tokenizer_json: &Path) -> u32 {
    let added = &read_json(tokenizer_json)["added_tokens"];
    let image = added.as_array().unwrap().iter().find(|token| token["content"] == "<|image_pad|>").unwrap();
    image["id"].as_u64().unwrap() as u32
}

#[test]
fn fixture_prompts_and_their_ids_are_equal() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let expected = read_json(&set.join("expected.json"));
    let image_token = read_json(&set.join("base/config.json"))["image_token_id"].as_u64().unwrap() as u32;
    let tokenizer = PromptTokenizer::load(&set.join("base"), image_token).unwrap();
    let template = PromptTemplate::load(Some(&set.join("checkpoint"))).unwrap();
    let frames = expected["frames"].as_array().unwrap();
    assert!(!frames.is_empty());
    for frame in frames {
        let component = |name: &str| frame[name].as_f64().unwrap();
        let velocity = BodyVelocity::new(component("linear_vel"), component("angular_vel")).unwrap();
        let prompt = template.render(velocity, frame["algorithm"].as_str().unwrap());
        assert_eq!(prompt.text(1), frame["prompt_text"].as_str().unwrap());

        let image_tokens = frame["num_image_tokens"].as_u64().unwrap() as usize;
        let tokens = tokenizer.encode(&prompt, image_tokens).unwrap();
        assert_eq!(tokens.input_ids, ids(&frame["input_ids"]));
        assert_eq!(tokens.len() as u64, frame["sequence_length"].as_u64().unwrap());
        let image = tokens.image_start..tokens.image_start + tokens.image_tokens;
        assert!(tokens.input_ids[image.clone()].iter().all(|id| *id == image_token));
        assert_eq!(image.len(), image_tokens);
        assert_eq!(tokens.input_ids, tokenizer.encode_text(&prompt.text(image_tokens)).unwrap());
    }
}

#[test]
fn fixture_full_tokenizer_ids_are_equal() {
    let Some(set) = support::fixture_set("full_tokenizer") else { return };
    let path = set.join("tokenizer.json");
    let tokenizer = PromptTokenizer::load(&path, image_token_id(&path)).unwrap();
    let examples = read_json(&set.join("examples.json"));
    let examples = examples.as_array().unwrap();
    for example in examples {
        let text = example["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode_text(text).unwrap(), ids(&example["ids"]), "{text:?}");
    }
    support::say(&format!("{} texts have equal ids", examples.len()));
    assert!(!examples.is_empty());
}

/// The halves of the full vocabulary's prompts, encoded apart.
#[test]
fn fixture_full_tokenizer_prompts_in_halves() {
    let Some(set) = support::fixture_set("full_tokenizer") else { return };
    let path = set.join("tokenizer.json");
    let tokenizer = PromptTokenizer::load(&path, image_token_id(&path)).unwrap();
    for example in read_json(&set.join("examples.json")).as_array().unwrap() {
        let Some(image_tokens) = example["num_image_tokens"].as_u64() else { continue };
        let text = example["text"].as_str().unwrap();
        let between = |start: &str, end: &str| {
            let from = text.find(start).unwrap() + start.len();
            text[from..from + text[from..].find(end).unwrap()].to_owned()
        };
        let (system, user) = (between("<|im_start|>system\n", "<|im_end|>"), between("<|vision_end|>", "<|im_end|>"));
        let prompt = Prompt::new(&system, &user);
        assert_eq!(prompt.text(image_tokens as usize), text);
        assert_eq!(tokenizer.encode(&prompt, image_tokens as usize).unwrap().input_ids, ids(&example["ids"]));
    }
}

#[test]
fn fixture_prompts_that_bring_image_tokens_are_refused() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let path = set.join("base/tokenizer.json");
    let tokenizer = PromptTokenizer::load(&path, image_token_id(&path)).unwrap();
    let err = tokenizer.encode(&Prompt::new("", "<|image_pad|>"), 4).unwrap_err();
    assert!(matches!(err, ProcessorError::ImageTokenCount { expected: 4, found: 5 }), "{err}");
    let err = tokenizer.encode(&Prompt::new("", ""), 0).unwrap_err();
    assert!(matches!(err, ProcessorError::ImageTokenCount { expected: 0, found: 0 }), "{err}");
}

#[test]
fn fixture_tokenizers_of_other_models_are_refused() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let path = set.join("base/tokenizer.json");
    let id = image_token_id(&path);
    let err = PromptTokenizer::load(&path, id + 1).unwrap_err().to_string();
    assert!(err.contains(&format!("id of <|image_pad|> is {id}, but config.json says image_token_id = {}", id + 1)));
}

#[test]
fn broken_tokenizer_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = PromptTokenizer::load(folder.path(), 0).unwrap_err().to_string();
    assert!(missing.contains("tokenizer.json") && missing.contains("beside the base model's weights"), "{missing}");
    for broken in ["", "{}", "{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": [\"a b\"]}}", "\0\0\0"] {
        std::fs::write(folder.path().join("tokenizer.json"), broken).unwrap();
        let err = PromptTokenizer::load(folder.path(), 0).unwrap_err();
        assert!(matches!(err, ProcessorError::Tokenizer { .. }), "{err}");
        assert!(err.to_string().contains("tokenizer.json"), "{err}");
    }
}
