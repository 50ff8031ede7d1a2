//! A live view: what happens, shown while it happens, to whoever connects with Foxglove or Lichtblick.
//!
//! The server is Foxglove's own. Nothing here ever waits for a viewer: each has a queue, and who does not read it loses the oldest
//! messages.

mod address;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use foxglove::{ChannelBuilder, Context, FoxgloveError, PartialMetadata, RawChannel, Schema, WebSocketServerHandle};

use crate::viewer::ViewerMessage;

pub use address::{LiveAddress, WrongAddress};

/// Messages that wait for a viewer at most: a minute of a drive.
const BACKLOG: usize = 1024;

/// How long viewers may take to read what is left when a view ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
pub enum LiveViewError {
    /// The server cannot listen there.
    #[error("no live view at {address}: {source}; is the port in use? name another one, such as --live={}", .address.next_port())]
    Listen {
        /// Where.
        address: LiveAddress,
        /// What the server says.
        source: FoxgloveError,
    },
    /// A channel cannot be made.
    #[error("live view: no channel for {topic}: {source}")]
    Channel {
        /// Its topic.
        topic: &'static str,
        /// What the server says.
        source: FoxgloveError,
    },
}

/// A server that shows messages to whoever looks.
pub struct LiveView {
    context: Arc<Context>,
    server: Option<WebSocketServerHandle>,
    /// By topic.
    channels: BTreeMap<&'static str, Arc<RawChannel>>,
}

impl LiveView {
    /// Begins to listen. An address that others can reach is said in the log: whoever can reach it sees what the robot sees.
    ///
    /// # Errors
    /// [`LiveViewError::Listen`].
    pub fn open(address: LiveAddress) -> Result<Self, LiveViewError> {
        let context = Context::new();
        let server = context.websocket_server().name("planner_tuner").message_backlog_size(BACKLOG);
        let server = server
            .bind(address.ip().to_string(), address.port())
            .start_blocking()
            .map_err(|source| LiveViewError::Listen { address, source })?;
        let url = format!("ws://{}", address.with_port(server.port()));
        log::info!("live view: in Foxglove or Lichtblick, open the Foxglove WebSocket {url}");
        if !address.ip().is_loopback() {
            log::warn!("live view: anyone who can reach {url} can see what the robot sees");
        }
        Ok(Self { context, server: Some(server), channels: BTreeMap::new() })
    }

    /// The port that it listens at.
    pub fn port(&self) -> u16 {
        self.server.as_ref().map_or(0, WebSocketServerHandle::port)
    }

    /// How many look at present.
    pub fn viewers(&self) -> usize {
        self.server.as_ref().map_or(0, WebSocketServerHandle::client_count)
    }

    /// Shows a message to whoever looks.
    ///
    /// # Errors
    /// [`LiveViewError::Channel`] with the first message of a topic.
    pub fn show(&mut self, message: &ViewerMessage) -> Result<(), LiveViewError> {
        let topic = message.topic();
        let channel = match self.channels.get(topic) {
            Some(channel) => channel,
            None => {
                let schema = message.schema().as_bytes().to_vec();
                let channel = ChannelBuilder::new(topic)
                    .context(&self.context)
                    .message_encoding(message.message_encoding())
                    .schema(Schema::new(message.type_name(), message.schema_encoding(), schema))
                    .build_raw()
                    .map_err(|source| LiveViewError::Channel { topic, source })?;
                self.channels.entry(topic).or_insert(channel)
            }
        };
        channel.log_with_meta(message.data(), PartialMetadata { log_time: Some(message.nanos()) });
        Ok(())
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        // Who reads gets what is left. The server would wait for ever for a viewer that does not.
        let stopping = server.stop();
        let (done, is_done) = mpsc::channel();
        let wait = move || {
            stopping.wait_blocking();
            // Nobody listens any more once it has taken too long.
            done.send(()).ok();
        };
        if std::thread::Builder::new().name("live view".to_owned()).spawn(wait).is_ok()
            && is_done.recv_timeout(PATIENCE).is_err()
        {
            log::warn!("live view: a viewer stopped reading, and has missed the end");
        }
    }
}
