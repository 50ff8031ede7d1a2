//! One part of a `config.json`, read field by field: under every name a field has had, and with HF's default where the
//! file leaves it out.

use super::ConfigError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A dict with its whole name.
type NamedDict<'a> = (String, &'a Map<String, Value>);

/// The fields of one part. Every value that is there is looked at, so that two names which do not say the same are
/// found.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// What stands before a field's name in messages: `text_config.`, or nothing.
    prefix: &'static str,
    fields: &'a Map<String, Value>,
    /// The root, where the language model's fields stood before `text_config` was there. Transformers 4.52 to 4.57
    /// write both.
    root: Option<&'a Map<String, Value>>,
}

impl<'a> Part<'a> {
    pub(super) fn new(prefix: &'static str, fields: &'a Map<String, Value>) -> Self {
        Self { prefix, fields, root: None }
    }

    /// A part whose fields may stand in the root as well, saying the same.
    pub(super) fn also_in(self, root: &'a Map<String, Value>) -> Self {
        Self { root: Some(root), ..self }
    }

    /// A field's name in messages.
    pub(super) fn name_of(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// A field under its names, or `default` where none of them is there.
    ///
    /// # Errors
    /// [`ConfigError`] that names the field: a value of another kind, or two that contradict each other.
    pub(super) fn read<T>(&self, names: &[&'static str], expected: &str, default: T) -> Result<T, ConfigError>
    where
        T: DeserializeOwned + PartialEq,
    {
        let mut found: Option<(String, &Value, T)> = None;
        for (name, value) in names.iter().filter_map(|name| Some((*name, self.fields.get(*name)?))) {
            let name = format!("{}{name}", self.prefix);
            let read = parse(&name, value, expected)?;
            match &found {
                Some((first, shown, other)) if *other != read => return Err(contradiction(first, shown, &name, value)),
                Some(_) => {}
                None => found = Some((name, value, read)),
            }
        }
        let in_root = |name: &&'static str| Some((*name, self.root?.get(*name)?));
        for (name, value) in names.iter().filter_map(in_root) {
            let read: T = match value {
                Value::Null => continue,
                value => parse(name, value, expected)?,
            };
            match &found {
                // What is null here has been left open on purpose.
                Some((_, Value::Null, _)) => {}
                Some((_, _, here)) if *here == read => {}
                Some((first, shown, _)) => return Err(contradiction(first, shown, name, value)),
                None if default == read => {}
                None => {
                    let own = format!("{}{name}", self.prefix);
                    return Err(ConfigError::Unsupported(format!(
                        "{name} is {}, and {own} is left out, which means transformers' default; write the value into \
                         {}, where it counts",
                        shortened(value),
                        self.prefix.trim_end_matches('.')
                    )));
                }
            }
        }
        Ok(found.map_or(default, |(_, _, read)| read))
    }

    /// A field that only this part decides.
    pub(super) fn own<T: DeserializeOwned + PartialEq>(
        &self,
        name: &'static str,
        expected: &str,
        default: T,
    ) -> Result<T, ConfigError> {
        Self { root: None, ..*self }.read(&[name], expected, default)
    }

    /// Dicts of a name, here and in the root, each with the whole name.
    pub(super) fn dicts(&self, name: &str) -> Result<Vec<NamedDict<'a>>, ConfigError> {
        let here = self.fields.get(name).map(|value| (format!("{}{name}", self.prefix), value));
        let there = self.root.and_then(|root| root.get(name)).map(|value| (name.to_owned(), value));
        let mut dicts = Vec::new();
        for (name, value) in here.into_iter().chain(there) {
            match value {
                Value::Null => {}
                Value::Object(fields) => dicts.push((name, fields)),
                other => return Err(ConfigError::value(name, shortened(other), "an object")),
            }
        }
        Ok(dicts)
    }
}

/// A value of the kind that is needed.
pub(super) fn parse<T: DeserializeOwned>(name: &str, value: &Value, expected: &str) -> Result<T, ConfigError> {
    serde_json::from_value(value.clone()).map_err(|_| ConfigError::value(name, shortened(value), expected))
}

pub(super) fn contradiction(first: &str, one: &Value, second: &str, other: &Value) -> ConfigError {
    let (one, other) = (shortened(one), shortened(other));
    ConfigError::Contradiction { first: first.into(), one, second: second.into(), other }
}

/// A value out of a file, short enough for a message.
pub(super) fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
