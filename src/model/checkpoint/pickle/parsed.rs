//! A pickle that has been read: its objects, and how to look at them.

use super::error::shown;
use super::tensor::Storage;
use super::value::{Object, ObjectId, Value};

/// A pickle that has been read.
pub struct Pickle<'a> {
    buffer: &'a [u8],
    objects: Vec<Object>,
    /// The value the pickle stands for.
    pub root: Value,
    /// Offset of the first byte after it.
    pub end: usize,
}

impl<'a> Pickle<'a> {
    pub(super) fn empty(buffer: &'a [u8]) -> Self {
        Self { buffer, objects: Vec::new(), root: Value::None, end: 0 }
    }

    /// The object behind a value.
    pub fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(ObjectId(index)) => self.objects.get(index),
            _ => None,
        }
    }

    /// The fields of a tuple.
    pub fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.object(value) {
            Some(Object::Tuple(fields)) => Some(fields),
            _ => None,
        }
    }

    /// Key and value of a dict or OrderedDict.
    pub fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value) {
            Some(Object::Dict { items, .. }) => Some(items),
            _ => None,
        }
    }

    /// A string.
    pub fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Text(span) => std::str::from_utf8(span.of(self.buffer)).ok(),
            _ => None,
        }
    }

    /// Every storage the pickle refers to, in the order it does.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// A value in words, for messages.
    pub fn describe(&self, value: Value) -> String {
        match value {
            Value::None => "None".into(),
            Value::Bool(value) => if value { "True" } else { "False" }.into(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(span) => format!("'{}'", shown(span.of(self.buffer))),
            Value::Bytes(span) => format!("{} bytes", span.len),
            Value::Known(known) => format!("{known:?}"),
            Value::Object(_) => self.object(value).map_or("nothing", Object::kind).into(),
        }
    }

    /// The bytes that spans lie in.
    pub(super) fn buffer(&self) -> &'a [u8] {
        self.buffer
    }

    /// The object behind a value, to be added to.
    pub(super) fn object_mut(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(ObjectId(index)) => self.objects.get_mut(index),
            _ => None,
        }
    }

    pub(super) fn insert(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(ObjectId(self.objects.len() - 1))
    }
}
