//! What the channels of a written MCAP file look like.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

/// A topic, its type, and how its messages are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelForm<'a> {
    topic: &'a str,
    type_name: &'a str,
    schema_encoding: &'a str,
    schema: &'a str,
    message_encoding: &'a str,
}

impl<'a> ChannelForm<'a> {
    /// Of ROS 2 messages in CDR, with the text of their definition.
    pub(crate) fn ros2(topic: &'a str, type_name: &'a str, definition: &'a str) -> Self {
        Self { topic, type_name, schema_encoding: "ros2msg", schema: definition, message_encoding: "cdr" }
    }

    /// Of JSON objects, with their schema.
    pub(crate) fn json(topic: &'a str, type_name: &'a str, schema: &'a str) -> Self {
        Self { topic, type_name, schema_encoding: "jsonschema", schema, message_encoding: "json" }
    }

    /// Adds schema and channel to a file; the channel's number.
    pub(crate) fn add_to<W: Write + Seek>(self, writer: &mut mcap::Writer<W>) -> mcap::McapResult<u16> {
        let schema = writer.add_schema(self.type_name, self.schema_encoding, self.schema.as_bytes())?;
        writer.add_channel(schema, self.topic, self.message_encoding, &BTreeMap::new())
    }
}
